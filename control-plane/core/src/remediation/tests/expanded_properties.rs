//! Properties of the planner and of the independent checker over claims of every kind.

use nimbus_protocol::v1::job_report::Phase;
use proptest::prelude::*;

use super::expanded::{GIB, expansion, measured};
use super::*;
use crate::approval::Decision;
use crate::model::*;

/// What a claim, its class and its volume are like at one moment.
#[derive(Debug, Clone)]
struct Moment {
    claim: v1::PersistentVolumeClaim,
    allows: Option<bool>,
    filesystem: v1::MeasuredFilesystem,
    /// How long ago it was measured, seconds.
    ago: i64,
}

fn text(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(words).prop_map(str::to_owned)
}

fn any_moment() -> impl Strategy<Value = Moment> {
    let sizes = (
        proptest::sample::select(&[0, 1, 1 << 20, 900 << 20, 8 * GIB, 100 * GIB, 900 * GIB, 2_000 * GIB][..]),
        proptest::sample::select(&[0_u64, 50, 100, 130, 200][..]),
    );
    let words = (
        text(&["", "", "", "Resizing", "FileSystemResizePending: waiting", "NodeResizePending"]),
        text(&["", "", "", "ControllerResizeInfeasible"]),
        text(&["", "", "", "argocd", "operator"]),
        text(&["Bound", "Bound", "Bound", "Lost"]),
        text(&["fast", "fast", "fast", "slow", ""]),
    );
    let allows = proptest::sample::select(&[Some(true), Some(true), Some(false), None][..]);
    let full = (proptest::option::of(0_u64..=100), 0_u64..=100, 0_i64..1_800);
    (sizes, words, allows, full).prop_map(|(sizes, words, allows, (used, inodes_used, ago))| {
        let ((requested_bytes, has), (resizing, resize_error, manager, phase, storage_class)) =
            (sizes, words);
        let claim = v1::PersistentVolumeClaim {
            requested_bytes,
            capacity_bytes: requested_bytes / 100 * has,
            resizing,
            resize_error,
            manager,
            phase,
            storage_class,
            ..claim("data", "pv-1")
        };
        let filesystem = v1::MeasuredFilesystem {
            capacity_bytes: Some(100 * GIB),
            available_bytes: used.map(|used| (100 - used) * GIB),
            inodes: Some(100),
            inodes_free: Some(100 - inodes_used),
        };
        Moment { claim, allows, filesystem, ago }
    })
}

fn see(lab: &mut Lab, moment: &Moment) {
    lab.see(match moment.allows {
        Some(allows) => Body::StorageClass(storage_class("fast", allows)),
        None => gone("StorageClass", "StorageClass-fast"),
    });
    lab.see(Body::PersistentVolumeClaim(moment.claim.clone()));
    lab.see(measured(moment.filesystem));
    lab.pass(moment.ago);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Whatever a claim is like, and whatever was done before: what is let grow is a bounded step of a volume that is full, may grow and
    /// is nobody else's; the checker lets it go (each dispatch asks it), and nobody is told that a plan waits for the checker.
    #[test]
    fn planner_and_checker_agree_on_what_grows(moments in proptest::collection::vec(any_moment(), 1..6)) {
        let mut lab = Lab::new();
        for moment in &moments {
            see(&mut lab, moment);
            lab.settle();
            if lab.live_approvals() > 0 {
                lab.decide("operator", Decision::Approve, "").unwrap();
            }
            for job in lab.settle() {
                let (action, claim) = (expansion(&job), &moment.claim);
                let ceiling = lab.settings.volumes.ceiling();
                prop_assert!(action.from_bytes == claim.requested_bytes && claim.storage_class == "fast");
                prop_assert!(action.to_bytes > claim.capacity_bytes && action.to_bytes <= 2 * action.from_bytes);
                prop_assert!(action.to_bytes <= ceiling && action.to_bytes.is_multiple_of(1 << 20));
                prop_assert!(claim.manager.is_empty() && claim.resizing.is_empty() && claim.resize_error.is_empty());
                prop_assert!(moment.allows == Some(true) && claim.phase == "Bound" && moment.ago <= 900);
                prop_assert!(moment.filesystem.available_bytes <= Some(15 * GIB));
                lab.apply(&job);
                lab.report(&job, Phase::Succeeded, "", "");
                let grew = lab.jobs.values().filter(|job| job.doc.action == ActionKind::ExpandVolume).count();
                prop_assert!(grew <= 2, "within a week");
            }
            for incident in lab.incidents.values() {
                prop_assert!(!incident.doc.reason.contains("not yet:"), "{}", incident.doc.reason);
            }
        }
    }
}
