//! Reads and sets what a file has beside content, mode and owner: extended attributes (an access control list is one of
//! them) and the flags of its inode.

use std::io;
use std::os::fd::BorrowedFd;

use nimbus_agent_core::observe::file::attributes::{APPEND_ONLY, Attributes, IMMUTABLE, MAX_ATTRIBUTES};

/// What a file or directory has; `None` where it cannot be read, or is more than is kept.
#[cfg(target_os = "linux")]
pub fn read(of: BorrowedFd<'_>) -> Option<Attributes> {
    let flags = Attributes::flags_that_count(flags(of).unwrap_or(0));
    let mut extended = Vec::new();
    let mut bytes = 0;
    for name in names(of).ok()? {
        let name = String::from_utf8(name).ok()?;
        if !Attributes::counts(&name) {
            continue;
        }
        // One that went meanwhile is not there.
        let Some(value) = value(of, &name).ok()? else { continue };
        bytes += name.len() + value.len();
        if bytes > MAX_ATTRIBUTES {
            return None;
        }
        extended.push((name, value));
    }
    extended.sort();
    Some(Attributes { flags, extended })
}

/// Elsewhere they are not known.
#[cfg(not(target_os = "linux"))]
pub fn read(_: BorrowedFd<'_>) -> Option<Attributes> {
    None
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
/// away.
#[cfg(target_os = "linux")]
pub fn set(of: BorrowedFd<'_>, should: &Attributes, forbidding: Forbidding) -> io::Result<()> {
    use rustix::fs::{IFlags, XattrFlags, fremovexattr, fsetxattr, ioctl_setflags};
    use rustix::io::Errno;

    for name in names(of)? {
        let Ok(name) = String::from_utf8(name) else { continue };
        if Attributes::counts(&name) && should.get(&name).is_none() {
            match fremovexattr(of, name.as_str()) {
                Ok(()) | Err(Errno::NODATA) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    for (name, should) in &should.extended {
        if value(of, name)?.as_ref() != Some(should) {
            fsetxattr(of, name.as_str(), should, XattrFlags::empty())?;
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

#[cfg(target_os = "linux")]
fn names(of: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    use rustix::fs::flistxattr;
    use rustix::io::Errno;

    let mut list = vec![0_u8; MAX_ATTRIBUTES];
    let length = match flistxattr(of, &mut list[..]) {
        Ok(length) => length,
        // A file system without any.
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

#[cfg(target_os = "linux")]
fn value(of: BorrowedFd<'_>, name: &str) -> io::Result<Option<Vec<u8>>> {
    use rustix::fs::fgetxattr;
    use rustix::io::Errno;

    let mut value = vec![0_u8; MAX_ATTRIBUTES];
    match fgetxattr(of, name, &mut value[..]) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(value))
        }
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
