//! The place of a watched root in the file system: opened from `/` on, directory by directory, without following a link.
//!
//! A path is only a way to a directory. Everything that is read or written below a root starts at the descriptor that is
//! opened here and was compared with what the baseline saw, so that nobody who changes the way can lead elsewhere.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use nimbus_agent_core::observe::file::identity::{AtRoot, Found, Identity};
use nimbus_agent_core::observe::file::name as file_name;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, open, openat, statat};
use rustix::io::Errno;

/// How a directory is opened: never by way of a link.
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Why a root cannot be opened.
#[derive(Debug)]
pub enum NoPlace {
    /// The way to it ends: a directory above it is not there.
    Gone,
    /// A link, or something that is no directory, is on the way.
    Link,
    /// The way leads to something else than what the baseline saw; what that is.
    Changed(&'static str),
    /// The system refuses.
    Io(io::Error),
}

impl From<NoPlace> for io::Error {
    fn from(no: NoPlace) -> Self {
        match no {
            NoPlace::Gone => Errno::NOENT.into(),
            NoPlace::Link => Self::other("a symbolic link or a file on the way to the watched root"),
            NoPlace::Changed(what) => {
                Self::other(format!("the watched root is not the directory of its baseline: {what}"))
            }
            NoPlace::Io(error) => error,
        }
    }
}

/// A root's directory above, its name there, and what has that name.
#[derive(Debug)]
pub struct Place {
    /// The directory that holds the root.
    pub parent: OwnedFd,
    /// The root's name in it.
    pub name: OsString,
    /// The root, if it is a directory.
    pub dir: Option<OwnedFd>,
    /// Which directories these are.
    pub found: Found,
}

impl Place {
    /// Opens the way to `root`, an absolute path without `.` or `..`.
    pub fn open(root: &Path) -> io::Result<Self> {
        let (Some(above), Some(name)) = (root.parent(), root.file_name()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the root directory of the system has no name",
            ));
        };
        let parent = open_directory(above)?;
        let (dir, at_root) = match openat(&parent, name, DIRECTORY, Mode::empty()) {
            Ok(dir) => {
                let identity = identity(dir.as_fd())?;
                (Some(dir), AtRoot::Directory(identity))
            }
            Err(Errno::NOENT) => (None, AtRoot::Nothing),
            // A link, or no directory. One that may not be opened is an error, not an answer.
            Err(error) => match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => {
                    (None, AtRoot::Other)
                }
                Err(Errno::NOENT) => (None, AtRoot::Nothing),
                _ => return Err(error.into()),
            },
        };
        let found = Found { parent: identity(parent.as_fd())?, root: at_root };
        Ok(Self { parent, name: name.to_owned(), dir, found })
    }

    /// Opens the directory that holds `relative` below the root, and its name there; `""` means the root itself.
    pub fn descend(&self, relative: &str) -> io::Result<(OwnedFd, OsString)> {
        if relative.is_empty() {
            return Ok((self.parent.try_clone()?, self.name.clone()));
        }
        let Some(root) = &self.dir else { return Err(Errno::NOENT.into()) };
        let mut dir = root.try_clone()?;
        let mut name: Option<OsString> = None;
        for part in relative.split('/') {
            if part.is_empty() || part == "." || part == ".." {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "a path with an empty, . or .. part",
                ));
            }
            // None of the bytes that are ever escaped is a slash or a dot.
            let part = OsString::from_vec(file_name::unescape(part).into_owned());
            if let Some(above) = name.replace(part) {
                dir = openat(&dir, &above, DIRECTORY, Mode::empty())?;
            }
        }
        Ok((dir, name.unwrap_or_default()))
    }
}

/// Opens a directory by its absolute path without following a link. The kernel walks the way where it can (Linux 5.6);
/// otherwise it is walked here.
fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{ResolveFlags, openat2};
        match openat2(CWD, path, DIRECTORY, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            // An older kernel, or a container whose filter of system calls does not know it.
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {}
            opened => return Ok(opened?),
        }
    }
    open_by_components(path)
}

/// Like [`open_directory`], one directory after the other.
fn open_by_components(path: &Path) -> io::Result<OwnedFd> {
    // On the way a directory need not be readable.
    #[cfg(target_os = "linux")]
    const ON_THE_WAY: OFlags =
        OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    #[cfg(not(target_os = "linux"))]
    const ON_THE_WAY: OFlags = DIRECTORY;
    let parts: Vec<&OsStr> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(Ok(name)),
            Component::RootDir => None,
            Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
                Some(Err(io::Error::new(io::ErrorKind::InvalidInput, "a path with a . or .. part")))
            }
        })
        .collect::<io::Result<_>>()?;
    let Some((last, above)) = parts.split_last() else {
        return Ok(open("/", DIRECTORY, Mode::empty())?);
    };
    let mut dir = open("/", ON_THE_WAY, Mode::empty())?;
    for name in above {
        dir = openat(&dir, *name, ON_THE_WAY, Mode::empty())?;
    }
    Ok(openat(&dir, *last, DIRECTORY, Mode::empty())?)
}

/// Which file or directory a descriptor is of.
#[allow(clippy::useless_conversion, clippy::unnecessary_cast, reason = "the types differ by platform")]
pub fn identity(of: BorrowedFd<'_>) -> io::Result<Identity> {
    let stat = rustix::fs::fstat(of)?;
    Ok(Identity { device: stat.st_dev as u64, inode: stat.st_ino as u64, born_ns: born_ns(of) })
}

#[cfg(target_os = "linux")]
fn born_ns(of: BorrowedFd<'_>) -> i64 {
    use rustix::fs::{StatxFlags, statx};
    let Ok(seen) = statx(of, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME) else { return 0 };
    if seen.stx_mask & StatxFlags::BTIME.bits() == 0 {
        return 0;
    }
    seen.stx_btime.tv_sec.saturating_mul(1_000_000_000).saturating_add(seen.stx_btime.tv_nsec.into())
}

#[cfg(not(target_os = "linux"))]
fn born_ns(_: BorrowedFd<'_>) -> i64 {
    0
}

/// Tells this start of the system from every other one; empty where the system does not say.
pub fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        text.trim().to_owned()
    })
}

/// For a message: the first link on the way to `path`, and where `path` leads. `None` where there is none.
pub fn link_on_the_way(path: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut ways: Vec<&Path> = path.ancestors().skip(1).collect();
    ways.reverse();
    let link = ways.into_iter().find(|way| way.is_symlink())?;
    let above = path.parent()?.canonicalize().unwrap_or_default();
    Some((link.to_owned(), above.join(path.file_name()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_link_is_followed_above_a_root_by_either_way_of_opening() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("real/deep/root")).unwrap();
        symlink(dir.join("real"), dir.join("link")).unwrap();
        for open in [open_directory, open_by_components] {
            let direct = open(&dir.join("real/deep")).unwrap();
            let seen = std::fs::metadata(dir.join("real/deep")).unwrap();
            assert_eq!(identity(direct.as_fd()).unwrap().inode, std::os::unix::fs::MetadataExt::ino(&seen));
            assert!(open(&dir.join("link/deep")).is_err(), "a link in the middle");
            assert!(open(&dir.join("link")).is_err(), "a link at the end");
            assert!(open(Path::new("/")).is_ok());
            assert_eq!(open(&dir.join("nowhere")).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
        let (link, leads_to) = link_on_the_way(&dir.join("link/deep/root")).unwrap();
        assert_eq!((link, leads_to), (dir.join("link"), dir.join("real/deep/root")));
        assert_eq!(link_on_the_way(&dir.join("real/deep/root")), None);
    }

    #[test]
    fn a_place_says_what_has_the_roots_name_and_leads_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(dir.join("root/sub")).unwrap();
        std::fs::write(dir.join("file"), "x").unwrap();
        symlink(dir.join("root"), dir.join("link")).unwrap();
        let at = |name: &str| Place::open(&dir.join(name)).unwrap();
        assert!(matches!(at("root").found.root, AtRoot::Directory(_)));
        assert_eq!(at("file").found.root, AtRoot::Other);
        assert_eq!(at("link").found.root, AtRoot::Other, "a link is not what it points to");
        assert_eq!(at("none").found.root, AtRoot::Nothing);
        assert!(at("link").descend("sub").is_err());
        let place = at("root");
        assert_eq!(place.descend("sub/x").unwrap().1, "x");
        for bad in ["../file", "sub/../../file", "sub//x", "./sub"] {
            assert!(place.descend(bad).is_err(), "{bad}");
        }
        // The descriptor stays with the directory that was opened, whatever has its name by now.
        std::fs::rename(dir.join("root"), dir.join("moved")).unwrap();
        symlink(dir.join("file"), dir.join("root")).unwrap();
        assert!(place.descend("sub/x").is_ok());
        assert_eq!(at("root").found.root, AtRoot::Other);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_directory_that_is_made_anew_is_another_one_even_in_the_same_inode() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let root = dir.join("root");
        std::fs::create_dir(&root).unwrap();
        let first = Place::open(&root).unwrap().found;
        std::fs::remove_dir(&root).unwrap();
        std::fs::create_dir(&root).unwrap();
        let second = Place::open(&root).unwrap().found;
        let (AtRoot::Directory(first), AtRoot::Directory(second)) = (first.root, second.root) else {
            panic!("both are directories")
        };
        assert!(!first.is(&second, true), "{first:?} {second:?}");
        assert!(!boot().is_empty());
    }
}
