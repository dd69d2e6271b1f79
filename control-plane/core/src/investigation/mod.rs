//! What is known around an incident, each with where it is known from: a timeline of what happened to its object, what was tried
//! and what else was wrong then; and how the object is now. Nothing is decided here, and nothing that is not known is filled in.
//!
//! Each source is a file: the incident's own story, jobs, other incidents, what was written in the cluster, what was seen of revisions,
//! the present picture of a cluster or of a host. Each is bounded by itself, so that a storm of one does not hide another.

mod found;
mod gone;
mod host;
mod now;
mod other;
mod pods;
mod revisions;
mod story;
#[cfg(test)]
mod tests;
mod tried;
mod words;
mod written;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ObjectKind;

pub use found::{Investigation, Known, Source};
pub use other::is_of_place;

use crate::model::{Incident, Job, Scope};
use crate::snapshot::Snapshot;

/// What happened so long before the incident at most may have to do with it.
pub const BEFORE: SignedDuration = SignedDuration::from_hours(24);
/// Another incident that was opened so near to it may have the same cause.
pub const NEAR: SignedDuration = SignedDuration::from_mins(15);
/// Most lines of the present picture.
pub const MOST_FACTS: usize = 80;
/// How far the clocks of a cluster and of the control plane may be apart.
const CLOCKS: SignedDuration = SignedDuration::from_mins(1);

/// The time that is looked at.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// The incident's begin.
    begin: Timestamp,
    /// [`BEFORE`] it.
    from: Timestamp,
    /// The incident's end, or now.
    until: Timestamp,
}

impl Window {
    fn of(incident: &Incident, now: Timestamp) -> Self {
        let end = incident.resolved_at.unwrap_or(now);
        Self {
            begin: incident.created_at,
            from: incident.created_at.checked_sub(BEFORE).unwrap_or(Timestamp::MIN),
            until: end.checked_add(CLOCKS).unwrap_or(Timestamp::MAX),
        }
    }

    fn has(self, at: Timestamp) -> bool {
        self.from <= at && at <= self.until
    }

    /// How far from the incident's begin that is.
    fn distance(self, at: Timestamp) -> SignedDuration {
        at.duration_since(self.begin).abs()
    }
}

/// Puts together what is known around `incident`: `others` are incidents of its place, `jobs` those of its place, `snapshot` the present
/// picture. The same input gives the same answer.
pub fn investigate(
    incident: &Incident,
    others: &[&Incident],
    jobs: &[&Job],
    snapshot: &Snapshot<'_>,
) -> Investigation {
    let window = Window::of(incident, snapshot.now);
    let mut found = Investigation::default();
    story::tell(incident, &mut found);
    tried::tell(incident, jobs, snapshot, window, &mut found);
    other::tell(incident, others, snapshot.agents, window, &mut found);
    match &incident.scope {
        Scope::Host(agent) => host::tell(incident, *agent, snapshot, window, &mut found),
        Scope::Cluster(_) => of_cluster(incident, snapshot, window, &mut found),
    }
    found.in_order();
    found
}

fn of_cluster(incident: &Incident, snapshot: &Snapshot<'_>, window: Window, found: &mut Investigation) {
    // Secrets with certificates are watched only where somebody asked for it; nothing here is told from them.
    let kinds: Vec<ObjectKind> =
        ObjectKind::ALL.iter().copied().filter(|kind| *kind != ObjectKind::TlsSecret).collect();
    if let Err(why) = snapshot.known(&incident.scope, &kinds) {
        found.unknown.push(format!("{why}; what is said of the cluster is as it was seen last"));
    }
    found.unknown.push(
        "logs of containers are not collected; Events are kept of volumes that cannot be mounted alone"
            .to_owned(),
    );
    let Some(inventory) = snapshot.inventory(&incident.scope) else { return };
    found.as_of = inventory.heard_at;
    if let Some(at) = inventory.clock_jumped_at {
        found.unknown.push(format!(
            "the control plane's clock jumped, last at {at:.0}: whether times before that agree with those of the cluster is \
             unknown"
        ));
    }
    gone::tell(incident, inventory, found);
    written::tell(incident, inventory, window, found);
    revisions::tell(incident, inventory, window, found);
    now::tell(incident, inventory, window, found);
}
