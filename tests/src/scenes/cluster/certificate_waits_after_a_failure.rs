//! `tests/scenes/certificate_waits_after_a_failure.md`

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::scenes::ground::{Ground, LIMIT};
use crate::scenes::objects::{apply, get, merge_status, remove};
use crate::scenes::verdict::Wrong;

/// Every certificate is renewed so long after it was issued.
pub(super) const DUE_AFTER: Duration = Duration::from_secs(15);

/// An authority that signs itself, and is ready at once.
pub(super) fn issuer() -> Value {
    json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "own"},
        "spec": {"selfSigned": {}},
    })
}

/// A certificate of an hour that is due to be renewed [`DUE_AFTER`] it was issued.
pub(super) fn certificate() -> Value {
    json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "web"},
        "spec": {
            "secretName": "web-tls", "dnsNames": ["web.example.com"], "duration": "1h", "renewBefore": "59m45s",
            "issuerRef": {"name": "own"}, "privateKey": {"algorithm": "ECDSA", "size": 256},
        },
    })
}

/// The certificate, issued for the first time.
pub(super) async fn issued(ground: &Ground) -> anyhow::Result<()> {
    apply(&ground.work, &issuer()).await?;
    apply(&ground.work, &certificate()).await?;
    let (stage, which) = (&ground.stage, (ground.namespace(), "web"));
    let manager = stage.certificates.as_ref().context("cert-manager")?;
    manager.wait_until_issued(&stage.cluster, which, 1, LIMIT).await
}

/// What cert-manager has in the status after so many failures, the last one so long ago.
pub(super) async fn failed(ground: &Ground, times: u32, ago: Duration) -> anyhow::Result<()> {
    let at = nimbus_platform::now().checked_sub(ago)?;
    let failed = json!({"lastFailureTime": format!("{at:.0}"), "failedIssuanceAttempts": times});
    merge_status(&ground.work, &certificate(), json!({"status": failed})).await
}

pub(super) async fn play(ground: &Ground) -> anyhow::Result<()> {
    issued(ground).await?;
    // Its own next try is sixteen hours away.
    failed(ground, 5, Duration::from_mins(20)).await?;
    let found = ground.incident("a certificate that is not renewed", |it| it["kind"] == "certificate_expiring").await?;
    ground.job_ends(&found, "succeeded").await?;
    let now = get(&ground.work, &certificate()).await?.context("the Certificate")?;
    if now["status"]["revision"].as_u64() < Some(2) {
        return Err(Wrong::Restraint(format!("expected it to be issued anew: {}", now["status"])).into());
    }
    let effects = ground.effects().await?;
    // cert-manager goes on by itself from here.
    remove(&ground.work, &certificate()).await?;
    match effects.as_slice() {
        [one] if one.to_string().contains("certificates/status") => Ok(()),
        other => Err(Wrong::Action(format!("expected one change of its status: {other:?}")).into()),
    }
}
