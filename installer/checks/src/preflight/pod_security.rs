//! Do the namespaces take the pods? Both charts keep to Pod Security `restricted`, until values ask for files of the nodes.

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::words::list;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "pod-security", what: "Pod Security of the namespaces takes the pods", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let needs = snapshot.needs();
    let mut found = Vec::new();
    let mut odd = Vec::new();
    let mut refused = Vec::new();
    for place in snapshot.places() {
        let name = &place.name;
        let Some(namespace) = place.found.as_ref()? else {
            found.push(format!("{name} is not there yet, and enforces what the cluster does by default"));
            continue;
        };
        let level = namespace.enforced.as_deref();
        // Only the agents' pods may mount paths of the nodes.
        let mounts = name == &snapshot.agents.name && !needs.host_paths.is_empty();
        match level {
            None => found.push(format!("{name} has no label that enforces a level")),
            Some("privileged") => found.push(format!("{name} enforces privileged")),
            Some(level @ ("baseline" | "restricted")) if mounts => refused.push(format!(
                "namespace {name} enforces {level}, which refuses the agents' host paths {}",
                list(&needs.host_paths)
            )),
            Some(level @ ("baseline" | "restricted")) => found.push(format!("{name} enforces {level}")),
            Some(other) => odd.push(format!("namespace {name} enforces {other:?}")),
        }
    }
    Ok(if !refused.is_empty() {
        Outcome::failure(
            refused.join("; "),
            format!(
                "leave the value hostAccess.files empty, or install the agents into a namespace labelled \
                 pod-security.kubernetes.io/enforce=privileged (kubectl label namespace {} …)",
                snapshot.agents.name
            ),
        )
    } else if !odd.is_empty() {
        Outcome::warning(
            format!("{}; expected privileged, baseline or restricted", odd.join("; ")),
            "correct the label pod-security.kubernetes.io/enforce",
        )
    } else {
        Outcome::pass(found.join("; "))
    })
}
