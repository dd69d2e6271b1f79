//! Tests of people: access tokens, approvals that two of them have to give, an order that others have to approve, and a broken
//! glass with its review, by the `nimbus` command, on files of a real host agent.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::site::PATIENCE;
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::Value;

/// Two people for every action on the host.
const QUORUM: &str = "
[[settings.quorum]]
clusters = [\"host\"]
groups = [[\"oncall\"], [\"oncall\", \"platform\"]]
";
const DONE: Option<i32> = Some(0);
const WAITING: Option<i32> = Some(4);
const REFUSED: Option<i32> = Some(5);

struct Site {
    plane: Plane,
    agent: AgentProcess,
    root: tempfile::TempDir,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let plane = Plane::start(None, &format!("{QUICK}{QUORUM}")).await?;
        let root = tempfile::tempdir()?;
        for name in ["first.conf", "second.conf", "third.conf"] {
            std::fs::write(root.path().join(name), "port = 8080\n")?;
        }
        let options = AgentOptions {
            name: "host".into(),
            watch: vec![root.path().to_owned()],
            policy: format!(
                "allow = [\"restore_file\", \"accept_baseline\"]\npaths = [\"{}\"]\n",
                root.path().display()
            ),
            ..AgentOptions::default()
        };
        let agent = AgentProcess::join(&plane, options).await?;
        let site = Self { plane, agent, root };
        wait_for("the first pass to become the baseline", PATIENCE, || async {
            let me = site.agent.seen_by(&site.plane).await?;
            let known = me["roots"][0]["files"].as_u64() >= Some(3);
            Ok(Seen::when(known.then_some(()), format!("{me}\n{}", site.agent.output())))
        })
        .await?;
        Ok(site)
    }

    /// A person's token, which the operator makes.
    async fn person(&self, name: &str, groups: &[&str]) -> anyhow::Result<String> {
        let mut words = vec!["-o", "json", "access", "tokens", "create", name];
        words.extend(groups.iter().flat_map(|group| ["--group", *group]));
        let (code, said) = self.plane.nimbus(&words).await?;
        anyhow::ensure!(code == DONE, "{said}");
        // What it says to a person stands behind the document.
        let document = serde_json::Deserializer::from_str(&said).into_iter::<Value>().next();
        let made = document.context("a document")??;
        Ok(made["token"].as_str().context("a token")?.to_owned())
    }

    /// Changes a file, and waits until its approval is asked for.
    async fn changed(&self, name: &str) -> anyhow::Result<(PathBuf, Value)> {
        let path = self.root.path().join(name);
        std::fs::write(&path, "port = 1\n")?;
        let approval = self.approval_of(&path, |approval| approval["state"] == "pending").await?;
        Ok((path, approval))
    }

    async fn approval_of(&self, path: &Path, is: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let name = path.display().to_string();
        wait_for(&format!("an approval of {name}"), PATIENCE, || async {
            let all = self.plane.items("/approvals").await?;
            let found = all.iter().find(|it| it["object"]["name"] == name.as_str() && is(it)).cloned();
            Ok(Seen::when(found, format!("{all:?}\n{}", self.agent.output())))
        })
        .await
    }

    async fn is(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        wait_for(&format!("{} to be {text:?}", path.display()), PATIENCE, || async {
            let now = std::fs::read_to_string(path)?;
            Ok(Seen::when((now == text).then_some(()), now))
        })
        .await
    }

    async fn says(
        &self,
        token: &str,
        words: &[&str],
        code: Option<i32>,
        part: &str,
    ) -> anyhow::Result<String> {
        let (found, said) = self.plane.nimbus_as(token, words).await?;
        anyhow::ensure!(found == code && said.contains(part), "{words:?}: {found:?}, {said}");
        Ok(said)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_approve_an_order_asks_others_and_a_broken_glass_is_reviewed() {
    told().await.unwrap();
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

async fn told() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let notices = async || anyhow::Ok(site.plane.get("/status").await?["notices"].to_string());
    let alone = notices().await?;
    anyhow::ensure!(alone.contains("needs one of oncall, and one of oncall or platform"), "{alone}");
    let (ann, bob) = (site.person("ann", &["oncall"]).await?, site.person("bob", &["platform"]).await?);
    let met = notices().await?;
    anyhow::ensure!(!met.contains("settings.quorum"), "{met}");
    let eve = site.person("eve", &[]).await?;
    site.says(&ann, &["auth", "whoami"], DONE, "oncall").await?;

    // Two words put a file back, and not the operator's, who is of no group.
    let (first, approval) = site.changed("first.conf").await?;
    let approve = ["approve", text(&approval["id"]), "--yes"];
    let operator = site.plane.nimbus(&approve).await?;
    anyhow::ensure!(operator.0 == REFUSED && operator.1.contains("one of oncall"), "{operator:?}");
    site.says(&bob, &approve, WAITING, "Still needed: one of oncall").await?;
    assert_eq!(std::fs::read_to_string(&first)?, "port = 1\n", "one word of two");
    site.says(&ann, &approve, DONE, "Approved").await?;
    site.is(&first, "port = 8080\n").await?;

    // One person's order is asked of others, and its own word is none of theirs.
    let (second, approval) = site.changed("second.conf").await?;
    let accept = ["drift", "baseline", "add", text(&approval["incident_id"]), "--yes"];
    site.says(&ann, &accept, WAITING, "is asked of others").await?;
    let asked = |it: &Value| it["kind"] == "accept_baseline" && it["state"] == "pending";
    let order = site.approval_of(&second, asked).await?;
    assert_eq!(order["requested_by"], "ann", "{order}");
    let approve = ["approve", text(&order["id"]), "--yes"];
    site.says(&ann, &approve, REFUSED, "ann asked for this plan").await?;
    let dan = site.person("dan", &["oncall"]).await?;
    site.says(&bob, &approve, WAITING, "Still needed").await?;
    site.says(&dan, &approve, DONE, "Approved").await?;
    site.approval_of(&second, |it| it["kind"] == "accept_baseline" && it["used_by"].is_string()).await?;
    wait_for("the state to be the baseline", PATIENCE, || async {
        let said = site.plane.items("/drift/baselines").await?;
        let done =
            said.iter().any(|it| it["path"] == second.display().to_string() && it["accepted"] != Value::Null);
        Ok(Seen::when(done.then_some(()), format!("{said:?}")))
    })
    .await?;

    // In an emergency one is enough, says why, and owes a look back by another.
    let (third, approval) = site.changed("third.conf").await?;
    let alone = ["approve", text(&approval["id"]), "--yes", "--break-glass", "--reason", "the shop is down"];
    site.says(&eve, &alone, DONE, "Approved").await?;
    site.is(&third, "port = 8080\n").await?;
    site.says(&eve, &["approvals", "list", "--unreviewed"], DONE, "third.conf").await?;
    site.says(&eve, &["status"], DONE, "1 given alone and not reviewed").await?;
    let review = ["approvals", "review", text(&approval["id"]), "--note", "it was right"];
    site.says(&eve, &review, REFUSED, "another person has to").await?;
    site.says(&bob, &review, DONE, "by bob").await?;

    // A token that is taken back is nobody's.
    site.says(&ann, &["access", "tokens", "revoke", "eve", "--yes"], REFUSED, "operator's token").await?;
    let (code, said) = site.plane.nimbus(&["access", "tokens", "revoke", "eve", "--yes"]).await?;
    anyhow::ensure!(code == DONE, "{said}");
    let gone = site.plane.nimbus_as(&eve, &["status"]).await?;
    anyhow::ensure!(gone.0 == REFUSED, "{gone:?}");
    assert_eq!(site.plane.get("/audit/verify").await?["valid"], true);
    Ok(())
}
