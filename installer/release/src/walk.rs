//! The files of a release's directory, by name and length, without following a link.

use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::path::Path;

use crate::sums::is_plain;
use crate::verify::Unreadable;
use crate::{ENVELOPE, MOST_FILES, SUMS};

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

impl Found {
    /// Are there more files than a release may have, beside its list and its envelope?
    fn is_too_much(&self) -> bool {
        let seal = [SUMS, ENVELOPE].into_iter().filter(|name| self.files.contains_key(*name)).count();
        self.files.len() + self.odd.len() > MOST_FILES + seal
    }
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
            if is_plain(&name) {
                add(&mut found, &mut open, name, depth, &entry)?;
            } else {
                let shown =
                    entry.path().strip_prefix(root).map_or_else(|_| name, |rest| rest.display().to_string());
                found.odd.push((shown, "expected a name of letters, digits and +-._~@".to_owned()));
            }
            if found.is_too_much() {
                return Err(Unreadable::many(root));
            }
        }
    }
    Ok(found)
}

/// Adds what `entry` is; a folder, which is in `depth` others, is to be opened.
fn add(
    found: &mut Found,
    open: &mut Vec<(String, usize)>,
    name: String,
    depth: usize,
    entry: &DirEntry,
) -> Result<(), Unreadable> {
    // Not followed: a link is told as a link.
    let about = entry.metadata().map_err(|error| Unreadable::new(&entry.path(), &error))?;
    if about.is_file() {
        found.files.insert(name, about.len());
    } else if about.is_dir() && depth < DEEPEST {
        open.push((name, depth + 1));
    } else if about.is_dir() {
        found.odd.push((name, format!("expected at most {DEEPEST} folders inside each other")));
    } else {
        found.odd.push((name, "expected a plain file, found a link or a special file".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_as_a_release_may_have_are_listed_beside_its_seal_and_none_more() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(dir.path().join(name), "").unwrap();
        for n in 0..MOST_FILES {
            write(&format!("file-{n}"));
        }
        assert_eq!(list(dir.path()).unwrap().files.len(), MOST_FILES);
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        write(SUMS);
        write(ENVELOPE);
        assert_eq!(list(dir.path()).unwrap().files.len(), MOST_FILES + 2);
        write("folder/more");
        let wrong = list(dir.path()).unwrap_err().to_string();
        assert!(wrong.contains("expected at most 4096 files, found more"), "{wrong}");
        std::fs::remove_file(dir.path().join(SUMS)).unwrap();
        assert!(list(dir.path()).is_err(), "the place of the list is nobody else's");
    }

    #[test]
    fn folders_are_opened_as_deep_as_they_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let deepest = ["x"; DEEPEST].join("/");
        std::fs::create_dir_all(dir.path().join(&deepest).join("y")).unwrap();
        std::fs::write(dir.path().join(&deepest).join("file"), "").unwrap();
        let found = list(dir.path()).unwrap();
        assert!(found.files.keys().eq([&format!("{deepest}/file")]), "{found:?}");
        assert_eq!(found.odd.len(), 1);
        assert_eq!(found.odd[0].0, format!("{deepest}/y"));
    }
}
