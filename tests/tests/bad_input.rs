//! Tests of operating errors (a wrong token, a port in use, a bad file): each is reported with what to do, and nothing
//! is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds something else"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::process::{Process, binary, free_port};
use nimbus_tests::sim::stream::host_sample;
use nimbus_tests::sim::{SimSession, enrol};
use nimbus_tests::site::PATIENCE;
use nimbus_tests::wait::{Seen, wait_for};

fn plane_command(data: &Path, rest: u16, quic: u16) -> Command {
    let mut command = Command::new(binary("nimbus-control-plane").unwrap());
    command.arg("--data-dir").arg(data);
    command.args(["--listen", &format!("127.0.0.1:{rest}"), "--quic", &format!("127.0.0.1:{quic}")]);
    command
}

/// Runs until it ends by itself, which it has to do soon.
fn ends(dir: &Path, command: Command) -> (Option<i32>, String) {
    let mut process = Process::start("ends", command, dir).unwrap();
    let status = process.wait(Duration::from_secs(30)).unwrap();
    (status.code(), process.output())
}

#[test]
fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
    let dir = tempfile::tempdir().unwrap();
    let (rest, quic) = (free_port().unwrap(), free_port().unwrap());
    let taken = std::net::TcpListener::bind(("127.0.0.1", rest)).unwrap();
    let (code, said) = ends(dir.path(), plane_command(&dir.path().join("data"), rest, quic));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&rest.to_string()) && said.contains("--listen"), "{said}");
    drop(taken);
    let _taken = std::net::UdpSocket::bind(("127.0.0.1", quic)).unwrap();
    let (code, said) = ends(dir.path(), plane_command(&dir.path().join("data"), rest, quic));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&quic.to_string()) && said.contains("--quic"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_directory_of_a_newer_version_is_left_alone() {
    let mut plane = Plane::start(None, QUICK).await.unwrap();
    plane.kill9().unwrap();
    let database = plane.data_dir().join("nimbus.db");
    let sql =
        "UPDATE schema_version SET version = 999 WHERE version = (SELECT MAX(version) FROM schema_version);";
    nimbus_tests::sqlite::execute(&database, sql).await.unwrap();
    let before = nimbus_tests::sqlite::dump(&database).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (code, said) =
        ends(dir.path(), plane_command(&plane.data_dir(), free_port().unwrap(), free_port().unwrap()));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("999") && said.contains("newer") && said.contains("upgrade"), "{said}");
    assert_eq!(nimbus_tests::sqlite::dump(&database).await.unwrap(), before, "nothing was touched");
}

#[test]
fn a_second_control_plane_on_the_same_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let first = plane_command(&data, free_port().unwrap(), free_port().unwrap());
    let mut first = Process::start("first", first, dir.path()).unwrap();
    first.wait_for_line("control plane started", Duration::from_secs(30)).unwrap();
    let (code, said) = ends(dir.path(), plane_command(&data, free_port().unwrap(), free_port().unwrap()));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&first.pid().to_string()), "the error names the process that holds it: {said}");
    assert!(first.is_running());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_kubeconfig_is_named_and_an_unreachable_cluster_is_a_problem_not_an_end() {
    let plane = Plane::start(None, QUICK).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    std::fs::write(&kubeconfig, "apiVersion: v1\nclusters: {{{ nonsense").unwrap();
    let token = plane.join_token("malformed", "cluster").await.unwrap();
    let mut command = Command::new(binary("nimbus-agent").unwrap());
    command.args(["--server", &plane.quic().to_string(), "--join", &token]);
    command.arg("--data-dir").arg(dir.path().join("data")).arg("--kubeconfig").arg(&kubeconfig);
    let (code, said) = ends(dir.path(), command);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&kubeconfig.display().to_string()), "the file is named: {said}");

    let nobody = free_port().unwrap();
    std::fs::write(
        &kubeconfig,
        format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: far, cluster: {{server: \"http://127.0.0.1:{nobody}\"}}}}]\n\
             contexts: [{{name: far, context: {{cluster: far, user: me}}}}]\ncurrent-context: far\nusers: [{{name: me, user: {{}}}}]\n"
        ),
    )
    .unwrap();
    let options =
        AgentOptions { name: "far".into(), kubeconfig: Some(kubeconfig), ..AgentOptions::default() };
    let agent = AgentProcess::join(&plane, options).await.unwrap();
    wait_for("the unreachable cluster to be reported", PATIENCE, || async {
        let me = agent.seen_by(&plane).await?;
        let said = me["problems"].to_string();
        Ok(Seen::when(said.contains(&nobody.to_string()).then_some(()), format!("{me}\n{}", agent.output())))
    })
    .await
    .unwrap();
    let clusters = plane.items("/clusters").await.unwrap();
    assert!(clusters.iter().all(|c| c["state"] == "unknown"), "what cannot be seen is unknown: {clusters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_path_that_is_missing_is_said_and_picked_up_when_it_appears() {
    let plane = Plane::start(None, QUICK).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("not-there-yet");
    let options =
        AgentOptions { name: "paths".into(), watch: vec![missing.clone()], ..AgentOptions::default() };
    let agent = AgentProcess::join(&plane, options).await.unwrap();
    wait_for("the missing path to be reported", PATIENCE, || async {
        let me = agent.seen_by(&plane).await?;
        let said = me["roots"][0]["problem"].as_str().unwrap_or_default().to_owned();
        Ok(Seen::when(said.contains("not-there-yet").then_some(()), format!("{me}\n{}", agent.output())))
    })
    .await
    .unwrap();
    std::fs::create_dir(&missing).unwrap();
    std::fs::write(missing.join("a.conf"), "a = 1\n").unwrap();
    wait_for("the path to be watched", PATIENCE, || async {
        let me = agent.seen_by(&plane).await?;
        let well = me["roots"][0]["problem"] == "" && me["roots"][0]["files"].as_u64() >= Some(1);
        Ok(Seen::when(well.then_some(()), format!("{me}\n{}", agent.output())))
    })
    .await
    .unwrap();
}

/// A control plane whose data directory is a file system of 48 MB of its own, in a mount namespace.
fn plane_on_a_small_disk(dir: &Path, rest: u16, quic: u16) -> anyhow::Result<Process> {
    let program = binary("nimbus-control-plane")?;
    let data = dir.join("small");
    std::fs::create_dir_all(&data)?;
    let script = format!(
        "mount -t tmpfs -o size=48m none {data} && exec {program} --data-dir {data}/data --listen 127.0.0.1:{rest} \
         --quic 127.0.0.1:{quic}",
        data = data.display(),
        program = program.display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    Process::start("small", command, dir)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_acknowledging_and_nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (rest, quic) = (free_port().unwrap(), free_port().unwrap());
    let process = plane_on_a_small_disk(dir.path(), rest, quic).unwrap();
    // Its own root shows the mounted data directory from outside the namespace.
    let inside = format!("/proc/{}/root{}", process.pid(), dir.path().join("small").display());
    let http = nimbus_tests::plane::http().unwrap();
    let ready = || {
        let request = http.get(format!("http://127.0.0.1:{rest}/readyz")).send();
        async move { Ok::<_, reqwest::Error>(request.await?.status().is_success()) }
    };
    wait_for("the control plane to be ready", PATIENCE, || async {
        Ok(Seen::when(ready().await?.then_some(()), process.output()))
    })
    .await
    .unwrap();
    let token = std::fs::read_to_string(format!("{inside}/data/operator.token")).unwrap();
    let body = serde_json::json!({"name": "full", "kind": "host", "ttl_seconds": 900});
    let request =
        http.post(format!("http://127.0.0.1:{rest}/api/v1/agents/tokens")).bearer_auth(token.trim());
    let answer: serde_json::Value = request.json(&body).send().await.unwrap().json().await.unwrap();
    let server = std::net::SocketAddr::from(([127, 0, 0, 1], quic));
    let identity = enrol(server, answer["token"].as_str().unwrap()).await.unwrap();

    // A session that is there already: a new one would be told to come back later.
    let mut session = SimSession::start(server, &identity, 1).await.unwrap();
    // Fill the disk, then try to store far more than what SQLite has left in its files.
    let filler = format!("{inside}/filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    let block = vec![0x5a; 65_536];
    while file.write_all(&block).is_ok() {}
    drop(file);
    let (mut next, mut acked) = (1, 0);
    for _ in 0..400 {
        session.send(next, (next..next + 500).map(host_sample).collect()).await.unwrap();
        next += 500;
        match tokio::time::timeout(Duration::from_secs(3), session.ack()).await {
            Ok(Ok(sequence)) => acked = sequence,
            // No ack: the disk is full. A closed session would be as honest.
            _ => break,
        }
    }
    assert!(acked < next - 1, "the disk never filled: {acked} acknowledged");
    wait_for("readiness to say no", PATIENCE, || async {
        Ok(Seen::when((!ready().await?).then_some(()), process.output()))
    })
    .await
    .unwrap();
    let output = process.output().to_lowercase();
    assert!(output.contains("full") && output.contains("space"), "{output}");

    std::fs::remove_file(&filler).unwrap();
    wait_for("the control plane to recover by itself", PATIENCE, || async {
        Ok(Seen::when(ready().await?.then_some(()), process.output()))
    })
    .await
    .unwrap();
    let mut session = SimSession::start(server, &identity, acked + 1).await.unwrap();
    assert!(
        session.welcome.acknowledged >= acked,
        "lost: {acked} acknowledged, now {}",
        session.welcome.acknowledged
    );
    let next = session.welcome.acknowledged + 1;
    session.send(next, vec![host_sample(next)]).await.unwrap();
    assert_eq!(tokio::time::timeout(PATIENCE, session.ack()).await.unwrap().unwrap(), next);
}

/// Starts a program with its data in a file system of `kib` KiB; if it ends by itself, it says which files are in `folder` of the data and
/// is started again after that has grown.
fn on_a_nearly_full_disk(
    dir: &Path,
    kib: u32,
    program: &str,
    words: &str,
    folder: &str,
) -> anyhow::Result<Process> {
    let small = dir.join("small");
    std::fs::create_dir_all(&small)?;
    let script = format!(
        "mount -t tmpfs -o size={kib}k none {small} || exit 9\n\
         start() {{ {program} --data-dir {small}/data {words}; }}\n\
         start; echo first ended with $(ls {small}/data/{folder})\n\
         mount -o remount,size=48m {small} && start",
        small = small.display(),
        program = binary(program)?.display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "--pid", "--kill-child", "sh", "-c", &script]);
    Process::start("nearly-full", command, dir)
}

#[test]
fn a_first_start_that_a_full_disk_ended_anywhere_is_finished_by_the_next_one() {
    let (mut kib, mut ended_with) = (128, std::collections::BTreeSet::new());
    loop {
        let dir = tempfile::tempdir().unwrap();
        let words = "--listen 127.0.0.1:0 --quic 127.0.0.1:0";
        let mut process = on_a_nearly_full_disk(dir.path(), kib, "nimbus-control-plane", words, "").unwrap();
        let started = process.wait_for_line("control plane started", Duration::from_secs(30));
        let said = process.output();
        process.kill9().unwrap();
        started.unwrap_or_else(|error| panic!("with {kib} KiB: {error:#}"));
        let Some(files) = said.lines().find_map(|line| line.strip_prefix("first ended with ")) else { break };
        assert!(said.contains("space") || said.contains("room"), "{said}");
        let keys = files.split(' ').filter(|name| name.contains("key") || name.contains("token"));
        let keys = keys.collect::<Vec<_>>().join(" ");
        // A page at a time from shortly before the keys on.
        let near = kib >= 360;
        kib += if near { 4 } else { 24 };
        ended_with.insert(keys);
    }
    for expected in ["", "ca.key", "ca.key job.key", "ca.key job.key operator.token"] {
        assert!(ended_with.contains(expected), "no start ended there: {ended_with:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_that_a_full_disk_ended_anywhere_is_finished_by_the_next_start_with_the_same_token() {
    let plane = Plane::start(None, QUICK).await.unwrap();
    let mut ended_with = std::collections::BTreeSet::new();
    for kib in (8..400).step_by(4) {
        let dir = tempfile::tempdir().unwrap();
        let token = plane.join_token(&format!("full-{kib}"), "host").await.unwrap();
        let words = format!("--server {} --join {token}", plane.quic());
        let mut process = on_a_nearly_full_disk(dir.path(), kib, "nimbus-agent", &words, "identity").unwrap();
        let connected = process.wait_for_line("connected to the control plane", Duration::from_secs(30));
        let said = process.output();
        process.kill9().unwrap();
        connected.unwrap_or_else(|error| panic!("with {kib} KiB: {error:#}"));
        let Some(files) = said.lines().find_map(|line| line.strip_prefix("first ended with")) else { break };
        assert!(said.contains("space"), "{said}");
        ended_with.insert(files.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    }
    // The token was used, and what came of it did not fit.
    let after_it =
        |files: &Vec<String>| files.contains(&"key.pem".into()) && !files.contains(&"agent.json".into());
    assert!(ended_with.iter().any(after_it), "{ended_with:?}");
    let agents = plane.items("/agents").await.unwrap();
    let names =
        agents.iter().map(|agent| agent["name"].to_string()).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(names.len(), agents.len(), "each joined once: {agents:?}");
}
