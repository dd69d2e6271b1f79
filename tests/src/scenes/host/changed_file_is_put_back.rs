//! `tests/scenes/changed_file_is_put_back.md`

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host.watch(|root| Ok(std::fs::write(root.join("app.conf"), "workers = 4\n")?)).await?;
    let path = site.path("app.conf");
    std::fs::write(&path, "workers = 400\n")?;
    let drift = site.asks(&path).await?;
    if std::fs::read_to_string(&path)? != "workers = 400\n" {
        return Err(Wrong::Action("the file was written before the approval".to_owned()).into());
    }
    site.fix(&drift).await?;
    site.resolves(&drift).await?;
    match std::fs::read_to_string(&path)?.as_str() {
        "workers = 4\n" => Ok(()),
        other => Err(Wrong::Action(format!("it is {other:?} now")).into()),
    }
}
