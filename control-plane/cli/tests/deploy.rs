//! An installation is carried out, cut off at every program that it runs, gone on with, and undone.
//!
//! `kubectl`, `helm` and `nimbus` are scripts here. They stand for what these programs tell a caller: an exit code, "not
//! found" for what was not made, and that a thing is there once it was made. With the real kubectl and helm on a real API
//! server it is played in `tests/tests/deploy_apply.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lints know tests by their attribute, and these are what tests share"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nimbus_cli::Here;
use nimbus_cli::cli::Cli;
use nimbus_cli::config::Config;
use nimbus_cli::context::Context;
use nimbus_cli::deploy::directory::Directory;
use nimbus_cli::deploy::shell::{Around, Shell};
use nimbus_cli::error::Failure;
use nimbus_cli::exit::Exit;
use nimbus_cli::global::Global;
use nimbus_deploy::draft::Draft;
use nimbus_deploy::drive::{self, Stop};
use nimbus_deploy::journal::Journal;
use nimbus_deploy::plan::{Charts, Plan, plan};
use nimbus_deploy::read::read;

/// Every program: counts its calls, fails at the one that `fail` names, and keeps a file for each thing that is there.
const FAKE: &str = r#"#!/bin/sh
cd "WORLD" || exit 9
calls=$(($(cat calls) + 1)); echo "$calls" > calls
program=$(basename "$0"); words="$program $*"; echo "$words" >> log
if [ "$calls" = "$(cat fail)" ]; then echo "cut off" >&2; exit 1; fi
there() { if [ -e "there/$1" ]; then exit 0; else echo "Error: $1 not found" >&2; exit 1; fi; }
make() { if [ -e "there/$1" ]; then echo "$1 is there already" >&2; exit 1; fi; : > "there/$1"; exit 0; }
case "$words" in
*port-forward*) echo "Forwarding from 127.0.0.1"; exec sleep 600 ;;
kubectl*"get namespace kube-system"*) printf uid-1; exit 0 ;;
kubectl*"get namespace shop"*) exit 0 ;;
kubectl*"get namespace "*) there "namespace-$4" ;;
kubectl*"get secret "*) there "secret-$5" ;;
kubectl*"create secret generic "*) make "secret-$6" ;;
kubectl*"delete secret "*) rm -f "there/secret-$5" ;;
kubectl*"apply -f "*) name=${3#namespace-}; : > "there/namespace-${name%.yaml}" ;;
kubectl*"delete namespace "*) rm -f "there/namespace-$3" ;;
"helm status "*) there "release-$2" ;;
"helm upgrade "*) : > "there/release-$3" ;;
"helm uninstall "*) rm -f "there/release-$2" ;;
"nimbus keys create "*) mkdir "DIR/keys" && for file in ca.pem ca.key job.key operator.token; do echo x > "DIR/keys/$file"; done ;;
nimbus*"token create"*) echo '{"token": "nimbus1.tok.SECRET"}' ;;
esac
"#;

struct Site {
    _dir: tempfile::TempDir,
    world: PathBuf,
    out: PathBuf,
    around: Around,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (world, out, bin) = (dir.path().join("world"), dir.path().join("out"), dir.path().join("bin"));
        for made in [world.join("there"), bin.clone()] {
            std::fs::create_dir_all(made).unwrap();
        }
        let text = FAKE.replace("WORLD", world.to_str().unwrap()).replace("DIR", out.to_str().unwrap());
        for program in ["kubectl", "helm", "nimbus"] {
            let path = bin.join(program);
            std::fs::write(&path, &text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let around = Around {
            nimbus: bin.join("nimbus"),
            search: Some(format!("{}:/usr/bin:/bin", bin.display()).into()),
            contexts: Some(dir.path().join("contexts/config.toml")),
            pause: Duration::ZERO,
        };
        let site = Self { _dir: dir, world, out, around };
        site.fail_at(0);
        site
    }

    /// The programs begin to count anew; the call of this number fails.
    fn fail_at(&self, call: usize) {
        std::fs::write(self.world.join("calls"), "0").unwrap();
        std::fs::write(self.world.join("fail"), call.to_string()).unwrap();
    }

    fn calls(&self) -> usize {
        std::fs::read_to_string(self.world.join("calls")).unwrap().trim().parse().unwrap()
    }

    fn there(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.world.join("there")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn apply(&self, plan: &Plan) -> Result<(), Stop<Failure>> {
        let directory = Directory::new(&self.out).unwrap();
        let _lock = directory.take().unwrap();
        directory.write(plan).unwrap();
        let mut journal = directory.journal().unwrap().unwrap_or_else(|| Journal::new(&plan.identity));
        let mut shell = Shell::new(&quiet(), &directory, self.around.clone());
        drive::apply(&plan.identity, &plan.steps, &mut journal, &mut shell).map(drop)
    }

    fn undo(&self, with_data: bool) -> Result<(), Stop<Failure>> {
        let directory = Directory::new(&self.out).unwrap();
        let mut journal = directory.journal().unwrap().unwrap();
        let mut shell = Shell::new(&quiet(), &directory, self.around.clone());
        drive::undo(&mut journal, with_data, &mut shell).map(drop)
    }

    fn contexts(&self) -> Vec<String> {
        let config = Config::read(self.around.contexts.as_deref().unwrap()).unwrap();
        config.contexts.into_keys().collect()
    }
}

fn quiet() -> Context {
    Context::new(&Global { quiet: true, ..Global::default() })
}

fn planned(more: &[(&str, &str)]) -> Plan {
    let mut draft = Draft::default();
    let least = [("registry", "registry.example.internal"), ("database.kind", "sqlite")];
    for (key, value) in least.iter().chain(more) {
        draft.set(key, value).unwrap();
    }
    let charts = Charts { control_plane: "/charts/a".into(), agent: "/charts/b".into() };
    plan(&read(&draft).unwrap(), &charts, &draft.file()).unwrap()
}

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|&name| name.to_owned()).collect()
}

const ALL: [&str; 6] = [
    "namespace-nimbus",
    "namespace-nimbus-system",
    "release-nimbus-agent",
    "release-nimbus-control-plane",
    "secret-nimbus-join",
    "secret-nimbus-keys",
];

#[test]
fn cut_off_at_every_program_it_goes_on_and_undoes_all_that_it_did() {
    let plan = planned(&[("acting.actions", "restart_pod"), ("acting.namespaces", "shop")]);
    let whole = Site::new();
    whole.apply(&plan).unwrap();
    assert_eq!(whole.there(), names(&ALL));
    let calls = whole.calls();
    let mut cuts = 0;
    for call in 1..=calls {
        let site = Site::new();
        site.fail_at(call);
        if let Err(stop) = site.apply(&plan) {
            cuts += 1;
            let Stop::Failed { error, .. } = stop else { panic!("after {call}: {stop:?}") };
            assert!(error.found.contains("cut off"), "{error}");
        }
        site.fail_at(0);
        site.apply(&plan).unwrap_or_else(|stop| panic!("after {call}: {stop:?}"));
        assert_eq!(site.there(), names(&ALL), "after {call}");
        assert_eq!(site.contexts(), ["nimbus-control-plane"]);
        assert!(!site.out.join("join-token").exists(), "the token's file is gone");
        site.undo(true).unwrap();
        assert_eq!(site.there(), BTreeSet::new(), "after {call}");
        assert!(site.contexts().is_empty() && !site.out.join("keys").exists(), "after {call}");
    }
    assert!(cuts >= 18, "{cuts} of {calls}");
}

#[test]
fn without_being_told_it_keeps_keys_and_secrets_and_comes_back_with_them() {
    let (site, plan) = (Site::new(), planned(&[]));
    site.apply(&plan).unwrap();
    let key = std::fs::read(site.out.join("keys/ca.key")).unwrap();
    site.undo(false).unwrap();
    assert_eq!(site.there(), names(&["namespace-nimbus", "namespace-nimbus-system", "secret-nimbus-keys"]));
    site.apply(&plan).unwrap();
    assert_eq!(site.there(), names(&ALL));
    assert_eq!(std::fs::read(site.out.join("keys/ca.key")).unwrap(), key);
}

#[test]
fn what_it_writes_is_its_owners_alone_and_no_secret_is_in_the_journal_or_on_a_command_line() {
    let (site, plan) = (Site::new(), planned(&[]));
    site.apply(&plan).unwrap();
    for file in ["state.json", "answers.toml", "GUIDE.md"] {
        let mode = std::fs::metadata(site.out.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    for file in [site.out.join("state.json"), site.world.join("log")] {
        assert!(!std::fs::read_to_string(&file).unwrap().contains("SECRET"), "{}", file.display());
    }
}

/// A cluster that does not answer has not said that nothing is there.
#[test]
fn an_error_is_not_taken_for_a_no() {
    let (site, plan) = (Site::new(), planned(&[]));
    std::fs::write(site.world.join("there/secret-nimbus-keys"), "").unwrap();
    let mut refused = 0;
    for call in 1..=site_calls_until_keys(&plan) {
        let site_there = site.there();
        site.fail_at(call);
        let stop = site.apply(&plan).unwrap_err();
        refused += usize::from(matches!(stop, Stop::Foreign { .. }));
        assert!(site.there().is_superset(&site_there));
        assert!(site.there().contains("secret-nimbus-keys"), "it is not ours");
    }
    site.fail_at(0);
    assert!(matches!(site.apply(&plan).unwrap_err(), Stop::Foreign { .. }));
    site.undo(true).unwrap();
    assert_eq!(site.there(), names(&["secret-nimbus-keys"]), "what was there before is left");
    assert!(refused < 14, "some of them failed before: {refused}");
}

fn site_calls_until_keys(plan: &Plan) -> usize {
    let site = Site::new();
    std::fs::write(site.world.join("there/secret-nimbus-keys"), "").unwrap();
    assert!(site.apply(plan).is_err());
    site.calls()
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    let error = Directory::new(Path::new(dir.path())).unwrap().take().unwrap_err();
    assert!(error.to_string().contains("something else"), "{error}");
    assert!(!dir.path().join("lock").exists());
}

/// The command itself, without a terminal.
async fn nimbus(words: &[&str]) -> Result<Exit, Failure> {
    let here = Here {
        up: |_, _| Box::pin(async { Ok(Exit::Done) }),
        protocol: (1, 1),
        schema: 1,
        look_at_database: |_| unreachable!("no database is looked at"),
        key_files: ["ca.pem", "ca.key", "job.key", "operator.token"],
        make_keys: |_| Err("no keys are made here".to_owned()),
    };
    let start = ["nimbus", "-q", "-o", "name", "enterprise", "deploy", "--mode", "on-premise", "--out"];
    let words: Vec<_> = start.iter().chain(words).map(std::ffi::OsString::from).collect();
    let cli = Cli::read(&words).unwrap_or_else(|error| panic!("{error}"));
    let context = Context::new(&cli.global);
    cli.command.run(&context, &here).await
}

#[tokio::test]
async fn without_a_terminal_everything_that_is_missing_is_named_at_once_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("prod");
    let out = out.to_str().unwrap();
    let failure = nimbus(&[out, "--answer", "cloud.kind=aws", "--answer", "name=prod"]).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    for key in ["registry", "database.kind", "cloud.region"] {
        assert!(failure.expected.contains(key), "{failure}");
    }
    let wrong = nimbus(&[out, "--answer", "nmae=prod", "--answer", "registry"]).await.unwrap_err();
    assert!(wrong.expected.contains("nmae") && wrong.expected.contains("KEY=VALUE"), "{wrong}");
    assert!(!Path::new(out).exists());
}

#[tokio::test]
async fn it_writes_the_plan_reads_its_own_answers_again_and_does_nothing_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("prod");
    let out = out.to_str().unwrap();
    let answers = ["--answer", "registry=registry.example.internal", "--answer", "database.kind=sqlite"];
    nimbus(&[&[out, "--dry-run"][..], &answers].concat()).await.unwrap();
    assert!(!Path::new(out).exists(), "a dry run writes nothing");
    nimbus(&[&[out][..], &answers].concat()).await.unwrap();
    let guide = std::fs::read_to_string(Path::new(out).join("GUIDE.md")).unwrap();
    assert!(guide.contains("nimbus-control-plane") && !Path::new(out).join("state.json").exists());

    nimbus(&[out, "--answer", "name=other"]).await.unwrap();
    let again = std::fs::read_to_string(Path::new(out).join("answers.toml")).unwrap();
    assert!(again.contains("name = \"other\"") && again.contains("registry.example.internal"), "{again}");

    let no_charts = nimbus(&[out, "--apply"]).await.unwrap_err();
    assert_eq!(no_charts.exit, Exit::NotFound, "{no_charts}");
    let nothing_done = nimbus(&[out, "--undo", "--yes"]).await.unwrap_err();
    assert_eq!(nothing_done.exit, Exit::NotFound, "{nothing_done}");
}

#[tokio::test]
async fn it_asks_before_it_changes_anything() {
    let dir = tempfile::tempdir().unwrap();
    let (out, charts) = (dir.path().join("prod"), dir.path().join("charts"));
    for chart in ["nimbus-control-plane", "nimbus-agent"] {
        std::fs::create_dir_all(charts.join(chart)).unwrap();
        std::fs::write(charts.join(chart).join("Chart.yaml"), "").unwrap();
    }
    let charts = format!("charts={}", charts.display());
    let words = [
        "--answer",
        "registry=r.example.internal",
        "--answer",
        "database.kind=sqlite",
        "--answer",
        &charts,
        "--apply",
    ];
    let failure = nimbus(&[&[out.to_str().unwrap()][..], &words].concat()).await.unwrap_err();
    assert!(failure.exit == Exit::Usage && failure.next.contains("--yes"), "{failure}");
    assert!(!out.join("state.json").exists());
}
