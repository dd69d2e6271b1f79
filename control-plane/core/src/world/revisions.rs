//! Judges the revisions of a Deployment: which one lasted, which one is known to be bad, and of which nothing is known.
//!
//! A good revision is one that lasted: all its pods and no older ones, continuously and without a new restart, for a soak
//! time. Seen for a moment is not good. A cluster that is met for the first time is judged by the times in its pods'
//! conditions.

use jiff::{SignedDuration, Timestamp};

use super::inventory::Inventory;
use super::kube::{Deployment, Pod, ReplicaSet};
use crate::model::{Revision, RevisionHistory, Trouble};

/// What speaks for a revision, and what against it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It lasted, at least for so long, and had no trouble since.
    Lasted(SignedDuration),
    /// It crash-looped or got stuck while it was the present one, and did not last since.
    Bad(Trouble),
    /// No pod of it was ever seen: neither blamed nor trusted.
    Untried,
    /// Its pods were there and were never all available for the soak time; this is the longest that they were.
    Unproven(SignedDuration),
    /// An earlier version of Nimbus saw it available and did not note for how long.
    SeenAvailable,
    /// It was the present one before this cluster was met: nothing is known of it.
    Unknown,
}

impl Inventory {
    /// How a Deployment's revision with this pod template stands, for a soak time.
    pub fn standing(
        &self,
        deployment: &Deployment,
        template_hash: &str,
        soak: SignedDuration,
        now: Timestamp,
    ) -> Standing {
        let history = self.histories.get(&deployment.meta.uid);
        let noted = history.and_then(|history| history.of(template_hash));
        let held = self.held(deployment, history, noted, template_hash, now);
        if held >= soak {
            return Standing::Lasted(held);
        }
        if let Some(trouble) = noted.and_then(|one| one.trouble.clone()) {
            return Standing::Bad(trouble);
        }
        let seen_before = history.is_some_and(|history| history.was_seen_available(template_hash));
        let pods_now = || {
            let mut sets = self.sets_with(deployment, template_hash);
            sets.any(|set| set.replicas > 0 || self.pods_owned_by(&set.meta.uid).next().is_some())
        };
        match noted {
            Some(one) if one.tried || pods_now() => Standing::Unproven(held),
            _ if seen_before => Standing::SeenAvailable,
            Some(_) => Standing::Untried,
            None if pods_now() => Standing::Unproven(held),
            None => Standing::Unknown,
        }
    }

    /// Did the present revision ever last since it first came out, whatever its trouble was later?
    pub fn ever_lasted(&self, deployment: &Deployment, soak: SignedDuration, now: Timestamp) -> bool {
        let history = self.histories.get(&deployment.meta.uid);
        let noted = history.and_then(|history| history.of(&deployment.template_hash));
        let longest = millis(noted.map_or(0, |one| one.longest_ms));
        longest.max(self.held(deployment, history, noted, &deployment.template_hash, now)) >= soak
    }

    /// When the present revision came out: when it was seen to, otherwise when its ReplicaSet was made.
    pub fn came_out_at(&self, deployment: &Deployment) -> Option<Timestamp> {
        let history = self.histories.get(&deployment.meta.uid);
        let noted = history.and_then(|history| history.of(&deployment.template_hash));
        let seen = noted.and_then(|one| one.came_out_at);
        seen.or_else(|| self.present_set(deployment)?.meta.created_at)
    }

    /// The trouble of the present revision, if it ever had any.
    pub fn trouble_of_present(&self, deployment: &Deployment) -> Option<&Trouble> {
        self.histories.get(&deployment.meta.uid)?.of(&deployment.template_hash)?.trouble.as_ref()
    }

    /// The ReplicaSet of the present pod template.
    pub fn present_set(&self, deployment: &Deployment) -> Option<&ReplicaSet> {
        let sets = self.sets_with(deployment, &deployment.template_hash);
        sets.max_by_key(|set| set.revision)
    }

    fn sets_with<'a>(
        &'a self,
        deployment: &Deployment,
        template_hash: &str,
    ) -> impl Iterator<Item = &'a ReplicaSet> {
        let sets = self.replica_sets_of(&deployment.meta.uid);
        sets.filter(move |set| set.template_hash == template_hash && !template_hash.is_empty())
    }

    /// The longest time since its last trouble for which a revision held.
    fn held(
        &self,
        deployment: &Deployment,
        history: Option<&RevisionHistory>,
        noted: Option<&Revision>,
        template_hash: &str,
        now: Timestamp,
    ) -> SignedDuration {
        let before = millis(noted.map_or(0, |one| one.held_ms));
        let is_present = deployment.template_hash == template_hash;
        let by_our_clock = |since| history.map_or(Some(since), |h| h.by_our_clock(template_hash, since));
        // What is left of a revision that had trouble is what did not fail: then only what was noted since counts.
        let had_trouble = noted.is_some_and(|one| one.trouble.is_some());
        let since = if is_present {
            let noted = history.and_then(|history| history.holding.as_ref());
            let noted = noted.filter(|holding| holding.template_hash == template_hash);
            let good = deployment.shows_a_good_revision() && self.is_alone(deployment);
            let shown = if good && !had_trouble { self.all_ready_since(deployment) } else { None };
            let shown = shown.and_then(by_our_clock);
            match (noted.map(|holding| holding.since), shown) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        } else if had_trouble {
            None
        } else {
            self.older_ready_since(deployment, template_hash).and_then(by_our_clock)
        };
        since.map_or(before, |since| before.max(now.duration_since(since)))
    }

    /// Is no pod of an older revision there?
    fn is_alone(&self, deployment: &Deployment) -> bool {
        let mut older = self
            .replica_sets_of(&deployment.meta.uid)
            .filter(|set| set.template_hash != deployment.template_hash);
        older.all(|set| set.replicas == 0 && self.pods_owned_by(&set.meta.uid).next().is_none())
    }

    /// Since when all wanted pods of a Deployment are ready and not restarted, by their own times.
    pub(super) fn all_ready_since(&self, deployment: &Deployment) -> Option<Timestamp> {
        steady_since(self.pods_of(&deployment.meta.uid), deployment.desired as usize)
    }

    /// The same of what an older revision still runs: all its pods that are left, at least one.
    fn older_ready_since(&self, deployment: &Deployment, template_hash: &str) -> Option<Timestamp> {
        let sets = self.sets_with(deployment, template_hash);
        let pods: Vec<&Pod> = sets.flat_map(|set| self.pods_owned_by(&set.meta.uid)).collect();
        let wanted = pods.len().max(1);
        steady_since(pods.into_iter(), wanted)
    }
}

/// Since when so many pods, and no others, are all ready and not restarted; `None` where they are not, or do not say.
fn steady_since<'a>(pods: impl Iterator<Item = &'a Pod>, wanted: usize) -> Option<Timestamp> {
    let (mut count, mut newest) = (0, Timestamp::MIN);
    for pod in pods {
        if !pod.ready {
            return None;
        }
        count += 1;
        newest = newest.max(pod.ready_since?);
        for container in pod.containers.iter().filter(|container| container.restarts > 0) {
            newest = newest.max(container.last_finished_at?);
        }
    }
    (count == wanted && count > 0).then_some(newest)
}

fn millis(ms: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}
