//! The cluster's own warnings: why a pod could not be made, or is not started.

use jiff::Timestamp;
use serde::Deserialize;

use super::items;
use crate::check::Gathered;

/// The reasons of what keeps a workload from making pods, and a pod from being started.
const REASONS: [&str; 3] = ["FailedCreate", "FailedMount", "FailedAttachVolume"];

/// A warning that the cluster keeps about an object, for an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The object's kind.
    pub kind: String,
    /// The object's name.
    pub name: String,
    /// What it says.
    pub message: String,
    /// When it was last said; none where the cluster does not tell.
    pub at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Note {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    involved_object: Involved,
    #[serde(default)]
    last_timestamp: Option<String>,
    #[serde(default)]
    event_time: Option<String>,
}

#[derive(Deserialize)]
struct Involved {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
}

/// Of `kubectl get events -o json`: those that tell why a pod could not be made, or is not started.
pub fn warnings(printed: &[u8]) -> Gathered<Vec<Warning>> {
    let events: Vec<Note> = items(printed, "kubectl get events -o json")?;
    let time = |text: Option<String>| text.and_then(|text| text.parse::<Timestamp>().ok());
    let tells = |event: &Note| event.kind == "Warning" && REASONS.contains(&event.reason.as_str());
    let warnings = events.into_iter().filter(tells).map(|event| Warning {
        kind: event.involved_object.kind,
        name: event.involved_object.name,
        message: event.message,
        at: time(event.last_timestamp).max(time(event.event_time)),
    });
    Ok(warnings.collect())
}

/// The newest warning about an object.
pub(super) fn newest<'a>(warnings: &'a [Warning], kind: &str, name: &str) -> Option<&'a Warning> {
    let of_it = warnings.iter().filter(|warning| warning.kind == kind && warning.name == name);
    of_it.max_by_key(|warning| warning.at)
}
