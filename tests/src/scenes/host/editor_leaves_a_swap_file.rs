//! `tests/scenes/editor_leaves_a_swap_file.md`

use std::time::Duration;

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host.watch(|root| Ok(std::fs::write(root.join("app.conf"), "workers = 4\n")?)).await?;
    let swap = site.path(".app.conf.swp");
    for typed in 0..4_u8 {
        // The head of a swap file of vim, then what was typed.
        std::fs::write(&swap, [&b"b0VIM 9.0\0\0\0\0"[..], &[typed; 64]].concat())?;
        site.asks_nothing_for(Duration::from_secs(3)).await?;
    }
    let open: Vec<String> = site
        .drifts()
        .await?
        .iter()
        .filter(|d| d["state"] != "resolved")
        .map(|d| d["title"].to_string())
        .collect();
    if open.is_empty() { Ok(()) } else { Err(Wrong::Action(format!("incidents: {open:?}")).into()) }
}
