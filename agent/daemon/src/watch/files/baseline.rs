//! The durable baselines of watched files: an index for each root, and file contents by their hash.
//!
//! `baseline/<root's hash>.index` is replaced atomically and carries its own SHA-256; a damaged one is a problem, never
//! silently a new baseline. `baseline/blobs/<hash>` (0600) holds the content of files of at most 1 MiB, together at most
//! 256 MiB; beyond that only hashes are kept, and a restore is refused with that reason. `baseline/copies/<job>` is what a
//! restore that runs writes over.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(doc)]
use nimbus_agent_core::observe::file::MAX_READ;
use nimbus_agent_core::observe::file::attributes::Attributes;
use nimbus_agent_core::observe::file::identity::{Identity, Pin};
use nimbus_agent_core::observe::file::{Entry, Held, name};
use nimbus_protocol::ids::JobId;
use nimbus_protocol::{sha256, v1};
use prost::Message;

use super::tree::Examined;
use crate::identity::hex;

/// Most bytes of content that all baselines together keep.
pub const MAX_BLOBS: u64 = 256 << 20;
/// More written content than this is made durable with one call for the whole file system.
const SYNC_ONE_BY_ONE: usize = 64;
const MAGIC: &[u8; 8] = b"NIMBASE1";

/// The index of one root, as it is on disk.
#[derive(Clone, PartialEq, Message)]
struct IndexFile {
    #[prost(string, tag = "1")]
    root: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<IndexEntry>,
    /// Relative paths last reported as drifted: they are reported once more when they are right again.
    #[prost(string, repeated, tag = "3")]
    reported: Vec<String>,
    /// Directories that were not wholly read yet.
    #[prost(string, repeated, tag = "4")]
    incomplete: Vec<String>,
    /// Directories with a file system mounted on them.
    #[prost(string, repeated, tag = "5")]
    mounts: Vec<String>,
    /// When the baseline was first taken, seconds since the Unix epoch.
    #[prost(int64, tag = "6")]
    taken_at: i64,
    /// What was the baseline of a path before a person accepted the present one.
    #[prost(message, repeated, tag = "7")]
    earlier: Vec<IndexEntry>,
    /// The directories that it was taken in; none in the index of an older agent.
    #[prost(message, optional, tag = "8")]
    pin: Option<PinFile>,
    /// Paths are written as [`name::escape`] writes them; an older agent wrote those that are text as they are.
    #[prost(bool, tag = "9")]
    escaped: bool,
}

#[derive(Clone, PartialEq, Message)]
struct PinFile {
    #[prost(string, tag = "1")]
    boot: String,
    #[prost(message, optional, tag = "2")]
    parent: Option<IdentityFile>,
    #[prost(message, optional, tag = "3")]
    root: Option<IdentityFile>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct IdentityFile {
    #[prost(uint64, tag = "1")]
    device: u64,
    #[prost(uint64, tag = "2")]
    inode: u64,
    #[prost(int64, tag = "3")]
    born_ns: i64,
}

impl From<Identity> for IdentityFile {
    fn from(Identity { device, inode, born_ns }: Identity) -> Self {
        Self { device, inode, born_ns }
    }
}

impl From<IdentityFile> for Identity {
    fn from(IdentityFile { device, inode, born_ns }: IdentityFile) -> Self {
        Self { device, inode, born_ns }
    }
}

#[derive(Clone, PartialEq, Message)]
struct IndexEntry {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(message, optional, tag = "2")]
    state: Option<v1::FileState>,
    /// What a restore sets beside content, mode and owner; none where it is not known.
    #[prost(message, optional, tag = "3")]
    attributes: Option<AttributesFile>,
    /// Which file it was, and how many names it had.
    #[prost(message, optional, tag = "4")]
    held: Option<HeldFile>,
}

#[derive(Clone, PartialEq, Message)]
struct AttributesFile {
    #[prost(uint32, tag = "1")]
    flags: u32,
    #[prost(message, repeated, tag = "2")]
    extended: Vec<ExtendedFile>,
}

#[derive(Clone, PartialEq, Message)]
struct ExtendedFile {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct HeldFile {
    #[prost(message, optional, tag = "1")]
    identity: Option<IdentityFile>,
    #[prost(uint64, tag = "2")]
    names: u64,
}

/// A root's baseline: what each path below it should be. A path that is not in it should be absent, unless it is below
/// a incomplete directory: then it is unknown.
#[derive(Debug, Default, PartialEq)]
pub struct Index {
    /// By the path relative to the root; `""` is the root itself.
    pub entries: BTreeMap<Box<str>, Entry>,
    /// By the relative path, what was its baseline before a person accepted the present one; absent where nothing was.
    pub earlier: BTreeMap<Box<str>, Entry>,
    /// Relative paths last reported as drifted.
    pub reported: Vec<String>,
    /// Directories (relative) whose content was not wholly read yet.
    pub incomplete: Vec<String>,
    /// Directories (relative) on which a file system was mounted.
    pub mounts: Vec<String>,
    /// When the baseline was first taken, seconds since the Unix epoch.
    pub taken_at: i64,
    /// The directories that it was taken in; `None` in the index of an older agent.
    pub pin: Option<Pin>,
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
}

/// Content of which the disk was not asked yet whether it has it.
#[derive(Debug, PartialEq, Eq)]
enum Unsynced {
    /// These, at most [`SYNC_ONE_BY_ONE`].
    Some(Vec<PathBuf>),
    /// More, or whatever a process before this one wrote.
    Many,
}

impl Baselines {
    /// Opens the store in `dir` and sums up its blobs.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let blobs = dir.join("blobs");
        nimbus_platform::own_private_dir(&blobs)?;
        nimbus_platform::own_private_dir(&dir.join("copies"))?;
        let mut bytes = 0;
        for blob in std::fs::read_dir(&blobs)? {
            bytes += blob?.metadata()?.len();
        }
        let unsynced = Mutex::new(if bytes == 0 { Unsynced::Some(Vec::new()) } else { Unsynced::Many });
        Ok(Self { dir: dir.to_owned(), blob_bytes: AtomicU64::new(bytes), unsynced })
    }

    /// Where the baseline of `root` is kept.
    pub fn index_path(&self, root: &str) -> PathBuf {
        self.dir.join(format!("{}.index", &hex(&sha256(root.as_bytes()))[..32]))
    }

    fn blob_path(&self, hash: &[u8; 32]) -> PathBuf {
        self.dir.join("blobs").join(hex(hash))
    }

    /// The baseline of `root`; `None` when none was ever taken.
    pub fn load(&self, root: &str) -> Result<Option<Index>, BaselineError> {
        let path = self.index_path(root);
        let damaged = |found: &str| BaselineError::Damaged { path: path.clone(), found: found.to_owned() };
        let bytes = nimbus_platform::read_optional(&path).map_err(|error| {
            BaselineError::Io(format!("expected to read {}, found: {error}", path.display()))
        })?;
        let Some(bytes) = bytes else { return Ok(None) };
        let file = decode(&bytes).ok_or_else(|| damaged("another checksum or form"))?;
        if file.root != root {
            return Err(damaged("the baseline of another root"));
        }
        let unknown = || damaged("an entry without a known state");
        let entries = by_path(file.entries).ok_or_else(unknown)?;
        let earlier = by_path(file.earlier).ok_or_else(unknown)?;
        let IndexFile { mut reported, mut incomplete, mut mounts, taken_at, .. } = file;
        let (mut entries, mut earlier) = (entries, earlier);
        if !file.escaped {
            for texts in [&mut reported, &mut incomplete, &mut mounts] {
                for text in texts {
                    *text = name::escape(text.as_bytes()).into_owned();
                }
            }
            for all in [&mut entries, &mut earlier] {
                let escaped =
                    |(path, entry): (Box<str>, Entry)| (name::escape(path.as_bytes()).into(), entry);
                *all = std::mem::take(all).into_iter().map(escaped).collect();
            }
        }
        let pin = file.pin.and_then(|pin| {
            let parent = pin.parent?.into();
            Some(Pin { boot: pin.boot, parent, root: pin.root.map(Identity::from) })
        });
        Ok(Some(Index { entries, earlier, reported, incomplete, mounts, taken_at, pin }))
    }

    /// Makes a root's baseline durable, with the blobs written before.
    pub fn save(&self, root: &str, index: &Index) -> Result<(), BaselineError> {
        self.write(root, index, true)
    }

    /// As agents did before they wrote names in escaped form.
    #[cfg(test)]
    pub(super) fn save_as_an_older_agent(&self, root: &str, index: &Index) {
        self.write(root, index, false).unwrap();
    }

    fn write(&self, root: &str, index: &Index, escaped: bool) -> Result<(), BaselineError> {
        let file = IndexFile {
            escaped,
            root: root.to_owned(),
            entries: listed(&index.entries),
            earlier: listed(&index.earlier),
            reported: index.reported.clone(),
            incomplete: index.incomplete.clone(),
            mounts: index.mounts.clone(),
            taken_at: index.taken_at,
            pin: index.pin.as_ref().map(|pin| PinFile {
                boot: pin.boot.clone(),
                parent: Some(pin.parent.into()),
                root: pin.root.map(IdentityFile::from),
            }),
        };
        let body = file.encode_to_vec();
        let mut bytes = Vec::with_capacity(MAGIC.len() + body.len() + 32);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&sha256(&body));
        let path = self.index_path(root);
        self.sync_blobs()
            .and_then(|()| nimbus_platform::write_atomic(&path, &bytes, 0o600))
            .map_err(|error| BaselineError::Io(crate::files::write_problem("baseline", &path, &error)))
    }

    /// Content is written without waiting for the disk; here what was written since the last call becomes durable.
    fn sync_blobs(&self) -> io::Result<()> {
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

    fn keep_content(&self, hash: &[u8; 32], content: &[u8]) -> io::Result<bool> {
        let path = self.blob_path(hash);
        if path.exists() && self.blob(hash)?.is_some() {
            return Ok(true);
        }
        let size = content.len() as u64;
        if self.blob_bytes.load(Ordering::Relaxed) + size > MAX_BLOBS {
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
        self.unsynced(path);
        Ok(true)
    }

    /// Is content of this hash and length kept? Whether it is whole is seen when it is read.
    pub fn has(&self, hash: &[u8; 32], size: u64) -> bool {
        // The target of a link has no size of its own.
        std::fs::metadata(self.blob_path(hash)).is_ok_and(|blob| blob.len() == size || size == 0)
    }

    /// Content by its hash; `None` when it is not kept or no longer what it was.
    pub fn blob(&self, hash: &[u8; 32]) -> io::Result<Option<Vec<u8>>> {
        let content = nimbus_platform::read_optional(&self.blob_path(hash))?;
        Ok(content.filter(|content| sha256(content) == *hash))
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

    /// Removes content that no baseline names, also not that of a root which is not watched at present. While any index
    /// is damaged nothing is removed: its content may be needed once it is restored.
    pub fn sweep(&self) -> io::Result<()> {
        let mut used = std::collections::HashSet::new();
        for file in std::fs::read_dir(&self.dir)? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "index") {
                continue;
            }
            let bytes = std::fs::read(&path)?;
            let Some(index) = decode(&bytes) else { return Ok(()) };
            let hashes = index.entries.into_iter().chain(index.earlier).filter_map(|entry| entry.state);
            used.extend(hashes.map(|state| hex(&state.sha256)));
        }
        let mut bytes = 0;
        for blob in std::fs::read_dir(self.dir.join("blobs"))? {
            let blob = blob?;
            if blob.file_name().to_str().is_some_and(|name| used.contains(name)) {
                bytes += blob.metadata()?.len();
            } else {
                std::fs::remove_file(blob.path())?;
            }
        }
        self.blob_bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }
}

fn listed(entries: &BTreeMap<Box<str>, Entry>) -> Vec<IndexEntry> {
    entries.iter().map(|(path, entry)| IndexEntry::of(path, entry)).collect()
}

impl IndexEntry {
    fn of(path: &str, entry: &Entry) -> Self {
        let extended =
            |(name, value): &(String, Vec<u8>)| ExtendedFile { name: name.clone(), value: value.clone() };
        let attributes = entry.attributes.as_deref().map(|attributes| AttributesFile {
            flags: attributes.flags,
            extended: attributes.extended.iter().map(extended).collect(),
        });
        let held =
            entry.held.map(|held| HeldFile { identity: Some(held.identity.into()), names: held.names });
        // The values are here; what the message shows of them is not needed beside them.
        let state = v1::FileState { attributes: None, ..entry.to_state() };
        Self { path: path.to_owned(), state: Some(state), attributes, held }
    }

    fn entry(self) -> Option<Entry> {
        let mut entry = Entry::from_state(self.state.as_ref()?)?;
        entry.attributes = self.attributes.map(|AttributesFile { flags, extended }| {
            let extended = extended.into_iter().map(|ExtendedFile { name, value }| (name, value)).collect();
            Arc::new(Attributes { flags, extended })
        });
        entry.held =
            self.held.and_then(|held| Some(Held { identity: held.identity?.into(), names: held.names }));
        Some(entry)
    }
}

/// `None` when one of them has no known state.
fn by_path(entries: Vec<IndexEntry>) -> Option<BTreeMap<Box<str>, Entry>> {
    let entry = |mut entry: IndexEntry| {
        let path = std::mem::take(&mut entry.path).into_boxed_str();
        Some((path, entry.entry()?))
    };
    entries.into_iter().map(entry).collect()
}

fn decode(bytes: &[u8]) -> Option<IndexFile> {
    let (body, sum) = bytes.strip_prefix(MAGIC)?.split_last_chunk::<32>()?;
    if sha256(body) != *sum {
        return None;
    }
    IndexFile::decode(body).ok()
}

/// SHA-256 over a baseline, to see that it changed.
pub fn digest(entries: &BTreeMap<Box<str>, Entry>) -> [u8; 32] {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    for (path, entry) in entries {
        let state = entry.to_state().encode_length_delimited_to_vec();
        hasher.update((path.len() as u64).to_be_bytes());
        hasher.update(path.as_bytes());
        hasher.update(&state);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nimbus_agent_core::observe::file::Kind;

    fn entry(hash: u8) -> Entry {
        Entry {
            kind: Kind::File,
            mode: 0o640,
            uid: 1,
            gid: 2,
            size: 3,
            sha256: Some([hash; 32]),
            problem: String::new(),
            attributes: Some(Arc::new(Attributes {
                flags: 0x10,
                extended: vec![("user.note".into(), b"why\0so".to_vec())],
            })),
            held: Some(Held { identity: Identity { device: 1, inode: 9, born_ns: 2 }, names: 2 }),
        }
    }

    fn index() -> Index {
        let entries = [("".into(), entry(1)), ("a/b".into(), entry(2))].into();
        Index {
            entries,
            earlier: [("a/b".into(), entry(4)), ("e".into(), Entry::absent())].into(),
            reported: vec!["a/b".into()],
            incomplete: vec!["c".into()],
            mounts: vec!["d".into()],
            taken_at: 7,
            pin: Some(Pin {
                boot: "b".into(),
                parent: Identity { device: 1, inode: 2, born_ns: 3 },
                root: Some(Identity { device: 1, inode: 4, born_ns: 5 }),
            }),
        }
    }

    #[test]
    fn an_index_survives_a_restart_and_belongs_to_its_root() {
        let dir = tempfile::tempdir().unwrap();
        let store = Baselines::open(dir.path()).unwrap();
        assert_eq!(store.load("/etc/app").unwrap(), None);
        store.save("/etc/app", &index()).unwrap();
        assert_eq!(Baselines::open(dir.path()).unwrap().load("/etc/app").unwrap(), Some(index()));
        assert_eq!(store.load("/etc/other").unwrap(), None);
    }

    #[test]
    fn a_damaged_index_is_never_taken_for_a_baseline() {
        let dir = tempfile::tempdir().unwrap();
        let store = Baselines::open(dir.path()).unwrap();
        store.save("/r", &index()).unwrap();
        let path = store.index_path("/r");
        let good = std::fs::read(&path).unwrap();
        for at in [0, MAGIC.len(), good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 1;
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(store.load("/r"), Err(BaselineError::Damaged { .. })), "byte {at}");
        }
        std::fs::write(&path, &good[..good.len() - 7]).unwrap();
        assert!(store.load("/r").is_err());
    }

    #[test]
    fn content_is_kept_once_checked_when_read_and_swept_when_unused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Baselines::open(dir.path()).unwrap();
        let hash = sha256(b"hello");
        assert!(store.keep_content(&hash, b"hello").unwrap() && store.keep_content(&hash, b"hello").unwrap());
        assert_eq!(store.blob_bytes.load(Ordering::Relaxed), 5);
        assert_eq!(store.blob(&hash).unwrap().unwrap(), b"hello");
        std::fs::write(store.blob_path(&hash), b"HELLO").unwrap();
        assert_eq!(store.blob(&hash).unwrap(), None);
        let used = sha256(b"used");
        assert!(store.keep_content(&used, b"used").unwrap());
        let earlier = sha256(b"earlier");
        assert!(store.keep_content(&earlier, b"earlier").unwrap());
        let file = |hash| [("f".into(), Entry { sha256: Some(hash), ..entry(1) })].into();
        store.save("/r", &Index { entries: file(used), earlier: file(earlier), ..Index::default() }).unwrap();
        store.sweep().unwrap();
        assert!(!store.blob_path(&hash).exists());
        assert_eq!(store.blob(&used).unwrap().unwrap(), b"used");
        assert_eq!(store.blob(&earlier).unwrap().unwrap(), b"earlier", "an acceptance may be withdrawn");
    }

    #[test]
    fn only_what_was_written_since_the_last_save_waits_for_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let store = Baselines::open(dir.path()).unwrap();
        let waits = || match &*store.unsynced.lock().unwrap() {
            Unsynced::Some(paths) => Some(paths.len()),
            Unsynced::Many => None,
        };
        let keep = |content: &[u8]| assert!(store.keep_content(&sha256(content), content).unwrap());
        assert_eq!(waits(), Some(0));
        keep(b"a");
        keep(b"a");
        assert_eq!(waits(), Some(1));
        store.save("/r", &index()).unwrap();
        keep(b"a");
        assert_eq!(waits(), Some(0), "a save that brings no content asks nothing of the file system");
        (0..=SYNC_ONE_BY_ONE).for_each(|n| keep(n.to_string().as_bytes()));
        assert_eq!(waits(), None);
        store.save("/r", &index()).unwrap();
        assert_eq!(waits(), Some(0));
        assert_eq!(*Baselines::open(dir.path()).unwrap().unsynced.lock().unwrap(), Unsynced::Many);
    }

    #[test]
    fn content_beyond_the_bound_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let store = Baselines::open(dir.path()).unwrap();
        store.blob_bytes.store(MAX_BLOBS - 2, Ordering::Relaxed);
        assert!(!store.keep_content(&sha256(b"abc"), b"abc").unwrap());
        assert!(store.keep_content(&sha256(b"ab"), b"ab").unwrap());
    }
}
