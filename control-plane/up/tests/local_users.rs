//! Tests what other users of the machine can do to a running `nimbus up`, and a page in a browser of its operator: read
//! nothing, and lock nobody out.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails where it must not go on")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use support::{Home, Up, mode};

/// More connections than the control plane allows from one machine.
const HELD: usize = 300;

fn address(up: &Up) -> SocketAddr {
    up.started["server"].as_str().unwrap().trim_start_matches("http://").parse().unwrap()
}

/// Half a request, from one of this machine's addresses.
fn half_open(up: &Up) -> TcpStream {
    let mut stream = TcpStream::connect(address(up)).unwrap();
    stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\nx-slow: ").unwrap();
    stream
}

#[test]
fn half_open_connections_do_not_lock_the_operator_out() {
    let home = Home::new();
    let up = Up::start(&home, &["--no-cluster"]);
    let mut held: Vec<_> = (0..HELD).map(|_| half_open(&up)).collect();
    for _ in 0..5 {
        home.run(&["status"]).ended(0);
        home.run(&["approvals", "list"]).ended(0);
        // Whoever holds them opens a new one for each that was closed.
        held.drain(..20);
        held.extend((0..20).map(|_| half_open(&up)));
    }
}

#[test]
fn a_page_that_points_its_own_name_here_reads_nothing() {
    let home = Home::new();
    let up = Up::start(&home, &["--no-cluster"]);
    let ask = |path: &str, host: &str| {
        let mut stream = TcpStream::connect(address(&up)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let own = ask("/metrics", &address(&up).to_string());
    assert!(own.starts_with("HTTP/1.1 200") && own.contains("nimbus_agents_connected"), "{own}");
    for path in ["/metrics", "/healthz", "/api/v1/status", "/api/v1/version", "/no/such/path"] {
        let answer = ask(path, "rebound.example:7070");
        assert!(answer.starts_with("HTTP/1.1 421"), "{path}: {answer}");
        assert!(!answer.contains("nimbus_agents_connected"), "{path}: {answer}");
        for said in ["wrong_host", "rebound.example:7070", "127.0.0.1, [::1], localhost", "--name"] {
            assert!(answer.contains(said), "{said} in {answer}");
        }
    }
}

#[test]
fn every_directory_is_for_its_owner_alone_whatever_the_umask() {
    let home = Home::new();
    let root = home.path().join("watched");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("app.conf"), "a = 1\n").unwrap();
    let up = Up::start_under(&home, Some("0"), &["--no-cluster", "--watch", root.to_str().unwrap()]);
    let mut seen = 0;
    for top in [".local", ".config"] {
        closed(&home.path().join(top), &mut seen);
    }
    assert!(seen >= 8, "{seen} directories, at least those of the agent and of the control plane");
    drop(up);
}

/// Every directory from here on is closed to others, and no file in it can be written by them.
fn closed(dir: &Path, seen: &mut usize) {
    assert_eq!(mode(dir), 0o700, "{}", dir.display());
    *seen += 1;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            closed(&path, seen);
        } else {
            assert_eq!(mode(&path) & 0o022, 0, "{}", path.display());
        }
    }
}
