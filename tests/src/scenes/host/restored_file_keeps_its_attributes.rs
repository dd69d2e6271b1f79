//! `tests/scenes/restored_file_keeps_its_attributes.md`

use crate::scenes::host::{Host, run};
use crate::scenes::verdict::Wrong;

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host
        .watch(|root| {
            let path = root.join("serve");
            std::fs::write(&path, "#!/bin/sh\nexec serve\n")?;
            let file = path.display().to_string();
            run("setfacl", &["-m", "u:nobody:r", &file])?;
            run("setfattr", &["-n", "user.note", "-v", "kept", &file])?;
            run("setcap", &["cap_net_bind_service=ep", &file])?;
            Ok(())
        })
        .await?;
    let path = site.path("serve");
    let before = marks(&path)?;
    std::fs::write(&path, "#!/bin/sh\nexec evil\n")?;
    // A write takes a capability away by itself: that is the change, too, which the restore undoes.
    let drift = site.asks(&path).await?;
    site.fix(&drift).await?;
    site.resolves(&drift).await?;
    let after = (std::fs::read_to_string(&path)?, marks(&path)?);
    if after == ("#!/bin/sh\nexec serve\n".to_owned(), before.clone()) {
        return Ok(());
    }
    Err(Wrong::Action(format!("before {before:?}, after {after:?}")).into())
}

fn marks(path: &std::path::Path) -> anyhow::Result<Vec<String>> {
    let file = path.display().to_string();
    Ok(vec![
        run("getfacl", &["--omit-header", "--absolute-names", &file])?,
        run("getfattr", &["--absolute-names", "-d", "-m", "^user\\.", &file])?,
        run("getcap", &[&file])?,
    ])
}
