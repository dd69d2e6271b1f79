//! What one scene of a cluster has: a namespace of its own, eyes on what the agent does there, and the control plane.
//!
//! Restraint is judged from the API server's side: by its audit log, which has every change that the agent asked for,
//! and by the approvals that the control plane asks for. Both are looked at for as long as the scene stands.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::stage::Stage;
use super::verdict::Wrong;
use crate::rig::audit::Change;
use crate::rig::workloads::Workloads;
use crate::site::approval_of;
use crate::wait::{Seen, wait_for};

/// How long restraint is watched, once the situation stands: every remedy that is wrong begins within a few seconds,
/// as the figures of the stage are short.
pub const WATCH: Duration = Duration::from_secs(12);

/// Longest wait for the rig, and for what the product does by itself.
pub const LIMIT: Duration = Duration::from_mins(1);

/// Between two looks: each asks for all incidents of a stage, and many scenes look at once.
const PAUSE: Duration = Duration::from_millis(300);

/// One scene's own part of a stage.
pub struct Ground {
    /// The stage.
    pub stage: Arc<Stage>,
    /// The scene's namespace.
    pub work: Workloads,
    /// How many changes the audit log had when the scene began.
    from: usize,
}

impl Ground {
    /// A fresh namespace on the stage. Its name says nothing: words of the scene would be found in every text.
    pub async fn new(stage: &Arc<Stage>) -> anyhow::Result<Self> {
        let work = stage.cluster.workloads("play").await?;
        let from = stage.audit.changes()?.len();
        Ok(Self { stage: Arc::clone(stage), work, from })
    }

    /// The scene's namespace.
    pub fn namespace(&self) -> &str {
        self.work.namespace()
    }

    /// What the agent changed since the scene began: in its namespace, and on nodes on its behalf.
    pub async fn effects(&self) -> anyhow::Result<Vec<Change>> {
        let mut found = Vec::new();
        for change in self.stage.audit.changes()?.into_iter().skip(self.from) {
            if !change.took_effect() {
                continue;
            }
            let mine = match change.namespace.as_str() {
                "" => self.acts_for_me(&change).await?,
                namespace => namespace == self.namespace(),
            };
            if mine {
                found.push(change);
            }
        }
        Ok(found)
    }

    /// Is this change of a node the work of a job that is about this namespace? Other scenes are played meanwhile. A
    /// change that names no job takes a mark away, and is not counted.
    async fn acts_for_me(&self, change: &Change) -> anyhow::Result<bool> {
        let Some(at) = change.body.find("job_") else { return Ok(false) };
        let job: String =
            change.body[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let (status, job) =
            self.stage.plane.request(reqwest::Method::GET, &format!("/jobs/{job}"), None).await?;
        Ok(status == 200 && self.is_mine(&job))
    }

    fn is_mine(&self, item: &Value) -> bool {
        [&item["object"], &item["owner"]].iter().any(|object| object["namespace"] == self.namespace())
    }

    /// Evictions that took effect.
    pub async fn evictions(&self) -> anyhow::Result<usize> {
        Ok(self.effects().await?.iter().filter(|change| change.is_eviction()).count())
    }

    /// The approvals that were ever asked for in this namespace, newest first.
    pub async fn approvals(&self) -> anyhow::Result<Vec<Value>> {
        let all = self.stage.plane.items("/approvals").await?;
        Ok(all.into_iter().filter(|approval| self.is_mine(approval)).collect())
    }

    /// The incidents of this namespace with all that is known of them, newest first.
    pub async fn incidents(&self) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        for incident in self.stage.plane.items("/incidents").await?.iter().filter(|i| self.is_mine(i)) {
            let id = incident["id"].as_str().context("an id")?;
            found.push(self.stage.plane.get(&format!("/incidents/{id}")).await?);
        }
        Ok(found)
    }

    /// Nothing was changed and nobody was asked, so far.
    ///
    /// # Errors
    /// [`Wrong::Action`] with what was done.
    pub async fn is_untouched(&self) -> anyhow::Result<()> {
        let effects = self.effects().await?;
        if let Some(effect) = effects.first() {
            return Err(Wrong::Action(format!("{effect}: {}", effect.body)).into());
        }
        match self.approvals().await?.first() {
            Some(asked) => Err(Wrong::Action(format!("approval asked: {}", asked["summary"])).into()),
            None => Ok(()),
        }
    }

    /// Nothing is changed and nobody is asked for as long as `during`.
    ///
    /// # Errors
    /// As [`Ground::is_untouched`].
    pub async fn refrains_for(&self, during: Duration) -> anyhow::Result<()> {
        let begun = std::time::Instant::now();
        loop {
            self.is_untouched().await?;
            if begun.elapsed() >= during {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Restraint for the stated time, [`WATCH`].
    ///
    /// # Errors
    /// As [`Ground::is_untouched`].
    pub async fn refrains(&self) -> anyhow::Result<()> {
        self.refrains_for(WATCH).await
    }

    /// Waits for an incident that is as `test` wants it.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] with the incidents that were there instead.
    pub async fn incident(&self, what: &str, test: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let found = wait_for(what, LIMIT, || async {
            let all = self.incidents().await?;
            let shown: Vec<String> = all.iter().map(shown).collect();
            let found = all.into_iter().find(|incident| test(incident));
            if found.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
            Ok(Seen::when(found, shown.join("\n")))
        });
        found.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
    }

    /// Waits until an open incident says all of these words, in any case, anywhere in what a person reads.
    ///
    /// # Errors
    /// As [`Ground::incident`].
    pub async fn says(&self, words: &[&str]) -> anyhow::Result<Value> {
        let all_of = |incident: &Value| {
            let text = told(incident).to_lowercase();
            incident["state"] != "resolved" && words.iter().all(|word| text.contains(&word.to_lowercase()))
        };
        self.incident(&format!("an incident that says {words:?}"), all_of).await
    }

    /// Waits for such an incident, then watches that nothing is done while it stands: a recommendation.
    ///
    /// # Errors
    /// As [`Ground::incident`] and [`Ground::is_untouched`]. What was done counts for more than what was not said.
    pub async fn recommends(&self, words: &[&str]) -> anyhow::Result<Value> {
        let incident = tokio::select! {
            touched = self.is_touched() => return Err(touched),
            said = self.says(words) => said?,
        };
        self.refrains().await?;
        Ok(incident)
    }

    /// Ends only when something was changed or asked, with what it was.
    async fn is_touched(&self) -> anyhow::Error {
        loop {
            if let Err(error) = self.is_untouched().await {
                return error;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until an incident asks for an approval.
    ///
    /// # Errors
    /// As [`Ground::incident`].
    pub async fn asks(&self) -> anyhow::Result<Value> {
        self.incident("an incident that waits for approval", |i| i["state"] == "waiting_approval").await
    }

    /// Approves what the incident asked for, with the digest that was read.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] when the approval is not taken.
    pub async fn approve(&self, incident: &Value) -> anyhow::Result<()> {
        let (id, digest) = approval_of(incident)?;
        let body = json!({"plan_digest": digest, "reason": "seen"});
        let path = format!("/approvals/{id}/approve");
        let (status, answer) = self.stage.plane.request(reqwest::Method::POST, &path, Some(body)).await?;
        if (200..300).contains(&status) {
            return Ok(());
        }
        Err(Wrong::Restraint(format!("the approval was not taken: {status} {answer}")).into())
    }

    /// Waits until this incident is resolved.
    ///
    /// # Errors
    /// As [`Ground::incident`].
    pub async fn resolves(&self, incident: &Value) -> anyhow::Result<Value> {
        let same = |found: &Value| found["id"] == incident["id"] && found["state"] == "resolved";
        self.incident("the incident to be resolved", same).await
    }

    /// Waits until the job of this incident ended so.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] with the jobs that there were instead.
    pub async fn job_ends(&self, incident: &Value, state: &str) -> anyhow::Result<Value> {
        let what = format!("the incident's job to be {state}");
        let found = wait_for(&what, LIMIT, || async {
            let all = self.stage.plane.items("/jobs").await?;
            let its: Vec<Value> =
                all.into_iter().filter(|job| job["incident_id"] == incident["id"]).collect();
            let seen = format!("{its:?}");
            let found = its.into_iter().find(|job| job["state"] == state);
            if found.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
            Ok(Seen::when(found, seen))
        });
        found.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
    }

    /// Requires that at most `most` incidents of this namespace are open.
    ///
    /// # Errors
    /// [`Wrong::Action`]: a person is called for each.
    pub async fn at_most_open(&self, most: usize) -> anyhow::Result<()> {
        let all = self.incidents().await?;
        let open: Vec<String> = all.iter().filter(|i| i["state"] != "resolved").map(shown).collect();
        if open.len() <= most {
            return Ok(());
        }
        Err(Wrong::Action(format!("{} open incidents instead of {most}: {open:#?}", open.len())).into())
    }
}

/// Requires that a text says none of these words.
///
/// # Errors
/// [`Wrong::Restraint`]: it says what is not so.
pub fn says_nothing_of(incident: &Value, words: &[&str]) -> anyhow::Result<()> {
    let text = told(incident).to_lowercase();
    match words.iter().find(|word| text.contains(&word.to_lowercase())) {
        Some(word) => Err(Wrong::Restraint(format!("it speaks of {word:?}: {text}")).into()),
        None => Ok(()),
    }
}

/// Everything of an incident that a person reads: title, reason, evidence, and what the plan says.
pub fn told(incident: &Value) -> String {
    let mut text = String::new();
    for part in [&incident["title"], &incident["reason"]] {
        text.push_str(part.as_str().unwrap_or_default());
        text.push('\n');
    }
    let plan = &incident["plan"];
    for part in [
        &plan["summary"],
        &plan["rationale"],
        &plan["outlook"],
        &plan["changes"],
        &plan["considered"],
        &incident["evidence"],
    ] {
        if !part.is_null() {
            text.push_str(&part.to_string());
            text.push('\n');
        }
    }
    text
}

fn shown(incident: &Value) -> String {
    format!("{} {}: {} - {}", incident["kind"], incident["state"], incident["title"], incident["reason"])
}
