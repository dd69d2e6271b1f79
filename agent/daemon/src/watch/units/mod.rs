//! The watcher of the host's units: asks systemd every few seconds and tells what changed.
//!
//! What is told, and when, is decided by `nimbus_agent_core::observe::units`. A look is a question each for the units that are
//! not well, those that were not well of late and those that the policy names, and one to four more for each that is told of.

pub mod bus;
mod memory;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nimbus_agent_core::observe::units::{AUTO_RESTART, Chosen, FAILED, NOT_LOADED, Pictures, UnitFacts};
use nimbus_agent_core::policy::Policy;
use nimbus_protocol::v1::observation;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::observation_queue::ObservationQueue;
use crate::policy_files::PolicyNow;
use crate::status::SharedStatus;
use bus::{BusError, SystemBus};
use memory::Memory;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// What the watcher works with.
pub struct Watch {
    /// The bus; `None` where no units are watched.
    pub bus: Option<Arc<SystemBus>>,
    /// Does the agent run in a pod, which starts no unit of its node?
    pub is_in_pod: bool,
    /// Is it a problem where no systemd answers there? Not where nobody named the bus: this host has none.
    pub required: bool,
    /// Where it is kept which units were not well.
    pub data_dir: PathBuf,
    /// The person's policy file; what it names is told of also where it is well.
    pub policy: PathBuf,
    /// Where what was seen goes.
    pub observations: ObservationQueue,
    /// Where problems are said.
    pub status: Arc<SharedStatus>,
    /// Moves when everything has to be told again.
    pub resync: watch::Receiver<u64>,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// Looks until cancelled.
pub async fn run(mut watch: Watch) {
    let Some(bus) = watch.bus.take() else { return };
    let mut memory = Memory::open(&watch.data_dir);
    let mut pictures = memory.pictures(nimbus_platform::now());
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = watch.cancel.cancelled() => return,
            _ = ticks.tick() => {}
            asked = watch.resync.changed() => {
                if asked.is_err() { return }
                pictures.reset();
            }
        }
        if !watch.required && !bus.is_there() {
            continue;
        }
        let policy = PolicyNow::read(&watch.policy).policy;
        let seen = tokio::select! {
            () = watch.cancel.cancelled() => return,
            seen = look(&bus, &pictures, &policy) => seen,
        };
        let problem = match seen {
            Ok((chosen, state)) => {
                // A pod starts none, whatever its policy says.
                let may_start = |unit: &str| {
                    if watch.is_in_pod {
                        return Err("an agent in a pod starts no unit of its node".to_owned());
                    }
                    policy.restarts(unit)
                };
                if let Some(units) = pictures.offer(chosen, &state, &may_start, nimbus_platform::now()) {
                    watch.observations.observe("", observation::Body::Units(units)).await;
                }
                memory.keep(&pictures).err().map(|error| {
                    format!("expected to keep which units were not well, found: {error}; after a start they are not known")
                })
            }
            Err(BusError::NotThere { .. }) if !watch.required => None,
            Err(error) => Some(format!(
                "expected to read the units of this host, found that {error}; which of them failed is not known"
            )),
        };
        watch.status.problem("units", problem);
    }
}

async fn look(bus: &SystemBus, pictures: &Pictures, policy: &Policy) -> Result<(Chosen, String), BusError> {
    let state = bus.system_state().await?;
    let unwell = bus.units(&[FAILED, AUTO_RESTART], &[]).await?;
    let remembered = patterns(bus, pictures.remembered()).await?;
    let of_policy = patterns(bus, policy.named_units()).await?;
    let mut chosen = pictures.choose(unwell, remembered, of_policy);
    let mut units = Vec::with_capacity(chosen.units.len());
    for facts in chosen.units {
        if facts.load_state == NOT_LOADED {
            units.push(facts);
            continue;
        }
        // What a start would do to others is asked only of those that may be started at all.
        let others = facts.is_unwell() && policy.restarts(&facts.name).is_ok();
        match bus.more(facts, others).await? {
            Some(facts) => units.push(facts),
            None => chosen.not_listed += 1,
        }
    }
    chosen.units = units;
    Ok((chosen, state))
}

/// The units that fit any of these patterns. No pattern at all would stand for every unit.
async fn patterns(bus: &SystemBus, patterns: impl Iterator<Item = &str>) -> Result<Vec<UnitFacts>, BusError> {
    let patterns: Vec<String> = patterns.map(str::to_owned).collect();
    if patterns.is_empty() { Ok(Vec::new()) } else { bus.units(&[], &patterns).await }
}
