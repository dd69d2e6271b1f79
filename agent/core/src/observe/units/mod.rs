//! The units of the host's service manager that somebody has to know of, whether they could be started again, and the
//! decision which picture of them is worth an observation.
//!
//! | told of | how many at most |
//! |---|---|
//! | those that failed, or wait to be started again, or were started again three times within ten minutes | [`MOST`] |
//! | those that were among these within [`REMEMBERED`], so that their end is seen | [`MOST`] |
//! | those that the agent's policy names | [`MOST`] |
//!
//! How many more there are is said. A picture is sent when it differs from the last one, every [`CLOSELY`] while a unit
//! recovers, and else after [`AT_LEAST_EVERY`].

mod facts;
mod outlook;
mod picture;
#[cfg(test)]
mod tests;

use nimbus_protocol::v1;

use super::bounded;
pub use facts::{AUTO_RESTART, FAILED, More, NOT_LOADED, UnitFacts};
pub use picture::{AT_LEAST_EVERY, CLOSELY, Chosen, MOST, Pictures, REMEMBERED};

/// Most units that start one.
const MOST_TRIGGERS: usize = 8;

/// Whether the agent's policy lets it start this unit again; if not, why.
pub type MayStart<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// The message of one unit.
pub fn message(facts: UnitFacts, system_state: &str, may_start: MayStart<'_>) -> v1::Unit {
    let (obstacle, reason) = outlook::obstacle(&facts, system_state, may_start).unwrap_or_default();
    let UnitFacts { name, path: _, load_state, active_state, sub_state, has_job: _, more } = facts;
    let code = if more.ended_before_main() { "" } else { main_code(more.main_code) };
    v1::Unit {
        name,
        load_state: bounded(&load_state),
        active_state: bounded(&active_state),
        sub_state: bounded(&sub_state),
        result: bounded(&more.result),
        service_type: bounded(&more.service_type),
        restart: bounded(&more.restart),
        main_code: code.to_owned(),
        main_status: (!code.is_empty()).then_some(more.main_status),
        restarts: more.restarts,
        gave_up: more.gave_up(),
        changed_us: i64::try_from(more.changed_us).ok().filter(|us| *us > 0),
        start_limit: (more.start_limit > 0).then_some(more.start_limit),
        start_limit_us: (more.start_limit > 0).then_some(more.start_limit_us),
        triggered_by: more.triggered_by.iter().take(MOST_TRIGGERS).map(|name| bounded(name)).collect(),
        invocation_id: more.invocation_id,
        obstacle: obstacle.to_owned(),
        reason: bounded(&reason),
        restarting: false,
    }
}

/// The words of waitid(2) for how a process ended.
fn main_code(code: i32) -> &'static str {
    match code {
        1 => "exited",
        2 => "killed",
        3 => "dumped",
        _ => "",
    }
}
