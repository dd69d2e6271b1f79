//! `cargo xtask test`: which steps, in which order, with which features.
//!
//! The crash points of the agent and the control plane are compiled into every test build, so that the programs and
//! the tests share one build of everything.

use std::path::Path;
use std::process::Command;

use crate::steps::{Outcome, Steps, beside, cargo, program};
use crate::targets::{Kind, integration_tests};
use crate::{arrows, dist, needs, obstacle, rig, scenes, schemas, systemd, version_before};

/// The features of every test build.
pub const FEATURES: &str = "nimbus-agent/failpoints,nimbus-control-plane/failpoints";

/// How much of the tests is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it, but what does not fit CI.
    Everything,
    /// What needs no server.
    Quick,
    /// The long fault tests.
    Faults,
    /// What does not fit CI.
    Long,
}
use Part::{Everything, Faults, Long, Quick};

struct Step {
    name: &'static str,
    /// The parts that it belongs to.
    parts: &'static [Part],
    /// Whether the steps after it cannot be run when it fails.
    gate: bool,
    run: fn(&Path) -> Outcome,
}

/// Every step of every part, in their order.
const STEPS: &[Step] = &[
    Step { name: "format", parts: &[Everything, Quick], gate: false, run: format },
    Step { name: "arrows", parts: &[Everything, Quick], gate: false, run: who_knows_whom },
    Step { name: "lints", parts: &[Everything, Quick], gate: false, run: lints },
    Step { name: "licences, bans and sources", parts: &[Everything, Quick], gate: false, run: deny },
    Step { name: "tests without servers", parts: &[Quick], gate: false, run: quick_tests },
    Step { name: "examples in the documentation", parts: &[Everything, Quick], gate: false, run: examples },
    Step {
        name: "the real cluster's programs",
        parts: &[Everything, Faults, Long],
        gate: true,
        run: cluster,
    },
    Step { name: "Helm of other versions", parts: &[Long], gate: false, run: other_helms },
    Step { name: "a real node's programs", parts: &[Everything, Long], gate: false, run: node },
    Step { name: "a real registry's program", parts: &[Everything, Long], gate: false, run: registry },
    Step { name: "cert-manager's program", parts: &[Everything], gate: false, run: cert_manager },
    Step { name: "OpenTofu", parts: &[Everything], gate: false, run: tofu },
    Step {
        name: "schemas of Kubernetes' releases",
        parts: &[Everything],
        gate: false,
        run: schemas_of_releases,
    },
    Step { name: "a systemd host's root", parts: &[Everything, Long], gate: false, run: host },
    Step { name: "build", parts: &[Everything, Faults, Long], gate: true, run: build },
    Step {
        name: "tests without servers, beside those that wait",
        parts: &[Everything],
        gate: false,
        run: computing_and_waiting_tests,
    },
    Step {
        name: "tests with servers, beside long fault tests",
        parts: &[Everything],
        gate: false,
        run: server_and_fault_tests,
    },
    Step { name: "long fault tests", parts: &[Faults], gate: false, run: fault_tests },
    Step { name: "scenes", parts: &[Everything], gate: false, run: play_scenes },
    Step { name: "scenes, three times over", parts: &[Long], gate: false, run: play_scenes_again },
    Step { name: "installations with a release", parts: &[Long], gate: false, run: release_tests },
    Step { name: "tests that do not fit CI", parts: &[Long], gate: false, run: long_tests },
];

/// Runs the steps of one part; returns whether all passed.
pub fn run(repository: &Path, part: Part) -> anyhow::Result<bool> {
    needs::ensure(&match part {
        Quick => vec![needs::compiler()],
        Faults => vec![needs::compiler(), needs::go(repository, false), needs::postgres()],
        Everything | Long => {
            let node = obstacle::of_machine().is_none();
            let mut all = vec![needs::compiler(), needs::go(repository, node), needs::postgres()];
            if matches!(part, Everything | Long) {
                all.extend([needs::skopeo(), needs::pip(repository)]);
            }
            all
        }
    })?;
    if matches!(part, Everything | Long) {
        // A machine that cannot have one runs all the rest; the step and the scenes say what was left out, by name.
        if let Err(error) = needs::ensure(&[needs::real_node()]) {
            eprintln!("without a real node: {error:#}");
        }
        // What is missing then is told by the step that makes the host's root.
        if let Err(error) = needs::ensure(&[needs::systemd_host(repository)]) {
            eprintln!("without a systemd host: {error:#}");
        }
    }
    let mut steps = Steps::default();
    let mut failed_gate = None;
    for step in STEPS.iter().filter(|step| step.parts.contains(&part)) {
        if let Some(gate) = failed_gate {
            steps.skip(step.name, &format!("{gate} failed"));
            continue;
        }
        if !steps.run(step.name, || (step.run)(repository)) && step.gate {
            failed_gate = Some(step.name);
        }
    }
    Ok(steps.summary())
}

fn format(repository: &Path) -> Outcome {
    program(&mut at(repository, &["fmt", "--all", "--check"]))
}

fn who_knows_whom(repository: &Path) -> Outcome {
    match arrows::run(repository, false) {
        Ok(true) => Outcome::Passed,
        Ok(false) => Outcome::Failed("the arrows are listed above".to_owned()),
        Err(error) => failed(&error),
    }
}

fn lints(repository: &Path) -> Outcome {
    let words = ["clippy", "--workspace", "--all-targets", "--features", FEATURES, "--", "-D", "warnings"];
    program(&mut at(repository, &words))
}

fn deny(repository: &Path) -> Outcome {
    let found = at(repository, &["deny", "--version"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        program(&mut at(repository, &["deny", "check", "licenses", "bans", "sources"]))
    } else {
        Outcome::Skipped("cargo-deny is not installed: `cargo install --locked cargo-deny`".to_owned())
    }
}

fn quick_tests(repository: &Path) -> Outcome {
    cargo_test(repository, &["--lib", "--bins"], &[Kind::Serverless])
}

fn examples(repository: &Path) -> Outcome {
    cargo_test(repository, &["--doc"], &[])
}

fn cluster(repository: &Path) -> Outcome {
    let all = rig::ensure_all(repository, false)
        .and_then(|_| rig::ensure_helm(repository))
        .and_then(|_| rig::ensure_metrics_server(repository));
    all.map_or_else(|error| failed(&error), |_| Outcome::Passed)
}

fn other_helms(repository: &Path) -> Outcome {
    let all = rig::OTHER_HELMS.iter().try_for_each(|it| rig::ensure_helm_of(repository, it).map(drop));
    all.map_or_else(|error| failed(&error), |()| Outcome::Passed)
}

fn node(repository: &Path) -> Outcome {
    match obstacle::of_all() {
        // The scenes on it say so by name.
        Some(why) => Outcome::Skipped(why),
        None => rig::ensure_all(repository, true).map_or_else(|error| failed(&error), |_| Outcome::Passed),
    }
}

fn registry(repository: &Path) -> Outcome {
    rig::ensure_registry(repository).map_or_else(|error| failed(&error), |_| Outcome::Passed)
}

fn cert_manager(repository: &Path) -> Outcome {
    rig::ensure_cert_manager(repository).map_or_else(|error| failed(&error), |_| Outcome::Passed)
}

fn tofu(repository: &Path) -> Outcome {
    rig::ensure_tofu(repository).map_or_else(|error| failed(&error), |_| Outcome::Passed)
}

fn schemas_of_releases(repository: &Path) -> Outcome {
    schemas::ensure(repository).map_or_else(|error| failed(&error), |_| Outcome::Passed)
}

fn host(repository: &Path) -> Outcome {
    match obstacle::of_all() {
        // The test on it says so too.
        Some(why) => Outcome::Skipped(why),
        None => systemd::ensure(repository).map_or_else(|error| failed(&error), |_| Outcome::Passed),
    }
}

/// Exactly what `cargo test` selects, so that nothing is compiled twice; but it also leaves the programs that the
/// tests start in the target directory.
fn build(repository: &Path) -> Outcome {
    let words = ["build", "--workspace", "--all-targets", "--features", FEATURES];
    program(&mut at(repository, &words))
}

/// What takes the processor beside what leaves it idle: one after the other they take ten minutes more.
fn computing_and_waiting_tests(repository: &Path) -> Outcome {
    let computing = test_command(repository, &["--lib", "--bins"], &[Kind::Serverless, Kind::Charts]);
    let waiting = test_command(repository, &[], &[Kind::Waiting]);
    match (computing, waiting) {
        (Ok(mut computing), Ok(mut waiting)) => beside(&mut computing, &mut waiting),
        (Err(error), _) | (_, Err(error)) => failed(&error),
    }
}

/// Both wait most of their time: one after the other they take some eight minutes more.
fn server_and_fault_tests(repository: &Path) -> Outcome {
    let servers = test_command(repository, &[], &[Kind::Servers]);
    let faults = test_command(repository, &[], &[Kind::Faults]);
    match (servers, faults) {
        (Ok(mut servers), Ok(mut faults)) => beside(&mut servers, &mut faults),
        (Err(error), _) | (_, Err(error)) => failed(&error),
    }
}

fn fault_tests(repository: &Path) -> Outcome {
    cargo_test(repository, &[], &[Kind::Faults])
}

/// Scenes that are listed as not right yet may be wrong; one of them that is right fails.
fn play_scenes(repository: &Path) -> Outcome {
    program(&mut scenes::command(repository, &["--lenient"]))
}

/// What is right once may be right by chance.
fn play_scenes_again(repository: &Path) -> Outcome {
    (0..3)
        .map(|_| play_scenes(repository))
        .find(|ended| !matches!(ended, Outcome::Passed))
        .unwrap_or(Outcome::Passed)
}

fn long_tests(repository: &Path) -> Outcome {
    match integration_tests(repository, &[Kind::Long]) {
        Ok(names) if names.is_empty() => Outcome::Skipped("none is registered as too long for CI".to_owned()),
        Ok(_) => match (version_before::tree(repository), test_command(repository, &[], &[Kind::Long])) {
            (Ok(before), Ok(mut test)) => program(test.env(version_before::VARIABLE, before)),
            (Err(error), _) | (_, Err(error)) => failed(&error),
        },
        Err(error) => failed(&error),
    }
}

/// The tests that install something, with what is installed in earnest: a release for both processors, made from the tree. In CI they
/// take the programs of the test build, which are there.
fn release_tests(repository: &Path) -> Outcome {
    let release = repository.join("target/long-release");
    let made = || {
        if release.exists() {
            std::fs::remove_dir_all(&release)?;
        }
        dist::run(repository, &["--out".to_owned(), release.display().to_string()])
    };
    match made() {
        Ok(true) => {}
        Ok(false) => return Outcome::Failed("the release was not made; the messages are above".to_owned()),
        Err(error) => return failed(&error),
    }
    let test = "test --workspace --no-fail-fast --test installed --test packaged --test registry --features";
    let words: Vec<&str> = test.split(' ').chain([FEATURES]).collect();
    program(at(repository, &words).env("NIMBUS_RELEASE", &release))
}

fn cargo_test(repository: &Path, selected: &[&str], kinds: &[Kind]) -> Outcome {
    test_command(repository, selected, kinds)
        .map_or_else(|error| failed(&error), |mut test| program(&mut test))
}

/// `cargo test` of what `selected` names and of the integration tests of these kinds.
fn test_command(repository: &Path, selected: &[&str], kinds: &[Kind]) -> anyhow::Result<Command> {
    let names = integration_tests(repository, kinds)?;
    let mut test = vec!["test", "--workspace", "--no-fail-fast", "--features", FEATURES];
    test.extend(selected);
    for name in &names {
        test.extend(["--test", name]);
    }
    Ok(at(repository, &test))
}

fn failed(error: &anyhow::Error) -> Outcome {
    Outcome::Failed(format!("{error:#}"))
}

fn at(repository: &Path, words: &[&str]) -> Command {
    let mut command = cargo();
    command.current_dir(repository).args(words);
    command
}

#[cfg(test)]
mod list_tests {
    use super::*;

    #[test]
    fn everything_has_the_steps_of_the_quick_part_and_of_the_faults() {
        let names = |part| STEPS.iter().filter(move |step| step.parts.contains(&part)).map(|step| step.name);
        let everything: Vec<&str> = names(Everything).collect();
        for name in names(Quick).chain(names(Faults)) {
            // The whole runs these beside others.
            let beside = everything.iter().any(|step| step.contains("beside") && step.contains(name));
            assert!(everything.contains(&name) || beside, "{name}");
        }
        assert!(!everything.iter().any(|name| names(Long).next_back() == Some(name)));
    }
}
