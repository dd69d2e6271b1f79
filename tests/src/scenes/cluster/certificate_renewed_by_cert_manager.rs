//! `tests/scenes/certificate_renewed_by_cert_manager.md`

use anyhow::Context as _;

use super::certificate_waits_after_a_failure::{DUE_AFTER, certificate, issued};
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::remove;

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    issued(ground).await?;
    ground.refrains_for(2 * DUE_AFTER).await?;
    let (stage, which) = (&ground.stage, (ground.namespace(), "web"));
    let manager = stage.certificates.as_ref().context("cert-manager")?;
    manager.wait_until_issued(&stage.cluster, which, 3, LIMIT).await?;
    ground.is_untouched().await?;
    remove(&ground.work, &certificate()).await
}
