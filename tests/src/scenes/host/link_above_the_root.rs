//! `tests/scenes/link_above_the_root.md`

use std::time::Duration;

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

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
    let body = serde_json::json!({"plan_digest": shown["plan_digest"]});
    // It may be refused here already.
    let _ = site.plane.request(reqwest::Method::POST, &order, Some(body)).await?;
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
        "root::0:0\n" => Ok(()),
        other => Err(Wrong::Action(format!("the file that moved away was written: {other:?}")).into()),
    }
}
