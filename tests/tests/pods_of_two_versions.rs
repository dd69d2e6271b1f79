//! Both charts in two versions on two real nodes: the control planes are upgraded under agents of the version before, agents of both
//! versions stand side by side, and the DaemonSet is upgraded and rolled back with jobs under way. The version before is in the
//! tree that `NIMBUS_BEFORE` names. Too long for CI.

use nimbus_tests::process::binary;

#[test]
fn pods_of_two_versions_heal_side_by_side_and_are_upgraded_and_rolled_back() {
    if let Some(why) = nimbus_tests::installed::play_versions(&binary("installed").unwrap()).unwrap() {
        eprintln!("left out: {why}");
    }
}
