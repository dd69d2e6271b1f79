//! Scenes in which nothing is done, and the incident says why.

use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::remediation;
use crate::testing::lab::agent_id;

#[test]
fn a_cluster_that_is_not_enabled_is_only_observed() {
    for (mut lab, kind) in
        [(crash_loop(), IncidentKind::PodCrashLoop), (stuck_rollout(), IncidentKind::RolloutStuck)]
    {
        let cluster = lab.clusters[CLUSTER].clone();
        let changes = remediation::disable(&cluster, &[], false, "operator", lab.now).unwrap();
        lab.commit(changes);
        assert!(lab.settle().is_empty());
        let incident = lab.open(kind);
        assert_eq!(incident.state, IncidentState::Open);
        assert!(
            incident.reason.starts_with("observe only: cluster prod is not enabled"),
            "{}",
            incident.reason
        );
        assert!(incident.reason.contains("nimbus autonomous enable --cluster prod"), "{}", incident.reason);
        assert!(incident.plan_id.is_some(), "what would be done can be seen");
        assert_eq!(lab.live_approvals(), 0, "nobody is asked in vain");

        let cluster = lab.clusters[CLUSTER].clone();
        let changes = remediation::enable(&cluster, &[], Some(Mode::Act), "operator", lab.now).unwrap();
        lab.commit(changes);
        let jobs = lab.settle();
        assert_eq!(jobs.len() + lab.live_approvals(), 1, "enabled, it goes on");
    }
}

#[test]
fn the_agents_own_policy_is_never_widened() {
    for (mut lab, kind) in [
        (crash_loop(), IncidentKind::PodCrashLoop),
        (stuck_rollout(), IncidentKind::RolloutStuck),
        (drifted_file(), IncidentKind::FileDrift),
    ] {
        lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.allowed_actions.clear();
        assert!(lab.settle().is_empty());
        let incident = lab.open(kind);
        assert_eq!(incident.state, IncidentState::Open);
        assert!(incident.reason.contains("local policy of agent edge does not allow"), "{}", incident.reason);
        assert_eq!(lab.live_approvals(), 0);
    }
}

#[test]
fn a_pending_request_is_void_when_the_cluster_is_disabled() {
    let mut lab = stuck_rollout();
    lab.settle();
    assert_eq!(lab.live_approvals(), 1);
    let cluster = lab.clusters[CLUSTER].clone();
    let changes =
        remediation::disable(&cluster, &[ActionKind::RollbackDeployment], false, "operator", lab.now)
            .unwrap();
    lab.commit(changes);
    lab.settle();
    assert_eq!(lab.live_approvals(), 0);
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::Open);
}

#[test]
fn an_object_that_changed_is_refused_by_the_agent_and_planned_anew() {
    let mut lab = crash_loop();
    let jobs = lab.settle();
    lab.report(&jobs[0], Phase::Refused, "precondition_failed", "expected pod-web-1-0, found none");
    let incident = lab.open(IncidentKind::PodCrashLoop).clone();
    assert_eq!((incident.state, incident.attempts), (IncidentState::Open, 0));
    assert!(
        incident.reason.contains("precondition_failed: expected pod-web-1-0, found none"),
        "{}",
        incident.reason
    );
    assert_eq!(incident.plan_id, None);
    assert_eq!(lab.audited("job.refused"), 1);
    assert!(lab.settle().is_empty(), "a moment later");
    lab.pass(1);
    assert_eq!(lab.settle().len(), 1);
    // Refused again and again, the tries become rarer.
    let mut gaps = Vec::new();
    for _ in 0..4 {
        let job = lab.jobs.values().find(|j| !j.doc.state.is_final()).unwrap().doc.clone();
        let job =
            v1::Job { job_id: job.id.to_string(), agent_id: agent_id().to_string(), ..Default::default() };
        lab.report(&job, Phase::Refused, "precondition_failed", "again");
        let refused_at = lab.now;
        while lab.settle().is_empty() {
            lab.pass(1);
        }
        gaps.push(lab.now.duration_since(refused_at).as_secs());
    }
    assert_eq!(gaps, [2, 4, 8, 16]);
}

#[test]
fn a_refusal_by_policy_waits_longer() {
    let mut lab = crash_loop();
    let jobs = lab.settle();
    lab.report(&jobs[0], Phase::Refused, "policy_forbids", "namespace shop is denied");
    let reason = lab.open(IncidentKind::PodCrashLoop).reason.clone();
    assert!(reason.contains("policy_forbids: namespace shop is denied"), "{reason}");
    lab.pass(29);
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).reason, reason, "the reason stays readable");
    lab.pass(1);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn an_approval_stands_when_the_agent_refused_a_job_of_an_earlier_epoch() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let first = lab.settle().remove(0);
    lab.report(&first, Phase::Refused, "stale_epoch", "expected epoch 8, found 7");
    assert_eq!(lab.audited("approval.returned"), 1);
    lab.pass(1);
    let second = lab.settle().remove(0);
    assert_ne!(first.job_id, second.job_id);
    assert_eq!(first.plan_digest, second.plan_digest, "the same plan that was approved");
    assert_eq!(lab.approvals.len(), 1, "nobody is asked twice");
    // A refusal for another reason uses it up.
    lab.report(&second, Phase::Refused, "precondition_failed", "generation changed");
    lab.pass(60);
    assert!(lab.settle().is_empty());
    assert_eq!(lab.approvals.len(), 2);
}

#[test]
fn an_approval_stands_when_the_agent_was_interrupted_before_it_acted_until_the_job_expired() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let first = lab.settle().remove(0);
    assert!(lab.report(&first, Phase::Accepted, "", ""));
    lab.pass(70);
    assert!(!lab.expire(), "it may still be working");
    assert!(lab.report(&first, Phase::Refused, "expired", "interrupted before it acted"));
    assert_eq!(lab.jobs[&first.job_id].doc.state, JobState::Refused);
    assert_eq!(lab.open(IncidentKind::RolloutStuck).attempts, 0, "nothing was tried");
    assert_eq!(lab.audited("approval.returned"), 1);
    lab.pass(1);
    let second = lab.settle().remove(0);
    assert_ne!(first.job_id, second.job_id);
    assert_eq!(first.plan_digest, second.plan_digest, "the same plan that was approved");
    assert_eq!(lab.approvals.len(), 1, "nobody is asked twice");
}

#[test]
fn nothing_is_concluded_from_what_is_not_known() {
    let mut lab = crash_loop();
    lab.connected.clear();
    assert!(lab.settle().is_empty());
    assert!(lab.incidents.is_empty(), "nothing is opened from an old picture");

    let mut lab = crash_loop();
    lab.diagnose();
    lab.connected.clear();
    assert!(lab.settle().is_empty());
    let reason = &lab.open(IncidentKind::PodCrashLoop).reason;
    assert!(
        reason.starts_with("unknown: agent edge, which watches cluster prod, is not connected"),
        "{reason}"
    );
    // Well again, as far as an old picture says: not resolved either.
    lab.see(Body::Pod(pod("web-1", "0", "node-a")));
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open());
    lab.connected.insert(agent_id());
    lab.see(begin("Pod", 1));
    lab.settle();
    let reason = &lab.open(IncidentKind::PodCrashLoop).reason;
    assert!(reason.contains("full listing") && reason.contains("Pod missing"), "{reason}");
}

#[test]
fn no_leader_no_job() {
    let mut lab = crash_loop();
    lab.diagnose();
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.leading = false;
    assert!(lab.settle().is_empty());
    let reason = &lab.open(IncidentKind::PodCrashLoop).reason;
    assert!(reason.contains("no connected agent leads cluster prod"), "{reason}");
}

#[test]
fn a_cluster_whose_agent_no_longer_reports_for_it_is_unknown() {
    let mut lab = crash_loop();
    lab.diagnose();
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.cluster_uid = None;
    assert!(lab.settle().is_empty());
    let reason = &lab.open(IncidentKind::PodCrashLoop).reason;
    assert!(reason.starts_with("unknown: no connected agent leads cluster prod"), "{reason}");
    lab.see(Body::Pod(pod("web-1", "0", "node-a")));
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open(), "an old picture resolves nothing");
}

#[test]
fn of_two_leaders_the_one_of_the_newer_lease_acts() {
    let mut lab = crash_loop();
    let newer: nimbus_protocol::ids::AgentId = format!("agt_{:032x}", 2).parse().unwrap();
    let mut agent = crate::testing::lab::agent(newer);
    agent.lease_term = 2;
    lab.agents.insert(newer.to_string(), Versioned { version: 1, doc: agent });
    lab.connected.insert(newer);
    assert_eq!(lab.settle()[0].agent_id, newer.to_string());
}
