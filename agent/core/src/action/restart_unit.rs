//! The agent's rules for `restart_unit`, the action that starts a systemd service of this host again that failed.
//!
//! It is started, and not restarted: what came up by itself meanwhile goes on undisturbed.

use nimbus_protocol::v1;

use super::{AgentRules, Permission, Place, Requester, Touched, malformed, unexpected};
use crate::observe::units::{FAILED, UnitFacts};
use crate::refusal::Refusal;
use crate::unit;

/// Bytes of an id of a run.
const INVOCATION: usize = 16;
/// Longest word of systemd, bytes.
const WORD: usize = 64;

impl AgentRules for v1::RestartUnit {
    /// The unit as it is now; `None` where systemd has none of that name loaded.
    type Found<'a> = Option<&'a v1::Unit>;

    fn place(&self) -> Place {
        Place::Host
    }

    /// The policy names each unit, and what did not run is disturbed by nothing.
    fn needs_approval(&self) -> bool {
        false
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        if !unit::is_service(&self.unit) {
            return malformed("restart_unit.unit", "a service's whole name");
        }
        if self.failed_invocation.len() != INVOCATION {
            return malformed("restart_unit.failed_invocation", "the 16 bytes of the id of a run");
        }
        let word = |b: u8| b.is_ascii_lowercase() || b == b'-';
        if self.result.is_empty() || self.result.len() > WORD || !self.result.bytes().all(word) {
            return malformed("restart_unit.result", "systemd's word for how the run ended");
        }
        Ok(())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Unit(&self.unit)]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        let name = &self.unit;
        let Some(now) = found.filter(|now| now.name == *name) else {
            return Err(unexpected(format!("expected {name} loaded, found no such unit")));
        };
        if now.active_state != FAILED {
            return Err(unexpected(format!(
                "expected {name} failed, found it {} ({})",
                now.active_state, now.sub_state
            )));
        }
        if now.invocation_id != self.failed_invocation || now.result != self.result {
            return Err(unexpected(format!(
                "expected {name} as its run {} left it ({}), found that of run {} ({})",
                nimbus_protocol::to_hex(&self.failed_invocation),
                self.result,
                nimbus_protocol::to_hex(&now.invocation_id),
                now.result
            )));
        }
        if !now.obstacle.is_empty() {
            return Err(unexpected(format!("expected that {name} can be started, found: {}", now.reason)));
        }
        Ok(())
    }

    fn permissions() -> &'static [Permission] {
        &[]
    }
}

/// Is it still in the very state that the plan found it in, so that nothing was begun? A job of systemd that is queued for it may be
/// the one that was asked for.
pub fn is_untouched(action: &v1::RestartUnit, now: &UnitFacts) -> bool {
    let same_run = now.more.invocation_id == action.failed_invocation && now.more.result == action.result;
    now.active_state == FAILED && same_run && !now.has_job
}

/// What a look at the unit shows after it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is starting.
    Starting(String),
    /// It runs, in the run of this id: another one has to last anew.
    Runs(Vec<u8>),
    /// It does not come up, or did not stay up; why.
    Over(String),
    /// Somebody ended it meanwhile: whether it helped is not known; why.
    Left(String),
}

/// What `now` shows of what `action` began, so long ago in milliseconds; systemd may take a moment to begin.
pub fn seen(action: &v1::RestartUnit, now: Option<&v1::Unit>, elapsed_ms: u64) -> Seen {
    const BEGIN_MS: u64 = 5_000;
    let name = &action.unit;
    let Some(now) = now else {
        return Seen::Left(format!("expected {name} to run, found no such unit loaded"));
    };
    let same_run = now.invocation_id == action.failed_invocation;
    let state = format!("{} ({})", now.active_state, now.sub_state);
    match now.active_state.as_str() {
        "active" | "reloading" | "refreshing" => Seen::Runs(now.invocation_id.clone()),
        // systemd tries by itself what it was told to try.
        "activating" => Seen::Starting(format!("{name} is {state}")),
        FAILED if same_run && elapsed_ms < BEGIN_MS && now.result == action.result => {
            Seen::Starting(format!("{name} is {state}, and systemd has not begun"))
        }
        // It has begun a run since it was listed as failed: what that run comes to is not seen yet.
        FAILED if matches!(now.result.as_str(), "" | "success") => {
            Seen::Starting(format!("{name} was {state} a moment ago"))
        }
        FAILED => Seen::Over(format!("expected {name} to run, found it failed again: {}", now.result)),
        _ => Seen::Left(format!(
            "expected {name} to run, found it {state}: somebody stopped it, or it ended by itself"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Code;

    fn action() -> v1::RestartUnit {
        v1::RestartUnit {
            unit: "web.service".into(),
            failed_invocation: vec![1; 16],
            result: "exit-code".into(),
        }
    }

    fn failed() -> v1::Unit {
        v1::Unit {
            name: "web.service".into(),
            active_state: FAILED.into(),
            sub_state: FAILED.into(),
            result: "exit-code".into(),
            invocation_id: vec![1; 16],
            ..v1::Unit::default()
        }
    }

    #[test]
    fn only_the_very_failure_that_was_planned_on_is_answered() {
        assert_eq!(action().well_formed(), Ok(()));
        assert_eq!(action().preconditions(Some(&failed())), Ok(()));
        let changes: [fn(&mut v1::Unit); 5] = [
            |u| u.active_state = "active".into(),
            |u| u.invocation_id = vec![2; 16],
            |u| u.result = "signal".into(),
            |u| u.obstacle = "job".into(),
            |u| u.name = "other.service".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut now = failed();
            change(&mut now);
            let refusal = action().preconditions(Some(&now)).expect_err(&number.to_string());
            assert_eq!(refusal.code, Code::PreconditionFailed);
        }
        assert!(action().preconditions(None).is_err());
        for bad in [
            v1::RestartUnit { unit: "web@.service".into(), ..action() },
            v1::RestartUnit { unit: "web.socket".into(), ..action() },
            v1::RestartUnit { failed_invocation: vec![1; 15], ..action() },
            v1::RestartUnit { result: String::new(), ..action() },
            v1::RestartUnit { result: "exit code; rm".into(), ..action() },
        ] {
            assert!(bad.well_formed().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_stands_in_the_way_is_no_effect_and_a_job_may_be_ours() {
        let mut now = UnitFacts { active_state: FAILED.into(), ..UnitFacts::default() };
        (now.more.invocation_id, now.more.result) = (vec![1; 16], "exit-code".into());
        now.more.needs_reload = true;
        assert!(is_untouched(&action(), &now));
        assert!(!is_untouched(&action(), &UnitFacts { has_job: true, ..now.clone() }));
        assert!(!is_untouched(&action(), &UnitFacts { active_state: "active".into(), ..now.clone() }));
        now.more.invocation_id = vec![2; 16];
        assert!(!is_untouched(&action(), &now));
    }

    #[test]
    fn what_follows_is_told_by_the_state_and_by_the_run() {
        let now = |active: &str, run: u8| v1::Unit {
            active_state: active.into(),
            invocation_id: vec![run; 16],
            ..failed()
        };
        let seen = |unit: &v1::Unit, ms| super::seen(&action(), Some(unit), ms);
        assert_eq!(seen(&now("active", 2), 100), Seen::Runs(vec![2; 16]));
        assert!(matches!(seen(&now("activating", 2), 100), Seen::Starting(_)));
        assert!(matches!(seen(&now(FAILED, 1), 100), Seen::Starting(_)), "systemd has not begun");
        assert!(matches!(seen(&now(FAILED, 1), 5_000), Seen::Over(_)), "it never began");
        assert!(matches!(seen(&now(FAILED, 2), 100), Seen::Over(_)));
        let between = v1::Unit { result: "success".into(), ..now(FAILED, 2) };
        assert!(matches!(seen(&between, 100), Seen::Starting(_)), "the list is of a moment before the rest");
        let limit = v1::Unit { result: "start-limit-hit".into(), ..failed() };
        assert!(matches!(seen(&limit, 100), Seen::Over(_)), "it refused to begin");
        assert!(matches!(seen(&now("inactive", 2), 100), Seen::Left(_)));
        assert!(matches!(super::seen(&action(), None, 100), Seen::Left(_)));
    }
}
