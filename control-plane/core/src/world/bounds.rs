//! The bounds on texts and lists in what the inventory keeps of an observation.
//!
//! An agent is enrolled, not trusted: a small frame may decompress to megabytes, and the inventory is kept in memory.
//! A text or list that is too long is cut. An object whose identifying name is too long, or holds a NUL (which no
//! database keeps in a text), is not kept at all: a name that is cut could be another object's.

use nimbus_protocol::v1;

/// Longest UID, bytes; Kubernetes' own are 36.
pub(super) const UID: usize = 128;
/// Longest path, bytes: what Linux accepts.
pub(super) const PATH: usize = 4_096;
/// Longest name of an object, namespace, node or container, bytes: what Kubernetes accepts.
pub(super) const NAME: usize = 253;
/// Longest word: a phase, a state, a reason, bytes.
pub(super) const WORD: usize = 256;
/// Longest image reference or sentence, bytes.
pub(super) const TEXT: usize = 1_024;
/// Longest diff, bytes: an agent's own bound is a quarter of it.
pub(super) const DIFF: usize = 64 << 10;
/// Longest digest, bytes.
pub(super) const DIGEST: usize = 64;
/// Most containers, images or disks of one thing.
pub(super) const ITEMS: usize = 256;

/// Can this be the UID of a cluster? Letters, digits and `-`, up to 64: a UUID, or what a test calls one.
pub fn is_cluster_uid(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain)
}

/// Cuts an object's metadata; false where it cannot be told apart from every other object.
pub(super) fn is_meta_kept(meta: Option<&mut v1::ObjectMeta>) -> bool {
    let Some(meta) = meta else { return true };
    for text in [
        &mut meta.namespace,
        &mut meta.name,
        &mut meta.owner_api_version,
        &mut meta.owner_kind,
        &mut meta.owner_name,
    ] {
        cut(text, NAME);
    }
    is_name(&meta.uid, UID) && (meta.owner_uid.is_empty() || is_name(&meta.owner_uid, UID))
}

/// At most [`ITEMS`] texts of at most [`TEXT`] bytes.
pub(super) fn cut_texts(texts: &mut Vec<String>) {
    texts.truncate(ITEMS);
    for text in texts {
        cut(text, TEXT);
    }
}

/// At most [`DIGEST`] bytes.
pub(super) fn cut_digest(bytes: &mut Vec<u8>) {
    bytes.truncate(DIGEST);
}

/// Can this text be a name, of at most so many bytes?
pub(super) fn is_name(text: &str, most: usize) -> bool {
    text.len() <= most && !text.contains('\0')
}

/// Cuts `text` to so many bytes at a character's boundary; a NUL becomes a replacement character.
pub(super) fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.shrink_to_fit();
    }
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
}
