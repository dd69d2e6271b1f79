//! Takes what stands at a watched path now as its new baseline, if it is still what was decided on.

use std::sync::Arc;

use nimbus_agent_core::Refusal;
use nimbus_agent_core::admit::Admitted;
use nimbus_agent_core::preconditions;
use nimbus_protocol::v1;
use nimbus_protocol::v1::job_report::Phase as Told;

use super::Shared;
use super::remedy::{ActError, Limits, Probe, Remedy, Verdict};
use super::restore_file::{relative, unwatched};
use crate::watch::files::root::Root;

pub(super) struct AcceptBaseline {
    shared: Arc<Shared>,
    order: v1::AcceptBaseline,
    limits: Limits,
}

impl AcceptBaseline {
    pub(super) fn new(shared: Arc<Shared>, job: &Admitted<v1::Job>, order: v1::AcceptBaseline) -> Self {
        Self { shared, order, limits: Limits::of(job.get()) }
    }

    async fn at_root<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Root, &v1::AcceptBaseline) -> T + Send + 'static,
    ) -> Option<T> {
        let order = self.order.clone();
        self.shared.files.with(&self.order.root, move |root| work(root, &order)).await
    }

    /// Is the baseline what was decided on? `None` when the root is not watched.
    async fn is_accepted(&self) -> Option<bool> {
        self.at_root(|root, order| {
            let relative = root.relative(&order.path)?.to_owned();
            let expected = order.expect_current.clone().unwrap_or_default();
            Some(preconditions::file(&expected, &root.baseline(&relative).to_state()).is_ok())
        })
        .await?
    }
}

fn check(root: &Root, order: &v1::AcceptBaseline) -> Result<String, Refusal> {
    let relative = relative(root, &order.path)?;
    let expected = order.expect_current.clone().unwrap_or_default();
    preconditions::file(&expected, &root.look(&relative, 0).entry.to_state())?;
    Ok(relative)
}

fn accept(root: &mut Root, order: &v1::AcceptBaseline) -> Result<(), ActError> {
    let relative = check(root, order).map_err(ActError::Refused)?;
    let expected = order.expect_current.clone().unwrap_or_default();
    root.accept(&relative, |found| preconditions::file(&expected, &found.to_state()).is_ok())
        .map_err(|problem| ActError::Failed(format!("the baseline was not changed: {problem}")))
}

impl Remedy for AcceptBaseline {
    async fn check(&mut self) -> Result<(), Refusal> {
        let checked = self.at_root(|root, order| check(root, order).map(|_| ())).await;
        checked.unwrap_or_else(|| Err(unwatched(&self.order.root)))
    }

    fn memo(&self) -> Vec<u8> {
        Vec::new()
    }

    fn recall(&mut self, _memo: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let work = move |root: &mut Root, order: &v1::AcceptBaseline| {
            // The root may have been busy for long.
            window.still_open()?;
            accept(root, order)
        };
        let done = self.at_root(work).await;
        done.unwrap_or_else(|| Err(ActError::Refused(unwatched(&self.order.root))))?;
        Ok(vec![format!("took what is at {} as its baseline", self.order.path)])
    }

    async fn probe(&mut self) -> Probe {
        match self.is_accepted().await {
            Some(true) => Probe::There,
            Some(false) => Probe::NotThere,
            None => Probe::Unknown("its root is not watched any more".to_owned()),
        }
    }

    async fn verify(&mut self) -> Verdict {
        self.shared.files.look_again(&self.order.root, self.order.path.clone()).await;
        match self.is_accepted().await {
            Some(true) => Verdict::new(Told::Succeeded, "what was there is the baseline now"),
            Some(false) => Verdict::new(Told::Failed, "expected the new baseline, found another"),
            None => {
                Verdict::new(Told::Unknown, "expected to read the baseline again, found its root not watched")
            }
        }
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}
