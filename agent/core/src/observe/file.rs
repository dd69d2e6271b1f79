//! Files.
use nimbus_protocol::v1;
/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /** Nothing. */
    Absent,
    /** A regular file. */
    File,
    /** A directory. */
    Directory,
    /** A symbolic link. */
    Symlink,
    /** A socket, device or pipe. */
    Other,
    /** It may not be read. */
    Unreadable,
}
/// One path's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content or of a link's target.
    pub sha256: Option<[u8; 32]>,
    /// What went wrong reading it.
    pub problem: String,
}
impl Entry {
    /// Nothing there.
    pub fn absent() -> Self {
        todo!()
    }
    /// On the wire.
    pub fn to_state(&self) -> v1::FileState {
        todo!()
    }
    /// From a stored state; `None` for an unknown kind or a hash that is not 32 bytes.
    pub fn from_state(_state: &v1::FileState) -> Option<Self> {
        todo!()
    }
    /// Same in all that counts as drift (kind, mode, owner, group, content; not the problem text).
    pub fn same(&self, _other: &Self) -> bool {
        todo!()
    }
}
/// Content of both sides, where it could be read; the first [`MAX_CONTENT`] + 1 bytes are enough.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contents<'a> {
    /// Of the baseline.
    pub before: Option<&'a [u8]>,
    /// Of the file now.
    pub after: Option<&'a [u8]>,
}
/// Most bytes of a side that are looked at for a diff.
pub const MAX_CONTENT: usize = 64 << 10;
/// The observation of one watched path.
pub fn compare(
    _root: &str,
    _path: &str,
    _baseline: &Entry,
    _current: &Entry,
    _contents: Contents<'_>,
) -> v1::File {
    todo!()
}
/// The observation of a path first seen.
pub fn first_pass(_root: &str, _path: &str, _entry: &Entry) -> v1::File {
    todo!()
}
