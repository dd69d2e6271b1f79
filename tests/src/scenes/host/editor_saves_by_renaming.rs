//! `tests/scenes/editor_saves_by_renaming.md`

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host.watch(|root| Ok(std::fs::write(root.join("app.conf"), "workers = 4\n")?)).await?;
    let (path, new) = (site.path("app.conf"), site.path(".app.conf.Xa81"));
    std::fs::write(&new, "workers = 8\n")?;
    // Long enough for a pass to see it there.
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    std::fs::rename(&new, &path)?;
    site.drift(&path, "of the file", |_| true).await?;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let all: Vec<String> = site.drifts().await?.iter().map(|d| d["object"]["name"].to_string()).collect();
    if all.len() == 1 { Ok(()) } else { Err(Wrong::Action(format!("incidents, ever: {all:?}")).into()) }
}
