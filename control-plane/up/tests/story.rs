//! Tests the way of a drifted file through the real binary: `nimbus up` in one process, an operator's commands in
//! others.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails where it must not go on")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use serde_json::Value;
use support::{Home, Up, mode, set_mode, until};

const CONF: &str = "[server]\nworkers = 4\n";

/// Files to watch as a host would have them.
fn files(home: &Home) -> std::path::PathBuf {
    let root = home.path().join("watched");
    std::fs::create_dir_all(&root).unwrap();
    std::fs::write(root.join("app.conf"), CONF).unwrap();
    std::fs::write(root.join("run.sh"), "#!/bin/sh\n").unwrap();
    set_mode(&root.join("run.sh"), 0o755);
    root
}

/// The drifted file of this name once its plan waits for a person.
fn waiting(home: &Home, path: &Path) -> Value {
    until(&format!("{} to wait for approval", path.display()), || {
        let list = home.run(&["drift", "list", "-o", "json"]).ended(0).json();
        let items = list["items"].as_array().unwrap().clone();
        let path = path.to_str().unwrap();
        items.into_iter().find(|item| item["path"] == path && item["state"] == "waiting_approval")
    })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[test]
fn a_changed_file_is_seen_shown_and_put_back() {
    let home = Home::new();
    let root = files(&home);
    let conf = root.join("app.conf");
    let up = Up::start(&home, &["--no-cluster", "--watch", root.to_str().unwrap()]);
    assert_eq!(up.started["agent_connected"], true, "{}", up.started);
    assert_eq!(up.started["watch"][0]["files"], 2, "{}", up.started);
    assert_eq!(mode(Path::new(text(&up.started, "token_file"))), 0o600);
    assert!(up.started["watch"][0]["baseline_since"].is_null(), "the baseline is new: {}", up.started);
    let managed = std::fs::read_to_string(text(&up.started, "managed_policy_file")).unwrap();
    assert!(managed.contains(root.to_str().unwrap()) && managed.contains("restore_file"), "{managed}");
    home.run(&["status", "--wait", "--timeout", "30s"]).ended(0);
    home.run(&["drift", "list", "--exit-code"]).ended(0);

    std::fs::write(&conf, "[server]\nworkers = 400\n").unwrap();
    until("the drift to be seen", || (home.run(&["drift", "list", "--exit-code"]).code == 3).then_some(()));
    let drift = waiting(&home, &conf);
    let (id, approval) = (text(&drift, "id"), text(&drift, "approval_id"));
    assert_eq!((text(&drift, "kind"), text(&drift, "change")), ("file_drift", "modified"));

    let shown = home.run(&["drift", "show", &id[4..20]]).ended(0);
    assert!(shown.out.contains("-workers = 4") && shown.out.contains("+workers = 400"), "{}", shown.out);
    let asked = home.run(&["approvals", "show", approval]).ended(0);
    assert!(asked.out.contains("What will change"), "{}", asked.out);

    // Without a terminal and without --yes nothing happens, and the way on is named.
    let refused = home.run(&["drift", "fix", id]).ended(4);
    assert!(refused.err.contains(approval) && refused.err.contains("--yes"), "{refused:?}");
    let problem = home.run(&["approve", approval, "-o", "json"]).ended(4).problem();
    assert_eq!(problem["type"], "urn:nimbus:problem:waiting-for-approval");
    home.run(&["drift", "fix", id, "--dry-run"]).ended(0);
    assert!(std::fs::read_to_string(&conf).unwrap().contains("400"), "nothing was changed");

    let fixed = home.run(&["drift", "fix", "--all", "--yes"]).ended(0);
    assert!(fixed.out.contains("restored"), "{fixed:?}");
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), CONF);
    home.run(&["drift", "list", "--exit-code"]).ended(0);

    let jobs = home.run(&["jobs", "list", "-o", "json"]).ended(0).json();
    assert_eq!((jobs["items"].as_array().unwrap().len(), text(&jobs["items"][0], "state")), (1, "succeeded"));
    let history = home.run(&["autonomous", "history"]).ended(0);
    assert!(history.out.contains("restore file") && history.out.contains("succeeded"), "{history:?}");
    let told = home.run(&["incidents", "show", id]).ended(0);
    assert!(told.out.contains("resolved") && told.out.contains("History"), "{told:?}");
    assert!(home.run(&["audit", "verify"]).ended(0).out.contains("holds"));
    let export = home.run(&["audit", "export", "--format", "json"]).ended(0).json();
    let actions: Vec<&str> =
        export["items"].as_array().unwrap().iter().map(|row| text(row, "action")).collect();
    assert!(actions.contains(&"approval.approved") && actions.contains(&"job.signed"), "{actions:?}");
    let (code, took, err) = up.stop("-TERM");
    assert_eq!(code, Some(0), "{err}");
    assert!(took.as_secs() < 10, "{took:?}");
}

#[test]
fn a_denied_plan_changes_nothing_and_the_present_can_become_the_baseline() {
    let home = Home::new();
    let root = files(&home);
    let script = root.join("run.sh");
    let _up = Up::start(&home, &["--no-cluster", "--watch", root.to_str().unwrap()]);
    set_mode(&script, 0o777);
    let drift = waiting(&home, &script);
    assert_eq!(text(&drift, "change"), "attributes");
    let (id, approval) = (text(&drift, "id"), text(&drift, "approval_id"));

    let denied = home.run(&["deny", approval, "--reason", "it is meant so"]).ended(0);
    assert!(denied.out.contains("Nothing was changed"), "{denied:?}");
    let again = home.run(&["approve", approval, "--yes"]).ended(1);
    assert!(again.err.contains("denied") && again.err.contains("it is meant so"), "{again:?}");
    let incident = home.run(&["incidents", "show", id, "-o", "json"]).ended(0).json();
    assert_eq!(text(&incident, "state"), "escalated");
    assert_eq!(mode(&script), 0o777);
    assert!(denied.err.contains("nimbus incidents ask"), "{denied:?}");
    home.run(&["incidents", "ask", id, "--reason", "the window opened"]).ended(0);
    let asked = waiting(&home, &script);
    assert_ne!(text(&asked, "approval_id"), approval, "a new question");
    home.run(&["incidents", "ask", id]).ended(1);
    home.run(&["deny", text(&asked, "approval_id")]).ended(0);

    // Without a plan there is nothing to fix, and what was denied says how it is asked for again.
    let denied = home.run(&["drift", "fix", id, "--yes"]).ended(1);
    assert!(denied.err.contains("was denied") && denied.err.contains("nimbus incidents ask"), "{denied:?}");

    // Without a terminal nothing is asked, and nothing is accepted.
    let asked = home.run(&["drift", "baseline", "add", id]).ended(4);
    assert!(asked.out.contains("0777") && asked.err.contains("--yes"), "{asked:?}");
    let accepted = home.run(&["drift", "baseline", "add", id, "--yes"]).ended(0);
    assert!(accepted.out.contains("baseline now"), "{accepted:?}");
    assert!(
        accepted.out.contains("0755") && accepted.out.contains("0777"),
        "what is accepted is shown: {accepted:?}"
    );
    home.run(&["drift", "list", "--exit-code"]).ended(0);
    assert_eq!(mode(&script), 0o777);
    set_mode(&script, 0o755);
    let drift = waiting(&home, &script);
    assert_eq!(text(&drift["before"], "mode"), "0777", "the accepted state is the baseline now");
    let fixed =
        home.run(&["drift", "fix", "--resource", script.to_str().unwrap(), "--yes", "-o", "json"]).ended(0);
    let fixed = fixed.json();
    assert_eq!(text(&fixed["items"][0], "state"), "resolved");
    let (before, after) = (&fixed["items"][0]["before"], &fixed["items"][0]["after"]);
    assert_eq!((text(before, "mode"), text(after, "mode")), ("0777", "0755"), "as it was put back: {fixed}");
    assert_eq!(mode(&script), 0o777);

    let baselines = home.run(&["drift", "baseline", "list", "-o", "json"]).ended(0).json();
    let item = &baselines["items"][0];
    assert_eq!((text(item, "path"), text(item, "decided_by")), (script.to_str().unwrap(), "operator"));

    let id = text(item, "id");
    let would = home.run(&["drift", "baseline", "remove", id, "--dry-run"]).ended(0);
    assert!(would.out.contains("Would"), "{would:?}");
    let removed = home.run(&["drift", "baseline", "remove", id]).ended(0);
    assert!(removed.out.contains("counts again"), "{removed:?}");
    assert_eq!(mode(&script), 0o777, "the file stays as it is");
    let drift = waiting(&home, &script);
    assert_eq!(text(&drift["before"], "mode"), "0755", "what was first found is the truth again");
    let list = home.run(&["drift", "baseline", "list", "-o", "json"]).ended(0).json();
    assert_eq!(
        (text(&list["items"][0], "change"), text(&list["items"][0], "state")),
        ("withdrawn", "succeeded")
    );
    let again = home.run(&["drift", "baseline", "remove", id]).ended(1);
    assert!(again.err.contains("newer decision"), "{again:?}");
    home.run(&["drift", "baseline", "remove", "job_00000000000000000000000000000000"]).ended(7);
}

#[test]
fn a_new_directory_is_not_put_away_and_can_become_the_baseline() {
    let home = Home::new();
    let root = files(&home);
    let _up = Up::start(&home, &["--no-cluster", "--watch", root.to_str().unwrap()]);
    let new = root.join("conf.d");
    std::fs::create_dir(&new).unwrap();
    let drift = until("the directory to be left to a person", || {
        let list = home.run(&["drift", "list", "-o", "json"]).ended(0).json();
        let items = list["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["path"] == new.to_str().unwrap() && item["state"] == "escalated")
    });
    assert!(text(&drift, "reason").contains("drift baseline add"), "{drift}");
    home.run(&["drift", "baseline", "add", text(&drift, "id"), "--yes"]).ended(0);
    home.run(&["drift", "list", "--exit-code"]).ended(0);
    assert!(new.is_dir());
}

#[test]
fn what_is_wrong_is_told_apart_by_its_exit_code() {
    let home = Home::new();
    let up = Up::start(&home, &["--no-cluster"]);
    let unknown = "inc_00000000000000000000000000000000";
    home.run(&["incidents", "show", unknown]).ended(7);
    home.run(&["incidents", "show", "ffff"]).ended(7);
    let problem =
        home.run(&["jobs", "show", "job_00000000000000000000000000000000", "-o", "json"]).ended(7).problem();
    assert_eq!((problem["status"].as_u64(), problem["exit_code"].as_u64()), (Some(404), Some(7)));
    home.run(&["clusters", "show", "nope"]).ended(7);
    home.run(&["autonomous", "enable", "--cluster", "nope"]).ended(7);
    let wrong =
        support::said(home.command(&["status"]).env("NIMBUS_TOKEN", "nbo_wrong").output().unwrap()).ended(5);
    assert!(!wrong.err.contains("nbo_wrong"), "a token is never printed: {wrong:?}");
    let server = text(&up.started, "server");
    let elsewhere = Home::new();
    let nothing = elsewhere.run(&["status", "--server", server]).ended(5);
    assert!(nothing.err.contains("NIMBUS_TOKEN"), "{nothing:?}");

    for (command, empty) in
        [("incidents", true), ("approvals", true), ("jobs", true), ("drift", true), ("agents", false)]
    {
        let list = home.run(&[command, "-o", "json"]).ended(0).json();
        let keys: Vec<&String> = list.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["items", "next"], "{command}");
        // A disk of the machine that runs this test may be nearly full: its incident is right then.
        let items = list["items"].as_array().unwrap().iter().filter(|item| item["kind"] != "disk_near_full");
        assert_eq!(items.count() == 0, empty, "{command}: {list}");
    }
    let agent = home.run(&["agents", "-o", "name"]).ended(0).out;
    assert!(agent.starts_with("agt_") && agent.trim().len() == 36, "{agent}");
    let yaml = home.run(&["agents", "show", agent.trim(), "-o", "yaml"]).ended(0).out;
    assert!(yaml.contains("state: connected"), "{yaml}");
    let refused = home.run(&["agents", "revoke", agent.trim()]).ended(2);
    assert!(refused.err.contains("--yes"), "{refused:?}");
    let token = home
        .run(&["agents", "token", "create", "--name", "edge-1", "--ttl", "5m", "-o", "json"])
        .ended(0)
        .json();
    assert!(text(&token, "token").starts_with("nimbus1.tok_"), "{}", token["id"]);
    let name = text(&up.started, "agent");
    let refused = home.run(&["agents", "token", "create", "--name", name, "-o", "json"]).ended(1).problem();
    assert_eq!(refused["status"], 409, "{refused}");
    assert!(refused.to_string().contains(name) && !text(&refused, "remedy").is_empty(), "{refused}");

    let (code, _, err) = up.stop("-INT");
    assert_eq!(code, Some(0), "{err}");
    home.run(&["status"]).ended(6);
}

#[test]
fn started_again_it_continues_and_a_second_one_is_refused() {
    let home = Home::new();
    let root = files(&home);
    let conf = root.join("app.conf");
    let watch = ["--no-cluster", "--watch", root.to_str().unwrap()];
    let up = Up::start(&home, &watch);
    std::fs::remove_file(&conf).unwrap();
    let drift = waiting(&home, &conf);
    let agents = home.run(&["agents", "-o", "name"]).ended(0).out;
    let ca = std::fs::read(text(&up.started, "ca_file")).unwrap();

    let second =
        home.run(&["up", "--no-cluster", "--listen", "127.0.0.1:0", "--quic", "127.0.0.1:0"]).ended(1);
    assert!(second.err.contains("in use") && second.err.contains(&up.pid().to_string()), "{second:?}");
    let address = text(&up.started, "server").trim_start_matches("http://").to_owned();
    let other = home.path().join("other");
    let elsewhere = ["up", "--no-cluster", "--data-dir", other.to_str().unwrap(), "--listen", &address];
    // The context `local` leads to the one that runs; it is not taken over, and nothing is started.
    let refused = home.run(&elsewhere).ended(1);
    assert!(refused.err.contains("\"local\"") && refused.err.contains("--context NAME"), "{refused:?}");
    assert!(!other.exists());
    let taken = home.run(&[&elsewhere[..], &["--context", "other"]].concat()).ended(1);
    assert!(taken.err.contains("--listen") && taken.err.contains(&address), "{taken:?}");

    up.stop("-TERM");
    // A baseline's date is kept in whole seconds: this start is to be in a later one.
    std::thread::sleep(std::time::Duration::from_secs(1));
    let up = Up::start(&home, &watch);
    let since = &up.started["watch"][0]["baseline_since"];
    assert!(since.is_string(), "the baseline is from the first start: {}", up.started);
    assert_eq!(home.run(&["agents", "-o", "name"]).ended(0).out, agents, "the same agent");
    assert_eq!(std::fs::read(text(&up.started, "ca_file")).unwrap(), ca, "the same authority");
    let still = waiting(&home, &conf);
    assert_eq!(
        (&still["id"], &still["approval_id"]),
        (&drift["id"], &drift["approval_id"]),
        "nothing is asked anew"
    );
    let fixed = home.run(&["approve", text(&drift, "approval_id"), "--yes", "--wait"]).ended(0);
    assert!(fixed.out.contains("done and verified"), "{fixed:?}");
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), CONF);
    let data_dir = std::path::PathBuf::from(text(&up.started, "data_dir"));
    up.stop("-TERM");

    let about = data_dir.join("agent/identity/agent.json");
    let whole = std::fs::read(&about).unwrap();
    std::fs::write(&about, &whole[..whole.len() / 2]).unwrap();
    let free = ["up", "--no-cluster", "--listen", "127.0.0.1:0", "--quic", "127.0.0.1:0"];
    let damaged = home.run(&free).ended(1);
    assert!(damaged.err.contains("identity is damaged") && damaged.err.contains("backup"), "{damaged:?}");
    assert!(!damaged.err.contains("join token"), "{damaged:?}");
    std::fs::write(&about, &whole).unwrap();

    std::fs::write(data_dir.join("agent/version"), "999\n").unwrap();
    let newer = home.run(&free).ended(1);
    assert!(newer.err.contains("newer") && newer.err.contains("999"), "{newer:?}");
}

/// An API server that knows its own UID and nothing else, for as long as the test's process runs.
fn answer_as_cluster(port: u16, uid: &'static str) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let path = lines.next().unwrap_or_default();
                // The head ends with an empty line.
                lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
                let (status, body) = if path.starts_with("GET /api/v1/namespaces/kube-system ") {
                    ("200 OK", format!("{{\"metadata\":{{\"uid\":\"{uid}\"}}}}"))
                } else {
                    ("404 Not Found", "{\"kind\":\"Status\",\"code\":404}".to_owned())
                };
                let length = body.len();
                let head = "content-type: application/json\r\nconnection: close";
                let answer = format!("HTTP/1.1 {status}\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}");
                // A client that went away asks again.
                let _ = (&stream).write_all(answer.as_bytes());
            });
        }
    });
}

/// A kubeconfig where it is found without being named; nothing listens at its cluster's port yet.
fn kubeconfig(home: &Home, cluster: &str) -> u16 {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: {cluster}\nusers: [{{name: me, user: {{}}}}]\n\
         contexts: [{{name: {cluster}, context: {{cluster: {cluster}, user: me}}}}]\n\
         clusters: [{{name: {cluster}, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\n"
    );
    let file = home.path().join(".kube/config");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    port
}

#[test]
fn a_cluster_that_comes_later_than_this_host_is_watched_once_it_answers() {
    let home = Home::new();
    // Started without a cluster it is an agent of this host; with one later, it becomes an agent of that cluster.
    let up = Up::start(&home, &["--no-cluster"]);
    assert_eq!(home.run(&["agents", "-o", "json"]).ended(0).json()["items"][0]["kind"], "host");
    up.stop("-TERM");
    // The second time the kubeconfig leads to another cluster: the agent may report for that one then.
    for (name, uid) in [
        ("first", "7b0c1f1e-0000-4000-8000-000000000001"),
        ("second", "7b0c1f1e-0000-4000-8000-000000000002"),
    ] {
        let port = kubeconfig(&home, name);
        let up = Up::start(&home, &[]);
        assert_eq!(
            (&up.started["cluster"], &up.started["cluster_awaited"]),
            (&Value::Null, &Value::Bool(true))
        );
        let reason = text(&up.started, "cluster_reason");
        assert!(reason.contains(name) && reason.contains("keeps trying"), "{reason}");
        assert_eq!(up.started["agent_connected"], true, "{}", up.started);
        let agent = home.run(&["agents", "-o", "name"]).ended(0).out;
        until("the agent to say what it waits for", || {
            let shown = home.run(&["agents", "show", agent.trim()]).ended(0);
            shown.out.contains(&format!("127.0.0.1:{port}")).then_some(())
        });
        if name == "first" {
            // A cluster that nobody has seen yet is not waited for.
            home.run(&["status", "--wait", "--timeout", "30s"]).ended(0);
        }
        answer_as_cluster(port, uid);
        until("the cluster to be found", || {
            let agents = home.run(&["agents", "-o", "json"]).ended(0).json();
            let agent = &agents["items"][0];
            (agent["cluster_uid"] == uid && agent["kind"] == "cluster").then_some(())
        });
        let known = home.run(&["clusters", "-o", "json"]).ended(0).json();
        assert!(known["items"].as_array().unwrap().iter().any(|cluster| cluster["id"] == uid), "{known}");
        up.stop("-TERM");
    }
}

#[test]
fn what_it_cannot_start_with_is_named() {
    let home = Home::new();
    let kubeconfig = home.path().join("kubeconfig");
    std::fs::write(&kubeconfig, "clusters: [\n  {name: x\n").unwrap();
    let free = ["--listen", "127.0.0.1:0", "--quic", "127.0.0.1:0"];
    let said =
        home.run(&[&["up", "--kubeconfig", kubeconfig.to_str().unwrap()][..], &free].concat()).ended(1);
    assert!(
        said.err.contains("kubeconfig") && said.err.contains("line") && said.err.contains("--no-cluster"),
        "{said:?}"
    );
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = home
        .run(&[&["up", "--no-cluster", "--data-dir", file.to_str().unwrap()][..], &free].concat())
        .ended(1);
    assert!(said.err.contains(file.to_str().unwrap()), "{said:?}");
    let would = home.run(&["up", "--no-cluster", "--dry-run", "-o", "json"]).ended(0).json();
    assert_eq!((text(&would, "listen"), &would["dry_run"]), ("127.0.0.1:7070", &Value::Bool(true)));
    assert!(!Path::new(text(&would, "data_dir")).exists(), "a dry run writes nothing");
    let missing = home.path().join("missing");
    let up = Up::start(&home, &["--no-cluster", "--watch", missing.to_str().unwrap()]);
    assert!(!text(&up.started["watch"][0], "problem").is_empty(), "a missing path is said: {}", up.started);
    let status = until("the status to say that the agent reports a problem", || {
        let status = home.run(&["status", "-o", "json"]).ended(0).json();
        status["agent_problems"][0].is_object().then_some(status)
    });
    let problem = &status["agent_problems"][0];
    assert_eq!((text(problem, "name"), problem["count"].as_u64()), (text(&up.started, "agent"), Some(1)));
    assert!(text(problem, "first").contains(missing.to_str().unwrap()), "{status}");
    let shown = home.run(&["status"]).ended(0);
    assert!(shown.out.contains("reports 1 problem"), "{shown:?}");
}
