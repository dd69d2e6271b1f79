//! What the scheduler asks of a node for a pod, and whether a node answers it.

use nimbus_protocol::kind::{ANTI_AFFINITY, DESCRIBED, HELD, HELD_EFFECT, MOST_TOLERATIONS};
use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::beside::{self, KeepsAway, Spread, StaysWith};
use super::node::{Node, NodeFacts, Taint};
use super::requirement::{self, Requirement};
use crate::world::bounds::{ITEMS, TEXT, WORD, cut, cut_texts};

/// A taint that a pod accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toleration {
    /// Empty: every key.
    pub key: String,
    /// Equal (also when empty) or Exists.
    pub operator: String,
    /// With Equal the value.
    pub value: String,
    /// Empty: every effect.
    pub effect: String,
}

/// What the scheduler asks of a node for a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Placement {
    /// Labels that the node has to have.
    pub node_selector: Vec<(String, String)>,
    /// One of these has to hold, all requirements of it; none at all asks nothing.
    pub node_terms: Vec<Vec<Requirement>>,
    /// Taints that it accepts.
    pub tolerations: Vec<Toleration>,
    /// Thousandths of a processor that it asks for.
    pub cpu_milli: i64,
    /// Bytes of memory that it asks for.
    pub memory_bytes: i64,
    /// What else decides and is not told; where the pod may go is then not known.
    pub other_conditions: Vec<String>,
    /// Its own required anti-affinity, term by term.
    #[serde(default)]
    pub keeps_away: Vec<KeepsAway>,
    /// Names of the claims of its namespace that its volumes use.
    #[serde(default)]
    pub claims: Vec<String>,
    /// Its required affinity to pods, all of which has to hold.
    #[serde(default)]
    pub stays_with: Vec<StaysWith>,
    /// Its strict topology spread constraints, all of which have to hold.
    #[serde(default)]
    pub spread: Vec<Spread>,
    /// Those of the other conditions that nothing here describes; `None` where its agent does not say which these are.
    #[serde(default)]
    pub untold: Option<Vec<String>>,
}

impl From<v1::Placement> for Placement {
    fn from(p: v1::Placement) -> Self {
        let toleration = |t: v1::Toleration| Toleration {
            key: t.key,
            operator: t.operator,
            value: t.value,
            effect: t.effect,
        };
        Self {
            keeps_away: p.keeps_away.into_iter().map(KeepsAway::from).collect(),
            claims: p.claims,
            stays_with: p.stays_with.into_iter().map(StaysWith::from).collect(),
            spread: p.spread.into_iter().map(Spread::from).collect(),
            untold: p.untold.map(untold),
            node_selector: p.node_selector.into_iter().map(|l| (l.key, l.value)).collect(),
            node_terms: p
                .node_terms
                .into_iter()
                .map(|t| t.requirements.into_iter().map(Requirement::from).collect())
                .collect(),
            tolerations: p.tolerations.into_iter().map(toleration).collect(),
            cpu_milli: p.cpu_milli,
            memory_bytes: p.memory_bytes,
            other_conditions: p.other_conditions,
        }
    }
}

/// What nothing describes that this version judges.
fn untold(told: v1::Untold) -> Vec<String> {
    let foreign = told.described.into_iter().filter(|word| !DESCRIBED.contains(&word.as_str()));
    let said = |word| format!("what its agent describes as {word}, which this version does not judge,");
    told.conditions.into_iter().chain(foreign.map(said)).collect()
}

/// Cuts what is too long. What is dropped would have restricted: where the pod may go is then not known.
pub(super) fn bound(placement: &mut v1::Placement) {
    let most = placement
        .node_selector
        .len()
        .max(placement.node_terms.len())
        .max(placement.keeps_away.len())
        .max(placement.claims.len())
        .max(placement.node_terms.iter().map(|term| term.requirements.len()).max().unwrap_or(0));
    placement.other_conditions.sort_by_key(|one| one != ANTI_AFFINITY);
    placement.other_conditions.truncate(ITEMS);
    beside::bound(placement);
    if most > ITEMS {
        beside::not_told(placement, &format!("more than {ITEMS} conditions on nodes or pods"));
        placement.other_conditions.sort_by_key(|one| one != ANTI_AFFINITY);
    }
    cut_texts(&mut placement.other_conditions);
    if let Some(untold) = &mut placement.untold {
        cut_texts(&mut untold.conditions);
        cut_texts(&mut untold.described);
    }
    cut_texts(&mut placement.claims);
    placement.node_selector.truncate(ITEMS);
    for label in &mut placement.node_selector {
        cut(&mut label.key, TEXT);
        cut(&mut label.value, TEXT);
    }
    placement.node_terms.truncate(ITEMS);
    for term in &mut placement.node_terms {
        term.requirements.truncate(ITEMS);
        term.requirements.iter_mut().for_each(requirement::bound);
    }
    placement.tolerations.truncate(ITEMS);
    for one in &mut placement.tolerations {
        for text in [&mut one.key, &mut one.value] {
            cut(text, TEXT);
        }
        for text in [&mut one.operator, &mut one.effect] {
            cut(text, WORD);
        }
    }
}

impl Placement {
    /// What decides too and cannot be judged where a node is to be held: all but anti-affinity whose terms are told.
    pub fn not_judged(&self) -> Option<&str> {
        let mut others = self.other_conditions.iter().map(String::as_str);
        others.find(|other| *other != ANTI_AFFINITY || self.keeps_away.is_empty())
    }

    /// What decides too and nothing describes, so that where the pod may go is not known.
    pub fn not_described(&self) -> Option<&str> {
        match &self.untold {
            Some(untold) => untold.first().map(String::as_str),
            None => self.not_judged(),
        }
    }

    /// Would the pod come to a node that is held back, as it tolerates the taint of Nimbus? Its value is a
    /// job's, so any value is meant; of so many tolerations not all may be told.
    pub fn tolerates_a_hold(&self) -> bool {
        let accepts = |one: &Toleration| {
            let (key, effect) = (HELD.to_owned(), HELD_EFFECT.to_owned());
            one.accepts(&Taint { key, value: one.value.clone(), effect })
        };
        self.tolerations.len() >= MOST_TOLERATIONS || self.tolerations.iter().any(accepts)
    }

    /// May it keep pods away by terms that are not told, as those of an older agent are not?
    pub fn keeps_away_untold(&self) -> bool {
        self.keeps_away.is_empty() && self.other_conditions.iter().any(|other| other == ANTI_AFFINITY)
    }

    /// Why the scheduler would not put the pod on `node`, as far as taints and labels say; `None` where they let it in.
    pub fn refused_by(&self, node: &Node, facts: &NodeFacts) -> Option<String> {
        if let Some(taint) = self.kept_out_by(facts) {
            return Some(format!("it has the taint {}, which the pod does not tolerate", taint.key));
        }
        self.differs(node, facts)
    }

    /// The taint of a node that the pod does not tolerate.
    pub fn kept_out_by<'a>(&self, facts: &'a NodeFacts) -> Option<&'a Taint> {
        let closed = |taint: &&Taint| {
            taint.effect != "PreferNoSchedule" && !self.tolerations.iter().any(|t| t.accepts(taint))
        };
        facts.taints.iter().find(closed)
    }

    /// Why a node is none that the pod's node selector and node affinity ask for; `None` where it is one.
    pub fn differs(&self, node: &Node, facts: &NodeFacts) -> Option<String> {
        let lacks = |(key, value): &&(String, String)| facts.label(key) != Some(value.as_str());
        if let Some((key, value)) = self.node_selector.iter().find(lacks) {
            return Some(format!("it lacks the label {key}={value}, which the pod selects"));
        }
        (!requirement::let_in(&self.node_terms, node, facts))
            .then(|| "it does not fit the pod's node affinity".to_owned())
    }
}

impl Toleration {
    fn accepts(&self, taint: &Taint) -> bool {
        let same_value = match self.operator.as_str() {
            "Exists" => true,
            "" | "Equal" => self.value == taint.value && !self.key.is_empty(),
            _ => false,
        };
        same_value
            && (self.key.is_empty() || self.key == taint.key)
            && (self.effect.is_empty() || self.effect == taint.effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::meta::Meta;

    fn node(labels: &[(&str, &str)], taints: &[(&str, &str, &str)]) -> (Node, NodeFacts) {
        let owned = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        let taint = |(key, value, effect): &(&str, &str, &str)| Taint {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            effect: (*effect).to_owned(),
        };
        let facts = NodeFacts {
            labels: labels.iter().map(owned).collect(),
            taints: taints.iter().map(taint).collect(),
            ..NodeFacts::default()
        };
        let mut node = Node::from(v1::Node::default());
        node.meta = Meta { name: "n".into(), ..Meta::default() };
        (node, facts)
    }

    /// Of too many terms none is kept, whatever the agent named beside them: some would read as all.
    #[test]
    fn terms_that_are_too_many_read_as_not_told() {
        for (count, untold) in [(ITEMS, false), (ITEMS + 1, true)] {
            let term = |n| v1::KeepsAway { topology_key: format!("key-{n}"), ..v1::KeepsAway::default() };
            let mut told =
                v1::Placement { keeps_away: (0..count).map(term).collect(), ..v1::Placement::default() };
            bound(&mut told);
            let kept = Placement::from(told);
            assert_eq!((kept.keeps_away_untold(), kept.keeps_away.is_empty()), (untold, untold), "{count}");
        }
    }

    fn fits(placement: &Placement, (node, facts): &(Node, NodeFacts)) -> bool {
        placement.refused_by(node, facts).is_none()
    }

    #[test]
    fn requirements_are_read_as_the_scheduler_reads_them() {
        let labels = node(&[("zone", "a"), ("cores", "8")], &[]);
        for (key, operator, values, holds) in [
            ("zone", "In", vec!["a", "b"], true),
            ("zone", "In", vec!["c"], false),
            ("zone", "NotIn", vec!["a"], false),
            ("rack", "NotIn", vec!["a"], true),
            ("zone", "Exists", vec![], true),
            ("rack", "Exists", vec![], false),
            ("rack", "DoesNotExist", vec![], true),
            ("cores", "Gt", vec!["4"], true),
            ("cores", "Lt", vec!["4"], false),
            ("zone", "Gt", vec!["4"], false),
            ("metadata.name", "In", vec!["n"], true),
            ("zone", "Near", vec!["a"], false),
        ] {
            let values = values.into_iter().map(str::to_owned).collect();
            let one = Requirement { key: key.into(), operator: operator.into(), values };
            let placement = Placement { node_terms: vec![vec![one]], ..Placement::default() };
            assert_eq!(fits(&placement, &labels), holds, "{key} {operator}");
        }
        // One term of several is enough; one without requirements matches nothing.
        let exists = |key: &str| Requirement { key: key.into(), operator: "Exists".into(), values: vec![] };
        let either = Placement {
            node_terms: vec![vec![exists("rack")], vec![exists("zone")]],
            ..Placement::default()
        };
        assert!(fits(&either, &labels));
        assert!(!fits(&Placement { node_terms: vec![vec![]], ..Placement::default() }, &labels));
    }

    #[test]
    fn taints_and_selectors_decide() {
        let gpu = node(&[], &[("gpu", "yes", "NoSchedule")]);
        assert!(!fits(&Placement::default(), &gpu));
        assert!(fits(&Placement::default(), &node(&[], &[("soft", "", "PreferNoSchedule")])));
        for (key, operator, value, effect, accepted) in [
            ("gpu", "Exists", "", "", true),
            ("gpu", "", "yes", "NoSchedule", true),
            ("gpu", "Equal", "no", "NoSchedule", false),
            ("", "Exists", "", "", true),
            ("", "Equal", "", "", false),
            ("gpu", "Exists", "", "NoExecute", false),
            ("gpu", "Resembles", "yes", "", false),
        ] {
            let [key, operator, value, effect] = [key, operator, value, effect].map(str::to_owned);
            let what = format!("{key:?} {operator:?} {value:?} {effect:?}");
            let tolerations = vec![Toleration { key, operator, value, effect }];
            assert_eq!(fits(&Placement { tolerations, ..Placement::default() }, &gpu), accepted, "{what}");
        }
        let ssd = Placement { node_selector: vec![("disk".into(), "ssd".into())], ..Placement::default() };
        assert!(!fits(&ssd, &node(&[("disk", "hdd")], &[])) && fits(&ssd, &node(&[("disk", "ssd")], &[])));
    }
}
