//! Approvals by several people: who has to give their word, and whether those who gave it are enough.
//!
//! Every item of what is needed asks for one person of any of its groups, and one person counts for one item only: two
//! items are always two people, also where one of them is in both groups.

use std::collections::BTreeSet;

use crate::model::{ActionKind, Word};
use crate::settings::quorum::Quorum;

/// What the first quorum needs that is for this action (`None`: an action that this build does not know) in the place of these names;
/// nothing where there is none.
pub(crate) fn needs(quorums: &[Quorum], action: Option<ActionKind>, places: &[&str]) -> Vec<Vec<String>> {
    let fits = |quorum: &&Quorum| {
        let for_action =
            quorum.actions.is_empty() || action.is_none_or(|kind| quorum.actions.contains(&kind));
        let there =
            quorum.clusters.is_empty() || quorum.clusters.iter().any(|name| places.contains(&name.as_str()));
        for_action && there
    };
    quorums.iter().find(fits).map(|quorum| quorum.groups.clone()).unwrap_or_default()
}

/// The items for which nobody is left when as many as possible have a person of their own; empty: the quorum is met.
pub fn missing<'a>(needs: &'a [Vec<String>], given: &[Word]) -> Vec<&'a [String]> {
    let people = people(given);
    let mut taken: Vec<Option<usize>> = vec![None; needs.len()];
    for person in 0..people.len() {
        seat(person, &people, needs, &mut taken, &mut vec![false; needs.len()]);
    }
    needs.iter().zip(taken).filter(|(_, by)| by.is_none()).map(|(item, _)| item.as_slice()).collect()
}

/// Would the word of a person of these groups fill an item that nobody of `given` fills?
pub(crate) fn counts(needs: &[Vec<String>], given: &[Word], word: &Word) -> bool {
    let mut with = given.to_vec();
    with.push(word.clone());
    missing(needs, &with).len() < missing(needs, given).len()
}

/// The groups of each person once.
fn people(given: &[Word]) -> Vec<&[String]> {
    let first = |at: &usize| !given[..*at].iter().any(|earlier| earlier.by == given[*at].by);
    (0..given.len()).filter(first).map(|at| given[at].groups.as_slice()).collect()
}

/// Finds an item for a person, if need be by moving others to other items (an augmenting path, as Kuhn's algorithm searches it).
fn seat(
    person: usize,
    people: &[&[String]],
    needs: &[Vec<String>],
    taken: &mut [Option<usize>],
    seen: &mut [bool],
) -> bool {
    for item in 0..needs.len() {
        if seen[item] || !needs[item].iter().any(|group| people[person].contains(group)) {
            continue;
        }
        seen[item] = true;
        let free = match taken[item] {
            None => true,
            Some(other) => seat(other, people, needs, taken, seen),
        };
        if free {
            taken[item] = Some(person);
            return true;
        }
    }
    false
}

/// Most sentences of [`unmet`].
const MOST_UNMET: usize = 10;

/// What of the settings holds nowhere, as nothing is called so, and what nobody could approve now, as too few people are of the
/// groups; one sentence each. `places` are the names and ids of clusters and hosts, `people` a word of everybody.
pub fn unmet(quorums: &[Quorum], places: &BTreeSet<&str>, people: &[Word]) -> Vec<String> {
    let mut said = Vec::new();
    for (number, quorum) in quorums.iter().enumerate() {
        let at = format!("settings.quorum number {}", number + 1);
        for name in quorum.clusters.iter().filter(|name| !places.contains(name.as_str())) {
            said.push(format!(
                "{at} is for {name:?}, which no cluster and no host is called or has as its id"
            ));
        }
        let missing = missing(&quorum.groups, people);
        if !missing.is_empty() {
            said.push(format!(
                "{at} needs {}, whom nobody is left to be: what needs it waits until `nimbus access tokens create NAME --group G` makes \
                 somebody that, or somebody breaks the glass",
                words(&missing)
            ));
        }
    }
    said.truncate(MOST_UNMET);
    said
}

/// In words: `one of oncall, and one of payments or platform`.
pub fn words<T: AsRef<[String]>>(items: &[T]) -> String {
    let item = |item: &T| format!("one of {}", item.as_ref().join(" or "));
    items.iter().map(item).collect::<Vec<_>>().join(", and ")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn word(by: &str, groups: &[&str]) -> Word {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Word { by: by.to_owned(), groups, at: Timestamp::UNIX_EPOCH, reason: String::new() }
    }

    fn items(items: &[&[&str]]) -> Vec<Vec<String>> {
        items.iter().map(|item| item.iter().map(|&group| group.to_owned()).collect()).collect()
    }

    #[test]
    fn one_person_counts_for_one_item_and_makes_room_for_the_next() {
        let needs = items(&[&["oncall"], &["oncall", "platform"]]);
        let (both, oncall) = (word("a", &["oncall", "platform"]), word("b", &["oncall"]));
        assert_eq!(missing(&needs, &[]).len(), 2);
        assert_eq!(missing(&needs, std::slice::from_ref(&both)).len(), 1, "in both groups, and one person");
        assert!(missing(&needs, &[both.clone(), oncall.clone()]).is_empty());
        assert!(missing(&needs, &[oncall, both.clone()]).is_empty(), "in the other order");
        assert_eq!(missing(&needs, &[both.clone(), both.clone()]).len(), 1, "the same person twice");
        assert!(!counts(&needs, std::slice::from_ref(&both), &both));
        assert!(!counts(&needs, &[], &word("c", &["sales"])), "of no group that is needed");
        assert_eq!(words(&missing(&needs, &[both])), "one of oncall or platform");
    }

    #[test]
    fn the_first_quorum_that_fits_holds_and_an_unknown_action_fits_every_one() {
        let quorum = |actions: &[ActionKind], clusters: &[&str], group: &str| Quorum {
            actions: actions.to_vec(),
            clusters: clusters.iter().map(|&name| name.to_owned()).collect(),
            groups: items(&[&[group]]),
        };
        let all = [
            quorum(&[ActionKind::RollbackDeployment], &["prod"], "lead"),
            quorum(&[], &["prod"], "oncall"),
            quorum(&[ActionKind::RestoreFile], &[], "security"),
        ];
        let of = |action, cluster| needs(&all, action, &["some-id", cluster]);
        assert_eq!(of(Some(ActionKind::RollbackDeployment), "prod"), items(&[&["lead"]]));
        assert_eq!(of(Some(ActionKind::RestartPod), "prod"), items(&[&["oncall"]]));
        assert_eq!(of(Some(ActionKind::RestoreFile), "edge"), items(&[&["security"]]));
        assert_eq!(of(Some(ActionKind::RestartPod), "edge"), items(&[]));
        assert_eq!(of(None, "prod"), items(&[&["lead"]]), "what is not known is not let through");
    }

    #[test]
    fn a_quorum_for_nothing_and_one_that_nobody_can_meet_are_said() {
        let quorum = |clusters: &[&str], groups: &[&[&str]]| Quorum {
            actions: Vec::new(),
            clusters: clusters.iter().map(|&name| name.to_owned()).collect(),
            groups: items(groups),
        };
        let all =
            [quorum(&["prod", "prd"], &[&["oncall"]]), quorum(&[], &[&["oncall"], &["oncall", "lead"]])];
        let places = BTreeSet::from(["prod", "edge"]);
        let said = unmet(&all, &places, &[word("a", &["oncall", "lead"])]);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("number 1 is for \"prd\""), "{}", said[0]);
        // One person is not two.
        assert!(said[1].contains("number 2 needs one of oncall or lead"), "{}", said[1]);
        let two = [word("a", &["lead"]), word("b", &["oncall"])];
        assert_eq!(unmet(&all[1..], &places, &two), Vec::<String>::new());
        assert_eq!(unmet(&vec![quorum(&["x"], &[&["g"]]); 50], &places, &[]).len(), MOST_UNMET);
    }

    proptest! {
        /// Whoever counts is never in the way: with words taken as they come, a quorum is met exactly where all of them
        /// together would meet it.
        #[test]
        fn the_order_of_words_does_not_matter(
            needs in proptest::collection::vec(proptest::collection::vec("[abc]", 1..3), 1..4),
            groups in proptest::collection::vec(proptest::collection::vec("[abc]", 0..3), 0..5),
        ) {
            let all: Vec<Word> = groups
                .iter()
                .enumerate()
                .map(|(at, groups)| Word { groups: groups.clone(), ..word(&at.to_string(), &[]) })
                .collect();
            let mut given: Vec<Word> = Vec::new();
            for word in &all {
                if counts(&needs, &given, word) {
                    given.push(word.clone());
                }
            }
            prop_assert_eq!(missing(&needs, &given).len(), missing(&needs, &all).len());
            prop_assert_eq!(given.len(), needs.len() - missing(&needs, &given).len());
        }
    }
}
