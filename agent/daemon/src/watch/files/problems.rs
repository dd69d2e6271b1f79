//! The problems that kept one pass from watching all of a root, counted with an example each.

use super::baseline::MAX_BLOBS;
use super::dirs::Dirs;
use super::tracked::MAX_PATHS;

/// What one pass could not watch, read or keep.
#[derive(Debug, Default)]
pub(super) struct Problems {
    /// Paths beyond [`MAX_PATHS`].
    pub(super) beyond: CountWithExample,
    /// The directories of such paths, where the baseline needs to know them.
    pub(super) crowded: Dirs,
    /// Paths that may not be read.
    pub(super) unread: CountWithExample,
    /// Paths of which what they have beside content, mode and owner could not be read.
    pub(super) attributes_unread: CountWithExample,
    /// Directories that were not listed to the end: what is below them is unknown.
    pub(super) not_listed: Dirs,
    /// Files whose content there was no room to keep.
    pub(super) not_kept: usize,
}

/// How many, and the first one.
#[derive(Debug, Default)]
pub(super) struct CountWithExample {
    count: usize,
    example: String,
}

impl CountWithExample {
    pub(super) fn note(&mut self, relative: &str) {
        if self.count == 0 {
            relative.clone_into(&mut self.example);
        }
        self.count += 1;
    }
}

impl Problems {
    /// Directories whose content the pass does not know wholly.
    pub(super) fn incomplete(&self) -> Dirs {
        self.not_listed.iter().chain(self.crowded.iter()).map(str::to_owned).collect()
    }

    /// Is there a path of which what else it has could not be read?
    pub(super) fn has_unread_attributes(&self) -> bool {
        self.attributes_unread.count > 0
    }

    /// One sentence for people; `None` when all of `root` is watched.
    pub(super) fn text(&self, root: &str) -> Option<String> {
        let mut all = Vec::new();
        if self.beyond.count > 0 {
            let CountWithExample { count, example } = &self.beyond;
            all.push(format!(
                "more than {MAX_PATHS} paths of this agent: {count} are not watched, such as {example:?}, and nothing is known of them; \
                 watch smaller roots, or leave parts out (--exclude)"
            ));
        }
        if self.not_listed.is_everything() {
            all.push(
                "too many directories that may not be read to tell them apart: what is added below is not told from what \
                 was there"
                    .to_owned(),
            );
        }
        if self.unread.count > 0 {
            let CountWithExample { count, example } = &self.unread;
            all.push(format!(
                "{count} paths that may not be read, such as {example:?}; give this agent's user access"
            ));
        }
        if self.has_unread_attributes() {
            let CountWithExample { count, example } = &self.attributes_unread;
            all.push(format!(
                "{count} paths whose attributes (access lists, capabilities, extended ones) cannot be read, such as \
                 {example:?}, so what changes about them is not known; look at what they have (getfattr -d -m -)"
            ));
        }
        if self.not_kept > 0 {
            all.push(format!(
                "{} files whose content is not kept (over {} MiB together) and cannot be restored",
                self.not_kept,
                MAX_BLOBS >> 20
            ));
        }
        (!all.is_empty()).then(|| format!("expected to watch all of {root}, found {}", all.join("; ")))
    }
}
