//! Classifies database errors by what a caller can do about them.
//!
//! Decides by codes, never by words, so that a server that speaks another language is understood too; the words go
//! into the detail.

use std::io;

use sqlx::Error;

use crate::StoreError;

/// How long a statement waits for another's lock, and a call for a free connection, seconds.
pub(crate) const WAIT_S: u64 = 10;

/// The sort of `error`, which happened in the database `at` (an address without its password).
pub(crate) fn classify(at: &str, error: &Error) -> StoreError {
    let at = at.to_owned();
    let detail = detail(error);
    match error {
        Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            match code.parse::<u32>() {
                // PostgreSQL's codes have five characters, SQLite's are numbers of at most four digits.
                Ok(number) if code.len() < 5 => sqlite(at, number, detail),
                _ => postgres(at, &code, detail),
            }
        }
        Error::Io(error) => io_error(at, error),
        Error::PoolTimedOut if at.starts_with("sqlite:") => {
            StoreError::Locked { at, waited_s: WAIT_S, detail }
        }
        Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed
        | Error::Tls(_)
        | Error::Configuration(_) => StoreError::Unreachable { at, detail },
        Error::Protocol(_) if !at.starts_with("sqlite:") => StoreError::OtherServer { at, detail },
        Error::ColumnDecode { .. } | Error::Decode(_) | Error::ColumnNotFound(_) => {
            StoreError::Corrupt { at, expected: "a value as this build writes it".to_owned(), found: detail }
        }
        _ => StoreError::Database { at, detail },
    }
}

/// The sort of an error of the system.
pub(crate) fn io_error(at: String, error: &io::Error) -> StoreError {
    let detail = error.to_string();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { at, detail },
        io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound if at.starts_with("sqlite:") => {
            StoreError::Denied { at, detail }
        }
        _ if at.starts_with("sqlite:") => StoreError::Disk { at, detail },
        _ => StoreError::Unreachable { at, detail },
    }
}

fn detail(error: &Error) -> String {
    match error {
        Error::Database(database) => match database.code() {
            Some(code) => format!("{}, code {code}", database.message()),
            None => database.message().to_owned(),
        },
        Error::PoolTimedOut => format!("no connection within {WAIT_S} s"),
        Error::PoolClosed => "the store was closed".to_owned(),
        other => other.to_string(),
    }
}

fn conflict(detail: String) -> StoreError {
    StoreError::Conflict { table: "database", id: String::new(), detail }
}

/// SQLite's extended result codes: the low byte is the primary code.
fn sqlite(at: String, code: u32, detail: String) -> StoreError {
    const IOERR_SHMSIZE: u32 = 4_874;
    const CONSTRAINT_PRIMARYKEY: u32 = 1_555;
    const CONSTRAINT_UNIQUE: u32 = 2_067;
    match (code, code & 0xff) {
        (IOERR_SHMSIZE, _) | (_, 13) => StoreError::Full { at, detail },
        (CONSTRAINT_PRIMARYKEY | CONSTRAINT_UNIQUE, _) => conflict(detail),
        (_, 5 | 6) => StoreError::Locked { at, waited_s: WAIT_S, detail },
        (_, 10) => StoreError::Disk { at, detail },
        (_, 11 | 26) => {
            StoreError::Corrupt { at, expected: "a sound SQLite database".to_owned(), found: detail }
        }
        (_, 3 | 8 | 14 | 23) => StoreError::Denied { at, detail },
        // Too big, a constraint (a trigger is one), a value of another type.
        (_, 18..=20) => StoreError::Refused { at, detail },
        _ => StoreError::Database { at, detail },
    }
}

/// PostgreSQL's SQLSTATE codes: the first two characters are the class.
fn postgres(at: String, code: &str, detail: String) -> StoreError {
    match (code, code.get(..2).unwrap_or_default()) {
        ("53100", _) => StoreError::Full { at, detail },
        ("23505" | "40001" | "40P01", _) => conflict(detail),
        ("55P03" | "57014", _) => StoreError::Locked { at, waited_s: WAIT_S, detail },
        // The last but one: a transaction in which nothing was said for too long was ended, and its connection with it.
        ("57P01" | "57P02" | "57P03" | "25P03" | "53300", _) | (_, "08") => {
            StoreError::Unreachable { at, detail }
        }
        ("42501" | "25006" | "3D000", _) | (_, "28") => StoreError::Denied { at, detail },
        ("58030", _) => StoreError::Disk { at, detail },
        // A value that cannot be, a constraint, a limit of the server's, a trigger's own word.
        (_, "22" | "23" | "54" | "P0") => StoreError::Refused { at, detail },
        ("XX001" | "XX002", _) => {
            StoreError::Corrupt { at, expected: "a sound PostgreSQL database".to_owned(), found: detail }
        }
        _ => StoreError::Database { at, detail },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_a_caller_can_do() {
        let text = |error: StoreError| error.to_string();
        assert!(text(sqlite("sqlite:///x".into(), 13, "full".into())).contains("disk full"));
        assert!(matches!(sqlite("a".into(), 4874, "no room for the index".into()), StoreError::Full { .. }));
        assert!(matches!(sqlite("a".into(), 2067, "u".into()), StoreError::Conflict { .. }));
        for of_the_row in [1811, 275, 18, 20] {
            assert!(matches!(sqlite("a".into(), of_the_row, "no".into()), StoreError::Refused { .. }));
        }
        assert!(matches!(sqlite("a".into(), 1, "no such table".into()), StoreError::Database { .. }));
        for of_the_row in ["22021", "23514", "54000", "P0001"] {
            assert!(matches!(postgres("a".into(), of_the_row, "no".into()), StoreError::Refused { .. }));
        }
        assert!(matches!(postgres("a".into(), "42P01", "no table".into()), StoreError::Database { .. }));
        assert!(matches!(sqlite("a".into(), 261, "busy".into()), StoreError::Locked { .. }));
        assert!(matches!(sqlite("a".into(), 778, "io".into()), StoreError::Disk { .. }));
        assert!(matches!(sqlite("a".into(), 26, "no db".into()), StoreError::Corrupt { .. }));
        assert!(matches!(postgres("a".into(), "53100", "full".into()), StoreError::Full { .. }));
        assert!(matches!(postgres("a".into(), "08006", "gone".into()), StoreError::Unreachable { .. }));
        assert!(matches!(postgres("a".into(), "25P03", "idle".into()), StoreError::Unreachable { .. }));
        assert!(matches!(postgres("a".into(), "28P01", "no".into()), StoreError::Denied { .. }));
        assert!(matches!(postgres("a".into(), "40P01", "dead".into()), StoreError::Conflict { .. }));
    }

    #[test]
    fn a_full_disk_is_full_wherever_it_is_noticed() {
        let error = io::Error::from(io::ErrorKind::StorageFull);
        assert!(matches!(io_error("sqlite:///x".into(), &error), StoreError::Full { .. }));
        assert!(matches!(classify("sqlite:///x", &Error::Io(error)), StoreError::Full { .. }));
    }
}
