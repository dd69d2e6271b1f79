//! Tests of the program as systemd starts it: what it tells a notify socket, and the join token as a credential.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::plane::Plane;
use nimbus_agent::JOIN_CREDENTIAL;

/// A running program, which does not outlive its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program with this data directory and these credentials, and nothing of the test's own environment.
fn program(dir: &Path, credentials: &Path, server: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nimbus-agent"));
    command.env_clear().env("CREDENTIALS_DIRECTORY", credentials);
    command.arg("--data-dir").arg(dir).args(["--server", server]);
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

#[tokio::test(flavor = "multi_thread")]
async fn systemd_hands_over_the_token_and_hears_that_it_runs_lives_and_stops() {
    let plane = Plane::start();
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join(JOIN_CREDENTIAL);
    std::fs::write(&token, format!("{}\n", plane.token())).unwrap();
    // The second time the token is not needed, and what became of its file does not matter.
    for run in ["first", "second"] {
        let path = dir.path().join(run);
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut command = program(&dir.path().join("data"), dir.path(), &plane.server());
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut running = Program(command.spawn().unwrap());
        let heard = hear(&socket, |heard| count(heard, "WATCHDOG=1") >= 3);
        assert_eq!((heard[0].as_str(), count(&heard, "READY=1")), ("READY=1", 1), "{heard:?}");
        assert!(heard[1].starts_with("STATUS=") && heard[1].contains(&plane.server()), "{heard:?}");
        let kill = format!("kill -TERM {}", running.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let heard = hear(&socket, |heard| count(heard, "STOPPING=1") > 0);
        assert_eq!(heard.last().unwrap(), "STOPPING=1");
        assert_eq!(running.0.wait().unwrap().code(), Some(0));
        std::fs::write(&token, "no token any more").unwrap();
    }
}

#[test]
fn the_unit_hands_over_the_credential_that_is_read() {
    let unit = include_str!("../../../../installer/dist/packaging/nimbus-agent.service");
    let loaded = unit.lines().filter_map(|line| line.strip_prefix("LoadCredential="));
    let names: Vec<&str> = loaded.filter_map(|rest| rest.split(':').next()).collect();
    assert_eq!(names, [JOIN_CREDENTIAL]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_that_is_no_token_ends_the_start_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join(JOIN_CREDENTIAL);
    std::fs::write(&token, "s3cret").unwrap();
    let ended = program(&dir.path().join("data"), dir.path(), "127.0.0.1:1").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains(token.to_str().unwrap()) && said.contains("token create"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

#[test]
fn a_wrong_configuration_ends_with_2_so_that_the_unit_is_not_started_again_and_what_may_come_with_1() {
    let unit = include_str!("../../../../installer/dist/packaging/nimbus-agent.service");
    assert!(unit.lines().any(|line| line == "RestartPreventExitStatus=2"), "{unit}");
    let dir = tempfile::tempdir().unwrap();
    let ends = |variable: &str, value: &str| {
        let mut program = program(&dir.path().join("data"), dir.path(), "127.0.0.1:1");
        let ended = program.env(variable, value).output().unwrap();
        (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    for (variable, value, word) in [
        ("NIMBUS_JOIN_TOKEN", "nimbus7.s3cret", "token"),
        ("HTTPS_PROXY", "http://ada:s3cret@proxy.example:99999", "HTTPS_PROXY"),
        ("NIMBUS_WATCH", "/", "watched path"),
    ] {
        let (code, said) = ends(variable, value);
        assert_eq!(code, Some(2), "{variable}: {said}");
        assert!(said.contains(word) && !said.contains("s3cret"), "{variable}: {said}");
    }
    let (code, said) = ends("NIMBUS_AGENT_NAME", "web-1");
    assert_eq!(code, Some(1), "a token may be laid there: {said}");
}
