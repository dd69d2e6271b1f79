//! Are the Secrets there that the values name, with what the charts take from them?

use jiff::Timestamp;

use super::{Snapshot, Values};
use crate::check::{Check, Gathered, Judged, Open, Outcome, Verdict};
use crate::doctor::{Life, life};
use crate::secrets::{JOIN, Named, PULL};
use crate::words::{count, list, sentences};

/// Days before its end from which a certificate is worth a look: whoever renews it should have done so.
const NOTICED_DAYS: i64 = 14;
/// The key of a Secret for pulling images of the older type.
const OLD_PULL: &str = ".dockercfg";

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "secrets", what: "the Secrets that the values name are there, with their keys", judge };

/// A Secret that values name, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// Which one.
    pub named: Named,
    /// The namespace that it is to be in.
    pub namespace: String,
    /// When it was looked at.
    pub at: Timestamp,
    /// What is known of it; none: it is not there.
    pub found: Gathered<Option<Held>>,
}

/// What a Secret holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// The keys that have a value.
    pub keys: Vec<String>,
    /// The life of the certificate in it, or why what it holds is none; none: no certificate is looked for in it.
    pub certificate: Option<Gathered<Life>>,
}

fn judge(snapshot: &Snapshot) -> Judged {
    snapshot.needs()?;
    if snapshot.values == Ok(Values::NotGiven) {
        return Err(Open::NotAsked("--charts DIR --control-plane-values FILE --agent-values FILE"));
    }
    let Some(looked) = &snapshot.secrets else {
        return Err(Open::NotAsked("nimbus preflight with the same values"));
    };
    let outcomes: Vec<Outcome> = looked.iter().map(of_one).collect();
    // The worst first; what cannot be told is worse than what is worth a look.
    for verdict in [Verdict::Failure, Verdict::Unknown, Verdict::Warning] {
        let of: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.verdict == verdict).collect();
        if of.is_empty() {
            continue;
        }
        let found: Vec<&str> = of.iter().map(|outcome| outcome.found.as_str()).collect();
        let mut remedies: Vec<&str> = Vec::new();
        for outcome in &of {
            if !remedies.contains(&outcome.remedy.as_str()) {
                remedies.push(&outcome.remedy);
            }
        }
        return Ok(Outcome { verdict, found: sentences(&found), remedy: sentences(&remedies) });
    }
    if outcomes.is_empty() {
        return Ok(Outcome::pass("the values name no Secret"));
    }
    let found: Vec<&str> = outcomes.iter().map(|outcome| outcome.found.as_str()).collect();
    let all = count(outcomes.len(), "Secret is", "Secrets are");
    Ok(Outcome::pass(format!("{all} there: {}", sentences(&found))))
}

fn of_one(looked: &Looked) -> Outcome {
    let Looked { named: Named { name, value, keys, .. }, namespace, at, found } = looked;
    let held = match found {
        Err(unread) => {
            return Outcome::unknown(
                format!("{name} in {namespace} ({value}): {}", unread.why),
                unread.remedy.clone(),
            );
        }
        Ok(None) => return absent(looked),
        Ok(Some(held)) => held,
    };
    let has = |key: &String| held.keys.contains(key);
    let is_old_pull = *value == PULL && held.keys.iter().any(|key| key == OLD_PULL);
    let missing: Vec<&String> = keys.iter().filter(|key| !has(key) && !is_old_pull).collect();
    if !missing.is_empty() {
        let there = if held.keys.is_empty() { "none".to_owned() } else { list(&held.keys) };
        return Outcome::failure(
            format!(
                "the Secret {name} in {namespace} ({value}) has nothing under {}; found {there}",
                list(&missing)
            ),
            format!("make {name} anew with {}, or name another one in {value}", list(keys)),
        );
    }
    match &held.certificate {
        None => Outcome::pass(format!("{name} ({value})")),
        Some(Err(unread)) => Outcome::failure(unread.why.clone(), unread.remedy.clone()),
        Some(Ok(certificate)) => {
            let remedy = format!("renew it, and put it into the Secret {name} in {namespace}");
            life(certificate, *at, NOTICED_DAYS, &remedy)
        }
    }
}

fn absent(looked: &Looked) -> Outcome {
    let Looked { named: Named { name, value, keys, .. }, namespace, .. } = looked;
    let found = format!("there is no Secret {name} in {namespace}, which {value} names");
    if *value == JOIN {
        // It cannot be there before the control plane runs.
        return Outcome::warning(
            found,
            format!(
                "before the agents' chart is installed, put a token of `nimbus agents token create --kind cluster` into it: kubectl \
                 --namespace {namespace} create secret generic {name} --from-file={}=/dev/stdin",
                list(keys)
            ),
        );
    }
    let with = if keys.is_empty() { String::new() } else { format!(" with {}", list(keys)) };
    Outcome::failure(found, format!("make {name} in the namespace {namespace}{with}, or correct {value}"))
}
