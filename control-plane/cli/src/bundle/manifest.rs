//! The manifest: what is in a bundle, where each part came from, and what could not be had.

use jiff::Timestamp;
use serde::Serialize;

/// The number of the bundle's form; a reader of another one looks twice.
pub const FORMAT: u32 = 1;

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of the program that made it.
    pub product: String,
    /// When.
    pub created_at: Timestamp,
    /// The control plane that was asked.
    pub server: String,
    /// The namespace that was asked for.
    pub namespace: String,
    /// How many values were taken out.
    pub redactions: usize,
    /// Bytes of all parts.
    pub bytes: usize,
    /// The parts, in the order in which they were asked for.
    pub parts: Vec<Entry>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Its path in the archive.
    pub name: String,
    /// Who was asked.
    pub source: String,
    /// Its bytes; with none it is not in the archive.
    pub bytes: usize,
    /// How many values were taken out of it.
    pub redactions: usize,
    /// Whether its end was cut off.
    pub cut: bool,
    /// What was wrong; none where it is whole.
    pub problem: Option<String>,
}

impl Manifest {
    /// As it stands in the archive.
    pub fn text(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// How many parts have something wrong.
    pub fn problems(&self) -> usize {
        self.parts.iter().filter(|part| part.problem.is_some()).count()
    }
}
