//! Both charts on a real node: installed, used, killed, upgraded, rolled back and removed.
//!
//! Waits most of its time.

use nimbus_tests::process::binary;

#[test]
fn both_charts_are_installed_heal_are_upgraded_rolled_back_and_removed() {
    if let Some(why) = nimbus_tests::installed::play(&binary("installed").unwrap()).unwrap() {
        eprintln!("left out: {why}");
    }
}
