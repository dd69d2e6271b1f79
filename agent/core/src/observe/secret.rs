//! Secrets.
/// Does the path's name or the content look like a secret?
pub fn looks_secret(_path: &str, _content: &[u8]) -> bool {
    todo!()
}
