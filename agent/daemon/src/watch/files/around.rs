//! Finds out what surrounds a drifted file, so that it is known before anybody is asked whether it could be put back.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};

use nimbus_agent_core::observe::file::identity::Identity;
use nimbus_agent_core::observe::file::outlook::{Around, Outlook, outlook};
use nimbus_agent_core::observe::file::{Entry, Kind};
use rustix::fs::{Access, AtFlags, StatVfsMountFlags, accessat, fstatvfs};

use super::root::Root;
use super::{extended, tree};

/// Most open descriptors of other processes that are looked at before a file is replaced.
const MAX_DESCRIPTORS: usize = 200_000;

impl Root {
    /// Could what differs at `relative` be put back, and how? Asked without looking who has the file open.
    pub fn outlook(&self, relative: &str, current: &Entry) -> Outlook {
        let baseline = self.baseline(relative);
        let changed_root = self.astray();
        let opened = self.open_parent(relative).ok();
        let around = match &opened {
            Some((dir, name)) if changed_root.is_none() => {
                self.around(relative, (dir.as_fd(), name), &baseline, current)
            }
            // Its directory is gone and is made again, in the first one above it that is there.
            _ => Around { changed_root, may_write_dir: true, ..self.by_baseline(relative, &baseline) },
        };
        outlook(&baseline, current, &around)
    }

    /// What the directory, the file and its file system allow.
    pub fn around(
        &self,
        relative: &str,
        (dir, name): (BorrowedFd<'_>, &OsStr),
        baseline: &Entry,
        current: &Entry,
    ) -> Around {
        let mut around = self.by_baseline(relative, baseline);
        around.is_mount = is_mount(dir, name);
        around.dir_flags = extended::flags(dir).unwrap_or(0);
        around.may_write_dir = may_write(dir, OsStr::new("."));
        around.may_write_file = may_write(dir, name);
        // The file's own file system: another one may be mounted on it.
        let file = (current.kind == Kind::File).then(|| tree::open_file(dir, name).ok()).flatten();
        around.flags = file.as_ref().and_then(|file| extended::flags(file.as_fd()).ok()).unwrap_or(0);
        let volume = match &file {
            Some(file) if around.is_mount => fstatvfs(file),
            _ => fstatvfs(dir),
        };
        if let Ok(volume) = volume {
            around.read_only = volume.f_flag.contains(StatVfsMountFlags::RDONLY);
            // Some file systems count nothing.
            // What is kept back for root is root's to use.
            let free = if rustix::process::geteuid().is_root() { volume.f_bfree } else { volume.f_bavail };
            around.free_bytes = (volume.f_blocks > 0).then(|| free.saturating_mul(volume.f_frsize));
            around.no_inodes = volume.f_files > 0 && volume.f_favail == 0;
        }
        around
    }

    /// What follows from the baseline and the agent's own rights.
    fn by_baseline(&self, relative: &str, baseline: &Entry) -> Around {
        let me = rustix::process::geteuid();
        let rights = Rights::of_process();
        Around {
            unknown_before: self.is_incomplete(relative),
            kept: baseline.sha256.is_none_or(|hash| self.baselines().has(&hash, baseline.size)),
            copy_damaged: baseline.sha256.is_some_and(|hash| self.baselines().is_damaged(&hash)),
            // As another user it takes both: one to give a file its owner, one to set the mode of what is then another's.
            may_own: me.is_root() || baseline.uid == me.as_raw() || (rights.has(CHOWN) && rights.has(FOWNER)),
            may_flag: rights.has(LINUX_IMMUTABLE),
            may_set_capabilities: rights.has(SETFCAP),
            ..Around::default()
        }
    }
}

fn may_write(dir: BorrowedFd<'_>, name: &OsStr) -> bool {
    accessat(dir, name, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
}

#[cfg(target_os = "linux")]
fn is_mount(dir: BorrowedFd<'_>, name: &OsStr) -> bool {
    use rustix::fs::{StatxAttributes, StatxFlags, statx};
    statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::INO)
        .is_ok_and(|seen| seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

#[cfg(not(target_os = "linux"))]
fn is_mount(_: BorrowedFd<'_>, _: &OsStr) -> bool {
    false
}

/// The numbers that Linux gives to its capabilities.
const CHOWN: u32 = 0;
const FOWNER: u32 = 3;
const LINUX_IMMUTABLE: u32 = 9;
const SETFCAP: u32 = 31;

/// The capabilities that a process may use, a bit for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rights(u64);

impl Rights {
    /// Those of this process; none where the system does not say.
    fn of_process() -> Self {
        Self::read(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn read(status: &str) -> Self {
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        Self(effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0))
    }

    fn has(self, capability: u32) -> bool {
        self.0 & (1 << capability) != 0
    }
}

/// How many other processes have this file open, as far as they can be seen.
pub fn holders(of: &Identity) -> usize {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0 };
    let me = std::process::id().to_string();
    let (mut seen, mut held) = (0, 0);
    for process in processes.flatten() {
        let name = process.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) || name == *me {
            continue;
        }
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else { continue };
        let mut holds = false;
        for descriptor in descriptors.flatten() {
            seen += 1;
            if seen > MAX_DESCRIPTORS {
                return held;
            }
            // Through the descriptor, whatever its name means by now.
            holds |= std::fs::metadata(descriptor.path())
                .is_ok_and(|file| (file.dev(), file.ino()) == (of.device, of.inode));
        }
        held += usize::from(holds);
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_of_a_process_are_those_in_effect() {
        let acting =
            Rights::read("Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t0000000080000209\nCapBnd:\t0\n");
        for capability in [CHOWN, FOWNER, LINUX_IMMUTABLE, SETFCAP] {
            assert!(acting.has(capability), "{capability}");
        }
        assert!(!acting.has(1) && !acting.has(40));
        for none in ["", "CapEff:\tmany\n", "CapPrm:\t0000000080000209\n"] {
            assert_eq!(Rights::read(none), Rights(0), "{none:?}");
        }
    }
}
