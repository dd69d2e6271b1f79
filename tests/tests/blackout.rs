//! A test of a blackout, by the `nimbus` command, on files of a real host agent: what is approved waits and says until when, what is
//! meant for another action goes on, and a broken glass passes by.

use std::path::Path;

use anyhow::Context as _;
use jiff::SignedDuration;
use jiff::tz::TimeZone;
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::site::PATIENCE;
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::Value;

const DONE: Option<i32> = Some(0);
const REFUSED: Option<i32> = Some(5);

/// From an hour ago for two hours, by the clocks of UTC: nothing is restored on the host.
fn freeze() -> String {
    let now = nimbus_platform::now();
    let at = |hours| {
        let then = TimeZone::UTC.to_datetime(now + SignedDuration::from_hours(hours));
        then.strftime("%Y-%m-%dT%H:%M").to_string()
    };
    format!(
        "\n[[settings.blackout]]\nname = \"freeze\"\nzone = \"UTC\"\nactions = [\"restore_file\"]\nclusters = [\"host\"]\n\
         starts = \"{}\"\nends = \"{}\"\n",
        at(-1),
        at(2)
    )
}

async fn incident_of(plane: &Plane, path: &Path, is: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let name = path.display().to_string();
    wait_for(&format!("the incident of {name}"), PATIENCE, || async {
        let all = plane.items("/incidents").await?;
        let found = all.iter().find(|it| it["object"]["name"] == name.as_str() && is(it)).cloned();
        Ok(Seen::when(found, format!("{all:?}")))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_blackout_what_is_approved_waits_and_a_broken_glass_passes_by() {
    told().await.unwrap();
}

async fn told() -> anyhow::Result<()> {
    let plane = Plane::start(None, &format!("{QUICK}{}", freeze())).await?;
    let root = tempfile::tempdir()?;
    let [kept, changed] = ["kept.conf", "changed.conf"].map(|name| root.path().join(name));
    for path in [&kept, &changed] {
        std::fs::write(path, "port = 8080\n")?;
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
    wait_for("the first pass to become the baseline", PATIENCE, || async {
        let me = agent.seen_by(&plane).await?;
        Ok(Seen::when((me["roots"][0]["files"].as_u64() >= Some(2)).then_some(()), me))
    })
    .await?;
    let says = async |words: &[&str], code: Option<i32>, part: &str| {
        let (found, said) = plane.nimbus(words).await?;
        anyhow::ensure!(found == code && said.contains(part), "{words:?}: {found:?}, {said}");
        anyhow::Ok(())
    };
    says(&["autonomous", "calendar"], DONE, "freeze").await?;
    says(&["status"], DONE, "blackout freeze").await?;

    // It is asked and approved, and waits.
    for path in [&kept, &changed] {
        std::fs::write(path, "port = 1\n")?;
    }
    let asked = incident_of(&plane, &changed, |it| it["state"] == "waiting_approval").await?;
    let approval = asked["approval_id"].as_str().context("an approval")?;
    says(&["approve", approval, "--yes"], DONE, "blackout freeze").await?;
    let waits = |it: &Value| {
        let reason = it["reason"].as_str().unwrap_or_default();
        reason.contains("approved by") && reason.contains("blackout freeze until")
    };
    incident_of(&plane, &changed, waits).await?;

    // What is meant for another action goes on meanwhile, and a person's order to restore is refused.
    let other = incident_of(&plane, &kept, |it| it["state"] == "waiting_approval").await?;
    let id = other["id"].as_str().context("an id")?;
    says(&["drift", "baseline", "add", id, "--yes"], DONE, "").await?;
    wait_for("the other file's state to be its baseline", PATIENCE, || async {
        let all = plane.items("/drift/baselines").await?;
        let accepted =
            all.iter().any(|it| it["path"] == kept.display().to_string() && !it["accepted"].is_null());
        Ok(Seen::when(accepted.then_some(()), format!("{all:?}")))
    })
    .await?;
    assert_eq!(std::fs::read_to_string(&changed)?, "port = 1\n", "it waits for the end of the blackout");
    anyhow::ensure!(plane.items("/jobs").await?.iter().all(|job| job["kind"] == "accept_baseline"));

    // Who breaks the glass says why, and owes a look back.
    says(&["approve", approval, "--yes", "--break-glass"], Some(2), "--reason").await?;
    says(&["approve", approval, "--yes", "--break-glass", "--reason", "the shop is down"], DONE, "").await?;
    wait_for("the file to be put back", PATIENCE, || async {
        let now = std::fs::read_to_string(&changed)?;
        Ok(Seen::when((now == "port = 8080\n").then_some(()), now))
    })
    .await?;
    says(&["approvals", "list", "--unreviewed"], DONE, "changed.conf").await?;
    says(&["approvals", "review", approval, "--note", "it was right"], REFUSED, "another person").await?;
    assert_eq!(plane.get("/audit/verify").await?["valid"], true);
    Ok(())
}
