//! Is it the job's time, by the control plane's clock, and is it of the control plane that leads now?

use jiff::Timestamp;
use nimbus_protocol::{from_micros, v1};

use super::{CLOCK_TOLERANCE, JobHistory, MAX_LIFETIME};
use crate::refusal::{Code, Refusal};

pub(super) fn is_in_time(job: &v1::Job, history: &dyn JobHistory, clock: Timestamp) -> Result<(), Refusal> {
    let (from, until) = (from_micros(job.not_before_us), from_micros(job.expires_at_us));
    if from >= until || until.duration_since(from) > MAX_LIFETIME {
        let reason = format!("expected a lifetime of at most {MAX_LIFETIME:#}, found {from} to {until}");
        return Err(Refusal::new(Code::Malformed, reason));
    }
    is_not_over(job, history, clock)?;
    if from.duration_since(clock) > CLOCK_TOLERANCE {
        let reason = format!("expected a job that is valid at {clock}, found one for {from} and later");
        return Err(Refusal::new(Code::NotYetValid, reason));
    }
    is_of_this_epoch(job, history)
}

pub(super) fn is_not_over(job: &v1::Job, history: &dyn JobHistory, clock: Timestamp) -> Result<(), Refusal> {
    let until = from_micros(job.expires_at_us);
    if until <= clock {
        let reason = format!("expected a job that is valid at {clock}, found one that expired at {until}");
        return Err(Refusal::new(Code::Expired, reason));
    }
    // Then the clock was set back: the journal forgets no job of which the expiry has not passed.
    if history.may_have_forgotten(until) {
        let reason = format!(
            "expected a job that expires later than those that this agent has forgotten, found one until {until}; the clock \
             says {clock} and was later than that before"
        );
        return Err(Refusal::new(Code::Expired, reason));
    }
    Ok(())
}

pub(super) fn is_of_this_epoch(job: &v1::Job, history: &dyn JobHistory) -> Result<(), Refusal> {
    if job.epoch < history.epoch() {
        let reason = format!(
            "expected a job of epoch {} or later, found epoch {}: a newer control plane has taken over",
            history.epoch(),
            job.epoch
        );
        return Err(Refusal::new(Code::StaleEpoch, reason));
    }
    Ok(())
}
