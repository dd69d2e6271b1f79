//! The API's investigation of an incident: what is known around it, each with where it is known from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Incident, words};

/// What is known around an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Investigation {
    /// The incident as lists show it.
    pub incident: Incident,
    /// What happened around it, the oldest first: the newest 200 lines.
    pub timeline: Vec<Known>,
    /// How many older lines were left out.
    pub left_out: u32,
    /// How what it is about is now, 50 lines at most.
    pub now: Vec<Known>,
    /// What is not known, and why.
    pub unknown: Vec<String>,
}

/// One thing that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Known {
    /// When it was so; `null` where that is not recorded.
    pub at: Option<Timestamp>,
    /// In words.
    pub text: String,
    /// Where it is known from.
    #[schema(value_type = words::Source)]
    pub source: String,
    /// Which one: an id of Nimbus, or an object.
    pub of: String,
}
