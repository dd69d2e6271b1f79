//! Scenes of an operator who acknowledges, silences, enables and disables.

use super::*;
use crate::model::*;
use crate::remediation::{self, DecideError};
use crate::testing::at;

#[test]
fn enabling_and_disabling_name_their_rules_and_repeat_without_effect() {
    let mut lab = Lab::new();
    let cluster = |lab: &Lab| lab.clusters[CLUSTER].clone();
    let changes =
        remediation::disable(&cluster(&lab), &[ActionKind::RestartPod], false, "operator", lab.now).unwrap();
    assert!(lab.commit(changes));
    let rest = [
        ActionKind::RollbackDeployment,
        ActionKind::UncordonNode,
        ActionKind::RaiseMemoryLimit,
        ActionKind::ExpandVolume,
        ActionKind::RaiseAutoscalerMaximum,
        ActionKind::ScaleWorkload,
        ActionKind::RenewCertificate,
    ];
    assert_eq!(cluster(&lab).doc.enabled, rest);
    let again =
        remediation::disable(&cluster(&lab), &[ActionKind::RestartPod], false, "operator", lab.now).unwrap();
    assert!(again.is_empty());
    let changes = remediation::disable(&cluster(&lab), &[], false, "operator", lab.now).unwrap();
    lab.commit(changes);
    assert_eq!((cluster(&lab).doc.mode, cluster(&lab).doc.enabled.len()), (Mode::Observe, 0));
    let changes =
        remediation::enable(&cluster(&lab), &[ActionKind::RestartPod], Some(Mode::Act), "operator", lab.now)
            .unwrap();
    lab.commit(changes);
    assert_eq!(cluster(&lab).doc.enabled, [ActionKind::RestartPod]);
    assert!(
        remediation::enable(&cluster(&lab), &[ActionKind::RestartPod], Some(Mode::Act), "operator", lab.now)
            .unwrap()
            .is_empty()
    );
    let changes = remediation::enable(&cluster(&lab), &[], Some(Mode::Act), "operator", lab.now).unwrap();
    lab.commit(changes);
    assert_eq!(cluster(&lab).doc.enabled, crate::rules::of_clusters().collect::<Vec<_>>());
    let error =
        remediation::enable(&cluster(&lab), &[ActionKind::RestoreFile], Some(Mode::Act), "operator", lab.now)
            .unwrap_err();
    assert!(error.to_string().contains("restart_pod, rollback_deployment"), "{error}");
    assert_eq!((lab.audited("autonomous.enabled"), lab.audited("autonomous.disabled")), (2, 2));
}

fn silence(lab: &mut Lab, kind: IncidentKind, until: jiff::Timestamp) -> Result<(), DecideError> {
    let id = lab.open(kind).id.to_string();
    let approval = lab.open(kind).approval_id.map(|id| lab.approvals[&id.to_string()].clone());
    let incident = lab.incidents[&id].clone();
    let changes = remediation::silence(&incident, approval.as_ref(), until, "operator", "known", lab.now)?;
    lab.commit(changes);
    Ok(())
}

#[test]
fn a_silenced_incident_is_left_alone_until_its_time() {
    let mut lab = stuck_rollout();
    lab.settle();
    silence(&mut lab, IncidentKind::RolloutStuck, at(100)).unwrap();
    assert_eq!(lab.live_approvals(), 0);
    lab.pass(99);
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::Silenced);
    lab.pass(1);
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    let error = silence(&mut lab, IncidentKind::RolloutStuck, at(100)).unwrap_err();
    assert!(matches!(error, DecideError::SilenceEnds(_)), "it would have ended already");
}

#[test]
fn a_job_that_is_out_is_not_silenced_away() {
    let mut lab = crash_loop();
    lab.settle();
    let error = silence(&mut lab, IncidentKind::PodCrashLoop, at(900)).unwrap_err();
    assert!(matches!(error, DecideError::JobRunning { .. }));
}

#[test]
fn a_silenced_incident_still_ends_when_all_is_well() {
    let mut lab = crash_loop();
    lab.diagnose();
    silence(&mut lab, IncidentKind::PodCrashLoop, at(9_000)).unwrap();
    lab.see(nimbus_protocol::v1::observation::Body::Pod(fresh(&lab, "web-1", "0", "node-a")));
    lab.pass(30);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::PodCrashLoop).state, IncidentState::Resolved);
}

#[test]
fn an_acknowledgement_is_a_line_and_a_row() {
    let mut lab = crash_loop();
    lab.diagnose();
    let incident = lab.incidents.values().next().unwrap().clone();
    let changes = remediation::acknowledge(&incident, "operator", "on it", lab.now).unwrap();
    lab.commit(changes);
    let incident = lab.incidents.values().next().unwrap().clone();
    assert_eq!(incident.doc.history.last().unwrap().text, "seen by operator: on it");
    assert!(remediation::acknowledge(&incident, "operator", "on it", lab.now).unwrap().is_empty());
}

#[test]
fn a_rule_consents_where_the_cluster_is_enabled_for_it_and_never_in_a_persons_place() {
    for (enabled, due) in [
        (vec![], 0),
        (vec![ActionKind::RollbackDeployment, ActionKind::UncordonNode], 0),
        (vec![ActionKind::RestartPod], 1),
    ] {
        let mut lab = crash_loop();
        lab.clusters.values_mut().next().unwrap().doc.enabled.clone_from(&enabled);
        let jobs = lab.settle();
        assert_eq!(jobs.len(), due, "{enabled:?}");
        for job in jobs {
            let said: Vec<_> =
                job.approvals.iter().map(|a| (a.by.as_str(), a.approval_id.as_str())).collect();
            assert_eq!(said, [("policy:pod_crash_loop", "")], "the rule by its name, and no person's id");
            assert!(!job.needs_approval);
        }
    }
    // What needs a person waits for one, whatever is enabled.
    let mut lab = stuck_rollout();
    lab.clusters.values_mut().next().unwrap().doc.enabled = ActionKind::ALL.to_vec();
    assert!(lab.settle().is_empty());
    lab.decide("operator", crate::approval::Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    let [approval] = &jobs[0].approvals[..] else { panic!("{jobs:?}") };
    assert!(jobs[0].needs_approval && approval.by == "operator" && !approval.approval_id.is_empty());
}
