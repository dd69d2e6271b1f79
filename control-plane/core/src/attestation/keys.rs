//! The public keys of a cluster, as they change: its leading agent brings the set that the API server publishes now.
//!
//! An API server gets a new signing key every now and then, and of several API servers one has it before the others. So a new
//! key counts at once, and one that is published no more still counts for a while.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::model::{ClusterIdentity, RetiredKey};

/// How long a key still counts that is published no more: as long as the tokens hold that a kubelet gets for pods by default.
pub const RETIRED_FOR: SignedDuration = SignedDuration::from_hours(1);
/// Least time between two changes of one cluster's keys: each is an audit row, and whoever has the leading agent may ask for them.
pub const CHANGED_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// Most keys of one cluster that are remembered after they were published; of more, those that count longest.
pub const MOST_RETIRED: usize = 32;

/// What a published set of keys comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// Known already.
    Same,
    /// It is another one, too soon after the last change.
    TooSoon,
    /// What is known from now on.
    Changed {
        /// With the new keys.
        identity: ClusterIdentity,
        /// Names of the keys that were not published before.
        new: Vec<String>,
        /// Names of the keys that are published no more.
        gone: Vec<String>,
    },
}

/// What follows from `json`, a key set that was found to be one, for a cluster of which `known` is known.
pub fn published(known: &ClusterIdentity, json: &str, now: Timestamp) -> Published {
    let (before, after) = (keys_of(&known.keys), keys_of(json));
    if before == after {
        return Published::Same;
    }
    if now < known.since.saturating_add(CHANGED_EVERY).unwrap_or(Timestamp::MAX) {
        return Published::TooSoon;
    }
    let until = now.saturating_add(RETIRED_FOR).unwrap_or(Timestamp::MAX);
    let names = |keys: &mut dyn Iterator<Item = &String>| keys.map(|key| name_of(key)).collect();
    let new = names(&mut after.difference(&before));
    let gone: Vec<String> = names(&mut before.difference(&after));
    let mut retired: Vec<RetiredKey> = known
        .retired
        .iter()
        .filter(|retired| now < retired.until && !after.contains(&retired.key))
        .cloned()
        .chain(before.difference(&after).map(|key| RetiredKey { key: key.clone(), until }))
        .collect();
    retired.sort_by_key(|retired| std::cmp::Reverse(retired.until));
    retired.truncate(MOST_RETIRED);
    let identity = ClusterIdentity { keys: json.to_owned(), since: now, retired, ..known.clone() };
    Published::Changed { identity, new, gone }
}

/// The keys that are published no more and still count, as a key set; `None` where there is none.
pub fn retired(known: &ClusterIdentity, now: Timestamp) -> Option<String> {
    let still = known.retired.iter().filter(|retired| now < retired.until);
    let keys: Vec<Value> = still.filter_map(|retired| serde_json::from_str(&retired.key).ok()).collect();
    (!keys.is_empty()).then(|| serde_json::json!({ "keys": keys }).to_string())
}

/// Each key of a set, as it is written.
fn keys_of(json: &str) -> BTreeSet<String> {
    let set: Value = serde_json::from_str(json).unwrap_or_default();
    set["keys"].as_array().into_iter().flatten().map(Value::to_string).collect()
}

/// What people call a key: its id, cut to what fits a line.
fn name_of(key: &str) -> String {
    let key: Value = serde_json::from_str(key).unwrap_or_default();
    let name: String = key["kid"].as_str().unwrap_or_default().chars().take(64).collect();
    if name.is_empty() { "one without an id".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn set(ids: &[&str]) -> String {
        let keys: Vec<Value> = ids
            .iter()
            .map(|id| serde_json::json!({"kty": "RSA", "kid": id, "n": "AQ", "e": "AQAB"}))
            .collect();
        serde_json::json!({ "keys": keys }).to_string()
    }

    fn known(ids: &[&str]) -> ClusterIdentity {
        ClusterIdentity {
            issuer: "https://kubernetes.default.svc".into(),
            keys: set(ids),
            namespace: "nimbus-system".into(),
            service_account: "nimbus-agent".into(),
            since: at(-9_000),
            token: "tok_00000000000000000000000000000001".parse().unwrap(),
            retired: Vec::new(),
        }
    }

    fn changed(known: &ClusterIdentity, ids: &[&str], now: i64) -> ClusterIdentity {
        match published(known, &set(ids), at(now)) {
            Published::Changed { identity, .. } => identity,
            other @ (Published::Same | Published::TooSoon) => panic!("{other:?}"),
        }
    }

    fn ids(json: Option<String>) -> Vec<String> {
        keys_of(&json.unwrap_or_default()).iter().map(|key| name_of(key)).collect()
    }

    #[test]
    fn a_new_key_counts_at_once_and_an_old_one_for_an_hour_more() {
        let old = known(&["a"]);
        let Published::Changed { identity, new, gone } = published(&old, &set(&["b"]), at(0)) else {
            panic!("another set changes what is known")
        };
        assert_eq!((new, gone), (vec!["b".to_owned()], vec!["a".to_owned()]));
        assert_eq!((identity.keys.as_str(), identity.since), (set(&["b"]).as_str(), at(0)));
        assert_eq!((&identity.issuer, identity.token), (&old.issuer, old.token), "nothing else does");
        assert_eq!(ids(retired(&identity, at(3_599))), ["a"]);
        assert_eq!(retired(&identity, at(3_600)), None);
        assert_eq!(retired(&old, at(0)), None);
    }

    /// Of several API servers one has the new key first, and the leading agent is answered by each in turn.
    #[test]
    fn of_sets_that_come_and_go_every_key_counts() {
        let both = changed(&known(&["a"]), &["a", "b"], 0);
        assert_eq!(both.retired, []);
        let one = changed(&both, &["a"], 60);
        assert_eq!(ids(retired(&one, at(61))), ["b"]);
        let again = changed(&one, &["a", "b"], 120);
        assert_eq!(again.retired, [], "what is published again is not on its way out");
        let third = changed(&one, &["c"], 600);
        assert_eq!(ids(retired(&third, at(3_659))), ["a", "b"]);
        assert_eq!(ids(retired(&third, at(3_660))), ["a"], "each by when it was published last");
    }

    #[test]
    fn the_same_set_in_another_order_changes_nothing_and_changes_have_their_pace() {
        let two = known(&["a", "b"]);
        assert_eq!(published(&two, &set(&["b", "a"]), at(0)), Published::Same);
        let next = changed(&two, &["c"], 0);
        assert_eq!(published(&next, &set(&["d"]), at(59)), Published::TooSoon);
        assert_eq!(published(&next, &set(&["c"]), at(59)), Published::Same);
        changed(&next, &["d"], 60);
    }

    #[test]
    fn however_many_keys_come_and_go_a_bounded_number_is_remembered() {
        let mut it = known(&["a"]);
        for turn in 0..100 {
            it = changed(&it, &[&turn.to_string()], turn * 60);
        }
        assert_eq!(it.retired.len(), MOST_RETIRED);
        assert!(ids(retired(&it, at(99 * 60))).contains(&"98".to_owned()), "the newest are");
    }
}
