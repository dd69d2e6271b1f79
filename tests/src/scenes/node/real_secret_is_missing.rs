//! `tests/scenes/real_secret_is_missing.md`

use serde_json::json;

use crate::scenes::containers::shell;
use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, with};

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    let web = shell("web", 1, "sleep 100000");
    apply(&ground.work, &web).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.soak().await;
    let from = json!([{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "web-key", "key": "key"}}}]);
    apply(&ground.work, &with(web, "/spec/template/spec/containers/0/env", from)).await?;
    let incident = ground.recommends(&["web-key"]).await?;
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "web-key"}, "stringData": {"key": "value"},
    });
    apply(&ground.work, &secret).await?;
    ground.work.wait_until_ready("web", LIMIT).await?;
    ground.resolves(&incident).await?;
    ground.is_untouched().await
}
