//! Scenes of a claim whose volume is nearly full: when it is let grow, and when that is left to a person.
//!
//! | situation | right |
//! |---|---|
//! | 95 % in use, its class lets it grow | asks a person; once, by half; watched until the volume has it |
//! | its class allows no expansion, is gone, or is not known; it names none | recommend, each with its own reason |
//! | Argo CD or an operator keeps the claim | recommend, the manager named |
//! | inodes run out and bytes do not | recommend; a larger volume need not have more of them |
//! | it is being resized, or that failed | wait; recommend with the storage system's word |
//! | a raw device, a data set that is only read, a claim that was made since | no incident: its figure says nothing of it |
//! | the file system is larger than the claim (an export that is shared), or much smaller | recommend; a larger claim gives no room |
//! | full again two hours after it grew | wait until the cool-down is over |
//! | full again after it grew twice in a week | recommend: it grows without end |
//! | a quota leaves no room | asked again after an hour, then after two, and so on |
//! | its pod moved, and the kubelet of the new node says that there is room | wait; what the old node said is over |
//! | the claim was made for a StatefulSet of an operator | recommend: the operator decides |
//! | the claim grows by a person's hand while the approval is read | the plan is void |

use nimbus_protocol::action::NOT_LET_GROW;
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::testing::{ActionBody, action_of};

pub(super) const GIB: u64 = 1 << 30;

/// What a kubelet says of the volume of `data`.
pub(super) fn figures(capacity: u64, available: u64) -> Body {
    let filesystem = v1::MeasuredFilesystem {
        capacity_bytes: Some(capacity * GIB),
        available_bytes: Some(available * GIB),
        inodes: Some(1_000),
        inodes_free: Some(900),
    };
    measured(filesystem)
}

fn full_filesystem() -> v1::MeasuredFilesystem {
    v1::MeasuredFilesystem {
        capacity_bytes: Some(100 * GIB),
        available_bytes: Some(5 * GIB),
        inodes: Some(1_000),
        inodes_free: Some(900),
    }
}

pub(super) fn measured(filesystem: v1::MeasuredFilesystem) -> Body {
    figures_of("data", filesystem)
}

fn figures_of(claim: &str, filesystem: v1::MeasuredFilesystem) -> Body {
    let volume = v1::MeasuredVolume {
        namespace: "shop".into(),
        claim: claim.into(),
        pod: "db-0".into(),
        filesystem: Some(filesystem),
        on_node_filesystem: false,
    };
    Body::NodeMeasured(v1::NodeMeasured {
        node: "node-a".into(),
        volumes: vec![volume],
        ..v1::NodeMeasured::default()
    })
}

pub(super) fn data() -> v1::PersistentVolumeClaim {
    claim("data", "pv-1")
}

/// A claim of 100 GiB whose volume is so full, of a class that lets it grow.
pub(super) fn full() -> Lab {
    let mut lab = Lab::new();
    lab.see(Body::StorageClass(storage_class("fast", true)));
    lab.see(Body::PersistentVolumeClaim(data()));
    lab.see(figures(100, 5));
    lab
}

pub(super) fn expansion(job: &v1::Job) -> v1::ExpandVolume {
    let Some(ActionBody::ExpandVolume(action)) = action_of(job) else { panic!("{job:?}") };
    action
}

/// The reason of the open incident, of which nothing is asked and nothing is done.
fn left_alone(lab: &mut Lab) -> String {
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::VolumeNearFull);
    assert_eq!(incident.approval_id, None, "{}", incident.reason);
    incident.reason.clone()
}

/// Asked for, done and seen to have helped; the volume is `to` GiB large then.
fn grow(lab: &mut Lab, to: u64) -> v1::ExpandVolume {
    assert!(lab.settle().is_empty(), "nothing without a person");
    let incident = lab.open(IncidentKind::VolumeNearFull);
    assert_eq!(incident.state, IncidentState::WaitingApproval, "{}", incident.reason);
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    let bytes = to * GIB;
    lab.see(Body::PersistentVolumeClaim(v1::PersistentVolumeClaim {
        requested_bytes: bytes,
        capacity_bytes: bytes,
        ..data()
    }));
    lab.see(figures(to, to / 3));
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    lab.settle();
    assert_eq!(lab.last(IncidentKind::VolumeNearFull).state, IncidentState::Resolved);
    expansion(&jobs[0])
}

#[test]
fn a_volume_whose_class_lets_it_grow_grows_by_half_after_a_word() {
    let mut lab = full();
    assert!(lab.settle().is_empty());
    let plan = &lab.plans.values().next().unwrap().doc;
    assert_eq!(plan.summary, "expand the volume of shop/data from 100Gi to 150Gi");
    assert!(plan.needs_approval && plan.changes[0].ends_with("100Gi -> 150Gi"), "{plan:?}");
    assert_eq!(plan.outlook.as_ref().unwrap().undo, UndoBy::Nobody);
    let action = grow(&mut lab, 150);
    assert_eq!((action.from_bytes, action.to_bytes), (100 * GIB, 150 * GIB));
    assert_eq!((action.storage_class.as_str(), action.claim.unwrap().name.as_str()), ("fast", "data"));
}

/// `data-db-0` is what the StatefulSet `db` calls the claim that it makes of its template `data` for its first pod.
#[test]
fn a_statefulset_is_said_to_keep_the_size_of_its_template() {
    let lines = |name: &str, manager: &str| {
        let mut lab = Lab::new();
        lab.see(Body::StorageClass(storage_class("fast", true)));
        lab.see(Body::PersistentVolumeClaim(claim(name, "pv-1")));
        lab.see(Body::StatefulSet(v1::StatefulSet {
            manager: manager.into(),
            ..stateful_set("db", 1, "db-1")
        }));
        lab.see(Body::Pod(owned_pod("StatefulSet", "db", 0, "db-1")));
        lab.see(figures_of(name, full_filesystem()));
        lab.settle();
        let plan = lab.plans.values().next().unwrap().doc.clone();
        plan.changes.into_iter().find(|line| line.contains("volumeClaimTemplates")).unwrap_or_default()
    };
    let own = lines("data-db-0", "");
    assert!(
        own.contains("StatefulSet db") && own.contains("--cascade=orphan") && !own.contains("Gi"),
        "{own}"
    );
    let kept = lines("data-db-0", "argocd");
    assert!(kept.contains("Argo CD keeps that StatefulSet") && !kept.contains("orphan"), "{kept}");
    assert_eq!(lines("shared", ""), "", "a claim that its pods mount, and that is of no template");
}

#[test]
fn whoever_wrote_its_size_is_named_in_the_plan() {
    let mut lab = full();
    lab.see(Body::PersistentVolumeClaim(v1::PersistentVolumeClaim {
        size_writer: "kubectl-client-side-apply".into(),
        ..data()
    }));
    lab.settle();
    let changes = &lab.plans.values().next().unwrap().doc.changes;
    assert!(
        changes.iter().any(|line| line.contains("last written by kubectl-client-side-apply")),
        "{changes:?}"
    );
}

/// Most drivers tell the size of a raw device and nothing else, which reads as full.
#[test]
fn a_raw_device_a_data_set_that_is_only_read_and_a_claim_of_before_are_no_incident() {
    let raw = v1::MeasuredFilesystem {
        capacity_bytes: Some(100 * GIB),
        available_bytes: Some(0),
        inodes: Some(0),
        inodes_free: Some(0),
    };
    let made = nimbus_protocol::to_micros(Lab::new().now + jiff::SignedDuration::from_secs(60));
    let meta = v1::ObjectMeta { created_at_us: made, ..data().meta.unwrap() };
    for (what, seen, filesystem) in [
        ("raw", v1::PersistentVolumeClaim { volume_mode: "Block".into(), ..data() }, raw),
        ("raw, by an older agent", v1::PersistentVolumeClaim { volume_mode: String::new(), ..data() }, raw),
        (
            "only read",
            v1::PersistentVolumeClaim { access_modes: vec!["ReadOnlyMany".into()], ..data() },
            full_filesystem(),
        ),
        ("made since", v1::PersistentVolumeClaim { meta: Some(meta), ..data() }, full_filesystem()),
    ] {
        let mut lab = Lab::new();
        lab.see(Body::StorageClass(storage_class("fast", true)));
        lab.see(Body::PersistentVolumeClaim(seen));
        lab.see(measured(filesystem));
        lab.settle();
        assert!(lab.incidents.is_empty(), "{what}: {:?}", lab.incidents);
    }
    // One that was opened by figures of before ends, too.
    let mut lab = full();
    lab.settle();
    lab.see(Body::PersistentVolumeClaim(v1::PersistentVolumeClaim { volume_mode: "Block".into(), ..data() }));
    lab.settle();
    assert_eq!(lab.last(IncidentKind::VolumeNearFull).state, IncidentState::Resolved);
}

/// An NFS export whose driver makes no volume of a size, and a file system that did not grow with its volume.
#[test]
fn a_file_system_of_another_size_than_its_claim_gets_no_room_by_a_larger_one() {
    for (size, words) in [(10_000, "others share it"), (60, "does not have the size")] {
        let mut lab = full();
        lab.see(figures(size, size / 20));
        let reason = left_alone(&mut lab);
        assert!(reason.contains(words), "{reason}");
    }
}

#[test]
fn what_is_waited_for_too_long_is_a_persons() {
    let mut lab = full();
    lab.see(Body::PersistentVolumeClaim(v1::PersistentVolumeClaim { capacity_bytes: 90 * GIB, ..data() }));
    assert!(!left_alone(&mut lab).contains("for long"));
    lab.pass(3_700);
    lab.see(figures(100, 5));
    let reason = left_alone(&mut lab);
    assert!(reason.contains("for long") && reason.contains("describe pvc data"), "{reason}");
}

/// A clock that stepped forward and back leaves a job that is dated two years ahead.
#[test]
fn a_step_that_is_dated_years_ahead_keeps_nothing_back() {
    let mut lab = full();
    grow(&mut lab, 150);
    for job in lab.jobs.values_mut() {
        job.doc.applied_at = Some(lab.now + jiff::SignedDuration::from_hours(2 * 365 * 24));
    }
    lab.pass(7 * 3_600);
    lab.see(figures(150, 7));
    grow(&mut lab, 225);
}

#[test]
fn what_its_class_does_not_allow_is_recommended_with_the_reason() {
    type Scene = fn(&mut Lab);
    let scenes: [(&str, Scene); 4] = [
        ("does not allow expansion", |lab| {
            lab.see(Body::StorageClass(storage_class("fast", false)));
        }),
        ("is not there any more", |lab| {
            lab.see(gone("StorageClass", "StorageClass-fast"));
        }),
        ("names no StorageClass", |lab| {
            let by_hand = v1::PersistentVolumeClaim { storage_class: String::new(), ..data() };
            lab.see(Body::PersistentVolumeClaim(by_hand));
        }),
        ("is not known", |lab| {
            lab.see(begin("StorageClass", 1));
        }),
    ];
    for (words, scene) in scenes {
        let mut lab = full();
        scene(&mut lab);
        let reason = left_alone(&mut lab);
        assert!(reason.contains(words), "{words}: {reason}");
    }
}

/// An agent of before tells neither classes nor sizes.
#[test]
fn with_an_older_agent_there_is_still_advice() {
    let mut lab = full();
    for requested_bytes in [0, 100 * GIB] {
        let untold = v1::PersistentVolumeClaim { requested_bytes, capacity_bytes: 0, ..data() };
        lab.see(Body::PersistentVolumeClaim(untold));
        let reason = left_alone(&mut lab);
        assert!(
            reason.contains("upgrade it") && reason.contains("spec.resources.requests.storage"),
            "{reason}"
        );
    }
}

#[test]
fn a_claim_that_somebody_else_keeps_is_theirs_to_let_grow() {
    for (word, name) in [("argocd", "Argo CD"), ("operator", "its owner")] {
        let mut lab = full();
        let kept = v1::PersistentVolumeClaim {
            manager: word.into(),
            manager_evidence: "owned by Cluster main".into(),
            ..data()
        };
        lab.see(Body::PersistentVolumeClaim(kept));
        let reason = left_alone(&mut lab);
        assert!(reason.contains(name) && reason.contains("Cluster main"), "{reason}");
    }
}

#[test]
fn inodes_that_run_out_are_no_reason_to_grow() {
    let mut lab = full();
    let filesystem = v1::MeasuredFilesystem {
        capacity_bytes: Some(100 * GIB),
        available_bytes: Some(13 * GIB),
        inodes: Some(1_000),
        inodes_free: Some(5),
    };
    lab.see(measured(filesystem));
    let reason = left_alone(&mut lab);
    assert!(reason.contains("inodes and not of bytes"), "{reason}");
}

#[test]
fn a_change_of_its_size_that_is_under_way_is_waited_for_and_one_that_failed_is_told() {
    for (resizing, resize_error, has, words) in [
        ("Resizing", "", 100, "on its way to another size (Resizing)"),
        ("", "", 80, "asks for more than it has"),
        ("FileSystemResizePending: waiting", "", 100, "start its pod anew"),
        ("NodeResizePending", "", 100, "its file system grows next"),
        ("", "ControllerResizeError: pool is full", 100, "pool is full"),
    ] {
        let mut lab = full();
        lab.see(Body::PersistentVolumeClaim(v1::PersistentVolumeClaim {
            resizing: resizing.into(),
            resize_error: resize_error.into(),
            capacity_bytes: has * GIB,
            ..data()
        }));
        let reason = left_alone(&mut lab);
        assert!(reason.contains(words), "{words}: {reason}");
    }
}

#[test]
fn a_volume_that_is_full_again_waits_and_then_is_a_persons() {
    let mut lab = full();
    grow(&mut lab, 150);
    lab.pass(2 * 3_600);
    lab.see(figures(150, 7));
    let reason = left_alone(&mut lab);
    assert!(reason.contains("volumes.cool_down_s"), "{reason}");
    lab.pass(5 * 3_600);
    lab.see(figures(150, 7));
    let action = grow(&mut lab, 225);
    assert_eq!((action.from_bytes, action.to_bytes), (150 * GIB, 225 * GIB));
    lab.pass(24 * 3_600);
    lab.see(figures(225, 7));
    let reason = left_alone(&mut lab);
    assert!(reason.contains("2 times within a week") && reason.contains("without end"), "{reason}");
    // A week later that is long ago.
    lab.pass(7 * 24 * 3_600);
    lab.see(figures(225, 7));
    lab.settle();
    assert_eq!(lab.open(IncidentKind::VolumeNearFull).state, IncidentState::WaitingApproval);
}

#[test]
fn at_the_ceiling_nothing_is_asked() {
    let mut lab = full();
    lab.settings.volumes.ceiling_gib = 100;
    let reason = left_alone(&mut lab);
    assert!(reason.contains("ceiling of 100Gi"), "{reason}");
    lab.settings.volumes.ceiling_gib = 120;
    lab.settle();
    let asked = lab.open(IncidentKind::VolumeNearFull).plan_id.unwrap();
    assert!(lab.plans[&asked.to_string()].doc.summary.ends_with("to 120Gi"));
}

#[test]
fn what_a_quota_leaves_no_room_for_is_asked_for_again_after_an_hour_and_then_after_two() {
    let mut lab = full();
    let refused = format!("{NOT_LET_GROW}, found: exceeded quota: storage");
    for hours in [1, 2, 4] {
        lab.settle();
        lab.decide("operator", Decision::Approve, "").unwrap();
        let jobs = lab.settle();
        lab.report(&jobs[0], Phase::Refused, "precondition_failed", &refused);
        for _ in 0..hours * 6 - 1 {
            lab.pass(600);
            lab.see(figures(100, 5));
            let reason = left_alone(&mut lab);
            assert!(reason.contains("exceeded quota"), "{hours}: {reason}");
        }
        lab.pass(600);
        lab.see(figures(100, 5));
        lab.settle();
        let incident = lab.open(IncidentKind::VolumeNearFull);
        assert_eq!(incident.state, IncidentState::WaitingApproval, "{hours}: {}", incident.reason);
    }
}

/// The clock was two years ahead when the API server said no.
#[test]
fn a_refusal_that_is_dated_years_ahead_keeps_nothing_back() {
    let mut lab = full();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.report(&jobs[0], Phase::Refused, "precondition_failed", NOT_LET_GROW);
    for job in lab.jobs.values_mut() {
        job.doc.finished_at = Some(lab.now + jiff::SignedDuration::from_hours(2 * 365 * 24));
    }
    lab.pass(60);
    lab.see(figures(100, 5));
    lab.settle();
    assert_eq!(lab.open(IncidentKind::VolumeNearFull).state, IncidentState::WaitingApproval);
}

#[test]
fn what_another_node_said_before_the_pod_moved_counts_no_more() {
    let mut lab = full();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    // Its pod is on node-b by now, where somebody has made room; node-a says nothing any more.
    lab.pass(120);
    let Body::NodeMeasured(mut of_b) = figures(100, 60) else { panic!() };
    of_b.node = "node-b".into();
    lab.see(Body::NodeMeasured(of_b));
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::VolumeNearFull).plan_id, None);
}

#[test]
fn a_claim_of_an_operators_stateful_set_is_the_operators() {
    for (manager, asked) in [("operator", false), ("argocd", true), ("", true)] {
        let mut lab = Lab::new();
        lab.see(Body::StorageClass(storage_class("fast", true)));
        lab.see(Body::StatefulSet(v1::StatefulSet {
            manager: manager.into(),
            ..stateful_set("db", 1, "db-1")
        }));
        lab.see(Body::Pod(owned_pod("StatefulSet", "db", 0, "db-1")));
        lab.see(Body::PersistentVolumeClaim(claim("data-db-0", "pv-1")));
        lab.see(figures_of("data-db-0", full_filesystem()));
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::VolumeNearFull);
        assert_eq!(incident.approval_id.is_some(), asked, "{manager}: {}", incident.reason);
        if !asked {
            assert!(incident.reason.contains("belongs to an operator"), "{}", incident.reason);
        }
    }
}

/// Both are near their bound: of which of the two the incident is, is not known, and a larger volume need not help.
#[test]
fn inodes_that_waver_ask_for_no_bytes() {
    let of = |inodes_free| {
        measured(v1::MeasuredFilesystem {
            capacity_bytes: Some(100 * GIB),
            available_bytes: Some(14 * GIB),
            inodes: Some(1_000),
            inodes_free: Some(inodes_free),
        })
    };
    let mut lab = full();
    for inodes_free in [80, 101, 99, 120] {
        lab.see(of(inodes_free));
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::VolumeNearFull);
        assert_eq!(incident.approval_id, None, "{inodes_free}: {}", incident.reason);
    }
}

/// A seen jump of the clock moves what grew with it: the cool-down is for so long, not until a date.
#[test]
fn a_clock_that_jumps_ends_no_cool_down() {
    let mut lab = full();
    grow(&mut lab, 150);
    let by = jiff::SignedDuration::from_hours(5 * 24);
    lab.now += by;
    let changes = crate::remediation::jumped(&lab.snapshot(), by, lab.now);
    lab.commit(changes);
    lab.see(figures(150, 7));
    let reason = left_alone(&mut lab);
    assert!(reason.contains("expanded lately") || reason.contains("was expanded at"), "{reason}");
}

#[test]
fn a_claim_that_a_person_let_grow_meanwhile_is_not_let_grow_again() {
    let mut lab = full();
    lab.settle();
    lab.see(Body::PersistentVolumeClaim(v1::PersistentVolumeClaim {
        requested_bytes: 200 * GIB,
        capacity_bytes: 200 * GIB,
        ..data()
    }));
    let approved = lab.decide("operator", Decision::Approve, "");
    assert!(approved.is_err() || lab.settle().is_empty(), "the plan is about another size");
}

/// Between the two bounds the incident stands, and so does what was asked: nobody is asked twice for a volume that wavers.
#[test]
fn a_volume_that_wavers_around_the_bound_is_asked_about_once() {
    let mut lab = full();
    lab.settle();
    let asked = lab.open(IncidentKind::VolumeNearFull).approval_id;
    for available in [11, 9, 12, 8] {
        lab.see(figures(100, available));
        lab.settle();
        assert_eq!(lab.open(IncidentKind::VolumeNearFull).approval_id, asked);
    }
    lab.see(figures(100, 12));
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn figures_that_are_old_let_nothing_grow() {
    let mut lab = full();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    lab.pass(16 * 60);
    assert!(lab.settle().is_empty(), "what was measured a quarter of an hour ago says nothing of now");
}
