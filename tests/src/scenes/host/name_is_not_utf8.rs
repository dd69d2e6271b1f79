//! `tests/scenes/name_is_not_utf8.md`

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let name = OsStr::from_bytes(b"caf\xe9.conf");
    let site = host
        .watch(|root| {
            std::fs::write(root.join("app.conf"), "workers = 4\n")?;
            Ok(std::fs::write(root.join(name), "open = 8\n")?)
        })
        .await?;
    let path = site.root.join(name);
    std::fs::write(&path, "open = 0\n")?;
    let drift = wait_for("a drift of the file", std::time::Duration::from_secs(30), || async {
        let all = site.drifts().await?;
        let mine = all.iter().find(|d| d["object"]["name"].as_str().is_some_and(|name| name.contains("caf")));
        Ok(Seen::when(mine.filter(|d| d["state"] == "waiting_approval").cloned(), format!("{all:#?}")))
    });
    let drift = drift.await.map_err(|error| Wrong::Restraint(format!("{error:#}")))?;
    site.fix(&drift).await?;
    site.resolves(&drift).await?;
    match std::fs::read_to_string(&path)?.as_str() {
        "open = 8\n" => Ok(()),
        other => Err(Wrong::Action(format!("it is {other:?} now")).into()),
    }
}
