//! Seals a directory of artefacts: writes the list of sums and the signed envelope over it.

use std::io;
use std::path::Path;

use ed25519_dalek::SigningKey;

use crate::sums::Sums;
use crate::verify::{Unreadable, sum};
use crate::{ENVELOPE, SUMS, bill, dsse, walk};

/// Why a directory cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// Something in it cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Something in it is not what a release holds.
    #[error("{at}: {what}")]
    Content {
        /// Where.
        at: String,
        /// What was expected and found.
        what: String,
    },
    /// The list or the envelope cannot be written.
    #[error("{file} cannot be written: {error}")]
    Write {
        /// Which.
        file: &'static str,
        /// Why.
        error: io::Error,
    },
}

/// Lists every file below `root` with its sum, signs the list, and writes both. An earlier seal is replaced.
pub fn seal(root: &Path, key: &SigningKey) -> Result<Sums, Wrong> {
    let sums = list(root)?;
    write(root, ENVELOPE, &dsse::sign(sums.write().as_bytes(), key))?;
    Ok(sums)
}

/// Lists every file below `root` with its sum and writes the list, for a release that nobody signs: what
/// [`crate::verify`] refuses. An earlier seal stays beside it and fits it no more.
pub fn list(root: &Path) -> Result<Sums, Wrong> {
    let mut found = walk::list(root)?;
    found.files.remove(SUMS);
    found.files.remove(ENVELOPE);
    let gaps = bill::gaps(found.files.keys().map(String::as_str));
    if let Some((at, what)) = found.odd.into_iter().chain(gaps).next() {
        return Err(Wrong::Content { at, what });
    }
    let mut sums = Vec::new();
    for name in found.files.into_keys() {
        let path = root.join(&name);
        let (sum, _) = sum(&path).map_err(|error| Unreadable::new(&path, &error))?;
        sums.push((name, sum));
    }
    let sums = Sums::new(sums);
    write(root, SUMS, &sums.write())?;
    Ok(sums)
}

fn write(root: &Path, file: &'static str, text: &str) -> Result<(), Wrong> {
    std::fs::write(root.join(file), text).map_err(|error| Wrong::Write { file, error })
}
