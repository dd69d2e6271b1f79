//! Whether the kept copies are what was kept. A disk may give back other bits than it was given.
//!
//! A copy that is not is set aside as `<hash>.damaged`, so that it is known for what it is, also after a restart, and is never
//! put back. It counts until the same content is kept anew, or read whole after all.

use std::collections::BTreeSet;
use std::fs::{File, ReadDir};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use nimbus_agent_core::observe::file::MAX_READ;
use nimbus_protocol::sha256;

use super::Baselines;

const DAMAGED: &str = "damaged";
/// Read at once by [`Baselines::check_on`], bytes and files.
const PART: (u64, usize) = (4 << 20, 1_000);
/// Most damaged copies that are remembered one by one; further ones are counted.
const MAX_DAMAGED: usize = 10_000;

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
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Missing),
            Err(error) => return Err(error),
        };
        let mut content = Vec::new();
        match file.take(MAX_READ + 1).read_to_end(&mut content) {
            Ok(_) if sha256(&content) == *hash => Ok(Self::Whole(content)),
            Ok(_) => Ok(Self::Damaged),
            // The disk says so itself.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                Ok(Self::Damaged)
            }
            Err(error) => Err(error),
        }
    }
}

/// A look over the kept copies, which goes on part by part.
#[derive(Debug)]
pub struct CopyCheck {
    names: ReadDir,
    /// Not only those that were set aside before.
    all: bool,
    /// Every copy was looked at.
    pub ended: bool,
    /// The hashes of what is damaged.
    pub damaged: BTreeSet<[u8; 32]>,
    /// How many more are.
    pub more: usize,
}

impl CopyCheck {
    fn found(&mut self, hash: [u8; 32]) {
        if self.damaged.len() < MAX_DAMAGED {
            self.damaged.insert(hash);
        } else if !self.damaged.contains(&hash) {
            self.more += 1;
        }
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
    /// Where the copy of content with this hash is once it was set aside.
    pub(super) fn aside_path(&self, hash: &[u8; 32]) -> PathBuf {
        self.blob_path(hash).with_extension(DAMAGED)
    }

    /// Is all that is left of this content a damaged copy, as far as that was seen?
    pub fn is_damaged(&self, hash: &[u8; 32]) -> bool {
        !self.blob_path(hash).exists() && self.aside_path(hash).exists()
    }

    /// Takes a damaged copy out of what can be put back.
    pub(super) fn set_aside(&self, hash: &[u8; 32]) {
        let path = self.blob_path(hash);
        tracing::warn!(path = %path.display(), "a kept copy is not what was kept: set aside");
        // Where that fails it is read, and found damaged, each time that somebody wants it.
        if let Err(error) = std::fs::rename(&path, self.aside_path(hash)) {
            tracing::warn!(path = %path.display(), %error, "the damaged copy cannot be set aside");
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

    /// Begins a look over all copies, or over those alone that were set aside.
    pub fn check_copies(&self, all: bool) -> io::Result<CopyCheck> {
        let names = std::fs::read_dir(self.dir.join("blobs"))?;
        Ok(CopyCheck { names, all, ended: false, damaged: BTreeSet::new(), more: 0 })
    }

    /// Goes on with a look; returns how many bytes were read.
    pub fn check_on(&self, check: &mut CopyCheck) -> io::Result<u64> {
        let mut bytes = 0;
        for _ in 0..PART.1 {
            let Some(entry) = check.names.next() else {
                check.ended = true;
                break;
            };
            let entry = entry?;
            let Some((hash, aside)) = entry.file_name().to_str().and_then(hash_of) else { continue };
            if !aside && !check.all {
                continue;
            }
            // Swept meanwhile, where there is none.
            bytes += entry.metadata().map_or(0, |copy| copy.len().min(MAX_READ));
            if self.is_copy_damaged(&hash, aside)? {
                check.found(hash);
            }
            if bytes >= PART.0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// Looks at one copy, and puts it where it belongs.
    fn is_copy_damaged(&self, hash: &[u8; 32], aside: bool) -> io::Result<bool> {
        let path = self.blob_path(hash);
        if !aside {
            let damaged = matches!(OnDisk::read(&path, hash)?, OnDisk::Damaged);
            if damaged {
                self.set_aside(hash);
            }
            return Ok(damaged);
        }
        let aside = self.aside_path(hash);
        if path.exists() {
            // Kept anew since.
            std::fs::remove_file(&aside)?;
            return Ok(false);
        }
        match OnDisk::read(&aside, hash)? {
            // What was wrong was not the disk, or not for good.
            OnDisk::Whole(_) => std::fs::rename(&aside, &path).map(|()| false),
            OnDisk::Missing => Ok(false),
            OnDisk::Damaged => Ok(true),
        }
    }
}
