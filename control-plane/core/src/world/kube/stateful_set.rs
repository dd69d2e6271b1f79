//! The StatefulSet of the inventory, and how far its update is.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{ObjectKind, to_hex, v1};
use serde::{Deserialize, Serialize};

use super::pod::Pod;
use crate::world::bounds::{TEXT, WORD, cut, cut_digest, cut_texts, is_meta_kept};
use crate::world::managers::manager_name;
use crate::world::meta::Meta;
use crate::world::object::Object;

/// Revisions of a set that are remembered beside the present one: as many as Kubernetes keeps by default.
const MAX_EARLIER: usize = 10;

/// A revision that was the present one of its StatefulSet, and how it fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Earlier {
    name: String,
    /// Was it the present one already when the set was first met? Then it may have lasted before that.
    met: bool,
    /// The longest time for which a pod of it was seen ready, milliseconds.
    ready_ms: u64,
}

/// A StatefulSet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatefulSet {
    /// Who it is.
    pub meta: Meta,
    /// Generation of its spec.
    pub generation: i64,
    /// Generation that its status is about.
    pub observed_generation: i64,
    /// Pods wanted.
    pub desired: u32,
    /// Pods of the revision that is being brought out.
    pub updated: u32,
    /// Pods ready.
    pub ready: u32,
    /// Pods available.
    pub available: u32,
    /// Revision of the pods that are not updated.
    pub current_revision: String,
    /// Revision that is being brought out; the same as `current_revision` when nothing is.
    pub update_revision: String,
    /// Does its controller replace pods by itself, one after the other? With `OnDelete` it does not; with a strategy that is
    /// not said or not known it may.
    pub rolls: bool,
    /// Hash of the pod template, hex.
    pub template_hash: String,
    /// Images of the template.
    pub images: Vec<String>,
    /// Who keeps it in its desired state; empty when nobody known does.
    pub manager: String,
    /// What says so.
    pub manager_evidence: String,
    /// How many pods of the lowest ordinals an update leaves as they are; 0 also where an older agent does not say it.
    #[serde(default)]
    pub partition: u32,
    /// The ordinal of its first pod.
    #[serde(default)]
    pub first_ordinal: u32,
    /// Does its controller replace a pod of an older revision that is not ready (`podManagementPolicy:
    /// Parallel`)? False also where an older agent does not say it.
    #[serde(default)]
    pub parallel: bool,
    /// When `update_revision` was seen to become the one that is brought out; `None` where it was that when
    /// first met, also if it was given up since and came back.
    #[serde(default)]
    pub came_out_at: Option<Timestamp>,
    /// When the first pod of that revision was made, or was heard of where that is earlier or is all that is
    /// known; `None` while there was none. A set that is not replaced at once may have none for days.
    #[serde(default)]
    pub first_pod_at: Option<Timestamp>,
    /// When a pod of that revision was first seen to fail since then; `None` while none was.
    #[serde(default)]
    pub failed_at: Option<Timestamp>,
    /// The longest time for which a pod of that revision was seen ready, milliseconds.
    #[serde(default)]
    pub ready_ms: u64,
    /// The revisions that were the present one before, the latest last, at most [`MAX_EARLIER`].
    #[serde(default)]
    earlier: Vec<Earlier>,
}

impl Object for StatefulSet {
    const KIND: ObjectKind = ObjectKind::StatefulSet;
    const API_VERSION: &'static str = "apps/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::StatefulSet> for StatefulSet {
    fn from(s: v1::StatefulSet) -> Self {
        Self {
            meta: s.meta.unwrap_or_default().into(),
            generation: s.generation,
            observed_generation: s.observed_generation,
            desired: s.desired,
            updated: s.updated,
            ready: s.ready,
            available: s.available,
            current_revision: s.current_revision,
            update_revision: s.update_revision,
            rolls: s.update_strategy != "OnDelete",
            template_hash: to_hex(&s.template_hash),
            images: s.images,
            manager: s.manager,
            manager_evidence: s.manager_evidence,
            partition: s.partition.unwrap_or_default(),
            first_ordinal: s.first_ordinal,
            parallel: s.pod_management_policy == "Parallel",
            came_out_at: None,
            first_pod_at: None,
            failed_at: None,
            ready_ms: 0,
            earlier: Vec::new(),
        }
    }
}

/// Cuts what is too long; false where the StatefulSet cannot be kept.
pub(super) fn bound(set: &mut v1::StatefulSet) -> bool {
    cut_digest(&mut set.template_hash);
    cut_texts(&mut set.images);
    for text in [
        &mut set.current_revision,
        &mut set.update_revision,
        &mut set.update_strategy,
        &mut set.pod_management_policy,
    ] {
        cut(text, WORD);
    }
    cut(&mut set.manager, WORD);
    cut(&mut set.manager_evidence, TEXT);
    is_meta_kept(set.meta.as_mut())
}

impl StatefulSet {
    /// What is remembered of the state before: when the present revision came out, and how it fared since.
    pub(in crate::world) fn remember(&mut self, before: &Self, received_at: Timestamp) {
        self.earlier.clone_from(&before.earlier);
        if before.update_revision == self.update_revision {
            (self.came_out_at, self.failed_at) = (before.came_out_at, before.failed_at);
            (self.first_pod_at, self.ready_ms) = (before.first_pod_at, before.ready_ms);
        } else if !before.update_revision.is_empty() {
            // Before that its controller had not come to name the first one.
            self.keep_earlier(before);
            let again = self.earlier.iter().find(|one| one.name == self.update_revision);
            // One that may have lasted before it was met is as little known as it was then.
            self.came_out_at = again.is_none_or(|one| !one.met).then_some(received_at);
            self.ready_ms = again.map_or(0, |one| one.ready_ms);
        }
    }

    /// The present revision of the state before becomes an earlier one.
    fn keep_earlier(&mut self, before: &Self) {
        let known = self.earlier.iter().position(|one| one.name == before.update_revision);
        let known = known.map(|at| self.earlier.remove(at));
        self.earlier.push(Earlier {
            name: before.update_revision.clone(),
            met: before.came_out_at.is_none(),
            ready_ms: before.ready_ms.max(known.map_or(0, |one| one.ready_ms)),
        });
        if self.earlier.len() > MAX_EARLIER {
            // The present one may be the one that came out the longest ago.
            let oldest = usize::from(self.earlier[0].name == self.update_revision);
            self.earlier.remove(oldest);
        }
    }

    /// Was the present revision the present one before? Then the one before it is what was given up for it.
    pub fn came_back(&self) -> bool {
        self.earlier.iter().any(|one| one.name == self.update_revision)
    }

    /// What one of its pods tells of its revision, and of when the present one came out, if that was seen.
    /// Since the clock here `jumped`, when a pod was made is by another one.
    pub(in crate::world) fn learn(&mut self, pod: &Pod, received_at: Timestamp, jumped: bool) {
        self.was_ready(&pod.controller_revision, pod.seen_ready_ms.unwrap_or_default());
        if self.came_out_at.is_none() || pod.controller_revision != self.update_revision {
            return;
        }
        if self.failed_at.is_none() {
            self.first_pod_at = self.first_pod_at.or(Some(received_at));
        }
        // A pod of one that came out again may be left from before.
        let made = pod.meta.created_at.filter(|_| !jumped && !self.came_back());
        if let (Some(first), Some(made)) = (&mut self.first_pod_at, made) {
            *first = made.min(*first);
        }
        if !pod.ready && pod.containers.iter().any(|container| container.restarts > 0) {
            self.failed_at = self.failed_at.or(Some(received_at));
        }
    }

    /// One of its pods was ready until then, as far as is known: noted before the pod is gone.
    pub(in crate::world) fn credit(&mut self, pod: &Pod, until: Timestamp) {
        let Some(since) = pod.ready_since.filter(|_| pod.ready) else { return };
        let lasted = u64::try_from(until.duration_since(since).as_millis()).unwrap_or(0);
        self.was_ready(&pod.controller_revision, lasted);
    }

    /// A pod of this revision was ready for so long.
    fn was_ready(&mut self, revision: &str, ms: u64) {
        if self.came_out_at.is_some() && self.update_revision == revision {
            self.ready_ms = self.ready_ms.max(ms);
        }
        if let Some(one) = self.earlier.iter_mut().find(|one| one.name == revision) {
            one.ready_ms = one.ready_ms.max(ms);
        }
    }

    /// The control plane's clock jumped by `by`: how long ago the present revision came out stays what it
    /// was.
    pub(in crate::world) fn clock_jumped(&mut self, by: SignedDuration) {
        let noted = [&mut self.came_out_at, &mut self.first_pod_at, &mut self.failed_at];
        for at in noted.into_iter().flatten() {
            *at = at.saturating_add(by).unwrap_or(*at);
        }
    }

    /// Is another revision being brought out, or a change not even looked at yet? One that has come as far as its partition
    /// lets it stays there until a person moves the partition.
    pub fn is_updating(&self) -> bool {
        let meant = self.desired.saturating_sub(self.partition);
        let held_back = self.partition > 0 && self.updated >= meant;
        self.observed_generation < self.generation
            || (self.rolls && self.current_revision != self.update_revision && !held_back)
    }

    /// The revision of which its controller would make the pod of this name anew; `None` for a name that is not its own.
    pub fn revision_of_new(&self, pod: &str) -> Option<&str> {
        let ordinal: u32 = pod.strip_prefix(self.meta.name.as_str())?.strip_prefix('-')?.parse().ok()?;
        let kept = ordinal < self.first_ordinal.saturating_add(self.partition);
        Some(if kept { &self.current_revision } else { &self.update_revision })
    }

    /// What a person does about its present revision where that is to blame, as an imperative: where a tool keeps the set, it
    /// is changed there.
    pub fn mend(&self) -> String {
        if !self.manager.is_empty() {
            let tool = manager_name(&self.manager);
            return format!("change its template where {tool} keeps it ({})", self.manager_evidence);
        }
        // Undone once more it would be the revision that was given up for this one.
        if self.came_back() {
            return format!(
                "correct its template, or what it depends on (revision {} was the present one before and came back, and the \
                 one before it was given up for it)",
                self.update_revision
            );
        }
        format!(
            "go back to the revision before with `kubectl -n {} rollout undo statefulset/{}`",
            self.meta.namespace, self.meta.name
        )
    }

    /// The command by which a person deletes the pod of this name, one of its own.
    pub fn delete_command(&self, pod: &str) -> String {
        format!("kubectl -n {} delete pod {pod}", self.meta.namespace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn of(update_revision: &str) -> StatefulSet {
        v1::StatefulSet { update_revision: update_revision.into(), ..Default::default() }.into()
    }

    #[test]
    fn the_earlier_revisions_are_bounded_and_the_oldest_that_is_not_the_present_one_goes_first() {
        let mut set = of("db-0");
        let next = |set: &mut StatefulSet, revision: &str, second: i64| {
            let before = std::mem::replace(set, of(revision));
            set.remember(&before, at(second));
        };
        for n in 1..=10 {
            next(&mut set, &format!("db-{n}"), n);
        }
        assert!(!set.came_back() && set.came_out_at == Some(at(10)));
        let names = |set: &StatefulSet| -> Vec<String> {
            set.earlier.iter().map(|one| one.name.trim_start_matches("db-").to_owned()).collect()
        };
        assert_eq!(names(&set), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
        next(&mut set, "db-0", 11);
        assert!(set.came_back() && set.came_out_at.is_none(), "it was there when the set was first met");
        assert_eq!(names(&set), ["0", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
        next(&mut set, "db-5", 12);
        assert!(set.came_back() && set.came_out_at == Some(at(12)));
        assert_eq!(names(&set), ["2", "3", "4", "5", "6", "7", "8", "9", "10", "0"]);
    }

    #[test]
    fn how_it_is_mended_depends_on_who_keeps_it_and_on_what_was_there_before() {
        let mut set = of("db-1");
        (set.meta.namespace, set.meta.name) = ("shop".into(), "db".into());
        let undo = "go back to the revision before with `kubectl -n shop rollout undo statefulset/db`";
        assert_eq!(set.mend(), undo);
        assert_eq!(set.delete_command("db-0"), "kubectl -n shop delete pod db-0");
        set.earlier.push(Earlier { name: "db-1".into(), met: true, ready_ms: 0 });
        let again = set.mend();
        assert!(again.contains("revision db-1 was the present one") && !again.contains("undo"), "{again}");
        (set.manager, set.manager_evidence) = ("flux".into(), "label x".into());
        assert_eq!(set.mend(), "change its template where Flux keeps it (label x)");
    }

    /// Versions before noted more of an earlier revision than is read now.
    #[test]
    fn an_earlier_revision_of_an_older_snapshot_is_read() {
        let older = r#"{"name":"db-1","met":true,"ready_ms":5,"failed":true}"#;
        let read: Earlier = serde_json::from_str(older).unwrap();
        assert_eq!(read, Earlier { name: "db-1".into(), met: true, ready_ms: 5 });
    }
}
