//! One watched file: what was accepted as true beside what is there now.
//!
//! It decides whether they differ, and how much of the difference may be shown: a bounded diff for plain text, and
//! hashes alone for what is binary, large or looks like a secret on either side. Reading files, and keeping the
//! baseline, is the daemon's.

mod diff;
#[cfg(test)]
mod tests;

use nimbus_protocol::v1;

use super::secret::looks_secret;

/// Most bytes of a side that are looked at; a longer one is "too large" for a diff.
pub const MAX_CONTENT: usize = 64 << 10;
/// Most lines of a diff that are shown.
pub const MAX_DIFF_LINES: usize = 200;
/// Most bytes of a diff that are shown.
pub const MAX_DIFF_BYTES: usize = 16 << 10;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing.
    Absent,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A socket, device or pipe.
    Other,
    /// It may not be read.
    Unreadable,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Absent, "absent"),
    (Kind::File, "file"),
    (Kind::Directory, "directory"),
    (Kind::Symlink, "symlink"),
    (Kind::Other, "other"),
    (Kind::Unreadable, "unreadable"),
];

impl Kind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("other", |(_, word)| word)
    }

    /// The kind of that name.
    pub fn parse(word: &str) -> Option<Self> {
        KINDS.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }
}

/// One path's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content, or of a symbolic link's target; `None` when absent or unreadable.
    pub sha256: Option<[u8; 32]>,
    /// What went wrong reading it; empty when nothing did.
    pub problem: String,
}

impl Entry {
    /// Nothing there.
    pub fn absent() -> Self {
        Self { kind: Kind::Absent, mode: 0, uid: 0, gid: 0, size: 0, sha256: None, problem: String::new() }
    }

    /// On the wire.
    pub fn to_state(&self) -> v1::FileState {
        v1::FileState {
            kind: self.kind.as_str().to_owned(),
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            sha256: self.sha256.map(Vec::from).unwrap_or_default(),
            problem: super::bounded(&self.problem),
        }
    }

    /// From a stored state; `None` for an unknown kind or a hash that is not 32 bytes.
    pub fn from_state(state: &v1::FileState) -> Option<Self> {
        let sha256 = match state.sha256.as_slice() {
            [] => None,
            bytes => Some(<[u8; 32]>::try_from(bytes).ok()?),
        };
        Some(Self {
            kind: Kind::parse(&state.kind)?,
            mode: state.mode,
            uid: state.uid,
            gid: state.gid,
            size: state.size,
            sha256,
            problem: state.problem.clone(),
        })
    }

    /// Same in all that counts as drift: kind, content, owner, and mode (which means nothing on a symbolic link).
    /// What may not be read is never the same as anything: it is not known.
    pub fn same(&self, other: &Self) -> bool {
        if self.kind == Kind::Unreadable || self.kind != other.kind {
            return false;
        }
        let mode = self.kind == Kind::Symlink || self.mode == other.mode;
        match self.kind {
            Kind::Absent => true,
            _ => mode && (self.uid, self.gid, self.sha256) == (other.uid, other.gid, other.sha256),
        }
    }
}

/// Content of both sides, where there is any and it could be read. Of a long one, the first [`MAX_CONTENT`] + 1
/// bytes are enough.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contents<'a> {
    /// Of the baseline.
    pub before: Option<&'a [u8]>,
    /// Of what is there now.
    pub after: Option<&'a [u8]>,
}

/// The observation of one watched path; equal sides mean that there is no drift (any more).
pub fn compare(
    root: &str,
    path: &str,
    baseline: &Entry,
    current: &Entry,
    contents: Contents<'_>,
) -> v1::File {
    let (diff, withheld) = match shown(path, baseline, current, contents) {
        Ok(diff) => (diff, ""),
        Err(why) => (String::new(), why),
    };
    v1::File {
        root: root.to_owned(),
        path: path.to_owned(),
        baseline: Some(baseline.to_state()),
        current: Some(current.to_state()),
        diff,
        diff_withheld: withheld.to_owned(),
        first_pass: false,
    }
}

/// The observation of a path that was first seen and became the baseline.
pub fn first_pass(root: &str, path: &str, entry: &Entry) -> v1::File {
    let file = compare(root, path, entry, entry, Contents::default());
    v1::File { first_pass: true, ..file }
}

/// The diff, or why there is none.
fn shown(
    path: &str,
    baseline: &Entry,
    current: &Entry,
    contents: Contents<'_>,
) -> Result<String, &'static str> {
    if baseline.same(current) {
        return Ok(String::new());
    }
    if baseline.kind == current.kind && baseline.sha256.is_some() && baseline.sha256 == current.sha256 {
        return Err("attributes only");
    }
    let before = side(baseline, contents.before)?;
    let after = side(current, contents.after)?;
    if looks_secret(path, before) || looks_secret(path, after) {
        return Err("secret");
    }
    if before.len() > MAX_CONTENT || after.len() > MAX_CONTENT {
        return Err("too large");
    }
    match (text(before), text(after)) {
        (Some(before), Some(after)) => diff::unified(path, before, after).ok_or("too large"),
        _ => Err("binary"),
    }
}

/// The content of a side: nothing where there is nothing, an error where there should be some and it is not known.
fn side<'a>(entry: &Entry, content: Option<&'a [u8]>) -> Result<&'a [u8], &'static str> {
    match (entry.kind, content) {
        (Kind::Absent, _) => Ok(b""),
        (Kind::File | Kind::Symlink, Some(content)) => Ok(content),
        (Kind::File | Kind::Symlink, None) => Err("content not kept"),
        (Kind::Unreadable, _) => Err("unreadable"),
        (Kind::Directory | Kind::Other, _) => Err("not a file"),
    }
}

/// Text that is safe to show: UTF-8 without control characters, which could steer a terminal.
fn text(content: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content).ok()?;
    let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    (!text.contains(steers)).then_some(text)
}
