//! The independent check of capacity: caps on jobs in flight, attempts and storms (invariants 1, 4, 5 and 6).

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{ActionRules, Authority, Violations, require, rules_of};
use nimbus_protocol::ObjectKind;
use nimbus_protocol::ids::PlanId;

use crate::model::{ActionKind, Agent, Incident, IncidentKind, IncidentState, Job, JobState, Plan, Scope};
use crate::snapshot::Snapshot;

/// Invariants 1 and 4: nothing else is in flight for the same incident, and there is room at every level.
pub(super) fn in_flight(
    found: &mut Violations,
    plan: &Plan,
    rules: &dyn ActionRules,
    (plans, given_up): (&BTreeMap<PlanId, &Plan>, &BTreeSet<PlanId>),
    snapshot: &Snapshot<'_>,
) {
    let is_out = |job: &&Job| match job.state {
        JobState::Pending | JobState::Dispatched | JobState::Running => true,
        JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Expired
        | JobState::Compensated
        | JobState::Unknown => false,
    };
    let stored = snapshot.jobs.iter().chain(snapshot.unstored_jobs).map(|j| &j.doc);
    let flying: Vec<&Job> = stored.filter(is_out).collect();
    require(found, 1, !flying.iter().any(|j| j.incident_id == plan.incident_id), || {
        "a job is in flight for this incident".to_owned()
    });
    let here = |j: &&&Job| j.scope == plan.scope;
    let mine = rules.node();
    // A job whose plan or action cannot be read may disturb any node.
    let on_node = |j: &&&Job| match plans.get(&j.plan_id) {
        None => true,
        Some(other) => match other.action.body() {
            None => true,
            Some(action) => rules_of(action).node() == mine,
        },
    };
    let owned = |j: &&&Job| match (&plan.workload, &j.workload) {
        (Some(a), Some(b)) => a.uid() == b.uid(),
        (None, None) => j.object == plan.object,
        (Some(_), None) | (None, Some(_)) => false,
    };
    let namespace = plan.object.namespace();
    let caps = &snapshot.settings.caps;
    let levels = [
        ("object", caps.per_target, flying.iter().filter(here).filter(|j| j.object == plan.object).count()),
        ("workload", caps.per_owner, flying.iter().filter(here).filter(owned).count()),
        ("node", caps.per_node, flying.iter().filter(here).filter(on_node).count()),
        ("cluster or host", caps.per_cluster, flying.iter().filter(here).count()),
        ("fleet", caps.fleet, flying.len()),
        (
            "namespace",
            if namespace.is_empty() { u32::MAX } else { caps.per_namespace },
            flying.iter().filter(here).filter(|j| j.object.namespace() == namespace).count(),
        ),
    ];
    for (level, cap, count) in levels {
        let applies = level != "node" || mine.is_some();
        require(found, 4, !applies || count < cap as usize, || {
            format!("the {level} has {count} jobs in flight, its cap is {cap}")
        });
    }
    if rules.holds() {
        one_node(found, plan, (plans, given_up), snapshot);
    }
}

/// Invariant 7: of one cluster one node is held back at a time, counted over what is seen, what is in flight or was given up
/// lately, and the plans that come first.
fn one_node(
    found: &mut Violations,
    plan: &Plan,
    (plans, given_up): (&BTreeMap<PlanId, &Plan>, &BTreeSet<PlanId>),
    snapshot: &Snapshot<'_>,
) {
    let inventory = snapshot.world.clusters.get(plan.scope.cluster_uid().unwrap_or_default());
    let seen = inventory.into_iter().flat_map(|inventory| inventory.nodes.values()).find(|node| {
        !node.cordoned_by.is_empty() || node.facts.as_ref().is_some_and(|facts| !facts.held_by.is_empty())
    });
    require(found, 7, seen.is_none(), || {
        format!("node {} is held back already", seen.map_or("", |node| node.meta.name.as_str()))
    });
    let would_hold = |id: &PlanId| match plans.get(id).map(|other| other.action.body()) {
        // What cannot be read may hold any node.
        None | Some(None) => true,
        Some(Some(action)) => rules_of(action).holds(),
    };
    // Of all actions a restart alone holds nodes: that tells where the plan of an incident that is over is not here any more.
    let could_hold = |job: &Job| job.action == ActionKind::RestartPod || plans.contains_key(&job.plan_id);
    let used = SignedDuration::from_millis(i64::from(snapshot.settings.act_ms) * 2 + 60_000);
    let mine = plan.action.body().and_then(|action| rules_of(action).node().map(str::to_owned));
    let node_of = |id: &PlanId| {
        plans.get(id).and_then(|other| other.action.body()).and_then(|action| rules_of(action).node())
    };
    let holds = |job: &&Job| {
        let out = match job.state {
            JobState::Pending | JobState::Dispatched | JobState::Running => true,
            // What a job may have left held is no second node where it is this very one.
            JobState::Unknown | JobState::Expired => {
                let same = mine.is_some() && node_of(&job.plan_id) == mine.as_deref();
                !same && snapshot.now.duration_since(job.expires_at) < used
            }
            JobState::Succeeded | JobState::Failed | JobState::Refused | JobState::Compensated => false,
        };
        out && job.scope == plan.scope && could_hold(job) && would_hold(&job.plan_id)
    };
    let jobs = snapshot.jobs.iter().chain(snapshot.unstored_jobs).map(|job| &job.doc);
    let job = jobs.into_iter().find(holds);
    require(found, 7, job.is_none(), || {
        format!(
            "job {} holds a node of this cluster back",
            job.map(|job| job.id.to_string()).unwrap_or_default()
        )
    });
    let incident = |id| snapshot.incidents.iter().map(|i| &i.doc).find(|i| i.id == id);
    let mine = incident(plan.incident_id).map(|i| (i.created_at, i.id));
    let first = snapshot.incidents.iter().map(|i| &i.doc).find(|other| {
        let at_work = match other.state {
            IncidentState::Open | IncidentState::WaitingApproval | IncidentState::Remediating => true,
            IncidentState::Resolved | IncidentState::Escalated | IncidentState::Silenced => false,
        };
        let before = mine.is_none_or(|mine| (other.created_at, other.id) < mine);
        let planned =
            other.plan_id.is_some_and(|id| id != plan.id && !given_up.contains(&id) && would_hold(&id));
        at_work && before && planned && other.scope == plan.scope
    });
    require(found, 7, first.is_none(), || {
        format!(
            "incident {} comes first and holds a node back",
            first.map(|i| i.id.to_string()).unwrap_or_default()
        )
    });
}

/// Invariant 5: attempts on the owner are capped, with a growing wait between them.
pub(super) fn attempts(found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>, now: Timestamp) {
    let automatic = is_automatic(plan);
    let same = |job: &Job| match (&plan.workload, &job.workload) {
        (Some(a), Some(b)) => a.uid() == b.uid(),
        (None, None) => job.object == plan.object && job.scope == plan.scope,
        (Some(_), None) | (None, Some(_)) => false,
    };
    // Against what a person orders counts what was ordered before, not what was tried by itself.
    let ordered = plan.action.body().filter(|action| match rules_of(action).authority() {
        Authority::Requester => true,
        Authority::Rule | Authority::Approver => false,
    });
    let ordered = ordered.map(nimbus_protocol::action::Body::kind);
    // Scaling with the load is no attempt at a fault.
    let is_scaling = |kind: Option<ActionKind>| kind == Some(ActionKind::ScaleWorkload);
    let scaling = is_scaling(plan.action.kind());
    let counted = |job: &&Job| {
        let helped = job.state == JobState::Succeeded;
        let done = job.state.is_final() && job.state != JobState::Refused;
        same(job)
            && ordered.is_none_or(|action| action == job.action)
            && done
            && job.attempts_reset_at.is_none()
            && is_scaling(Some(job.action)) == scaling
            && ((automatic && !scaling) || !helped)
    };
    let made: Vec<&Job> =
        snapshot.jobs.iter().chain(snapshot.unstored_jobs).map(|j| &j.doc).filter(counted).collect();
    let most = snapshot.settings.attempts as usize;
    require(found, 5, made.len() < most, || format!("{} attempts of at most {most} were made", made.len()));
    let newest = made.iter().map(|j| j.finished_at.or(j.applied_at).unwrap_or(j.expires_at)).max();
    if let Some(newest) = newest {
        let base = u64::from(snapshot.settings.backoff_base_ms);
        let wait = (1..made.len()).fold(base, |wait, _| wait.saturating_mul(2));
        let wait = wait.min(snapshot.settings.backoff_max_ms.into());
        // One that is dated later than now was dated by a clock that was ahead: nothing is waited for then.
        let waited = newest > now
            || now.duration_since(newest)
                >= SignedDuration::from_millis(i64::try_from(wait).unwrap_or(i64::MAX));
        require(found, 5, waited, || format!("{wait} ms after the last attempt ({newest}) have not passed"));
    }
}

/// Invariant 4, the agent's own cap: whoever would act has not had all the jobs that its policy takes in an hour, nor, for a
/// plan that was refused before, half of them for such plans, and has not said so of an hour of which every job still
/// counts.
pub(super) fn hour(found: &mut Violations, plan: &Plan, snapshot: &Snapshot<'_>, now: Timestamp) {
    let acts = |agent: &&Agent| match &plan.scope {
        Scope::Cluster(uid) => agent.leading && agent.cluster_uid.as_ref() == Some(uid),
        Scope::Host(id) => *id == agent.id,
    };
    let mine = snapshot.incidents.iter().map(|incident| &incident.doc).find(|i| i.id == plan.incident_id);
    let repeats = mine.and_then(|i| i.refused.as_ref()).is_some_and(|refused| refused.plan_id == plan.id);
    for agent in snapshot.agents.iter().map(|agent| &agent.doc).filter(acts) {
        let id = agent.id;
        let jobs = || {
            let all = snapshot.jobs.iter().chain(snapshot.unstored_jobs).map(|job| &job.doc);
            all.filter(move |job| job.agent_id == id)
        };
        hour_is_open(found, agent, jobs, now);
        let Some(budget) = agent.jobs_per_hour else { continue };
        let recent =
            |moment: Timestamp| moment <= now && now.duration_since(moment) < SignedDuration::from_hours(1);
        let counts = |job: &&Job| match job.state {
            JobState::Pending | JobState::Dispatched | JobState::Running => true,
            JobState::Refused | JobState::Expired => taken_at(job).is_some_and(recent),
            JobState::Succeeded | JobState::Failed | JobState::Compensated | JobState::Unknown => {
                taken_at(job).is_none_or(recent)
            }
        };
        let had: Vec<&Job> = jobs().filter(counts).collect();
        require(found, 4, had.len() < budget as usize, || {
            format!("agent {} has had {} jobs in this hour, its policy takes {budget}", agent.name, had.len())
        });
        let (repeated, half) = (had.iter().filter(|job| job.again != 0).count(), budget as usize / 2);
        require(found, 4, !repeats || repeated < half.max(1), || {
            format!(
                "agent {} was asked {repeated} times in this hour for what was refused before",
                agent.name
            )
        });
    }
}

/// After a refusal as one too many a minute has passed, and a job that the agent had taken in the hour before it is an hour
/// old by now; or an hour has passed.
fn hour_is_open<'a, I: Iterator<Item = &'a Job>>(
    found: &mut Violations,
    agent: &Agent,
    jobs: impl Fn() -> I,
    now: Timestamp,
) {
    let hour = SignedDuration::from_hours(1);
    let too_many = |job: &'a Job| {
        let moment = job.finished_at.filter(|moment| *moment <= now && now.duration_since(*moment) < hour)?;
        (job.state == JobState::Refused && job.reason.starts_with("hourly_budget")).then_some(moment)
    };
    let Some(said) = jobs().filter_map(too_many).max() else { return };
    let of_that_hour = |moment: &Timestamp| *moment <= said && said.duration_since(*moment) < hour;
    let known = jobs().filter(|job| job.created_at <= said).filter_map(taken_at).filter(of_that_hour);
    let free = known.min().is_some_and(|oldest| now.duration_since(oldest) >= hour);
    let open = free && now.duration_since(said) >= SignedDuration::from_secs(60);
    require(found, 4, open, || format!("agent {} said at {said:.0} that its hour is full", agent.name));
}

/// When a job was taken, as far as it says; a refused one only if it was taken first.
fn taken_at(job: &Job) -> Option<Timestamp> {
    let never = match job.state {
        JobState::Expired => true,
        JobState::Refused => {
            !job.reason.starts_with("precondition_failed") && !job.reason.starts_with("eviction_refused")
        }
        JobState::Pending
        | JobState::Dispatched
        | JobState::Running
        | JobState::Succeeded
        | JobState::Failed
        | JobState::Compensated
        | JobState::Unknown => false,
    };
    if never { None } else { job.applied_at.or(job.finished_at) }
}

/// Does nobody but Nimbus itself stand behind this plan?
pub(super) fn is_automatic(plan: &Plan) -> bool {
    !plan.needs_approval && plan.requested_by == "nimbus"
}

/// Invariant 6: nothing automatic in a storm. What speaks against it in this cluster now.
pub(super) fn storm(uid: &str, snapshot: &Snapshot<'_>, now: Timestamp) -> Violations {
    let mut violations = Violations::new();
    let found = &mut violations;
    let here = || {
        let open = snapshot.incidents.iter().map(|i| &i.doc).filter(|i| i.state != IncidentState::Resolved);
        open.filter(|i| i.scope.cluster_uid() == Some(uid))
    };
    let declared = here().any(|i| i.kind == IncidentKind::Storm);
    require(found, 6, !declared, || "a storm is declared in this cluster".to_owned());
    let limits = &snapshot.settings.storm;
    let window = SignedDuration::from_secs(limits.window_s.into());
    let opened = |i: &&Incident| i.created_at <= now && now.duration_since(i.created_at) < window;
    // A failed Job has ended, and a volume that is near full still works, as does what an autoscaler holds at its maximum: no part of what goes wrong at once.
    let counts = |i: &&Incident| {
        !matches!(
            i.kind,
            IncidentKind::Storm
                | IncidentKind::JobFailing
                | IncidentKind::VolumeNearFull
                | IncidentKind::AutoscalerAtMaximum
                | IncidentKind::CertificateExpiring
                | IncidentKind::CertificateFileExpiring
                | IncidentKind::TlsSecretExpiring
                | IncidentKind::LoadHigh
                | IncidentKind::ScaledOut
        )
    };
    let recent = here().filter(counts).filter(opened).count();
    require(found, 6, recent < limits.incidents as usize, || {
        format!("{recent} incidents were opened within {} s", limits.window_s)
    });
    let Some(inventory) = snapshot.world.clusters.get(uid) else {
        require(found, 6, false, || format!("nothing is known of cluster {uid}: it may be in a storm"));
        return violations;
    };
    let judged = [ObjectKind::Pod, ObjectKind::Node].into_iter().all(|kind| inventory.is_listed(kind));
    require(found, 6, judged, || {
        format!("pods and nodes of cluster {uid} are not fully listed: it may be in a storm")
    });
    let down: BTreeSet<&str> =
        inventory.nodes.values().filter(|n| n.ready != "True").map(|n| n.meta.name.as_str()).collect();
    let (mut pods, mut ill) = (0_u64, 0_u64);
    for pod in inventory.pods.values() {
        if pod.meta.deleting || pod.phase == "Succeeded" || pod.phase == "Failed" {
            continue;
        }
        pods += 1;
        let fails = pod.containers.iter().any(|c| {
            let stuck = c.reason.contains("ImagePull") || c.reason.starts_with("InvalidImage");
            let stuck = stuck || c.reason.contains("ImageNeverPull") || c.reason == "RegistryUnavailable";
            c.restarts > 0 || c.reason.ends_with("Error") || (stuck && c.state == "waiting")
        });
        ill += u64::from(!pod.ready && (fails || down.contains(pod.node.as_str())));
    }
    let calm = pods < limits.min_pods.into() || ill * 100 < pods * u64::from(limits.pod_percent);
    require(found, 6, calm, || format!("{ill} of {pods} pods are unhealthy"));
    let nodes = inventory.nodes.len() as u64;
    let down = down.len() as u64;
    let calm = nodes < limits.min_nodes.into() || down * 100 < nodes * u64::from(limits.node_percent);
    require(found, 6, calm && (nodes < 2 || down < nodes), || {
        format!("{down} of {nodes} nodes are not ready")
    });
    violations
}
