//! Is what every job has, whatever its action, complete and within bounds?

use nimbus_protocol::v1;

use crate::refusal::{Code, Refusal};

/// Longest time that a job may act.
const MAX_ACT_MS: u32 = 10 * 60_000;
/// Longest time that a job may watch whether it helped.
const MAX_VERIFY_MS: u32 = 60 * 60_000;

pub(super) fn check(job: &v1::Job) -> Result<(), Refusal> {
    if job.plan_digest.len() != 32 {
        return malformed("plan_digest", "a SHA-256 digest of 32 bytes");
    }
    if job.requested_by.is_empty() {
        return malformed("requested_by", "who wants the plan");
    }
    let Some(limits) = &job.limits else { return malformed("limits", "limits") };
    if !(1..=MAX_ACT_MS).contains(&limits.act_ms) {
        return malformed("limits.act_ms", "1 ms to 10 minutes");
    }
    if limits.verify_ms > limits.verify_timeout_ms || limits.verify_timeout_ms > MAX_VERIFY_MS {
        return malformed("limits.verify_ms", "at most verify_timeout_ms, and that at most an hour");
    }
    Ok(())
}

fn malformed(field: &str, expected: &str) -> Result<(), Refusal> {
    Err(Refusal::new(Code::Malformed, format!("{field}: expected {expected}, found something else")))
}
