//! `tests/scenes/certificate_failed_a_moment_ago.md`

use std::time::Duration;

use super::certificate_waits_after_a_failure::{certificate, failed, issued};
use crate::scenes::ground::Ground;
use crate::scenes::objects::remove;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    issued(ground).await?;
    failed(ground, 5, Duration::from_mins(2)).await?;
    ground.recommends(&["web.example.com", "issuing", "failed at", "it is asked for anew from"]).await?;
    remove(&ground.work, &certificate()).await
}
