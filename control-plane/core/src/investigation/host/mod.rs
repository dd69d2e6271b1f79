//! How a host is now, as its agent told last, and what of it has a time: the unit or the file that the incident is about, then its
//! other units that are not well, its files that drifted, its disks and its figures. All of it is by the host's own clock.

mod figures;
mod files;
mod units;

use nimbus_protocol::ids::AgentId;

use super::{Investigation, Known, Window};
use crate::model::{Incident, ObjectRef};
use crate::snapshot::Snapshot;

/// Most moments of a host beside those of the incident's own unit or file, those nearest to the incident's begin.
const MOST_MOMENTS: usize = 40;

/// All of it.
pub(super) fn tell(
    incident: &Incident,
    agent: AgentId,
    snapshot: &Snapshot<'_>,
    window: Window,
    found: &mut Investigation,
) {
    if let Err(why) = snapshot.known(&incident.scope, &[]) {
        found.unknown.push(format!("{why}; what is said of the host is as it was seen last"));
    }
    found.unknown.push(
        "what the units of a host wrote to its journal is not collected, and of its past no more is kept than is told here"
            .to_owned(),
    );
    let Some(facts) = snapshot.world.hosts.get(&agent) else { return };
    found.as_of = facts.heard_at;
    let (unit, file) = match &incident.object {
        ObjectRef::Unit { name } => (Some(name.as_str()), None),
        ObjectRef::File { path } => (None, Some(path.as_str())),
        ObjectRef::Kubernetes(_)
        | ObjectRef::Host { .. }
        | ObjectRef::Cluster { .. }
        | ObjectRef::Resource { .. } => (None, None),
    };
    let mut own = Vec::new();
    if let Some(name) = unit {
        own.extend(units::own(name, facts, found));
    }
    if let Some(path) = file {
        own.extend(files::own(path, facts, found));
    }
    let (moments, now): (Vec<Known>, Vec<Known>) = own.into_iter().partition(|one| one.at.is_some());
    found.now = now;
    found.timeline.extend(moments.into_iter().filter(|one| one.at.is_some_and(|at| window.has(at))));

    let mut others = units::others(unit, facts, snapshot.now, found);
    others.extend(files::others(file, facts, window, found));
    others.extend(figures::of(facts));
    let (moments, now): (Vec<Known>, Vec<Known>) = others.into_iter().partition(|one| one.at.is_some());
    found.now.extend(now);
    found.tell_nearest(moments, MOST_MOMENTS, window, "moments of this host's units and files");
}
