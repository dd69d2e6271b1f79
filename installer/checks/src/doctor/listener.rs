//! Can agents reach the control plane from here?

use super::{Snapshot, asked};
use crate::check::{Check, Judged};
use crate::listener;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "listener", what: "the agents' listener answers over UDP and TCP from here", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    Ok(listener::judge(asked(snapshot.listener.as_ref(), "--agents HOST:PORT")?))
}
