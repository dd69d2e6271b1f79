//! Do the namespaces take the pods? Both charts keep to Pod Security `restricted`, until values ask for more, such as files of the
//! nodes.

use super::{Place, Server, Snapshot};
use crate::check::{Check, Judged, Outcome};
use crate::excess::Excess;
use crate::kubernetes::Namespace;
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
        let minor = rules_of(snapshot, namespace.as_ref());
        let beyond = |by_baseline: bool| -> Vec<&str> {
            let counts = |one: &&&Excess| one.is_refused(by_baseline, minor);
            excess.iter().filter(counts).map(|one| one.what.as_str()).collect()
        };
        let suffices = if beyond(true).is_empty() { "baseline" } else { "privileged" };
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
            None if beyond(false).is_empty() => {
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
                to_label.push((name.as_str(), suffices));
            }
            Some("privileged") => found.push(format!("{name} {enforces} privileged")),
            Some(level @ ("baseline" | "restricted")) => {
                let beyond = beyond(level == "baseline");
                if beyond.is_empty() {
                    found.push(format!("{name} {enforces} {level}"));
                } else {
                    let beyond = list(&beyond);
                    let pinned = namespace.as_ref().and_then(|found| found.enforced_version.as_deref());
                    let of = pinned.map_or_else(String::new, |version| format!(" of {version}"));
                    refused.push(format!("namespace {name} {enforces} {level}{of}, which refuses {beyond}"));
                    to_label.push((name.as_str(), suffices));
                }
            }
            Some(other) => odd.push(format!("namespace {name} enforces {other:?}")),
        }
    }
    let remedy = || {
        let label = |(name, level): &(&str, &str)| {
            format!(
                "kubectl create namespace {name} where it is not there, kubectl label --overwrite namespace {name} \
                 pod-security.kubernetes.io/enforce={level}"
            )
        };
        let labels: Vec<String> = to_label.iter().map(label).collect();
        // The control plane's namespace holds the keys of everything: it is not opened for what the agents ask for.
        let is_shared =
            snapshot.agents.name == snapshot.control_plane.name && needs.control_plane_excess.is_empty();
        let place = if is_shared {
            "give the agents a namespace of their own, with --agents-namespace of preflight and --namespace of helm, whose label takes \
             it (as for AGENTS: "
        } else {
            "install into a namespace with a label that takes it ("
        };
        let labels = if is_shared {
            let level = to_label.first().map_or("privileged", |(_, level)| level);
            format!(
                "kubectl create namespace AGENTS, kubectl label namespace AGENTS pod-security.kubernetes.io/enforce={level}"
            )
        } else {
            labels.join("; ")
        };
        format!(
            "leave it out of the values (hostAccess, extraVolumes, podAnnotations, podSecurityContext, securityContext), or {place}{labels})"
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

/// The minor release by whose rules the namespace is judged: that of the API server, or an older one that it names. What cannot be
/// read is taken for the oldest, whose rules are the strictest.
fn rules_of(snapshot: &Snapshot, namespace: Option<&Namespace>) -> u32 {
    let server = match &snapshot.server {
        Ok(Server::Version(version)) => version.minor,
        Ok(Server::Silent(_)) | Err(_) => 0,
    };
    let pinned = match namespace.and_then(|found| found.enforced_version.as_deref()) {
        None | Some("latest") => server,
        Some(other) => other.strip_prefix("v1.").and_then(|minor| minor.parse().ok()).unwrap_or(0),
    };
    server.min(pinned)
}

/// What the pods in a namespace ask for beyond `restricted`.
fn excess_in<'a>(place: &Place, snapshot: &Snapshot, needs: &'a Needs) -> Vec<&'a Excess> {
    let of = |other: &Place, excess: &'a [Excess]| if place.name == other.name { excess } else { &[] };
    let control_plane = of(&snapshot.control_plane, &needs.control_plane_excess);
    control_plane.iter().chain(of(&snapshot.agents, &needs.agent_excess)).collect()
}
