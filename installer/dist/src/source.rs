//! What is built: the version of the source tree, its date and its revision.

use std::num::NonZeroU16;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use jiff::{SignedDuration, Timestamp};

use crate::command::output;

/// The environment variable that sets the date: seconds since 1970.
pub const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The date that everything in a release bears, so that when it was built leaves no trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceDate(u32);

impl SourceDate {
    /// A date by its seconds since 1970. That they fit 32 bits is what gzip's and RPM's formats ask for.
    pub const fn new(seconds: u32) -> Self {
        Self(seconds)
    }

    /// Seconds since 1970.
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// As RFC 3339 writes it, in UTC.
    pub fn text(self) -> String {
        (Timestamp::UNIX_EPOCH + SignedDuration::from_secs(i64::from(self.0))).to_string()
    }
}

/// The source tree as far as a release names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The workspace's version.
    pub version: String,
    /// The date of everything.
    pub date: SourceDate,
    /// The commit, where the tree is exactly that commit.
    pub revision: Option<String>,
    /// Where the source is kept.
    pub repository: &'static str,
    /// Its licence, as SPDX names it.
    pub licence: &'static str,
    /// Which packages of this version these are, from 1 on.
    pub packaging: NonZeroU16,
}

impl Source {
    /// Reads what the tree at `root` is. `epoch` is what [`EPOCH`] says, `packaging` which packages these are.
    pub fn read(root: &Path, epoch: Option<&str>, packaging: NonZeroU16) -> anyhow::Result<Self> {
        // A tree that was unpacked inside somebody else's checkout has no commit of its own.
        let checkout = root.join(".git").exists();
        let date = match epoch {
            Some(text) => parse(text, EPOCH)?,
            None if checkout => {
                parse(git(root, &["log", "-1", "--format=%ct"])?.as_str(), "the commit's time")?
            }
            None => bail!(
                "expected {EPOCH} to be set, as {} is no git checkout that says when it was written; set it to the \
                 seconds since 1970 of the source's date",
                root.display()
            ),
        };
        let clean = checkout && git(root, &["status", "--porcelain"])?.is_empty();
        let revision = if clean { Some(git(root, &["rev-parse", "HEAD"])?) } else { None };
        Ok(Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            date,
            revision,
            repository: env!("CARGO_PKG_REPOSITORY"),
            licence: env!("CARGO_PKG_LICENSE"),
            packaging,
        })
    }

    /// The version as Debian and RPM order it: `1.0.0-rc.1` comes before `1.0.0`, which `~` says there.
    pub fn package_version(&self) -> String {
        self.version.replace('-', "~")
    }

    /// The version as a tag of an image, where `+` is not allowed; Helm writes it so, too.
    pub fn tag(&self) -> String {
        self.version.replace('+', "_")
    }
}

fn parse(text: &str, what: &str) -> anyhow::Result<SourceDate> {
    let seconds = text.trim().parse::<u32>();
    seconds.map(SourceDate::new).map_err(|_| {
        anyhow::anyhow!(
            "expected {what} to be whole seconds since 1970, at most {}, found {text:?}",
            u32::MAX
        )
    })
}

fn git(root: &Path, words: &[&str]) -> anyhow::Result<String> {
    let said = output(Command::new("git").arg("-C").arg(root).args(words)).with_context(|| {
        format!(
            "cannot read the source's date and revision in {}; install git, or set {EPOCH} for a tree without .git",
            root.display()
        )
    })?;
    Ok(said.trim().to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A source for the tests of other modules.
    pub(crate) fn example() -> Source {
        Source {
            version: "1.2.3-rc.1+x".to_owned(),
            date: SourceDate::new(1_700_000_000),
            revision: Some("0123456789abcdef".to_owned()),
            repository: "https://example.test/nimbus",
            licence: "Apache-2.0",
            packaging: NonZeroU16::MIN,
        }
    }

    #[test]
    fn a_tree_without_a_commit_needs_its_date_from_outside() {
        let dir = tempfile::tempdir().unwrap();
        let wrong = Source::read(dir.path(), None, NonZeroU16::MIN).unwrap_err().to_string();
        assert!(wrong.contains("SOURCE_DATE_EPOCH"), "{wrong}");
        let read = Source::read(dir.path(), Some("1700000000"), NonZeroU16::MIN).unwrap();
        assert_eq!((read.date, read.revision), (SourceDate::new(1_700_000_000), None));
        for bad in ["", "yesterday", "-1", "4294967296", "1.5"] {
            let wrong = Source::read(dir.path(), Some(bad), NonZeroU16::MIN).unwrap_err().to_string();
            assert!(wrong.contains("whole seconds"), "{bad}: {wrong}");
        }
    }

    #[test]
    fn a_date_and_a_version_have_the_forms_that_others_read() {
        assert_eq!(SourceDate::new(1_700_000_000).text(), "2023-11-14T22:13:20Z");
        assert_eq!(SourceDate::new(u32::MAX).text(), "2106-02-07T06:28:15Z");
        assert_eq!(example().package_version(), "1.2.3~rc.1+x");
        assert_eq!(example().tag(), "1.2.3-rc.1_x");
    }
}
