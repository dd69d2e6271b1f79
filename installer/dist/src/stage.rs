//! What an archive, an image or a package holds, before it is packed: paths, modes, owners and contents.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Where an entry's bytes come from.
#[derive(Debug, Clone)]
pub enum Content {
    /// It is a directory.
    Directory,
    /// These.
    Text(String),
    /// A file of this machine.
    File(PathBuf),
}

/// One file or directory.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its permissions.
    pub mode: u16,
    /// Its user and group, which have the same number.
    pub owner: u32,
    /// Its bytes.
    pub content: Content,
    /// It is a directory that nothing but a path below it asked for.
    pub implied: bool,
}

impl Entry {
    /// The bytes; none for a directory.
    pub fn bytes(&self) -> anyhow::Result<Cow<'_, [u8]>> {
        match &self.content {
            Content::Directory => Ok(Cow::Borrowed(&[])),
            Content::Text(text) => Ok(Cow::Borrowed(text.as_bytes())),
            Content::File(path) => {
                let bytes = std::fs::read(path);
                Ok(Cow::Owned(bytes.with_context(|| format!("cannot read {}", path.display()))?))
            }
        }
    }

    /// Is it a directory?
    pub const fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory)
    }
}

/// Entries by their paths, which are relative and have `/` between their parts. In this order a directory comes before
/// what is in it, and it is always the same order, whatever the entries were added in.
#[derive(Debug, Clone, Default)]
pub struct Stage(BTreeMap<String, Entry>);

impl Stage {
    /// Adds a file with this text, owned by root.
    pub fn text(&mut self, path: &str, mode: u16, text: impl Into<String>) {
        self.add(path, mode, 0, Content::Text(text.into()));
    }

    /// Adds a file with the bytes of `from`, owned by root.
    pub fn file(&mut self, path: &str, mode: u16, from: &Path) {
        self.add(path, mode, 0, Content::File(from.to_owned()));
    }

    /// Adds a directory.
    pub fn directory(&mut self, path: &str, mode: u16, owner: u32) {
        self.add(path, mode, owner, Content::Directory);
    }

    fn add(&mut self, path: &str, mode: u16, owner: u32, content: Content) {
        for (end, _) in path.match_indices('/') {
            self.0.entry(path[..end].to_owned()).or_insert(Entry {
                mode: 0o755,
                owner: 0,
                content: Content::Directory,
                implied: true,
            });
        }
        self.0.insert(path.to_owned(), Entry { mode, owner, content, implied: false });
    }

    /// Every entry with its path, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_comes_before_what_is_in_it_and_keeps_what_was_said_of_it() {
        let mut stage = Stage::default();
        stage.text("a/b/c", 0o644, "x");
        stage.directory("a", 0o700, 7);
        stage.text("a/d", 0o600, "y");
        let shown: Vec<_> =
            stage.entries().map(|(path, entry)| (path, entry.mode, entry.owner, entry.implied)).collect();
        assert_eq!(
            shown,
            [
                ("a", 0o700, 7, false),
                ("a/b", 0o755, 0, true),
                ("a/b/c", 0o644, 0, false),
                ("a/d", 0o600, 0, false)
            ]
        );
    }

    #[test]
    fn a_file_that_is_gone_is_named() {
        let mut stage = Stage::default();
        stage.file("a", 0o755, Path::new("/no/such/program"));
        let (_, entry) = stage.entries().next().unwrap();
        assert!(entry.bytes().unwrap_err().to_string().contains("/no/such/program"));
    }
}
