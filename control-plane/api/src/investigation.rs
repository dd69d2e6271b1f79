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
    /// What happened around it, the oldest first. Its own story and its jobs are whole; of other sources what is nearest to its begin.
    pub timeline: Vec<Known>,
    /// How many jobs, incidents and other moments were left out of it; `unknown` says which.
    pub left_out: u32,
    /// When its cluster or host was last heard of: `now` is how it was then. `null` where it was not, or that is not known.
    #[serde(default)]
    pub as_of: Option<Timestamp>,
    /// How what it is about is now: of a cluster 80 lines at most, its own object first.
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
