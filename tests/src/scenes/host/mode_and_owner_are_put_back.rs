//! `tests/scenes/mode_and_owner_are_put_back.md`

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host
        .watch(|root| {
            let path = root.join("run.sh");
            std::fs::write(&path, "#!/bin/sh\nexec app\n")?;
            Ok(std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?)
        })
        .await?;
    let path = site.path("run.sh");
    let state = || std::fs::metadata(&path).map(|found| (found.mode() & 0o7777, found.uid(), found.gid()));
    let before = state()?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
    chown(&path, Some(65534), Some(65534))?;
    let drift = site.asks(&path).await?;
    site.fix(&drift).await?;
    site.resolves(&drift).await?;
    let after = state()?;
    if after == before { Ok(()) } else { Err(Wrong::Action(format!("{before:?} became {after:?}")).into()) }
}
