//! Prepares texts so that both databases can keep them: search columns and ids.

/// Longest `key` that is stored as it is; of a longer one its SHA-256. PostgreSQL cannot index a path of 4,096 bytes.
const LONGEST_KEY: usize = 512;

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
