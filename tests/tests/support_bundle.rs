//! `nimbus support-bundle` against a real control plane and a real API server: a hundred secrets are planted in what they
//! say, and none is in the bundle, neither as it is nor as base64; what a maintainer reads is.
//!
//! Pods do not run on the simulated nodes: `kubectl logs` alone is a script, which prints a log with secrets. Everything
//! else that kubectl says is what the real one says of the real API server.

#[path = "support_bundle/planted.rs"]
mod planted;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::process::binary;
use nimbus_tests::rig::{Cluster, build};
use nimbus_tests::site::PATIENCE;
use nimbus_tests::wait::{Seen, wait_for};
use planted::Planted;
use serde_json::{Value, json};

/// `kubectl logs` prints a file; everything else is the real one's.
const KUBECTL: &str = "#!/bin/sh\ncase \"$1\" in logs) cat 'DIR/log'; exit 0 ;; esac\nexec 'REAL' --kubeconfig 'CONFIG' \"$@\"\n";

/// A directory with a `kubectl` and room for bundles.
struct Desk(tempfile::TempDir);

/// How the command ended, and what it printed.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Desk {
    fn new(cluster: &Cluster, log: &str) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let real = build::ensure_all(&root, false)?.path("kubectl");
        std::fs::create_dir(dir.path().join("bin"))?;
        std::fs::write(dir.path().join("log"), log)?;
        let script = KUBECTL
            .replace("DIR", &dir.path().display().to_string())
            .replace("REAL", &real.display().to_string())
            .replace("CONFIG", &cluster.kubeconfig_path().display().to_string());
        let path = dir.path().join("bin/kubectl");
        std::fs::write(&path, script)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(Self(dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `nimbus support-bundle WORDS` as an operator of this control plane.
    async fn bundle(&self, plane: &Plane, words: &[&str]) -> anyhow::Result<Ended> {
        let token = std::fs::read_to_string(plane.data_dir().join("operator.token"))?;
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = tokio::process::Command::new(binary("nimbus")?);
        command.arg("support-bundle").args(words).env("NIMBUS_SERVER", plane.url());
        command.env("NIMBUS_TOKEN", token.trim()).env("NO_COLOR", "1").env("XDG_CONFIG_HOME", self.0.path());
        command.env("HOME", self.0.path()).env("PATH", format!("{}:{path}", self.path("bin").display()));
        let output = command.kill_on_drop(true).output().await.context("cannot run nimbus")?;
        let read = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ended { code: output.status.code(), out: read(&output.stdout), err: read(&output.stderr) })
    }
}

/// The files of a bundle.
fn unpacked(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(path)?));
    let mut files = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text)?;
        files.insert(name.trim_start_matches("nimbus-support/").to_owned(), text);
    }
    Ok(files)
}

/// Makes objects of Nimbus's in the namespace, with secrets in every place where one can be.
async fn plant(cluster: &Cluster, namespace: &str, planted: &mut Planted, desk: &Path) -> anyhow::Result<()> {
    let labels = json!({"app.kubernetes.io/part-of": "nimbus"});
    let (data, plain) = planted.values();
    let mut items = vec![
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "nimbus-agent-x7k2p", "labels": labels, "annotations": planted.annotations()},
            "spec": {"containers": [{
                "name": "agent", "image": "registry.example/nimbus/agent:0.1.0",
                "args": planted.arguments(), "env": planted.variables(),
            }]},
        }),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nimbus-files", "labels": labels}, "data": planted.files()}),
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "nimbus-keys", "labels": labels}, "data": data, "stringData": plain,
        }),
    ];
    for (at, message) in planted.messages().into_iter().enumerate() {
        items.push(json!({
            "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": "Failed", "message": message,
            "metadata": {"name": format!("nimbus-agent-x7k2p.{at}"), "namespace": namespace},
            "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "nimbus-agent-x7k2p"},
        }));
    }
    let file = desk.join("objects.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())?;
    let file = file.display().to_string();
    cluster.kubectl(&["--namespace", namespace, "create", "-f", &file]).await?;
    Ok(())
}

/// A drifted file of a host, whose repair an operator denied with these words; the agent stays.
async fn denied(plane: &Plane, root: &Path, reason: &str) -> anyhow::Result<AgentProcess> {
    let file = root.join("a.conf");
    std::fs::write(&file, "workers = 4\n")?;
    let policy =
        format!("allow = [\"restore_file\"]\npaths = [\"{0}\"]\ndiff_paths = [\"{0}\"]\n", root.display());
    let options =
        AgentOptions { name: "host".into(), watch: vec![root.to_owned()], policy, ..AgentOptions::default() };
    let agent = AgentProcess::join(plane, options).await?;
    wait_for("the baseline", PATIENCE, || async {
        let me = agent.seen_by(plane).await?;
        Ok(Seen::when((me["roots"][0]["files"].as_u64() >= Some(1)).then_some(()), me.to_string()))
    })
    .await?;
    std::fs::write(&file, "workers = 400\n")?;
    let approval = wait_for("an approval to be asked for", PATIENCE, || async {
        let all = plane.items("/approvals").await?;
        let id = all.iter().find_map(|approval| approval["id"].as_str().map(str::to_owned));
        Ok(Seen::when(id, agent.output()))
    })
    .await?;
    let (code, said) = plane.nimbus(&["deny", &approval, "--reason", reason, "--yes"]).await?;
    anyhow::ensure!(code == Some(0), "deny: {said}");
    Ok(agent)
}

/// The forms in which a secret could be found: as it is, and as base64 of both alphabets.
fn forms(secret: &str) -> [String; 4] {
    let url = URL_SAFE_NO_PAD.encode(secret);
    [secret.to_owned(), STANDARD.encode(secret), STANDARD_NO_PAD.encode(secret), url]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_planted_secrets_none_is_in_the_bundle() -> anyhow::Result<()> {
    let (cluster, plane) = (Cluster::shared().await?, Plane::start(None, QUICK).await?);
    let work = cluster.workloads("support").await?;
    let mut planted = Planted::default();
    let log = planted.log().join("\n");
    let desk = Desk::new(cluster, &format!("started\n{log}\nstopped\n"))?;
    plant(cluster, work.namespace(), &mut planted, desk.0.path()).await?;
    let root = tempfile::tempdir()?;
    let _agent = denied(&plane, root.path(), &planted.reason()).await?;
    planted.secrets.push(std::fs::read_to_string(plane.data_dir().join("operator.token"))?.trim().to_owned());
    planted.secrets.push(plane.join_token("other", "host").await?);
    assert!(planted.secrets.len() >= 100, "{} are planted", planted.secrets.len());

    let out = desk.path("support.tar.gz");
    let file = out.display().to_string();
    let words = ["--out", &file, "--namespace", work.namespace(), "--cluster-logs", "-o", "json"];
    let ended = desk.bundle(&plane, &words).await?;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.err.is_empty(), "{}", ended.err);
    assert_eq!(std::fs::metadata(&out)?.permissions().mode() & 0o777, 0o600);

    let files = unpacked(&out)?;
    let mut left = Vec::new();
    for secret in &planted.secrets {
        for (name, text) in
            files.iter().map(|(name, text)| (name.as_str(), text)).chain([("stdout", &ended.out)])
        {
            if let Some(form) = forms(secret).iter().find(|form| text.contains(form.as_str())) {
                let line = text.lines().find(|line| line.contains(form.as_str())).unwrap_or_default();
                left.push(format!("{name}: {secret} in {}", line.trim()));
            }
        }
    }
    assert!(left.is_empty(), "{} left of {}:\n{}", left.len(), planted.secrets.len(), left.join("\n"));

    let manifest: Value = serde_json::from_str(&ended.out)?;
    let packed: Value = serde_json::from_str(&files["manifest.json"])?;
    assert_eq!(packed["parts"], manifest["parts"]);
    let parts = manifest["parts"].as_array().context("parts")?;
    let wrong: Vec<&Value> = parts.iter().filter(|part| !part["problem"].is_null()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let redactions = manifest["redactions"].as_u64().context("a count")?;
    assert!(redactions >= 100, "{redactions}");

    // What is read of it is there, and as it was: where nothing was planted, nothing went.
    let clean =
        ["version", "status", "clusters", "agents", "jobs", "autonomous", "rules", "audit-verification"];
    let changed: Vec<&Value> = parts
        .iter()
        .filter(|part| part["redactions"] != 0)
        .filter(|part| clean.iter().any(|name| part["name"] == format!("control-plane/{name}.json").as_str()))
        .collect();
    assert!(changed.is_empty(), "{changed:#?}\n{files:#?}");
    let agents: Value = serde_json::from_str(&files["control-plane/agents.json"])?;
    let seen = plane.get("/agents?limit=500").await?;
    for field in ["id", "name", "kind", "state", "version"] {
        assert_eq!(agents["items"][0][field], seen["items"][0][field], "{field}");
    }
    let status: Value = serde_json::from_str(&files["control-plane/status.json"])?;
    assert!(status["ready"].is_boolean(), "{status}");
    assert!(files["control-plane/metrics.txt"].contains("nimbus_agent_sessions"));
    assert!(files["control-plane/audit-verification.json"].contains("\"valid\": true"));
    let told = "not now: the new password=[redacted]";
    assert!(files.iter().any(|(name, text)| name.starts_with("control-plane/") && text.contains(told)));
    let pods: Value = serde_json::from_str(&files["cluster/pods.json"])?;
    let container = &pods["items"][0]["spec"]["containers"][0];
    assert_eq!(container["image"], "registry.example/nimbus/agent:0.1.0");
    assert_eq!(container["args"][1], "8080");
    let env = container["env"].as_array().context("variables")?;
    assert!(env.contains(&json!({"name": "LOG_LEVEL", "value": "debug"})));
    assert!(env.contains(&json!({"name": "DB_PASSWORD", "value": "[redacted]"})));
    assert!(files["cluster/describe.txt"].contains("nimbus-keys"), "{}", files["cluster/describe.txt"]);
    assert!(files["cluster/workloads.json"].contains("\"items\""), "{}", files["cluster/workloads.json"]);
    let maps = &files["cluster/configmaps.json"];
    for name in ["nimbus-files", r#"host = \"db\""#, r#""db.password": "[redacted]""#] {
        assert!(maps.contains(name), "{name}: {maps}");
    }
    assert!(files["cluster/events.json"].contains("Failed to pull image: unauthorized: password=[redacted]"));
    let log = &files["cluster/logs/nimbus-agent-x7k2p.log"];
    assert!(log.starts_with("started\n") && log.ends_with("stopped\n"), "{log}");
    assert!(log.contains("connecting to postgres://app:[redacted]@db.example/app"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_there_is_kept_and_what_cannot_be_asked_is_said() -> anyhow::Result<()> {
    let (cluster, mut plane) = (Cluster::shared().await?, Plane::start(None, QUICK).await?);
    let desk = Desk::new(cluster, "")?;
    let out = desk.path("support.tar.gz");
    let file = out.display().to_string();
    std::fs::write(&out, "mine")?;
    let words = ["--out", &file, "--namespace", "none-of-that-name"];
    let ended = desk.bundle(&plane, &words).await?;
    assert_eq!((ended.code, std::fs::read_to_string(&out)?.as_str()), (Some(5), "mine"), "{}", ended.err);
    assert!(ended.err.contains("--force"), "{}", ended.err);

    let ended = desk.bundle(&plane, &[&words[..], &["--dry-run"]].concat()).await?;
    assert_eq!(ended.code, Some(5), "it would not be written either: {}", ended.err);
    let other = desk.path("other.tar.gz");
    let other_file = other.display().to_string();
    let ended = desk.bundle(&plane, &["--out", &other_file, "--host", "--dry-run"]).await?;
    assert!(ended.code == Some(0) && !other.exists(), "{}", ended.err);
    assert!(ended.out.contains("journalctl") && ended.out.contains("GET /metrics"), "{}", ended.out);

    plane.stop()?;
    let ended = desk.bundle(&plane, &[&words[..], &["--force"]].concat()).await?;
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    for said in
        ["The support bundle was written", "control-plane/status.json: no control plane is running there"]
    {
        assert!(ended.out.contains(said), "{}", ended.out);
    }
    assert!(ended.err.contains("asking for cluster/pods.json") && ended.err.contains("before you send it"));
    let files = unpacked(&out)?;
    assert!(files.contains_key("version.json") && !files.contains_key("control-plane/status.json"));
    let manifest: Value = serde_json::from_str(&files["manifest.json"])?;
    let problem = |name: &str| {
        let parts = manifest["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
        parts.iter().find(|part| part["name"] == name).map(|part| part["problem"].clone())
    };
    assert_eq!(problem("version.json"), Some(Value::Null));
    assert!(problem("control-plane/metrics.txt").is_some_and(|problem| problem.is_string()));
    Ok(())
}
