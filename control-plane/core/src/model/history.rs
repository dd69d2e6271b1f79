//! What is remembered of a Deployment's revisions: how long each one lasted, and what went wrong while it was the present
//! one. No listing can rebuild it, so it is stored.
//!
//! It is a document of its own, so that it outlives every snapshot of the inventory, restarts and upgrades. What follows
//! from it (which revision is good, which is known to be bad) is in [`crate::world`].

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::document::{Columns, Document};

/// Revisions remembered for each workload: as many as Kubernetes keeps ReplicaSets by default, and two more. The one that
/// has not been the present one for the longest time is forgotten.
pub const MAX_REVISIONS: usize = 12;

/// A revision that an earlier version of Nimbus saw fully available, if only for a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoodRevision {
    /// Its number then.
    pub revision: u64,
    /// Hash of its pod template, hex.
    pub template_hash: String,
}

/// What went wrong with a revision while it was the present one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When it was first seen, whether or not it lasted in between.
    pub first_at: Timestamp,
    /// When it was seen again after it had held for a while.
    pub at: Timestamp,
    /// In words: "its pod web-7-x crash-looped (container app)".
    pub what: String,
}

/// One revision of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its number, the last that it had.
    pub revision: u64,
    /// Hash of its pod template, hex.
    pub template_hash: String,
    /// When it was seen to become the present one; `None` for one that was the present one when it was first met.
    pub came_out_at: Option<Timestamp>,
    /// Was a pod of it ever seen?
    pub tried: bool,
    /// The longest time, in milliseconds, that all its pods and no older ones were available without a restart, since its
    /// last trouble.
    pub held_ms: u64,
    /// The same since it first came out, whatever its trouble was.
    pub longest_ms: u64,
    /// Its last trouble, if it ever had any.
    pub trouble: Option<Trouble>,
    /// When it was first seen past its progress deadline, since it last was complete. One that flaps starts its deadline anew
    /// each time, and is late all the same; this alone makes no revision a bad one. It is held against the times of its pods,
    /// which are the cluster's: where the clock jumped since, it stays, and tells nothing of them.
    #[serde(default)]
    pub late_at: Option<Timestamp>,
}

/// The present revision holds: since when all its pods and no older ones have been available without a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Hash of its pod template, hex.
    pub template_hash: String,
    /// Since then.
    pub since: Timestamp,
    /// Pods available; it holds as long as no fewer are, or as many as are wanted.
    pub available: u32,
}

/// What is remembered of one workload's revisions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionHistory {
    /// UID of the cluster.
    pub cluster_uid: String,
    /// UID of the workload.
    pub workload_uid: String,
    /// When the first was seen.
    pub created_at: Timestamp,
    /// When this last changed.
    pub updated_at: Timestamp,
    /// When the workload was gone; retention counts from here.
    pub gone_at: Option<Timestamp>,
    /// Those that an earlier version saw available, for how long it did not say: read, shown, and never added to.
    #[serde(default)]
    pub good: Vec<GoodRevision>,
    /// The newest last, at most [`MAX_REVISIONS`].
    #[serde(default)]
    pub revisions: Vec<Revision>,
    /// Does the present one hold, and since when?
    #[serde(default)]
    pub holding: Option<Holding>,
    /// When the clock last jumped: from then on what pods say of their times is by another clock, and only what was noted by
    /// this one counts.
    #[serde(default)]
    pub clock_jumped_at: Option<Timestamp>,
}

impl RevisionHistory {
    /// Nothing remembered yet.
    pub fn new(cluster_uid: &str, workload_uid: &str, now: Timestamp) -> Self {
        Self {
            cluster_uid: cluster_uid.to_owned(),
            workload_uid: workload_uid.to_owned(),
            created_at: now,
            updated_at: now,
            gone_at: None,
            good: Vec::new(),
            revisions: Vec::new(),
            holding: None,
            clock_jumped_at: None,
        }
    }

    /// What is remembered of the revision with this pod template.
    pub fn of(&self, template_hash: &str) -> Option<&Revision> {
        self.revisions.iter().find(|one| one.template_hash == template_hash)
    }

    /// Did an earlier version see this pod template available, for whatever time?
    pub fn was_seen_available(&self, template_hash: &str) -> bool {
        self.good.iter().any(|one| one.template_hash == template_hash)
    }

    /// This revision is the present one now; true when that is news. The first one ever met came out at a time that nobody
    /// saw.
    pub fn present(&mut self, revision: u64, template_hash: &str, now: Timestamp) -> bool {
        let is_last =
            self.revisions.last().is_some_and(|r| r.template_hash == template_hash && r.revision == revision);
        if is_last {
            return false;
        }
        let met_before = !self.revisions.is_empty();
        let known = self.revisions.iter().position(|r| r.template_hash == template_hash);
        let was_last = known.is_some_and(|at| at + 1 == self.revisions.len());
        let mut one = match known {
            Some(at) => self.revisions.remove(at),
            None => Revision {
                revision,
                template_hash: template_hash.to_owned(),
                came_out_at: None,
                tried: false,
                held_ms: 0,
                longest_ms: 0,
                trouble: None,
                late_at: None,
            },
        };
        one.revision = revision;
        if met_before && !was_last {
            one.came_out_at = Some(now);
        }
        self.revisions.push(one);
        if self.revisions.len() > MAX_REVISIONS {
            self.revisions.remove(0);
        }
        self.updated_at = now;
        true
    }

    /// A pod of this revision was seen; true when that is news.
    pub fn tried(&mut self, template_hash: &str, now: Timestamp) -> bool {
        let Some(one) = self.of_mut(template_hash).filter(|one| !one.tried) else { return false };
        one.tried = true;
        self.updated_at = now;
        true
    }

    /// This revision is past its deadline, or it is complete and no longer is; true when that is news.
    pub fn late(&mut self, template_hash: &str, late: bool, now: Timestamp) -> bool {
        let Some(one) = self.of_mut(template_hash).filter(|one| one.late_at.is_some() != late) else {
            return false;
        };
        one.late_at = late.then_some(now);
        self.updated_at = now;
        true
    }

    /// All pods of the present revision are available, and no others are there; true when that is news.
    pub fn hold(&mut self, template_hash: &str, available: u32, now: Timestamp) -> bool {
        match &mut self.holding {
            Some(holding) if holding.template_hash == template_hash => {
                let news = holding.available != available;
                holding.available = available;
                if news {
                    self.updated_at = now;
                }
                news
            }
            _ => {
                let template_hash = template_hash.to_owned();
                self.holding = Some(Holding { template_hash, since: now, available });
                self.updated_at = now;
                true
            }
        }
    }

    /// It held since `since` (the earlier of that and what was noted), and no longer does; true when that is news.
    pub fn no_longer_holds(&mut self, template_hash: &str, since: Option<Timestamp>, now: Timestamp) -> bool {
        let noted = self.holding.take_if(|holding| holding.template_hash == template_hash);
        // After a trouble only what was noted counts: the pods that are left are those that did not fail.
        let had_trouble = self.of(template_hash).is_some_and(|one| one.trouble.is_some());
        let since = since.filter(|_| !had_trouble).and_then(|since| self.by_our_clock(template_hash, since));
        let noted_since = noted.as_ref().map(|holding| holding.since);
        let since = match (noted_since, since) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let Some(since) = since else { return false };
        let held = duration_ms(now.duration_since(since));
        let longer = self.of_mut(template_hash).filter(|one| one.held_ms < held);
        let news = noted.is_some() || longer.is_some();
        if let Some(one) = longer {
            one.held_ms = held;
            one.longest_ms = one.longest_ms.max(held);
        }
        if news {
            self.updated_at = now;
        }
        news
    }

    /// The present revision holds still: notes for how long, if that has doubled; true when it has.
    pub fn credit(&mut self, now: Timestamp) -> bool {
        let Some(holding) = self.holding.clone() else { return false };
        let held = duration_ms(now.duration_since(holding.since));
        let doubled = |one: &&mut Revision| held >= CREDIT_MS && held / 2 >= one.held_ms;
        let Some(one) = self.of_mut(&holding.template_hash).filter(doubled) else { return false };
        one.held_ms = held;
        one.longest_ms = one.longest_ms.max(held);
        self.updated_at = now;
        true
    }

    /// The present revision is in trouble; true when that is news. It has to last anew to be a good one again.
    pub fn trouble(&mut self, template_hash: &str, what: &str, now: Timestamp) -> bool {
        if self.of(template_hash).is_none_or(|one| one.trouble.is_some() && one.held_ms == 0) {
            return false;
        }
        self.holding.take_if(|holding| holding.template_hash == template_hash);
        if let Some(one) = self.of_mut(template_hash) {
            one.held_ms = 0;
            let first_at = one.trouble.as_ref().map_or(now, |before| before.first_at);
            one.trouble = Some(Trouble { first_at, at: now, what: what.to_owned() });
        }
        self.updated_at = now;
        true
    }

    /// The clock by which this is noted jumped by `by` and says `now`: every noted time span stays as long as it was. When a
    /// revision was late begins none, and stays what it was.
    pub fn clock_jumped(&mut self, by: SignedDuration, now: Timestamp) {
        let moved = |at: Timestamp| at.saturating_add(by).unwrap_or(at);
        self.clock_jumped_at = Some(now);
        if let Some(holding) = &mut self.holding {
            holding.since = moved(holding.since);
        }
        for one in &mut self.revisions {
            // Without its time a trouble is compared with the cluster's own, which did not jump.
            let Some(out) = one.came_out_at else { continue };
            one.came_out_at = Some(moved(out));
            if let Some(trouble) = &mut one.trouble {
                (trouble.first_at, trouble.at) = (moved(trouble.first_at), moved(trouble.at));
            }
        }
    }

    /// What a pod says of its own time, by the cluster's clock: not before its revision was seen to come out, and nothing since
    /// the clock here jumped.
    pub fn by_our_clock(&self, template_hash: &str, since: Timestamp) -> Option<Timestamp> {
        let out = self.of(template_hash).and_then(|one| one.came_out_at);
        self.clock_jumped_at.is_none().then(|| out.map_or(since, |out| since.max(out)))
    }

    fn of_mut(&mut self, template_hash: &str) -> Option<&mut Revision> {
        self.revisions.iter_mut().find(|one| one.template_hash == template_hash)
    }
}

/// From so long on, in milliseconds, what holds is noted while it does.
const CREDIT_MS: u64 = 60_000;

fn duration_ms(duration: SignedDuration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(0)
}

impl Document for RevisionHistory {
    const TABLE: &'static str = "revision_histories";

    fn id(&self) -> String {
        format!("{}/{}", self.cluster_uid, self.workload_uid)
    }

    fn columns(&self) -> Columns {
        Columns {
            created_at: self.created_at,
            updated_at: self.gone_at.unwrap_or(self.updated_at),
            state: if self.gone_at.is_some() { "gone" } else { "kept" },
            cluster: self.cluster_uid.clone(),
            key: self.workload_uid.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn what_an_earlier_version_stored_is_read_and_trusted_for_no_longer_than_it_said() {
        let old = r#"{"cluster_uid":"c","workload_uid":"w","created_at":"2026-01-01T00:00:00Z",
            "updated_at":"2026-01-01T00:00:00Z","gone_at":null,"good":[{"revision":3,"template_hash":"aa"}]}"#;
        let history: RevisionHistory = serde_json::from_str(old).unwrap();
        assert!(history.was_seen_available("aa") && history.of("aa").is_none() && history.holding.is_none());
        let again = serde_json::to_string(&history).unwrap();
        assert_eq!(serde_json::from_str::<RevisionHistory>(&again).unwrap(), history);
    }

    #[test]
    fn a_revision_that_comes_back_keeps_what_it_was_and_takes_its_new_number() {
        let mut history = RevisionHistory::new("c", "w", at(0));
        assert!(history.present(1, "aa", at(0)) && !history.present(1, "aa", at(1)));
        history.hold("aa", 3, at(0));
        assert!(history.no_longer_holds("aa", None, at(700)));
        assert!(history.present(2, "bb", at(700)));
        assert!(history.present(3, "aa", at(800)));
        let (first, last) = (&history.revisions[0], &history.revisions[1]);
        assert_eq!((first.revision, first.came_out_at), (2, Some(at(700))));
        assert_eq!((last.revision, last.came_out_at, last.held_ms), (3, Some(at(800)), 700_000));
    }

    #[test]
    fn trouble_ends_what_held_and_the_first_time_is_kept() {
        let mut history = RevisionHistory::new("c", "w", at(0));
        history.present(1, "aa", at(0));
        history.hold("aa", 3, at(0));
        history.no_longer_holds("aa", None, at(900));
        assert!(history.trouble("aa", "it crash-looped", at(900)));
        assert!(!history.trouble("aa", "again", at(950)), "the first time is the one that counts");
        let one = history.of("aa").unwrap();
        assert_eq!((one.held_ms, one.longest_ms), (0, 900_000));
        assert_eq!(one.trouble.as_ref().unwrap().at, at(900));
        history.hold("aa", 3, at(1_000));
        history.no_longer_holds("aa", None, at(2_000));
        assert_eq!(history.of("aa").unwrap().held_ms, 1_000_000);
        assert!(history.trouble("aa", "it crash-looped", at(2_000)));
        let trouble = history.of("aa").unwrap().trouble.clone().unwrap();
        assert_eq!((trouble.first_at, trouble.at), (at(900), at(2_000)));
    }

    /// It is compared with when its pods were made, by the cluster's own clock, which did not jump.
    #[test]
    fn when_a_revision_was_late_stays_what_it_was_where_the_clock_jumped() {
        for by in [SignedDuration::from_hours(2), SignedDuration::from_hours(-2)] {
            let mut history = RevisionHistory::new("c", "w", at(0));
            history.present(1, "aa", at(0));
            history.present(2, "bb", at(10));
            assert!(history.late("bb", true, at(700)));
            history.clock_jumped(by, at(800).saturating_add(by).unwrap());
            let one = history.of("bb").unwrap();
            assert_eq!(one.late_at, Some(at(700)), "{by}");
            assert_eq!(one.came_out_at, Some(at(10).saturating_add(by).unwrap()), "{by}");
            assert!(!history.late("bb", true, at(900)), "it is no news either");
        }
    }

    #[test]
    fn what_holds_is_noted_each_time_that_it_doubles() {
        let mut history = RevisionHistory::new("c", "w", at(0));
        history.present(1, "aa", at(0));
        history.hold("aa", 3, at(0));
        let noted: Vec<i64> = (0..1_000).filter(|second| history.credit(at(*second))).collect();
        assert_eq!(noted, [60, 120, 240, 480, 960]);
        assert_eq!(history.of("aa").unwrap().held_ms, 960_000);
    }

    #[test]
    fn the_revisions_are_bounded_and_the_oldest_goes_first() {
        let mut history = RevisionHistory::new("c", "w", at(0));
        for n in 1..=20 {
            history.present(n, &format!("{n:02x}"), at(0));
        }
        assert_eq!(history.revisions.len(), MAX_REVISIONS);
        assert_eq!((history.revisions[0].revision, history.revisions[MAX_REVISIONS - 1].revision), (9, 20));
    }
}
