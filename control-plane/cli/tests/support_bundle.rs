//! What a support bundle has of a machine, and its bounds. `kubectl`, `systemctl` and `journalctl` are scripts here, which
//! stand for what these programs tell a caller: what they print, and how they end. With a real control plane and a real API
//! server it is played in `tests/tests/support_bundle.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nimbus_cli::Here;
use nimbus_cli::bundle::gather::{Around, Bundle, Server, Wanted, gather};
use nimbus_cli::bundle::{LONGEST, MOST_PODS};
use nimbus_cli::cli::Cli;
use nimbus_cli::context::Context;
use nimbus_cli::error::Failure;
use nimbus_cli::exit::Exit;
use nimbus_redaction::Redactor;
use serde_json::{Value, json};

struct Site(tempfile::TempDir);

impl Site {
    fn new(programs: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["bin", "etc/agent.d"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        for (name, script) in programs {
            let path = dir.path().join("bin").join(name);
            std::fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (name, text) in files {
            std::fs::write(dir.path().join("etc").join(name), text).unwrap();
        }
        Self(dir)
    }

    fn bundle(&self, logs: bool, host: bool) -> Bundle {
        self.bundle_within(LONGEST, logs, host)
    }

    fn bundle_within(&self, redacts_within: Duration, logs: bool, host: bool) -> Bundle {
        let (search, etc) = (Some(self.0.path().join("bin").into()), self.0.path().join("etc"));
        let around = Around { search, etc, redacts_within };
        let wanted = Wanted {
            namespace: "nimbus".to_owned(),
            logs,
            host,
            version: json!({"version": "0.1.0"}),
            doctor: json!({"passed": true}),
        };
        let server = Server { name: String::new(), client: Err("there is none".to_owned()) };
        let mut redactor = Redactor::new(&[]).unwrap();
        let now = "2026-11-27T20:00:00Z".parse().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(gather(&wanted, &around, &server, &mut redactor, now, |_| {}))
    }
}

fn text<'a>(bundle: &'a Bundle, name: &str) -> Option<&'a str> {
    bundle.files.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
}

fn problem<'a>(bundle: &'a Bundle, name: &str) -> Option<&'a str> {
    bundle.manifest.parts.iter().find(|part| part.name == name)?.problem.as_deref()
}

#[test]
fn a_host_shows_its_services_and_none_of_what_they_know() {
    let site = Site::new(
        &[
            ("systemctl", "echo 'nimbus-agent.service: active'; exit 3"),
            (
                "journalctl",
                "echo \"$*\"; echo 'joined with Kx001mQ7v11z'; echo 'token=Kx002mQ7v22z was used'",
            ),
        ],
        &[
            (
                "agent.env",
                "NIMBUS_SERVER=nimbus.example:7071\nHTTPS_PROXY=http://u:Kx003mQ7v33z@proxy.example:3128\n",
            ),
            ("join-token", "Kx004mQ7v44z\n"),
            ("database-url", "postgres://nimbus:Kx005mQ7v55z@db.example/nimbus\n"),
            ("policy.toml", "allow = [\"restart_pod\"]\n"),
            ("agent.d/more.conf", "secret: Kx001mQ7v11z\n"),
            ("agent.d/core", "a\0b"),
        ],
    );
    let bundle = site.bundle(false, true);
    for (name, text) in &bundle.files {
        assert!(!text.contains("mQ7v"), "{name}: {text}");
    }
    assert_eq!(text(&bundle, "host/systemctl-status.txt"), Some("nimbus-agent.service: active\n"));
    assert!(problem(&bundle, "host/systemctl-status.txt").unwrap().contains("exit status: 3"));
    // Found in a file that was read later.
    let journal = text(&bundle, "host/journal.txt").unwrap();
    assert!(
        journal.contains("--unit nimbus-* --lines 500") && journal.contains("joined with [redacted]"),
        "{journal}"
    );
    assert_eq!(text(&bundle, "host/etc/policy.toml"), Some("allow = [\"restart_pod\"]\n"));
    assert_eq!(text(&bundle, "host/etc/join-token"), Some("[redacted]\n"));
    let environment = text(&bundle, "host/etc/agent.env").unwrap();
    assert!(environment.contains("NIMBUS_SERVER=nimbus.example:7071\n"), "{environment}");
    assert!(environment.contains("http://u:[redacted]@proxy.example:3128"), "{environment}");
    assert!(problem(&bundle, "host/etc/agent.d/core").unwrap().contains("no text"));
    assert!(problem(&bundle, "cluster/pods.json").unwrap().contains("no kubectl on the PATH"));
    assert_eq!(problem(&bundle, "control-plane/status.json"), Some("there is none"));
    assert!(bundle.manifest.redactions >= 6, "{}", bundle.manifest.redactions);
    assert_eq!(site.bundle(false, true).files, bundle.files, "the same at the same time");
}

#[test]
fn what_is_too_much_and_what_fails_is_said() {
    let pods: Vec<Value> =
        (0..60).map(|at| json!({"metadata": {"name": format!("nimbus-{at:02}")}})).collect();
    let pods = json!({"kind": "List", "items": pods}).to_string();
    let script = format!(
        "case \"$1 $2\" in 'get pods') echo '{pods}' ;; logs*) echo \"started $2\" ;; \
         *) echo first >&2; echo \"no $1, password=Kx001mQ7v11z\" >&2; exit 1 ;; esac"
    );
    let site = Site::new(&[("kubectl", &script)], &[]);
    let bundle = site.bundle(true, false);
    let logs: Vec<_> =
        bundle.manifest.parts.iter().filter(|part| part.name.starts_with("cluster/logs/")).collect();
    assert_eq!(logs.len(), MOST_PODS);
    assert!(logs.iter().all(|part| part.problem.is_none() && !part.cut));
    assert_eq!(text(&bundle, "cluster/logs/nimbus-49.log"), Some("started nimbus-49\n"));
    assert_eq!(problem(&bundle, "left-out"), Some("there are 10 pods more than logs are read of"));
    let said = problem(&bundle, "cluster/events.json").unwrap();
    assert_eq!(said, "it ended with exit status: 1: no get, password=[redacted]");
    assert!(!bundle.files.iter().any(|(name, _)| name == "cluster/events.json"));
}

#[test]
fn a_part_whose_secrets_cannot_be_taken_out_in_time_is_left_out_by_name() {
    let site =
        Site::new(&[("systemctl", "echo 'nimbus-agent.service: active'")], &[("policy.toml", "a = 1\n")]);
    let bundle = site.bundle_within(Duration::ZERO, false, true);
    for name in ["version.json", "host/systemctl-status.txt", "host/etc/policy.toml"] {
        let said = problem(&bundle, name).unwrap();
        assert!(said.contains("could not be taken out within 0 s"), "{name}: {said}");
        assert_eq!(text(&bundle, name), None, "{name}");
    }
    // What could not be asked says that, as there was nothing to take out.
    assert_eq!(problem(&bundle, "control-plane/status.json"), Some("there is none"));
}

/// A server that ends every connection, and notes what is in a directory when one comes.
fn ending(directory: &Path) -> (String, Arc<Mutex<Vec<usize>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (server, seen) =
        (format!("http://{}", listener.local_addr().unwrap()), Arc::new(Mutex::new(Vec::new())));
    let (notes, directory) = (Arc::clone(&seen), directory.to_owned());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            notes.lock().unwrap().push(std::fs::read_dir(&directory).unwrap().count());
        }
    });
    (server, seen)
}

async fn nimbus(server: &str, words: &[&str]) -> Result<Exit, Failure> {
    let here = Here {
        up: |_, _| Box::pin(async { Ok(Exit::Done) }),
        protocol: (1, 1),
        schema: 1,
        look_at_database: |_| unreachable!("no database is looked at"),
        key_files: ["ca.pem", "ca.key", "job.key", "operator.token"],
        make_keys: |_| Err("no keys are made here".to_owned()),
    };
    let start = ["nimbus", "-q", "-o", "name", "--server", server, "support-bundle"];
    let words: Vec<_> = start.iter().chain(words).map(std::ffi::OsString::from).collect();
    let cli = Cli::read(&words).unwrap_or_else(|error| panic!("{error}"));
    cli.command.run(&Context::new(&cli.global), &here).await
}

#[tokio::test]
async fn nothing_is_beside_the_file_while_it_asks_and_a_directory_is_refused_before() {
    let dir = tempfile::tempdir().unwrap();
    let (server, seen) = ending(dir.path());
    let failure = nimbus(&server, &["--force", "--out", dir.path().to_str().unwrap()]).await.unwrap_err();
    assert!(failure.exit == Exit::Refused && failure.title.contains("is a directory"), "{failure}");
    let (link, socket) = (dir.path().join("link"), dir.path().join("socket"));
    std::os::unix::fs::symlink(dir.path().join("nothing"), &link).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for (path, what) in [(&link, "is a symbolic link"), (&socket, "is a device, a pipe or a socket")] {
        let failure = nimbus(&server, &["--force", "--out", path.to_str().unwrap()]).await.unwrap_err();
        assert!(failure.exit == Exit::Refused && failure.title.contains(what), "{failure}");
        assert!(!path.symlink_metadata().unwrap().is_file(), "it is still there");
        std::fs::remove_file(path).unwrap();
    }
    assert_eq!(*seen.lock().unwrap(), [0; 0], "nobody was asked");

    let out = dir.path().join("support.tar.gz");
    nimbus(&server, &["--out", out.to_str().unwrap()]).await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|&beside| beside == 0), "{seen:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "the file alone");
}
