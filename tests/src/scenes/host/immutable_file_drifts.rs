//! `tests/scenes/immutable_file_drifts.md`

use crate::scenes::ground::told;
use crate::scenes::host::{Host, run};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host
        .watch(|root| {
            std::fs::write(root.join("app.conf"), "workers = 4\n")?;
            Ok(std::fs::write(root.join("other.conf"), "x = 1\n")?)
        })
        .await?;
    let path = site.path("app.conf");
    let file = path.display().to_string();
    // The flag first would forbid the change; so that no pass falls between, the agent rests meanwhile.
    crate::process::send_signal(site.agent.pid(), libc::SIGSTOP)?;
    std::fs::write(&path, "workers = 400\n")?;
    let flagged = run("chattr", &["+i", &file]);
    crate::process::send_signal(site.agent.pid(), libc::SIGCONT)?;
    flagged?;
    let judged = async {
        let says = |d: &serde_json::Value| told(d).contains("immutable");
        let said = site.drift(&path, "the flag is named", says).await;
        site.asks_nothing().await?;
        said
    }
    .await;
    run("chattr", &["-i", &file])?;
    judged?;
    let asked = site.asks(&path).await.map(drop);
    asked.map_err(|error| Wrong::Restraint(format!("after the flag went: {error:#}")).into())
}
