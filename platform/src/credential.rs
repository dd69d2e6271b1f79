//! Credentials: secrets that systemd hands to a service as files of a directory that only this service reads
//! (`LoadCredential=` in its unit). What they mean is decided by who asks for them.

use std::io;
use std::path::{Path, PathBuf};

use crate::read_optional;

/// Longest credential, in bytes: a token or an address is far shorter.
const MAX: usize = 64 << 10;

/// A credential and where it stands. Its text is a secret: it has no `Debug` that shows it.
pub struct Credential {
    /// The file.
    pub path: PathBuf,
    /// What it holds, without white space around it; not empty.
    pub text: String,
}

/// Why a credential cannot be used. Names the file and never what it holds.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The system refuses.
    #[error(
        "expected to read the credential {path}, found: {found}; check the file that LoadCredential= in the unit names"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        found: io::Error,
    },
    /// It holds something else.
    #[error(
        "the credential {path} cannot be used: expected {expected}, found {found}; correct the file that LoadCredential= \
         in the unit names, and start again"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: String,
        /// What it holds, without a part of it.
        found: String,
    },
}

impl CredentialError {
    /// Is what it holds wrong, so that reading it again does not change it?
    pub fn is_malformed(&self) -> bool {
        match self {
            Self::Malformed { .. } => true,
            Self::Unreadable { .. } => false,
        }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({}, text withheld)", self.path.display())
    }
}

impl Credential {
    /// The error for one that is not what was `expected`; `found` must show nothing of it.
    pub fn malformed(self, expected: impl Into<String>, found: impl Into<String>) -> CredentialError {
        CredentialError::Malformed { path: self.path, expected: expected.into(), found: found.into() }
    }
}

/// The directory of this process's credentials (`CREDENTIALS_DIRECTORY`), if it was started with any.
pub fn credentials_directory() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The credential `name` in `directory`. `None` without a directory, without the file, and where the file is blank, which
/// is the default that a unit sets for a file that need not be there.
pub fn read_credential(directory: Option<&Path>, name: &str) -> Result<Option<Credential>, CredentialError> {
    let Some(path) = directory.map(|directory| directory.join(name)) else { return Ok(None) };
    let bytes = match read_optional(&path) {
        Ok(None) => return Ok(None),
        Ok(Some(bytes)) => bytes,
        Err(found) => return Err(CredentialError::Unreadable { path, found }),
    };
    let wrong = |path, found: &str| {
        let expected = "one line of text".to_owned();
        Err(CredentialError::Malformed { path, expected, found: found.to_owned() })
    };
    if bytes.len() > MAX {
        return wrong(path, "more than 64 KiB");
    }
    let Ok(text) = String::from_utf8(bytes) else { return wrong(path, "bytes that are no text") };
    let text = text.trim();
    if text.contains(char::is_control) {
        return wrong(path, "several lines, or control characters");
    }
    Ok((!text.is_empty()).then(|| Credential { path, text: text.to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(dir: &Path) -> Result<Option<String>, String> {
        let found = read_credential(Some(dir), "token").map_err(|error| error.to_string())?;
        Ok(found.map(|credential| credential.text))
    }

    #[test]
    fn a_credential_is_its_text_and_a_blank_or_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_credential(None, "token").unwrap().is_none());
        assert_eq!(read(dir.path()), Ok(None));
        std::fs::write(dir.path().join("token"), "\n").unwrap();
        assert_eq!(read(dir.path()), Ok(None), "what SetCredential= sets when the file is not there");
        std::fs::write(dir.path().join("token"), " s3cret\r\n").unwrap();
        assert_eq!(read(dir.path()), Ok(Some("s3cret".to_owned())));
        let credential = read_credential(Some(dir.path()), "token").unwrap().unwrap();
        assert!(!format!("{credential:?}").contains("s3cret"));
        let error = credential.malformed("a number", "a word").to_string();
        assert!(
            error.contains("a number") && error.contains("/token") && !error.contains("s3cret"),
            "{error}"
        );
    }

    #[test]
    fn what_cannot_be_a_credential_is_named_by_its_file_and_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        for (bytes, word) in [
            (b"s3cret\nand more".to_vec(), "several lines"),
            (b"s3cret\0".to_vec(), "control characters"),
            (vec![b's', 0xff, 0xfe], "no text"),
            (vec![b's'; MAX + 1], "64 KiB"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(dir.path()).unwrap_err();
            assert!(error.contains(word) && error.contains(path.to_str().unwrap()), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = read(dir.path()).unwrap_err();
        assert!(error.contains("expected to read") && error.contains(path.to_str().unwrap()), "{error}");
    }
}
