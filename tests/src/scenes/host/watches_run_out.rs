//! `tests/scenes/watches_run_out.md`

use std::time::Duration;

use crate::scenes::host::{Host, run};
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

const LIMIT: &str = "/proc/sys/user/max_inotify_watches";

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let script = format!("echo 20 > {LIMIT} && exec \"$0\" \"$@\"");
    let around = ["unshare", "-U", "-r", "sh", "-c", &script].map(str::to_owned);
    let lay_out = |root: &std::path::Path| Ok(std::fs::write(root.join("app.conf"), "workers = 4\n")?);
    let site = host.watch_around(&around, &[("NIMBUS_FILE_INTERVAL", "5")], lay_out).await?;
    for n in 0..40 {
        std::fs::create_dir(site.path(&format!("d{n}")))?;
        std::fs::write(site.path(&format!("d{n}/a.conf")), "a = 1\n")?;
    }
    let says = |wanted: bool| {
        let site = &site;
        move || async move {
            let (_, text) = site.plane.nimbus(&["status"]).await?;
            let me = site.agent.seen_by(&site.plane).await?.to_string();
            let said =
                text.contains("inotify") || text.contains("watches") || me.contains("max_user_watches");
            Ok(Seen::when((said == wanted).then_some(()), format!("{text}\n{me}")))
        }
    };
    let told = wait_for("a problem about the watches", Duration::from_secs(30), says(true)).await;
    told.map_err(|error| Wrong::Restraint(format!("{error:#}")))?;
    let pid = site.agent.pid().to_string();
    run(
        "nsenter",
        &["-U", "--preserve-credentials", "-t", &pid, "sh", "-c", &format!("echo 100000 > {LIMIT}")],
    )?;
    let healed = wait_for("the problem to go", Duration::from_secs(40), says(false)).await;
    healed.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
}
