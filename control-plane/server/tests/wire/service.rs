//! Tests of the program as systemd starts it: what it tells a notify socket, the database as a credential, and what its
//! signs of life stand for.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::common::{config, until};
use nimbus_control_plane::ControlPlane;
use nimbus_control_plane::alive::{Alive, Phase};
use nimbus_control_plane::config::DATABASE_CREDENTIAL;

/// A running program, which does not outlive its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program with its data and credentials in `dir`, and nothing of the test's own environment.
fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nimbus-control-plane"));
    command.env_clear().env("CREDENTIALS_DIRECTORY", dir);
    command.arg("--data-dir").arg(dir.join("data"));
    command.args(["--listen", "127.0.0.1:0", "--quic", "127.0.0.1:0"]);
    command
}

/// Notices until `enough` of them were heard.
fn hear(socket: &UnixDatagram, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
    let mut heard = Vec::new();
    while !enough(&heard) {
        let mut buffer = [0; 4_096];
        let bytes = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{error} after {heard:?}"));
        heard.extend(String::from_utf8_lossy(&buffer[..bytes]).lines().map(str::to_owned));
    }
    heard
}

fn count(heard: &[String], notice: &str) -> usize {
    heard.iter().filter(|line| *line == notice).count()
}

#[test]
fn systemd_hears_that_it_starts_serves_lives_and_stops() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("elsewhere.db");
    let address = format!("sqlite://{}\n", database.display());
    std::fs::write(dir.path().join(DATABASE_CREDENTIAL), address).unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut command = program(dir.path());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "4000000");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Program(command.spawn().unwrap());
    let heard = hear(&socket, |heard| count(heard, "WATCHDOG=1") >= 2);
    assert!(
        heard[0].starts_with("STATUS=Starting") && heard[1] == "EXTEND_TIMEOUT_USEC=60000000",
        "{heard:?}"
    );
    let at = |notice: &str| heard.iter().position(|line| line == notice);
    assert_eq!(count(&heard, "READY=1"), 1, "{heard:?}");
    assert!(at("READY=1") < at("STATUS=Serving 0 agents"), "{heard:?}");
    assert!(at("READY=1") < at("WATCHDOG=1"), "{heard:?}");
    assert!(database.is_file(), "the credential names the database");
    let kill = format!("kill -TERM {}", running.0.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let heard = hear(&socket, |heard| count(heard, "STOPPING=1") > 0);
    assert_eq!(heard.last().unwrap(), "STOPPING=1");
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
}

#[test]
fn the_unit_hands_over_the_credential_that_is_read() {
    let unit = include_str!("../../../../installer/dist/packaging/nimbus-control-plane.service");
    let loaded = unit.lines().filter_map(|line| line.strip_prefix("LoadCredential="));
    let names: Vec<&str> = loaded.filter_map(|rest| rest.split(':').next()).collect();
    assert_eq!(names, [DATABASE_CREDENTIAL]);
}

#[test]
fn a_credential_that_is_no_address_ends_the_start_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(DATABASE_CREDENTIAL);
    std::fs::write(&file, "s3cret").unwrap();
    let ended = program(dir.path()).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains(file.to_str().unwrap()) && !said.contains("s3cret"), "{said}");
    assert!(!dir.path().join("data").exists(), "nothing was begun");
}

#[test]
fn a_wrong_configuration_ends_with_2_so_that_the_unit_is_not_started_again_and_a_missing_one_with_1() {
    let unit = include_str!("../../../../installer/dist/packaging/nimbus-control-plane.service");
    assert!(unit.lines().any(|line| line == "RestartPreventExitStatus=2"), "{unit}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("control-plane.toml");
    let ends = |args: &[&str]| {
        let ended = program(dir.path()).arg("--config").arg(&file).args(args).output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let (code, said) = ends(&[]);
    assert_eq!(code, Some(1), "it may be on a volume that comes later: {said}");
    for (text, word) in [
        ("[settings", "control-plane.toml"),
        ("[settings]\natempts = 3\n", "atempts"),
        ("[settings]\nattempts = \"three\"\n", "attempts"),
        ("[settings]\nattempts = 0\n", "attempts"),
    ] {
        std::fs::write(&file, text).unwrap();
        let (code, said) = ends(&[]);
        assert_eq!(code, Some(2), "{text}: {said}");
        assert!(said.contains(word), "{text}: {said}");
    }
    // Nobody writes into it: it would be waited for without an end.
    std::fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let (code, said) = ends(&[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("control-plane.toml") && said.contains("a pipe"), "{said}");
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "").unwrap();
    for (args, code_due) in [
        (&["--database", "postgres://nimbus@db:port/nimbus"][..], 2),
        (&["--stand-by"], 2),
        (&["--database", "postgres://nimbus@127.0.0.1:1/nimbus"], 1),
    ] {
        let (code, said) = ends(args);
        assert_eq!(code, Some(code_due), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_loop_comes_round_at_rest() {
    let dir = tempfile::tempdir().unwrap();
    let alive = Arc::new(Alive::default());
    let plane = ControlPlane::start_alive(config(dir.path()), Arc::clone(&alive)).await.unwrap();
    let start = alive.start();
    assert_eq!(start.phase, Phase::Serving);
    until("a sign of every loop", || async {
        alive.ask();
        let signs = alive.signs(Duration::from_mins(1));
        signs.iter().all(|sign| sign.last > start.since).then_some(())
    })
    .await;
    plane.stop().await;
}
