//! The set of directories below a root that could not be listed completely; what is below them is unknown.

use std::collections::BTreeSet;

/// Most directories remembered one by one.
const MAX_DIRS: usize = 1_000;

/// A bounded set of directories by their path below the root, where `""` is the root itself. At the bound it becomes the
/// whole root: too much is unknown then, never too little.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Dirs(BTreeSet<Box<str>>);

impl Dirs {
    pub(super) fn add(&mut self, dir: &str) {
        self.0.insert(dir.into());
        if self.0.len() > MAX_DIRS {
            self.0.clear();
            self.0.insert("".into());
        }
    }

    /// True for what is below one of them.
    pub(super) fn covers(&self, path: &str) -> bool {
        let mut above = path.match_indices('/').map(|(at, _)| &path[..at]);
        !self.0.is_empty()
            && !path.is_empty()
            && (self.0.contains("") || above.any(|dir| self.0.contains(dir)))
    }

    /// True where it was too much to remember one by one, or the root itself could not be listed.
    pub(super) fn is_everything(&self) -> bool {
        self.0.contains("")
    }

    pub(super) fn has(&self, dir: &str) -> bool {
        self.0.contains(dir)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// After a pass: a directory that was `listed` to the end is incomplete no more; one in or below an incomplete one that
    /// was `not_listed` stays or becomes so.
    pub(super) fn update(&mut self, listed: &Self, not_listed: &Self) {
        let before = self.clone();
        self.0.retain(|dir| !listed.has(dir) || not_listed.has(dir) || not_listed.covers(dir));
        for dir in not_listed.iter().filter(|dir| before.has(dir) || before.covers(dir)) {
            self.add(dir);
        }
    }
}

impl FromIterator<String> for Dirs {
    fn from_iter<I: IntoIterator<Item = String>>(dirs: I) -> Self {
        let mut all = Self::default();
        for dir in dirs {
            all.add(&dir);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs(of: &[&str]) -> Dirs {
        of.iter().map(|dir| (*dir).to_owned()).collect()
    }

    #[test]
    fn a_directory_covers_what_is_below_it_and_the_root_everything() {
        assert!(dirs(&["a/b"]).covers("a/b/c") && dirs(&["a/b"]).covers("a/b/c/d"));
        assert!(!dirs(&["a/b"]).covers("a/b") && !dirs(&["a/b"]).covers("a/bc") && !dirs(&[]).covers("a"));
        assert!(dirs(&[""]).covers("a") && dirs(&[""]).covers("a/b") && !dirs(&[""]).covers(""));
    }

    #[test]
    fn at_the_bound_the_whole_root_is_covered() {
        let many: Dirs = (0..=MAX_DIRS).map(|n| format!("d{n}")).collect();
        assert!(many.covers("elsewhere/f"));
    }

    #[test]
    fn a_directory_is_incomplete_until_it_is_listed_and_then_only_what_is_still_not_listed_below_it() {
        let mut incomplete = dirs(&["a", "gone"]);
        incomplete.update(&dirs(&["a"]), &dirs(&["a/b", "other"]));
        assert_eq!(incomplete, dirs(&["a/b", "gone"]));
        incomplete.update(&dirs(&["a/b"]), &dirs(&[""]));
        assert_eq!(incomplete, dirs(&["a/b", "gone"]), "too many were not listed to tell them apart");
    }
}
