//! The executor of `restore_file`: returns a watched file to its baseline (content, mode and owner, or absence).
//!
//! Content is replaced by way of a temporary file in the same directory, synced before it is renamed, so that a crash
//! leaves the old or the new file and never a half one; a parent that is gone is made the same way. A file that others hold
//! is written in place instead ([`in_place`]). No symbolic link is
//! followed. Where only plain permission bits and attributes differ, the file stays and only those are changed, on
//! the very file that was checked. Every directory is opened from the root's own, which must be the one that its baseline was taken of, and
//! once more before the last step. Once the time to act is over nothing is changed any more.
//!
//! A restore counts as failed only where something else changed the file again. Putting back what was there before the
//! job would then overwrite what somebody wrote after it, so nothing is written: where the file is already as it was
//! before the job, the restore is undone; otherwise the job fails and says how the file was left.

#[cfg(test)]
#[cfg(target_os = "linux")]
mod attribute_tests;
mod directories;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod held_tests;
mod in_place;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod race_tests;
mod stop;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::file::as_expected;
use nimbus_agent_core::action::restore_file::FileNow;
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::observe::file::{Entry, Kind};
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1;
use rustix::fs::{AtFlags, unlinkat};

use super::Shared;
use super::remedy::{
    ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition, seconds,
};
use crate::watch::files::restores::UnderWay;
use crate::watch::files::root::Root;
use stop::{Stop, StopOnDrop};

/// Longest wait to look at a file again after a restore was refused.
const OBSERVE: Duration = Duration::from_secs(2);

pub(super) struct RestoreFile {
    shared: Arc<Shared>,
    job_id: JobId,
    action: v1::RestoreFile,
    limits: Limits,
    /// Its temporary file is not watched until this is dropped.
    _under_way: UnderWay,
}

impl RestoreFile {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::RestoreFile) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        let under_way = shared.files.under_way(job.id());
        Self { shared, job_id: job.id(), action, limits, _under_way: under_way }
    }

    async fn at_root<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Root, &v1::RestoreFile) -> T + Send + 'static,
    ) -> Option<T> {
        let action = self.action.clone();
        self.shared.files.with(&self.action.root, move |root| work(root, &action)).await
    }

    /// Puts back what a crash in the middle of a write in place left half written. `None` when its root is not watched.
    async fn recover(&self) -> Option<Result<(), String>> {
        let job_id = self.job_id;
        self.at_root(move |root, action| {
            let Some(relative) = root.relative(&action.path).map(str::to_owned) else { return Ok(()) };
            let should = root.baseline(&relative);
            in_place::recover(root, &relative, &should, job_id)
        })
        .await
    }

    /// Observes what stands there now, if the root is free before it is too late; the watcher observes it otherwise.
    async fn observe_again(&self, until: tokio::time::Instant) {
        let looked = self.shared.files.observe_again(&self.action.root, self.action.path.clone());
        let _ = tokio::time::timeout_at(until, looked).await;
    }

    /// How the file is now; `None` when its root is not watched.
    async fn current(&self) -> Option<v1::FileState> {
        self.at_root(|root, action| {
            let relative = root.relative(&action.path)?.to_owned();
            Some(root.look(&relative).entry.to_state())
        })
        .await?
    }

    /// Is the file what it should be? `None` when its root is not watched.
    async fn matches_baseline(&self) -> Option<bool> {
        Some(as_expected(self.action.restore_to.as_ref(), &self.current().await?).is_ok())
    }
}

/// The path below the root, or why there is none.
pub(super) fn relative(root: &Root, path: &str) -> Result<String, Refusal> {
    root.relative(path).map(str::to_owned).ok_or_else(|| {
        precondition(format!("expected a path below the watched root {}, found {path}", root.text()))
    })
}

/// The way to the root leads to what its baseline saw: nothing is read or written elsewhere.
pub(super) fn standing(root: &Root) -> Result<(), Refusal> {
    root.astray().map_or(Ok(()), |why| Err(precondition(why)))
}

/// A root that this agent does not watch.
pub(super) fn unwatched(root: &str) -> Refusal {
    precondition(format!("expected {root} to be a watched root of this agent, found that it is not"))
}

/// What is wanted, with its content, if all is as it was planned.
fn baseline_to_restore(root: &Root, action: &v1::RestoreFile) -> Result<(String, Entry, Vec<u8>), Refusal> {
    let relative = relative(root, &action.path)?;
    standing(root)?;
    let (baseline, now) = (root.baseline(&relative), root.look(&relative).entry);
    action.preconditions(FileNow { baseline: &baseline.to_state(), current: &now.to_state() })?;
    if let Err((_, reason)) = root.outlook(&relative, &now).way {
        return Err(write::in_the_way(action, &reason));
    }
    if root.is_unseen(&relative) {
        return Err(precondition(
            "expected to see what is below a directory of the baseline, found that it cannot be listed or lacks the file \
             system that was mounted on it; mount it, or give this agent's user access",
        ));
    }
    let content = match baseline.kind {
        Kind::Absent => Vec::new(),
        Kind::File | Kind::Symlink => content(root, &baseline)?,
        kind => {
            return Err(precondition(format!("expected a file or a link in the baseline, found {kind:?}")));
        }
    };
    Ok((relative, baseline, content))
}

fn content(root: &Root, baseline: &Entry) -> Result<Vec<u8>, Refusal> {
    let blob = baseline.sha256.map(|hash| root.baselines().blob(&hash));
    match blob {
        Some(Ok(Some(content))) => Ok(content),
        Some(Err(error)) => Err(precondition(format!("expected the baseline's content, found: {error}"))),
        Some(Ok(None)) if baseline.sha256.is_some_and(|hash| root.baselines().is_damaged(&hash)) => {
            Err(precondition("expected the baseline's content, found its kept copy damaged"))
        }
        Some(Ok(None)) | None => Err(precondition(
            "expected the baseline's content, found that it was not kept when the baseline was taken",
        )),
    }
}

/// Puts one path back. Everything that fails does so before the rename: nothing is changed then.
fn restore_path(
    root: &mut Root,
    action: &v1::RestoreFile,
    job_id: JobId,
    stop: &Stop,
) -> Result<String, ActError> {
    // It may have waited long for the root.
    stop.check()?;
    let (relative, baseline, content) = baseline_to_restore(root, action).map_err(ActError::Refused)?;
    let mut made = Vec::new();
    let done = directories::parent(root, &relative, &directories::temporary(job_id), &mut made)
        .map_err(|error| stop::failed("open its directory", &error))
        .and_then(|place| {
            write::put_back(root, action, (&relative, &baseline, &content), place, job_id, stop)
        });
    if matches!(done, Err(ActError::Refused(_) | ActError::Failed(_))) {
        // Nothing was changed: not the parents either. One that somebody uses by now is not empty and stays.
        for (dir, name) in made.iter().rev() {
            let _ = unlinkat(dir, name, AtFlags::REMOVEDIR);
        }
    }
    done
}

/// What a restore that did not help comes to, by how the file is now.
fn compensation_of(action: &v1::RestoreFile, now: &v1::FileState) -> Compensation {
    let path = &action.path;
    if as_expected(action.expect_current.as_ref(), now).is_ok() {
        return Compensation::Undone(vec![format!("{path} is as it was before the job")]);
    }
    let left = if as_expected(action.restore_to.as_ref(), now).is_ok() {
        "as in its baseline again"
    } else {
        "as something else wrote it since"
    };
    Compensation::Failed(format!("{path} is left {left}"))
}

impl Remedy for RestoreFile {
    async fn check(&mut self) -> Result<(), Refusal> {
        let checked = self.at_root(|root, action| baseline_to_restore(root, action).map(|_| ())).await;
        let checked = checked.unwrap_or_else(|| Err(unwatched(&self.action.root)));
        if checked.is_err() {
            // What is in the way is told with the drift, so that nobody is asked again while it is.
            self.observe_again(tokio::time::Instant::now() + OBSERVE).await;
        }
        checked
    }

    fn checkpoint(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _checkpoint: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let job_id = self.job_id;
        let stop = Stop::default();
        let _dropped = StopOnDrop(stop.clone());
        let window = self.limits.window();
        let back = move |root: &mut _, action: &_| {
            // Asked once the root is held: the wait for it may have been longer than the job was valid.
            window.still_open()?;
            restore_path(root, action, job_id, &stop)
        };
        let done = self.at_root(back).await;
        let done = done.unwrap_or_else(|| Err(ActError::Refused(unwatched(&self.action.root))))?;
        Ok(vec![done])
    }

    async fn probe(&mut self) -> Effect {
        if let Some(Err(problem)) = self.recover().await {
            return Effect::Unknown(problem);
        }
        match self.matches_baseline().await {
            Some(true) => Effect::Present,
            Some(false) => Effect::Absent,
            None => Effect::Unknown("its root is not watched any more".to_owned()),
        }
    }

    async fn verify(&mut self) -> Verdict {
        let started = Instant::now();
        // Room for the last look, where the state has to hold for as long as there is time.
        let patience = self.limits.reach.max(self.limits.hold + 2 * self.limits.pace());
        let until = tokio::time::Instant::from_std(started + patience);
        // What changed is observed at once; the report does not wait for the observation to be sent.
        self.observe_again(until).await;
        let verdict = loop {
            let Ok(right) = tokio::time::timeout_at(until, self.matches_baseline()).await else {
                let reason = format!(
                    "expected to read the file again within {}, found its root busy until then",
                    seconds(patience)
                );
                break Verdict::new(Outcome::Unknown, reason);
            };
            match right {
                Some(true) if started.elapsed() >= self.limits.hold => {
                    let reason =
                        format!("found the file as in the baseline for {}", seconds(self.limits.hold));
                    break Verdict::new(Outcome::Succeeded, reason);
                }
                Some(true) => {}
                Some(false) => {
                    break Verdict::new(
                        Outcome::Failed,
                        "expected the file to stay as in the baseline, found it changed again: something else writes it",
                    );
                }
                None => {
                    break Verdict::new(
                        Outcome::Unknown,
                        "expected to read the file again, found its root not watched",
                    );
                }
            }
            tokio::time::sleep(self.limits.pace()).await;
        };
        self.observe_again(until).await;
        verdict
    }

    async fn compensate(&mut self) -> Compensation {
        if let Some(now) = self.current().await {
            return compensation_of(&self.action, &now);
        }
        Compensation::Failed(format!("the root of {} is not watched any more", self.action.path))
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        if let Some(Err(problem)) = self.recover().await {
            return Err(problem);
        }
        let job_id = self.job_id;
        let removed =
            self.at_root(move |root, action| directories::remove_left_over(root, &action.path, job_id));
        removed.await.unwrap_or(Ok(()))
    }
}
