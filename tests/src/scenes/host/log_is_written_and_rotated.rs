//! `tests/scenes/log_is_written_and_rotated.md`

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::scenes::ground::told;
use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host
        .watch(|root| {
            std::fs::write(root.join("app.conf"), "workers = 4\n")?;
            Ok(std::fs::write(root.join("service.log"), "started\n")?)
        })
        .await?;
    let log = site.path("service.log");
    let begun = Instant::now();
    let mut line = 0_u32;
    while begun.elapsed() < Duration::from_secs(20) {
        line += 1;
        if line == 30 || line == 60 {
            std::fs::rename(&log, site.path(&format!("service.log.{}", line / 30)))?;
        }
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        writeln!(file, "request {line} was answered")?;
        site.asks_nothing_for(Duration::ZERO).await?;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let open: Vec<String> = site
        .drifts()
        .await?
        .iter()
        .filter(|d| d["state"] != "resolved")
        .map(|d| d["title"].to_string())
        .collect();
    if open.len() > 1 {
        return Err(Wrong::Action(format!("{} incidents: {open:?}", open.len())).into());
    }
    site.drift(&log, "it keeps changing", |d| told(d).contains("written all the time")).await.map(drop)
}
