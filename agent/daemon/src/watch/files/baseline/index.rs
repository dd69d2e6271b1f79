//! The file of one root's baseline: written and read piece by piece, so that it takes no memory that its root does not take
//! anyway.
//!
//! A magic word, an [`IndexFile`] as protobuf, and the SHA-256 over that message. Nothing of it counts before its sum was
//! compared.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use nimbus_agent_core::observe::file::attributes::{Attributes, Sum};
use nimbus_agent_core::observe::file::identity::{Identity, Pin};
use nimbus_agent_core::observe::file::{Entry, Held, name};
use nimbus_protocol::v1;
use prost::Message;
use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 8] = b"NIMBASE1";
/// Longest field of the message: a path, and the attributes of a file, of which an agent keeps at most 64 KiB.
const MAX_FIELD: u64 = 1 << 20;

/// The index of one root, as it is on disk.
#[derive(Clone, PartialEq, Message)]
struct IndexFile {
    #[prost(string, tag = "1")]
    root: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<IndexEntry>,
    /// Relative paths last reported as drifted. An older agent wrote them here; they are in a file of their own by now.
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

/// The tags of the entries, which are read one by one.
const ENTRIES: u32 = 2;
const EARLIER: u32 = 7;

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
    /// The names of these are written as [`name::escape`] writes them; an older agent kept none that are no text, and
    /// wrote them as they are.
    #[prost(bool, tag = "3")]
    escaped: bool,
    /// What stands for all of them where they are more than is kept.
    #[prost(message, optional, tag = "4")]
    all: Option<SumFile>,
}

#[derive(Clone, PartialEq, Message)]
struct SumFile {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(uint64, tag = "2")]
    bytes: u64,
    #[prost(bytes = "vec", tag = "3")]
    sha256: Vec<u8>,
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

impl IndexEntry {
    fn of(path: &str, entry: &Entry) -> Self {
        let extended =
            |(name, value): &(String, Vec<u8>)| ExtendedFile { name: name.clone(), value: value.clone() };
        let sum = |all: &Sum| SumFile { count: all.count, bytes: all.bytes, sha256: all.sha256.to_vec() };
        let attributes = entry.attributes.as_deref().map(|attributes| AttributesFile {
            flags: attributes.flags,
            extended: attributes.extended.iter().map(extended).collect(),
            escaped: !attributes.extended.is_empty(),
            all: attributes.all.as_ref().map(sum),
        });
        let held =
            entry.held.map(|held| HeldFile { identity: Some(held.identity.into()), names: held.names });
        // The values are here; what the message shows of them is not needed beside them.
        let state = v1::FileState { attributes: None, ..entry.to_state() };
        Self { path: path.to_owned(), state: Some(state), attributes, held }
    }

    /// `None` where its state is not known.
    fn entry(self) -> Option<Entry> {
        let mut entry = Entry::from_state(self.state.as_ref()?)?;
        entry.attributes = self.attributes.and_then(AttributesFile::attributes);
        entry.held =
            self.held.and_then(|held| Some(Held { identity: held.identity?.into(), names: held.names }));
        Some(entry)
    }
}

impl AttributesFile {
    /// `None` where what stands for all of them is no sum: then they are not known.
    fn attributes(self) -> Option<Arc<Attributes>> {
        let Self { flags, extended, escaped, all } = self;
        let text = |name: String| if escaped { name } else { name::escape(name.as_bytes()).into_owned() };
        let named = |ExtendedFile { name, value }: ExtendedFile| (text(name), value);
        let extended = extended.into_iter().map(named).collect();
        let all = match all {
            None => None,
            Some(SumFile { count, bytes, sha256 }) => {
                Some(Sum { count, bytes, sha256: <[u8; 32]>::try_from(sha256.as_slice()).ok()? })
            }
        };
        Some(Attributes { flags, extended, all }.shared())
    }
}

/// What a root's baseline says beside its entries.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Head {
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

/// Which baseline of a path an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What it should be. A path that has none should be absent, unless it is below an incomplete directory: then it is
    /// unknown.
    Baseline,
    /// What it should have been before a person accepted the present one; absent where nothing was.
    Earlier,
}

/// One path, relative to the root (`""` is the root itself), and what it should be, or should have been.
pub type Item<'a> = (Part, &'a str, &'a Entry);

/// Where entries go while an index is read.
pub type Take<'a> = dyn FnMut(Part, Box<str>, Entry) + 'a;

/// Writes to a file and sums up what it writes.
struct Summing<'a, W> {
    out: &'a mut W,
    sum: Sha256,
}

impl<W: Write> Summing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.out.write_all(bytes)
    }
}

/// Writes the index of `root` to `out`. Names are escaped already, unless it is to look like an older agent's.
pub(super) fn write<'a>(
    out: &mut impl Write,
    root: &str,
    head: &Head,
    items: impl Iterator<Item = Item<'a>>,
    escaped: bool,
) -> io::Result<[u8; 32]> {
    out.write_all(MAGIC)?;
    let mut out = Summing { out, sum: Sha256::new() };
    let mut digest = BaselineDigest::default();
    let mut bytes = Vec::new();
    for (part, path, entry) in items {
        let tag = match part {
            Part::Baseline => {
                digest.add(path, entry);
                ENTRIES
            }
            Part::Earlier => EARLIER,
        };
        bytes.clear();
        prost::encoding::message::encode(tag, &IndexEntry::of(path, entry), &mut bytes);
        out.write(&bytes)?;
    }
    let pin = head.pin.as_ref().map(|pin| PinFile {
        boot: pin.boot.clone(),
        parent: Some(pin.parent.into()),
        root: pin.root.map(IdentityFile::from),
    });
    let rest = IndexFile {
        root: root.to_owned(),
        entries: Vec::new(),
        reported: head.reported.clone(),
        incomplete: head.incomplete.clone(),
        mounts: head.mounts.clone(),
        taken_at: head.taken_at,
        earlier: Vec::new(),
        pin,
        escaped,
    };
    out.write(&rest.encode_to_vec())?;
    let sum: [u8; 32] = out.sum.finalize().into();
    out.out.write_all(&sum)?;
    Ok(digest.finish())
}

/// What is wrong with an index, in words.
pub(super) type Damage = &'static str;
const OTHER: Damage = "another checksum or form";
const NO_STATE: Damage = "an entry without a known state";

/// An index whose sum was compared.
pub(super) struct Whole {
    file: BufReader<File>,
    /// Bytes of the message.
    length: u64,
    head: IndexFile,
}

/// Opens an index and compares its sum. `None` where there is no such file.
pub(super) fn open(path: &Path) -> io::Result<Option<Result<Whole, Damage>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let around = (MAGIC.len() + 32) as u64;
    let Some(length) = file.metadata()?.len().checked_sub(around) else { return Ok(Some(Err(OTHER))) };
    let mut file = BufReader::with_capacity(1 << 16, file);
    if !is_whole(&mut file, length)? {
        return Ok(Some(Err(OTHER)));
    }
    let mut whole = Whole { file, length, head: IndexFile::default() };
    let mut head = Vec::new();
    let read = whole.fields(|tag, field| {
        if tag != ENTRIES && tag != EARLIER {
            head.extend_from_slice(field);
        }
        Ok(())
    })?;
    Ok(Some(read.and_then(|()| {
        whole.head = IndexFile::decode(head.as_slice()).map_err(|_| OTHER)?;
        Ok(whole)
    })))
}

/// Does the file hold a message of this length between the magic word and its sum?
fn is_whole(file: &mut BufReader<File>, length: u64) -> io::Result<bool> {
    let mut magic = [0; 8];
    file.read_exact(&mut magic)?;
    let mut sum = Sha256::new();
    let mut piece = vec![0; 1 << 16];
    let mut message = file.by_ref().take(length);
    loop {
        match message.read(&mut piece)? {
            0 => break,
            so_many => sum.update(&piece[..so_many]),
        }
    }
    let mut stored = [0; 32];
    file.read_exact(&mut stored)?;
    Ok(magic == *MAGIC && sum.finalize()[..] == stored)
}

impl Whole {
    /// Hands on each field of the message, as its bytes are, with its tag. `Err` inside: what is wrong with it.
    fn fields(
        &mut self,
        mut each: impl FnMut(u32, &[u8]) -> Result<(), Damage>,
    ) -> io::Result<Result<(), Damage>> {
        self.file.seek(SeekFrom::Start(MAGIC.len() as u64))?;
        let mut message = self.file.by_ref().take(self.length);
        let mut field = Vec::new();
        while message.limit() > 0 {
            field.clear();
            let Some(key) = varint(&mut message, &mut field)? else { return Ok(Err(OTHER)) };
            let (Ok(tag), kind) = (u32::try_from(key >> 3), key & 7) else { return Ok(Err(OTHER)) };
            let Some(number) = varint(&mut message, &mut field)? else { return Ok(Err(OTHER)) };
            match kind {
                // A number: it was all of the field.
                0 => {}
                2 if number <= MAX_FIELD && number <= message.limit() => {
                    message.by_ref().take(number).read_to_end(&mut field)?;
                }
                _ => return Ok(Err(OTHER)),
            }
            if let Err(damage) = each(tag, &field) {
                return Ok(Err(damage));
            }
        }
        Ok(Ok(()))
    }

    /// The root that it is of.
    pub(super) fn root(&self) -> &str {
        &self.head.root
    }

    /// Hands on each entry. What was handed on before something turned out wrong is not to be used.
    pub(super) fn entries(&mut self, take: &mut Take<'_>) -> io::Result<Result<(), Damage>> {
        let escaped = self.head.escaped;
        self.fields(|tag, field| {
            let part = match tag {
                ENTRIES => Part::Baseline,
                EARLIER => Part::Earlier,
                _ => return Ok(()),
            };
            let one = IndexFile::decode(field).map_err(|_| OTHER)?;
            for mut entry in one.entries.into_iter().chain(one.earlier) {
                let path = std::mem::take(&mut entry.path);
                let path = if escaped { path } else { name::escape(path.as_bytes()).into_owned() };
                take(part, path.into_boxed_str(), entry.entry().ok_or(NO_STATE)?);
            }
            Ok(())
        })
    }

    /// The rest of it.
    pub(super) fn head(&self) -> Head {
        let IndexFile { mut reported, mut incomplete, mut mounts, taken_at, pin, escaped, .. } =
            self.head.clone();
        if !escaped {
            for text in [&mut reported, &mut incomplete, &mut mounts].into_iter().flatten() {
                *text = name::escape(text.as_bytes()).into_owned();
            }
        }
        let pin = pin.and_then(|pin| {
            let parent = pin.parent?.into();
            Some(Pin { boot: pin.boot, parent, root: pin.root.map(Identity::from) })
        });
        Head { reported, incomplete, mounts, taken_at, pin }
    }
}

/// A variable-length number, whose bytes are added to `bytes`; `None` where there is none.
fn varint(from: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<Option<u64>> {
    let mut number = 0_u64;
    for place in 0..10 {
        let mut byte = [0];
        if from.read(&mut byte)? == 0 {
            return Ok(None);
        }
        bytes.push(byte[0]);
        number |= u64::from(byte[0] & 0x7f) << (7 * place);
        if byte[0] < 0x80 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// SHA-256 over a baseline, to see that it changed.
#[derive(Default)]
pub(super) struct BaselineDigest(Sha256);

impl BaselineDigest {
    pub(super) fn add(&mut self, path: &str, entry: &Entry) {
        self.0.update((path.len() as u64).to_be_bytes());
        self.0.update(path.as_bytes());
        self.0.update(entry.to_state().encode_length_delimited_to_vec());
    }

    pub(super) fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use nimbus_agent_core::observe::file::Kind;

    use super::*;

    fn entry(attributes: Attributes) -> Entry {
        Entry { kind: Kind::File, attributes: Some(Arc::new(attributes)), ..Entry::absent() }
    }

    #[test]
    fn names_that_are_no_text_and_what_is_too_much_to_be_kept_come_back() {
        let odd = vec![(r"user.\xff".to_owned(), vec![1]), (r"user.\x5cxff".to_owned(), vec![2])];
        let all = Some(Sum { count: 3, bytes: 70_000, sha256: [9; 32] });
        for attributes in [
            Attributes { flags: 0x10, extended: odd, all: None },
            Attributes { all, ..Attributes::default() },
            Attributes::default(),
        ] {
            let one = entry(attributes);
            assert_eq!(IndexEntry::of("a", &one).entry(), Some(one));
        }
    }

    #[test]
    fn the_names_that_an_older_agent_wrote_are_the_names_that_they_were() {
        let names = ["user.plain", "user.a\nb", r"user.\xff"];
        let extended = names.map(|name| ExtendedFile { name: name.to_owned(), value: vec![1] }).to_vec();
        let older = AttributesFile { flags: 0, extended, ..AttributesFile::default() };
        let read: Vec<String> =
            older.attributes().unwrap().extended.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(read, ["user.plain", r"user.a\x0ab", r"user.\x5cxff"]);
        let damaged = SumFile { sha256: vec![1; 31], ..SumFile::default() };
        let damaged = AttributesFile { all: Some(damaged), ..AttributesFile::default() };
        assert_eq!(damaged.attributes(), None, "not known, and not none");
    }
}
