//! The Debian and RPM packages on a host with a real systemd: installed, hung, rebooted, upgraded, rolled back and removed.
//!
//! Waits most of its time.

use nimbus_tests::process::binary;

#[test]
fn packages_are_installed_hang_are_rebooted_upgraded_rolled_back_and_removed() {
    if let Some(why) = nimbus_tests::packaged::play(&binary("packaged").unwrap()).unwrap() {
        eprintln!("left out: {why}");
    }
}
