//! `tests/scenes/hundred_files_drift.md`

use std::sync::Arc;
use std::time::Duration;

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

const FILES: usize = 100;
const BUDGET: usize = 60;

pub(super) async fn play(_host: &Host) -> anyhow::Result<()> {
    // A control plane of its own: `--all` is about everything that drifts.
    let host = Host::new(&Arc::new(crate::scenes::host::plane().await?))?;
    let site = host
        .watch(|root| {
            (0..FILES).try_for_each(|n| Ok(std::fs::write(root.join(format!("{n:03}.conf")), "old = 1\n")?))
        })
        .await?;
    let path = |n: usize| site.path(&format!("{n:03}.conf"));
    for n in 0..FILES {
        std::fs::write(path(n), "new = 1\n")?;
    }
    let seen = wait_for("a hundred drifts", Duration::from_secs(90), || async {
        let all = site.drifts().await?;
        let found = all.iter().filter(|d| d["state"] == "waiting_approval").count();
        Ok(Seen::when((found == FILES).then_some(()), format!("{found} wait")))
    });
    seen.await.map_err(|error| Wrong::Restraint(format!("{error:#}")))?;
    let root = site.root.display().to_string();
    let words = ["drift", "fix", "--all", "--yes"];
    // It may wait for the next hour, as it says; what is judged is what it said and did until then.
    let said = tokio::time::timeout(Duration::from_secs(90), site.plane.nimbus(&words)).await;
    let put_back =
        (0..FILES).filter(|n| std::fs::read_to_string(path(*n)).is_ok_and(|text| text == "old = 1\n"));
    let put_back = put_back.count();
    if put_back != BUDGET {
        return Err(Wrong::Restraint(format!("{put_back} of {FILES} files were put back: {said:?}")).into());
    }
    let jobs = site.plane.items("/jobs").await?;
    let mine =
        |job: &&serde_json::Value| job["object"]["name"].as_str().is_some_and(|name| name.starts_with(&root));
    let refused = jobs.iter().filter(mine).filter(|job| job["state"] == "refused").count();
    if refused > 0 {
        return Err(Wrong::Action(format!("{refused} jobs were refused by the agent")).into());
    }
    match said {
        Ok(Ok((_, text))) if !text.contains("60") => {
            Err(Wrong::Restraint(format!("the budget is not named: {text}")).into())
        }
        Ok(Err(error)) => Err(error),
        _ => Ok(()),
    }
}
