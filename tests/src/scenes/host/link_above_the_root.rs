//! `tests/scenes/link_above_the_root.md`

use std::time::Duration;

use serde_json::{Value, json};

use crate::scenes::host::{Host, LIMIT, Watched};
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host.watch(|root| Ok(std::fs::write(root.join("passwd"), "root:x:0:0\n")?)).await?;
    let path = site.path("passwd");
    std::fs::write(&path, "root::0:0\n")?;
    let drift = site.asks(&path).await?;
    let (above, outside) = (host.dir().join("site"), host.dir().join("outside"));
    std::fs::create_dir_all(outside.join("etc"))?;
    let victim = outside.join("etc/passwd");
    // It looks like the file that the approval is about: its content alone gives nothing away.
    std::fs::write(&victim, "root::0:0\n")?;
    // The approval is read before and given after the link is there.
    let shown = site.shown(&drift).await?;
    std::fs::rename(&above, host.dir().join("moved"))?;
    std::os::unix::fs::symlink(&outside, &above)?;
    let order = format!("/drift/{}/fix", drift["id"].as_str().unwrap_or_default());
    let body = json!({"plan_digest": shown["plan_digest"]});
    // It may be refused here already, or later by the agent.
    let (status, answer) = site.plane.request(reqwest::Method::POST, &order, Some(body)).await?;
    tokio::time::sleep(Duration::from_secs(8)).await;
    let now = std::fs::read_to_string(&victim)?;
    if now != "root::0:0\n" {
        return Err(Wrong::Action(format!("a file outside was overwritten: {now:?}")).into());
    }
    let left: Vec<_> =
        std::fs::read_dir(outside.join("etc"))?.flatten().map(|entry| entry.file_name()).collect();
    if left.len() > 1 {
        return Err(Wrong::Action(format!("files were left outside: {left:?}")).into());
    }
    match std::fs::read_to_string(host.dir().join("moved/etc/passwd"))?.as_str() {
        "root::0:0\n" => {}
        other => return Err(Wrong::Action(format!("the file that moved away was written: {other:?}")).into()),
    }
    is_not_done(&site, &drift, (status, &answer)).await?;
    is_told(&site).await
}

/// Requires that the order was refused, by the control plane or by the agent.
async fn is_not_done(site: &Watched, drift: &Value, (status, answer): (u16, &Value)) -> anyhow::Result<()> {
    let refused = wait_for("the restore to be refused", LIMIT, || async {
        let mut jobs = site.plane.items("/jobs").await?;
        jobs.retain(|job| job["incident_id"] == drift["id"]);
        if jobs.iter().any(|job| job["state"] == "succeeded") {
            return Ok(Seen::Yes(false));
        }
        let refused = status >= 400 || jobs.iter().any(|job| job["state"] == "refused");
        Ok(Seen::when(refused.then_some(true), format!("the order: {status} {answer}; its jobs: {jobs:#?}")))
    });
    if refused.await.map_err(|error| Wrong::Restraint(format!("{error:#}")))? {
        return Ok(());
    }
    Err(Wrong::Action("it says that the file was put back".to_owned()).into())
}

/// Requires that whoever looks at the agent reads what is in the way.
async fn is_told(site: &Watched) -> anyhow::Result<()> {
    let told = wait_for("the link to be told as a problem of the root", LIMIT, || async {
        let me = site.agent.seen_by(&site.plane).await?;
        let problem = me["roots"][0]["problem"].as_str().unwrap_or_default();
        let says =
            ["a link or a file above it", "another directory"].iter().any(|word| problem.contains(*word));
        Ok(Seen::when(says.then_some(()), me.to_string()))
    });
    told.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
}
