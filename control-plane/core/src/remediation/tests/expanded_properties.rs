//! Properties of the planner and of the independent checker over claims of every kind.

use nimbus_protocol::v1::job_report::Phase;
use proptest::prelude::*;

use super::expanded::{GIB, expansion, measured};
use super::*;
use crate::approval::Decision;

/// What a claim, its class and its volume are like at one moment.
#[derive(Debug, Clone)]
struct Moment {
    claim: v1::PersistentVolumeClaim,
    allows: Option<bool>,
    filesystem: v1::MeasuredFilesystem,
    /// How long ago it was measured, seconds.
    ago: i64,
    /// How long it is until the next moment, seconds.
    then: i64,
    /// How much of the file system is in use, and how large it is beside the claim, percent.
    used: u64,
    share: u64,
}

fn text(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(words).prop_map(str::to_owned)
}

fn any_moment() -> impl Strategy<Value = Moment> {
    // Most are as they should be: otherwise hardly any claim is let grow.
    let sizes = (
        proptest::sample::select(&[0, 900 << 20, 8 * GIB, 100 * GIB, 100 * GIB, 100 * GIB, 900 * GIB][..]),
        proptest::sample::select(&[50_u64, 100, 100, 100, 100, 100, 100, 100, 100, 130][..]),
        proptest::sample::select(&[40_u64, 92, 100, 100, 100, 100, 100, 100, 100, 300][..]),
    );
    let words = (
        text(&["", "", "", "", "", "", "", "", "", "Resizing", "NodeResizePending"]),
        text(&["", "", "", "", "", "", "", "", "", "ControllerResizeInfeasible"]),
        text(&["", "", "", "", "", "", "", "", "", "argocd", "operator"]),
        text(&[
            "Filesystem",
            "Filesystem",
            "Filesystem",
            "Filesystem",
            "Filesystem",
            "Filesystem",
            "Filesystem",
            "Filesystem",
            "Filesystem",
            "",
            "Block",
        ]),
        text(&["fast", "fast", "fast", "fast", "fast", "fast", "fast", "fast", "fast", "fast", "slow", ""]),
    );
    let allows = proptest::sample::select([&[Some(true); 8][..], &[Some(false), None]].concat());
    let full = (prop_oneof![9 => 85_u64..=100, 1 => 0_u64..=100], 0_u64..=100);
    let times = (
        proptest::sample::select(&[0_i64, 30, 60, 800, 1_000][..]),
        proptest::sample::select(&[60_i64, 3_600, 7 * 3_600, 24 * 3_600, 3 * 24 * 3_600][..]),
    );
    (sizes, words, allows, full, times).prop_map(
        |(sizes, words, allows, (used, inodes_used), (ago, then))| {
            let (requested_bytes, has, share) = sizes;
            let (resizing, resize_error, manager, volume_mode, storage_class) = words;
            let capacity_bytes = requested_bytes / 100 * has;
            let claim = v1::PersistentVolumeClaim {
                requested_bytes,
                capacity_bytes,
                resizing,
                resize_error,
                manager,
                volume_mode,
                storage_class,
                ..claim("data", "pv-1")
            };
            let size = capacity_bytes / 100 * share;
            let filesystem = v1::MeasuredFilesystem {
                capacity_bytes: Some(size),
                available_bytes: Some(size / 100 * (100 - used)),
                inodes: Some(100),
                inodes_free: Some(100 - inodes_used),
            };
            Moment { claim, allows, filesystem, ago, then, used, share }
        },
    )
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

/// Each moment once; how many claims were let grow, and how many of them in vain.
fn lived(moments: &[Moment]) -> Result<u32, TestCaseError> {
    let mut lab = Lab::new();
    let mut grown: Vec<jiff::Timestamp> = Vec::new();
    for moment in moments {
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
            prop_assert!(
                claim.manager.is_empty() && claim.resizing.is_empty() && claim.resize_error.is_empty()
            );
            prop_assert!(moment.allows == Some(true) && claim.volume_mode != "Block" && moment.ago <= 900);
            prop_assert!(moment.used >= 85 && (92..=100).contains(&moment.share), "{moment:?}");
            let cool_down = lab.settings.volumes.cool_down();
            prop_assert!(grown.iter().all(|at| lab.now.duration_since(*at) >= cool_down));
            grown.push(lab.now);
            let week = grown.iter().filter(|at| lab.now.duration_since(**at).as_hours() < 7 * 24);
            prop_assert!(week.count() <= 2, "within a week");
            lab.apply(&job);
            lab.report(&job, Phase::Succeeded, "", "");
        }
        for incident in lab.incidents.values() {
            prop_assert!(!incident.doc.reason.contains("not yet:"), "{}", incident.doc.reason);
        }
        lab.pass(moment.then);
    }
    Ok(u32::try_from(grown.len()).unwrap())
}

/// Whatever a claim is like, and whatever was done before: what is let grow is a bounded step of a volume that is full, may grow and
/// is nobody else's, and not too soon; the checker lets it go (each dispatch asks it), and nobody is told that a plan waits for the
/// checker. A run in which hardly anything grew would show nothing.
#[test]
fn planner_and_checker_agree_on_what_grows() {
    const CASES: u32 = 300;
    let (all, several) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(CASES));
    let moments = proptest::collection::vec(any_moment(), 1..8);
    let run = runner.run(&moments, |moments| {
        let grown = lived(&moments)?;
        all.set(all.get() + grown);
        several.set(several.get() + u32::from(grown > 1));
        Ok(())
    });
    run.unwrap();
    assert!(
        all.get() > CASES / 4 && several.get() > CASES / 60,
        "{} grew, in {} several",
        all.get(),
        several.get()
    );
}
