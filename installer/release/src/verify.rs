//! Reads a release's directory and says whether it is what a key signed.
//!
//! The order is that of trust: first the signature, then the list that it covers, then every file of the list, then
//! what the files say of each other. What the signature does not cover is never believed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use crate::bill::{self, Part};
use crate::image::{self, Known};
use crate::sums::{Sum, Sums};
use crate::{ENVELOPE, MOST_BILL_BYTES, MOST_BYTES, MOST_FILES, SUMS, dsse, walk};

/// What is wrong at one place of a release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, the image or the folder, relative to the directory.
    pub at: String,
    /// What was expected there and what was found.
    pub what: String,
}

/// What was found in a release.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The files that are exactly what was signed.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// The artefacts that they make: archives, packages, images, charts.
    pub artefacts: Vec<String>,
    /// What is wrong, by place. The release is good where there is nothing.
    pub problems: Vec<Problem>,
}

/// A file or folder that cannot be read, so that nothing can be said.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be read: {why}")]
pub struct Unreadable {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

impl Unreadable {
    pub(crate) fn new(path: &Path, error: &io::Error) -> Self {
        Self { path: path.to_owned(), why: error.to_string() }
    }

    pub(crate) fn many(path: &Path) -> Self {
        Self { path: path.to_owned(), why: format!("expected at most {MOST_FILES} files, found more") }
    }
}

/// Verifies the release in `root` against `key`. `progress` hears each file's name before it is read.
pub fn verify(root: &Path, key: &VerifyingKey, mut progress: impl FnMut(&str)) -> Result<Report, Unreadable> {
    let mut found = walk::list(root)?;
    let mut report = Report::default();
    let sums = match signed(root, key, &mut found) {
        Ok(sums) => sums,
        Err(problem) => return Ok(Report { problems: vec![problem], ..report }),
    };
    report.problems = found.odd.drain(..).map(|(at, what)| Problem { at, what }).collect();
    let mut known = BTreeMap::new();
    for (name, expected) in sums.iter() {
        let Some(size) = found.files.remove(name) else {
            report.wrong(name, "expected this file, found none".to_owned());
            continue;
        };
        progress(name);
        let path = root.join(name);
        let (sum, read) = sum(&path).map_err(|error| Unreadable::new(&path, &error))?;
        if sum == *expected && read == size {
            report.files += 1;
            report.bytes += size;
            known.insert(name, Known { sum, size });
        } else {
            report.wrong(
                name,
                format!("expected SHA-256 {}, found {}", hex::encode(expected), hex::encode(sum)),
            );
        }
    }
    for name in found.files.keys() {
        report.wrong(name, format!("expected only what {SUMS} names, found this file more"));
    }
    report.problems.extend(
        bill::gaps(sums.iter().map(|(name, _)| name)).into_iter().map(|(at, what)| Problem { at, what }),
    );
    bills(root, &known, &mut report);
    images(root, &known, &mut report);
    report.artefacts = artefacts(&sums);
    report.problems.sort();
    Ok(report)
}

impl Report {
    fn wrong(&mut self, at: &str, what: String) {
        self.problems.push(Problem { at: at.to_owned(), what });
    }
}

/// The list that `key` signed, if the envelope holds one and the file beside it is the same.
fn signed(root: &Path, key: &VerifyingKey, found: &mut walk::Found) -> Result<Sums, Problem> {
    let problem = |at: &str, what: String| Problem { at: at.to_owned(), what };
    let mut take = |name: &str, most: u64| match found.files.remove(name) {
        None => Err(problem(
            name,
            "expected this file, found none: this is no release of Nimbus, or not whole".to_owned(),
        )),
        Some(_) => small(&root.join(name), most).map_err(|what| problem(name, what)),
    };
    let envelope = take(ENVELOPE, 2 * MOST_BYTES)?;
    let list = take(SUMS, MOST_BYTES)?;
    let payload = dsse::open(&envelope, key).map_err(|wrong| problem(ENVELOPE, wrong.to_string()))?;
    if payload != list {
        return Err(problem(SUMS, format!("expected the list that {ENVELOPE} signs, found another one")));
    }
    Sums::read(&payload).map_err(|wrong| problem(SUMS, wrong.to_string()))
}

/// Every bill that is what was signed is a bill, too, and that of its artefact.
fn bills(root: &Path, known: &BTreeMap<&str, Known>, report: &mut Report) {
    for name in known.keys() {
        let Part::Bill(artefact) = bill::part(name) else { continue };
        // None where the artefact is an image, and where it is not what was signed, which is said already.
        let sum = known.get(artefact).map(|known| hex::encode(known.sum));
        let read = small(&root.join(name), MOST_BILL_BYTES);
        let read = read.and_then(|bytes| bill::read(&bytes, artefact, sum.as_deref()));
        if let Err(what) = read {
            report.wrong(name, what);
        }
    }
}

/// Every image whose files are what was signed is whole, too.
fn images(root: &Path, known: &BTreeMap<&str, Known>, report: &mut Report) {
    let mut layouts = BTreeMap::<&str, BTreeMap<String, Known>>::new();
    for (name, known) in known {
        if let Part::Image(image, inside) = bill::part(name) {
            layouts.entry(image).or_default().insert(inside.to_owned(), *known);
        }
    }
    for (image, files) in layouts {
        let at = root.join(image);
        for what in image::check(&files, |inside| small(&at.join(inside), MOST_BYTES)) {
            report.wrong(image, what);
        }
    }
}

fn artefacts(sums: &Sums) -> Vec<String> {
    let mut artefacts: Vec<String> = sums
        .iter()
        .filter_map(|(name, _)| match bill::part(name) {
            Part::Artefact(artefact) | Part::Image(artefact, _) => Some(artefact.to_owned()),
            Part::Bill(_) | Part::Unknown => None,
        })
        .collect();
    artefacts.dedup();
    artefacts
}

/// Opens a file without following a link at its name.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// A file's SHA-256 and length, in pieces.
pub(crate) fn sum(path: &Path) -> io::Result<(Sum, u64)> {
    let mut file = open(path)?;
    let mut hasher = Sha256::new();
    let mut piece = vec![0_u8; 128 << 10];
    let mut length = 0_u64;
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok((hasher.finalize().into(), length)),
            Ok(read) => {
                hasher.update(&piece[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A file that must be small, whole.
fn small(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let file = open(path).map_err(|error| format!("cannot be read: {error}"))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("expected at most {most} bytes, found more"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
