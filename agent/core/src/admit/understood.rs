//! Decides whether this version understands every field of a signed job.
//!
//! A field that it does not know may be a condition or a limit of a newer control plane. Decoding passes over it, and the
//! job would then be run as if nobody had asked for it; so a job that says more is refused as a whole.

use nimbus_protocol::action::{self, Body};
use nimbus_protocol::v1;
use prost::Message as _;

use crate::refusal::{Code, Refusal};

/// What the job does, if every byte of `payload`, from which it was read, has a meaning here.
pub(super) fn whole(job: &v1::Job, payload: &[u8]) -> Result<Body, Refusal> {
    if job.encode_to_vec() != payload {
        let reason = "expected a job with the fields that this version knows, found more than those in it";
        return Err(refuse(reason));
    }
    action::decode(&job.action).map_err(|error| refuse(&format!("action: {error}")))
}

fn refuse(reason: &str) -> Refusal {
    Refusal::new(Code::NotUnderstood, format!("{reason}; upgrade this agent"))
}
