//! A step: what it does, what shows that it is done, and how it is undone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::object::Datum;
use crate::operation::{Access, Operation};

/// What shows whether a step is done, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// An object in the cluster, known by the mark in its annotation.
    Object {
        /// kubectl's words that print it, and nothing where it is not there: only that is a no.
        get: Command,
        /// The values that it has to have; none: whatever it has.
        data: Vec<Datum>,
    },
    /// A release, known by the mark in its label: helm's words that list it alone.
    Release(Command),
    /// The directory of keys, known by the mark in the file beside them.
    Keys(String),
    /// A context of the operator's command, known by the files that it names.
    Context(Access),
    /// This file is there.
    File(String),
    /// Nothing shows it; the step may be done again at any time.
    Nothing,
}

/// What a look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It is not there.
    Nothing,
    /// It is there, and made from this directory.
    Ours,
    /// It is there, made from this directory, and what is in it is no longer what belongs there.
    Outdated,
    /// It is there, and nothing shows that it was made from this directory.
    Theirs,
}

/// What is to be done where the thing is there and this directory did not make it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Foreign {
    /// It is used, and never undone.
    Take,
    /// The installation stops; what to do.
    Refuse(String),
}

/// What comes before a step is done again that was interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// The step makes its thing all at once: if it is there, it is whole.
    WholeIfThere,
    /// These commands, of which each may fail.
    After {
        /// Where the step had never been done before.
        new: Vec<Command>,
        /// Where it was being done again with other contents.
        change: Vec<Command>,
    },
}

/// What the ids of the steps begin with that make namespaces.
pub const NAMESPACE: &str = "namespace-";

/// How long what a step made is of use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lasts {
    /// So many seconds; older than that it is made anew.
    pub seconds: u64,
    /// Until the step of this id is done, which needs it.
    pub until: String,
}

/// What was made elsewhere from a thing's files. As long as that is there nothing else takes the thing's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The id of the step that made it.
    pub by: String,
    /// What it is, as a sentence names it.
    pub what: String,
    /// The files, relative to the installation's directory.
    pub files: Vec<String>,
    /// What to do where some of them are gone.
    pub next: String,
}

/// What is to be done where the thing is ours, and what is in it is no longer what belongs there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outdated {
    /// It is made anew.
    #[default]
    Renew,
    /// The installation stops; what to do.
    Refuse(String),
}

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It looks and changes nothing; it is run each time.
    Check,
    /// It looks which cluster this is. It has to be the one that the journal knows; the first one that is seen is noted.
    Identify {
        /// What prints the UID of the namespace kube-system.
        ask: Command,
    },
    /// It makes something.
    Make {
        /// What shows that it is there.
        probe: Probe,
        /// Whether another one's is taken.
        foreign: Foreign,
        /// After an interruption.
        retry: Retry,
        /// Whether it stays as it was made, whatever is planned later: a Secret, keys.
        is_made_once: bool,
        /// How long it is of use, where that is bounded.
        lasts: Option<Lasts>,
        /// What was made from it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        copied: Option<Box<Copied>>,
        /// Where its contents are no longer what belongs there.
        #[serde(default)]
        outdated: Outdated,
    },
}

/// How a step is undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// There is nothing to undo.
    Nothing,
    /// By these.
    Run(Vec<Operation>),
    /// By these, only where it was said that what cannot be made again goes too.
    Data {
        /// What would be lost.
        what: String,
        /// How.
        operations: Vec<Operation>,
    },
}

/// A file whose content a step uses: another content is another step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The file, relative to the installation's directory.
    pub file: String,
    /// Of its text.
    pub sha256: String,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Known by.
    pub id: String,
    /// One line without a full stop.
    pub title: String,
    /// Why it is done, and what to know.
    pub why: String,
    /// What it is.
    pub kind: Kind,
    /// What it does, in this order.
    pub operations: Vec<Operation>,
    /// How it is undone.
    pub undo: Undo,
    /// The files that it uses.
    pub uses: Vec<Used>,
    /// The answers that cannot change once it was begun, as another value would be another thing in another place: each by
    /// its key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub place: BTreeMap<String, String>,
}

impl Step {
    /// Does it make a namespace, which goes with everything in it?
    pub fn is_namespace(&self) -> bool {
        self.id.starts_with(NAMESPACE)
    }
}
