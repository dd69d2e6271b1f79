//! The setting of whose word is needed where one person's is not enough. Whether those who gave theirs are enough is decided in
//! [`crate::quorum`], and by the checker for itself.

use nimbus_protocol::ActionKind;
use serde::{Deserialize, Serialize};

use super::calendar;

/// Most items of one quorum.
pub const MAX_ITEMS: usize = 5;
/// Most groups of one item, and of one person.
pub const MAX_GROUPS: usize = 16;
/// Longest name of a group or a person, characters.
pub const MAX_NAME: usize = 63;
/// Most quorums.
const MAX_QUORUMS: usize = 100;

/// Whose word plans of some kinds need, in some clusters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// For these actions; empty: for every one.
    #[serde(default)]
    pub actions: Vec<ActionKind>,
    /// In the clusters and on the hosts of these names, or of these ids (UID of a cluster, id of an agent), which nobody but Nimbus
    /// chooses; empty: everywhere.
    #[serde(default)]
    pub clusters: Vec<String>,
    /// For each item one person of any of its groups.
    pub groups: Vec<Vec<String>>,
}

/// Can somebody, or a group, be called so? Small letters, digits, `-`, `_` and `.`: no two names differ by case alone.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(plain)
}

/// Can these be used? If not, what was expected and what was found.
pub(super) fn validate(quorums: &[Quorum]) -> Result<(), (String, String)> {
    let wrong = |expected: String, found: String| Err((expected, found));
    if quorums.len() > MAX_QUORUMS {
        return wrong(format!("at most {MAX_QUORUMS} times"), quorums.len().to_string());
    }
    for (number, quorum) in quorums.iter().enumerate() {
        let (at, items) = (number + 1, &quorum.groups);
        if let Some(odd) = quorum.clusters.iter().find(|name| calendar::is_no_name(name)) {
            let expected = format!("number {at} to have names or ids of clusters and hosts");
            return wrong(expected, format!("{odd:?}"));
        }
        if items.is_empty() || items.len() > MAX_ITEMS {
            return wrong(
                format!("number {at} to have 1 to {MAX_ITEMS} items of groups"),
                items.len().to_string(),
            );
        }
        if let Some(item) = items.iter().find(|item| item.is_empty() || item.len() > MAX_GROUPS) {
            let expected = format!("number {at} to have 1 to {MAX_GROUPS} groups in each item");
            return wrong(expected, item.len().to_string());
        }
        if let Some(name) = items.iter().flatten().find(|name| !is_name(name)) {
            let expected = format!(
                "number {at} to have groups of 1 to {MAX_NAME} small letters, digits, '-', '_' or '.'"
            );
            return wrong(expected, format!("{name:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(items: &[&[&str]]) -> Vec<Vec<String>> {
        items.iter().map(|item| item.iter().map(|&group| group.to_owned()).collect()).collect()
    }

    #[test]
    fn quorums_that_nobody_could_meet_are_refused_with_their_number() {
        let of = |groups: Vec<Vec<String>>| {
            let quorum = Quorum { actions: Vec::new(), clusters: Vec::new(), groups };
            validate(&[quorum])
        };
        assert!(of(items(&[&["a"], &["a", "b"]])).is_ok());
        for wrong in
            [items(&[]), items(&[&[]]), items(&[&["a b"]]), items(&[&["A"]]), items(&[&["a"][..]; 6])]
        {
            let (expected, _) = of(wrong).unwrap_err();
            assert!(expected.contains("number 1"), "{expected}");
        }
    }
}
