//! What was done in an installation's directory, step by step: `state.json`. It is written before a step and after it, so
//! that whoever goes on knows what was begun.

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::step::Step;

/// The version of the file.
pub const VERSION: u32 = 2;
/// The most bytes of the file that are read.
pub const MOST_BYTES: usize = 4 << 20;

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It was not there, and the step was begun.
    Begun,
    /// It had been done, and was begun again with other contents.
    BegunAgain,
    /// It was done here.
    Made,
    /// It was there already; it is somebody else's.
    Found,
    /// Its undoing was begun.
    Undoing,
}

/// A step that was touched, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// How far it is.
    pub state: State,
    /// What it made carries this, random, from before the step was begun: a thing of that name without it is somebody
    /// else's. None where it was found.
    pub mark: Option<String>,
    /// When this was noted, in seconds since 1970.
    pub at: u64,
    /// What it was.
    pub step: Step,
}

/// The cluster in which the steps were done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// The UID of its namespace kube-system.
    pub uid: String,
    /// What printed it.
    pub ask: Command,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// Of the file.
    pub version: u32,
    /// The installation that the directory is of.
    pub identity: String,
    /// The cluster, once it was asked. A context is only a name, which may lead to another cluster tomorrow.
    pub cluster: Option<Known>,
    /// In the order in which they were begun.
    pub entries: Vec<Entry>,
}

/// What every version of the file has.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

impl Journal {
    /// Of an installation of which nothing was done.
    pub fn new(identity: &str) -> Self {
        Self { version: VERSION, identity: identity.to_owned(), cluster: None, entries: Vec::new() }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence's end.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("{} bytes, of which at most {MOST_BYTES} are read", text.len()));
        }
        // Another version has other fields: it is named before they are read.
        let head: Head = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if head.version != VERSION {
            return Err(format!("version {} of the file, where this nimbus knows {VERSION}", head.version));
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    /// As the file has it.
    ///
    /// # Errors
    /// What the serialiser says; a journal always has a text.
    pub fn text(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|error| error.to_string())
    }

    /// The step of this id, if it was touched.
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.step.id == id)
    }

    /// Notes how far a step is; in the place where it was noted before.
    pub fn note(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|known| known.step.id == entry.step.id) {
            Some(known) => *known = entry,
            None => self.entries.push(entry),
        }
    }

    /// Forgets a step.
    pub fn forget(&mut self, id: &str) {
        self.entries.retain(|entry| entry.step.id != id);
    }
}
