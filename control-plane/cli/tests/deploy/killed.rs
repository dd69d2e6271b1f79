//! A run that is killed alone leaves the program that it began at work.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nimbus_cli::deploy::directory::Directory;

use crate::site::{Site, planned};

/// Where the process that is killed carries the plan out.
const BELOW: &str = "NIMBUS_TEST_KILLED_BELOW";
/// The longest that something is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

fn waited(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Each of these tests runs twice: in a process of its own, which is killed, it is the run. `slow` keeps the program at work.
fn keeps_out(slow: &str, made: &str) {
    if let Some(below) = std::env::var_os(BELOW) {
        let site = Site::below(Path::new(&below));
        std::fs::write(site.world.join(slow), "").unwrap();
        site.apply(&planned(&[])).unwrap();
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let this = std::thread::current().name().unwrap().to_owned();
    let mut run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &this])
        .env(BELOW, dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let world = dir.path().join("world");
    waited("the program", || world.join("waits").exists());
    run.kill().unwrap();
    run.wait().unwrap();

    let directory = || Directory::new(&dir.path().join("out")).unwrap();
    let failure = directory().take().unwrap_err();
    assert!(failure.found.contains(&run.id().to_string()), "{failure}");
    assert!(failure.next.contains("helm"), "{failure}");
    std::fs::remove_file(world.join(slow)).unwrap();
    waited("the end of the program", || directory().take().is_ok());
    assert!(world.join("there").join(made).exists(), "it went on to its end");
    Site::below(dir.path()).apply(&planned(&[])).unwrap();
}

#[test]
fn a_helm_that_a_killed_run_left_at_work_keeps_the_next_run_out_until_it_ends() {
    keeps_out("slow", "release-nimbus-control-plane");
}

#[test]
fn a_kubectl_that_reads_a_manifest_does_too() {
    keeps_out("slow-create", "namespace-nimbus");
}
