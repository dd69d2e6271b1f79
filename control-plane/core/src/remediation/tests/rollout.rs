//! Scenes of a stuck rollout, which is rolled back after approval.

use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::remediation::DecideError;
use crate::testing::{ActionBody, action_of};

/// Revision 6 is back, under the number 8.
fn rolled_back(lab: &mut Lab) {
    lab.see(Body::Deployment(v1::Deployment {
        generation: 8,
        observed_generation: 8,
        revision: 8,
        ..deployment("web", 3, 6)
    }));
    lab.see(Body::ReplicaSet(v1::ReplicaSet { revision: 8, ..replica_set("web", 6, 3) }));
    lab.see(gone("Pod", "pod-web-7-0"));
    let pod = fresh(lab, "web-6", "2", "node-b");
    lab.see(Body::Pod(pod));
}

/// Somebody corrects revision 7, in vain: revision 8 is past its deadline too.
fn another_template(lab: &mut Lab) {
    lab.see(Body::Deployment(stuck("web", 3, 8)));
    lab.see(Body::ReplicaSet(replica_set("web", 8, 0)));
    lab.see(Body::Pod(crashing(pod("web-8", "0", "node-b"), 1)));
}

/// An autoscaler moves while a person reads: the status is behind the number of pods, and about the same pod template.
#[test]
fn scaling_voids_no_approval_while_the_status_is_behind() {
    let mut lab = stuck_rollout();
    lab.settle();
    let asked = lab.open(IncidentKind::RolloutStuck).approval_id;
    let scaled = |desired: u32| {
        let seen = stuck("web", desired, 7);
        v1::Deployment { generation: seen.generation + 1, ..seen }
    };
    for desired in [4, 3, 4] {
        lab.see(Body::Deployment(scaled(desired)));
        lab.settle();
        let incident = lab.open(IncidentKind::RolloutStuck);
        assert_eq!((incident.state, incident.approval_id), (IncidentState::WaitingApproval, asked));
    }
    // Its controller starts the deadline anew with the new pod.
    lab.see(Body::Deployment(v1::Deployment {
        progressing_status: "True".into(),
        progressing_reason: "ReplicaSetUpdated".into(),
        ..stuck("web", 4, 7)
    }));
    lab.settle();
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!((incident.state, incident.approval_id), (IncidentState::WaitingApproval, asked));
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert_eq!(lab.settle().len(), 1);
    // Another pod template is another thing.
    let mut lab = stuck_rollout();
    lab.settle();
    let seen = stuck("web", 3, 8);
    lab.see(Body::Deployment(v1::Deployment { observed_generation: seen.generation - 1, ..seen }));
    lab.settle();
    assert_ne!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
}

#[test]
fn a_bad_revision_waits_for_a_word_is_rolled_back_and_verified() {
    let mut lab = stuck_rollout();
    assert!(lab.settle().is_empty(), "nothing without a person");
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!(incident.state, IncidentState::WaitingApproval);
    assert_eq!(lab.incidents.len(), 1, "one incident, not one for each pod");
    assert!(incident.reason.contains("nimbus approve apr_"), "{}", incident.reason);
    let plan = &lab.plans.values().next().unwrap().doc;
    assert_eq!(
        plan.changes,
        [
            "revision: 7 -> 6",
            "images: shop/web:7 -> shop/web:6",
            "pod template: 070707070707 -> 060606060606",
            "template containers[app].env[LEVEL].value: differs (value not shown)",
            "template containers[app].image: shop/web:7 -> shop/web:6",
            "replicas: 3 (unchanged, whatever they are by then)",
            "not rolled back: the content of ConfigMap web-env, which stays as it is now",
            "comes back: the pod template was last written by kubectl-client-side-apply; its next apply or sync of the \
             same source brings revision 7 back until it is corrected there",
        ]
    );
    let approval = lab.approvals.values().next().unwrap().doc.clone();
    assert_eq!((approval.requested_by.as_str(), &approval.plan_digest), ("nimbus", &plan.digest));

    lab.decide("operator", Decision::Approve, "looks right").unwrap();
    assert_eq!(lab.audited("approval.approved"), 1);
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    let job = &jobs[0];
    let Some(ActionBody::RollbackDeployment(action)) = action_of(job) else { panic!("{job:?}") };
    assert_eq!((action.generation, action.to_revision), (0, 6), "the number of pods is not bound");
    assert_eq!((&action.current_template_hash, &action.to_template_hash), (&hash(7), &hash(6)));
    assert_eq!(action.to_replica_set.as_ref().unwrap().uid, "rs-web-6");
    assert_eq!(job.approvals[0].by, "operator");
    assert_eq!(job.approvals[0].approval_id, approval.id.to_string());
    assert_eq!(nimbus_protocol::to_hex(&job.plan_digest), approval.plan_digest);
    assert_eq!(lab.approvals.values().next().unwrap().doc.used_by.unwrap().to_string(), job.job_id);

    lab.apply(job);
    rolled_back(&mut lab);
    lab.pass(31);
    assert!(lab.settle().is_empty());
    lab.report(job, Phase::Succeeded, "", "");
    assert_eq!(lab.last(IncidentKind::RolloutStuck).state, IncidentState::Resolved);
    assert!(lab.settle().is_empty());
    assert_eq!(lab.jobs.len(), 1);
}

/// Who approves has to know whom it disturbs.
#[test]
fn the_pods_that_ask_not_to_be_disturbed_are_named_to_who_approves() {
    let mut lab = stuck_rollout();
    lab.see(Body::Deployment(stuck("web", 20, 7)));
    let marked = |n: &str, mark: Option<&str>| {
        let mut pod = crashing(pod("web-7", n, "node-b"), 6);
        pod.facts.as_mut().unwrap().do_not_disturb = mark.iter().map(|mark| (*mark).to_owned()).collect();
        Body::Pod(pod)
    };
    lab.see(marked("0", Some("annotation karpenter.sh/do-not-disrupt: true")));
    lab.see(marked("1", None));
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    let named = |lab: &Lab| -> Vec<String> {
        let plan = &lab.plans.values().next_back().unwrap().doc;
        plan.changes.iter().filter(|line| line.contains("to be disturbed")).cloned().collect()
    };
    let mark = "annotation karpenter.sh/do-not-disrupt: true";
    assert_eq!(named(&lab), [format!("ends pod shop/web-7-0, which asks not to be disturbed: {mark}")]);
    // Of many the first are named, and of an older agent's it is not known.
    let mut lab = stuck_rollout();
    lab.see(Body::Deployment(stuck("web", 20, 7)));
    for n in 10..20 {
        lab.see(marked(&n.to_string(), Some("the ephemeral container debug runs in it")));
    }
    lab.see(Body::Pod(v1::Pod { facts: None, ..crashing(pod("web-7", "20", "node-b"), 6) }));
    lab.settle();
    let lines = named(&lab);
    assert_eq!(lines.len(), 10, "{lines:#?}");
    assert!(lines[0].starts_with("ends pod shop/web-7-10,") && lines[7].contains("web-7-17"), "{lines:#?}");
    assert_eq!(lines[8], "ends 2 more pods that ask not to be disturbed");
    assert!(lines[9].starts_with("not known: whether 1 of the pods"), "{lines:#?}");
    assert_eq!(lab.live_approvals(), 1);
}

#[test]
fn denied_nothing_happens_says_so_and_is_not_asked_again_until_the_object_changes() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.decide("operator", Decision::Deny, "we fix it forward").unwrap();
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!(incident.state, IncidentState::Escalated);
    assert_eq!(incident.reason, "denied by operator: we fix it forward; nothing was changed");
    lab.pass(100_000);
    assert!(lab.settle().is_empty());
    assert_eq!((lab.live_approvals(), lab.jobs.len()), (0, 0));

    another_template(&mut lab);
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
}

#[test]
fn a_denial_can_be_taken_back() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.decide("operator", Decision::Deny, "").unwrap();
    let incident = lab.incidents.values().next().unwrap().clone();
    let changes = crate::remediation::ask_again(&incident, "operator", lab.now).unwrap();
    lab.commit(changes);
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    let error =
        crate::remediation::ask_again(&lab.incidents.values().next().unwrap().clone(), "operator", lab.now);
    assert!(matches!(error, Err(DecideError::NotDenied { .. })));
}

#[test]
fn the_same_plan_keeps_its_approval_and_another_one_needs_another() {
    let mut lab = stuck_rollout();
    lab.settle();
    let first = lab.approvals.values().next().unwrap().doc.id;
    // More restarts and a moment later: still the same plan.
    lab.pass(60);
    lab.see(Body::Pod(crashing(pod("web-7", "0", "node-b"), 9)));
    lab.settle();
    assert_eq!(lab.approvals.len(), 1);
    // Approved, then the Deployment changes before the job can go out.
    lab.decide("operator", Decision::Approve, "").unwrap();
    another_template(&mut lab);
    assert!(lab.settle().is_empty(), "the approved plan is not about what is there");
    assert_eq!(lab.approvals.len(), 2);
    let old = &lab.approvals[&first.to_string()].doc;
    assert_eq!(old.state, ApprovalState::Expired);
    assert!(old.reason.starts_with("superseded"), "{}", old.reason);
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    assert_eq!(lab.live_approvals(), 1);
}

#[test]
fn where_there_is_no_evidence_or_another_manager_it_only_recommends() {
    type Break = fn(&mut Lab);
    let table: [(&str, Break); 5] = [
        ("managed by Argo CD", |lab| {
            let manager = ("argocd".to_owned(), "label app.kubernetes.io/instance".to_owned());
            let (manager, manager_evidence) = manager;
            lab.see(Body::Deployment(v1::Deployment { manager, manager_evidence, ..stuck("web", 3, 7) }));
        }),
        ("paused", |lab| {
            lab.see(Body::Deployment(v1::Deployment { paused: true, ..stuck("web", 3, 7) }));
        }),
        ("no older revision", |lab| {
            lab.see(gone("ReplicaSet", "rs-web-6"));
        }),
        ("no evidence", |lab| {
            lab.see(Body::ReplicaSet(replica_set("web", 6, 0)));
            lab.see(gone("Pod", "pod-web-6-0"));
            lab.see(gone("Pod", "pod-web-6-1"));
            lab.world.clusters.get_mut(CLUSTER).unwrap().histories.clear();
        }),
        ("lasted before", |lab| {
            let histories = &mut lab.world.clusters.get_mut(CLUSTER).unwrap().histories;
            histories.get_mut("dep-web").unwrap().revisions.last_mut().unwrap().longest_ms = 600_000;
        }),
    ];
    for (words, make) in table {
        let mut lab = stuck_rollout();
        make(&mut lab);
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::RolloutStuck);
        assert_eq!(incident.state, IncidentState::Escalated, "{words}");
        assert!(incident.reason.contains(words), "{words}: {}", incident.reason);
        assert_eq!(lab.approvals.len(), 0);
    }
}

#[test]
fn a_rollout_that_comes_up_by_itself_voids_what_was_asked() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.see(Body::Deployment(deployment("web", 3, 7)));
    lab.see(Body::ReplicaSet(replica_set("web", 6, 0)));
    lab.see(gone("Pod", "pod-web-6-0"));
    lab.see(gone("Pod", "pod-web-6-1"));
    for n in ["0", "1", "2"] {
        let pod = fresh(&lab, "web-7", n, "node-b");
        lab.see(Body::Pod(pod));
    }
    lab.settle();
    assert_eq!(lab.live_approvals(), 0);
    lab.pass(599);
    lab.settle();
    assert!(lab.open(IncidentKind::RolloutStuck).is_open(), "it crash-looped: it has to last");
    lab.pass(1);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::RolloutStuck).state, IncidentState::Resolved);
    assert_eq!(lab.live_approvals(), 0);
}

#[test]
fn an_approval_counts_once_in_time_and_not_from_the_requester() {
    let mut lab = stuck_rollout();
    lab.settle();
    assert!(matches!(
        lab.decide("nimbus", Decision::Approve, ""),
        Err(DecideError::OwnRequest { by }) if by == "nimbus"
    ));
    let (approval, incident, plan) = {
        let approval = lab.approvals.values().next().unwrap().clone();
        (
            approval,
            lab.incidents.values().next().unwrap().clone(),
            lab.plans.values().next().unwrap().doc.clone(),
        )
    };
    let answer = |digest| crate::remediation::Answer {
        digest,
        ..crate::remediation::Answer::of("operator", Decision::Approve)
    };
    let decide = |approval: &Versioned<Approval>, digest, now| {
        crate::remediation::decide(approval, &incident, &plan, &answer(digest), None, now)
    };
    assert!(matches!(decide(&approval, Some("other"), lab.now), Err(DecideError::DigestChanged { .. })));
    let late = crate::settings::later(lab.now, jiff::SignedDuration::from_secs(86_400));
    assert!(matches!(decide(&approval, None, late), Err(DecideError::Expired { .. })));
    let mut altered = plan.clone();
    let to = Target { namespace: "shop".into(), name: "web-1".into(), uid: "rs-web-1".into() };
    let action = v1::RollbackDeployment { to_replica_set: Some(to), to_revision: 1, ..Default::default() };
    altered.action = ActionBody::RollbackDeployment(action).into();
    let changed = crate::remediation::decide(&approval, &incident, &altered, &answer(None), None, lab.now);
    assert!(matches!(changed, Err(DecideError::Mismatch { .. })), "the digest is computed again");

    lab.decide("operator", Decision::Approve, "").unwrap();
    let approved = lab.approvals.values().next().unwrap().clone();
    let again = decide(&approved, None, lab.now);
    assert!(matches!(again, Err(DecideError::AlreadyDecided { state: ApprovalState::Approved, .. })));
    lab.settle();
    let used = lab.approvals.values().next().unwrap().clone();
    assert!(matches!(decide(&used, None, lab.now), Err(DecideError::Used { .. })));
}

#[test]
fn an_approval_that_nobody_answers_expires_and_is_asked_again() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.pass(86_400);
    lab.settle();
    let states: Vec<ApprovalState> = lab.approvals.values().map(|a| a.doc.state).collect();
    assert_eq!(states, [ApprovalState::Expired, ApprovalState::Pending]);
    assert_eq!(lab.jobs.len(), 0);
}

#[test]
fn rollbacks_that_do_not_help_are_capped_too() {
    let mut lab = stuck_rollout();
    for _ in 0..3 {
        lab.settle();
        lab.decide("operator", Decision::Approve, "").unwrap();
        let jobs = lab.settle();
        lab.apply(&jobs[0]);
        lab.report(&jobs[0], Phase::Compensated, "", "not available after 180 s; put back");
        lab.pass(3_600);
    }
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::Escalated);
    assert_eq!(lab.live_approvals(), 0);
}

/// The API server says no to the patch (403): the same question gets the same answer.
#[test]
fn what_could_not_be_done_is_not_asked_again_until_something_about_it_changes() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let job = lab.settle().remove(0);
    lab.report(&job, Phase::Accepted, "", "");
    lab.report(&job, Phase::Failed, "", "expected to change Deployment shop/web, found 403: forbidden");
    lab.settle();
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!(incident.state, IncidentState::Escalated);
    assert!(
        incident.reason.contains("403") && incident.reason.contains("not asked again"),
        "{}",
        incident.reason
    );
    for _ in 0..5 {
        lab.pass(20_000);
        assert!(lab.settle().is_empty());
    }
    assert_eq!((lab.live_approvals(), lab.approvals.len(), lab.jobs.len()), (0, 1, 1));
    // A person put the rights right and wants to be asked; or the template is another one.
    let mut other = lab.clone();
    another_template(&mut other);
    other.settle();
    assert_eq!(other.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    let incident = lab.incidents.values().next().unwrap().clone();
    let changes = crate::remediation::ask_again(&incident, "operator", lab.now).unwrap();
    lab.commit(changes);
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
}

#[test]
fn an_approval_that_two_reasons_make_void_is_voided_once() {
    let mut lab = stuck_rollout();
    lab.settle();
    assert_eq!(lab.live_approvals(), 1);
    // At the end of another agent's listing both show at once: another template, and a policy that allows nothing.
    another_template(&mut lab);
    lab.agents.values_mut().for_each(|agent| agent.doc.allowed_actions.clear());
    assert!(lab.settle().is_empty());
    assert_eq!((lab.live_approvals(), lab.audited("approval.expired")), (0, 1));
}

#[test]
fn a_late_refusal_does_not_undo_what_a_person_denied() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let job = lab.settle().remove(0);
    // Nothing is heard of it; it is given up, asked for again, and denied.
    lab.pass(200);
    lab.settle();
    lab.pass(100_000);
    lab.settle();
    lab.decide("operator", Decision::Deny, "we fix it forward").unwrap();
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::Escalated);
    lab.report(&job, Phase::Refused, "expired", "it came late");
    lab.settle();
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
}

#[test]
fn an_agents_clock_does_not_decide_when_a_job_ended() {
    let mut lab = stuck_rollout();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let job = lab.settle().remove(0);
    let late = lab.now + jiff::SignedDuration::from_hours(24 * 365);
    let report = v1::JobReport {
        job_id: job.job_id.clone(),
        phase: Phase::Failed.into(),
        at_us: nimbus_protocol::to_micros(late),
        ..Default::default()
    };
    let changes =
        crate::remediation::report(&lab.snapshot(), crate::testing::lab::agent_id(), &report, lab.now);
    lab.commit(changes);
    let job = &lab.jobs[&job.job_id].doc;
    assert_eq!((job.state, job.finished_at), (JobState::Failed, Some(lab.now)));
}

#[test]
fn a_revision_that_needs_a_config_map_that_is_gone_is_not_gone_back_to() {
    let mut lab = stuck_rollout();
    lab.see(gone("ConfigMap", &config_map("web-env", "", 0).meta.unwrap().uid));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::RolloutStuck);
    assert_eq!(incident.state, IncidentState::Escalated, "nobody is asked for what cannot work");
    assert!(
        incident.reason.contains("ConfigMap web-env, which its pods need, is not there"),
        "{}",
        incident.reason
    );
    // Where ConfigMaps are not listed a person is asked, and reads that it is not known.
    let mut lab = stuck_rollout();
    lab.see(begin("ConfigMap", 1));
    lab.settle();
    assert_eq!(lab.open(IncidentKind::RolloutStuck).state, IncidentState::WaitingApproval);
    let plan = &lab.plans.values().next().unwrap().doc;
    assert!(
        plan.changes.iter().any(|line| line.starts_with("not known: whether ConfigMap web-env")),
        "{:?}",
        plan.changes
    );
}
