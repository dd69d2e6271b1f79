//! `tests/scenes/file_system_is_read_only.md`

use crate::scenes::ground::told;
use crate::scenes::host::{Host, run};

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let root = host.dir().join("site/etc");
    std::fs::create_dir_all(&root)?;
    let root = root.display().to_string();
    run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs", &root])?;
    let judged = mounted(host, &root).await;
    run("umount", &["-l", &root])?;
    judged
}

async fn mounted(host: &Host, root: &str) -> anyhow::Result<()> {
    let site =
        host.watch(|at| Ok(std::fs::write(at.join("app.conf"), "workers = 4\n".repeat(2000))?)).await?;
    let path = site.path("app.conf");
    crate::process::send_signal(site.agent.pid(), libc::SIGSTOP)?;
    std::fs::write(&path, "workers = 400\n")?;
    let read_only = run("mount", &["-o", "remount,ro", root]);
    crate::process::send_signal(site.agent.pid(), libc::SIGCONT)?;
    read_only?;
    let says = |d: &serde_json::Value| told(d).contains("read-only");
    let said = site.drift(&path, "it says why not", says).await;
    if let Some(asked) =
        site.approvals().await?.iter().find(|a| a["object"]["name"] == path.display().to_string())
    {
        let what = format!("approval asked: {}", asked["summary"]);
        return Err(crate::scenes::verdict::Wrong::Action(what).into());
    }
    said.map(drop)
}
