//! What was done in an installation's directory, step by step: `state.json`. It is written before a step and after it, so
//! that whoever goes on knows what was begun.

use serde::{Deserialize, Serialize};

use crate::step::Step;

/// The version of the file.
pub const VERSION: u32 = 1;
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
    /// What it was.
    pub step: Step,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Journal {
    /// Of the file.
    pub version: u32,
    /// The installation that the directory is of.
    pub identity: String,
    /// In the order in which they were begun.
    pub entries: Vec<Entry>,
}

impl Journal {
    /// Of an installation of which nothing was done.
    pub fn new(identity: &str) -> Self {
        Self { version: VERSION, identity: identity.to_owned(), entries: Vec::new() }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence's end.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("{} bytes, of which at most {MOST_BYTES} are read", text.len()));
        }
        let journal: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if journal.version != VERSION {
            return Err(format!(
                "version {} of the file, where this nimbus knows {VERSION}",
                journal.version
            ));
        }
        Ok(journal)
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

    /// Notes how far a step is.
    pub fn note(&mut self, step: &Step, state: State) {
        match self.entries.iter_mut().find(|entry| entry.step.id == step.id) {
            Some(entry) => *entry = Entry { state, step: step.clone() },
            None => self.entries.push(Entry { state, step: step.clone() }),
        }
    }

    /// Forgets a step.
    pub fn forget(&mut self, id: &str) {
        self.entries.retain(|entry| entry.step.id != id);
    }
}
