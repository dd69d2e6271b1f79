//! Scenes of an autoscaler that is held back by its maximum: when it is let make more, and when that is left to a person.
//!
//! | situation | right |
//! |---|---|
//! | half more than it aims at, all pods ready, room on the nodes | asks a person for as many as would do; once; well when more are there |
//! | four times what it aims at | asks for twice as many, and says that more would do |
//! | the ceiling, or one replica less than the nodes have room for | asks for so many, and says why no more |
//! | what it measures moves while the approval is read, to its aim too; a pod is not ready for a moment | the plan that was read stays |
//! | it is denied, and what it measures moves | nobody is asked again |
//! | it comes and goes at its maximum while nothing is asked | asked once that lasts |
//! | a rollout of it is under way, it is paused, or it crash-loops | wait |
//! | it never scales up by its own behavior | recommend |
//! | somebody took back what Nimbus raised it to | recommend: Nimbus does not write against that |
//! | the load goes down, a pod fails, or a person raises it while the approval is read | nothing is begun |
//! | Helm, Argo CD or an operator (as KEDA) keeps its bounds | recommend, the manager named |
//! | it scales a Rollout | recommend |
//! | what it measures is not known, or beyond what can be told | recommend, no number |
//! | no node has room, or that is not known | recommend: nodes first; or said that it is not known |
//! | its pods keep apart, and every node has one | recommend: nodes first |
//! | its pods have to be spread, or each brings volumes | recommend: how many fit is not judged |
//! | a quota leaves no room, or a policy lets nobody raise it | said; asked again after an hour, then after two |
//! | it was raised and none became ready | put back; a person is told, and nobody is asked for a day |
//! | held back again ten minutes after it was raised | wait until the cool-down is over |
//! | held back again after it was raised three times in a day | recommend |

use nimbus_protocol::action::MORE_REPLICAS;
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::autoscalers::{at_maximum, held_back, metric, see};
use super::beside::{keeps_away, place, spread, spreads, told};
use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::testing::{ActionBody, action_of};

const KIND: IncidentKind = IncidentKind::AutoscalerAtMaximum;

fn raise(job: &v1::Job) -> (u32, u32) {
    let Some(ActionBody::RaiseAutoscalerMaximum(action)) = action_of(job) else { panic!("{job:?}") };
    (action.from_replicas, action.to_replicas)
}

/// What is asked for.
fn asked(lab: &mut Lab) -> Plan {
    assert!(lab.settle().is_empty(), "nothing without a person");
    let incident = lab.open(KIND);
    assert_eq!(incident.state, IncidentState::WaitingApproval, "{}", incident.reason);
    let plan = incident.plan_id.expect("a plan");
    lab.plans.values().find(|one| one.doc.id == plan).expect("it").doc.clone()
}

/// The reason of the open incident, of which nothing is asked and nothing is done.
fn left_alone(lab: &mut Lab) -> String {
    assert!(lab.settle().is_empty());
    let incident = lab.open(KIND);
    assert_eq!(incident.approval_id, None, "{}", incident.reason);
    incident.reason.clone()
}

/// `web` with ten pods on node-a of a CPU each, and an autoscaler at this part of its aim; each node has so many CPUs.
fn busy(told: v1::HorizontalPodAutoscaler, cpus: i64) -> Lab {
    let mut lab = held_back(told);
    for n in 0..10 {
        lab.see(Body::Pod(asking(
            &n.to_string(),
            v1::Placement { cpu_milli: 1_000, ..v1::Placement::default() },
        )));
    }
    for name in ["node-a", "node-b"] {
        let facts = v1::NodeFacts { cpu_milli: cpus * 1_000, ..node(name).facts.unwrap() };
        lab.see(Body::Node(v1::Node { facts: Some(facts), ..node(name) }));
    }
    lab
}

fn asking(n: &str, placement: v1::Placement) -> v1::Pod {
    let facts = v1::PodFacts { placement: Some(placement), ..pod("web-1", n, "node-a").facts.unwrap() };
    v1::Pod { facts: Some(facts), ..pod("web-1", n, "node-a") }
}

fn approved(lab: &mut Lab) -> v1::Job {
    lab.decide("operator", Decision::Approve, "").unwrap();
    let mut jobs = lab.settle();
    assert_eq!(jobs.len(), 1, "{}", lab.open(KIND).reason);
    jobs.remove(0)
}

/// Raised to `to`, with so many pods that are ready then, and held back again.
fn raised_and_held_back_again(lab: &mut Lab, job: &v1::Job, to: i32) {
    lab.apply(job);
    lab.see(Body::Deployment(deployment("web", u32::try_from(to).unwrap(), 1)));
    for n in 0..to {
        lab.see(Body::Pod(pod("web-1", &n.to_string(), "node-a")));
    }
    see(
        lab,
        v1::HorizontalPodAutoscaler {
            max_replicas: to,
            current_replicas: to,
            desired_replicas: to,
            ..at_maximum(1_500)
        },
    );
    lab.report(job, Phase::Succeeded, "", "");
    lab.settle();
}

#[test]
fn one_that_measures_half_more_than_it_aims_at_is_let_make_half_more_after_a_word() {
    let mut lab = held_back(at_maximum(1_500));
    let plan = asked(&mut lab);
    assert_eq!(plan.summary, "raise the maximum of autoscaler shop/web from 10 to 15 replicas");
    assert!(plan.needs_approval && plan.changes[0].ends_with("10 -> 15"), "{plan:?}");
    assert_eq!(plan.outlook.as_ref().unwrap().undo, UndoBy::Person);
    assert!(!plan.changes.iter().any(|line| line.contains("less than would do")), "{plan:?}");
    let job = approved(&mut lab);
    assert_eq!(raise(&job), (10, 15));
    lab.apply(&job);
    see(
        &mut lab,
        v1::HorizontalPodAutoscaler { desired_replicas: 14, current_replicas: 14, ..autoscaler("web", 15) },
    );
    lab.report(&job, Phase::Succeeded, "", "");
    lab.settle();
    lab.pass(120);
    lab.settle();
    assert_eq!(lab.last(KIND).state, IncidentState::Resolved, "{}", lab.last(KIND).reason);
}

#[test]
fn no_more_than_twice_the_ceiling_and_what_the_nodes_hold_and_each_is_said() {
    let mut lab = held_back(at_maximum(4_000));
    let plan = asked(&mut lab);
    assert!(plan.summary.ends_with("from 10 to 20 replicas"), "{}", plan.summary);
    assert!(
        plan.changes.iter().any(|line| line.contains("less than would do") && line.contains("step_percent")),
        "{plan:?}"
    );

    let mut lab = held_back(at_maximum(4_000));
    lab.settings.autoscalers.ceiling_replicas = 12;
    assert!(asked(&mut lab).summary.ends_with("from 10 to 12 replicas"));

    // Six CPUs on the other node, and two left on theirs.
    let mut lab = busy(at_maximum(4_000), 12);
    lab.see(Body::Node(v1::Node {
        facts: Some(v1::NodeFacts { cpu_milli: 6_500, ..node("node-b").facts.unwrap() }),
        ..node("node-b")
    }));
    let plan = asked(&mut lab);
    assert!(plan.summary.ends_with("from 10 to 18 replicas"), "{}", plan.summary);
    assert!(
        plan.changes.iter().any(|line| line.contains("the nodes that are there have room for 8 more")),
        "{plan:?}"
    );
}

#[test]
fn figures_that_move_while_the_approval_is_read_change_no_plan() {
    let mut lab = held_back(at_maximum(1_500));
    let first = asked(&mut lab);
    // At its aim, and not known, for a moment: nothing is begun then, and nothing taken back.
    for permille in [1_600, 1_000, 1_200, 0, 1_900] {
        see(&mut lab, at_maximum(permille));
        lab.pass(20);
        assert_eq!(asked(&mut lab).digest, first.digest, "{permille}");
    }
    lab.see(Body::Pod(v1::Pod { ready: false, ..pod("web-1", "1", "node-a") }));
    assert_eq!(asked(&mut lab).digest, first.digest, "a pod is not ready for a moment");
    lab.see(Body::Pod(pod("web-1", "1", "node-a")));
    assert_eq!((lab.plans.len(), lab.live_approvals()), (1, 1));
    assert_eq!(raise(&approved(&mut lab)), (10, 15));
}

#[test]
fn a_denial_holds_whatever_it_measures_since() {
    let mut lab = held_back(at_maximum(1_500));
    asked(&mut lab);
    lab.decide("operator", Decision::Deny, "not this week").unwrap();
    for permille in [1_900, 900, 1_100, 0, 3_000] {
        see(&mut lab, at_maximum(permille));
        lab.pass(60);
        assert!(lab.settle().is_empty());
        assert_eq!(lab.live_approvals(), 0, "{permille}");
    }
}

#[test]
fn one_that_comes_and_goes_is_asked_about_once_that_lasts() {
    let mut lab = held_back(v1::HorizontalPodAutoscaler { manager: "argocd".into(), ..at_maximum(1_500) });
    left_alone(&mut lab);
    for _ in 0..5 {
        see(&mut lab, at_maximum(900));
        lab.pass(60);
        lab.settle();
        see(&mut lab, at_maximum(1_500));
        lab.pass(60);
        assert!(left_alone(&mut lab).contains("comes and goes"), "{}", lab.open(KIND).reason);
    }
    lab.pass(240);
    asked(&mut lab);
}

#[test]
fn what_moves_or_is_in_trouble_waits() {
    let mut lab = held_back(at_maximum(1_500));
    lab.see(Body::Deployment(v1::Deployment { updated: 4, ..deployment("web", 10, 1) }));
    assert!(left_alone(&mut lab).contains("is not out"));
    lab.see(Body::Deployment(v1::Deployment { paused: true, ..deployment("web", 10, 1) }));
    assert!(left_alone(&mut lab).contains("it is paused"));
    lab.see(Body::Deployment(deployment("web", 10, 1)));
    asked(&mut lab);
    // It began after the approval: held back at the last moment.
    lab.decide("operator", Decision::Approve, "").unwrap();
    lab.see(Body::Deployment(v1::Deployment { updated: 4, ..deployment("web", 10, 1) }));
    assert!(lab.settle().is_empty());
}

#[test]
fn what_never_scales_up_or_was_taken_back_is_a_persons() {
    let never = v1::HorizontalPodAutoscaler { never_scales_up: true, ..at_maximum(1_500) };
    assert!(left_alone(&mut held_back(never)).contains("selectPolicy, which is Disabled"));
    let back = v1::HorizontalPodAutoscaler {
        raised_to: 15,
        bounds_writer: "kubectl-client-side-apply".into(),
        ..at_maximum(1_500)
    };
    let reason = left_alone(&mut held_back(back));
    assert!(reason.contains("kubectl-client-side-apply took it back to 10"), "{reason}");
    let mut own = held_back(v1::HorizontalPodAutoscaler { raised_to: 10, ..at_maximum(1_500) });
    asked(&mut own);
}

#[test]
fn what_is_otherwise_by_the_time_of_the_approval_is_not_begun() {
    type Change = fn(&mut Lab);
    let changes: [(&str, Change); 6] = [
        ("less load", |lab| see(lab, at_maximum(900))),
        ("not known any more", |lab| see(lab, at_maximum(0))),
        ("a person raised it", |lab| {
            see(lab, v1::HorizontalPodAutoscaler { max_replicas: 12, ..at_maximum(1_500) });
        }),
        ("somebody keeps it now", |lab| {
            see(lab, v1::HorizontalPodAutoscaler { manager: "argocd".into(), ..at_maximum(1_500) });
        }),
        ("a pod of it failed", |lab| {
            lab.see(Body::Pod(v1::Pod { ready: false, ..pod("web-1", "1", "node-a") }));
        }),
        ("the nodes are closed", |lab| {
            for name in ["node-a", "node-b"] {
                lab.see(Body::Node(v1::Node { unschedulable: true, ..node(name) }));
            }
        }),
    ];
    for (what, change) in changes {
        let mut lab = held_back(at_maximum(1_500));
        asked(&mut lab);
        change(&mut lab);
        let decided = lab.decide("operator", Decision::Approve, "");
        assert!(lab.settle().is_empty(), "{what}: {decided:?}");
    }
}

#[test]
fn whoever_keeps_its_bounds_raises_them() {
    for (manager, name) in [("helm", "Helm"), ("argocd", "Argo CD"), ("operator", "its owner")] {
        let told = v1::HorizontalPodAutoscaler {
            manager: manager.into(),
            manager_evidence: "so it says".into(),
            ..at_maximum(1_500)
        };
        let reason = left_alone(&mut held_back(told));
        assert!(reason.contains(name) && reason.contains("so it says"), "{reason}");
    }
}

#[test]
fn what_it_scales_and_what_it_measures_have_to_be_known() {
    let rollout = v1::HorizontalPodAutoscaler {
        target_api_version: "argoproj.io/v1alpha1".into(),
        target_kind: "Rollout".into(),
        ..at_maximum(1_500)
    };
    let mut lab = held_back(rollout);
    let reason = left_alone(&mut lab);
    assert!(
        reason.contains("scales Rollout web of argoproj.io/v1alpha1, which Nimbus does not know"),
        "{reason}"
    );
    for metrics in [vec![metric("cpu", 0)], vec![metric("cpu", 100_000)]] {
        let mut lab = held_back(v1::HorizontalPodAutoscaler { metrics, ..at_maximum(0) });
        lab.pass(300);
        let reason = left_alone(&mut lab);
        assert!(reason.contains("how many replicas would do is not known"), "{reason}");
    }
}

#[test]
fn without_room_on_the_nodes_nodes_come_first() {
    // The ten have all of theirs, and the other one has half a CPU left.
    let mut lab = busy(at_maximum(1_500), 10);
    lab.see(Body::Node(v1::Node {
        facts: Some(v1::NodeFacts { cpu_milli: 500, ..node("node-b").facts.unwrap() }),
        ..node("node-b")
    }));
    let reason = left_alone(&mut lab);
    assert!(
        reason.contains("no node has room for one more") && reason.contains("node-b has not enough cpu free"),
        "{reason}"
    );
    assert!(reason.contains("add nodes"), "{reason}");
    // Its agent does not say what that node offers.
    lab.see(Body::Node(v1::Node { facts: None, ..node("node-b") }));
    let reason = left_alone(&mut lab);
    assert!(reason.contains("is not known: its agent does not say what node-b offers"), "{reason}");
    // Room came.
    lab.see(Body::Node(node("node-b")));
    assert!(asked(&mut lab).summary.ends_with("from 10 to 14 replicas"));
}

#[test]
fn pods_that_keep_apart_are_spread_or_bring_volumes_are_reckoned_with_care() {
    let held_back = |change: fn(v1::Pod) -> v1::Pod| {
        let mut lab = held_back(at_maximum(1_500));
        for node in [place("node-a", "x"), place("node-b", "y")] {
            lab.see(Body::Node(node));
        }
        for n in 0..10 {
            lab.see(Body::Pod(change(told(pod("web-1", &n.to_string(), "node-a"), "web"))));
        }
        lab
    };
    assert!(asked(&mut held_back(|pod| pod)).summary.ends_with("from 10 to 15 replicas"));
    // One more at most, on the node that has none of them.
    let plan = asked(&mut held_back(|pod| keeps_away(pod, "web", false)));
    assert!(plan.summary.ends_with("from 10 to 11 replicas"), "{}", plan.summary);
    let mut lab = held_back(|pod| keeps_away(pod, "web", false));
    lab.see(Body::Pod(told(pod("other-1", "0", "node-b"), "web")));
    let reason = left_alone(&mut lab);
    assert!(reason.contains("no node has room") && reason.contains("node-a has one of them"), "{reason}");

    let reason = left_alone(&mut held_back(|pod| spreads(pod, spread("zone"))));
    assert!(reason.contains("have to be spread"), "{reason}");
    let untold = |mut pod: v1::Pod| {
        let placement = pod.facts.as_mut().unwrap().placement.as_mut().unwrap();
        placement.other_conditions.push("a resource claim".into());
        placement.untold =
            Some(v1::Untold { conditions: vec!["a resource claim".into()], described: vec![] });
        pod
    };
    let reason = left_alone(&mut held_back(untold));
    assert!(reason.contains("a resource claim decides too"), "{reason}");
}

#[test]
fn a_quota_without_room_is_asked_about_again_after_an_hour_and_then_after_two() {
    let mut lab = held_back(at_maximum(1_500));
    for hours in [1, 2, 4] {
        asked(&mut lab);
        let job = approved(&mut lab);
        let why = format!("{MORE_REPLICAS} of Deployment web, found: ResourceQuota team allows 10 of pods");
        lab.report(&job, Phase::Refused, "precondition_failed", &why);
        lab.pass(60);
        let reason = left_alone(&mut lab);
        assert!(reason.contains("ResourceQuota team") && reason.contains("make room there"), "{reason}");
        lab.pass(hours * 3_600 - 120);
        left_alone(&mut lab);
        lab.pass(60);
    }
    asked(&mut lab);
}

#[test]
fn what_was_put_back_as_none_became_ready_is_a_persons_for_a_day() {
    let mut lab = held_back(at_maximum(1_500));
    asked(&mut lab);
    let job = approved(&mut lab);
    lab.apply(&job);
    lab.report(&job, Phase::Compensated, "", "found: it asks for 15, and 10 are ready");
    lab.pass(600);
    let reason = left_alone(&mut lab);
    assert!(
        reason.contains("no more pods were seen to become ready") && reason.contains("10 are ready"),
        "{reason}"
    );
    lab.pass(85_400);
    left_alone(&mut lab);
    lab.pass(400);
    asked(&mut lab);
}

#[test]
fn it_waits_for_the_cool_down_and_asks_three_times_a_day_at_most() {
    let mut lab = held_back(at_maximum(1_500));
    lab.settings.autoscalers.step_percent = 10;
    for to in [11, 12, 13] {
        asked(&mut lab);
        let job = approved(&mut lab);
        assert_eq!(raise(&job).1, to);
        raised_and_held_back_again(&mut lab, &job, i32::try_from(to).unwrap());
        if to == 13 {
            break;
        }
        lab.pass(600);
        let reason = left_alone(&mut lab);
        assert!(reason.contains("was raised lately"), "{reason}");
        lab.pass(1_300);
    }
    lab.pass(3_600);
    let reason = left_alone(&mut lab);
    assert!(reason.contains("was raised 3 times within a day"), "{reason}");
    lab.pass(86_400);
    assert!(asked(&mut lab).summary.contains("from 13"));
}

#[test]
fn whoever_wrote_its_bounds_is_named_in_the_plan() {
    let told = v1::HorizontalPodAutoscaler {
        bounds_writer: "kubectl-client-side-apply".into(),
        ..at_maximum(1_500)
    };
    let changes = asked(&mut held_back(told)).changes;
    assert!(
        changes.iter().any(|line| line.contains("last written by kubectl-client-side-apply")),
        "{changes:?}"
    );
}
