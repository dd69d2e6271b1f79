//! The executor of `uncordon_node`: makes a node schedulable again, if its cordon is still that of the job that the
//! plan names.
//!
//! The patch tests that annotation, so a cordon that anybody else put up meanwhile stays.

use std::sync::Arc;
use std::time::Duration;

use ::kube::Client;
use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::journal::Phase;
use nimbus_agent_core::observe::kube::{Slim as _, SlimNode};
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1::{self, observation};

use super::Shared;
use super::kube;
use super::kube::stable::{Look, State, Watched, until_stable};
use super::remedy::{ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition};
use crate::watch::kube::request::{self, RequestError};
use crate::watch::kube::{cordons, holds};

pub(super) struct UncordonNode {
    shared: Arc<Shared>,
    action: v1::UncordonNode,
    limits: Limits,
}

impl UncordonNode {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::UncordonNode) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, action, limits }
    }

    fn name(&self) -> &str {
        self.action.node.as_ref().map_or("", |node| node.name.as_str())
    }

    async fn node(&self, client: &Client) -> Result<Option<v1::Node>, RequestError> {
        let found: Option<SlimNode> =
            request::get_optional(client, &cordons::node_path(self.name())?).await?;
        Ok(found.and_then(|node| match node.observe() {
            observation::Body::Node(node) => Some(node),
            _ => None,
        }))
    }

    /// A cordon that a job of this very agent still needs stays.
    async fn is_in_use(&self) -> bool {
        let Ok(job) = self.action.cordoned_by.parse::<JobId>() else { return false };
        let phase = self.shared.with_journal(move |store| store.get().phase(job)).await;
        // A journal that does not answer does not say that the job is over.
        phase.is_none_or(|phase| phase.is_some_and(|phase| phase != Phase::Done))
    }
}

fn held_by(node: &v1::Node) -> &str {
    node.facts.as_ref().map_or("", |facts| facts.held_by.as_str())
}

impl Watched for UncordonNode {
    const STATE: &'static str = "the node schedulable";

    fn takes_turns(&self) -> bool {
        true
    }

    async fn look(&mut self, client: &Client, _elapsed: Duration) -> Look {
        match self.node(client).await {
            Err(error) => Look::new(format!("the cluster did not answer: {error}"), State::Unanswered),
            Ok(None) => {
                let reason = format!("expected node {}, found that it is gone", self.name());
                Look::new("the node is gone", State::Over(Outcome::Unknown, reason))
            }
            Ok(Some(node)) if self.action.held && held_by(&node).is_empty() => Look::new(
                format!("node {} is not held any more", self.name()),
                State::Reached("not held".to_owned()),
            ),
            Ok(Some(node)) if self.action.held => {
                let reason = format!(
                    "expected node {} free of our taint, found that of job {}",
                    self.name(),
                    held_by(&node)
                );
                Look::new("the node is held", State::Over(Outcome::Failed, reason))
            }
            Ok(Some(node)) if node.unschedulable => {
                let by = if node.cordoned_by.is_empty() { "somebody else" } else { "a job of Nimbus" };
                let reason = format!("expected node {} open, found it cordoned by {by}", self.name());
                Look::new("the node is cordoned", State::Over(Outcome::Failed, reason))
            }
            Ok(Some(_)) => Look::new(
                format!("node {} is schedulable", self.name()),
                State::Reached("schedulable".to_owned()),
            ),
        }
    }
}

impl Remedy for UncordonNode {
    async fn check(&mut self) -> Result<(), Refusal> {
        let client = kube::may_act(&self.shared).await?;
        let unread = |error| precondition(format!("expected to read the node again, found: {error}"));
        let node = self.node(&client).await.map_err(unread)?;
        self.action.preconditions(node.as_ref())?;
        if self.is_in_use().await {
            return Err(precondition(format!(
                "expected job {} to be over, found it under way on this agent",
                self.action.cordoned_by
            )));
        }
        Ok(())
    }

    fn checkpoint(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _checkpoint: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        let client = kube::may_act(&self.shared).await.map_err(ActError::Refused)?;
        window.still_open()?;
        let name = self.name();
        let job = &self.action.cordoned_by;
        let lifted = if self.action.held {
            holds::release(&client, name, job).await
        } else {
            cordons::uncordon(&client, name, job).await
        };
        match lifted {
            Ok(()) if self.action.held => Ok(vec![format!("took the taint of job {job} from node {name}")]),
            Ok(()) => Ok(vec![format!("uncordoned node {name}, which job {job} had cordoned")]),
            Err(RequestError::Unanswered(found)) => {
                Err(ActError::Uncertain(format!("opening node {name} was not answered: {found}")))
            }
            Err(error) if error.code() >= 500 => {
                Err(ActError::Uncertain(format!("opening node {name} ended with: {error}")))
            }
            Err(error) => Err(ActError::Failed(format!("expected to uncordon node {name}, found: {error}"))),
        }
    }

    async fn probe(&mut self) -> Effect {
        let client = match kube::client(&self.shared) {
            Ok(client) => client,
            Err(why) => return Effect::Unknown(why),
        };
        match self.node(&client).await {
            Err(error) => Effect::Unknown(error.to_string()),
            Ok(Some(node)) if self.action.held && held_by(&node) == self.action.cordoned_by => Effect::Absent,
            Ok(Some(node)) if !self.action.held && node.cordoned_by == self.action.cordoned_by => {
                Effect::Absent
            }
            Ok(_) => Effect::Present,
        }
    }

    async fn verify(&mut self) -> Verdict {
        match kube::client(&self.shared) {
            Ok(client) => {
                let (limits, shared) = (self.limits, self.shared.clone());
                until_stable(self, limits, &client, &shared.cluster.looks).await
            }
            Err(why) => Verdict::new(
                Outcome::Unknown,
                format!("the node was uncordoned; whether it stays so is not known: {why}"),
            ),
        }
    }

    async fn compensate(&mut self) -> Compensation {
        Compensation::NotReversible("a node that somebody cordoned again is cordoned already")
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}
