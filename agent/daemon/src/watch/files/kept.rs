//! Looks on a schedule whether the copies that were kept for restores are still what was kept, and keeps anew what it can.
//!
//! After the first pass and then once a day, at most 8 MiB a second and a quarter of the time. What is damaged and is not on
//! disk as its baseline says either is a problem of the agent.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Files;
use super::baseline::CopyCheck;
use super::root::Root;

/// Between two looks over all copies.
const EVERY: Duration = Duration::from_hours(24);
/// Most bytes that are read within a second.
const RATE: u64 = 8 << 20;
/// A rest lasts so many times as long as the work before it.
const SHARE: u32 = 3;
/// Longest rest, also after a disk that hung.
const LONGEST: Duration = Duration::from_secs(10);
/// What is told under this name.
const KEPT: &str = "kept copies";

/// What came of keeping damaged copies anew.
#[derive(Debug, Default)]
struct Healed {
    /// Kept anew, from a file that is still what it should be.
    kept: BTreeSet<[u8; 32]>,
    /// A path for each that a baseline names.
    named: BTreeMap<[u8; 32], String>,
}

/// What the looks so far found, as it is told.
#[derive(Debug, Default)]
struct Found {
    /// What is damaged and was not kept anew.
    damaged: Option<String>,
    /// What could not be looked at, and the first with its reason.
    unread: (usize, String),
    /// Why the look ended early.
    failed: Option<String>,
}

impl Found {
    /// Takes in a look over all copies, or over the damaged ones alone: that one says nothing of the others.
    fn looked(&mut self, all: bool, unread: (usize, String)) {
        if all {
            self.failed = None;
        }
        if all || unread.0 > self.unread.0 {
            self.unread = unread;
        }
    }

    fn told(&self) -> Option<String> {
        let (unread, first) = &self.unread;
        let unread = (*unread > 0).then(|| {
            format!(
                "expected to read the kept copies of files, found {unread} that could not be looked at, the first {first}; \
                 tried again in a day"
            )
        });
        let told: Vec<_> =
            [self.damaged.clone(), unread, self.failed.clone()].into_iter().flatten().collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

impl Root {
    /// Keeps the content of damaged copies anew where a file still has it.
    fn heal(&self, damaged: &BTreeSet<[u8; 32]>) -> Healed {
        let mut healed = Healed::default();
        for (path, tracked) in &self.known.tracked {
            let named = [tracked.baseline.as_ref(), tracked.earlier.as_deref()];
            for hash in named.into_iter().flatten().filter_map(|entry| entry.sha256) {
                if !damaged.contains(&hash) {
                    continue;
                }
                healed.named.entry(hash).or_insert_with(|| self.absolute(path));
                // Where it cannot even be set aside nothing is written; that is tried again by each look.
                if healed.kept.contains(&hash) || self.is_unseen(path) || self.baselines.is_stuck(&hash) {
                    continue;
                }
                let now = self.look(path);
                if now.entry.sha256 == Some(hash) && self.baselines.keep(&now).unwrap_or(false) {
                    healed.kept.insert(hash);
                }
            }
        }
        healed
    }
}

/// Looks for ever, once the first pass is over.
pub(super) async fn forever(files: &Files, first_pass: oneshot::Receiver<()>) {
    // Whoever makes that pass ends later than this, if at all.
    let _ = first_pass.await;
    let (mut all, mut found) = (true, Found::default());
    let mut due = Instant::now();
    loop {
        if all {
            due = Instant::now() + EVERY;
        }
        match read_through(files, all).await {
            Ok(check) => {
                found.looked(all, (check.unread, check.first_unread));
                found.damaged = heal(files, check.damaged, check.more).await;
            }
            Err(error) => {
                found.failed = Some(format!(
                    "expected to read the kept copies of files, found: {error}; tried again in a day"
                ));
            }
        }
        files.status.problem(KEPT, found.told());
        all = tokio::select! {
            () = tokio::time::sleep_until(due.into()) => true,
            () = files.baselines.damage_moved() => false,
        };
    }
}

async fn read_through(files: &Files, all: bool) -> io::Result<CopyCheck> {
    let mut check = files.baselines.check_copies(all)?;
    while !check.ended {
        let begun = Instant::now();
        let baselines = files.baselines.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let bytes = baselines.check_on(&mut check);
            (check, bytes)
        });
        let (back, bytes) = reading.await.map_err(io::Error::other)?;
        check = back;
        tokio::time::sleep(rest(bytes, begun.elapsed())).await;
    }
    Ok(check)
}

/// How long to rest after so many bytes in so long a time.
fn rest(bytes: u64, took: Duration) -> Duration {
    let by_bytes = Duration::from_millis(bytes.saturating_mul(1_000) / RATE);
    by_bytes.saturating_sub(took).max(took * SHARE).min(LONGEST)
}

/// Keeps anew what can be; what is left, as one sentence.
async fn heal(files: &Files, damaged: BTreeSet<[u8; 32]>, more: usize) -> Option<String> {
    if damaged.is_empty() {
        return None;
    }
    let (damaged, mut all) = (Arc::new(damaged), Healed::default());
    for (text, _) in &files.roots {
        let damaged = damaged.clone();
        let Some(healed) = files.with(text, move |root| root.heal(&damaged)).await else { continue };
        all.kept.extend(healed.kept);
        all.named.extend(healed.named);
    }
    if !all.kept.is_empty() {
        tracing::info!(
            copies = all.kept.len(),
            "damaged copies were kept anew: their files are what they should be"
        );
        let baselines = files.baselines.clone();
        let synced = tokio::task::spawn_blocking(move || baselines.sync_content()).await;
        if let Ok(Err(error)) = synced {
            tracing::warn!(%error, "what was kept anew is not durable yet");
        }
    }
    // What no watched path names is removed at the next start.
    all.named.retain(|hash, _| !all.kept.contains(hash));
    text(&all.named, more)
}

fn text(left: &BTreeMap<[u8; 32], String>, more: usize) -> Option<String> {
    let first = left.values().min()?;
    Some(format!(
        "expected the kept copies of files as they were kept, found {} that the disk damaged, such as that of {first}: such a \
         file cannot be put back once it differs; look at the disk of this host",
        left.len() + more
    ))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::watch::files::baseline::Baselines;

    fn look(baselines: &Baselines, all: bool) -> CopyCheck {
        let mut check = baselines.check_copies(all).unwrap();
        while !check.ended {
            baselines.check_on(&mut check);
        }
        check
    }

    #[test]
    fn a_damaged_copy_is_kept_anew_only_from_a_file_that_still_has_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("root");
        std::fs::create_dir(&at).unwrap();
        for name in ["same", "other"] {
            std::fs::write(at.join(name), name).unwrap();
        }
        let baselines = Arc::new(Baselines::open(&dir.path().join("baseline")).unwrap());
        let mut root = Root::new(at.clone(), &[], baselines.clone());
        root.full_pass(i64::MAX / 2, &mut |_| {});
        std::fs::write(at.join("other"), "changed").unwrap();
        for copy in std::fs::read_dir(dir.path().join("baseline/blobs")).unwrap() {
            let path = copy.unwrap().path();
            let mut content = std::fs::read(&path).unwrap();
            content[0] ^= 1;
            std::fs::write(&path, content).unwrap();
        }
        let check = look(&baselines, true);
        assert_eq!((check.damaged.len(), check.more), (2, 0));
        let healed = root.heal(&check.damaged);
        let hash = |content: &str| nimbus_protocol::sha256(content.as_bytes());
        assert_eq!(healed.kept, [hash("same")].into());
        assert_eq!(baselines.blob(&hash("same")).unwrap().unwrap(), b"same");
        assert_eq!(baselines.blob(&hash("other")).unwrap(), None);
        assert!(!baselines.is_damaged(&hash("same")) && baselines.is_damaged(&hash("other")));
        assert!(healed.named[&hash("other")].ends_with("root/other"));
    }

    #[test]
    fn a_damaged_copy_that_cannot_be_set_aside_is_kept_anew_once_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("root");
        std::fs::create_dir(&at).unwrap();
        std::fs::write(at.join("same"), "same").unwrap();
        let baselines = Arc::new(Baselines::open(&dir.path().join("baseline")).unwrap());
        let mut root = Root::new(at, &[], baselines.clone());
        root.full_pass(i64::MAX / 2, &mut |_| {});
        let hash = nimbus_protocol::sha256(b"same");
        let copy = dir.path().join("baseline/blobs").join(crate::identity::hex(&hash));
        std::fs::write(&copy, "sbme").unwrap();
        // Nothing can be renamed to where a directory is.
        let aside = copy.with_extension("damaged");
        std::fs::create_dir(&aside).unwrap();
        for all in [true, false] {
            let healed = root.heal(&look(&baselines, all).damaged);
            assert!(healed.kept.is_empty() && healed.named[&hash].ends_with("root/same"), "{healed:?}");
            assert!(baselines.damage_moved().now_or_never().is_none(), "no look calls for the next one");
        }
        std::fs::remove_dir(&aside).unwrap();
        let healed = root.heal(&look(&baselines, false).damaged);
        assert_eq!((healed.kept, baselines.is_damaged(&hash)), ([hash].into(), false));
        assert_eq!(baselines.blob(&hash).unwrap().unwrap(), b"same");
    }

    #[test]
    fn a_look_at_what_is_damaged_alone_does_not_clear_what_else_was_found() {
        let mut found = Found::default();
        assert_eq!(found.told(), None);
        found.looked(true, (2, "/b/x: Is a directory".to_owned()));
        found.looked(false, (0, String::new()));
        let said = found.told().unwrap();
        assert!(
            said.contains("found 2 that could not be looked at, the first /b/x: Is a directory;"),
            "{said}"
        );
        found.failed = Some("no directory".to_owned());
        found.looked(false, (0, String::new()));
        assert!(found.told().unwrap().ends_with("; no directory"));
        found.looked(true, (0, String::new()));
        assert_eq!(found.told(), None);
    }

    #[test]
    fn it_reads_no_more_than_its_rate_and_its_share_of_the_time() {
        let ms = Duration::from_millis;
        assert_eq!(rest(4 << 20, ms(10)), ms(490), "4 MiB take half a second");
        assert_eq!(rest(4 << 20, ms(400)), ms(1_200), "a slow disk is left alone for longer");
        assert_eq!(rest(0, ms(0)), ms(0));
        assert_eq!(rest(1 << 30, ms(60_000)), LONGEST);
    }

    #[test]
    fn how_many_and_the_first_path_are_said() {
        assert_eq!(text(&BTreeMap::new(), 0), None);
        let left = [([1; 32], "/srv/b".to_owned()), ([2; 32], "/srv/a".to_owned())].into();
        let said = text(&left, 3).unwrap();
        assert!(said.contains("found 5 that the disk damaged") && said.contains("/srv/a:"), "{said}");
    }
}
