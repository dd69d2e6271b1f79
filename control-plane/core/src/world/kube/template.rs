//! What a pod template says, as its agent reports it: redacted, and by path.

use nimbus_protocol::{to_hex, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{ITEMS, WORD, cut, cut_digest};

/// One value of a pod template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateFact {
    /// Where, for example `containers[web].resources.limits.memory`.
    pub path: String,
    /// What; empty where the value stays in the cluster.
    pub value: String,
    /// What tells two values that stay apart, hex; empty where the value is shown, and where nothing tells.
    pub digest: String,
}

pub(super) fn facts(facts: Vec<v1::TemplateFact>) -> Vec<TemplateFact> {
    let fact = |f: v1::TemplateFact| TemplateFact { path: f.path, value: f.value, digest: to_hex(&f.digest) };
    facts.into_iter().map(fact).collect()
}

/// Cuts what is too long.
pub(super) fn bound(facts: &mut Vec<v1::TemplateFact>) {
    facts.truncate(ITEMS);
    for fact in facts {
        cut(&mut fact.path, WORD);
        cut(&mut fact.value, WORD);
        cut_digest(&mut fact.digest);
    }
}
