//! Encrypts and decrypts backups, with the age format.
//!
//! A passphrase costs whoever guesses 128 MiB of memory and some tenths of a second for each guess; a recipient's key costs
//! nothing, and the machine that makes the backups cannot read them.

use std::io::{BufRead, Chain, Cursor, ErrorKind, Read, Write};
use std::path::Path;

use age::secrecy::{ExposeSecret as _, SecretString};
use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor, Identity, Recipient, scrypt, x25519};
use nimbus_platform::read_regular_text;
use zeroize::Zeroizing;

use crate::error::BackupError;

/// The cost of a passphrase: scrypt with N = 2^17, 128 MiB.
const COST: u8 = 17;
/// The highest cost that is accepted when a backup is opened, 1 GiB: a file must not make the machine run out of memory.
const MAX_COST: u8 = 20;
/// The shortest passphrase with which a backup is made, characters.
const LEAST: usize = 12;
/// The longest file with a passphrase or with identities, bytes.
const MAX_KEY_FILE: u64 = 64 << 10;
/// The longest head of a backup, bytes: with 20 recipients it has some 2 KiB.
const MAX_HEAD: u64 = 64 << 10;
/// The most recipients of one backup, and identities of one file.
const MAX_KEYS: usize = 20;

/// For whom a backup is encrypted.
pub enum Sealing {
    /// Whoever knows the passphrase.
    Passphrase(SecretString),
    /// Whoever has the identity of one of these recipients.
    Recipients(Vec<x25519::Recipient>),
}

/// What decrypts a backup.
pub enum Opening {
    /// A passphrase.
    Passphrase(SecretString),
    /// Identities, of which one has to fit.
    Identities(Vec<x25519::Identity>),
}

impl Sealing {
    /// With the passphrase in the first line of a file.
    pub fn passphrase_file(path: &Path) -> Result<Self, BackupError> {
        let passphrase = read_passphrase(path)?;
        let found = passphrase.expose_secret().chars().count();
        if found < LEAST {
            return Err(wrong(
                path.display().to_string(),
                "a passphrase of at least 12 characters in the first line",
                format!("{found} characters"),
            ));
        }
        Ok(Self::Passphrase(passphrase))
    }

    /// For these recipients, as `age-keygen` prints them (`age1…`).
    pub fn recipients(texts: &[String]) -> Result<Self, BackupError> {
        if texts.is_empty() || texts.len() > MAX_KEYS {
            let found = texts.len().to_string();
            return Err(wrong("--recipient".to_owned(), "1 to 20 recipients", found));
        }
        let parse = |text: &String| {
            let expected = "an age recipient of X25519, which begins with age1";
            let found = text.chars().filter(|c| !c.is_control()).take(80).collect();
            // Whoever mistakes the secret half for the public one must not find it in a log.
            let found = if text.to_uppercase().starts_with("AGE-SECRET-KEY-") {
                "an identity, which is secret".to_owned()
            } else {
                found
            };
            text.trim().parse().map_err(|_| wrong("--recipient".to_owned(), expected, found))
        };
        texts.iter().map(parse).collect::<Result<_, _>>().map(Self::Recipients)
    }

    /// Encrypts what is written to the answer into `out`; it has to be finished.
    pub(crate) fn wrap<W: Write>(&self, out: W, to: &Path) -> Result<StreamWriter<W>, BackupError> {
        let by_passphrase;
        let recipients: Vec<&dyn Recipient> = match self {
            Self::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(COST);
                by_passphrase = recipient;
                vec![&by_passphrase]
            }
            Self::Recipients(recipients) => recipients.iter().map(|one| one as &dyn Recipient).collect(),
        };
        let encryptor = Encryptor::with_recipients(recipients.into_iter()).map_err(|error| {
            wrong("the recipients".to_owned(), "recipients that go together", error.to_string())
        })?;
        encryptor.wrap_output(out).map_err(|error| BackupError::io(to, error))
    }
}

impl Opening {
    /// With the passphrase in the first line of a file.
    pub fn passphrase_file(path: &Path) -> Result<Self, BackupError> {
        read_passphrase(path).map(Self::Passphrase)
    }

    /// With the identities in a file, as `age-keygen` writes it.
    pub fn identity_file(path: &Path) -> Result<Self, BackupError> {
        let text = read_key_file(path)?;
        let expected = "1 to 20 lines AGE-SECRET-KEY-1…, as age-keygen writes them";
        let keys = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let parse = |line: &str| {
            let found = "a line that is none, which is not shown".to_owned();
            line.parse().map_err(|_| wrong(path.display().to_string(), expected, found))
        };
        let identities: Vec<x25519::Identity> = keys.map(parse).collect::<Result<_, _>>()?;
        if identities.is_empty() || identities.len() > MAX_KEYS {
            return Err(wrong(path.display().to_string(), expected, identities.len().to_string()));
        }
        Ok(Self::Identities(identities))
    }

    /// Decrypts what is in `file`.
    pub(crate) fn unwrap<R: BufRead>(&self, input: R, file: &Path) -> Result<Plain<R>, BackupError> {
        let input = with_bounded_head(input, file)?;
        let decryptor = Decryptor::new_buffered(input).map_err(|error| no_age(file, error))?;
        match (self, decryptor.is_scrypt()) {
            (Self::Passphrase(passphrase), true) => {
                let mut identity = scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(MAX_COST);
                let next = "try the passphrase of the time when it was made";
                let opened = decryptor.decrypt(std::iter::once(&identity as &dyn Identity));
                opened.map_err(|error| not_opened(file, error, "passphrase", next))
            }
            (Self::Identities(identities), false) => {
                let next = "give the file with the identity whose recipient it was made for";
                let opened = decryptor.decrypt(identities.iter().map(|one| one as &dyn Identity));
                opened.map_err(|error| not_opened(file, error, "identity", next))
            }
            (Self::Passphrase(_), false) => Err(BackupError::WrongKey {
                file: file.to_owned(),
                expected: "identity",
                next: "it was made for a recipient and no passphrase opens it: give --identity FILE",
            }),
            (Self::Identities(_), true) => Err(BackupError::WrongKey {
                file: file.to_owned(),
                expected: "passphrase",
                next: "it was made with a passphrase and no identity opens it: give --passphrase-file FILE",
            }),
        }
    }
}

/// A backup that is decrypted as it is read: its head was read before, the rest was not.
pub(crate) type Plain<R> = StreamReader<Chain<Cursor<Vec<u8>>, R>>;

/// Reads the head, up to the line that ends it, before anybody looks for sense in it: a file without an end of its head would
/// be read into memory whole.
fn with_bounded_head<R: BufRead>(
    mut input: R,
    file: &Path,
) -> Result<Chain<Cursor<Vec<u8>>, R>, BackupError> {
    let mut head = Vec::new();
    loop {
        let (from, room) = (head.len(), MAX_HEAD - head.len() as u64);
        let read = (&mut input).take(room).read_until(b'\n', &mut head);
        let line = head.get(from..).unwrap_or_default();
        match read.map_err(|error| BackupError::io(file, error))? {
            // What was cut off is for the decryptor to say.
            0 if room > 0 => break,
            _ if line.starts_with(b"---") && line.ends_with(b"\n") => break,
            _ if head.len() as u64 >= MAX_HEAD => {
                let found = "a file that is not encrypted with age: its head has no end in its first 64 KiB";
                return Err(BackupError::NoBackup { file: file.to_owned(), found: found.to_owned() });
            }
            _ => {}
        }
    }
    Ok(Cursor::new(head).chain(input))
}

fn wrong(what: String, expected: &'static str, found: String) -> BackupError {
    BackupError::Key { what, expected, found }
}

fn no_age(file: &Path, error: DecryptError) -> BackupError {
    let file = file.to_owned();
    match error {
        DecryptError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            BackupError::Truncated { file, at: " in its first bytes".to_owned() }
        }
        DecryptError::Io(error) if error.kind() != std::io::ErrorKind::InvalidData => {
            BackupError::io(&file, error)
        }
        _ => BackupError::NoBackup { file, found: "a file that is not encrypted with age".to_owned() },
    }
}

fn not_opened(file: &Path, error: DecryptError, expected: &'static str, next: &'static str) -> BackupError {
    let file = file.to_owned();
    match error {
        DecryptError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            BackupError::Truncated { file, at: " in its first bytes".to_owned() }
        }
        DecryptError::Io(error) => BackupError::io(&file, error),
        DecryptError::InvalidMac | DecryptError::InvalidHeader | DecryptError::UnknownFormat => {
            BackupError::Damaged {
                file,
                expected: "the first lines as they were written".to_owned(),
                found: "other ones".to_owned(),
            }
        }
        DecryptError::ExcessiveWork { required, .. } => BackupError::Damaged {
            file,
            expected: format!("a passphrase's cost of at most 2^{MAX_COST}"),
            found: format!("2^{required}"),
        },
        DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed | DecryptError::NoMatchingKeys => {
            BackupError::WrongKey { file, expected, next }
        }
        // What a later version of the library may add: it is not opened, and said in the library's words.
        other => BackupError::Damaged {
            file,
            expected: "a file that this version can open".to_owned(),
            found: other.to_string(),
        },
    }
}

fn read_passphrase(path: &Path) -> Result<SecretString, BackupError> {
    let text = read_key_file(path)?;
    match text.lines().next().map(|line| line.trim_end_matches('\r')) {
        Some(line) if !line.trim().is_empty() => Ok(SecretString::from(line.to_owned())),
        Some(_) | None => {
            Err(wrong(path.display().to_string(), "a passphrase in the first line", "none".to_owned()))
        }
    }
}

/// All of it, at most [`MAX_KEY_FILE`] bytes.
fn read_start(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_KEY_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_KEY_FILE {
        return Err(std::io::Error::new(ErrorKind::FileTooLarge, "too large"));
    }
    Ok(text)
}

fn read_key_file(path: &Path) -> Result<Zeroizing<String>, BackupError> {
    let what = || path.display().to_string();
    // What the shell opened for this process has somebody who writes into it.
    let is_handed_over =
        path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd") || path == Path::new("/dev/stdin");
    let read = if is_handed_over { read_start(path) } else { read_regular_text(path, MAX_KEY_FILE) };
    read.map(Zeroizing::new).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => wrong(what(), "at most 64 KiB", "more".to_owned()),
        ErrorKind::InvalidInput => wrong(what(), "a regular file", error.to_string()),
        _ => BackupError::io(path, error),
    })
}
