//! The words by which the reason of a refused eviction says whether a disruption budget stands behind it.
//!
//! The refusal's code says only that the eviction was refused. Agents write these words, or pass on the API server's, and
//! control planes look for them, whichever of the two is newer: a phrase may be added here, and none may be changed.

/// The word without which no budget is meant.
pub const BUDGET: &str = "budget";

/// Part of what the API server says where a budget refuses, in its message or in its causes; to be compared in lower case.
pub const DISRUPTION_BUDGET: &str = "disruption budget";

/// How the API server calls the kind in its sentences, such as that it evicts no pod of several; in lower case.
pub const KIND_OF_BUDGETS: &str = "poddisruptionbudget";

/// What an agent says of a budget that refuses.
pub const DOES_NOT_ALLOW: &str = "does not allow it";

/// What an agent says of a budget that refused, and may allow it by now.
pub const DID_NOT_ALLOW: &str = "did not allow it";

/// What an agent says of a budget that it names and that did not refuse; it counts for more than all other words.
pub const NOT_IN_THE_WAY: &str = "is not in the way";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectKind;

    #[test]
    fn what_is_compared_in_lower_case_is_written_so_and_one_phrase_does_not_hold_another() {
        let all = [DISRUPTION_BUDGET, KIND_OF_BUDGETS, DOES_NOT_ALLOW, DID_NOT_ALLOW, NOT_IN_THE_WAY];
        for phrase in all {
            assert_eq!(phrase, phrase.to_lowercase());
            assert_eq!(all.iter().filter(|other| other.contains(phrase)).count(), 1, "{phrase}");
        }
        assert_eq!(KIND_OF_BUDGETS, ObjectKind::PodDisruptionBudget.as_str().to_lowercase());
        assert!(DISRUPTION_BUDGET.contains(BUDGET) && KIND_OF_BUDGETS.contains(BUDGET));
    }
}
