//! Crash points of the fault tests: each kills the own process as `kill -9` would.
//!
//! Without the `failpoints` feature they are nothing. With it, `FAILPOINTS="agent::applied=1*return"` arms one.

/// Dies here if the point `name` is armed.
#[allow(unused_variables, reason = "without the feature nothing looks at the name")]
pub fn reached(name: &'static str) {
    fail::fail_point!(name, |_| die(name));
}

#[cfg(feature = "failpoints")]
fn die(name: &str) {
    tracing::warn!(point = name, "armed crash point reached");
    if let Err(error) =
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
    {
        tracing::error!(%error, "the crash point could not kill this process");
    }
    // The signal is delivered before the system call returns; nothing may run past this line.
    std::process::abort();
}
