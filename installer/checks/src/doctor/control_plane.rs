//! Does the control plane answer, and is it ready?

use super::{NEEDS_PLANE, Snapshot};
use crate::check::{Check, Judged, Open, Outcome};
use crate::words::sentences;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "control-plane", what: "the control plane answers and is ready", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let plane = match snapshot.plane.as_ref().ok_or(Open::NotAsked(NEEDS_PLANE))? {
        Ok(plane) => plane,
        Err(silence) => return Ok(Outcome::failure(&silence.found, &silence.remedy)),
    };
    let server = &plane.server;
    let mut open = plane.waiting_for.clone();
    open.extend(plane.notices.iter().cloned());
    Ok(if open.is_empty() {
        Outcome::pass(format!("{server} answers and is ready, version {}", plane.version))
    } else {
        Outcome::warning(format!("{server} answers: {}", sentences(&open)), "look closer: nimbus status")
    })
}
