//! The checker against plans that expand a volume: each that is not what is there, or too much, is refused by itself.

use nimbus_protocol::v1::{self, observation::Body};

use crate::check;
use crate::model::Plan;
use crate::testing::ActionBody;
use crate::testing::lab::Lab;
use crate::testing::objects::*;

const GIB: u64 = 1 << 30;

fn figures(available: u64, on_node_filesystem: bool) -> Body {
    let filesystem = v1::MeasuredFilesystem {
        capacity_bytes: Some(100 * GIB),
        available_bytes: Some(available * GIB),
        ..v1::MeasuredFilesystem::default()
    };
    let volume = v1::MeasuredVolume {
        namespace: "shop".into(),
        claim: "data".into(),
        pod: "db-0".into(),
        filesystem: Some(filesystem),
        on_node_filesystem,
    };
    let node = "node-a".to_owned();
    Body::NodeMeasured(v1::NodeMeasured { node, volumes: vec![volume], ..v1::NodeMeasured::default() })
}

fn full() -> Lab {
    let mut lab = Lab::new();
    lab.see(Body::StorageClass(storage_class("fast", true)));
    lab.see(Body::PersistentVolumeClaim(claim("data", "pv-1")));
    lab.see(figures(5, false));
    lab.diagnose();
    lab.plan();
    lab
}

/// The numbers of the invariants that the plan would break if it went out now, with its action changed so. That no person
/// approved it yet is left out.
fn broken(lab: &Lab, change: impl FnOnce(&mut v1::ExpandVolume)) -> Vec<u8> {
    let mut plan: Plan = lab.plans.values().next().unwrap().doc.clone();
    let Some(ActionBody::ExpandVolume(mut action)) = plan.action.body().cloned() else { panic!() };
    change(&mut action);
    plan.action = ActionBody::ExpandVolume(action).into();
    plan.digest = plan.computed_digest();
    let found = check::check(&plan, &lab.snapshot(), lab.now);
    found.iter().map(|violation| violation.invariant).filter(|number| [3, 5, 9].contains(number)).collect()
}

#[test]
fn a_plan_that_says_something_else_than_what_is_there_is_refused() {
    let lab = full();
    assert!(broken(&lab, |_| {}).is_empty());
    let changes: [fn(&mut v1::ExpandVolume); 7] = [
        |a| a.claim.as_mut().unwrap().uid.push('x'),
        |a| a.claim.as_mut().unwrap().name.push('x'),
        |a| a.from_bytes += 1,
        |a| a.to_bytes = a.from_bytes,
        |a| a.to_bytes = 2 * a.from_bytes + 1,
        |a| a.storage_class = "slow".into(),
        |a| a.claim = None,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(broken(&lab, change).contains(&3), "{number}");
    }
    let mut lab = full();
    lab.settings.volumes.ceiling_gib = 149;
    assert_eq!(broken(&lab, |_| {}), [3], "beyond the ceiling");
}

#[test]
fn what_changed_since_is_refused() {
    type Change = fn(&mut v1::PersistentVolumeClaim);
    let changes: [(u8, Change); 7] = [
        (9, |c| c.manager = "argocd".into()),
        (3, |c| c.requested_bytes += 1),
        (3, |c| c.capacity_bytes = 150 << 30),
        (3, |c| c.resizing = "Resizing".into()),
        (3, |c| c.resize_error = "ControllerResizeInfeasible".into()),
        (3, |c| c.phase = "Lost".into()),
        (3, |c| c.storage_class = "slow".into()),
    ];
    for (invariant, change) in changes {
        let mut lab = full();
        let mut seen = claim("data", "pv-1");
        change(&mut seen);
        lab.see(Body::PersistentVolumeClaim(seen));
        assert!(broken(&lab, |_| {}).contains(&invariant), "{invariant}");
    }
    for body in [
        Body::StorageClass(storage_class("fast", false)),
        gone("StorageClass", "StorageClass-fast"),
        figures(16, false),
        figures(5, true),
    ] {
        let mut lab = full();
        lab.see(body);
        assert_eq!(broken(&lab, |_| {}), [3]);
    }
    let mut lab = full();
    lab.pass(901);
    assert!(broken(&lab, |_| {}).contains(&3), "figures that are old");
}

/// A job that let the claim grow so many seconds ago.
fn grew(lab: &mut Lab, ago: &[i64]) {
    for (number, ago) in ago.iter().enumerate() {
        let mut job = crate::testing::job(crate::testing::lab::agent_id());
        job.id = format!("job_{:032x}", 0x77 + number).parse().unwrap();
        job.action = crate::model::ActionKind::ExpandVolume;
        job.state = crate::model::JobState::Succeeded;
        job.object = lab.plans.values().next().unwrap().doc.object.clone();
        let at = lab.now - jiff::SignedDuration::from_secs(*ago);
        (job.applied_at, job.finished_at) = (Some(at), Some(at));
        lab.jobs.insert(job.id.to_string(), crate::model::Versioned { version: 1, doc: job });
    }
}

#[test]
fn a_step_that_comes_too_soon_or_too_often_is_refused() {
    let cool_down = i64::from(full().settings.volumes.cool_down_s);
    for (ago, too_soon) in [
        (&[cool_down + 1][..], false),
        (&[cool_down - 1], true),
        (&[604_799, cool_down + 1], true),
        (&[604_801, cool_down + 1], false),
        // Dated a little ahead, and two years ahead.
        (&[-60], true),
        (&[-63_072_000], false),
    ] {
        let mut lab = full();
        grew(&mut lab, ago);
        assert_eq!(broken(&lab, |_| {}).contains(&5), too_soon, "{ago:?}");
    }
}

#[test]
fn a_volume_that_is_no_written_file_system_of_its_own_is_refused() {
    type Change = fn(&mut v1::PersistentVolumeClaim);
    let changes: [Change; 4] = [
        |c| c.volume_mode = "Block".into(),
        |c| c.access_modes = vec!["ReadOnlyMany".into()],
        // Made after the figure was.
        |c| c.meta.as_mut().unwrap().created_at_us = nimbus_protocol::to_micros(crate::testing::at(30)),
        |c| c.capacity_bytes = 145 << 30,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut lab = full();
        let mut seen = claim("data", "pv-1");
        change(&mut seen);
        lab.see(Body::PersistentVolumeClaim(seen));
        assert!(broken(&lab, |_| {}).contains(&3), "{number}");
    }
    // An export that others share, and a file system that did not grow with its volume.
    for (capacity, available) in [(300, 10), (60, 3)] {
        let Body::NodeMeasured(mut measured) = figures(5, false) else { panic!() };
        let filesystem = measured.volumes[0].filesystem.as_mut().unwrap();
        (filesystem.capacity_bytes, filesystem.available_bytes) =
            (Some(capacity * GIB), Some(available * GIB));
        let mut lab = full();
        lab.see(Body::NodeMeasured(measured));
        assert!(broken(&lab, |_| {}).contains(&3), "{capacity}");
    }
}

#[test]
fn the_last_word_of_several_nodes_counts() {
    let mut lab = full();
    lab.pass(60);
    let Body::NodeMeasured(mut of_b) = figures(60, false) else { panic!() };
    of_b.node = "node-b".into();
    lab.see(Body::NodeMeasured(of_b));
    assert!(broken(&lab, |_| {}).contains(&3));
}

#[test]
fn a_claim_of_an_operators_stateful_set_is_left_to_it() {
    let mut lab = full();
    lab.see(Body::PersistentVolumeClaim(claim("data-db-0", "pv-1")));
    let mut refused = Vec::new();
    for manager in ["", "operator"] {
        lab.see(Body::StatefulSet(v1::StatefulSet {
            manager: manager.into(),
            ..stateful_set("db", 1, "db-1")
        }));
        let name = |a: &mut v1::ExpandVolume| a.claim.as_mut().unwrap().name = "data-db-0".into();
        refused.push(broken(&lab, name).contains(&9));
    }
    assert_eq!(refused, [false, true]);
}
