//! `tests/scenes/database_is_gone.md`

use std::time::Duration;

use crate::plane::{Plane, QUICK};
use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

pub(super) async fn play(_host: &Host) -> anyhow::Result<()> {
    let mut plane = Plane::start(None, QUICK).await?;
    plane.stop()?;
    for entry in std::fs::read_dir(plane.data_dir())?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("nimbus.db") {
            std::fs::remove_file(entry.path())?;
        }
    }
    let before = plane.output().len();
    plane.restart_with(None)?;
    if plane.wait_until_dead(Duration::from_secs(20)).is_err() {
        return Err(Wrong::Action("it started with a new, empty history".to_owned()).into());
    }
    let said = plane.output()[before..].to_lowercase();
    if said.contains("nimbus.db") && said.contains("restore") {
        return Ok(());
    }
    Err(Wrong::Restraint(format!("it does not say what to do: {said}")).into())
}
