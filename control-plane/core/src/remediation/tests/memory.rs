//! Scenes of a container that is killed for its memory limit: when the limit is raised, and when it is left to a person.

use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::testing::{ActionBody, action_of};

const LIMIT: &str = "containers[app].resources.limits.memory";
const REQUEST: &str = "containers[app].resources.requests.memory";

fn fact(path: &str, value: &str) -> v1::TemplateFact {
    v1::TemplateFact { path: path.into(), value: value.into(), digest: Vec::new() }
}

/// A Deployment of two pods whose template says these, one of which is killed again and again.
fn killed(facts: &[(&str, &str)]) -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(Body::Deployment(stating(facts)));
    lab.see(Body::Pod(out_of_memory(pod("web-1", "0", "node-a"), 5)));
    lab
}

fn stating(facts: &[(&str, &str)]) -> v1::Deployment {
    let mut seen = deployment("web", 2, 1);
    seen.template.extend(facts.iter().map(|(path, value)| fact(path, value)));
    seen
}

fn raise_of(job: &v1::Job) -> v1::RaiseMemoryLimit {
    let Some(ActionBody::RaiseMemoryLimit(action)) = action_of(job) else { panic!("{job:?}") };
    action
}

/// The kubelet ends it at 64Mi again and again: half more, once a person agrees.
#[test]
fn a_limit_that_is_met_again_and_again_is_raised_by_half_after_a_word() {
    let mut lab = killed(&[(LIMIT, "64Mi"), (REQUEST, "32Mi")]);
    assert!(lab.settle().is_empty(), "nothing without a person");
    let incident = lab.open(IncidentKind::OutOfMemory);
    assert_eq!(incident.state, IncidentState::WaitingApproval, "{}", incident.reason);
    let plan = &lab.plans.values().next().unwrap().doc;
    assert_eq!(plan.summary, "raise the memory limit of container app of shop/web from 64Mi to 96Mi");
    assert_eq!(
        plan.changes,
        [
            "template containers[app].resources.limits.memory: 64Mi -> 96Mi",
            "its request stays 32Mi",
            "every pod of it is replaced, one after the other as its strategy says: 2 are wanted",
            "comes back: the pod template was last written by kubectl-client-side-apply; its next apply or sync of the same \
             source brings the limit of 64Mi back until it is corrected there",
        ]
    );
    let outlook = plan.outlook.as_ref().unwrap();
    assert!(
        outlook.undo_how.contains("set resources deployment/web -c app --limits=memory=64Mi"),
        "{outlook:?}"
    );

    lab.decide("operator", Decision::Approve, "it has more data now").unwrap();
    let jobs = lab.settle();
    let action = raise_of(&jobs[0]);
    assert_eq!((action.from_bytes, action.to_bytes, action.request_too), (64 << 20, 96 << 20, false));
    assert_eq!((action.container.as_str(), &action.current_template_hash), ("app", &hash(1)));

    lab.apply(&jobs[0]);
    well_at(&mut lab, "96Mi");
    lab.pass(31);
    lab.settle();
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    assert_eq!(lab.last(IncidentKind::OutOfMemory).state, IncidentState::Resolved);
}

/// Revision 2 has the higher limit, and both of its pods are well.
fn well_at(lab: &mut Lab, limit: &str) {
    let mut seen = deployment("web", 2, 2);
    seen.template.extend([fact(LIMIT, limit), fact(REQUEST, "32Mi")]);
    lab.see(Body::Deployment(seen));
    lab.see(Body::ReplicaSet(replica_set("web", 1, 0)));
    lab.see(Body::ReplicaSet(replica_set("web", 2, 2)));
    for suffix in ["0", "1"] {
        lab.see(gone("Pod", &format!("pod-web-1-{suffix}")));
        let pod = fresh(lab, "web-2", suffix, "node-b");
        lab.see(Body::Pod(pod));
    }
}

/// Two pods of one Deployment meet the same limit: one plan, and it stays the same while their back-offs come and go.
#[test]
fn several_pods_of_one_deployment_are_one_plan_that_outlives_their_back_off() {
    let mut lab = killed(&[(LIMIT, "64Mi")]);
    lab.see(Body::Pod(out_of_memory(pod("web-1", "1", "node-b"), 9)));
    lab.settle();
    let asked = lab.open(IncidentKind::OutOfMemory).approval_id;
    assert!(asked.is_some() && lab.plans.len() == 1);
    for suffix in ["0", "1"] {
        let mut between = out_of_memory(pod("web-1", suffix, "node-a"), 10);
        between.containers[0].state = "running".into();
        between.containers[0].reason = String::new();
        lab.see(Body::Pod(between));
        lab.settle();
        let incident = lab.open(IncidentKind::OutOfMemory);
        assert_eq!((incident.state, incident.approval_id), (IncidentState::WaitingApproval, asked));
    }
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert_eq!(lab.settle().len(), 1, "also while they run for a moment");
}

/// A pod whose request is its limit is Guaranteed: it stays that, and without a request the limit is the request.
#[test]
fn the_quality_of_service_stays_what_it_is() {
    let mut lab = killed(&[(LIMIT, "1Gi"), (REQUEST, "1Gi")]);
    lab.settle();
    let plan = lab.plans.values().next().unwrap();
    assert!(plan.doc.changes[1].contains("1Gi -> 1536Mi (it is the limit"), "{:?}", plan.doc.changes);
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert!(raise_of(&lab.settle()[0]).request_too);

    let mut lab = killed(&[(LIMIT, "64Mi")]);
    lab.settle();
    let plan = lab.plans.values().next().unwrap();
    assert!(plan.doc.changes[1].contains("is not said, so it is the limit"), "{:?}", plan.doc.changes);
}

/// What the incident says where nothing is planned.
fn left_to_a_person(mut lab: Lab) -> String {
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::OutOfMemory);
    assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
    assert!(incident.plan_id.is_none() && lab.plans.is_empty());
    incident.reason.clone()
}

/// The same where an earlier plan is there.
fn left_to_a_person_after(mut lab: Lab) -> String {
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::OutOfMemory);
    assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
    incident.reason.clone()
}

/// Whoever keeps the template in its state would take the raise back.
#[test]
fn what_somebody_else_manages_is_left_to_them_by_name() {
    let mut lab = killed(&[(LIMIT, "64Mi")]);
    let managed = v1::Deployment {
        manager: "argocd".into(),
        manager_evidence: "annotation argocd.argoproj.io/tracking-id".into(),
        ..stating(&[(LIMIT, "64Mi")])
    };
    lab.see(Body::Deployment(managed));
    assert!(left_to_a_person(lab).contains("raise the limit there"));

    let mut lab = killed(&[(LIMIT, "64Mi")]);
    let made = v1::Deployment {
        meta: Some(meta("dep", "web", Some(("Kafka", "events")))),
        ..stating(&[(LIMIT, "64Mi")])
    };
    lab.see(Body::Deployment(made));
    let reason = left_to_a_person(lab);
    assert!(reason.contains("is made by Kafka events"), "{reason}");

    let mut lab = killed(&[(LIMIT, "64Mi")]);
    lab.see(Body::Deployment(v1::Deployment { paused: true, ..stating(&[(LIMIT, "64Mi")]) }));
    assert!(left_to_a_person(lab).contains("was paused by a person"));
}

/// Without a limit in the template another one applies, or none; with one that nobody can read nothing is computed from it.
#[test]
fn a_limit_that_the_template_does_not_say_is_not_guessed() {
    let reason = left_to_a_person(killed(&[]));
    assert!(reason.contains("its pod template says none"), "{reason}");
    assert!(left_to_a_person(killed(&[(LIMIT, "plenty")])).contains("cannot be read"));
    assert!(left_to_a_person(killed(&[(LIMIT, "64Mi"), (REQUEST, "some")])).contains("cannot be read"));
    assert!(left_to_a_person(killed(&[(LIMIT, "100k")])).contains("too small for a step"));
    // Of a template that is told in part, or not at all, what is not told may say anything.
    assert!(left_to_a_person(killed(&[("(everything else)", "")])).contains("is not told"));
    assert!(left_to_a_person(killed(&[(LIMIT, "64Mi"), ("(everything else)", "")])).contains("is not told"));
    let mut lab = killed(&[]);
    lab.see(Body::Deployment(v1::Deployment { template: Vec::new(), ..stating(&[]) }));
    assert!(left_to_a_person(lab).contains("is not told"));
}

/// Half of the largest node is the ceiling; where no node says what it has, there is none to compare with.
#[test]
fn a_limit_that_no_node_could_hold_is_not_planned() {
    // The nodes have 16Gi.
    assert!(
        left_to_a_person(killed(&[(LIMIT, "6Gi"), (REQUEST, "1Gi")]))
            .contains("half of what the largest node that it may go to")
    );
    let mut fits = killed(&[(LIMIT, "5Gi"), (REQUEST, "1Gi")]);
    fits.settle();
    assert_eq!(fits.open(IncidentKind::OutOfMemory).state, IncidentState::WaitingApproval);

    let mut lab = killed(&[(LIMIT, "64Mi")]);
    for name in ["node-a", "node-b"] {
        lab.see(Body::Node(v1::Node { facts: None, ..node(name) }));
    }
    assert!(left_to_a_person(lab).contains("is not known"));

    // A node that the pod may not go to is no room for it.
    let mut lab = killed(&[(LIMIT, "64Mi")]);
    let mut picky = out_of_memory(pod("web-1", "0", "node-a"), 5);
    let selects = v1::Label { key: "pool".into(), value: "small".into() };
    let facts = picky.facts.as_mut().unwrap();
    facts.placement = Some(v1::Placement { node_selector: vec![selects], ..v1::Placement::default() });
    lab.see(Body::Pod(picky));
    assert!(left_to_a_person(lab).contains("nodes have that it may go to is not known"));

    // Which of two limits it met is not known.
    assert!(
        left_to_a_person(killed(&[(LIMIT, "64Mi"), ("resources.limits.memory", "64Mi")]))
            .contains("as a whole")
    );
}

/// Raised once and killed again: that is how a leak looks, and no second step is planned.
#[test]
fn what_was_raised_and_is_killed_again_is_said_to_look_like_a_leak() {
    let mut lab = killed(&[(LIMIT, "64Mi"), (REQUEST, "32Mi")]);
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    well_at(&mut lab, "96Mi");
    lab.pass(31);
    lab.settle();
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    assert_eq!(lab.last(IncidentKind::OutOfMemory).state, IncidentState::Resolved);

    lab.pass(3_600);
    lab.see(Body::Pod(out_of_memory(pod("web-2", "0", "node-b"), 4)));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::OutOfMemory);
    assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
    assert!(incident.reason.contains("how a leak looks"), "{}", incident.reason);
}

/// Raised and killed all the same: the agent put the old limit back, and the same step is not asked for again.
#[test]
fn a_raise_that_did_not_help_is_not_asked_for_again() {
    let mut lab = killed(&[(LIMIT, "64Mi")]);
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    lab.pass(200);
    lab.report(
        &jobs[0],
        Phase::Failed,
        "",
        "expected the rollout with the higher limit complete, found it is not",
    );
    for _ in 0..3 {
        lab.pass(600);
        lab.see(Body::Pod(out_of_memory(pod("web-1", "0", "node-a"), 9)));
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::OutOfMemory);
        assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
        assert!(incident.reason.contains("did not help"), "{}", incident.reason);
    }
    assert_eq!(lab.jobs.len(), 1);
}

/// Its first revision never came out: there is nothing to go back to, before its deadline and after it.
#[test]
fn a_first_revision_that_is_killed_while_it_comes_out_has_its_limit_raised() {
    for out in [
        v1::Deployment {
            progressing_reason: "ReplicaSetUpdated".into(),
            available: 0,
            ready: 0,
            ..stating(&[(LIMIT, "64Mi")])
        },
        v1::Deployment {
            progressing_status: "False".into(),
            progressing_reason: "ProgressDeadlineExceeded".into(),
            available: 0,
            ready: 0,
            ..stating(&[(LIMIT, "64Mi")])
        },
    ] {
        let mut lab = killed(&[(LIMIT, "64Mi")]);
        lab.see(Body::Deployment(out.clone()));
        lab.see(Body::Pod(out_of_memory(pod("web-1", "1", "node-b"), 9)));
        lab.settle();
        let asked: Vec<_> = lab.plans.values().map(|plan| plan.doc.summary.as_str()).collect();
        assert_eq!(asked, ["raise the memory limit of container app of shop/web from 64Mi to 96Mi"]);

        // With an older revision it is the rollout's.
        lab = killed(&[(LIMIT, "64Mi")]);
        lab.see(Body::ReplicaSet(replica_set("web", 9, 0)));
        lab.see(Body::Deployment(out));
        lab.see(Body::Pod(out_of_memory(pod("web-1", "1", "node-b"), 9)));
        lab.settle();
        assert!(lab.plans.values().all(|plan| !plan.doc.summary.contains("memory limit")));
    }
}

/// Where nothing was done, nothing is known of a higher limit: the reason of the failure stands.
#[test]
fn a_raise_that_was_never_made_is_none() {
    let mut lab = killed(&[(LIMIT, "64Mi")]);
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.report(&jobs[0], Phase::Failed, "", "expected to change Deployment shop/web, found 403: forbidden");
    lab.settle();
    let reason = &lab.open(IncidentKind::OutOfMemory).reason;
    assert!(reason.contains("403") && !reason.contains("did not help"), "{reason}");
}

/// The agent found no room: its figures are what a person reads, and nobody is asked for the same again, for a day.
#[test]
fn a_quota_without_room_is_said_and_not_asked_about_again() {
    let mut lab = killed(&[(LIMIT, "64Mi")]);
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    let found = format!("{}, found that ResourceQuota team allows 200Mi", nimbus_protocol::action::NO_ROOM);
    lab.report(&jobs[0], Phase::Refused, "precondition_failed", &found);
    for _ in 0..5 {
        lab.pass(1_800);
        lab.see(Body::Pod(out_of_memory(pod("web-1", "0", "node-a"), 9)));
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::OutOfMemory);
        assert_eq!(incident.state, IncidentState::Escalated, "{}", incident.reason);
        assert!(incident.reason.contains("ResourceQuota team allows 200Mi"), "{}", incident.reason);
    }
    assert_eq!((lab.approvals.len(), lab.jobs.len()), (1, 1));
    // Another template is another question.
    lab.see(Body::Deployment(v1::Deployment { template_hash: hash(3), ..stating(&[(LIMIT, "32Mi")]) }));
    lab.see(Body::ReplicaSet(v1::ReplicaSet { template_hash: hash(3), ..replica_set("web", 1, 1) }));
    lab.settle();
    assert_eq!(lab.open(IncidentKind::OutOfMemory).state, IncidentState::WaitingApproval);
}

/// A pod of `web` with two containers, each of which was killed so often, and when that was last.
fn two_containers(app: (u32, i64, bool), worker: (u32, i64, bool)) -> v1::Pod {
    let mut pod = out_of_memory(pod("web-1", "0", "node-a"), 0);
    let base = pod.containers[0].clone();
    let of = |name: &str, (restarts, ago, ready): (u32, i64, bool)| v1::Container {
        name: name.into(),
        restart_count: restarts,
        ready,
        state: if ready { "running".into() } else { "waiting".into() },
        reason: if ready { String::new() } else { "CrashLoopBackOff".into() },
        last_finished_at_us: nimbus_protocol::to_micros(crate::testing::at(-ago)),
        ..base.clone()
    };
    pod.containers = vec![of("app", app), of("worker", worker)];
    pod
}

/// The kubelet tells the last end of a container for as long as its pod lives: an old one is not what is wrong now.
#[test]
fn the_container_that_is_killed_now_is_the_one_that_is_raised() {
    let worker = "containers[worker].resources.limits.memory";
    let mut lab = killed(&[(LIMIT, "64Mi"), (worker, "128Mi")]);
    lab.see(Body::Pod(two_containers((3, 86_400, true), (9, 20, false))));
    lab.settle();
    let plan = &lab.plans.values().next().unwrap().doc;
    assert_eq!(plan.summary, "raise the memory limit of container worker of shop/web from 128Mi to 192Mi");

    // With one of two raised, the other would keep its pods from becoming available.
    let mut lab = killed(&[(LIMIT, "64Mi"), (worker, "128Mi")]);
    lab.see(Body::Pod(two_containers((5, 20, false), (9, 20, false))));
    let reason = left_to_a_person(lab);
    assert!(reason.contains("containers app, worker of"), "{reason}");

    // One kill at its start, and its probe fails since: no matter of memory.
    let mut lab = killed(&[(LIMIT, "64Mi")]);
    let mut once = out_of_memory(pod("web-1", "0", "node-a"), 1);
    once.containers[0].state = "running".into();
    once.containers[0].reason = String::new();
    lab.see(Body::Pod(once));
    lab.see(Body::Deployment(v1::Deployment { available: 1, ready: 1, ..stuck("web", 2, 1) }));
    lab.settle();
    assert!(lab.plans.values().all(|plan| !plan.doc.summary.contains("memory limit")));
}

/// Whatever applies the template took the raise back: that is no leak.
#[test]
fn a_raise_that_was_taken_back_is_said_to_belong_into_the_template() {
    let mut lab = killed(&[(LIMIT, "64Mi"), (REQUEST, "32Mi")]);
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    well_at(&mut lab, "96Mi");
    lab.pass(31);
    lab.settle();
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    lab.pass(3_600);
    let mut seen = deployment("web", 2, 2);
    seen.template.extend([fact(LIMIT, "64Mi"), fact(REQUEST, "32Mi")]);
    lab.see(Body::Deployment(seen));
    lab.see(Body::Pod(out_of_memory(pod("web-2", "0", "node-b"), 4)));
    let reason = left_to_a_person_after(lab);
    assert!(reason.contains("says less again") && !reason.contains("leak"), "{reason}");
}

/// Without a deadline its controller keeps no condition: the planner and the checker both take that for a rollout that is out.
#[test]
fn a_deployment_without_a_deadline_is_raised_once_it_is_approved() {
    let mut lab = killed(&[(LIMIT, "64Mi")]);
    lab.see(Body::ReplicaSet(replica_set("web", 9, 0)));
    lab.see(Body::Deployment(v1::Deployment {
        progressing_status: String::new(),
        progressing_reason: String::new(),
        progress_deadline_seconds: 0,
        ..stating(&[(LIMIT, "64Mi")])
    }));
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert_eq!(lab.settle().len(), 1, "{}", lab.open(IncidentKind::OutOfMemory).reason);
}

/// What is not a Deployment is explained: a StatefulSet's pods are not replaced for it.
#[test]
fn other_workloads_are_explained_and_left_alone() {
    let mut lab = Lab::new();
    lab.see(Body::StatefulSet(stateful_set("db", 2, "r1")));
    lab.see(Body::Pod(out_of_memory(owned_pod("StatefulSet", "db", 0, "r1"), 6)));
    let reason = left_to_a_person(lab);
    assert!(reason.contains("shop/statefulset/db") && reason.contains("in Deployments alone"), "{reason}");
}

/// Its new revision comes out at this moment, perhaps with a higher limit: nothing is planned beside it.
#[test]
fn a_rollout_under_way_is_waited_for_and_a_change_voids_the_approval() {
    let mut lab = killed(&[(LIMIT, "64Mi")]);
    lab.see(Body::ReplicaSet(replica_set("web", 9, 0)));
    lab.see(Body::Deployment(v1::Deployment {
        progressing_reason: "ReplicaSetUpdated".into(),
        available: 1,
        ..stating(&[(LIMIT, "64Mi")])
    }));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::OutOfMemory);
    assert!(incident.plan_id.is_none() && incident.reason.contains("is bringing out"), "{}", incident.reason);

    let mut lab = killed(&[(LIMIT, "64Mi")]);
    lab.settle();
    let asked = lab.open(IncidentKind::OutOfMemory).approval_id;
    let other = v1::Deployment { template_hash: hash(3), ..stating(&[(LIMIT, "80Mi")]) };
    lab.see(Body::Deployment(other));
    let set = v1::ReplicaSet { template_hash: hash(3), ..replica_set("web", 1, 1) };
    lab.see(Body::ReplicaSet(set));
    lab.settle();
    let incident = lab.open(IncidentKind::OutOfMemory);
    assert!(incident.approval_id.is_some() && incident.approval_id != asked, "{}", incident.reason);
}
