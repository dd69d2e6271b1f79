//! The durable baselines of watched files: an index for each root, and file contents by their hash.
//!
//! `baseline/<root's hash>.index` is replaced atomically and carries its own SHA-256; a damaged one is a problem, never
//! silently a new baseline. `.reported` beside it says what was last reported as drifted. `baseline/blobs/<hash>` (0600) holds the content of files of at most 1 MiB, together at most
//! 256 MiB; beyond that only hashes are kept, and a restore is refused with that reason. `baseline/copies/<job>` is what a
//! restore that runs writes over.

mod content;
mod copies;
mod index;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub mod whole;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use nimbus_agent_core::observe::file::Entry;
#[cfg(doc)]
use nimbus_agent_core::observe::file::MAX_READ;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::sha256;
use prost::Message;
use tokio::sync::Notify;

use self::content::Unsynced;
use self::index::BaselineDigest;
use super::restores::Restores;
use crate::identity::hex;

pub use self::content::MAX_BLOBS;
pub use self::copies::CopyCheck;
use self::copies::Stuck;
pub use self::index::{Head, Item, Part, Take};

/// What of a root was last reported as drifted, as it is on disk before its SHA-256.
#[derive(Clone, PartialEq, Message)]
struct Reported {
    #[prost(string, tag = "1")]
    root: String,
    #[prost(string, repeated, tag = "2")]
    paths: Vec<String>,
}

/// A baseline that was read, beside its entries.
#[derive(Debug, PartialEq)]
pub struct Loaded {
    /// What it says beside its entries.
    pub head: Head,
    /// SHA-256 over the baseline, to see that it changed.
    pub digest: [u8; 32],
    /// False: it is not known what was reported as drifted, and everything has to be reported again.
    pub reported_is_known: bool,
}

/// Why a baseline cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The index is not what was written.
    #[error(
        "expected a whole baseline in {path}, found {found}; restore that file from a backup, or remove it to take \
         what is there now as the new baseline"
    )]
    Damaged {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The system refuses.
    #[error("{0}")]
    Io(String),
}

/// The baselines of all roots.
#[derive(Debug)]
pub struct Baselines {
    dir: PathBuf,
    blob_bytes: AtomicU64,
    unsynced: Mutex<Unsynced>,
    /// See [`Baselines::damage_moved`].
    damage: Notify,
    stuck: Stuck,
    restores: Arc<Restores>,
}

impl Baselines {
    /// Opens the store in `dir` and sums up its blobs.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let blobs = dir.join("blobs");
        nimbus_platform::own_private_dir(&blobs)?;
        nimbus_platform::own_private_dir(&dir.join("copies"))?;
        let mut bytes = 0;
        for blob in std::fs::read_dir(&blobs)? {
            // One that cannot be looked at is found by the look over all copies.
            bytes += blob?.metadata().map_or(0, |about| about.len());
        }
        let unsynced = Mutex::new(if bytes == 0 { Unsynced::Some(Vec::new()) } else { Unsynced::Many });
        let (blob_bytes, damage) = (AtomicU64::new(bytes), Notify::new());
        let (stuck, restores) = (Stuck::default(), Arc::default());
        Ok(Self { dir: dir.to_owned(), blob_bytes, unsynced, damage, stuck, restores })
    }

    /// The restores that are under way, which all roots share as they do this store.
    pub fn restores(&self) -> &Arc<Restores> {
        &self.restores
    }

    /// Where the baseline of `root` is kept.
    pub fn index_path(&self, root: &str) -> PathBuf {
        self.dir.join(format!("{}.index", &hex(&sha256(root.as_bytes()))[..32]))
    }

    /// Where it is kept what of `root` was last reported as drifted.
    pub fn reported_path(&self, root: &str) -> PathBuf {
        self.index_path(root).with_extension("reported")
    }

    /// Is there a baseline of `root`, whole or not?
    pub fn has_baseline(&self, root: &str) -> bool {
        !matches!(self.index_path(root).try_exists(), Ok(false))
    }

    /// The baseline of `root`, its entries handed to `take`; `None` when none was ever taken. Of what was handed on before
    /// an error nothing is to be used.
    pub fn load(&self, root: &str, take: &mut Take<'_>) -> Result<Option<Loaded>, BaselineError> {
        let path = self.index_path(root);
        let damaged = |found: &str| BaselineError::Damaged { path: path.clone(), found: found.to_owned() };
        let unread = |error: io::Error| {
            BaselineError::Io(format!("expected to read {}, found: {error}", path.display()))
        };
        let Some(whole) = index::open(&path).map_err(unread)? else { return Ok(None) };
        let mut whole = whole.map_err(damaged)?;
        if whole.root() != root {
            return Err(damaged("the baseline of another root"));
        }
        let mut digest = BaselineDigest::default();
        let mut summing = |part: Part, path: Box<str>, entry: Entry| {
            if part == Part::Baseline {
                digest.add(&path, &entry);
            }
            take(part, path, entry);
        };
        whole.entries(&mut summing).map_err(unread)?.map_err(damaged)?;
        let mut head = whole.head();
        let reported = self.load_reported(root).map_err(unread)?;
        let reported_is_known = reported.is_some();
        head.reported.extend(reported.unwrap_or_default());
        Ok(Some(Loaded { head, digest: digest.finish(), reported_is_known }))
    }

    /// Makes a root's baseline durable, with the content written before; but for what is reported, see
    /// [`Baselines::save_reported`]. Returns the digest of the baseline.
    pub fn save<'a>(
        &self,
        root: &str,
        head: &Head,
        items: impl Iterator<Item = Item<'a>>,
    ) -> Result<[u8; 32], BaselineError> {
        let head = Head { reported: Vec::new(), ..head.clone() };
        self.write(root, &head, items, true)
    }

    fn write<'a>(
        &self,
        root: &str,
        head: &Head,
        items: impl Iterator<Item = Item<'a>>,
        escaped: bool,
    ) -> Result<[u8; 32], BaselineError> {
        let path = self.index_path(root);
        let write = |file: &mut _| index::write(file, root, head, items, escaped);
        self.sync_content()
            .and_then(|()| nimbus_platform::write_atomic_with(&path, 0o600, write))
            .map_err(|error| BaselineError::Io(crate::files::write_problem("baseline", &path, &error)))
    }

    /// As agents did before they wrote names in escaped form, and what is reported in a file of its own.
    #[cfg(test)]
    pub(super) fn save_as_an_older_agent<'a>(
        &self,
        root: &str,
        head: &Head,
        items: impl Iterator<Item = Item<'a>>,
    ) {
        self.write(root, head, items, false).unwrap();
    }

    /// Makes durable which paths of a root were last reported as drifted. Beside the baseline, since it changes with every
    /// file that does, and a baseline may be long.
    pub fn save_reported(&self, root: &str, paths: Vec<String>) -> Result<(), BaselineError> {
        let path = self.reported_path(root);
        let mut bytes = Reported { root: root.to_owned(), paths }.encode_to_vec();
        bytes.extend_from_slice(&sha256(&bytes));
        nimbus_platform::write_atomic(&path, &bytes, 0o600)
            .map_err(|error| BaselineError::Io(crate::files::write_problem("baseline", &path, &error)))
    }

    /// `None` where the file is damaged: then it is not known what was reported.
    fn load_reported(&self, root: &str) -> io::Result<Option<Vec<String>>> {
        let Some(bytes) = nimbus_platform::read_optional(&self.reported_path(root))? else {
            return Ok(Some(Vec::new()));
        };
        let read = |bytes: &[u8]| {
            let (body, sum) = bytes.split_last_chunk::<32>()?;
            let file = Reported::decode(body).ok()?;
            (sha256(body) == *sum && file.root == root).then_some(file.paths)
        };
        Ok(read(&bytes))
    }

    fn copy_path(&self, job_id: JobId) -> PathBuf {
        self.dir.join("copies").join(job_id.to_string())
    }

    /// Keeps, durably, what a job is about to write over. At most [`MAX_READ`] bytes for each job that runs.
    pub fn keep_copy(&self, job_id: JobId, content: &[u8]) -> io::Result<()> {
        nimbus_platform::write_atomic(&self.copy_path(job_id), content, 0o600)
    }

    /// What a job was about to write over; `None` where it wrote nothing, or ended.
    pub fn copy(&self, job_id: JobId) -> io::Result<Option<Vec<u8>>> {
        nimbus_platform::read_optional(&self.copy_path(job_id))
    }

    /// The job ended: its copy is not needed any more.
    pub fn remove_copy(&self, job_id: JobId) -> io::Result<()> {
        match std::fs::remove_file(self.copy_path(job_id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
