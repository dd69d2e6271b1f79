//! Do the namespaces take the pods? Both charts keep to Pod Security `restricted`, until values ask for more, such as files of the
//! nodes.

use super::{Place, Snapshot};
use crate::check::{Check, Judged, Outcome};
use crate::excess::Excess;
use crate::needs::Needs;
use crate::words::list;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "pod-security", what: "Pod Security of the namespaces takes the pods", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let needs = snapshot.needs()?;
    let (mut found, mut open, mut odd, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut to_label = Vec::new();
    for place in snapshot.places() {
        let name = &place.name;
        let namespace = place.found.as_ref()?;
        let excess = excess_in(place, snapshot, &needs);
        let beyond = |takes_baseline: bool| -> Vec<&str> {
            let counts = |one: &&&Excess| !(takes_baseline && one.is_baseline);
            excess.iter().filter(counts).map(|one| one.what.as_str()).collect()
        };
        let unlabelled = if namespace.is_some() {
            format!("{name} has no label that enforces a level")
        } else {
            format!("{name} is not there yet")
        };
        let level = match namespace {
            Some(namespace) => namespace.enforced.as_deref(),
            None => place.made_as,
        };
        let enforces = if namespace.is_some() { "enforces" } else { "is made so that it enforces" };
        match level {
            None if excess.is_empty() => {
                found.push(format!(
                    "{unlabelled}, and the pods keep to restricted, which is the strictest level"
                ));
            }
            // Without a label of its own a namespace gets what the API server was configured with, which nobody can ask for.
            None => {
                open.push(format!(
                    "{unlabelled}, and whether the cluster then takes what the pods ask for is not known: {}",
                    list(&beyond(false))
                ));
                to_label.push(name.as_str());
            }
            Some("privileged") => found.push(format!("{name} {enforces} privileged")),
            Some(level @ ("baseline" | "restricted")) => {
                let beyond = beyond(level == "baseline");
                if beyond.is_empty() {
                    found.push(format!("{name} {enforces} {level}"));
                } else {
                    let beyond = list(&beyond);
                    refused.push(format!("namespace {name} {enforces} {level}, which refuses {beyond}"));
                    to_label.push(name.as_str());
                }
            }
            Some(other) => odd.push(format!("namespace {name} enforces {other:?}")),
        }
    }
    let remedy = || {
        let label = |name: &&str| {
            format!(
                "kubectl create namespace {name} where it is not there, kubectl label --overwrite namespace {name} \
                 pod-security.kubernetes.io/enforce=privileged"
            )
        };
        let labels: Vec<String> = to_label.iter().map(label).collect();
        format!(
            "leave it out of the values (hostAccess, extraVolumes, podAnnotations, podSecurityContext, securityContext), or install into \
             a namespace with a label that takes it: {}",
            labels.join("; ")
        )
    };
    Ok(if !refused.is_empty() {
        Outcome::failure(refused.join("; "), remedy())
    } else if !odd.is_empty() {
        Outcome::warning(
            format!("{}; expected privileged, baseline or restricted", odd.join("; ")),
            "correct the label pod-security.kubernetes.io/enforce",
        )
    } else if !open.is_empty() {
        Outcome::unknown(open.join("; "), remedy())
    } else {
        Outcome::pass(found.join("; "))
    })
}

/// What the pods in a namespace ask for beyond `restricted`.
fn excess_in<'a>(place: &Place, snapshot: &Snapshot, needs: &'a Needs) -> Vec<&'a Excess> {
    let of = |other: &Place, excess: &'a [Excess]| if place.name == other.name { excess } else { &[] };
    let control_plane = of(&snapshot.control_plane, &needs.control_plane_excess);
    control_plane.iter().chain(of(&snapshot.agents, &needs.agent_excess)).collect()
}
