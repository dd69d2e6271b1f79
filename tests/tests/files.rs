//! Tests of a watched file that is changed, deleted, added or given another mode: its drift is reported with the
//! difference, and it is restored after approval or accepted as the new baseline. Processes and file system are real.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::site::PATIENCE;
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::{Value, json};

const SECRET: &str = "correct-horse-battery-staple-9000";
/// What no rule would take for a secret, in a file whose contents the policy keeps on the host.
const WORDS: &str = "the words of this file stay on their host";

struct Host {
    plane: Plane,
    agent: AgentProcess,
    root: tempfile::TempDir,
}

impl Host {
    async fn start() -> anyhow::Result<Self> {
        let plane = Plane::start(None, QUICK).await?;
        let root = tempfile::tempdir()?;
        std::fs::write(root.path().join("app.conf"), "workers = 4\nport = 8080\n")?;
        std::fs::write(root.path().join("run.sh"), "#!/bin/sh\nexec app\n")?;
        std::fs::set_permissions(root.path().join("run.sh"), PermissionsExt::from_mode(0o755))?;
        std::fs::write(root.path().join("password.env"), format!("DB_PASSWORD={SECRET}\n"))?;
        std::fs::write(root.path().join("logo.bin"), [0, 159, 146, 150, 0, 1])?;
        std::fs::write(root.path().join("hidden.conf"), format!("note = {WORDS}\n"))?;
        let options = AgentOptions {
            name: "host".into(),
            watch: vec![root.path().to_owned()],
            policy: format!(
                "allow = [\"restore_file\", \"accept_baseline\"]\npaths = [\"{0}\"]\ndiff_paths = [\"{0}\"]\n\
                 deny_diff_paths = [\"{0}/hidden.conf\"]\n",
                root.path().display()
            ),
            ..AgentOptions::default()
        };
        let agent = AgentProcess::join(&plane, options).await?;
        let host = Self { plane, agent, root };
        host.wait_for_baseline(5).await?;
        Ok(host)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    async fn wait_for_baseline(&self, files: u64) -> anyhow::Result<()> {
        wait_for("the first pass to become the baseline", PATIENCE, || async {
            let me = self.agent.seen_by(&self.plane).await?;
            let seen = me["roots"][0]["files"].as_u64();
            Ok(Seen::when((seen >= Some(files)).then_some(()), format!("{me}\n{}", self.agent.output())))
        })
        .await
    }

    /// Waits for the drift of one path, with its approval, and gives its detail.
    async fn drift(&self, path: &Path) -> anyhow::Result<Value> {
        let wanted = path.display().to_string();
        let id = wait_for(&format!("a drift of {wanted}"), PATIENCE, || async {
            let all = self.plane.items("/drift").await?;
            let mine = all
                .iter()
                .find(|d| d["object"]["name"] == wanted.as_str() && d["state"] == "waiting_approval");
            Ok(Seen::when(mine.map(|d| d["id"].clone()), serde_json::to_string_pretty(&all)?))
        })
        .await?;
        self.plane.get(&format!("/drift/{}", id.as_str().unwrap_or_default())).await
    }

    /// `nimbus drift fix`.
    async fn fix(&self, drift: &Value) -> anyhow::Result<()> {
        let path = format!("/drift/{}/fix", drift["id"].as_str().unwrap_or_default());
        self.plane.post(&path, json!({"plan_digest": drift["plan_digest"]})).await?;
        self.ends(drift, "resolved").await
    }

    async fn ends(&self, drift: &Value, state: &str) -> anyhow::Result<()> {
        let path = format!("/incidents/{}", drift["id"].as_str().unwrap_or_default());
        wait_for(&format!("the drift to be {state}"), PATIENCE, || async {
            let incident = self.plane.get(&path).await?;
            Ok(Seen::when(
                (incident["state"] == state).then_some(()),
                serde_json::to_string_pretty(&incident)?,
            ))
        })
        .await
    }
}

async fn changed(host: &Host) -> anyhow::Result<()> {
    let path = host.path("app.conf");
    std::fs::write(&path, "workers = 400\nport = 8080\n")?;
    let drift = host.drift(&path).await?;
    let diff = drift["diff"].as_str().unwrap_or_default();
    assert!(diff.contains("-workers = 4\n") && diff.contains("+workers = 400"), "{drift}");
    assert_eq!(
        std::fs::read_to_string(&path)?,
        "workers = 400\nport = 8080\n",
        "nothing before the approval"
    );
    host.fix(&drift).await?;
    assert_eq!(std::fs::read_to_string(&path)?, "workers = 4\nport = 8080\n");
    Ok(())
}

async fn deleted_added_and_mode(host: &Host) -> anyhow::Result<()> {
    let (gone, new, mode) = (host.path("logo.bin"), host.path("backdoor.sh"), host.path("run.sh"));
    std::fs::remove_file(&gone)?;
    std::fs::write(&new, "#!/bin/sh\n")?;
    std::fs::set_permissions(&mode, PermissionsExt::from_mode(0o777))?;
    let drift = host.drift(&gone).await?;
    assert_eq!(drift["diff"].as_str().unwrap_or_default(), "", "binary content is not shown: {drift}");
    host.fix(&drift).await?;
    assert_eq!(std::fs::read(&gone)?, [0, 159, 146, 150, 0, 1]);
    host.fix(&host.drift(&new).await?).await?;
    assert!(!new.exists());
    host.fix(&host.drift(&mode).await?).await?;
    assert_eq!(std::fs::metadata(&mode)?.permissions().mode() & 0o7777, 0o755);
    Ok(())
}

async fn owner(host: &Host) -> anyhow::Result<()> {
    let path = host.path("app.conf");
    if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
        eprintln!("not root: a file's owner cannot be changed here, so that line of the story is left out");
        return Ok(());
    }
    host.fix(&host.drift(&path).await?).await?;
    let now = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&path)?);
    let root = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(host.root.path())?);
    assert_eq!(now, root);
    Ok(())
}

async fn secret(host: &Host) -> anyhow::Result<()> {
    let path = host.path("password.env");
    std::fs::write(&path, format!("DB_PASSWORD={SECRET}-changed\n"))?;
    let drift = host.drift(&path).await?;
    assert_eq!((&drift["diff"], &drift["diff_withheld"]), (&Value::Null, &"secret".into()), "{drift}");
    is_nowhere(host, SECRET).await?;
    host.fix(&drift).await?;
    assert_eq!(std::fs::read_to_string(&path)?, format!("DB_PASSWORD={SECRET}\n"), "restored all the same");
    is_nowhere(host, SECRET).await
}

/// The policy keeps the contents of one file on the host: hashes, sizes and numbers of lines leave it, and it is put back.
async fn hidden(host: &Host) -> anyhow::Result<()> {
    let path = host.path("hidden.conf");
    std::fs::write(&path, format!("note = {WORDS}, changed\nmore = 1\n"))?;
    let drift = host.drift(&path).await?;
    assert_eq!((&drift["diff"], &drift["diff_withheld"]), (&Value::Null, &"policy".into()), "{drift}");
    assert_eq!(drift["lines"], json!({"before": 1, "after": 2, "added": 2, "removed": 1}), "{drift}");
    assert!(
        drift["before"]["sha256"] != drift["after"]["sha256"] && drift["after"]["size"].is_u64(),
        "{drift}"
    );
    is_nowhere(host, WORDS).await?;
    host.fix(&drift).await?;
    assert_eq!(std::fs::read_to_string(&path)?, format!("note = {WORDS}\n"));
    is_nowhere(host, WORDS).await
}

/// The value is in no file of the control plane (database, keys), in none of the agent's but its copies for a restore, in no
/// log line, no export and no response.
async fn is_nowhere(host: &Host, value: &str) -> anyhow::Result<()> {
    let holds = |bytes: &[u8]| bytes.windows(value.len()).any(|part| part == value.as_bytes());
    let mut folders = vec![host.plane.data_dir(), host.agent.data_dir()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                // The agent's own copies, from which it restores.
                if path.file_name().is_some_and(|name| name != "blobs") {
                    folders.push(path);
                }
                continue;
            }
            files += 1;
            assert!(!holds(&std::fs::read(&path).unwrap_or_default()), "{value:?} is in {}", path.display());
        }
    }
    assert!(files > 5, "the database, the keys, the spool, the journal and the baseline were looked at");
    for output in [host.plane.output(), host.agent.output()] {
        assert!(!output.contains(value), "{value:?} is in a log");
    }
    for format in ["csv", "cef", "json"] {
        let export = host.plane.text(&format!("/audit/export?format={format}")).await?;
        assert!(export.contains("incident.opened") && !export.contains(value), "{format}: {export}");
    }
    for list in ["/drift", "/incidents", "/approvals", "/jobs", "/audit"] {
        for item in host.plane.items(list).await? {
            assert!(!item.to_string().contains(value), "{list}: {item}");
            if let Some(id) = item["id"].as_str().filter(|_| list != "/audit") {
                let detail = host.plane.get(&format!("{list}/{id}")).await?;
                assert!(!detail.to_string().contains(value), "{list}/{id}: {detail}");
            }
        }
    }
    Ok(())
}

async fn accepted(host: &Host) -> anyhow::Result<()> {
    let path = host.path("app.conf");
    std::fs::write(&path, "workers = 8\nport = 8080\n")?;
    let drift = host.drift(&path).await?;
    let order = format!("/drift/{}/baseline", drift["id"].as_str().unwrap_or_default());
    // What was shown is what is accepted: any other state is refused, and so is an order that names none.
    for (shown, status) in [(&drift["before"], 409), (&Value::Null, 400)] {
        let body = json!({"shown": shown});
        let (found, problem) = host.plane.request(reqwest::Method::POST, &order, Some(body)).await?;
        assert_eq!(found, status, "{problem}");
    }
    host.plane.post(&order, json!({"shown": drift["after"]})).await?;
    host.ends(&drift, "resolved").await?;
    assert_eq!(std::fs::read_to_string(&path)?, "workers = 8\nport = 8080\n", "the file stays as it is");
    // The new baseline is what a later fix restores.
    std::fs::write(&path, "workers = 9\n")?;
    host.fix(&host.drift(&path).await?).await?;
    assert_eq!(std::fs::read_to_string(&path)?, "workers = 8\nport = 8080\n");
    Ok(())
}

/// Approved for one state, changed again before it is applied: never overwritten unseen.
async fn outdated(host: &Host) -> anyhow::Result<()> {
    let path = host.path("app.conf");
    std::fs::write(&path, "first = 1\n")?;
    let old = host.drift(&path).await?;
    std::fs::write(&path, "second = 2\n")?;
    let order = format!("/drift/{}/fix", old["id"].as_str().unwrap_or_default());
    wait_for("a plan for the second change", PATIENCE, || async {
        let now = host.drift(&path).await?;
        Ok(Seen::when((now["plan_digest"] != old["plan_digest"]).then_some(()), now.to_string()))
    })
    .await?;
    let body = json!({"plan_digest": old["plan_digest"]});
    let (status, problem) = host.plane.request(reqwest::Method::POST, &order, Some(body)).await?;
    assert_eq!(status, 409, "{problem}");
    assert_eq!(std::fs::read_to_string(&path)?, "second = 2\n");
    host.fix(&host.drift(&path).await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watched_file_is_put_back_after_approval_or_accepted() {
    let host = Host::start().await.unwrap();
    changed(&host).await.unwrap();
    deleted_added_and_mode(&host).await.unwrap();
    owner(&host).await.unwrap();
    secret(&host).await.unwrap();
    hidden(&host).await.unwrap();
    accepted(&host).await.unwrap();
    outdated(&host).await.unwrap();
    assert_eq!(host.plane.get("/audit/verify").await.unwrap()["valid"], true);
}
