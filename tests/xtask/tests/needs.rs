//! Tests of `cargo xtask` as a program: what it says on a machine that lacks what the tests need.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else")]

use std::process::Command;

/// `xtask` with a `PATH` and a target directory in which nothing is.
fn xtask(arguments: &[&str]) -> (Option<i32>, String) {
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .env("PATH", empty.path())
        .env("CARGO_TARGET_DIR", empty.path())
        .env_remove("KUBEBUILDER_ASSETS")
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_machine_that_lacks_everything_is_told_in_one_line_what_to_install() {
    let (code, said) = xtask(&["test"]);
    assert_eq!(code, Some(1));
    assert_eq!(said.lines().count(), 1, "{said}");
    for expected in ["error: expected a C compiler (found none)", "Go 1.26 or newer (found none)", "so "] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn the_quick_run_asks_for_no_server() {
    let (code, said) = xtask(&["test", "--quick"]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("a C compiler") && !said.contains("Go ") && !said.contains("PostgreSQL"), "{said}");
}

#[test]
fn a_cold_run_leaves_nothing_behind() {
    let (dir, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // It ends at once for want of everything: what is asked is what it leaves.
    let run = |arguments: &[&str]| {
        let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let xtask = xtask.args(arguments).env("TMPDIR", dir.path()).env("PATH", empty.path());
        let output = xtask.output().unwrap();
        let left = std::fs::read_dir(dir.path()).unwrap().count();
        (output.status.success(), left, String::from_utf8(output.stderr).unwrap())
    };
    let (succeeded, left, said) = run(&["test", "--cold", "--quick"]);
    assert!(!succeeded && left == 0, "{said}");
    assert!(said.contains("cold run in") && said.contains("expected a C compiler"), "{said}");
    let (succeeded, left, said) = run(&["test", "--cold", "--quick", "--keep"]);
    assert!(!succeeded && left == 1, "{said}");
}
