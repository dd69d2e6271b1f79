//! Prepares texts so that both databases can keep them: search columns and ids. And the checksum of a document's row.

use crate::StoreError;
use crate::db::Row;

/// Longest `key` that is stored as it is; of a longer one its SHA-256. PostgreSQL cannot index a path of 4,096 bytes.
const LONGEST_KEY: usize = 512;

/// What a row of documents holds, as it is stored.
pub(crate) struct Stored<'a> {
    pub(crate) table: &'a str,
    pub(crate) id: &'a str,
    pub(crate) version: i64,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) state: &'a str,
    pub(crate) cluster: &'a str,
    pub(crate) key: &'a str,
    pub(crate) doc: &'a str,
}

impl Stored<'_> {
    /// CRC-32 over all of it, each text after its length. It finds what a disk damages, and is no seal against a person:
    /// that is the audit chain.
    pub(crate) fn checksum(&self) -> i64 {
        let mut hasher = crc32fast::Hasher::new();
        for text in [self.table, self.id, self.state, self.cluster, self.key, self.doc] {
            hasher.update(&(text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        }
        for number in [self.version, self.created_at, self.updated_at] {
            hasher.update(&number.to_be_bytes());
        }
        hasher.finalize().into()
    }
}

/// The columns of a row of documents, in the order of [`checksum`].
pub(crate) const COLUMNS: &str = "version, doc, id, created_at, updated_at, state, cluster, key, sum";

/// What the checksum of a row with [`COLUMNS`] has to be.
pub(crate) fn checksum(table: &str, row: &Row) -> Result<i64, StoreError> {
    let (doc, id): (String, String) = (row.get(1)?, row.get(2)?);
    let (state, cluster, key): (String, String, String) = (row.get(5)?, row.get(6)?, row.get(7)?);
    let stored = Stored {
        table,
        id: &id,
        version: row.get(0)?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
        state: &state,
        cluster: &cluster,
        key: &key,
        doc: &doc,
    };
    Ok(stored.checksum())
}

/// `key` as it stands in its column.
pub(crate) fn key_column(key: &str) -> String {
    if key.len() <= LONGEST_KEY {
        return clean(key);
    }
    format!("sha256:{}", nimbus_protocol::to_hex(&nimbus_protocol::sha256(key.as_bytes())))
}

/// `text` without NUL characters, which PostgreSQL cannot store: both databases keep the same text.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Can `id` be an id? It is never altered, as the columns are: two ids must not become one.
pub(crate) fn storable(id: &str) -> bool {
    !id.contains('\0')
}
