//! Reads and sets what a file has beside content, mode and owner: extended attributes (an access control list is one of
//! them) and the flags of its inode.

use std::io;
use std::os::fd::BorrowedFd;

use nimbus_agent_core::observe::file::attributes::{APPEND_ONLY, Attributes, IMMUTABLE};
#[cfg(target_os = "linux")]
use nimbus_agent_core::observe::file::attributes::{Gathering, MAX_COMPARED};
#[cfg(target_os = "linux")]
use nimbus_agent_core::observe::file::name;

/// Longest list of names and longest value that Linux hands out.
#[cfg(target_os = "linux")]
const MAX_HANDED_OUT: usize = 64 << 10;

/// What a file or directory has; `None` on a system that does not say.
#[cfg(target_os = "linux")]
pub fn read(of: BorrowedFd<'_>) -> io::Result<Option<Attributes>> {
    let flags = Attributes::flags_that_count(flags(of).unwrap_or(0));
    let mut gathering = Gathering::default();
    for (name, bytes) in names(of)? {
        // One that went meanwhile is not there.
        let Some(value) = value(of, &bytes)? else { continue };
        gathering.add(name, value);
        if gathering.bytes() > MAX_COMPARED {
            let mib = MAX_COMPARED >> 20;
            return Err(io::Error::other(format!("they are more than {mib} MiB")));
        }
    }
    Ok(Some(gathering.end(flags)))
}

/// Elsewhere they are not known.
#[cfg(not(target_os = "linux"))]
pub fn read(_: BorrowedFd<'_>) -> io::Result<Option<Attributes>> {
    Ok(None)
}

/// Whether the flags that forbid every further change are set with the rest, or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidding {
    /// The file is where it is to stay.
    Set,
    /// It is still to be moved to its place.
    Later,
}

/// Makes an open file have `should`, after its content, owner and mode are right: a change of those takes some of them
/// away. Attributes of which `should` knows no more than a digest stay as they are.
#[cfg(target_os = "linux")]
pub fn set(of: BorrowedFd<'_>, should: &Attributes, forbidding: Forbidding) -> io::Result<()> {
    use rustix::fs::{IFlags, XattrFlags, fremovexattr, fsetxattr, ioctl_setflags};
    use rustix::io::Errno;

    let others = if should.is_whole() { names(of)? } else { Vec::new() };
    for (name, bytes) in others {
        if should.get(&name).is_none() {
            match fremovexattr(of, bytes.as_slice()) {
                Ok(()) | Err(Errno::NODATA) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    for (name, should) in &should.extended {
        let name = name::unescape(name);
        if value(of, &name)?.as_ref() != Some(should) {
            fsetxattr(of, &*name, should, XattrFlags::empty())?;
        }
    }
    let now = flags(of).unwrap_or(0);
    let kept = now & !Attributes::flags_that_count(u32::MAX);
    let mut wanted = kept | should.flags;
    if forbidding == Forbidding::Later {
        wanted &= !(IMMUTABLE | APPEND_ONLY);
    }
    if wanted != now {
        ioctl_setflags(of, IFlags::from_bits_retain(wanted))?;
    }
    Ok(())
}

/// Elsewhere none are known, and none are set.
#[cfg(not(target_os = "linux"))]
pub fn set(_: BorrowedFd<'_>, _: &Attributes, _: Forbidding) -> io::Result<()> {
    Ok(())
}

/// All flags of an inode; an error where the file system has none.
#[cfg(target_os = "linux")]
pub fn flags(of: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(rustix::fs::ioctl_getflags(of)?.bits())
}

/// Elsewhere there are none.
#[cfg(not(target_os = "linux"))]
pub fn flags(_: BorrowedFd<'_>) -> io::Result<u32> {
    Ok(0)
}

/// True where one of these flags forbids to change the file.
pub fn forbids_changes(flags: u32) -> bool {
    flags & (IMMUTABLE | APPEND_ONLY) != 0
}

/// The names that count, as text and as the bytes that they are, in the order of the text.
#[cfg(target_os = "linux")]
fn names(of: BorrowedFd<'_>) -> io::Result<Vec<(String, Vec<u8>)>> {
    use rustix::fs::flistxattr;
    use rustix::io::Errno;

    let mut list = vec![0_u8; MAX_HANDED_OUT];
    let length = match flistxattr(of, &mut list[..]) {
        Ok(length) => length,
        // A file system, or a kernel, without any.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => 0,
        Err(Errno::TOOBIG | Errno::RANGE) => {
            let kib = MAX_HANDED_OUT >> 10;
            return Err(io::Error::other(format!("their names alone are more than {kib} KiB")));
        }
        Err(error) => return Err(error.into()),
    };
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut names: Vec<(String, Vec<u8>)> =
        names.map(|bytes| (name::escape(bytes).into_owned(), bytes.to_vec())).collect();
    names.retain(|(name, _)| Attributes::counts(name));
    names.sort();
    Ok(names)
}

#[cfg(target_os = "linux")]
fn value(of: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    use rustix::fs::fgetxattr;
    use rustix::io::Errno;

    let mut value = vec![0_u8; MAX_HANDED_OUT];
    match fgetxattr(of, name, &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            // Kept with the baseline: not with room for the longest.
            value.shrink_to_fit();
            Ok(Some(value))
        }
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
