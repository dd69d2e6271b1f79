//! Bounds that are reached are told with what is left out because of them.

use super::*;
use crate::remediation::{BoundKind, bounds};
use crate::world::MAX_FILES;

fn files(lab: &mut Lab, many: usize) {
    for n in 0..many {
        let (good, bad) = (file_state("file", 0o640, 1), file_state("file", 0o640, 2));
        lab.see_host(Body::File(file(&format!("/srv/etc/{n}.conf"), good, bad)));
    }
}

/// The bounds that are reached: which, the bound, how many are left out.
fn told(lab: &Lab) -> Vec<(BoundKind, u64, u64)> {
    let reached = lab.look(|s| bounds(s, lab.now));
    assert!(reached.iter().all(|bound| bound.text.contains(&bound.left_out.to_string())), "{reached:?}");
    reached.iter().map(|bound| (bound.kind, bound.bound, bound.left_out)).collect()
}

#[test]
fn below_every_bound_nothing_is_told() {
    let mut lab = crash_loop();
    files(&mut lab, 1_000);
    assert_eq!(told(&lab), [], "also before they are incidents");
    while lab.diagnose() {}
    assert_eq!(told(&lab), []);
}

#[test]
fn files_that_are_no_incidents_are_counted() {
    let mut lab = Lab::new();
    files(&mut lab, 1_300);
    while lab.diagnose() {}
    assert_eq!(lab.incidents.len(), 1_000);
    assert_eq!(told(&lab), [(BoundKind::Incidents, 1_000, 300)]);
    let text = lab.look(|s| bounds(s, lab.now)).remove(0).text;
    assert!(
        text.starts_with("edge: 1000 incidents are open, the most of one cluster or host; 300 more"),
        "{text}"
    );
}

#[test]
fn files_that_are_not_even_kept_are_counted_too() {
    let mut lab = Lab::new();
    files(&mut lab, MAX_FILES + 7);
    while lab.diagnose() {}
    let rest = (MAX_FILES - 1_000) as u64;
    assert_eq!(
        told(&lab),
        [(BoundKind::Incidents, 1_000, rest), (BoundKind::DriftedFiles, MAX_FILES as u64, 7)]
    );
}
