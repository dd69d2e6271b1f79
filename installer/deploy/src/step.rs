//! A step: what it does, what shows that it is done, and how it is undone.

use serde::{Deserialize, Serialize};

use crate::command::{Command, Operation};

/// What shows whether a step is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Probe {
    /// This command succeeds.
    Succeeds(Command),
    /// This file is there.
    File(String),
    /// Nothing shows it; the step may be done again at any time.
    Nothing,
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

/// What a step is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It looks and changes nothing; it is run each time.
    Check,
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
}
