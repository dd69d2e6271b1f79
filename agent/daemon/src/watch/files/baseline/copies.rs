//! Whether the kept copies are what was kept. A disk may give back other bits than it was given.
//!
//! A copy that is not is set aside as `<hash>.damaged`, so that it is known for what it is, also after a restart, and is never
//! put back. It counts until the same content is kept anew, or read whole after all. Where it cannot be set aside, as on a
//! file system that became read-only, this process remembers it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, ReadDir};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nimbus_agent_core::observe::file::MAX_READ;
use nimbus_protocol::sha256;
use rustix::io::Errno;

use super::Baselines;

const DAMAGED: &str = "damaged";
/// Read at once by [`Baselines::check_on`], bytes and files.
const PART: (u64, usize) = (4 << 20, 1_000);
/// Most damaged copies that are remembered one by one; further ones are counted.
const MAX_DAMAGED: usize = 10_000;
/// The damaged copies that could not be set aside, at most [`MAX_DAMAGED`], with their inodes where those could be read: what
/// has another one was kept anew since.
pub(super) type Stuck = Mutex<BTreeMap<PathBuf, Option<u64>>>;

/// Does the disk, or the file system, say that it is damaged?
fn says_damaged(error: &io::Error) -> bool {
    let damage = [Errno::IO, Errno::UCLEAN, Errno::BADMSG];
    damage.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// What is no longer there was swept, or moved by somebody else.
fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// A copy, as it is on disk.
pub(super) enum OnDisk {
    /// What was kept.
    Whole(Vec<u8>),
    /// There is none.
    Missing,
    /// It is something else, or cannot be read.
    Damaged,
}

impl OnDisk {
    /// Reads the copy of content with this hash, of which no more is read than is ever kept.
    pub(super) fn read(path: &Path, hash: &[u8; 32]) -> io::Result<Self> {
        let read = File::open(path).and_then(|file| {
            let mut content = Vec::new();
            file.take(MAX_READ + 1).read_to_end(&mut content)?;
            Ok(content)
        });
        match read {
            Ok(content) if sha256(&content) == *hash => Ok(Self::Whole(content)),
            Ok(_) => Ok(Self::Damaged),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Missing),
            Err(error) if says_damaged(&error) => Ok(Self::Damaged),
            Err(error) => Err(error),
        }
    }
}

/// A look over the kept copies, which goes on part by part.
#[derive(Debug)]
pub struct CopyCheck {
    names: ReadDir,
    /// Not only those that were found damaged before.
    all: bool,
    /// Every copy was looked at.
    pub ended: bool,
    /// The hashes of what is damaged.
    pub damaged: BTreeSet<[u8; 32]>,
    /// How many more are.
    pub more: usize,
    /// How many could not be looked at, for another reason than damage.
    pub unread: usize,
    /// The first of them, and the reason.
    pub first_unread: String,
}

impl CopyCheck {
    fn found(&mut self, hash: [u8; 32]) {
        if self.damaged.len() < MAX_DAMAGED {
            self.damaged.insert(hash);
        } else if !self.damaged.contains(&hash) {
            self.more += 1;
        }
    }

    fn unread(&mut self, path: &Path, error: &io::Error) {
        if self.unread == 0 {
            self.first_unread = format!("{}: {error}", path.display());
        }
        self.unread += 1;
    }
}

/// The hash that the name of a copy says, and whether it was set aside; `None` for the name of anything else.
pub(super) fn hash_of(name: &str) -> Option<([u8; 32], bool)> {
    let (hex, aside) = match name.split_once('.') {
        None => (name, false),
        Some((hex, DAMAGED)) => (hex, true),
        Some(_) => return None,
    };
    Some((nimbus_protocol::from_hex(hex)?.try_into().ok()?, aside))
}

impl Baselines {
    fn stuck(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Option<u64>>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a copy; one that is whole is no longer one that could not be set aside.
    pub(super) fn read_copy(&self, path: &Path, hash: &[u8; 32]) -> io::Result<OnDisk> {
        let read = OnDisk::read(path, hash)?;
        if matches!(read, OnDisk::Whole(_)) {
            self.stuck().remove(path);
        }
        Ok(read)
    }

    /// Where the copy of content with this hash is once it was set aside.
    pub(super) fn aside_path(&self, hash: &[u8; 32]) -> PathBuf {
        self.blob_path(hash).with_extension(DAMAGED)
    }

    /// Is all that is left of this content a damaged copy, as far as that was seen?
    pub fn is_damaged(&self, hash: &[u8; 32]) -> bool {
        let aside = || self.aside_path(hash).metadata().map_or_else(|error| says_damaged(&error), |_| true);
        self.is_stuck(hash) || !self.blob_path(hash).exists() && aside()
    }

    /// Is it a damaged copy that could not be set aside?
    pub fn is_stuck(&self, hash: &[u8; 32]) -> bool {
        let path = self.blob_path(hash);
        let Some(seen) = self.stuck().get(&path).copied() else { return false };
        match path.metadata() {
            Ok(now) => seen.is_none_or(|seen| seen == now.ino()),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Takes a damaged copy out of what can be put back.
    pub(super) fn set_aside(&self, hash: &[u8; 32]) {
        let path = self.blob_path(hash);
        let moved = std::fs::rename(&path, self.aside_path(hash));
        let inode = path.metadata().ok().map(|copy| copy.ino());
        let mut stuck = self.stuck();
        let is_known = stuck.contains_key(&path);
        match moved {
            Ok(()) => {
                stuck.remove(&path);
                tracing::warn!(path = %path.display(), "a kept copy is not what was kept: set aside");
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                stuck.remove(&path);
            }
            // It is read, and found damaged, each time that somebody wants it.
            Err(error) => {
                if !is_known {
                    tracing::warn!(path = %path.display(), %error, "a damaged kept copy cannot be set aside");
                }
                if is_known || stuck.len() < MAX_DAMAGED {
                    stuck.insert(path, inode);
                }
            }
        }
    }

    /// Waits until damage was found by somebody who wanted a copy, or until what was damaged may be kept anew.
    pub async fn damage_moved(&self) {
        self.damage.notified().await;
    }

    /// What a damaged copy was of is there again.
    pub fn may_heal(&self) {
        self.damage.notify_one();
    }

    /// Begins a look over all copies, or over those alone that were found damaged before.
    pub fn check_copies(&self, all: bool) -> io::Result<CopyCheck> {
        let names = std::fs::read_dir(self.dir.join("blobs"))?;
        let (damaged, first_unread) = (BTreeSet::new(), String::new());
        Ok(CopyCheck { names, all, ended: false, damaged, more: 0, unread: 0, first_unread })
    }

    /// Goes on with a look; returns how many bytes were read.
    pub fn check_on(&self, check: &mut CopyCheck) -> u64 {
        let mut bytes = 0;
        for _ in 0..PART.1 {
            let entry = match check.names.next() {
                Some(Ok(entry)) => entry,
                end => {
                    if let Some(Err(error)) = end {
                        check.unread(&self.dir.join("blobs"), &error);
                    }
                    check.ended = true;
                    break;
                }
            };
            let Some((hash, aside)) = entry.file_name().to_str().and_then(hash_of) else { continue };
            if !aside && !check.all && !self.is_stuck(&hash) {
                continue;
            }
            // Swept meanwhile, where there is none.
            bytes += entry.metadata().map_or(0, |copy| copy.len().min(MAX_READ));
            match self.is_copy_damaged(&hash, aside) {
                Ok(true) => check.found(hash),
                Ok(false) => {}
                Err(error) => check.unread(&entry.path(), &error),
            }
            if bytes >= PART.0 {
                break;
            }
        }
        bytes
    }

    /// Looks at one copy, and puts it where it belongs.
    fn is_copy_damaged(&self, hash: &[u8; 32], aside: bool) -> io::Result<bool> {
        let path = self.blob_path(hash);
        if !aside {
            let damaged = matches!(self.read_copy(&path, hash)?, OnDisk::Damaged);
            if damaged {
                self.set_aside(hash);
            }
            return Ok(damaged);
        }
        let aside = self.aside_path(hash);
        if path.exists() {
            // Kept anew since.
            return unless_gone(std::fs::remove_file(&aside)).map(|()| false);
        }
        match self.read_copy(&aside, hash)? {
            // What was wrong was not the disk, or not for good.
            OnDisk::Whole(_) => unless_gone(std::fs::rename(&aside, &path)).map(|()| false),
            OnDisk::Missing => Ok(false),
            OnDisk::Damaged => Ok(true),
        }
    }
}
