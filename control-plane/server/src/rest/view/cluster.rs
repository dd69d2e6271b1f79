//! Clusters as the API shows them: their health, and what Nimbus may do in them.

use nimbus_api as api;
use nimbus_control_core::model::{ApprovalState, Cluster, IncidentKind, Mode, Pause, Scope};

use super::Fleet;
use super::agent::belonging_to;
use super::fleet::number;

/// A cluster.
pub fn cluster(doc: &Cluster, fleet: &Fleet) -> api::Cluster {
    let picture = fleet.overview(&doc.uid);
    let loud = number(fleet.unsilenced_incidents(&doc.uid).count());
    let (state, reason) = match &picture.counts {
        Err(why) => ("unknown", why.clone()),
        Ok(_) if doc.mode == Mode::Off => ("unknown", "off: nothing of it is judged".to_owned()),
        Ok(_) if loud > 0 => ("degraded", first(loud, fleet, &doc.uid)),
        Ok(_) => ("healthy", String::new()),
    };
    let ours = || belonging_to(&doc.uid, fleet);
    let counts = picture.counts.ok();
    let open = fleet.docs.incidents.iter().filter(|incident| is_in(&incident.doc.scope, &doc.uid));
    api::Cluster {
        id: doc.uid.clone(),
        created_at: doc.created_at,
        name: doc.name.clone(),
        cluster: doc.name.clone(),
        kind: "kubernetes".to_owned(),
        state: state.to_owned(),
        reason,
        mode: doc.mode.to_string(),
        paused: pause_of(&doc.uid, fleet).is_some(),
        enabled: doc.enabled.iter().map(ToString::to_string).collect(),
        agents_total: number(ours().count()),
        agents_connected: number(ours().filter(|agent| fleet.connected.contains(&agent.id)).count()),
        leader: picture.actor.ok().map(|agent| agent.id.to_string()),
        nodes: counts.map(|counts| counts.nodes),
        nodes_ready: counts.map(|counts| counts.nodes_ready),
        pods: counts.map(|counts| counts.pods),
        pods_ready: counts.map(|counts| counts.pods_ready),
        deployments: counts.map(|counts| counts.deployments),
        open_incidents: number(open.count()),
    }
}

fn is_in(scope: &Scope, cluster_uid: &str) -> bool {
    scope.cluster_uid() == Some(cluster_uid)
}

/// "1 incident: web crash-loops", "3 incidents, among them: …"
fn first(loud: u32, fleet: &Fleet, uid: &str) -> String {
    let worst =
        fleet.unsilenced_incidents(uid).min_by_key(|incident| (incident.severity, incident.created_at));
    let title = worst.map(|incident| incident.title.as_str()).unwrap_or_default();
    if loud == 1 { format!("1 incident: {title}") } else { format!("{loud} incidents, among them: {title}") }
}

/// The pause of the cluster or of the fleet, where there is one.
fn pause_of<'a>(uid: &str, fleet: &'a Fleet) -> Option<&'a Pause> {
    let scope = Scope::Cluster(uid.to_owned());
    fleet.docs.pauses.iter().map(|pause| &pause.doc).find(|pause| pause.covers(&scope, None))
}

/// Why nothing is asked for or done there, as nobody enabled it.
fn not_enabled(doc: &Cluster) -> Option<String> {
    let next = format!("`nimbus autonomous enable --cluster {}`", doc.name);
    match doc.mode {
        Mode::Off => Some(format!("off: nothing of it is an incident; {next} changes that")),
        Mode::Observe => Some(format!("observe only; {next} lets Nimbus ask and act")),
        Mode::Recommend | Mode::Act => None,
    }
}

/// How far Nimbus may go in a cluster, and what keeps it from going there.
pub fn autonomous(doc: &Cluster, fleet: &Fleet) -> api::AutonomousStatus {
    let picture = fleet.overview(&doc.uid);
    let storm = fleet.unsilenced_incidents(&doc.uid).find(|incident| incident.kind == IncidentKind::Storm);
    let allowed = picture.actor.as_ref().map(|agent| agent.allowed_actions.as_slice()).unwrap_or_default();
    let enabled: Vec<String> = doc.enabled.iter().map(ToString::to_string).collect();
    let forbidden: Vec<String> = enabled.iter().filter(|action| !allowed.contains(action)).cloned().collect();
    let pause = pause_of(&doc.uid, fleet);
    let reason = if let Some(pause) = pause {
        pause.sentence()
    } else if let Some(paused) = picture.actor.as_ref().ok().and_then(|agent| agent.paused.as_ref()) {
        format!("its agent says: {paused}")
    } else if let Some(why) = not_enabled(doc) {
        why
    } else if let Err(why) = &picture.counts {
        why.clone()
    } else if let Err(why) = &picture.actor {
        why.clone()
    } else if let Some(storm) = storm {
        storm.title.clone()
    } else if forbidden.is_empty() {
        String::new()
    } else {
        format!("the agent's own policy forbids {}", forbidden.join(", "))
    };
    let here = |scope: &Scope| is_in(scope, &doc.uid);
    let jobs = fleet.docs.jobs.iter().filter(|job| here(&job.doc.scope) && !job.doc.state.is_final());
    let incident_here = |id| fleet.docs.incidents.iter().any(|i| i.doc.id == id && here(&i.doc.scope));
    let waiting = fleet.docs.approvals.iter().filter(|approval| {
        approval.doc.state == ApprovalState::Pending && incident_here(approval.doc.incident_id)
    });
    api::AutonomousStatus {
        id: doc.uid.clone(),
        created_at: doc.created_at,
        cluster: doc.name.clone(),
        state: doc.mode.to_string(),
        paused: pause.is_some(),
        reason,
        enabled,
        forbidden,
        storm: storm.is_some(),
        jobs_in_flight: number(jobs.count()),
        waiting_approvals: number(waiting.count()),
    }
}
