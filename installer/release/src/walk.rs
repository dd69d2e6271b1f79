//! The files of a release's directory, by name and length, without following a link.

use std::collections::BTreeMap;
use std::path::Path;

use crate::sums::is_plain;
use crate::{MOST_FILES, verify::Unreadable};

/// The most folders inside each other; an image layout needs four.
const DEEPEST: usize = 8;

/// What a directory holds.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Plain files and their lengths.
    pub files: BTreeMap<String, u64>,
    /// What is no plain file, and why it is not taken.
    pub odd: Vec<(String, String)>,
}

/// Lists everything below `root`.
pub(crate) fn list(root: &Path) -> Result<Found, Unreadable> {
    let mut found = Found::default();
    let mut open = vec![(String::new(), 0_usize)];
    while let Some((folder, depth)) = open.pop() {
        let path = root.join(&folder);
        let entries = std::fs::read_dir(&path).map_err(|error| Unreadable::new(&path, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| Unreadable::new(&path, &error))?;
            let part = entry.file_name();
            let name = match part.to_str() {
                Some(part) if folder.is_empty() => part.to_owned(),
                Some(part) => format!("{folder}/{part}"),
                None => String::new(),
            };
            if found.files.len() + found.odd.len() >= MOST_FILES {
                return Err(Unreadable::many(root));
            }
            if !is_plain(&name) {
                let shown =
                    entry.path().strip_prefix(root).map_or_else(|_| name, |rest| rest.display().to_string());
                found.odd.push((shown, "expected a name of letters, digits and +-._~@".to_owned()));
                continue;
            }
            // Not followed: a link is told as a link.
            let about = entry.metadata().map_err(|error| Unreadable::new(&entry.path(), &error))?;
            if about.is_file() {
                found.files.insert(name, about.len());
            } else if about.is_dir() && depth + 1 < DEEPEST {
                open.push((name, depth + 1));
            } else if about.is_dir() {
                found.odd.push((name, format!("expected at most {DEEPEST} folders inside each other")));
            } else {
                found.odd.push((name, "expected a plain file, found a link or a special file".to_owned()));
            }
        }
    }
    Ok(found)
}
