//! What the scheduler asks of a node for a pod. What is not described here is named, so that where the pod may go reads
//! unknown and is never promised.

use std::collections::BTreeMap;

use nimbus_protocol::kind::ANTI_AFFINITY;
use nimbus_protocol::v1;
use serde_json::Value;

use super::quantity;
use super::spec::{Declared, PodTerm, Required, Requirement, Spec, Spread, Term, Toleration, Volume};
use crate::observe::bounded;

/// Most labels, terms, requirements, values and tolerations that are told of one pod.
const MOST: usize = 64;

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

impl Spec {
    /// What the scheduler asks of a node for it.
    pub(super) fn placement(&self) -> v1::Placement {
        let mut other: Vec<String> =
            self.volumes.iter().flatten().filter_map(Volume::binds).chain(self.other()).collect();
        let amount = self.requests(&mut other);
        let overhead = requests(self.overhead.as_ref(), &mut other);
        let amount = amount.and(overhead);
        let selector = self.node_selector.iter().flatten().take(MOST + 1);
        let terms = self.terms();
        let tolerations = self.tolerations.iter().flatten().filter(|t| !t.is_for_lost_nodes());
        let mut placement = v1::Placement {
            node_selector: selector
                .map(|(key, value)| v1::Label { key: bounded(key), value: bounded(value) })
                .collect(),
            node_terms: terms.iter().take(MOST).map(Term::observe).collect(),
            tolerations: tolerations.take(MOST).map(Toleration::observe).collect(),
            cpu_milli: amount.cpu,
            memory_bytes: amount.memory,
            priority: self.priority.unwrap_or(0),
            may_preempt: self.preemption_policy != "Never",
            other_conditions: Vec::new(),
            keeps_away: self.anti_affinity().iter().take(MOST).map(PodTerm::observe).collect(),
        };
        let cut = placement.node_selector.len() > MOST
            || self.anti_affinity().len() > MOST
            || terms.len() > MOST
            || terms.iter().any(|term| term.all().count() > MOST)
            || terms.iter().flat_map(Term::all).any(|one| one.values.iter().flatten().count() > MOST);
        if self.anti_affinity().len() > MOST {
            // Some of them would read as all of them; none reads as not told.
            placement.keeps_away.clear();
        }
        if cut {
            placement.node_selector.truncate(MOST);
            other.push(format!("more than {MOST} conditions on nodes or pods"));
        }
        // Of many, what says that terms are not told is among those that are kept.
        other.sort_by_key(|one| one != ANTI_AFFINITY);
        other.truncate(MOST);
        placement.other_conditions = other;
        placement
    }

    /// The containers together and the init containers that stay, or what one init container asks for before, whichever is
    /// more.
    fn requests(&self, other: &mut Vec<String>) -> Amount {
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

    /// The terms of its required anti-affinity.
    fn anti_affinity(&self) -> &[PodTerm] {
        let affinity = self.affinity.as_ref().and_then(|affinity| affinity.away_from_pods.as_ref());
        affinity.and_then(|affinity| affinity.required.as_deref()).unwrap_or_default()
    }

    /// What else decides, and is not described.
    fn other(&self) -> Vec<String> {
        let mut other = Vec::new();
        let is_some = |of: &Option<Vec<Value>>| of.as_ref().is_some_and(|all| !all.is_empty());
        let required = |of: &Option<Required>| of.as_ref().is_some_and(|one| is_some(&one.required));
        if self.affinity.as_ref().is_some_and(|affinity| required(&affinity.to_pods)) {
            other.push("required pod affinity".to_owned());
        }
        if !self.anti_affinity().is_empty() {
            other.push(ANTI_AFFINITY.to_owned());
        }
        let strict = |spread: &&Spread| spread.when_unsatisfiable != "ScheduleAnyway";
        let spreads = self.topology_spread_constraints.iter().flatten().filter(strict);
        other.extend(spreads.map(|s| format!("topology spread over {}", bounded(&s.topology_key))));
        if is_some(&self.scheduling_gates) {
            other.push("a scheduling gate".to_owned());
        }
        if is_some(&self.resource_claims) {
            other.push("a resource claim".to_owned());
        }
        if self.resources.as_ref().is_some_and(|of| of.get("requests").is_some()) {
            other.push("resources of the pod as a whole".to_owned());
        }
        if !matches!(self.scheduler_name.as_str(), "" | "default-scheduler") {
            other.push(format!("the scheduler {}", bounded(&self.scheduler_name)));
        }
        other
    }
}

impl Declared {
    fn amount(&self, other: &mut Vec<String>) -> Amount {
        if self.ports.iter().flatten().any(|port| port.host_port.is_some_and(|port| port != 0)) {
            other.push("a port of the node".to_owned());
        }
        if self.resources.claims.as_ref().is_some_and(|claims| !claims.is_empty()) {
            other.push("a resource claim".to_owned());
        }
        requests(self.resources.requests.as_ref(), other)
    }
}

fn requests(all: Option<&BTreeMap<String, Value>>, other: &mut Vec<String>) -> Amount {
    let mut amount = Amount::default();
    for (name, value) in all.into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let known = match name.as_str() {
            "cpu" => quantity::scaled(&text, 1_000).map(|cpu| amount.cpu = cpu),
            "memory" => quantity::scaled(&text, 1).map(|memory| amount.memory = memory),
            _ => None,
        };
        if known.is_none() && !other.iter().any(|said| said.ends_with(name.as_str())) {
            other.push(format!("the resource {}", bounded(name)));
        }
    }
    amount
}

impl Term {
    fn all(&self) -> impl Iterator<Item = &Requirement> {
        self.match_expressions.iter().flatten().chain(self.match_fields.iter().flatten())
    }

    fn observe(&self) -> v1::NodeTerm {
        let requirement = |one: &Requirement| v1::NodeRequirement {
            key: bounded(&one.key),
            operator: bounded(&one.operator),
            values: one.values.iter().flatten().take(MOST).map(|value| bounded(value)).collect(),
        };
        v1::NodeTerm { requirements: self.all().take(MOST).map(requirement).collect() }
    }
}

impl PodTerm {
    fn observe(&self) -> v1::KeepsAway {
        let named = self.namespaces.as_ref().is_some_and(|names| !names.is_empty());
        v1::KeepsAway {
            topology_key: bounded(&self.topology_key),
            other_namespaces: named || self.namespace_selector.is_some(),
        }
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
