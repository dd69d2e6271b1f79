//! Is it the job's time, by a clock that never goes back, and is it of the control plane that leads now?

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
    let (until, now) = (from_micros(job.expires_at_us), history.latest_seen_time(clock));
    if until <= now {
        let back = if now > clock {
            format!(" (the clock says {clock}, but it was {now} before)")
        } else {
            String::new()
        };
        let reason =
            format!("expected a job that is valid at {now}, found one that expired at {until}{back}");
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
