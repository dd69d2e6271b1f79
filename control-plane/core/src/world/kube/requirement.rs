//! A condition on labels, of a node or of a pod, and whether a node meets it.

use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::node::NodeFacts;

/// A condition on a node's labels.
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

impl Requirement {
    /// Does a node of this name and with these labels meet it?
    pub(crate) fn holds(&self, name: &str, facts: &NodeFacts) -> bool {
        let found = if self.key == "metadata.name" { Some(name) } else { facts.label(&self.key) };
        let among = |value: &str| self.values.iter().any(|one| one == value);
        let compared = |is: fn(i64, i64) -> bool| {
            let number = found.and_then(|value| value.parse::<i64>().ok());
            let bound = self.values.first().and_then(|value| value.parse::<i64>().ok());
            number.zip(bound).is_some_and(|(number, bound)| is(number, bound))
        };
        match self.operator.as_str() {
            "In" => found.is_some_and(among),
            "NotIn" => !found.is_some_and(among),
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            "Gt" => compared(|number, bound| number > bound),
            "Lt" => compared(|number, bound| number < bound),
            // A condition that this version does not know is not taken for one that holds.
            _ => false,
        }
    }
}
