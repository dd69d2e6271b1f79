//! `tests/scenes/hard_linked_file_is_put_back.md`

use std::os::unix::fs::MetadataExt as _;

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let other = host.dir().join("other-name");
    let site = host
        .watch(|root| {
            std::fs::write(root.join("app.conf"), "workers = 4\n")?;
            Ok(std::fs::hard_link(root.join("app.conf"), &other)?)
        })
        .await?;
    let path = site.path("app.conf");
    std::fs::write(&path, "workers = 400\n")?;
    let drift = site.asks(&path).await?;
    site.fix(&drift).await?;
    site.resolves(&drift).await?;
    let (one, two) = (std::fs::metadata(&path)?, std::fs::metadata(&other)?);
    let contents = (std::fs::read_to_string(&path)?, std::fs::read_to_string(&other)?);
    if one.ino() == two.ino() && contents.0 == "workers = 4\n" {
        return Ok(());
    }
    Err(Wrong::Action(format!("inodes {} and {}, contents {contents:?}", one.ino(), two.ino())).into())
}
