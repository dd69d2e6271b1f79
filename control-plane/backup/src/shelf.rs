//! A directory in which backups are made on a schedule: how each is named, and which ones are old enough to go.
//!
//! A name is `PREFIX-20261127T021700Z.age`, in UTC, so that the order of the names is that of the backups. What is named
//! otherwise is somebody else's and never touched.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nimbus_platform::sync_parent;

use crate::error::BackupError;

/// The name of a backup that is made now.
pub fn name(prefix: &str, now: Timestamp) -> String {
    format!("{prefix}-{}.age", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// Can this begin the names of backups? It is 1 to 100 letters, digits, dots, underscores and hyphens, and does not begin
/// with a dot or a hyphen.
pub fn is_prefix(text: &str) -> bool {
    let may_be = |it: char| it.is_ascii_alphanumeric() || "._-".contains(it);
    (1..=100).contains(&text.len()) && text.chars().all(may_be) && !text.starts_with(['.', '-'])
}

/// Is this the name of a backup with that prefix?
fn is_one(prefix: &str, name: &str) -> bool {
    let time = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".age"));
    time.is_some_and(|time| {
        time.len() == 16
            && time.char_indices().all(|(at, it)| match at {
                8 => it == 'T',
                15 => it == 'Z',
                _ => it.is_ascii_digit(),
            })
    })
}

/// Which of these names are backups that go when `keep` are kept, oldest first. The one that was `made` just now stays,
/// whatever the clock said before.
pub fn surplus(
    prefix: &str,
    names: impl IntoIterator<Item = String>,
    made: &str,
    keep: usize,
) -> Vec<String> {
    let is_other = |name: &String| name != made && is_one(prefix, name);
    let mut others: Vec<String> = names.into_iter().filter(is_other).collect();
    others.sort();
    others.truncate(others.len().saturating_sub(keep.saturating_sub(1)));
    others
}

/// Which backups beside `made` go when `keep` are kept, oldest first.
///
/// # Errors
/// When the directory cannot be read.
pub fn old(prefix: &str, made: &Path, keep: usize) -> Result<Vec<PathBuf>, BackupError> {
    let dir = made.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let fail = |error| BackupError::io(dir, error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        // A link or a directory is none that `create` wrote.
        if entry.file_type().map_err(fail)?.is_file() {
            names.extend(entry.file_name().into_string());
        }
    }
    let made = made.file_name().unwrap_or_default().to_string_lossy();
    Ok(surplus(prefix, names, &made, keep).into_iter().map(|name| dir.join(name)).collect())
}

/// Removes them; one that is gone already is no error.
///
/// # Errors
/// When one cannot be removed.
pub fn remove(old: &[PathBuf]) -> Result<(), BackupError> {
    for path in old {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            other => other.and_then(|()| sync_parent(path)).map_err(|error| BackupError::io(path, error))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_name_says_when_it_was_made() {
        let now = "2026-11-27T02:17:00.9Z".parse().unwrap();
        assert_eq!(name("ops", now), "ops-20261127T021700Z.age");
        assert!(is_one("ops", &name("ops", now)));
    }

    #[test]
    fn the_newest_are_kept_and_what_is_named_otherwise_is_never_touched() {
        let all = names(&[
            "n-20261127T021700Z.age",
            "n-20261125T021700Z.age",
            "n-20261126T021700Z.age",
            "n-20261124T021700Z.age.copy",
            "n-before-the-upgrade.age",
            "n-2026112éT02170Z.age",
            "other-20200101T000000Z.age",
            "n-20261124T021700Z.age",
            ".n-20261120T021700Z.age.x.unfinished",
        ]);
        let made = "n-20261127T021700Z.age";
        let gone = |keep| surplus("n", all.clone(), made, keep);
        assert_eq!(gone(3), names(&["n-20261124T021700Z.age"]));
        assert_eq!(gone(1).len(), 3);
        assert_eq!(gone(4), names(&[]));
        assert_eq!(gone(100), names(&[]));
        // 0 is refused by the command; here it never means the one that was made.
        assert_eq!(gone(0).len(), 3);
    }

    #[test]
    fn one_that_was_made_with_a_clock_behind_is_not_the_one_that_goes() {
        let all = names(&["n-20261127T021700Z.age", "n-20200101T000000Z.age", "n-20261126T021700Z.age"]);
        let gone = surplus("n", all, "n-20200101T000000Z.age", 2);
        assert_eq!(gone, names(&["n-20261126T021700Z.age"]));
    }

    #[test]
    fn a_prefix_of_another_release_is_another_shelf() {
        let all = names(&["a-b-20261126T021700Z.age", "a-20261126T021700Z.age"]);
        assert_eq!(surplus("a", all, "a-20261127T021700Z.age", 1), names(&["a-20261126T021700Z.age"]));
    }

    #[test]
    fn a_prefix_leads_nowhere_else() {
        for good in ["nimbus", "ops.nimbus_1-x"] {
            assert!(is_prefix(good), "{good}");
        }
        for bad in ["", "../x", "a/b", ".hidden", "-x", "a b", "a\nb", &"x".repeat(101)] {
            assert!(!is_prefix(bad), "{bad}");
        }
    }

    #[test]
    fn only_files_of_that_directory_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        for day in [24, 25, 26] {
            std::fs::write(file(&format!("n-202611{day}T000000Z.age")), "x").unwrap();
        }
        std::fs::create_dir(file("n-20261101T000000Z.age")).unwrap();
        std::os::unix::fs::symlink("/nowhere", file("n-20261102T000000Z.age")).unwrap();
        let gone = old("n", &file("n-20261126T000000Z.age"), 2).unwrap();
        assert_eq!(gone, [file("n-20261124T000000Z.age")]);
        remove(&gone).unwrap();
        remove(&gone).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 4);
    }
}
