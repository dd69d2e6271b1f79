//! What the scheduler asks of a node for a pod. What is not described here is named, so that where the pod may go reads
//! unknown and is never promised.

use std::collections::{BTreeMap, BTreeSet};

use nimbus_protocol::kind::{ANTI_AFFINITY, DESCRIBED, MOST_TOLERATIONS};
use nimbus_protocol::{quantity, v1};
use serde_json::Value;

use super::SlimMeta;
use super::selector::{MOST, Requirement};
use super::spec::{Declared, Spec, Term, Toleration, Volume};
use crate::observe::bounded;

/// CPU in thousandths and memory in bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    cpu: i64,
    memory: i64,
}

impl Amount {
    fn and(self, other: Self) -> Self {
        Self { cpu: self.cpu.saturating_add(other.cpu), memory: self.memory.saturating_add(other.memory) }
    }

    fn or_more(self, other: Self) -> Self {
        Self { cpu: self.cpu.max(other.cpu), memory: self.memory.max(other.memory) }
    }
}

/// What decides too, in words.
#[derive(Debug, Default)]
struct Others {
    /// All of it, for a control plane that does not read what describes it.
    all: Vec<String>,
    /// What nothing describes.
    untold: Vec<String>,
}

impl Others {
    fn name(&mut self, what: String, described: bool) {
        if !described {
            self.untold.push(what.clone());
        }
        self.all.push(what);
    }

    fn untold(&mut self, what: String) {
        self.name(what, false);
    }
}

impl Spec {
    /// What the scheduler asks of a node for the pod with this metadata.
    pub(super) fn placement(&self, meta: &SlimMeta) -> v1::Placement {
        let (keeps_away, stays_with) = (self.keeps_away(), self.stays_with());
        let spread = self.spread(meta);
        let mut other = Others::default();
        for volume in self.volumes.iter().flatten() {
            if let Some(name) = volume.binds() {
                other.name(name, volume.claim().is_some());
            }
        }
        if !self.affinity_to_pods().is_empty() {
            other.name("required pod affinity".to_owned(), !stays_with.is_empty());
        }
        if !self.anti_affinity().is_empty() {
            other.name(ANTI_AFFINITY.to_owned(), !keeps_away.is_empty());
        }
        for one in self.strict_spread() {
            other.name(format!("topology spread over {}", bounded(&one.topology_key)), !spread.is_empty());
        }
        self.name_what_nothing_describes(&mut other);
        let amount = self.requests(&mut other);
        let overhead = requests(self.overhead.as_ref(), &mut other);
        let amount = amount.and(overhead);
        let selector = self.node_selector.iter().flatten().take(MOST + 1);
        let claims = self.claims();
        let terms = self.terms();
        let tolerations = self.tolerations.iter().flatten().filter(|t| !t.is_for_lost_nodes());
        let mut placement = v1::Placement {
            node_selector: selector
                .map(|(key, value)| v1::Label { key: bounded(key), value: bounded(value) })
                .collect(),
            node_terms: terms.iter().take(MOST).map(Term::observe).collect(),
            tolerations: tolerations.take(MOST_TOLERATIONS).map(Toleration::observe).collect(),
            cpu_milli: amount.cpu,
            memory_bytes: amount.memory,
            priority: self.priority.unwrap_or(0),
            may_preempt: self.preemption_policy != "Never",
            other_conditions: Vec::new(),
            keeps_away,
            claims: claims.iter().take(MOST).map(|claim| bounded(claim)).collect(),
            stays_with,
            spread,
            untold: None,
        };
        let cut = placement.node_selector.len() > MOST
            || self.anti_affinity().len() > MOST
            || claims.len() > MOST
            || terms.len() > MOST
            || !terms.iter().all(Term::is_told_whole);
        if cut {
            placement.node_selector.truncate(MOST);
            other.untold(format!("more than {MOST} conditions on nodes or pods"));
        }
        let Others { mut all, mut untold } = other;
        // Of many, what says that terms are not told is among those that are kept.
        all.sort_by_key(|one| one != ANTI_AFFINITY);
        all.truncate(MOST);
        untold.truncate(MOST);
        placement.other_conditions = all;
        let used = [
            !placement.claims.is_empty(),
            !placement.stays_with.is_empty(),
            !placement.spread.is_empty(),
            !placement.keeps_away.is_empty(),
        ];
        let described = DESCRIBED.into_iter().zip(used).filter(|(_, used)| *used);
        let described = described.map(|(word, _)| word.to_owned()).collect();
        placement.untold = Some(v1::Untold { conditions: untold, described });
        placement
    }

    /// The containers together and the init containers that stay, or what one init container asks for before, whichever is
    /// more.
    fn requests(&self, other: &mut Others) -> Amount {
        let (mut staying, mut most) = (Amount::default(), Amount::default());
        for init in self.init_containers.iter().flatten() {
            let needs = staying.and(init.amount(other));
            most = most.or_more(needs);
            if init.stays() {
                staying = needs;
            }
        }
        self.containers.iter().fold(staying, |all, one| all.and(one.amount(other))).or_more(most)
    }

    fn terms(&self) -> &[Term] {
        let affinity = self.affinity.as_ref().and_then(|affinity| affinity.to_nodes.as_ref());
        affinity
            .and_then(|affinity| affinity.required.as_ref())
            .map_or(&[], |terms| terms.node_selector_terms.as_slice())
    }

    /// The claims that its volumes use, by name, each once.
    fn claims(&self) -> BTreeSet<&str> {
        self.volumes.iter().flatten().filter_map(Volume::claim).collect()
    }

    fn name_what_nothing_describes(&self, other: &mut Others) {
        let is_some = |of: &Option<Vec<Value>>| of.as_ref().is_some_and(|all| !all.is_empty());
        if is_some(&self.scheduling_gates) {
            other.untold("a scheduling gate".to_owned());
        }
        if is_some(&self.resource_claims) {
            other.untold("a resource claim".to_owned());
        }
        if self.resources.as_ref().is_some_and(|of| of.get("requests").is_some()) {
            other.untold("resources of the pod as a whole".to_owned());
        }
        if !matches!(self.scheduler_name.as_str(), "" | "default-scheduler") {
            other.untold(format!("the scheduler {}", bounded(&self.scheduler_name)));
        }
    }
}

impl Declared {
    fn amount(&self, other: &mut Others) -> Amount {
        if self.ports.iter().flatten().any(|port| port.host_port.is_some_and(|port| port != 0)) {
            other.untold("a port of the node".to_owned());
        }
        if self.resources.claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
            other.untold("a resource claim".to_owned());
        }
        requests(self.resources.requests.as_ref(), other)
    }
}

fn requests(all: Option<&BTreeMap<String, Value>>, other: &mut Others) -> Amount {
    let mut amount = Amount::default();
    for (name, value) in all.into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let known = match name.as_str() {
            "cpu" => quantity::scaled(&text, 1_000).map(|cpu| amount.cpu = cpu),
            "memory" => quantity::scaled(&text, 1).map(|memory| amount.memory = memory),
            _ => None,
        };
        let said = format!("the resource {}", bounded(name));
        if known.is_none() && !other.untold.contains(&said) {
            other.untold(said);
        }
    }
    amount
}

impl Term {
    fn all(&self) -> impl Iterator<Item = &Requirement> {
        self.match_expressions.iter().flatten().chain(self.match_fields.iter().flatten())
    }

    /// Does [`Term::observe`] tell all of it?
    pub(super) fn is_told_whole(&self) -> bool {
        self.all().count() <= MOST && self.all().all(|one| one.values.iter().flatten().count() <= MOST)
    }

    pub(super) fn observe(&self) -> v1::NodeTerm {
        let requirement = |one: &Requirement| v1::NodeRequirement {
            key: bounded(&one.key),
            operator: bounded(&one.operator),
            values: one.values.iter().flatten().take(MOST).map(|value| bounded(value)).collect(),
        };
        v1::NodeTerm { requirements: self.all().take(MOST).map(requirement).collect() }
    }
}

impl Toleration {
    /// Every pod gets these two; they say for how long it stays on a node that was lost, and nothing of where it may go.
    fn is_for_lost_nodes(&self) -> bool {
        self.effect == "NoExecute"
            && matches!(self.key.as_str(), "node.kubernetes.io/not-ready" | "node.kubernetes.io/unreachable")
    }

    fn observe(&self) -> v1::Toleration {
        v1::Toleration {
            key: bounded(&self.key),
            operator: bounded(&self.operator),
            value: bounded(&self.value),
            effect: bounded(&self.effect),
        }
    }
}
