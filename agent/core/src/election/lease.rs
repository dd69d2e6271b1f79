//! The fields of the `coordination.k8s.io/v1` Lease that the election reads and writes. Fields that this version does
//! not know are left as they are.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::MAX_DURATION;

/// Annotation with the term. `spec.leaseTransitions` counts from 0 again when the Lease is made anew; the term does not.
const TERM: &str = "nimbus.dev/term";
/// Annotation with the identity that leads under the term, empty once it gave the Lease back. It has to agree with
/// `spec.holderIdentity`, so that an edit of one of the two is noticed.
const LEADER: &str = "nimbus.dev/leader";
/// Terms are at least the minutes since 1970 at their beginning. One further ahead of the own clock than a year was not
/// made by an agent; it counts as none, so that nobody can use up the terms.
pub(super) const AHEAD: u64 = 366 * 24 * 60;

/// A Lease with a resourceVersion, or one that is to be made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lease {
    /// `metadata.resourceVersion`; empty for one that is to be made.
    pub version: String,
    /// `spec.holderIdentity`; empty when absent.
    pub holder: String,
    /// The annotation that names the leader; `None` when absent.
    pub leader: Option<String>,
    /// The annotation with the term; 0 when absent.
    pub term: u64,
    /// `spec.leaseDurationSeconds`; 0 when absent.
    pub seconds: u64,
    /// `spec.leaseTransitions`; `None` when absent.
    pub transitions: Option<i64>,
    /// `spec.renewTime`; `None` when absent or unreadable. For people: nothing is decided by it.
    pub renewed: Option<Timestamp>,
    /// `spec.acquireTime`, likewise.
    pub acquired: Option<Timestamp>,
    /// The whole object as it was read.
    pub(super) object: Value,
}

impl Lease {
    /// The Lease in `object`; `None` for something without a resourceVersion, which must never be written back: without
    /// one the write would win against every other.
    pub fn read(object: Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let time = |value: &Value| value.as_str().and_then(|time| time.parse().ok());
        let (metadata, spec) = (&object["metadata"], &object["spec"]);
        let term = metadata["annotations"][TERM].as_str().and_then(|term| term.parse().ok());
        let lease = Self {
            version: text(&metadata["resourceVersion"]),
            holder: text(&spec["holderIdentity"]),
            leader: metadata["annotations"][LEADER].as_str().map(str::to_owned),
            term: term.unwrap_or_default(),
            seconds: spec["leaseDurationSeconds"].as_u64().unwrap_or_default(),
            transitions: spec["leaseTransitions"].as_i64(),
            renewed: time(&spec["renewTime"]),
            acquired: time(&spec["acquireTime"]),
            object: Value::Null,
        };
        (!lease.version.is_empty()).then_some(Self { object, ..lease })
    }

    /// The object to send, under `name`.
    pub fn write(&self, name: &str) -> Value {
        let mut object = self.object.clone();
        let mut put = |path: &[&str], value: Value| set(&mut object, path, value);
        put(&["apiVersion"], json!("coordination.k8s.io/v1"));
        put(&["kind"], json!("Lease"));
        put(&["metadata", "name"], json!(name));
        put(&["metadata", "annotations", TERM], json!(self.term.to_string()));
        if let Some(leader) = &self.leader {
            put(&["metadata", "annotations", LEADER], json!(leader));
        }
        put(&["spec", "holderIdentity"], json!(self.holder));
        if self.seconds > 0 {
            put(&["spec", "leaseDurationSeconds"], json!(self.seconds));
        }
        if let Some(transitions) = self.transitions {
            put(&["spec", "leaseTransitions"], json!(transitions));
        }
        for (field, time) in [("renewTime", self.renewed), ("acquireTime", self.acquired)] {
            if let Some(time) = time {
                put(&["spec", field], json!(micro_time(time)));
            }
        }
        object
    }

    /// One that is to be made: nobody holds it, and nobody gave it back.
    pub(super) fn new(term: u64, duration: Duration) -> Self {
        Self { term, seconds: duration.as_secs(), ..Self::default() }
    }

    /// True where its last leader gave it back.
    pub(super) fn is_released(&self) -> bool {
        self.leader.as_deref() == Some("") && self.holder.is_empty()
    }

    /// True where `identity` leads, by both places that name the leader.
    pub(super) fn is_of(&self, identity: &str) -> bool {
        self.leader.as_deref() == Some(identity) && self.holder == identity
    }

    /// True where both places name the same leader.
    pub(super) fn is_held(&self) -> bool {
        !self.holder.is_empty() && self.leader.as_deref() == Some(&self.holder)
    }

    /// How long it has to stay unchanged before another replica may take it; at least the replica's `own` duration,
    /// at most [`MAX_DURATION`] unless that is longer.
    pub(super) fn patience(&self, own: Duration) -> Duration {
        Duration::from_secs(self.seconds).min(MAX_DURATION).max(own)
    }

    /// As `identity` takes it, under `term`.
    pub(super) fn acquired_by(
        mut self,
        identity: &str,
        term: u64,
        duration: Duration,
        wall: Timestamp,
    ) -> Self {
        identity.clone_into(&mut self.holder);
        self.leader = Some(identity.to_owned());
        self.term = term;
        self.seconds = duration.as_secs();
        // The API server takes 32 bits.
        let next = |before: i64| before.saturating_add(1).clamp(0, i64::from(i32::MAX));
        self.transitions = Some(self.transitions.map_or(0, next));
        self.acquired = Some(wall);
        self.renewed = Some(wall);
        self
    }

    /// As its leader renews it.
    pub(super) fn renewed_at(mut self, wall: Timestamp) -> Self {
        self.renewed = Some(wall);
        self
    }

    /// As its leader gives it back.
    pub(super) fn released(mut self, wall: Timestamp) -> Self {
        self.holder.clear();
        self.leader = Some(String::new());
        self.renewed = Some(wall);
        self
    }
}

fn minutes(wall: Timestamp) -> u64 {
    u64::try_from(wall.as_second() / 60).unwrap_or_default()
}

/// A term, or 0 where it is too far ahead of the time of day.
pub(super) fn plausible_term(term: u64, wall: Timestamp) -> u64 {
    if term > minutes(wall).saturating_add(AHEAD) { 0 } else { term }
}

/// The term that follows `before`.
pub(super) fn next_term(before: u64, wall: Timestamp) -> u64 {
    plausible_term(before, wall).saturating_add(1).max(minutes(wall))
}

/// Puts a value into an object of somebody else; whatever stands on the way and is no object is replaced by one.
fn set(object: &mut Value, path: &[&str], to: Value) {
    let Some((key, rest)) = path.split_first() else {
        *object = to;
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    if let Value::Object(fields) = object {
        set(fields.entry(*key).or_insert(Value::Null), rest, to);
    }
}

/// Kubernetes' MicroTime: RFC 3339 with exactly six digits.
fn micro_time(at: Timestamp) -> String {
    format!("{at:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall() -> Timestamp {
        Timestamp::from_second(30_000_000 * 60).unwrap()
    }

    #[test]
    fn a_term_grows_by_one_and_one_that_no_agent_made_counts_for_none() {
        assert_eq!(next_term(0, wall()), 30_000_000);
        assert_eq!(next_term(30_000_000, wall()), 30_000_001);
        assert_eq!(next_term(30_000_000 + AHEAD, wall()), 30_000_001 + AHEAD);
        for odd in [30_000_001 + AHEAD, u64::MAX - 1, u64::MAX] {
            assert_eq!(next_term(odd, wall()), 30_000_000);
        }
    }

    #[test]
    fn an_odd_lease_is_put_right_and_keeps_what_the_election_does_not_know() {
        for odd in [
            json!({ "metadata": { "resourceVersion": "1", "annotations": "x" }, "spec": [] }),
            json!({ "metadata": { "resourceVersion": "1", "annotations": [1] }, "spec": "x" }),
            json!({ "metadata": { "resourceVersion": "1" }, "spec": { "leaseTransitions": i64::MAX } }),
        ] {
            let read = Lease::read(odd.clone()).unwrap();
            assert!(!read.is_released() && !read.is_held() && !read.is_of("a"), "{odd}");
            let taken = read.acquired_by("a", 7, Duration::from_secs(15), wall()).write("watch");
            assert_eq!(taken["metadata"]["resourceVersion"], "1");
            assert_eq!(taken["metadata"]["annotations"], json!({ TERM: "7", LEADER: "a" }));
            assert!(taken["spec"]["leaseTransitions"].as_i64().unwrap() <= i64::from(i32::MAX));
            assert!(Lease::read(taken).unwrap().is_of("a"));
        }
        let kept = json!({ "metadata": { "resourceVersion": "1", "labels": { "x": "y" } }, "spec": { "strategy": "z" } });
        let written =
            Lease::read(kept).unwrap().acquired_by("a", 7, Duration::from_secs(15), wall()).write("watch");
        assert_eq!(
            (&written["metadata"]["labels"]["x"], &written["spec"]["strategy"]),
            (&json!("y"), &json!("z"))
        );
    }

    #[test]
    fn what_has_no_version_is_no_lease_that_could_be_written() {
        for odd in [json!([]), json!("x"), json!({ "metadata": [] }), json!({ "metadata": { "name": "x" } })]
        {
            assert_eq!(Lease::read(odd), None);
        }
    }

    #[test]
    fn a_lease_survives_its_json_and_its_times_have_six_digits() {
        let made = Lease::new(5, Duration::from_secs(15)).write("watch");
        assert_eq!(made["metadata"], json!({ "name": "watch", "annotations": { TERM: "5" } }));
        let mut stored = made;
        stored["metadata"]["resourceVersion"] = json!("9");
        let taken = Lease::read(stored).unwrap().acquired_by("a", 6, Duration::from_secs(15), wall());
        let written = taken.write("watch");
        assert_eq!(written["spec"]["renewTime"], "2027-01-15T08:00:00.000000Z");
        let again = Lease::read(written.clone()).unwrap();
        assert_eq!(Lease { object: Value::Null, ..again.clone() }, Lease { object: Value::Null, ..taken });
        assert_eq!(again.write("watch"), written);
        let back = Lease::read(again.released(wall()).write("watch")).unwrap();
        assert!(back.is_released() && !back.is_of("a"));
    }

    #[test]
    fn an_edited_holder_is_neither_free_nor_anybodys() {
        let held = Lease { holder: "a".into(), leader: Some("a".into()), ..Lease::default() };
        assert!(held.is_held() && held.is_of("a") && !held.is_of("b") && !held.is_released());
        for edited in [
            Lease { holder: String::new(), ..held.clone() },
            Lease { holder: "b".into(), ..held.clone() },
            Lease { leader: None, ..held.clone() },
            Lease { leader: Some(String::new()), ..held.clone() },
        ] {
            assert!(!edited.is_held() && !edited.is_released(), "{edited:?}");
            assert!(!edited.is_of("a") && !edited.is_of("b"), "{edited:?}");
        }
    }

    #[test]
    fn a_duration_is_believed_within_bounds() {
        let lease = |seconds| Lease { seconds, ..Lease::default() };
        let own = Duration::from_secs(15);
        assert_eq!(lease(0).patience(own), own);
        assert_eq!(lease(40).patience(own), Duration::from_secs(40));
        assert_eq!(lease(u64::MAX).patience(own), MAX_DURATION);
        assert_eq!(lease(1).patience(own), own);
    }
}
