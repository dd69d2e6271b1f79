//! The words in an incident's reason that say when what was refused is asked for again.

use jiff::Timestamp;

use crate::model::Incident;

/// What follows in a reason says when it is asked for again.
const THEN: &str = "; asked again ";

/// At that moment, or as soon as what stands in the way no longer does.
pub(super) fn then(in_the_way: Option<&str>, next: Timestamp) -> String {
    match in_the_way {
        Some(what) => {
            format!(
                "{THEN}as soon as {what}: that is watched, and it is asked for at {next:.0} at the latest"
            )
        }
        None => format!("{THEN}at {next:.0}"),
    }
}

/// Later, for this reason; before it what the incident says of the refusal, or `planned` where it says nothing of it.
pub(super) fn later(after: &Incident, planned: &str, why: &str) -> String {
    let said = after.reason.rsplit_once(THEN).map_or(planned, |(said, _)| said);
    format!("{said}{THEN}later: {why}")
}

/// What the incident says of the refusal stands, and it waits for another moment now.
pub(super) fn say_when(after: &mut Incident, in_the_way: &str, next: Timestamp) {
    let said = after.reason.rsplit_once(THEN).map_or(after.reason.as_str(), |(said, _)| said);
    after.reason = format!("{said}{}", then(Some(in_the_way), next));
}
