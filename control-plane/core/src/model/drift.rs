//! The model of drift: one field of one object that differs from its declared or accepted value, whichever source
//! declared it.

use serde::{Deserialize, Serialize};

use super::ObjectRef;

nimbus_protocol::words! {
    /// What something is compared with.
    DriftSource {
        /// The accepted baseline of a watched file.
        Files = "files",
    }
}

/// One field of one object that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// What it was compared with.
    pub source: DriftSource,
    /// The object.
    pub object: ObjectRef,
    /// Which part of it, for example `mode`.
    pub field: String,
    /// What it should be, as text for people.
    pub expected: String,
    /// What it is, as text for people.
    pub actual: String,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} -> {}", self.field, self.expected, self.actual)
    }
}

/// An attribute of a file: an extended attribute, an access control list or a flag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its value, or what tells it from another one.
    pub shown: String,
}
