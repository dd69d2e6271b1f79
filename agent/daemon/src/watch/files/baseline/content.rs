//! The content that baselines name by its hash, kept for restores.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use nimbus_agent_core::observe::file::Entry;

use super::copies::{OnDisk, hash_of};
use super::{Baselines, index};
use crate::identity::hex;
use crate::watch::files::tree::Examined;

/// Most bytes of content that all baselines together keep.
pub const MAX_BLOBS: u64 = 256 << 20;
/// More written content than this is made durable with one call for the whole file system.
pub(super) const SYNC_ONE_BY_ONE: usize = 64;

/// Content of which the disk was not asked yet whether it has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsynced {
    /// These, at most [`SYNC_ONE_BY_ONE`].
    Some(Vec<PathBuf>),
    /// More, or whatever a process before this one wrote.
    Many,
}

impl Baselines {
    pub(super) fn blob_path(&self, hash: &[u8; 32]) -> PathBuf {
        self.dir.join("blobs").join(hex(hash))
    }

    /// Content is written without waiting for the disk; here what was written since the last call becomes durable.
    pub fn sync_content(&self) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = File::open(self.dir.join("blobs"))?;
        match &*unsynced {
            Unsynced::Some(paths) if paths.is_empty() => return Ok(()),
            Unsynced::Some(paths) => {
                for path in paths {
                    match File::open(path) {
                        Ok(blob) => blob.sync_all()?,
                        // Swept meanwhile.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
                dir.sync_all()?;
            }
            Unsynced::Many => rustix::fs::syncfs(&dir)?,
        }
        *unsynced = Unsynced::Some(Vec::new());
        Ok(())
    }

    fn unsynced(&self, path: PathBuf) {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *unsynced {
            Unsynced::Some(paths) if paths.len() < SYNC_ONE_BY_ONE => paths.push(path),
            _ => *unsynced = Unsynced::Many,
        }
    }

    /// Keeps the content of what was examined for a restore, if it has any; durable with the next [`Baselines::save`].
    /// False when there is no more room for it, or it was too long to be read.
    pub fn keep(&self, examined: &Examined) -> io::Result<bool> {
        match (&examined.entry.sha256, &examined.content) {
            (Some(hash), Some(content)) => self.keep_content(hash, content),
            (None, _) => Ok(true),
            (Some(_), None) => Ok(false),
        }
    }

    pub(super) fn keep_content(&self, hash: &[u8; 32], content: &[u8]) -> io::Result<bool> {
        let path = self.blob_path(hash);
        if path.exists() && self.blob(hash)?.is_some() {
            return Ok(true);
        }
        let size = content.len() as u64;
        // A damaged copy of it goes.
        let aside = self.aside_path(hash);
        let freed = std::fs::metadata(&aside).map_or(0, |copy| copy.len());
        if self.blob_bytes.load(Ordering::Relaxed).saturating_sub(freed) + size > MAX_BLOBS {
            return Ok(false);
        }
        let mut temporary = path.clone();
        temporary.set_extension("new");
        let written = (|| {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
            file.write_all(content)?;
            std::fs::rename(&temporary, &path)
        })();
        if let Err(error) = written {
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        self.blob_bytes.fetch_add(size, Ordering::Relaxed);
        if freed > 0 && std::fs::remove_file(&aside).is_ok() {
            let counted = self.blob_bytes.load(Ordering::Relaxed);
            self.blob_bytes.fetch_sub(freed.min(counted), Ordering::Relaxed);
        }
        self.unsynced(path);
        Ok(true)
    }

    /// Is content of this hash and length kept, as far as is known without reading it?
    pub fn has(&self, hash: &[u8; 32], size: u64) -> bool {
        // The target of a link has no size of its own.
        std::fs::metadata(self.blob_path(hash)).is_ok_and(|blob| blob.len() == size || size == 0)
    }

    /// Content by its hash; `None` when it is not kept, or no longer what it was: then it is set aside.
    pub fn blob(&self, hash: &[u8; 32]) -> io::Result<Option<Vec<u8>>> {
        match self.read_copy(&self.blob_path(hash), hash)? {
            OnDisk::Whole(content) => Ok(Some(content)),
            OnDisk::Missing => Ok(None),
            OnDisk::Damaged => {
                self.set_aside(hash);
                self.may_heal();
                Ok(None)
            }
        }
    }

    /// Removes content that no baseline names, also not that of a root which is not watched at present. While any index
    /// is damaged nothing is removed: its content may be needed once it is restored.
    pub fn sweep(&self) -> io::Result<()> {
        let mut used = HashSet::new();
        for file in std::fs::read_dir(&self.dir)? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "index") {
                continue;
            }
            let Some(Ok(mut whole)) = index::open(&path)? else { return Ok(()) };
            let read = whole.entries(&mut |_, _, entry: Entry| used.extend(entry.sha256))?;
            if read.is_err() {
                return Ok(());
            }
        }
        let mut bytes = 0;
        for blob in std::fs::read_dir(self.dir.join("blobs"))? {
            let blob = blob?;
            // Damaged copies too: that they are damaged is not to be forgotten.
            let hash = blob.file_name().to_str().and_then(hash_of);
            if hash.is_some_and(|(hash, _)| used.contains(&hash)) {
                bytes += blob.metadata()?.len();
            } else {
                std::fs::remove_file(blob.path())?;
            }
        }
        self.blob_bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }
}
