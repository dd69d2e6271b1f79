//! Crash points for the fault tests: where one is armed, the process ends as if by `kill -9`.
//!
//! Without the feature `failpoints` every call is empty. With it, `FAILPOINTS="cp::stored=1*return"` in the
//! environment arms a point.

/// Ends this process at once if the point `name` is armed.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    fn die(name: &str) {
        fail::fail_point!(name, |_| kill_self());
    }
    die(name);
}

/// Nothing: the points exist only with the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
pub fn hit(_name: &str) {}

/// SIGKILL to the own process: no destructor, no flush, no goodbye.
#[cfg(feature = "failpoints")]
#[allow(unsafe_code, reason = "kill(2) on the own process takes no pointer and breaks no invariant")]
fn kill_self() {
    // SAFETY: both calls take and return plain integers.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
    }
}

/// Reads the armed points from the environment; call it once at the start of a binary.
#[cfg(feature = "failpoints")]
pub fn arm_from_environment() {
    // Forgotten on purpose: dropping the scenario would disarm its points.
    std::mem::forget(fail::FailScenario::setup());
}

/// Nothing: the points exist only with the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
pub fn arm_from_environment() {}

#[cfg(all(test, feature = "failpoints"))]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    const NAME: &str = "failpoint::tests::an_armed_point_ends_the_process_as_kill_9_would";

    #[test]
    fn an_armed_point_ends_the_process_as_kill_9_would() {
        if std::env::var_os("FAILPOINTS").is_some() {
            // The child: an unarmed point lets it pass, the armed one does not.
            super::arm_from_environment();
            super::hit("cp::sent");
            super::hit("cp::stored");
            return;
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        let child = child.args([NAME, "--exact"]).env("FAILPOINTS", "cp::stored=1*return");
        assert_eq!(child.output().unwrap().status.signal(), Some(9));
    }
}
