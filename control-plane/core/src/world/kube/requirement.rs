//! A condition on labels, of a node or of a pod, and whether a node meets it.

use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::node::{Node, NodeFacts};
use crate::world::bounds::{TEXT, WORD, cut, cut_texts};

/// A condition on the labels of a node or a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The label's key; of a node's fields `metadata.name`.
    pub key: String,
    /// In, `NotIn`, Exists, `DoesNotExist`, Gt, Lt.
    pub operator: String,
    /// With these.
    pub values: Vec<String>,
}

impl From<v1::NodeRequirement> for Requirement {
    fn from(r: v1::NodeRequirement) -> Self {
        Self { key: r.key, operator: r.operator, values: r.values }
    }
}

/// Cuts what is too long.
pub(super) fn bound(requirement: &mut v1::NodeRequirement) {
    cut(&mut requirement.key, TEXT);
    cut(&mut requirement.operator, WORD);
    cut_texts(&mut requirement.values);
}

/// Is the node one that these terms let in: all requirements of one of them hold, and it has one? None at all ask nothing.
pub(super) fn let_in(terms: &[Vec<Requirement>], node: &Node, facts: &NodeFacts) -> bool {
    let holds = |term: &Vec<Requirement>| {
        !term.is_empty() && term.iter().all(|one| one.holds(node.meta.name.as_str(), facts))
    };
    terms.is_empty() || terms.iter().any(holds)
}

impl Requirement {
    /// Does a label with this value, `None` where there is none, meet it? `None` for an operator that is none on labels as such,
    /// or that this version does not know.
    pub(super) fn of_label(&self, value: Option<&str>) -> Option<bool> {
        let among = |value: &str| self.values.iter().any(|one| one == value);
        match self.operator.as_str() {
            "In" => Some(value.is_some_and(among)),
            "NotIn" => Some(!value.is_some_and(among)),
            "Exists" => Some(value.is_some()),
            "DoesNotExist" => Some(value.is_none()),
            _ => None,
        }
    }

    /// Does a node of this name and with these labels meet it?
    pub(crate) fn holds(&self, name: &str, facts: &NodeFacts) -> bool {
        let found = if self.key == "metadata.name" { Some(name) } else { facts.label(&self.key) };
        let compared = |is: fn(i64, i64) -> bool| {
            let number = found.and_then(|value| value.parse::<i64>().ok());
            let bound = self.values.first().and_then(|value| value.parse::<i64>().ok());
            number.zip(bound).is_some_and(|(number, bound)| is(number, bound))
        };
        self.of_label(found).unwrap_or_else(|| match self.operator.as_str() {
            "Gt" => compared(|number, bound| number > bound),
            "Lt" => compared(|number, bound| number < bound),
            // A condition that this version does not know is not taken for one that holds.
            _ => false,
        })
    }
}
