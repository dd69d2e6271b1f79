//! The parameters of statements, the rows that they return, and statements that are assembled from parts.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use nimbus_protocol::{from_micros, to_micros};
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Decode, Postgres, Row as _, Sqlite, Type};

use crate::StoreError;
use crate::classify::classify;

/// A value for a placeholder.
#[derive(Debug, Clone)]
pub(crate) enum Value<'a> {
    Int(i64),
    /// A number that is missing.
    NoInt,
    Text(Cow<'a, str>),
    Blob(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(value: Timestamp) -> Self {
        Self::Int(to_micros(value))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Blob(value)
    }
}

/// A row of either database.
pub(crate) struct Row {
    inner: RowInner,
    at: Arc<str>,
}

enum RowInner {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(crate) fn sqlite(rows: Vec<SqliteRow>, at: &Arc<str>) -> Vec<Self> {
        rows.into_iter().map(|row| Self { inner: RowInner::Sqlite(row), at: at.clone() }).collect()
    }

    pub(crate) fn postgres(rows: Vec<PgRow>, at: &Arc<str>) -> Vec<Self> {
        rows.into_iter().map(|row| Self { inner: RowInner::Postgres(row), at: at.clone() }).collect()
    }

    /// The value of a column: i64, String or `Vec<u8>`, or an Option of one.
    pub(crate) fn get<T>(&self, column: usize) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
    {
        let value = match &self.inner {
            RowInner::Sqlite(row) => row.try_get(column),
            RowInner::Postgres(row) => row.try_get(column),
        };
        value.map_err(|error| classify(&self.at, &error))
    }

    /// A number that is never negative.
    pub(crate) fn unsigned<T: TryFrom<i64>>(&self, column: usize) -> Result<T, StoreError> {
        let value: i64 = self.get(column)?;
        T::try_from(value).map_err(|_| self.corrupt("a number in range", &value.to_string()))
    }

    /// A time.
    pub(crate) fn time(&self, column: usize) -> Result<Timestamp, StoreError> {
        self.get(column).map(from_micros)
    }

    /// The error for a value that cannot be what was written.
    pub(crate) fn corrupt(&self, expected: &str, found: &str) -> StoreError {
        StoreError::Corrupt {
            at: self.at.to_string(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }
    }
}

/// A statement that is put together from literal parts; what comes from outside goes in as values only.
#[derive(Debug, Default)]
pub(crate) struct Sql<'a> {
    text: String,
    pub(crate) values: Vec<Value<'a>>,
}

impl<'a> Sql<'a> {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    /// Adds text of the program's own.
    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a placeholder with its value.
    pub(crate) fn bind(&mut self, value: impl Into<Value<'a>>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Adds `($1, $2, …)`. Never called with nothing: `IN ()` is no SQL.
    pub(crate) fn bind_all(&mut self, values: impl IntoIterator<Item = impl Into<Value<'a>>>) -> &mut Self {
        for (at, value) in values.into_iter().enumerate() {
            self.push(if at == 0 { "(" } else { ", " }).bind(value);
        }
        self.push(")")
    }

    /// The statement's text: built from literals of this crate and placeholders, never from a value.
    pub(crate) fn text(&self) -> AssertSqlSafe<String> {
        AssertSqlSafe(self.text.clone())
    }
}
