//! `tests/scenes/packages_are_upgraded.md`

use std::collections::BTreeSet;

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

const FILES: usize = 30;

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host
        .watch(|root| {
            (0..FILES).try_for_each(|n| Ok(std::fs::write(root.join(format!("{n}.conf")), "old = 1\n")?))
        })
        .await?;
    for n in 0..FILES {
        let (path, new) = (site.path(&format!("{n}.conf")), site.path(&format!("{n}.conf.dpkg-new")));
        std::fs::write(&new, "new = 1\n")?;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        if n < 2 {
            std::fs::rename(&path, site.path(&format!("{n}.conf.dpkg-old")))?;
        }
        std::fs::rename(&new, &path)?;
    }
    let names = || async {
        let open = site.drifts().await?.into_iter().filter(|d| d["state"] != "resolved");
        anyhow::Ok(
            open.filter_map(|d| d["object"]["name"].as_str().map(str::to_owned)).collect::<BTreeSet<_>>(),
        )
    };
    let wanted: BTreeSet<String> =
        (0..FILES).map(|n| site.path(&format!("{n}.conf")).display().to_string()).collect();
    let seen =
        wait_for("an incident for each of thirty files", std::time::Duration::from_mins(1), || async {
            let found = names().await?;
            Ok(Seen::when(wanted.is_subset(&found).then_some(()), format!("{found:?}")))
        });
    seen.await.map_err(|error| Wrong::Restraint(format!("{error:#}")))?;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let found = names().await?;
    if found == wanted { Ok(()) } else { Err(Wrong::Action(format!("incidents: {found:?}")).into()) }
}
