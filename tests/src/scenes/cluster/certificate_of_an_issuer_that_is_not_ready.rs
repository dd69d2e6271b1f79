//! `tests/scenes/certificate_of_an_issuer_that_is_not_ready.md`

use serde_json::json;

use super::certificate_waits_after_a_failure::{certificate, issued, issuer};
use crate::scenes::ground::Ground;
use crate::scenes::objects::{merge, remove};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    issued(ground).await?;
    let of_none = json!({"spec": {"selfSigned": null, "ca": {"secretName": "nowhere"}}});
    merge(&ground.work, &issuer(), of_none).await?;
    ground.recommends(&["Issuer own is not ready", "nowhere", "kubectl describe issuer"]).await?;
    remove(&ground.work, &certificate()).await
}
