//! A job with a bit changed, for another agent, expired, or sent twice: the real agent refuses it with the reason,
//! reports it, and it is audited. Somebody who can write the control plane's database plays the attacker: the job is
//! altered there, between signed and sent. (That every single bit matters is shown exhaustively beside the code.)
//! A long fault test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds something else"
)]

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use nimbus_protocol::{signed, v1};
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::site::PATIENCE;
use nimbus_tests::sqlite;
use nimbus_tests::wait::{Seen, wait_for};
use prost::Message as _;
use serde_json::{Value, json};

struct Host {
    plane: Plane,
    agent: AgentProcess,
    root: tempfile::TempDir,
}

impl Host {
    async fn start() -> anyhow::Result<Self> {
        let root = tempfile::tempdir()?;
        std::fs::write(root.path().join("a.conf"), "a = 1\n")?;
        let plane = Plane::start(None, QUICK).await?;
        let policy = format!("allow = [\"restore_file\"]\npaths = [\"{}\"]\n", root.path().display());
        let watch = vec![root.path().to_owned()];
        let options = AgentOptions { name: "host".into(), watch, policy, ..AgentOptions::default() };
        let agent = AgentProcess::join(&plane, options).await?;
        wait_for("the baseline", PATIENCE, || async {
            let me = agent.seen_by(&plane).await?;
            Ok(Seen::when((me["roots"][0]["files"].as_u64() >= Some(1)).then_some(()), me.to_string()))
        })
        .await?;
        Ok(Self { plane, agent, root })
    }

    fn file(&self) -> std::path::PathBuf {
        self.root.path().join("a.conf")
    }

    /// Changes the file and approves its restoring; the control plane dies once the job is signed and stored.
    async fn signed_and_not_sent(&mut self, content: &str) -> anyhow::Result<Value> {
        self.plane.restart_with(Some("cp::signed=1*return"))?;
        self.plane.wait_until_ready().await?;
        self.agent.wait_until_connected(&self.plane).await?;
        std::fs::write(self.file(), content)?;
        let drift = wait_for("the drift's plan", PATIENCE, || async {
            let all = self.plane.items("/drift").await?;
            let found = all.iter().find(|d| d["state"] == "waiting_approval").cloned();
            Ok(Seen::when(found, format!("{all:?}\n{}", self.agent.output())))
        })
        .await?;
        let fix = format!("/drift/{}/fix", drift["id"].as_str().unwrap_or_default());
        // The answer may be lost with the process.
        let answer = self.plane.post(&fix, json!({"plan_digest": drift["plan_digest"]})).await;
        let dead = self.plane.wait_until_dead(PATIENCE);
        dead.with_context(|| format!("{answer:?}\n{}", self.plane.output()))?;
        let database = self.plane.data_dir().join("nimbus.db");
        let docs = sqlite::texts(&database, "SELECT doc FROM jobs ORDER BY created_at DESC LIMIT 1").await?;
        Ok(serde_json::from_str(&docs[0])?)
    }

    /// Puts the document back, with another envelope.
    async fn store(&self, mut doc: Value, envelope: &v1::Envelope) -> anyhow::Result<()> {
        doc["envelope"] = BASE64.encode(envelope.encode_to_vec()).into();
        let sql = format!(
            "UPDATE jobs SET doc = '{}', sum = NULL WHERE id = '{}'",
            doc.to_string().replace('\'', "''"),
            doc["id"].as_str().unwrap_or_default(),
        );
        sqlite::execute(&self.plane.data_dir().join("nimbus.db"), &sql).await
    }

    fn key(&self) -> anyhow::Result<SigningKey> {
        let text = std::fs::read_to_string(self.plane.data_dir().join("job.key"))?;
        let bytes: Vec<u8> =
            (0..32).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16)).collect::<Result<_, _>>()?;
        Ok(SigningKey::from_bytes(bytes.as_slice().try_into()?))
    }

    /// Waits until an audit row of a refusal with this code stands, and the job is refused.
    async fn refused(&self, job: &Value, code: &str) -> anyhow::Result<()> {
        let id = job["id"].as_str().unwrap_or_default();
        wait_for(&format!("the refusal {code} of {id}"), PATIENCE, || async {
            let job = self.plane.get(&format!("/jobs/{id}")).await?;
            let rows = self.plane.items("/audit").await?;
            let audited = rows.iter().any(|r| {
                let says = |field: &str, word: &str| r[field].as_str().is_some_and(|t| t.contains(word));
                says("action", "refused") && says("detail", code)
            });
            Ok(Seen::when(audited.then_some(()), format!("{job}\n{rows:?}\n{}", self.agent.output())))
        })
        .await
    }
}

type Alter = fn(v1::Envelope, &SigningKey) -> v1::Envelope;

/// The job with a change, signed with the right key all the same.
fn resigned(envelope: &v1::Envelope, key: &SigningKey, change: impl Fn(&mut v1::Job)) -> v1::Envelope {
    let mut job = v1::Job::decode(envelope.payload.as_slice()).unwrap();
    // The restarted control plane is one epoch further: an older job is refused for that alone.
    job.epoch += 1;
    change(&mut job);
    signed::sign(&job, key).envelope().clone()
}

fn envelope_of(doc: &Value) -> anyhow::Result<v1::Envelope> {
    let bytes = BASE64.decode(doc["envelope"].as_str().unwrap_or_default())?;
    Ok(v1::Envelope::decode(bytes.as_slice())?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_foreign_or_expired_job_is_refused_reported_and_audited() {
    let mut host = Host::start().await.unwrap();
    let key = host.key().unwrap();
    let flip: Alter = |mut envelope, _| {
        let middle = envelope.payload.len() / 2;
        envelope.payload[middle] ^= 1;
        envelope
    };
    let foreign: Alter = |envelope, key| {
        resigned(&envelope, key, |job| job.agent_id = "agt_00000000000000000000000000000001".into())
    };
    let expired: Alter = |envelope, key| {
        resigned(&envelope, key, |job| {
            job.not_before_us -= 7_200_000_000;
            job.expires_at_us = job.not_before_us + 1_000_000;
        })
    };
    for (n, (code, alter)) in
        [("bad_signature", flip), ("wrong_agent", foreign), ("expired", expired)].into_iter().enumerate()
    {
        let content = format!("changed = {n}\n");
        let job = host.signed_and_not_sent(&content).await.unwrap();
        host.store(job.clone(), &alter(envelope_of(&job).unwrap(), &key)).await.unwrap();
        host.plane.restart().await.unwrap();
        host.refused(&job, code).await.unwrap();
        assert_eq!(std::fs::read_to_string(host.file()).unwrap(), content, "{code}: untouched");
        // The file goes back by hand, so that the next round starts from the baseline.
        std::fs::write(host.file(), "a = 1\n").unwrap();
        wait_for("the drift to be gone", PATIENCE, || async {
            let all = host.plane.items("/drift").await?;
            let open = all.iter().filter(|d| d["state"] != "resolved").count();
            Ok(Seen::when((open == 0).then_some(()), format!("{all:?}")))
        })
        .await
        .unwrap();
    }
    assert_eq!(host.plane.get("/audit/verify").await.unwrap()["valid"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_sent_twice_runs_once() {
    let mut host = Host::start().await.unwrap();
    host.signed_and_not_sent("changed = 1\n").await.unwrap();
    host.plane.restart().await.unwrap();
    // The job of the control plane that died is void (another epoch); its approval stands for one more.
    let id = wait_for("a job to succeed", PATIENCE, || async {
        let jobs = host.plane.items("/jobs").await?;
        let done = jobs.iter().find(|j| j["state"] == "succeeded").map(|j| j["id"].clone());
        Ok(Seen::when(done, format!("{jobs:?}")))
    })
    .await
    .unwrap();
    let id = id.as_str().unwrap();
    assert_eq!(std::fs::read_to_string(host.file()).unwrap(), "a = 1\n", "restored");
    // The attacker puts the stored job back to "signed, not sent"; the file has changed again in between.
    host.plane.kill9().unwrap();
    let sql = format!("SELECT doc FROM jobs WHERE id = '{id}'");
    let docs = sqlite::texts(&host.plane.data_dir().join("nimbus.db"), &sql).await.unwrap();
    let mut job: Value = serde_json::from_str(&docs[0]).unwrap();
    job["state"] = "pending".into();
    for field in ["applied_at", "finished_at", "dispatched_at"] {
        job[field] = Value::Null;
    }
    std::fs::write(host.file(), "changed = 1\n").unwrap();
    let doc = job.to_string().replace('\'', "''");
    let sql = format!("UPDATE jobs SET doc = '{doc}', sum = NULL, state = 'pending' WHERE id = '{id}'");
    sqlite::execute(&host.plane.data_dir().join("nimbus.db"), &sql).await.unwrap();
    host.plane.restart().await.unwrap();
    host.refused(&job, "replayed").await.unwrap();
    assert_eq!(std::fs::read_to_string(host.file()).unwrap(), "changed = 1\n", "not restored a second time");
}
