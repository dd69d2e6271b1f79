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
/// is noted then.
pub async fn is_newest_of_before(app: &App, peer: &Peer) -> Result<bool, StoreError> {
    let Some(restored) = app.store().restored().await? else { return Ok(false) };
    let name = restored_renewal_name(&peer.agent);
    let noted = app.store().meta_get(&name).await?;
    let last = noted.as_deref().and_then(|text| text.split_once(' '));
    let last = last.and_then(|(second, key)| Some((second.parse().ok()?, key)));
    let newest = is_newest((peer.issued_at, &peer.key_sha256), restored, last);
    if newest {
        app.store().meta_set(&name, &format!("{} {}", peer.issued_at.as_second(), peer.key_sha256)).await?;
        tracing::info!(agent = %peer.agent, "the agent renewed its certificate after the backup that was restored");
    }
    Ok(newest)
}

/// Certificates say when they were issued to the second, and so is it compared. The key that came last counts again: it is noted
/// before the agent has it, and the commit that gives it may fail.
fn is_newest(
    (issued_at, key): (Timestamp, &str),
    (made_at, restored_at): (Timestamp, Timestamp),
    last: Option<(i64, &str)>,
) -> bool {
    let second = issued_at.as_second();
    let is_later = |(last, its): (i64, &str)| second > last || (second == last && key == its);
    (made_at.as_second()..=restored_at.as_second()).contains(&second) && last.is_none_or(is_later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_issued_between_backup_and_restore_counts_and_only_the_latest_of_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let restored = (at(100), at(200));
        for (second, last, expected) in [
            (99, None, false),
            (100, None, true),
            (150, None, true),
            (200, None, true),
            (201, None, false),
            (150, Some((149, "other")), true),
            (150, Some((150, "other")), false),
            // Its commit failed the first time.
            (150, Some((150, "key")), true),
            (150, Some((180, "key")), false),
        ] {
            assert_eq!(is_newest((at(second), "key"), restored, last), expected, "{second} {last:?}");
        }
    }
}
