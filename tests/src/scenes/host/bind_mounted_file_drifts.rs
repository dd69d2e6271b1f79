//! `tests/scenes/bind_mounted_file_drifts.md`

use crate::scenes::ground::told;
use crate::scenes::host::{Host, run};

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host.watch(|root| Ok(std::fs::write(root.join("app.conf"), "workers = 4\n")?)).await?;
    let (path, other) = (site.path("app.conf"), host.dir().join("other"));
    std::fs::write(&other, "workers = 400\n")?;
    run("mount", &["--bind", &other.display().to_string(), &path.display().to_string()])?;
    let judged = async {
        let says = |d: &serde_json::Value| told(d).contains("mounted on it");
        let said = site.drift(&path, "the mount is named", says).await;
        site.asks_nothing().await?;
        said
    }
    .await;
    run("umount", &[&path.display().to_string()])?;
    judged.map(drop)
}
