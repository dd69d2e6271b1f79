//! Reads and walks a directory tree below a watched root without ever following a symbolic link.
//!
//! Every directory is opened by its name in the one above it, with `O_NOFOLLOW`, from the root's own descriptor on (see
//! [`super::place`]), so that nothing outside the root can be read or written by way of a link, whoever makes one at
//! whatever moment.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use nimbus_agent_core::observe::file::attributes::Attributes;
use nimbus_agent_core::observe::file::name;
use nimbus_agent_core::observe::file::{Entry, Held, Kind, MAX_READ, unread_hash};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::extended;
use super::place::{self, DIRECTORY, Place};

/// Deepest directory below a root; deeper ones are a problem, not walked.
pub const MAX_DEPTH: usize = 64;

/// Tells without reading a file that it was not written since it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

/// Stands for a [`Stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark([u8; 16]);

impl Stamp {
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the types differ by platform")]
    fn of(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino as u64,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            modified: (i64::from(stat.st_mtime), stat.st_mtime_nsec),
            changed: (i64::from(stat.st_ctime), stat.st_ctime_nsec),
        }
    }

    /// The same in 16 bytes: the first ones of a SHA-256, since an agent keeps one for every file.
    pub fn mark(&self) -> Mark {
        let (modified, changed) = (self.modified, self.changed);
        let numbers = [
            self.inode,
            self.size,
            modified.0.cast_unsigned(),
            modified.1,
            changed.0.cast_unsigned(),
            changed.1,
        ];
        let sum = nimbus_protocol::sha256(numbers.map(u64::to_be_bytes).as_flattened());
        let mut mark = [0; 16];
        mark.copy_from_slice(&sum[..16]);
        Mark(mark)
    }

    /// False while another change could still get the same time: such a file is read again next time.
    pub fn is_old_enough(&self, now_seconds: i64) -> bool {
        now_seconds.saturating_sub(self.changed.0.max(self.modified.0)) >= 2
    }
}

/// What stands at a path.
#[derive(Debug)]
pub struct Examined {
    /// Kind, mode, owner and hash.
    pub entry: Entry,
    /// Of a regular file that was not written while it was read.
    pub stamp: Option<Stamp>,
    /// A file's content, unless it is longer than [`MAX_READ`]; a link's target.
    pub content: Option<Vec<u8>>,
    /// A directory that may not be opened. A walk cannot list it either, and says so.
    pub closed: bool,
}

impl From<Entry> for Examined {
    fn from(entry: Entry) -> Self {
        Self { entry, stamp: None, content: None, closed: false }
    }
}

/// `entry` as one that may not be read.
pub fn unreadable(mut entry: Entry, error: &io::Error) -> Examined {
    entry.kind = Kind::Unreadable;
    entry.problem = error.to_string();
    entry.into()
}

/// What stands at `name` in `dir`. Absent is an answer, not an error.
pub fn examine(dir: BorrowedFd<'_>, name: &OsStr) -> Examined {
    let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT | Errno::NOTDIR) => return Entry::absent().into(),
        Err(error) => return unreadable(Entry::absent(), &error.into()),
    };
    let entry = attributes(&stat);
    match entry.kind {
        Kind::File => match open_file(dir, name).and_then(|mut file| read_open(&mut file)) {
            Ok(examined) => examined,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Entry::absent().into(),
            Err(error) => unreadable(entry, &error),
        },
        Kind::Symlink => match readlinkat(dir, name, Vec::new()) {
            Ok(target) => {
                let sha256 = Some(nimbus_protocol::sha256(target.as_bytes()));
                Examined { content: Some(target.into_bytes()), ..Examined::from(Entry { sha256, ..entry }) }
            }
            Err(error) => unreadable(entry, &error.into()),
        },
        Kind::Directory => match openat(dir, name, DIRECTORY, Mode::empty()) {
            Err(Errno::NOENT) => Entry::absent().into(),
            Err(error) => unopened(entry, error),
            Ok(opened) => with_attributes(entry, extended::read(opened.as_fd())).into(),
        },
        Kind::Absent | Kind::Other | Kind::Unreadable => entry.into(),
    }
}

/// A directory that could not be opened: what else it has is not known.
pub fn unopened(entry: Entry, error: Errno) -> Examined {
    let entry = with_attributes(entry, Err(error.into()));
    Examined { closed: error == Errno::ACCESS, ..Examined::from(entry) }
}

/// `entry` with what else it has, or why that could not be read.
fn with_attributes(mut entry: Entry, read: io::Result<Option<Attributes>>) -> Entry {
    match read {
        Ok(read) => entry.attributes = read.map(Attributes::shared),
        Err(error) => entry.attributes_unread(&error.to_string()),
    }
    entry
}

/// The stamp of a regular file, without reading it.
pub fn stamp(dir: BorrowedFd<'_>, name: &OsStr) -> Option<(Entry, Stamp)> {
    let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    let entry = attributes(&stat);
    (entry.kind == Kind::File).then(|| (entry, Stamp::of(&stat)))
}

fn attributes(stat: &Stat) -> Entry {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    };
    let size = if kind == Kind::File { u64::try_from(stat.st_size).unwrap_or_default() } else { 0 };
    Entry {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size,
        sha256: None,
        problem: String::new(),
        attributes: None,
        held: None,
    }
}

/// Opens what stands there for reading, without following a link.
pub fn open_file(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<File> {
    // NONBLOCK: should it have become a pipe meanwhile, opening it must not hang.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(File::from(openat(dir, name, flags, Mode::empty())?))
}

/// What an open file is; like [`examine`], but of that very file, whatever its name means by now.
pub fn read_open(file: &mut File) -> io::Result<Examined> {
    let before = rustix::fs::fstat(&*file)?;
    let (mut entry, stamp) = (attributes(&before), Stamp::of(&before));
    if entry.kind != Kind::File {
        return Ok(entry.into());
    }
    entry = with_attributes(entry, extended::read(file.as_fd()));
    entry.held = place::identity(file.as_fd()).ok().map(|identity| Held { identity, names: names(&before) });
    if entry.is_unread() {
        entry.sha256 = Some(unread_hash(entry.size, stamp.modified));
        return Ok(Examined { stamp: Some(stamp), ..Examined::from(entry) });
    }
    let mut content = Vec::with_capacity(usize::try_from(entry.size).unwrap_or_default());
    // One byte more shows that it grew meanwhile, or does not say how long it is.
    file.take(MAX_READ + 1).read_to_end(&mut content)?;
    let after = Stamp::of(&rustix::fs::fstat(&*file)?);
    entry.size = content.len() as u64;
    if entry.is_unread() {
        entry.size = entry.size.max(after.size);
        entry.sha256 = Some(unread_hash(entry.size, after.modified));
        return Ok(entry.into());
    }
    entry.sha256 = Some(nimbus_protocol::sha256(&content));
    // Written while it was read: the stamp must not vouch for this hash.
    let settled = after == stamp && stamp.size == entry.size;
    Ok(Examined { stamp: settled.then_some(stamp), content: Some(content), ..Examined::from(entry) })
}

#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the types differ by platform")]
fn names(stat: &Stat) -> u64 {
    stat.st_nlink as u64
}

/// What a walk finds.
pub trait Visit {
    /// False: this path and all below it are left out.
    fn wants(&self, relative: &str) -> bool;
    /// Something below the root, or the root itself (`relative` is then `""`).
    fn entry(&mut self, relative: &str, dir: BorrowedFd<'_>, name: &OsStr, kind: Kind);
    /// Before a directory is listed; is it on another device than its parent? `Err`: not to be listed, and why.
    fn enter(&mut self, relative: &str, mounted: bool) -> Result<(), String>;
    /// A directory was listed to its end.
    fn listed(&mut self, relative: &str);
    /// What is not listed, or not to the end: a directory that may not be read or is too deep.
    fn problem(&mut self, relative: &str, problem: String);
}

/// Walks the root and everything below it, parents before children. Mount points are walked like directories.
pub fn walk(place: &Place, visit: &mut impl Visit) -> io::Result<()> {
    let Some(root) = &place.dir else {
        let stat = statat(&place.parent, &place.name, AtFlags::SYMLINK_NOFOLLOW)?;
        visit.entry("", place.parent.as_fd(), &place.name, attributes(&stat).kind);
        return Ok(());
    };
    visit.entry("", place.parent.as_fd(), &place.name, Kind::Directory);
    let device = rustix::fs::fstat(&place.parent)?.st_dev;
    descend((root.try_clone()?, device), "", 1, visit);
    Ok(())
}

/// Lists an open directory and all below it; `above` is the device of the directory that holds it.
fn descend((dir, above): (OwnedFd, rustix::fs::Dev), relative: &str, depth: usize, visit: &mut impl Visit) {
    let opened = (|| {
        let device = rustix::fs::fstat(&dir)?.st_dev;
        // Listed through a descriptor of its own: the place in a listing belongs to the descriptor.
        let listing = openat(&dir, ".", DIRECTORY, Mode::empty())?;
        Ok((Dir::new(listing)?, device))
    })();
    let (mut listing, device) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let error: io::Error = error;
            return visit.problem(relative, error.to_string());
        }
    };
    if depth > MAX_DEPTH {
        return visit.problem(relative, format!("more than {MAX_DEPTH} directories deep"));
    }
    if let Err(problem) = visit.enter(relative, device != above) {
        return visit.problem(relative, problem);
    }
    while let Some(item) = listing.read() {
        let item = match item {
            Ok(item) => item,
            Err(error) => return visit.problem(relative, error.to_string()),
        };
        let bytes = item.file_name().to_bytes();
        if bytes == b"." || bytes == b".." {
            continue;
        }
        let text = name::escape(bytes);
        let below =
            if relative.is_empty() { text.clone().into_owned() } else { format!("{relative}/{text}") };
        if !visit.wants(&below) {
            continue;
        }
        let child = OsString::from_vec(bytes.to_vec());
        let kind = match item.file_type() {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Symlink,
            // Some file systems do not say.
            FileType::Unknown => match statat(&dir, &child, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => attributes(&stat).kind,
                Err(Errno::NOENT) => continue,
                Err(error) => {
                    visit.entry(&below, dir.as_fd(), &child, Kind::Unreadable);
                    visit.problem(&below, error.to_string());
                    continue;
                }
            },
            _ => Kind::Other,
        };
        visit.entry(&below, dir.as_fd(), &child, kind);
        if kind == Kind::Directory {
            match openat(&dir, &child, DIRECTORY, Mode::empty()) {
                Ok(child) => descend((child, device), &below, depth + 1, visit),
                // Gone meanwhile, or something else by now: nothing is below it.
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(error) => visit.problem(&below, io::Error::from(error).to_string()),
            }
        }
    }
    visit.listed(relative);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    struct Seen(Vec<String>);
    impl Visit for Seen {
        fn wants(&self, relative: &str) -> bool {
            relative != "left-out"
        }
        fn entry(&mut self, relative: &str, _: BorrowedFd<'_>, _: &OsStr, _: Kind) {
            self.0.push(relative.to_owned());
        }
        fn enter(&mut self, relative: &str, mounted: bool) -> Result<(), String> {
            assert!(!mounted, "{relative}");
            Ok(())
        }
        fn listed(&mut self, _: &str) {}
        fn problem(&mut self, relative: &str, problem: String) {
            panic!("{relative}: {problem}");
        }
    }

    #[test]
    fn a_link_on_the_way_is_never_followed() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.join("link")).unwrap();
        std::fs::create_dir(root.join("left-out")).unwrap();
        let place = Place::open(&root).unwrap();
        assert!(place.descend("link/secret").is_err());
        assert!(place.descend("../secret").is_err());
        let (fd, name) = place.descend("link").unwrap();
        let examined = examine(fd.as_fd(), &name);
        assert_eq!(examined.entry.kind, Kind::Symlink);
        assert_eq!(examined.content.unwrap(), outside.path().as_os_str().as_bytes());

        let mut seen = Seen(Vec::new());
        walk(&place, &mut seen).unwrap();
        assert_eq!(seen.0, ["", "link"]);
    }

    #[test]
    fn a_file_is_read_whole_up_to_the_bound_and_not_at_all_beyond_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big");
        let longest = usize::try_from(MAX_READ).unwrap();
        let bytes = vec![7; longest];
        std::fs::write(&path, &bytes).unwrap();
        let (fd, name) = Place::open(&path).unwrap().descend("").unwrap();
        let examined = examine(fd.as_fd(), &name);
        assert_eq!(examined.entry.sha256, Some(nimbus_protocol::sha256(&bytes)));
        assert_eq!(examined.entry.size, bytes.len() as u64);
        assert_eq!(examined.content.unwrap(), bytes);
        assert_eq!(stamp(fd.as_fd(), &name).unwrap().1, examined.stamp.unwrap());

        let file = File::create(&path).unwrap();
        file.set_len(1 << 42).unwrap();
        let first = examine(fd.as_fd(), &name);
        assert_eq!((first.entry.kind, first.entry.size, first.content), (Kind::File, 1 << 42, None));
        assert!(first.entry.same(&examine(fd.as_fd(), &name).entry));
        file.set_len((1 << 42) + 1).unwrap();
        assert!(!first.entry.same(&examine(fd.as_fd(), &name).entry));
    }

    #[test]
    fn what_is_not_there_is_absent_and_a_pipe_does_not_hang() {
        let dir = tempfile::tempdir().unwrap();
        let (fd, name) = Place::open(&dir.path().join("nothing")).unwrap().descend("").unwrap();
        assert_eq!(examine(fd.as_fd(), &name).entry.kind, Kind::Absent);
        rustix::fs::mknodat(&fd, "pipe", FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(examine(fd.as_fd(), OsStr::new("pipe")).entry.kind, Kind::Other);
    }
}
