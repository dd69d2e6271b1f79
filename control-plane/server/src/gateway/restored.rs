//! Lets agents in that renewed their certificate after the backup from which this control plane was restored: the database
//! knows only the key before. Such a certificate is of this CA and later than any key in the backup.
//!
//! Of several that were issued in that time only a later one than the last that came is taken: what an agent replaced stays
//! replaced.

use jiff::Timestamp;
use nimbus_store::{StoreError, restored_renewal_name};

use crate::app::App;
use crate::ca::Peer;

/// Was this certificate issued between the backup and its restore, and later than every other such one that was shown? It
/// is noted then, with the key that is `present` until it replaces that one.
pub async fn is_newest_of_before(app: &App, peer: &Peer, present: &str) -> Result<bool, StoreError> {
    let Some(restored) = app.store().restored().await? else { return Ok(false) };
    let name = restored_renewal_name(&peer.agent);
    let noted = app.store().meta_get(&name).await?;
    let last = noted.as_deref().and_then(Note::read);
    let newest = is_newest((peer.issued_at, &peer.key_sha256), present, restored, last);
    if newest {
        let note = Note { second: peer.issued_at.as_second(), key: &peer.key_sha256, before: present };
        app.store().meta_set(&name, &note.text()).await?;
        tracing::info!(agent = %peer.agent, "the agent renewed its certificate after the backup that was restored");
    }
    Ok(newest)
}

/// The last such certificate that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note<'a> {
    /// When it was issued, in seconds since 1970.
    second: i64,
    /// Its key.
    key: &'a str,
    /// The key that it was to replace.
    before: &'a str,
}

impl<'a> Note<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut words = text.split(' ');
        let (second, key) = (words.next()?.parse().ok()?, words.next().unwrap_or_default());
        Some(Self { second, key, before: words.next().unwrap_or_default() })
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.second, self.key, self.before)
    }
}

/// Certificates say when they were issued to the second, and so is it compared. The key that came last counts again as long as
/// what it was to replace is still present: it is noted before the agent has it, and the commit that gives it may fail.
fn is_newest(
    (issued_at, key): (Timestamp, &str),
    present: &str,
    (made_at, restored_at): (Timestamp, Timestamp),
    last: Option<Note<'_>>,
) -> bool {
    let second = issued_at.as_second();
    let is_later = |last: Note<'_>| {
        let again = second == last.second && key == last.key && present == last.before;
        second > last.second || again
    };
    (made_at.as_second()..=restored_at.as_second()).contains(&second) && last.is_none_or(is_later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_issued_between_backup_and_restore_counts_and_only_the_latest_of_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let restored = (at(100), at(200));
        let note = |second, key| Some(Note { second, key, before: "present" });
        for (second, last, expected) in [
            (99, None, false),
            (100, None, true),
            (150, None, true),
            (200, None, true),
            (201, None, false),
            (150, note(149, "other"), true),
            (150, note(150, "other"), false),
            // Its commit failed the first time.
            (150, note(150, "key"), true),
            (150, note(180, "key"), false),
            // It was in use, and the agent has another one since.
            (150, Some(Note { second: 150, key: "key", before: "one before" }), false),
        ] {
            assert_eq!(
                is_newest((at(second), "key"), "present", restored, last),
                expected,
                "{second} {last:?}"
            );
        }
    }

    #[test]
    fn a_note_is_read_back_and_one_of_an_earlier_version_lets_nobody_in_again() {
        let note = Note { second: 150, key: "b", before: "a" };
        assert_eq!(Note::read(&note.text()), Some(note));
        assert_eq!(Note::read("150 b"), Some(Note { before: "", ..note }));
        assert_eq!(Note::read("150"), Some(Note { key: "", before: "", ..note }));
        assert_eq!(Note::read("no note"), None);
    }
}
