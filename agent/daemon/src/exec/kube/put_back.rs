//! How a change of an object is undone: the object gets back what it had, if what the job wrote is still there and nobody else changed it
//! since.
//!
//! Asked again after a crash, or after an answer that did not come, it does nothing more than is left to do.

use std::time::Duration;

use nimbus_agent_core::Refusal;
use nimbus_protocol::ids::JobId;
use serde_json::{Value, json};

use super::super::Shared;
use super::super::remedy::{ActError, Compensation};
use super::patch::{self, Checked, Object};

/// How often it is tried while somebody else writes to the object, or the API server does not answer.
const TRIES: u32 = 10;
/// Between two tries where the API server did not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// A change that can be undone, of an object with the UID that was planned on.
pub(in super::super) trait Reversible: Sync {
    /// What the object had, such as `its limit of 64Mi`.
    fn before(&self) -> String;
    /// Has it that again?
    fn is_back(&self, now: &Value) -> bool;
    /// Has it what the job wrote?
    fn is_written(&self, now: &Value) -> bool;
    /// What gives it back what it had (RFC 6902).
    fn operations(&self, now: &Value) -> Vec<Value>;
}

/// Gives the object back what it had.
pub(in super::super) async fn put_back(
    shared: &Shared,
    job: JobId,
    object: Result<Object, Refusal>,
    change: &impl Reversible,
) -> Compensation {
    let object = match object {
        Ok(object) => object,
        Err(refusal) => return Compensation::Failed(refusal.to_string()),
    };
    for tried in 0..TRIES {
        let client = match super::client(shared) {
            Ok(client) => client,
            Err(why) => {
                return Compensation::Failed(format!("{} keeps what was written: {why}", object.name));
            }
        };
        match once(&client, job, &object, change).await {
            Next::Ended(ended) => return ended,
            // Somebody wrote meanwhile, or the API server is busy: the first time that is over at once, as a rule.
            Next::AtOnce if tried == 0 => {}
            Next::AtOnce | Next::AfterAPause => tokio::time::sleep(PAUSE).await,
        }
    }
    Compensation::Failed(format!(
        "{TRIES} times {} was written to by somebody else, or the API server did not answer; it keeps what was written",
        object.name
    ))
}

/// What one try came to.
enum Next {
    Ended(Compensation),
    AtOnce,
    AfterAPause,
}

async fn once(client: &kube::Client, job: JobId, object: &Object, change: &impl Reversible) -> Next {
    let name = &object.name;
    let failed = |what: &str| Next::Ended(Compensation::Failed(format!("{name} {what}")));
    let undone = |what: String| Next::Ended(Compensation::Undone(vec![what]));
    let now = match object.get(client).await {
        Ok(Some(now)) => now,
        Ok(None) => return undone(format!("{name} is gone")),
        Err(_) => return Next::AfterAPause,
    };
    if !object.is(&now) {
        return failed("is another one by now, and is left alone");
    }
    if change.is_back(&now) {
        return undone(format!("{name} has {} again", change.before()));
    }
    let ours = now["metadata"]["annotations"][patch::ANNOTATION] == json!(job.to_string());
    if !ours || !change.is_written(&now) {
        return failed("was changed by somebody else meanwhile, and is left as it is");
    }
    match patch::apply(client, object, &Checked::of(&now), job, change.operations(&now)).await {
        Ok(()) => undone(format!("gave {name} {} again", change.before())),
        Err(ActError::Refused(_)) => Next::AtOnce,
        // Whether it was taken shows the next look.
        Err(ActError::Uncertain(_)) => Next::AfterAPause,
        Err(ActError::Failed(why)) => Next::Ended(Compensation::Failed(why)),
    }
}
