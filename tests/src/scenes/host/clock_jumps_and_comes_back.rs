//! `tests/scenes/clock_jumps_and_comes_back.md`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use nimbus_protocol::{signed, v1};
use prost::Message as _;
use serde_json::Value;

use crate::agent::AgentProcess;
use crate::plane::{Plane, QUICK};
use crate::scenes::host::{Host, Watched};
use crate::scenes::verdict::Wrong;
use crate::site::PATIENCE;
use crate::sqlite;
use crate::wait::{Seen, wait_for};

const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

/// The files of the old and of the next job, as they are and as they are changed.
const FILES: [&str; 2] = ["old.conf", "next.conf"];
const GOOD: &str = "workers = 4\n";
const CHANGED: &str = "workers = 400\n";

pub(super) async fn play(_host: &Host) -> anyhow::Result<()> {
    // A control plane of its own, as it is killed on the way. Its jobs hold for longer than all of this takes: that its
    // time is over by the true clock must not be what refuses the old one.
    let config = format!("{QUICK}job_ttl_ms = 600000\n");
    let host = Host::new(&Arc::new(Plane::start(None, &config).await?))?;
    let clock = host.dir().join("clock");
    let site = with_clock(&host, &clock).await?;
    let [old, next] = FILES;
    let old_job = is_put_back(&site, old).await?;
    std::fs::write(&clock, "+730d")?;
    tokio::time::sleep(Duration::from_secs(15)).await;
    let (_, status) = site.plane.nimbus(&["status"]).await?;
    let me = site.agent.seen_by(&site.plane).await?;
    std::fs::write(&clock, "+0")?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    is_put_back(&site, next).await?;
    was_said(&status, &me)?;
    stays_refused(host, site, old, &old_job).await
}

/// An agent whose clock says what is written in this file, and the files that it watches.
async fn with_clock(host: &Host, clock: &Path) -> anyhow::Result<Watched> {
    let library = LIBRARIES.into_iter().find(|path| Path::new(path).is_file());
    let library = library.context("libfaketime is not installed")?;
    std::fs::write(clock, "+0")?;
    let file = clock.display().to_string();
    let env = [
        ("LD_PRELOAD", library),
        ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ];
    host.watch_around(&[], &env, |root| {
        FILES.into_iter().try_for_each(|name| Ok(std::fs::write(root.join(name), GOOD)?))
    })
    .await
}

/// Changes a file and has it put back; gives the id of the job that did it.
async fn is_put_back(site: &Watched, name: &str) -> anyhow::Result<String> {
    let path = site.path(name);
    std::fs::write(&path, CHANGED)?;
    let drift = site.asks(&path).await?;
    site.fix(&drift).await?;
    site.resolves(&drift).await?;
    let job = wait_for("the job to succeed", PATIENCE, || async {
        let jobs = site.plane.items("/jobs").await?;
        let done = |job: &&Value| job["incident_id"] == drift["id"] && job["state"] == "succeeded";
        let id = jobs.iter().find(done).and_then(|job| job["id"].as_str().map(str::to_owned));
        Ok(Seen::when(id, format!("{jobs:#?}")))
    });
    job.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
}

fn was_said(status: &str, me: &Value) -> anyhow::Result<()> {
    if me["state"] != "connected" {
        return Err(Wrong::Restraint(format!("the agent was lost: {me}")).into());
    }
    if !format!("{status}{me}").to_lowercase().contains("clock") {
        return Err(Wrong::Restraint(format!("nothing is said of the clock: {status}")).into());
    }
    Ok(())
}

/// Sends the old job once more, as somebody could who can write the control plane's database.
async fn stays_refused(host: Host, site: Watched, file: &str, job: &str) -> anyhow::Result<()> {
    let Host { plane, dir: _dir } = host;
    let Watched { plane: same, agent, root } = site;
    drop(same);
    let mut plane = Arc::into_inner(plane).context("the control plane is in use elsewhere")?;
    let path = root.join(file);
    plane.kill9()?;
    std::fs::write(&path, CHANGED)?;
    put_back_to_pending(&plane, job).await?;
    plane.restart().await?;
    let refused = refusal(&plane, &agent, job).await;
    let now = std::fs::read_to_string(&path)?;
    if now != CHANGED {
        return Err(Wrong::Action(format!("the old job was carried out again: {now:?}")).into());
    }
    refused.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
}

/// Waits until the agent refused the job as one that it has had, or that is over.
async fn refusal(plane: &Plane, agent: &AgentProcess, job: &str) -> anyhow::Result<()> {
    wait_for("the old job to be refused", PATIENCE, || async {
        let mut rows = plane.items("/audit").await?;
        rows.retain(|row| row["subject"] == job);
        let says_no = |row: &Value| {
            let says = |field: &str, word: &str| row[field].as_str().is_some_and(|text| text.contains(word));
            says("action", "refused") && (says("detail", "replayed") || says("detail", "expired"))
        };
        let refused = rows.iter().any(says_no);
        Ok(Seen::when(refused.then_some(()), format!("{rows:#?}\n{}", agent.output())))
    })
    .await
}

/// Writes the job as signed and not sent yet.
async fn put_back_to_pending(plane: &Plane, job: &str) -> anyhow::Result<()> {
    let database = plane.data_dir().join("nimbus.db");
    let docs = sqlite::texts(&database, &format!("SELECT doc FROM jobs WHERE id = '{job}'")).await?;
    let mut doc: Value = serde_json::from_str(docs.first().context("the old job")?)?;
    doc["state"] = "pending".into();
    for field in ["applied_at", "finished_at", "dispatched_at"] {
        doc[field] = Value::Null;
    }
    doc["envelope"] = of_the_next_epoch(&doc, &key(plane)?)?.into();
    let text = doc.to_string().replace('\'', "''");
    let sql = format!("UPDATE jobs SET doc = '{text}', sum = NULL, state = 'pending' WHERE id = '{job}'");
    sqlite::execute(&database, &sql).await
}

/// The job as the control plane would sign it that is started again: an older epoch would be refused for that alone.
fn of_the_next_epoch(doc: &Value, key: &SigningKey) -> anyhow::Result<String> {
    let bytes = BASE64.decode(doc["envelope"].as_str().context("an envelope")?)?;
    let envelope = v1::Envelope::decode(bytes.as_slice())?;
    let mut job = v1::Job::decode(envelope.payload.as_slice())?;
    job.epoch += 1;
    Ok(BASE64.encode(signed::sign(&job, key).envelope().encode_to_vec()))
}

fn key(plane: &Plane) -> anyhow::Result<SigningKey> {
    let text = std::fs::read_to_string(plane.data_dir().join("job.key"))?;
    let digits = text.get(..64).context("a key of 64 digits")?;
    let byte = |n: usize| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16);
    let bytes: Vec<u8> = (0..32).map(byte).collect::<Result<_, _>>()?;
    Ok(SigningKey::from_bytes(bytes.as_slice().try_into()?))
}
