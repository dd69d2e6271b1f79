//! The state of one watched file (kind, mode, owner, content hash), as its baseline and as it is at present, and the
//! observation made from both.
//!
//! This decides whether they differ, and how much of the difference may be shown. Contents leave the host only where
//! the agent's policy says so, and even there what is binary, large or looks like a secret on either side does not.
//! Everywhere else an observation holds hashes, sizes and numbers of lines. The daemon reads files and keeps the baseline.

pub mod attributes;
mod diff;
pub mod identity;
pub mod lines;
pub mod name;
pub mod outlook;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use nimbus_protocol::v1;

use self::attributes::Attributes;
use self::identity::Identity;
use self::outlook::Outlook;
use super::secret::looks_secret;
use diff::{Compared, Counts};

/// Most bytes of a file that is read: its content is hashed, and kept for a restore. A longer file is compared by size,
/// modification time, mode and owner, which its observation says.
pub const MAX_READ: u64 = 1 << 20;
/// Most bytes of a side of a diff; a longer one is "too large".
pub const MAX_CONTENT: usize = 64 << 10;
/// Most lines of a diff that are shown.
pub const MAX_DIFF_LINES: usize = 200;
/// Most bytes of a diff that are shown.
pub const MAX_DIFF_BYTES: usize = 16 << 10;

/// Why there is no diff where the policy does not name the path.
pub const HIDDEN: &str = "policy";

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
    /// SHA-256 of the content, of a symbolic link's target, or of what stands for the content of a file longer than
    /// [`MAX_READ`] (see [`unread_hash`]); `None` when absent or unreadable.
    pub sha256: Option<[u8; 32]>,
    /// Why it, or what else it has, could not be read; empty unless one of both is so.
    pub problem: String,
    /// What else a file or a directory has; `None` where that is not known: it was never noted, or could not be read,
    /// which the problem then says. Of other kinds it never is.
    pub attributes: Option<Arc<Attributes>>,
    /// Which file it is, and how many names it has. No part of what it should be: a file may be replaced by its like.
    pub held: Option<Held>,
}

/// The file behind a name, which others may hold by another name or an open descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which one.
    pub identity: Identity,
    /// Its names on its file system.
    pub names: u64,
}

/// What stands for the hash of the content of a file that is too long to be read: its size, and the seconds and
/// nanoseconds of its last modification.
pub fn unread_hash(size: u64, modified: (i64, u64)) -> [u8; 32] {
    let parts = [size.to_be_bytes(), modified.0.to_be_bytes(), modified.1.to_be_bytes()];
    nimbus_protocol::sha256(&[b"size and time of change alone".as_slice(), parts.as_flattened()].concat())
}

impl Entry {
    /// The state of a path where nothing is.
    pub fn absent() -> Self {
        Self {
            kind: Kind::Absent,
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            sha256: None,
            problem: String::new(),
            attributes: None,
            held: None,
        }
    }

    /// True for a file that is too long to be read.
    pub fn is_unread(&self) -> bool {
        self.kind == Kind::File && self.size > MAX_READ
    }

    /// Notes that what else it has could not be read, and why.
    pub fn attributes_unread(&mut self, why: &str) {
        self.attributes = None;
        self.problem =
            format!("its attributes (access list, capabilities, extended ones) cannot be read: {why}");
    }

    /// True for a file or a directory of which what else it has could not be read.
    pub fn has_unread_attributes(&self) -> bool {
        self.has_attributes() && self.attributes.is_none() && !self.problem.is_empty()
    }

    /// As what it should be: what could not be read of it is not known, as if it had never been noted.
    #[must_use]
    pub fn into_baseline(mut self) -> Self {
        if self.kind != Kind::Unreadable {
            self.problem.clear();
        }
        self
    }

    /// As what it should be from now on, because a person said so. `Err`: why it cannot be. Nobody accepts a file whose
    /// attributes, such as a capability, are not seen: the first ones that can be read would become its baseline.
    pub fn accepted(self) -> Result<Self, String> {
        if self.kind == Kind::Unreadable {
            return Err(format!("expected a file that can be read, found: {}", self.problem));
        }
        if self.kind == Kind::File && self.has_unread_attributes() {
            return Err(format!(
                "expected attributes that can be read, found: {}; look at what it has (getfattr -d -m -) and take away \
                 what should not be there",
                self.problem
            ));
        }
        Ok(self.into_baseline())
    }

    /// The message for it. Of a file that is too long to be read it says how it is compared.
    pub fn to_state(&self) -> v1::FileState {
        let unread = self.is_unread().then(|| {
            format!("longer than {} KiB: compared by size, modification time, mode and owner", MAX_READ >> 10)
        });
        let problem = match unread {
            Some(unread) if self.problem.is_empty() => unread,
            Some(unread) => super::bounded(&format!("{unread}; {}", self.problem)),
            None => super::bounded(&self.problem),
        };
        v1::FileState {
            kind: self.kind.as_str().to_owned(),
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            size: self.size,
            sha256: self.sha256.map(Vec::from).unwrap_or_default(),
            problem,
            attributes: self.attributes.as_ref().map(|attributes| attributes.to_message()),
        }
    }

    /// From a stored state, without its attributes, of which a state has no more than a digest; `None` for an unknown kind
    /// or a hash that is not 32 bytes.
    pub fn from_state(state: &v1::FileState) -> Option<Self> {
        let sha256 = match state.sha256.as_slice() {
            [] => None,
            bytes => Some(<[u8; 32]>::try_from(bytes).ok()?),
        };
        let kind = Kind::parse(&state.kind)?;
        let problem = if kind == Kind::Unreadable { state.problem.clone() } else { String::new() };
        Some(Self {
            kind,
            mode: state.mode,
            uid: state.uid,
            gid: state.gid,
            size: state.size,
            sha256,
            problem,
            attributes: None,
            held: None,
        })
    }

    /// True where nothing that counts as drift differs: kind, content, owner, mode (which means nothing on a symbolic link),
    /// and attributes. An unreadable state is unknown, so it is the same as nothing, not even as itself.
    pub fn same(&self, other: &Self) -> bool {
        if self.kind != other.kind {
            return false;
        }
        let but_for_the_mode = (self.uid, self.gid, self.sha256) == (other.uid, other.gid, other.sha256);
        match self.kind {
            Kind::Unreadable => false,
            Kind::Absent => true,
            Kind::Symlink => but_for_the_mode,
            Kind::File | Kind::Directory | Kind::Other => {
                but_for_the_mode && self.mode == other.mode && self.same_attributes(other)
            }
        }
    }

    /// True where the attributes of both are the same, or were not noted on one side. Known ones are never the same as
    /// those that could not be read.
    pub fn same_attributes(&self, other: &Self) -> bool {
        match (&self.attributes, &other.attributes) {
            (Some(one), Some(other)) => one == other,
            (Some(_), None) => !other.has_unread_attributes(),
            (None, Some(_)) => !self.has_unread_attributes(),
            (None, None) => true,
        }
    }

    /// True where this kind of thing has attributes.
    pub fn has_attributes(&self) -> bool {
        matches!(self.kind, Kind::File | Kind::Directory)
    }
}

/// Content of both sides, where there is any and it could be read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Contents<'a> {
    /// Of the baseline.
    pub before: Option<&'a [u8]>,
    /// Of what is there now.
    pub after: Option<&'a [u8]>,
}

/// Whether contents may leave the host: what the policy says of a path (see [`crate::policy::Policy::shows`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// The policy names the path: what does not look like a secret may be shown.
    Shown,
    /// Only hashes, sizes and numbers of lines.
    Hidden,
}

/// The observation of one watched path; equal sides mean that there is no drift (any more).
pub fn compare(
    root: &str,
    path: &str,
    baseline: &Entry,
    current: &Entry,
    contents: Contents<'_>,
    visibility: Visibility,
    outlook: Option<&Outlook>,
) -> v1::File {
    let texts = texts(baseline, current, contents);
    let size = baseline.size.max(current.size);
    let compared = texts
        .as_ref()
        .ok()
        .filter(|_| !baseline.same(current))
        .map(|(before, after)| Compared::new(before, after, size <= MAX_CONTENT as u64));
    let shown = match (&texts, &compared) {
        _ if baseline.same(current) => Ok(String::new()),
        (Err(why), _) => Err(*why),
        (Ok(sides), Some(compared)) => shown(path, *sides, compared, visibility),
        // Both sides are text, so they were compared.
        (Ok(_), None) => Err("too large"),
    };
    let (diff, withheld) = shown.map_or_else(|why| (String::new(), why), |diff| (diff, ""));
    let (before, after) = states(baseline, current);
    v1::File {
        root: root.to_owned(),
        path: path.to_owned(),
        baseline: Some(before),
        current: Some(after),
        diff,
        diff_withheld: withheld.to_owned(),
        first_pass: false,
        restore: outlook.map(Outlook::to_message),
        lines: compared.map(|compared| line_counts(compared.counts())),
        ..Default::default()
    }
}

/// The messages for both sides, with attributes that can be compared.
fn states(baseline: &Entry, current: &Entry) -> (v1::FileState, v1::FileState) {
    let (mut before, mut after) = (baseline.to_state(), current.to_state());
    let sides = [baseline, current];
    let all = |test: fn(&Entry) -> bool| sides.into_iter().all(test);
    let any = |test: fn(&Entry) -> bool| sides.into_iter().any(test);
    // What was noted of one side alone is no difference; what cannot be read of one is.
    let not_noted = |entry: &Entry| entry.attributes.is_none() && !entry.has_unread_attributes();
    if all(Entry::has_attributes) && any(not_noted) {
        (before.attributes, after.attributes) = (None, None);
    } else if any(|entry| entry.attributes.as_ref().is_some_and(|attributes| !attributes.is_whole())) {
        let short = |entry: &Entry| entry.attributes.as_ref().map(|attributes| attributes.to_short_message());
        (before.attributes, after.attributes) = (short(baseline), short(current));
    }
    (before, after)
}

/// The observation of a path that was first seen and became the baseline.
pub fn first_pass(root: &str, path: &str, entry: &Entry) -> v1::File {
    let file = compare(root, path, entry, entry, Contents::default(), Visibility::Hidden, None);
    v1::File { first_pass: true, ..file }
}

/// Both sides as text, or why there are none to compare.
fn texts<'a>(
    baseline: &Entry,
    current: &Entry,
    contents: Contents<'a>,
) -> Result<(&'a str, &'a str), &'static str> {
    if baseline.kind == current.kind && baseline.sha256.is_some() && baseline.sha256 == current.sha256 {
        return Err("attributes only");
    }
    if baseline.size.max(current.size) > MAX_READ {
        return Err("too large");
    }
    let before = side(baseline, contents.before)?;
    let after = side(current, contents.after)?;
    match (text(before), text(after)) {
        (Some(before), Some(after)) => Ok((before, after)),
        _ => Err("binary"),
    }
}

/// The diff, or why there is none.
fn shown(
    path: &str,
    (before, after): (&str, &str),
    compared: &Compared<'_>,
    visibility: Visibility,
) -> Result<String, &'static str> {
    if !compared.is_whole() {
        return Err("too large");
    }
    match visibility {
        Visibility::Hidden => Err(HIDDEN),
        Visibility::Shown if looks_secret(path, before) || looks_secret(path, after) => Err("secret"),
        Visibility::Shown => compared.unified(path).ok_or("too large"),
    }
}

fn line_counts(counts: Counts) -> v1::LineCounts {
    v1::LineCounts {
        before: counts.before as u64,
        after: counts.after as u64,
        added: counts.moved.map(|(added, _)| added as u64),
        removed: counts.moved.map(|(_, removed)| removed as u64),
    }
}

/// The content of a side: empty where nothing is, an error where it is not known.
fn side<'a>(entry: &Entry, content: Option<&'a [u8]>) -> Result<&'a [u8], &'static str> {
    match (entry.kind, content) {
        (Kind::Absent, _) => Ok(b""),
        (Kind::File | Kind::Symlink, Some(content)) => Ok(content),
        (Kind::File | Kind::Symlink, None) => Err("content not kept"),
        (Kind::Unreadable, _) => Err("unreadable"),
        (Kind::Directory | Kind::Other, _) => Err("not a file"),
    }
}

/// Text: UTF-8 without NUL. Other control characters stay, as they are part of what differs; whoever prints a diff makes
/// them visible.
fn text(content: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(content).ok()?;
    (!text.contains('\0')).then_some(text)
}
