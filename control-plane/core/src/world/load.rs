//! How busy the workloads are that ask to be scaled out, as the leading agent reads it from the cluster's metrics API.
//!
//! The latest figures are kept, and beside them how busy each was within the last hours, by which it is told since when it is; that is not
//! stored. A workload of which not every pod was measured is as busy as is not known, and nothing is concluded from it.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::bounds::{NAME, TEXT, WORD, cut, is_meta_kept};
use super::meta::Meta;

/// Most workloads of one cluster that are kept; what further ones use is not known.
pub const MAX_WORKLOADS: usize = 200;
/// Most looks that are remembered of one: two hours and more.
const MAX_LOOKS: usize = 400;
/// Two looks that are further apart say nothing of the time between them, and what was read longer ago nothing of now: an agent looks every
/// half of a minute.
const APART: SignedDuration = SignedDuration::from_mins(3);
/// In which steps a change is news, thousandths. Thresholds are whole multiples of it.
pub const STEP: u64 = 50;

/// The newest figures of every workload that asks to be scaled out, by its UID.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkloadLoads(BTreeMap<String, WorkloadLoad>);

/// How busy a workload is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadLoad {
    /// Which.
    pub meta: Meta,
    /// `Deployment` or `StatefulSet`.
    pub kind: String,
    /// When its agent read it.
    pub at: Timestamp,
    /// How many pods are asked for.
    pub replicas: u32,
    /// How many of them are ready.
    pub ready: u32,
    /// Is what is specified out: no rollout, no pod too many, not paused?
    pub settled: bool,
    /// Its pods, and those that were measured.
    pub pods: u32,
    /// See `pods`.
    pub measured: u32,
    /// Thousandths of a CPU that those use, and ask for.
    pub used_milli: u64,
    /// See `used_milli`.
    pub asked_milli: u64,
    /// It may have so many, by its label; `None` where it asks for nothing any more.
    pub scale_to: Option<u32>,
    /// What Nimbus scaled it from and to last; `None` where it did not.
    pub scaled: Option<(u32, u32)>,
    /// Who keeps how many it has; empty where nobody known does.
    pub manager: String,
    /// What says so.
    pub manager_evidence: String,
    /// What says that a VerticalPodAutoscaler sets what its pods ask for; empty where nothing does.
    pub vertical: String,
    /// When it was looked at, and how busy it was then, thousandths; `None` where that was not known.
    #[serde(skip)]
    looks: VecDeque<(Timestamp, Option<u64>)>,
}

impl WorkloadLoad {
    fn of(told: &v1::WorkloadLoad, at: Timestamp) -> Self {
        let scaled = (told.scaled_from, told.scaled_to);
        Self {
            meta: told.meta.clone().unwrap_or_default().into(),
            kind: told.kind.clone(),
            at,
            replicas: told.replicas,
            ready: told.ready,
            settled: told.settled,
            pods: told.pods,
            measured: told.measured,
            used_milli: told.used_milli,
            asked_milli: told.asked_milli,
            scale_to: Some(told.scale_to).filter(|to| *to > 0),
            scaled: Some(scaled).filter(|(from, to)| *from > 0 && to > from),
            manager: told.manager.clone(),
            manager_evidence: told.manager_evidence.clone(),
            vertical: told.vertical.clone(),
            looks: VecDeque::new(),
        }
    }

    /// Thousandths of the CPU that its pods ask for that they use; `None` where not every pod was measured.
    pub fn permille(&self) -> Option<u64> {
        let all = self.pods > 0 && self.measured == self.pods && self.asked_milli > 0;
        all.then(|| self.used_milli.saturating_mul(1_000) / self.asked_milli.max(1))
    }

    /// The same, where it is of now.
    pub fn permille_now(&self, now: Timestamp) -> Option<u64> {
        self.permille().filter(|_| now.duration_since(self.at).abs() <= APART)
    }

    /// Since when every look showed what `holds`, without a break; `None` where the last one did not, or is not of now.
    pub fn since(&self, now: Timestamp, holds: impl Fn(u64) -> bool) -> Option<Timestamp> {
        let (mut since, mut next) = (None, now);
        for (at, permille) in self.looks.iter().rev() {
            let near = next.duration_since(*at).abs() <= APART;
            if !near || !permille.is_some_and(&holds) {
                break;
            }
            (since, next) = (Some(*at), *at);
        }
        since
    }

    /// What Nimbus scaled it from, where what it set last is what it has still: else somebody else set another number since.
    pub fn scaled_out_from(&self) -> Option<u32> {
        self.scaled.filter(|(_, to)| *to == self.replicas).map(|(from, _)| from)
    }

    fn is_judged_as(&self, before: &Self) -> bool {
        let step = |one: &Self| one.permille().map(|permille| permille / STEP);
        let rest = |one: &Self| {
            (
                one.replicas,
                one.ready,
                one.settled,
                one.scale_to,
                one.scaled,
                one.manager.clone(),
                one.vertical.clone(),
            )
        };
        step(self) == step(before) && rest(self) == rest(before)
    }
}

impl WorkloadLoads {
    /// Takes the figures of a workload; true when they are news.
    pub(super) fn put(&mut self, told: &v1::WorkloadLoad, observed_at: Timestamp) -> bool {
        let Some(uid) = told.meta.as_ref().map(|meta| meta.uid.clone()).filter(|uid| !uid.is_empty()) else {
            return false;
        };
        // The last word of one that is gone already makes it not known again.
        let is_new = !self.0.contains_key(&uid);
        if is_new && self.0.len() >= MAX_WORKLOADS {
            // One that asks for nothing any more makes room for one that does.
            let idle = self.0.iter().find(|(_, one)| one.scale_to.is_none() && one.scaled.is_none());
            if let Some(idle) = idle.map(|(uid, _)| uid.clone()) {
                self.0.remove(&idle);
            }
        }
        if is_new && ((told.scale_to == 0 && told.scaled_to == 0) || self.0.len() >= MAX_WORKLOADS) {
            return false;
        }
        let mut load = WorkloadLoad::of(told, observed_at);
        let mut before = self.0.remove(&uid);
        load.looks = before.as_mut().map(|before| std::mem::take(&mut before.looks)).unwrap_or_default();
        // What comes late, or after the clock went back, follows nothing.
        if load.looks.back().is_some_and(|(at, _)| *at > observed_at) {
            load.looks.clear();
        }
        load.looks.push_back((observed_at, load.permille()));
        if load.looks.len() > MAX_LOOKS {
            load.looks.pop_front();
        }
        let is_news = !before.is_some_and(|before| load.is_judged_as(&before));
        self.0.insert(uid, load);
        is_news
    }

    /// That of the workload with this UID.
    pub fn get(&self, uid: &str) -> Option<&WorkloadLoad> {
        self.0.get(uid)
    }

    /// All of them.
    pub fn values(&self) -> impl Iterator<Item = &WorkloadLoad> {
        self.0.values()
    }

    /// Forgets those of workloads that are no more.
    pub(super) fn keep_only(&mut self, is_there: impl Fn(&str) -> bool) {
        self.0.retain(|uid, _| is_there(uid));
    }

    /// Forgets that of a workload that is no more.
    pub(super) fn forget(&mut self, uid: &str) {
        self.0.remove(uid);
    }
}

/// Cuts what is too long; false where it cannot be kept.
pub(super) fn bound(told: &mut v1::WorkloadLoad) -> bool {
    cut(&mut told.kind, NAME);
    cut(&mut told.manager, WORD);
    cut(&mut told.manager_evidence, TEXT);
    cut(&mut told.vertical, TEXT);
    is_meta_kept(told.meta.as_mut())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn told(used_milli: u64) -> v1::WorkloadLoad {
        let meta = v1::ObjectMeta { uid: "d".into(), name: "web".into(), ..v1::ObjectMeta::default() };
        v1::WorkloadLoad {
            meta: Some(meta),
            replicas: 2,
            pods: 2,
            measured: 2,
            used_milli,
            asked_milli: 1_000,
            scale_to: 10,
            ..v1::WorkloadLoad::default()
        }
    }

    fn since(looks: &[(i64, u64)], now: i64) -> Option<Timestamp> {
        let mut all = WorkloadLoads::default();
        for (seconds, used) in looks {
            all.put(&told(*used), at(*seconds));
        }
        all.get("d").unwrap().since(at(now), |permille| permille >= 800)
    }

    #[test]
    fn since_when_it_is_busy_is_told_without_a_break() {
        assert_eq!(since(&[(0, 900), (30, 850), (60, 800)], 60), Some(at(0)));
        assert_eq!(since(&[(0, 900), (30, 799), (60, 800), (90, 900)], 90), Some(at(60)));
        assert_eq!(since(&[(0, 900), (30, 700)], 30), None);
        assert_eq!(
            since(&[(0, 900), (30, 900), (300, 900)], 300),
            Some(at(300)),
            "nobody looked for minutes"
        );
        assert_eq!(since(&[(0, 900), (30, 900)], 300), None, "nobody looks any more");
        assert_eq!(since(&[(1_000, 900), (30, 900), (60, 900)], 60), Some(at(30)), "the clock went back");
    }

    #[test]
    fn what_is_not_measured_whole_is_not_known() {
        let load = |change: fn(&mut v1::WorkloadLoad)| {
            let mut told = told(900);
            change(&mut told);
            WorkloadLoad::of(&told, at(0)).permille()
        };
        assert_eq!(load(|_| {}), Some(900));
        assert_eq!(load(|it| it.measured = 1), None);
        assert_eq!(load(|it| it.pods = 0), None);
        assert_eq!(load(|it| it.asked_milli = 0), None);
        assert_eq!(load(|it| it.used_milli = u64::MAX), Some(u64::MAX / 1_000));
        let load = WorkloadLoad::of(&told(900), at(0));
        assert_eq!((load.permille_now(at(180)), load.permille_now(at(181))), (Some(900), None));
    }

    #[test]
    fn the_number_is_nimbus_own_only_while_nobody_set_another() {
        let scaled = |from, to, replicas| {
            let told = v1::WorkloadLoad { scaled_from: from, scaled_to: to, replicas, ..told(900) };
            WorkloadLoad::of(&told, at(0)).scaled_out_from()
        };
        assert_eq!(scaled(2, 4, 4), Some(2));
        for (from, to, replicas) in [(2, 4, 5), (2, 4, 3), (0, 0, 4), (4, 4, 4), (5, 4, 4), (0, 4, 4)] {
            assert_eq!(scaled(from, to, replicas), None);
        }
    }

    #[test]
    fn only_so_many_are_kept_and_small_moves_are_no_news() {
        let mut all = WorkloadLoads::default();
        assert!(all.put(&told(810), at(0)));
        assert!(!all.put(&told(840), at(30)));
        assert!(all.put(&told(860), at(60)));
        let meta = |n: usize| v1::ObjectMeta { uid: format!("u{n}"), ..v1::ObjectMeta::default() };
        // What is not known and asks for nothing is gone already.
        assert!(!all.put(&v1::WorkloadLoad { meta: Some(meta(0)), scale_to: 0, ..told(1) }, at(60)));
        for n in 0..2 * MAX_WORKLOADS {
            all.put(&v1::WorkloadLoad { meta: Some(meta(n)), ..told(1) }, at(60));
        }
        assert_eq!(all.values().count(), MAX_WORKLOADS);
        for n in 0..2_000 {
            all.put(&told(900), at(60 + n));
        }
        assert_eq!(all.get("d").unwrap().looks.len(), MAX_LOOKS);
        all.keep_only(|uid| uid == "d");
        assert_eq!(all.values().count(), 1);
        all.forget("d");
        assert_eq!(all.get("d"), None);
    }

    #[test]
    fn one_that_asks_for_nothing_any_more_makes_room() {
        let of = |n: usize, scale_to| {
            let meta = v1::ObjectMeta { uid: format!("d{n}"), ..v1::ObjectMeta::default() };
            v1::WorkloadLoad { meta: Some(meta), scale_to, ..told(100) }
        };
        let mut loads = WorkloadLoads::default();
        for n in 0..MAX_WORKLOADS {
            assert!(loads.put(&of(n, 5), at(0)));
        }
        assert!(!loads.put(&of(999, 5), at(0)), "there is no room");
        loads.put(&of(7, 0), at(30));
        assert!(loads.put(&of(999, 5), at(30)));
        assert!(loads.get("d7").is_none() && loads.get("d999").is_some());
    }
}
