//! `tests/scenes/clock_jumps_and_comes_back.md`

use std::time::Duration;

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let library = LIBRARIES.into_iter().find(|path| std::path::Path::new(path).is_file());
    let library = anyhow::Context::context(library, "libfaketime is not installed")?;
    let clock = host.dir().join("clock");
    let set = |offset: &str| std::fs::write(&clock, offset);
    set("+0")?;
    let file = clock.display().to_string();
    let env = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    let lay_out = |root: &std::path::Path| Ok(std::fs::write(root.join("app.conf"), "workers = 4\n")?);
    let site = host.watch_around(&[], &env, lay_out).await?;
    set("+730d")?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let (_, status) = site.plane.nimbus(&["status"]).await?;
    let me = site.agent.seen_by(&site.plane).await?;
    set("+0")?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let path = site.path("app.conf");
    std::fs::write(&path, "workers = 400\n")?;
    let drift = site.asks(&path).await?;
    site.fix(&drift).await?;
    site.resolves(&drift).await?;
    if me["state"] != "connected" {
        return Err(Wrong::Restraint(format!("the agent was lost: {me}")).into());
    }
    if !format!("{status}{me}").to_lowercase().contains("clock") {
        return Err(Wrong::Restraint(format!("nothing is said of the clock: {status}")).into());
    }
    Ok(())
}
