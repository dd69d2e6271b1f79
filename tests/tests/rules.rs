//! A test of rules that people set, by the `nimbus` command, on files of a real host agent: what a rule lets begin is begun without asking,
//! what it is not for is asked for, and the agent's own policy has the last word.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::site::PATIENCE;
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::Value;

const DONE: Option<i32> = Some(0);
const WRONG: Option<i32> = Some(1);
const NOT_FOUND: Option<i32> = Some(7);

const GOOD: &str = "port = 8080\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_lets_files_be_put_back_without_asking_where_the_agent_takes_its_word() {
    told().await.unwrap();
}

/// A control plane, and the host with the watched files.
struct Site {
    plane: Plane,
    root: tempfile::TempDir,
    rules: tempfile::TempDir,
}

impl Site {
    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    async fn says(&self, words: &[&str], code: Option<i32>, part: &str) -> anyhow::Result<String> {
        let (found, said) = self.plane.nimbus(words).await?;
        anyhow::ensure!(found == code && said.contains(part), "{words:?}: {found:?}, {said}");
        Ok(said)
    }

    async fn incident_of(&self, path: &Path, state: &str) -> anyhow::Result<Value> {
        let name = path.display().to_string();
        wait_for(&format!("the incident of {name} to be {state}"), PATIENCE, || async {
            let all = self.plane.items("/incidents").await?;
            let is_it = |it: &&Value| it["object"]["name"] == name.as_str() && it["state"] == state;
            Ok(Seen::when(all.iter().find(is_it).cloned(), format!("{all:?}")))
        })
        .await
    }

    async fn over(&self, incident: &Value) -> anyhow::Result<()> {
        let path = format!("/incidents/{}", incident["id"].as_str().context("an id")?);
        wait_for("the incident to be over", PATIENCE, || async {
            let now = self.plane.get(&path).await?;
            Ok(Seen::when((now["state"] == "resolved").then_some(()), now))
        })
        .await
    }

    async fn put_back(&self, path: &Path) -> anyhow::Result<()> {
        wait_for(&format!("{} to be put back", path.display()), PATIENCE, || async {
            let now = std::fs::read_to_string(path)?;
            Ok(Seen::when((now == GOOD).then_some(()), now))
        })
        .await
    }

    /// Writes the rule into a file and names that.
    fn rule(&self, text: &str) -> anyhow::Result<String> {
        let file = self.rules.path().join("rule.yaml");
        std::fs::write(&file, text)?;
        Ok(file.display().to_string())
    }
}

fn rule_text(auto_approve: bool) -> String {
    format!(
        "name: configs\naction: restore_file\nclusters: [host]\ncondition: object.name.endsWith('.conf')\n\
         auto_approve: {auto_approve}\n"
    )
}

async fn told() -> anyhow::Result<()> {
    let site = Site {
        plane: Plane::start(None, QUICK).await?,
        root: tempfile::tempdir()?,
        rules: tempfile::tempdir()?,
    };
    let [conf, table] = ["app.conf", "app.table"].map(|name| site.file(name));
    for path in [&conf, &table] {
        std::fs::write(path, GOOD)?;
    }
    let policy = |auto: &str| {
        let root = site.root.path().display();
        format!("allow = [\"restore_file\"]\n{auto}paths = [\"{root}\"]\n")
    };
    let options = AgentOptions {
        name: "host".into(),
        watch: vec![site.root.path().to_owned()],
        policy: policy(""),
        ..AgentOptions::default()
    };
    let agent = AgentProcess::join(&site.plane, options).await?;
    wait_for("the first pass to become the baseline", PATIENCE, || async {
        let me = agent.seen_by(&site.plane).await?;
        Ok(Seen::when((me["roots"][0]["files"].as_u64() >= Some(2)).then_some(()), me))
    })
    .await?;

    // A rule that is wrong is refused with its place, and so is one that the agent's own policy does not let do what it says.
    let file = site.rule("name: configs\naction: restore_file\ncondition: object.nam == 'x'\n")?;
    site.says(&["autonomous", "rules", "set", &file], WRONG, "line 1, column").await?;
    let file = site.rule("name: configs\naction: restore_files\n")?;
    site.says(&["autonomous", "rules", "test", &file], WRONG, "restore_file,").await?;
    let file = site.rule(&rule_text(true))?;
    site.says(&["autonomous", "rules", "set", &file], WRONG, "`auto`").await?;
    site.says(&["autonomous", "rules", "show", "configs"], NOT_FOUND, "").await?;

    // The person on the host lets a rule do it.
    agent.set_policy(&policy("auto = [\"restore_file\"]\n"))?;
    wait_for("the agent to say so", PATIENCE, || async {
        let me = agent.seen_by(&site.plane).await?;
        Ok(Seen::when((me["automatic_actions"][0] == "restore_file").then_some(()), me))
    })
    .await?;
    site.says(&["--dry-run", "autonomous", "rules", "set", &file], DONE, "would be set as version 1").await?;
    site.says(&["autonomous", "rules", "set", &file], DONE, "is set as version 1").await?;
    site.says(&["autonomous", "rules", "list"], DONE, "configs").await?;
    site.says(&["autonomous", "rules", "show", "configs", "-o", "json"], DONE, "endsWith").await?;

    // What it is for is put back and nobody is asked; what it is not for is asked for.
    for path in [&conf, &table] {
        std::fs::write(path, "port = 1\n")?;
    }
    site.put_back(&conf).await?;
    let asked = site.incident_of(&table, "waiting_approval").await?;
    let jobs = site.plane.items("/jobs").await?;
    anyhow::ensure!(jobs.len() == 1 && jobs[0]["approval_id"].is_null(), "{jobs:?}");
    let rows = site.plane.items("/audit?action=job.signed").await?;
    anyhow::ensure!(
        rows[0]["detail"].as_str().is_some_and(|it| it.contains("authorized by rule:configs@1")),
        "{rows:?}"
    );

    // Another version of it would change nothing about what is open; switched off, everything is asked for.
    let other = site.rule(&rule_text(false))?;
    let tried = site.says(&["autonomous", "rules", "test", &other], DONE, "app.table").await?;
    anyhow::ensure!(tried.contains("0 incidents would be treated differently"), "{tried}");
    site.says(&["autonomous", "rules", "set", &other], DONE, "is set as version 2").await?;
    std::fs::write(&conf, "port = 2\n")?;
    site.incident_of(&conf, "waiting_approval").await?;

    // Given back, what waits goes by itself; what a person denied does not.
    let approval = asked["approval_id"].as_str().context("an approval")?;
    site.says(&["deny", approval, "--reason", "it is right", "--yes"], DONE, "").await?;
    let wide = site.rule("name: configs\naction: restore_file\nclusters: [host]\nauto_approve: true\n")?;
    site.says(&["autonomous", "rules", "set", &wide], DONE, "is set as version 3").await?;
    site.put_back(&conf).await?;
    site.incident_of(&table, "escalated").await?;
    assert_eq!(std::fs::read_to_string(&table)?, "port = 1\n");

    site.says(&["autonomous", "rules", "delete", "configs"], DONE, "is deleted").await?;
    site.says(&["autonomous", "rules", "delete", "restore-file"], WRONG, "built in").await?;
    // The same answer three times, which helped each time, proposes a rule; accepted, it is as any other.
    for port in 3..6 {
        std::fs::write(&conf, format!("port = {port}\n"))?;
        let asked = site.incident_of(&conf, "waiting_approval").await?;
        let approval = asked["approval_id"].as_str().context("an approval")?.to_owned();
        site.says(&["approve", &approval, "--yes"], DONE, "").await?;
        site.put_back(&conf).await?;
        site.over(&asked).await?;
    }
    let said =
        site.says(&["autonomous", "rules", "proposals", "-o", "json"], DONE, "begin-restore-file-").await?;
    let proposals: Value = serde_json::from_str(&said)?;
    anyhow::ensure!(proposals["items"].as_array().map(Vec::len) == Some(1), "{proposals}");
    anyhow::ensure!(proposals["items"][0]["evidence"].as_array().map(Vec::len) == Some(3), "{proposals}");
    let id = proposals["items"][0]["id"].as_str().context("an id")?;
    site.says(&["autonomous", "rules", "accept", "begin-nothing"], NOT_FOUND, "").await?;
    site.says(&["autonomous", "rules", "accept", id], DONE, "is set as version 1").await?;
    site.says(&["autonomous", "rules", "proposals"], DONE, "No rules are proposed").await?;
    site.says(&["autonomous", "rules", "show", id], DONE, "app.conf").await?;
    assert_eq!(site.plane.get("/audit/verify").await?["valid"], true);
    Ok(())
}
