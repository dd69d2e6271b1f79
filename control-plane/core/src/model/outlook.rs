//! What a plan says beforehand of the time after it: what happens if it does not help, and whether it can be undone.

use serde::{Deserialize, Deserializer, Serialize};

use super::words;

words! {
    /// Who can undo what a plan changes, once it is done.
    UndoBy {
        /// A person can, and the plan says how.
        Person = "person",
        /// Nobody can: what it takes away is not kept anywhere.
        Nobody = "nobody",
    }
}

/// What a person is told before deciding, beside what changes and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// What happens, and in what state things are, where the change is refused or does not help.
    pub if_it_fails: String,
    /// Who can undo it.
    pub undo: UndoBy,
    /// How it is undone, or why it cannot be.
    pub undo_how: String,
}

impl Outlook {
    /// The outlook of a change that a person can undo in this way.
    pub fn undone_by_a_person(how: impl Into<String>, if_it_fails: impl Into<String>) -> Self {
        Self { if_it_fails: if_it_fails.into(), undo: UndoBy::Person, undo_how: how.into() }
    }

    /// The outlook of a change that cannot be undone, for this reason.
    pub fn not_undone(why: impl Into<String>, if_it_fails: impl Into<String>) -> Self {
        Self { if_it_fails: if_it_fails.into(), undo: UndoBy::Nobody, undo_how: why.into() }
    }
}

/// Reads a stored plan's outlook; one of a newer build with a word that this build does not know is left out, as nothing is
/// decided by it.
///
/// # Errors
/// Where the document is not JSON.
pub(super) fn stored<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Outlook>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(from)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}
