//! The independent check of the rules (invariant 12): that one is for the plan and, where nobody is asked, that all of them agree and the
//! agent that acts takes a rule's word for it.
//!
//! It reads the stored rules by itself. What it shares with the planner is how a condition is compiled and evaluated, and on which facts.

use jiff::Timestamp;
use nimbus_protocol::action::Body;
use nimbus_protocol::v1;

use super::meant::all_places_of;
use super::{Authority, Violations, calendar, require};
use crate::model::{Incident, Intended, Plan};
use crate::rulebook::{Entry, Facts};
use crate::snapshot::Snapshot;

/// What a rule has to do with a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It is for another case.
    Nothing,
    /// Nobody has to be asked.
    Begin,
    /// A person has to be asked, also because that is not known.
    Ask,
}

/// A plan of Nimbus's own is for a rule that is in force, and goes without a person only where the rules say so.
pub(super) fn require_rule(
    found: &mut Violations,
    plan: &Plan,
    action: &Body,
    authority: Authority,
    snapshot: &Snapshot<'_>,
    now: Timestamp,
) {
    if plan.requested_by != "nimbus" {
        return;
    }
    let Some(incident) = snapshot.incidents.iter().map(|it| &it.doc).find(|it| it.id == plan.incident_id)
    else {
        require(found, 12, false, || "the rules cannot be asked: its incident is not known".to_owned());
        return;
    };
    // Whatever changed since: what a person denied once for this incident, a person decides on.
    require(found, 12, plan.needs_approval || incident.denied_digest.is_none(), || {
        "a person denied what was planned for its incident before, and nobody is asked".to_owned()
    });
    require_few_files(found, plan, incident, action, snapshot);
    require(found, 3, is_about(action, plan), || {
        format!("the plan is about {}, and its action about another object", plan.object)
    });
    let word = action.kind().as_str();
    let says = said(plan, incident, action, authority, snapshot, now);
    require(found, 12, says != Says::Nothing, || format!("no rule that is in force is for {word} here"));
    if plan.needs_approval {
        return;
    }
    require(found, 12, says == Says::Begin, || format!("the rules want a person's word for {word} here"));
    if authority != Authority::Rule {
        let taken = snapshot.agents.iter().map(|agent| &agent.doc).any(|agent| {
            let acts = match (plan.scope.cluster_uid(), plan.scope.host()) {
                (Some(uid), _) => agent.leading && agent.cluster_uid.as_deref() == Some(uid),
                (None, host) => host == Some(agent.id),
            };
            acts && agent.revoked_at.is_none()
                && snapshot.connected.contains(&agent.id)
                && agent.automatic_actions.iter().any(|taken| taken == word)
        });
        require(found, 12, taken, || format!("no connected agent there takes a rule's word for {word}"));
    }
}

/// What the rules in force say together.
fn said(
    plan: &Plan,
    incident: &Incident,
    action: &Body,
    authority: Authority,
    snapshot: &Snapshot<'_>,
    now: Timestamp,
) -> Says {
    let word = action.kind().as_str();
    let of_action = || snapshot.rules.entries().iter().filter(|entry| entry.rule.doc.text.action == word);
    let built_in = if authority == Authority::Rule { Says::Begin } else { Says::Ask };
    if of_action().next().is_none() {
        return built_in;
    }
    let intended = Intended { action, object: &plan.object, workload: plan.workload.as_ref() };
    let case = Case {
        places: all_places_of(plan, Some(incident), snapshot),
        namespace: plan.object.namespace(),
        facts: snapshot.facts(incident, &intended),
        now,
    };
    let instead_of_built_in = word.replace('_', "-");
    let is_own = |entry: &&Entry| entry.rule.doc.text.name == instead_of_built_in;
    let others: Vec<Says> = of_action()
        .filter(|entry| !is_own(entry) && entry.rule.doc.text.enabled)
        .map(|entry| says(entry, &case))
        .filter(|says| *says != Says::Nothing)
        .collect();
    match (others.as_slice(), of_action().find(is_own)) {
        ([], None) => built_in,
        ([], Some(entry)) if entry.rule.doc.text.enabled => says(entry, &case),
        ([], Some(_)) => Says::Nothing,
        (some, _) if some.iter().all(|says| *says == Says::Begin) => Says::Begin,
        (_, _) => Says::Ask,
    }
}

/// Invariant 6, on hosts: of so many files that differ at once none is put back unasked, nor one that was among so many.
fn require_few_files(
    found: &mut Violations,
    plan: &Plan,
    incident: &Incident,
    action: &Body,
    snapshot: &Snapshot<'_>,
) {
    if plan.needs_approval || !matches!(action, Body::RestoreFile(_)) {
        return;
    }
    let open =
        snapshot.incidents.iter().map(|it| &it.doc).filter(|it| {
            it.scope == plan.scope && it.kind.as_str() == "file_drift" && it.resolved_at.is_none()
        });
    let most = u64::from(snapshot.settings.storm.incidents);
    let count = u64::try_from(open.count()).unwrap_or(u64::MAX);
    require(found, 6, count < most && !incident.of_many, || {
        format!("many files of the host differ at once ({count} do now), and nobody is asked")
    });
}

/// Is what the rules are asked about the object that the action changes?
fn is_about(action: &Body, plan: &Plan) -> bool {
    let uid = |target: &Option<v1::Target>| target.as_ref().map(|target| target.uid.clone());
    let own = match action {
        Body::RestartPod(action) => uid(&action.pod),
        Body::RollbackDeployment(action) => uid(&action.deployment),
        Body::RaiseMemoryLimit(action) => uid(&action.deployment),
        Body::ExpandVolume(action) => uid(&action.claim),
        Body::RaiseAutoscalerMaximum(action) => uid(&action.autoscaler),
        Body::ScaleWorkload(action) => uid(&action.workload),
        Body::RenewCertificate(action) => uid(&action.certificate),
        Body::UncordonNode(action) => uid(&action.node),
        Body::RestoreFile(action) => Some(action.path.clone()),
        Body::AcceptBaseline(action) => Some(action.path.clone()),
        Body::WithdrawBaseline(action) => Some(action.path.clone()),
        Body::RestartUnit(action) => Some(action.unit.clone()),
    };
    own.as_deref() == Some(plan.object.identity())
}

/// What the rules are asked about.
struct Case<'a> {
    places: Vec<String>,
    namespace: &'a str,
    facts: Facts,
    now: Timestamp,
}

fn says(entry: &Entry, case: &Case<'_>) -> Says {
    let text = &entry.rule.doc.text;
    let there = text.clusters.is_empty() || case.places.iter().any(|place| text.clusters.contains(place));
    let in_namespace =
        text.namespaces.is_empty() || text.namespaces.iter().any(|name| name == case.namespace);
    if !there || !in_namespace {
        return Says::Nothing;
    }
    for (key, value) in &text.labels {
        match case.facts.label(key) {
            None => return Says::Ask,
            Some(found) if found != Some(value.as_str()) => return Says::Nothing,
            Some(_) => {}
        }
    }
    let holds = match &entry.condition {
        Ok(None) => Ok(true),
        Ok(Some(condition)) => condition.holds(&case.facts),
        Err(why) => Err(why.clone()),
    };
    match holds {
        Ok(false) => Says::Nothing,
        Err(_) => Says::Ask,
        Ok(true) => {
            let in_time = text.windows.is_empty()
                || text.windows.iter().any(|window| calendar::shows(window, case.now));
            if text.auto_approve && in_time { Says::Begin } else { Says::Ask }
        }
    }
}
