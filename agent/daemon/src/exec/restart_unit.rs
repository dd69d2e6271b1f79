//! The executor of `restart_unit`: asks systemd to start a service that failed, and watches whether it lasts.
//!
//! It is started and not restarted, and with a job that pushes no other aside: what somebody else began meanwhile goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_agent_core::Refusal;
use nimbus_agent_core::action::AgentRules as _;
use nimbus_agent_core::action::restart_unit::{self, Seen};
use nimbus_agent_core::admit::AdmittedJob;
use nimbus_agent_core::observe::units;
use nimbus_protocol::v1;

use super::Shared;
use super::remedy::{
    ActError, Compensation, Effect, Limits, Outcome, Remedy, Verdict, precondition, seconds,
};
use crate::watch::units::bus::{BusError, SystemBus};

pub(super) struct RestartUnit {
    shared: Arc<Shared>,
    action: v1::RestartUnit,
    limits: Limits,
}

/// Whom to ask and to tell.
fn bus_of(shared: &Shared) -> Result<&SystemBus, String> {
    // The bus is there to be watched: whoever gave the pod another user gave it no right to start what its node runs.
    if shared.is_in_pod {
        return Err("an agent in a pod, which starts no unit of its node".to_owned());
    }
    shared.units.as_deref().ok_or_else(|| "this agent asks no systemd".to_owned())
}

impl RestartUnit {
    pub(super) fn new(shared: Arc<Shared>, job: &AdmittedJob, action: v1::RestartUnit) -> Self {
        let limits = Limits::of(job.job(), shared.job_time());
        Self { shared, action, limits }
    }

    /// The unit as it is now, with what stands in the way of its start by the policy as it is now.
    async fn unit(&self) -> Result<Option<v1::Unit>, String> {
        let bus = bus_of(&self.shared)?;
        let state = bus.system_state().await.map_err(|error| error.to_string())?;
        let facts = bus.unit(&self.action.unit).await.map_err(|error| error.to_string())?;
        let policy = self.shared.read_policy().policy;
        Ok(facts.map(|facts| units::message(facts, &state, &|unit| policy.restarts(unit))))
    }
}

impl Remedy for RestartUnit {
    async fn check(&mut self) -> Result<(), Refusal> {
        let unit = self.unit().await.map_err(|found| {
            precondition(format!("expected to read {} again, found: {found}", self.action.unit))
        })?;
        self.action.preconditions(unit.as_ref())
    }

    fn checkpoint(&self) -> Vec<u8> {
        Vec::new()
    }

    fn restore(&mut self, _checkpoint: &[u8]) {}

    async fn act(&mut self) -> Result<Vec<String>, ActError> {
        let window = self.limits.window();
        // Between the check and now it may have come up, or somebody may be at it.
        self.check().await.map_err(ActError::Refused)?;
        window.still_open()?;
        let name = &self.action.unit;
        let bus = bus_of(&self.shared).map_err(|found| ActError::Refused(precondition(found)))?;
        match bus.start(name).await {
            Ok(()) => Ok(vec![format!("asked systemd to start {name}")]),
            Err(BusError::Denied(found)) => Err(ActError::Refused(precondition(format!(
                "{} {name}, found that systemd does not let it ({found}): give the agent's user that right, as \
                 docs/install.md says, or take the unit out of the policy's `units`",
                nimbus_protocol::action::MAY_START
            )))),
            Err(BusError::Refused(found) | BusError::Gone(found)) => Err(ActError::Refused(precondition(
                format!("expected systemd to start {name}, found: {found}"),
            ))),
            Err(error @ (BusError::NotThere { .. } | BusError::NotLetIn { .. })) => Err(ActError::Refused(
                precondition(format!("expected systemd to start {name}, found: {error}")),
            )),
            Err(BusError::Unanswered(found)) => {
                Err(ActError::Uncertain(format!("the start of {name} was not answered: {found}")))
            }
        }
    }

    async fn probe(&mut self) -> Effect {
        let facts = match bus_of(&self.shared) {
            Ok(bus) => bus.unit(&self.action.unit).await.map_err(|error| error.to_string()),
            Err(found) => Err(found),
        };
        match facts {
            Err(found) => Effect::Unknown(found),
            Ok(Some(facts)) if restart_unit::is_untouched(&self.action, &facts) => Effect::Absent,
            Ok(_) => Effect::Present,
        }
    }

    async fn verify(&mut self) -> Verdict {
        let started = Instant::now();
        let mut since: Option<(Vec<u8>, Instant)> = None;
        let name = self.action.unit.clone();
        loop {
            let looked = self.unit().await;
            let elapsed = started.elapsed();
            let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let answered = looked.is_ok();
            let found = match looked {
                Err(found) => found,
                Ok(unit) => match restart_unit::seen(&self.action, unit.as_ref(), elapsed_ms) {
                    Seen::Over(why) => return Verdict::new(Outcome::Failed, why),
                    Seen::Left(why) => return Verdict::new(Outcome::Unknown, why),
                    Seen::Starting(found) => {
                        since = None;
                        found
                    }
                    Seen::Runs(run) => {
                        let began = since.take().filter(|(before, _)| *before == run).map(|(_, at)| at);
                        let began = began.unwrap_or_else(Instant::now);
                        let held = began.elapsed();
                        since = Some((run, began));
                        if held >= self.limits.hold {
                            return lasted(&name, unit.as_ref(), self.limits.hold);
                        }
                        format!("{name} runs for {} s", held.as_secs())
                    }
                },
            };
            if elapsed >= self.limits.reach {
                let reason = format!(
                    "expected {name} to run for {} within {}, found: {found}",
                    seconds(self.limits.hold),
                    seconds(self.limits.reach)
                );
                // Of what was not seen at the end nothing is known.
                let outcome = if answered { Outcome::Failed } else { Outcome::Unknown };
                return Verdict::new(outcome, reason);
            }
            tokio::time::sleep(self.limits.pace()).await;
        }
    }

    async fn compensate(&mut self) -> Compensation {
        Compensation::NotReversible("a service that was started and does not last is as failed as it was")
    }

    async fn clean_up(&mut self) -> Result<(), String> {
        Ok(())
    }
}

fn lasted(name: &str, unit: Option<&v1::Unit>, hold: Duration) -> Verdict {
    let run = unit.map(|unit| nimbus_protocol::to_hex(&unit.invocation_id)).unwrap_or_default();
    Verdict {
        evidence: vec![format!("{name} is active in run {run}")],
        ..Verdict::new(Outcome::Succeeded, format!("found {name} running for {}", seconds(hold)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::ClusterHandle;
    use crate::exec::test_support::shared;
    use crate::files::journal::JournalStore;

    #[test]
    fn an_agent_in_a_pod_starts_no_unit_of_its_node() {
        let dir = tempfile::tempdir().unwrap();
        let journal = JournalStore::open(dir.path(), nimbus_platform::now()).unwrap();
        let (mut shared, _refusals) = shared(dir.path(), journal, ClusterHandle::default());
        let own = Arc::get_mut(&mut shared).unwrap();
        assert!(bus_of(own).is_err(), "without a bus nobody starts one");
        own.units = Some(Arc::new(SystemBus::at(dir.path().join("bus"))));
        assert!(bus_of(own).is_ok());
        own.is_in_pod = true;
        assert!(bus_of(own).is_err_and(|why| why.contains("in a pod")));
    }
}
