//! `nimbus preflight` with the real kubectl and helm on a real API server and a real PostgreSQL, and `nimbus doctor` on a real
//! control plane with a real agent.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

#[path = "preflight/secrets.rs"]
mod secrets;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Context as _;
use nimbus_checks::needs::Needs;
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::helm::helm;
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::postgres::Postgres;
use nimbus_tests::process::{Process, binary, free_port};
use nimbus_tests::rig::{Cluster, Options, build, repository};
use nimbus_tests::site::PATIENCE;
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::{Value, json};

/// Values that both charts take.
const CONTROL_PLANE: &str = "image:\n  registry: registry.example\n";
const AGENTS: &str =
    "image:\n  registry: registry.example\nserver: plane.example:7071\njoin:\n  existingSecret: join\n";

/// The command, with the real kubectl and helm, and nobody's configuration.
struct Operator {
    home: tempfile::TempDir,
    search: String,
}

impl Operator {
    fn new() -> anyhow::Result<Self> {
        let root = repository()?;
        let kubectl = build::ensure_all(&root, false)?.path("kubectl");
        let helm = build::ensure_helm(&root)?;
        let home = tempfile::tempdir()?;
        let bin = home.path().join("bin");
        fs::create_dir(&bin)?;
        for program in [kubectl, helm] {
            let name = program.file_name().context("a program has a name")?;
            std::os::unix::fs::symlink(&program, bin.join(name))?;
        }
        let search = format!("{}:/usr/bin:/bin", bin.display());
        Ok(Self { home, search })
    }

    fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Output> {
        let mut command = Command::new(binary("nimbus")?);
        command.args(words).env("PATH", &self.search).env("HOME", self.home.path());
        for name in ["KUBECONFIG", "NIMBUS_SERVER", "NIMBUS_TOKEN", "NIMBUS_CONTEXT", "NIMBUS_DATABASE_URL"] {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", self.home.path()).env("NO_COLOR", "1");
        command.envs(variables.iter().copied());
        command.output().context("cannot run nimbus")
    }

    /// The report, and the exit code.
    fn report(&self, words: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<(Report, i32)> {
        let words = [words, &["-o", "json"]].concat();
        let output = self.run(&words, variables)?;
        let said = String::from_utf8_lossy(&output.stderr);
        let document = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{words:?}: {}: {said}", output.status))?;
        Ok((Report(document), output.status.code().context("an exit code")?))
    }

    fn file(&self, name: &str, text: &str) -> anyhow::Result<String> {
        let path = self.home.path().join(name);
        fs::create_dir_all(path.parent().context("a file is in a directory")?)?;
        fs::write(&path, text)?;
        Ok(path.display().to_string())
    }
}

struct Report(Value);

impl Report {
    fn of(&self, name: &str) -> &Value {
        let items = self.0["items"].as_array().unwrap();
        items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name} in {}", self.0))
    }

    /// A check ended like that; what it found and what to do have this word in them.
    #[track_caller]
    fn is(&self, name: &str, outcome: &str, word: &str) {
        let found = self.of(name);
        assert_eq!(found["outcome"], outcome, "{found}");
        assert!(found.to_string().contains(word), "expected {word:?}: {found}");
        assert_eq!(found["remedy"] == "", outcome == "pass", "{found}");
    }

    /// The names of the checks that did not pass.
    fn open(&self) -> Vec<&str> {
        let items = self.0["items"].as_array().unwrap();
        items
            .iter()
            .filter(|item| item["outcome"] != "pass")
            .map(|item| item["name"].as_str().unwrap())
            .collect()
    }
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

/// What the charts ask for by themselves is what preflight supposes where nobody gives values.
#[test]
fn what_is_supposed_of_the_charts_is_what_they_ask_for() {
    let mut rendered = String::new();
    for (chart, more) in [
        ("charts/nimbus-control-plane", &["image.registry=r.example"][..]),
        ("charts/nimbus-agent", &["image.registry=r.example", "server=a:7071", "join.existingSecret=x"][..]),
    ] {
        let sets: Vec<&str> = more.iter().flat_map(|value| ["--set", value]).collect();
        let output = helm(&[&["template", "nimbus", chart], sets.as_slice()].concat()).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        rendered.push_str("\n---\n");
        rendered.push_str(&String::from_utf8(output.stdout).unwrap());
    }
    let mut needs = Needs::read(&rendered).unwrap();
    // The join token is in no Secret by itself: the values above name one.
    let secrets: Vec<_> =
        needs.secrets.drain(..).map(|secret| (secret.value, secret.name, secret.keys)).collect();
    assert_eq!(secrets, [("join.existingSecret", "x".to_owned(), vec!["token".to_owned()])]);
    assert_eq!(needs, Needs::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_looked_at_before_an_installation() {
    let cluster = Cluster::start(Options::default()).await.unwrap();
    let operator = Operator::new().unwrap();
    let config = path(&cluster.kubeconfig_path());
    let preflight = ["preflight", "--kubeconfig", &config];
    let look = |more: &[&str]| operator.report(&[&preflight, more].concat(), &[]).unwrap();

    let (report, code) = look(&[]);
    report.is("storage", "failure", "there is none");
    assert_eq!((report.open(), code), (vec!["storage"], 1), "{}", report.0);
    report.is("cluster", "pass", "answers");
    report.is("clock", "pass", "API server");
    report.is("nodes", "pass", "3 nodes");
    report.is("rights", "pass", "everything");
    report.is("pod-security", "pass", "not there yet");
    report.is("release", "pass", "nothing");

    stopped(&cluster, &operator, &config).await;

    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"},
        "provisioner": "example.com/disks",
    });
    let file = operator.file("class.json", &class.to_string()).unwrap();
    cluster.kubectl(&["apply", "-f", &file]).await.unwrap();
    look(&[]).0.is("storage", "failure", "there are fast");
    cluster
        .kubectl(&["annotate", "storageclass", "fast", "storageclass.kubernetes.io/is-default-class=true"])
        .await
        .unwrap();
    let (report, code) = look(&["--exit-code"]);
    assert_eq!((report.open(), code), (Vec::new(), 0), "{}", report.0);
    let table = operator.run(&preflight, &[]).unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("Preflight: ") && table.contains("StorageClass fast"), "{table}");

    values(&cluster, &operator, &look).await;
    users(&cluster, &operator);
    releases(&operator, &config, &look);
    pods(&operator, &config).await;

    let dead = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: a, user: a}}}}]\n\
         users: [{{name: a, user: {{token: x}}}}]\nclusters: [{{name: a, cluster: {{server: 'https://127.0.0.1:{}'}}}}]\n",
        free_port().unwrap()
    );
    let dead = operator.file("dead.yaml", &dead).unwrap();
    let (report, code) = operator.report(&["preflight", "--kubeconfig", &dead], &[]).unwrap();
    report.is("cluster", "failure", "refused");
    report.is("nodes", "unknown", "`cluster`");
    assert_eq!(code, 1);

    let (report, code) = operator.report(&preflight, &[("PATH", "/nonexistent")]).unwrap();
    report.is("kubectl", "unknown", "install kubectl");
    report.is("helm", "unknown", "install helm");
    assert!(report.0["counts"]["pass"] == 0 && report.0["counts"]["failure"] == 0, "{}", report.0);
    assert_eq!((code, &report.0["passed"]), (1, &false.into()), "nothing failed, and nothing is known");
    let output = operator.run(&["doctor", "--agents", "$(x):1"], &[]).unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What is missing stops an installation before its first step.
async fn stopped(cluster: &Cluster, operator: &Operator, config: &str) {
    let out = operator.home.path().join("prod");
    let charts = format!("charts={}", path(&repository().unwrap().join("charts")));
    let answers = ["registry=registry.example.internal", "database.kind=sqlite", &charts];
    let out_dir = path(&out);
    let mut words =
        vec!["enterprise", "deploy", "--mode", "on-premise", "--out", &out_dir, "--apply", "--yes"];
    words.extend(answers.iter().flat_map(|answer| ["--answer", answer]));
    let output = operator.run(&words, &[("KUBECONFIG", config)]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("no StorageClass is the default one") && said.contains("--skip-preflight"),
        "{said}"
    );
    // The plan makes the namespaces so that they take no pod which mounts something of its node.
    let more = operator.file("more.yaml", "hostAccess:\n  units: true\n").unwrap();
    let more = format!("extra.agent_values={more}");
    words.extend(["--answer", &more]);
    let output = operator.run(&words, &[("KUBECONFIG", config)]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("nimbus-system is made so that it enforces restricted"), "{said}");
    let namespaces = cluster.kubectl(&["get", "namespaces", "-o", "name"]).await.unwrap();
    assert!(!namespaces.contains("nimbus") && !out.join("state.json").exists(), "{namespaces}");
}

/// Values that contradict each other, and values that the cluster does not take.
async fn values(cluster: &Cluster, operator: &Operator, look: &impl Fn(&[&str]) -> (Report, i32)) {
    let charts = path(&repository().unwrap().join("charts"));
    let good = operator.file("control-plane.yaml", CONTROL_PLANE).unwrap();
    let agents = operator.file("agents.yaml", AGENTS).unwrap();
    let with = |control_plane: &str, agents: &str, more: &[&str]| {
        let files = ["--charts", &charts, "--control-plane-values", control_plane, "--agent-values", agents];
        look(&[&files[..], more].concat())
    };
    // The join token comes from a control plane that runs, so its Secret cannot be there yet.
    let (report, code) = with(&good, &agents, &[]);
    assert_eq!((report.open(), code), (vec!["secrets"], 0), "{}", report.0);
    report.is("values", "pass", "take");
    report.is("secrets", "warning", "no Secret join in nimbus, which join.existingSecret names");
    secrets::looked_at(cluster, operator, &with).await;

    // One of the two is installed first.
    for (flag, file, left_out) in [
        ("--control-plane-values", &good, "nimbus-agent"),
        ("--agent-values", &agents, "nimbus-control-plane"),
    ] {
        let (report, code) = look(&["--charts", &charts, flag, file]);
        report.is("values", "pass", &format!("{left_out} was not looked at"));
        assert_eq!(code, 0, "{}", report.0);
    }

    let both = operator.file("both.yaml", &format!("{CONTROL_PLANE}replicas: 3\n")).unwrap();
    let (report, code) = with(&both, &agents, &[]);
    report.is("values", "failure", "replicas");
    assert_eq!(code, 1);

    let elsewhere = format!("{CONTROL_PLANE}persistence:\n  storageClass: slwo\n");
    let elsewhere = operator.file("elsewhere.yaml", &elsewhere).unwrap();
    with(&elsewhere, &agents, &[]).0.is("storage", "failure", "slwo");

    let balanced = format!("{CONTROL_PLANE}services:\n  agents:\n    type: LoadBalancer\n");
    let balanced = operator.file("balanced.yaml", &balanced).unwrap();
    let (report, code) = with(&balanced, &agents, &["--exit-code"]);
    report.is("load-balancer", "unknown", "LoadBalancer");
    assert_eq!(code, 3);

    let label = json!({"pod-security.kubernetes.io/enforce": "restricted"});
    cluster.namespace("strict", &label).await.unwrap();
    let (report, _) = with(&good, &agents, &["--namespace", "strict"]);
    report.is("pod-security", "pass", "restricted");
    let files = format!(
        "{AGENTS}hostAccess:\n  files:\n    - path: /etc/kubernetes/manifests\n      type: Directory\n"
    );
    let files = operator.file("files.yaml", &files).unwrap();
    let (report, code) = with(&good, &files, &["--namespace", "strict"]);
    report.is("pod-security", "failure", "/etc/kubernetes/manifests");
    report.is("pod-security", "failure", "strict");
    assert_eq!(code, 1);
    let (report, _) = with(&good, &files, &["--namespace", "not-made-yet"]);
    report.is("pod-security", "unknown", "not there yet");

    // What refused values want is not what the charts want by themselves.
    let (report, _) = with(&both, &files, &[]);
    for name in ["pod-security", "storage", "resources", "load-balancer"] {
        report.is(name, "unknown", "does not take them");
    }
    let pipe = path(&operator.home.path().join("pipe.yaml"));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let (report, _) = with(&pipe, &agents, &[]);
    report.is("values", "unknown", "a pipe");
    report.is("storage", "unknown", "could not be read");
    // Of a cluster that nobody saw nothing is passed, whatever this machine has.
    let (report, code) = operator.report(&["preflight", "--kubeconfig", &pipe], &[]).unwrap();
    report.is("helm", "pass", "helm");
    report.is("cluster", "unknown", "a pipe");
    assert_eq!(code, 1);
}

/// A user who may do nothing.
fn users(cluster: &Cluster, operator: &Operator) {
    let nobody = path(&cluster.kubeconfig_for("nobody", &[]).unwrap());
    let (report, code) = operator.report(&["preflight", "--kubeconfig", &nobody], &[]).unwrap();
    report.is("rights", "failure", "create statefulsets.apps in nimbus");
    report.is("storage", "unknown", "orbidden");
    report.is("nodes", "unknown", "orbidden");
    report.is("cluster", "pass", "answers");
    assert_eq!(code, 1);
}

/// A release of a version that is more than one away.
fn releases(operator: &Operator, config: &str, look: &impl Fn(&[&str]) -> (Report, i32)) {
    let chart = operator.home.path().join("nimbus-agent");
    let copied = Command::new("cp")
        .arg("-R")
        .arg(repository().unwrap().join("charts/nimbus-agent"))
        .arg(&chart)
        .status();
    assert!(copied.unwrap().success());
    let file = chart.join("Chart.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let own = text.lines().find(|line| line.starts_with("version: ")).unwrap().to_owned();
    fs::write(&file, text.replace(&own, "version: 7.0.0")).unwrap();
    let values = operator.file("agents.yaml", AGENTS).unwrap();
    let (kubeconfig, values) = (format!("--kubeconfig={config}"), format!("--values={values}"));
    let chart = path(&chart);
    let words = ["install", "far", &chart, "--namespace=far", "--create-namespace", &kubeconfig, &values];
    let output = helm(&words).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (report, code) = look(&["--namespace", "far"]);
    report.is("release", "failure", "far/far is nimbus-agent 7.0.0");
    assert_eq!(code, 1);
}

/// The pods of that release, which the simulated kubelets start.
async fn pods(operator: &Operator, config: &str) {
    let closed = format!("127.0.0.1:{}", free_port().unwrap());
    let in_namespace = |namespace: &str| {
        let words = ["doctor", "--agents", &closed, "--kubeconfig", config, "--namespace", namespace];
        operator.report(&words, &[]).map(|(report, _)| report)
    };
    let report = wait_for("the agents' pods to be ready", PATIENCE, || async {
        let report = in_namespace("far")?;
        let said = report.0.to_string();
        Ok(Seen::when((report.of("pods")["outcome"] == "pass").then_some(report), said))
    })
    .await
    .unwrap();
    report.is("pods", "pass", "3 pods");
    report.is("listener", "failure", &closed);
    in_namespace("default").unwrap().is("pods", "failure", "no pod of Nimbus");

    // A namespace that enforces `restricted` refuses pods that mount paths of the nodes: the chart says so where it asks the cluster,
    // and without that there is none that could be listed.
    let charts = repository().unwrap().join("charts/nimbus-agent");
    let files = operator.home.path().join("files.yaml");
    let (chart, kubeconfig, values) =
        (path(&charts), format!("--kubeconfig={config}"), format!("--values={}", path(&files)));
    let words = ["install", "refused", &chart, "--namespace=strict", &kubeconfig, &values];
    let output = helm(&words).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("which enforces \"restricted\""), "{said}");
    let output = helm(&[&words[..], &["--set=acting.checkCluster=false"]].concat()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = wait_for("the refusal to be told", PATIENCE, || async {
        let report = in_namespace("strict")?;
        let said = report.0.to_string();
        Ok(Seen::when(said.contains("violates PodSecurity").then_some(report), said))
    })
    .await
    .unwrap();
    report.is("pods", "failure", "has 0 of 3 pods");
    report.is("pods", "failure", "whose label takes it");
}

#[test]
fn a_database_is_looked_at_before_an_installation() {
    let postgres = Postgres::start().unwrap();
    let operator = Operator::new().unwrap();
    let look = |url: &str| {
        let (report, code) = operator.report(&["preflight", "--no-cluster", "--database", url], &[]).unwrap();
        // Nothing else is asked for: one that failed, or that only warns, leaves nothing that passed.
        assert_eq!(code, i32::from(report.of("database")["outcome"] != "pass"), "{}", report.0);
        assert!(!report.0.to_string().contains("s3cret"), "{}", report.0);
        report
    };
    let good = postgres.fresh_database().unwrap();
    look(&good).is("database", "pass", "may create tables");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let name = good.rsplit('/').next().unwrap();
    assert_eq!(postgres.sql(name, tables).unwrap(), "0", "nothing is written");

    let admin = |statement: &str| postgres.sql("postgres", statement).unwrap();
    admin("CREATE ROLE weak LOGIN CONNECTION LIMIT 3");
    let weak = good.replace("postgres@", "weak@");
    if admin("SHOW server_version_num").parse::<u32>().unwrap() < 150_000 {
        postgres.sql(name, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").unwrap();
    }
    look(&weak).is("database", "failure", "may not create tables");
    postgres.sql(name, "GRANT CREATE ON SCHEMA public TO weak").unwrap();
    look(&weak).is("database", "warning", "3 connections are free");
    admin("CREATE DATABASE odd ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    look(&postgres.url_of("odd")).is("database", "failure", "SQL_ASCII");
    admin("ALTER DATABASE odd SET default_transaction_read_only = on");
    look(&postgres.url_of("odd")).is("database", "failure", "takes no writes");
    look(&postgres.url_of("missing")).is("database", "failure", "the database is not there: postgres://");

    // Who has a password is asked for it from now on.
    admin("CREATE ROLE careful LOGIN PASSWORD 'right'");
    let file = PathBuf::from(admin("SHOW hba_file"));
    let rules = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("host all careful 127.0.0.1/32 scram-sha-256\n{rules}")).unwrap();
    admin("SELECT pg_reload_conf()");
    look(&good.replace("postgres@", "careful:s3cret@")).is(
        "database",
        "failure",
        "password authentication failed",
    );

    let dead = format!("postgres://nimbus:s3cret@127.0.0.1:{}/nimbus", free_port().unwrap());
    look(&dead).is("database", "failure", "does not answer");
    look("sqlite:///var/lib/nimbus.db").is("database", "failure", "PostgreSQL");
    look("postgres://nimbus:s3cret@db/nimbus?ssl=no").is("database", "failure", "ssl");
    look("postgres://nimbus:s3cret@db/nimbus?sslmode=nonsense").is("database", "failure", "sslmode nonsense");
    look("postgres://nimbus:s3cret@db:99999/nimbus").is("database", "failure", "a port 99999");
    // Without a password there is nothing to hide.
    let dead = format!("postgres://nimbus@127.0.0.1:{}/nimbus", free_port().unwrap());
    look(&dead).is("database", "failure", &dead);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_installation_is_looked_at() {
    let mut plane = Plane::start(None, QUICK).await.unwrap();
    let options = AgentOptions { name: "edge".to_owned(), ..AgentOptions::default() };
    let mut agent = AgentProcess::join(&plane, options).await.unwrap();
    let operator = Operator::new().unwrap();
    let (url, token) = (plane.url(), fs::read_to_string(plane.data_dir().join("operator.token")).unwrap());
    let login = [("NIMBUS_SERVER", url.as_str()), ("NIMBUS_TOKEN", token.trim())];
    let (at, data) = (plane.quic().to_string(), path(&plane.data_dir()));
    let words = ["doctor", "--agents", &at, "--data-dir", &data];

    // The first check of everything stored, and the agent's first report, take a moment.
    let report = wait_for("every check to pass", PATIENCE, || async {
        let (report, code) = operator.report(&[&words[..], &["--exit-code"]].concat(), &login)?;
        let said = report.0.to_string();
        Ok(Seen::when((code == 0).then_some(report), said))
    })
    .await
    .unwrap();
    assert!(report.open().is_empty(), "{}", report.0);
    report.is("listener", "pass", "QUIC answers over UDP, the agents' listener answers over TCP");
    report.is("transport", "pass", "by QUIC");
    report.is("authority", "pass", "ca.pem");

    agent.kill9().unwrap();
    let report = wait_for("the agent to be missed", PATIENCE, || async {
        let (report, _) = operator.report(&words, &login)?;
        let said = report.0.to_string();
        Ok(Seen::when((report.of("agents")["outcome"] == "failure").then_some(report), said))
    })
    .await
    .unwrap();
    report.is("agents", "failure", "edge");

    let (report, code) = operator.report(&["doctor"], &[login[0], ("NIMBUS_TOKEN", "wrong")]).unwrap();
    report.is("control-plane", "failure", "token");
    report.is("agents", "unknown", "control-plane");
    assert_eq!(code, 1);

    // From a machine that knows no control plane the network alone is looked at.
    let (report, code) = operator.report(&["doctor", "--agents", &at], &[]).unwrap();
    assert_eq!((report.0["items"].as_array().unwrap().len(), code), (1, 0), "{}", report.0);
    plane.stop().unwrap();
    let (report, code) = operator.report(&["doctor", "--agents", &at], &[]).unwrap();
    report.is("listener", "failure", &at);
    assert_eq!(code, 1);
    let (report, code) = operator.report(&["doctor"], &login).unwrap();
    report.is("control-plane", "failure", "no control plane is running there");
    assert_eq!(code, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_told_by_its_days_or_by_its_wrong_ca() {
    let operator = Operator::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let rest = SocketAddr::from(([0, 0, 0, 0], free_port().unwrap()));
    let quic = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let mut command = Command::new(binary("nimbus-control-plane").unwrap());
    command.arg("--data-dir").arg(dir.path().join("data"));
    command.args(["--listen", &rest.to_string(), "--quic", &quic.to_string()]);
    let process = Process::start("control-plane", command, dir.path()).unwrap();
    let server = format!("https://127.0.0.1:{}", rest.port());
    let context = |ca: &Path| {
        let token = dir.path().join("data/operator.token");
        let text = format!(
            "current = \"tls\"\n[contexts.tls]\nserver = {server:?}\ntoken_file = {token:?}\nca_file = {ca:?}\n"
        );
        operator.file("nimbus/config.toml", &text).unwrap();
    };
    let own = dir.path().join("data/ca.pem");
    context(&own);
    let report = wait_for("the control plane to answer", PATIENCE, || async {
        let (report, _) = operator.report(&["doctor"], &[])?;
        let said = format!("{}\n{}", report.0, process.output());
        Ok(Seen::when((report.of("control-plane")["outcome"] != "failure").then_some(report), said))
    })
    .await
    .unwrap();
    report.is("certificate", "pass", "is valid until");
    report.is("authority", "pass", "ca.pem");
    report.is("versions", "pass", "no agent has joined");
    // The operators' port in the place of the agents'.
    let (report, code) =
        operator.report(&["doctor", "--agents", &format!("127.0.0.1:{}", rest.port())], &[]).unwrap();
    report.is("listener", "failure", "speaks TLS and not the agents' protocol");
    report.is("listener", "failure", "7070 is the operators'");
    assert_eq!(code, 1);

    let keys = path(&dir.path().join("others"));
    let made = operator.run(&["keys", "create", &keys], &[]).unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    context(&Path::new(&keys).join("ca.pem"));
    let (report, code) = operator.report(&["doctor"], &[]).unwrap();
    report.is("control-plane", "failure", "not to be trusted");
    report.is("certificate", "unknown", "control-plane");
    assert_eq!(code, 1);
}
