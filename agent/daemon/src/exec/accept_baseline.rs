//! The executor of `accept_baseline`: makes the present state of a watched file its new baseline, if it is still the
//! state that the plan was made for.

use std::sync::Arc;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::{AgentRules as _, file};
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_protocol::v1;

use super::Shared;
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition};
use super::restore_file::{relative, standing, unwatched};
use crate::watch::files::root::Root;

/// Why an accepted baseline is not taken back: verification fails only where another one stands in its place.
const REPLACED: &str = "another baseline was taken since, which is the newer decision and stays";

pub(super) struct AcceptBaseline {
    shared: Arc<Shared>,
    action: v1::AcceptBaseline,
    limits: Limits,
}

impl AcceptBaseline {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::AcceptBaseline) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, action, limits }
    }

    async fn at_root<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Root, &v1::AcceptBaseline) -> T + Send + 'static,
    ) -> Option<T> {
        let action = self.action.clone();
        self.shared.files.with(&self.action.root, move |root| work(root, &action)).await
    }

    /// Is the baseline what was decided on? `None` when the root is not watched.
    async fn is_accepted(&self) -> Option<bool> {
        self.at_root(|root, action| {
            let relative = root.relative(&action.path)?.to_owned();
            let baseline = root.baseline(&relative).to_state();
            Some(file::as_expected(action.expect_current.as_ref(), &baseline).is_ok())
        })
        .await?
    }
}

fn check(root: &Root, action: &v1::AcceptBaseline) -> Result<String, Refusal> {
    let relative = relative(root, &action.path)?;
    standing(root)?;
    let found = root.look(&relative).entry.accepted().map_err(precondition)?;
    action.preconditions(&found.to_state())?;
    Ok(relative)
}

pub(super) fn accept(root: &mut Root, action: &v1::AcceptBaseline) -> Result<(), ActError> {
    let relative = check(root, action).map_err(ActError::Refused)?;
    root.accept(&relative, |found| action.preconditions(&found.to_state()).is_ok())
        .map_err(|problem| ActError::Failed(format!("the baseline was not changed: {problem}")))
}

impl Remedy for AcceptBaseline {
    async fn check(&mut self) -> Result<(), Refusal> {
        let checked = self.at_root(|root, action| check(root, action).map(|_| ())).await;
        checked.unwrap_or_else(|| Err(unwatched(&self.action.root)))
    }

    fn checkpoint(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _checkpoint: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let work = move |root: &mut Root, action: &v1::AcceptBaseline| {
            // The root may have been busy for long.
            window.still_open()?;
            accept(root, action)
        };
        let done = self.at_root(work).await;
        done.unwrap_or_else(|| Err(ActError::Refused(unwatched(&self.action.root))))?;
        Ok(vec![format!("took what is at {} as its baseline", self.action.path)])
    }

    async fn probe(&mut self) -> Effect {
        match self.is_accepted().await {
            Some(true) => Effect::Present,
            Some(false) => Effect::Absent,
            None => Effect::Unknown("its root is not watched any more".to_owned()),
        }
    }

    async fn verify(&mut self) -> Verdict {
        self.shared.files.observe_again(&self.action.root, self.action.path.clone()).await;
        match self.is_accepted().await {
            Some(true) => Verdict::new(Outcome::Succeeded, "what was there is the baseline now"),
            Some(false) => Verdict::new(Outcome::Failed, "expected the new baseline, found another"),
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
