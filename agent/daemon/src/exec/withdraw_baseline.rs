//! The executor of `withdraw_baseline`: withdraws an accepted baseline, if it is still the one in force, and restores
//! the baseline before it, which was kept.

use std::sync::Arc;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::{AgentRules as _, file, withdraw_baseline::Kept};
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_protocol::v1;
use prost::Message as _;

use super::Shared;
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict};
use super::restore_file::{relative, unwatched};
use crate::watch::files::root::Root;

/// Why a withdrawal is not taken back: verification fails only where another baseline stands in its place.
const REPLACED: &str = "another baseline was taken since, which is the newer decision and stays";

pub(super) struct WithdrawBaseline {
    shared: Arc<Shared>,
    action: v1::WithdrawBaseline,
    limits: Limits,
    /// What was the baseline before the accepted one: known once it was read, and in the journal before it is put back.
    earlier: Option<v1::FileFacts>,
}

impl WithdrawBaseline {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::WithdrawBaseline) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, action, limits, earlier: None }
    }

    async fn at_root<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Root, &v1::WithdrawBaseline) -> T + Send + 'static,
    ) -> Option<T> {
        let action = self.action.clone();
        self.shared.files.with(&self.action.root, move |root| work(root, &action)).await
    }

    /// The baseline in force now; `None` when the root is not watched.
    async fn in_force(&self) -> Option<v1::FileState> {
        self.at_root(|root, action| {
            let relative = root.relative(&action.path)?.to_owned();
            Some(root.baseline(&relative).to_state())
        })
        .await?
    }

    fn is_back(&self, in_force: &v1::FileState) -> bool {
        file::as_expected(self.earlier.as_ref(), in_force).is_ok()
    }
}

/// The path below the root and what was its baseline before, if all is as it was decided on.
fn check(root: &Root, action: &v1::WithdrawBaseline) -> Result<(String, v1::FileFacts), Refusal> {
    let relative = relative(root, &action.path)?;
    let earlier = root.earlier(&relative).map(|entry| file::facts(&entry.to_state()));
    let baseline = root.baseline(&relative).to_state();
    action.preconditions(Kept { baseline: &baseline, has_earlier: earlier.is_some() })?;
    Ok((relative, earlier.unwrap_or_default()))
}

fn withdraw(root: &mut Root, action: &v1::WithdrawBaseline) -> Result<(), ActError> {
    let (relative, _) = check(root, action).map_err(ActError::Refused)?;
    root.withdraw(&relative)
        .map_err(|problem| ActError::Failed(format!("the baseline was not changed: {problem}")))
}

impl Remedy for WithdrawBaseline {
    async fn check(&mut self) -> Result<(), Refusal> {
        let checked = self.at_root(|root, action| check(root, action)).await;
        let (_, earlier) = checked.unwrap_or_else(|| Err(unwatched(&self.action.root)))?;
        self.earlier = Some(earlier);
        Ok(())
    }

    fn checkpoint(&self) -> Vec<u8> {
        self.earlier.as_ref().map(v1::FileFacts::encode_to_vec).unwrap_or_default()
    }

    fn restore(&mut self, checkpoint: &[u8]) {
        self.earlier = v1::FileFacts::decode(checkpoint).ok().filter(|facts| !facts.kind.is_empty());
    }

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let work = move |root: &mut Root, action: &v1::WithdrawBaseline| {
            // The root may have been busy for long.
            window.still_open()?;
            withdraw(root, action)
        };
        let done = self.at_root(work).await;
        done.unwrap_or_else(|| Err(ActError::Refused(unwatched(&self.action.root))))?;
        Ok(vec![format!("took back the accepted baseline of {}", self.action.path)])
    }

    async fn probe(&mut self) -> Effect {
        let Some(in_force) = self.in_force().await else {
            return Effect::Unknown("its root is not watched any more".to_owned());
        };
        // Asked first, as the two may be the same.
        if file::as_expected(self.action.expect_baseline.as_ref(), &in_force).is_ok() {
            return Effect::Absent;
        }
        if self.is_back(&in_force) {
            return Effect::Present;
        }
        Effect::Unknown("another baseline was taken since".to_owned())
    }

    async fn verify(&mut self) -> Verdict {
        self.shared.files.observe_again(&self.action.root, self.action.path.clone()).await;
        match self.in_force().await {
            Some(in_force) if self.is_back(&in_force) => {
                Verdict::new(Outcome::Succeeded, "what was the baseline before is the baseline again")
            }
            Some(_) => Verdict::new(Outcome::Failed, "expected the earlier baseline, found another"),
            None => Verdict::new(
                Outcome::Unknown,
                "expected to read the baseline again, found its root not watched",
            ),
        }
    }

    async fn compensate(&mut self) -> Compensation {
        Compensation::NotReversible(REPLACED)
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}
