//! `tests/scenes/volume_cannot_be_attached_before_init.md`

use serde_json::json;

use super::volume_cannot_be_attached::second_revision_waits_for_its_volume;
use crate::scenes::ground::Ground;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let init = json!([{"name": "prepare", "image": "registry.test/prepare:1"}]);
    second_revision_waits_for_its_volume(ground, init, "PodInitializing").await
}
