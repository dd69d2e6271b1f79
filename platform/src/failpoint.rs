//! Crash points for the fault tests: an armed one ends the process as `kill -9` would, without a destructor or a flush.
//!
//! Without the feature `failpoints` both functions are empty. With it, `FAILPOINTS="agent::applied=1*return"` in the
//! environment arms a point; several are separated by `;`.

/// Ends this process at once if the point `name` is armed.
#[cfg(feature = "failpoints")]
pub fn reached(name: &str) {
    fn check(name: &str) {
        fail::fail_point!(name, |_| die());
    }
    check(name);
}

/// Nothing: the points exist only with the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
pub fn reached(_name: &str) {}

/// Arms the points that the environment names; call it once at the start of a program.
#[cfg(feature = "failpoints")]
pub fn arm_from_environment() {
    // Forgotten on purpose: dropping the scenario would disarm its points.
    std::mem::forget(fail::FailScenario::setup());
}

/// Nothing: the points exist only with the feature `failpoints`.
#[cfg(not(feature = "failpoints"))]
pub fn arm_from_environment() {}

#[cfg(feature = "failpoints")]
fn die() {
    // An error leaves the process alive for the next line, which ends it in another way.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // SIGKILL is delivered before the call returns, so this is only reached if it was refused.
    std::process::abort();
}

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
            super::reached("test::other");
            super::reached("test::armed");
            return;
        }
        let run = |armed: &str| {
            let mut child = Command::new(std::env::current_exe().unwrap());
            child.args([NAME, "--exact"]).env("FAILPOINTS", armed).output().unwrap().status
        };
        assert_eq!(run("test::armed=1*return").signal(), Some(9));
        assert!(run("test::unknown=1*return").success());
    }
}
