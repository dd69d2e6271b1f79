//! `tests/scenes/certificate_file_ends_soon.md`

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use serde_json::Value;

use crate::scenes::ground::{WATCH, told};
use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

const DAY: Duration = Duration::from_hours(24);

/// Writes a certificate that was issued eighty days ago and is valid for so long still, with its key behind it.
fn write(path: &Path, left: Duration) -> anyhow::Result<()> {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(vec!["web.example.com".to_owned()])?;
    let now = nimbus_platform::now();
    params.not_before = SystemTime::from(now.checked_sub(80 * DAY)?).into();
    params.not_after = SystemTime::from(now.checked_add(left)?).into();
    let text = params.self_signed(&key)?.pem() + &key.serialize_pem();
    Ok(std::fs::write(path, text)?)
}

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let tls = host.dir().join("tls");
    std::fs::create_dir_all(&tls)?;
    let (file, directory) = (tls.join("web.pem"), tls.display().to_string());
    write(&file, 10 * DAY)?;
    let lay_out = |root: &Path| Ok(std::fs::write(root.join("app.conf"), "workers = 4\n")?);
    let site = host.watch_around(&[], &[("NIMBUS_CERTIFICATES", &directory)], lay_out).await?;
    let found = incident(&site.plane, &file, "open", |it| it["state"] != "resolved").await?;
    let id = found["id"].as_str().context("an id")?;
    let text = told(&site.plane.get(&format!("/incidents/{id}")).await?);
    if !["web.example.com", "valid until", "ends soon"].iter().all(|word| text.contains(word)) {
        return Err(Wrong::Restraint(format!("expected for what it is and until when: {text}")).into());
    }
    if text.contains("PRIVATE KEY") {
        return Err(Wrong::Action(format!("the key has left its host: {text}")).into());
    }
    tokio::time::sleep(WATCH).await;
    let asked = site.plane.items("/approvals").await?;
    if let Some(asked) = asked.iter().find(|it| it["object"]["name"] == file.display().to_string()) {
        return Err(Wrong::Action(format!("approval asked: {}", asked["summary"])).into());
    }
    // Somebody renews it.
    write(&file, 85 * DAY)?;
    incident(&site.plane, &file, "over", |it| it["state"] == "resolved").await.map(drop)
}

async fn incident(
    plane: &crate::plane::Plane,
    file: &Path,
    what: &str,
    test: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    let name = file.display().to_string();
    let what = format!("the incident of {name} to be {what}");
    let found = wait_for(&what, super::LIMIT, || async {
        let all = plane.items("/incidents").await?;
        let found = all.iter().find(|it| it["object"]["name"] == name.as_str() && test(it));
        Ok(Seen::when(found.cloned(), format!("{all:#?}")))
    });
    found.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
}
