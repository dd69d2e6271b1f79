//! `tests/scenes/config_map_is_swapped.md`

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

fn version(root: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    std::fs::create_dir(root.join(name))?;
    for file in ["app.conf", "log.conf"] {
        std::fs::write(root.join(name).join(file), text)?;
    }
    symlink(name, root.join("..data_tmp"))?;
    Ok(std::fs::rename(root.join("..data_tmp"), root.join("..data"))?)
}

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host
        .watch(|root| {
            version(root, "..2026_11_26_08_00_00.1", "workers = 4\n")?;
            for file in ["app.conf", "log.conf"] {
                symlink(format!("..data/{file}"), root.join(file))?;
            }
            Ok(())
        })
        .await?;
    version(&site.root, "..2026_11_26_09_00_00.2", "workers = 8\n")?;
    std::fs::remove_dir_all(site.path("..2026_11_26_08_00_00.1"))?;
    site.asks_nothing().await?;
    let open: Vec<String> = site
        .drifts()
        .await?
        .iter()
        .filter(|d| d["state"] != "resolved")
        .map(|d| d["title"].to_string())
        .collect();
    if open.len() <= 1 {
        Ok(())
    } else {
        Err(Wrong::Action(format!("{} incidents: {open:?}", open.len())).into())
    }
}
