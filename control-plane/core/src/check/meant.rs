//! Which plans the settings mean by their lists of actions and clusters.

use crate::model::{ActionKind, Incident, Plan, Scope};
use crate::snapshot::Snapshot;

/// Do the settings mean this plan by these actions and clusters, or by none of them everything?
pub(super) fn is_meant(plan: &Plan, places: &[String], actions: &[ActionKind], clusters: &[String]) -> bool {
    let action = actions.is_empty()
        || actions.iter().any(|kind| kind.as_str() == plan.action.word())
        || plan.action.kind().is_none();
    action && (clusters.is_empty() || clusters.iter().any(|name| places.contains(name)))
}

/// Every name and id of the plan's place.
pub(super) fn places_of(plan: &Plan, incident: Option<&Incident>, snapshot: &Snapshot<'_>) -> Vec<String> {
    let settings = snapshot.settings;
    if settings.quorum.is_empty() && settings.window.is_empty() && settings.blackout.is_empty() {
        return Vec::new();
    }
    all_places_of(plan, incident, snapshot)
}

/// The same, whatever the settings ask for.
pub(super) fn all_places_of(
    plan: &Plan,
    incident: Option<&Incident>,
    snapshot: &Snapshot<'_>,
) -> Vec<String> {
    let mut places: Vec<String> = incident.map(|incident| incident.cluster.clone()).into_iter().collect();
    let named = |uid: &String| {
        let of = snapshot.clusters.iter().map(|cluster| &cluster.doc).filter(|it| it.uid == *uid);
        of.map(|cluster| cluster.name.clone()).chain([uid.clone()]).collect::<Vec<_>>()
    };
    match &plan.scope {
        Scope::Cluster(uid) => places.extend(named(uid)),
        Scope::Host(host) => {
            let own = snapshot.agents.iter().map(|agent| &agent.doc).find(|agent| agent.id == *host);
            places.extend(own.map(|agent| agent.name.clone()));
            // The files of a cluster's node are that cluster's, too.
            let of = own.and_then(|agent| agent.bound_cluster.as_ref().or(agent.cluster_uid.as_ref()));
            places.extend(of.map(named).unwrap_or_default());
            places.push(host.to_string());
        }
    }
    places
}
