//! Tests what the command line promises without a control plane: help, exit codes, formats, colours.

mod support;

use clap::CommandFactory as _;
use nimbus_cli::cli::Cli;
use serde_json::json;
use support::Home;

/// Nothing listens here: port 1 is reserved.
const NOWHERE: [&str; 2] = ["--server", "http://127.0.0.1:1"];

fn every_command(command: &clap::Command, path: &[String], all: &mut Vec<Vec<String>>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let mut path = path.to_vec();
        path.push(sub.get_name().to_owned());
        all.push(path.clone());
        every_command(sub, &path, all);
    }
}

#[test]
fn every_command_explains_itself() {
    let home = Home::new();
    let mut all = vec![Vec::new()];
    every_command(&Cli::command(), &[], &mut all);
    assert!(all.len() > 35, "{}", all.len());
    for path in all {
        let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
        args.push("--help");
        let said = home.run(&args).ended(0);
        let usage = format!("Usage: nimbus{}{}", if path.is_empty() { "" } else { " " }, path.join(" "));
        assert!(said.out.contains(&usage), "{path:?}: {}", said.out);
        assert!(said.err.is_empty(), "{path:?}: {}", said.err);
    }
}

#[test]
fn a_wrong_command_line_is_2_and_says_so_as_json_where_asked() {
    let home = Home::new();
    for wrong in [
        &["nonsense"][..],
        &[],
        &["incidents", "show"],
        &["incidents", "list", "--limit", "0"],
        &["drift", "fix"],
    ] {
        let said = home.run(wrong).ended(2);
        assert!(said.out.is_empty() && !said.err.is_empty(), "{said:?}");
    }
    let said = home.run(&["incidents", "list", "--limit", "501", "-o", "json"]).ended(2);
    assert_eq!(said.problem()["exit_code"], 2, "{said:?}");
    assert!(said.problem()["title"].as_str().unwrap().contains("501"), "{said:?}");
    let said = home.run(&["approve", "inc_019b", "--server", "http://127.0.0.1:1"]).ended(2);
    assert!(said.err.contains("apr_"), "{said:?}");
}

#[test]
fn no_server_is_6_for_every_command_that_needs_one() {
    let home = Home::new();
    for args in [
        &["status"][..],
        &["clusters"],
        &["agents", "list"],
        &["incidents", "list", "--exit-code"],
        &["approvals"],
        &["approve", "apr_019b5c2d3e477f6a8b9c0d1e2f3a4b5c", "--yes"],
        &["autonomous", "status"],
        &["jobs"],
        &["drift", "fix", "--all", "--yes"],
        &["audit", "verify"],
        &["audit", "export", "--format", "csv"],
        // With progress while it waits: none of it with `-o json`.
        &["status", "--wait", "--timeout", "1s"],
    ] {
        let said = home.run(&[args, &NOWHERE].concat()).ended(6);
        assert!(said.out.is_empty(), "{said:?}");
        assert!(said.err.contains("nimbus up") && said.err.contains("http://127.0.0.1:1"), "{said:?}");
        let problem = home.run(&[args, &NOWHERE, &["-o", "json"]].concat()).ended(6).problem();
        assert_eq!(problem["type"], "urn:nimbus:problem:unreachable");
        assert!(problem["remedy"].as_str().unwrap().contains("nimbus up"));
    }
}

#[test]
fn a_dry_run_is_one_document_too() {
    let home = Home::new();
    let dry = |args: &[&str]| {
        let flags = ["--dry-run", "-o", "json"];
        let said =
            home.command(&[args, &NOWHERE, &flags].concat()).env("NIMBUS_TOKEN", "nbo_any").output().unwrap();
        let said = support::said(said).ended(0);
        assert!(said.err.is_empty(), "{said:?}");
        said.json()
    };
    let token = dry(&["agents", "token", "create", "--name", "edge-1", "--kind", "cluster", "--ttl", "5m"]);
    let expected = json!({"dry_run": true, "name": "edge-1", "kind": "cluster", "cluster": null, "ttl_seconds": 300, "uses": 1});
    assert_eq!(token, expected);
    // An agent of a host is what is made when nothing is said; `vpc` is what earlier scripts call it.
    for kind in [&[][..], &["--kind", "host"], &["--kind", "vpc"]] {
        let token = dry(&[&["agents", "token", "create", "--name", "edge-1"], kind].concat());
        assert_eq!(token["kind"], "host", "{kind:?}");
    }
    let export = dry(&["audit", "export", "--format", "csv", "--output", "rows.csv", "--user", "operator"]);
    assert_eq!((&export["dry_run"], &export["format"]), (&json!(true), &json!("csv")));
    assert_eq!((&export["output"], &export["user"]), (&json!("rows.csv"), &json!("operator")));
    assert!(!home.path().join("rows.csv").exists(), "a dry run writes nothing");
}

#[test]
fn addresses_and_contexts_that_cannot_be_used_are_told_apart() {
    let home = Home::new();
    home.run(&["status", "--server", "127.0.0.1:7070"]).ended(2);
    let said = home.run(&["status", "--server", "http://192.0.2.1:7070"]).ended(5);
    assert!(said.err.contains("https://"), "{said:?}");
    home.run(&["status", "--context", "nope"]).ended(7);
    let config = home.path().join(".config/nimbus");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), "contexts = 7\n").unwrap();
    let said = home.run(&["status"]).ended(1);
    assert!(said.err.contains("config.toml") && said.err.contains("line 1"), "{said:?}");
}

#[test]
fn the_version_is_one_document_and_needs_no_server() {
    let home = Home::new();
    let document = home.run(&["version", "-o", "json", "--server", "http://127.0.0.1:1"]).ended(0).json();
    assert_eq!(document["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(document["protocol"]["lowest"], nimbus_protocol::version::LOWEST);
    assert_eq!(document["protocol"]["highest"], nimbus_protocol::version::HIGHEST);
    assert!(document["schema"].as_i64().is_some_and(|schema| schema >= 1), "{document}");
    assert!(document["server"].is_null());
    assert!(home.run(&["--version"]).ended(0).out.starts_with("nimbus "));
}

#[test]
fn every_shell_gets_its_completions() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = home.run(&["completions", shell]).ended(0);
        assert!(said.out.contains("incidents"), "{shell}");
    }
    home.run(&["completions", "cmd"]).ended(2);
}

#[test]
fn nothing_is_coloured_where_it_is_not_read_by_a_person() {
    let home = Home::new();
    let plain = home.run(&[&["status"][..], &NOWHERE].concat());
    assert!(!plain.err.contains('\u{1b}'), "{plain:?}");
    // `script` gives the command a terminal: there it is coloured, unless NO_COLOR or --no-color says otherwise.
    let on_a_terminal = |no_color: &str, flag: &str| {
        let line = format!("{} status --server http://127.0.0.1:1 {flag}", env!("CARGO_BIN_EXE_nimbus"));
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("HOME", home.path()).env("TERM", "xterm");
        command.env("NO_COLOR", no_color).stdin(std::process::Stdio::null());
        command.output().ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(coloured) = on_a_terminal("", "") else {
        assert!(!std::path::Path::new("/usr/bin/script").exists(), "script is there but does not run");
        return;
    };
    assert!(coloured.contains("\u{1b}[31m") || coloured.contains("\u{1b}[1m"), "{coloured:?}");
    for (no_color, flag) in [("1", ""), ("", "--no-color")] {
        let plain = on_a_terminal(no_color, flag).unwrap();
        assert!(plain.contains("error:") && !plain.contains('\u{1b}'), "{plain:?}");
    }
}
