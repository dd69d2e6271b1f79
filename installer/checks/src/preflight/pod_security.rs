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
    let mut remedies = Vec::new();
    for place in snapshot.places() {
        let name = &place.name;
        let namespace = place.found.as_ref()?;
        let excess = excess_in(place, snapshot, &needs);
        let (server, minor) = (server_minor(snapshot), rules_of(snapshot, namespace.as_ref()));
        let beyond = |by_baseline: bool| -> Vec<&str> {
            let counts = |one: &&&Excess| one.is_refused(by_baseline, minor);
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
        let pinned = namespace.as_ref().and_then(|found| found.enforced_version.as_deref());
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
                remedies.extend(labels(place, snapshot, &needs, (server, minor)));
            }
            Some("privileged") => found.push(format!("{name} {enforces} privileged")),
            Some(level @ ("baseline" | "restricted")) => {
                let by_baseline = level == "baseline";
                let beyond = beyond(by_baseline);
                if beyond.is_empty() {
                    found.push(format!("{name} {enforces} {level}"));
                    continue;
                }
                let of = pinned.map_or_else(String::new, |version| format!(" of {version}"));
                refused.push(format!(
                    "namespace {name} {enforces} {level}{of}, which refuses {}",
                    list(&beyond)
                ));
                if pinned.is_some() && excess.iter().all(|one| !one.is_refused(by_baseline, server)) {
                    remedies.push(format!(
                        "kubectl label namespace {name} pod-security.kubernetes.io/enforce-version- (the server's own rules take it)"
                    ));
                } else {
                    remedies.extend(labels(place, snapshot, &needs, (server, minor)));
                }
            }
            Some(other) => odd.push(format!("namespace {name} enforces {other:?}")),
        }
    }
    let remedy = || {
        format!(
            "leave it out of the values (hostAccess, extraVolumes, podAnnotations, podSecurityContext, securityContext), or have namespaces \
             whose labels take it: {}",
            remedies.join("; ")
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

/// What gives the pods of a place a namespace that takes them, at the weakest level that does. The agents get one of their own rather
/// than that the namespace is opened which has the control plane's keys.
fn labels(place: &Place, snapshot: &Snapshot, needs: &Needs, (server, minor): (u32, u32)) -> Vec<String> {
    let level = |excess: &[Excess], minor: u32| {
        let refused = |by_baseline: bool| excess.iter().any(|one| one.is_refused(by_baseline, minor));
        match (refused(false), refused(true)) {
            (false, _) => None,
            (true, false) => Some("baseline"),
            (true, true) => Some("privileged"),
        }
    };
    let label = |name: &str, level: &str| {
        format!(
            "kubectl create namespace {name} where it is not there, kubectl label --overwrite namespace {name} \
             pod-security.kubernetes.io/enforce={level}"
        )
    };
    let is = |other: &Place| place.name == other.name;
    let is_shared = snapshot.agents.name == snapshot.control_plane.name;
    let of_control_plane = level(&needs.control_plane_excess, minor).filter(|_| is(&snapshot.control_plane));
    // A namespace that is made anew has no version of before.
    let of_agents = level(&needs.agent_excess, if is_shared { server } else { minor });
    let of_agents = of_agents.filter(|_| is(&snapshot.agents)).map(|level| {
        if !is_shared {
            return label(&place.name, level);
        }
        format!(
            "{} for the agents alone, and name it as theirs (--agents-namespace of preflight, agents.namespace of a plan, --namespace of \
             helm)",
            label("AGENTS", level)
        )
    });
    of_control_plane.map(|level| label(&place.name, level)).into_iter().chain(of_agents).collect()
}

/// The API server's minor release; what cannot be read is taken for the oldest, whose rules are the strictest.
fn server_minor(snapshot: &Snapshot) -> u32 {
    match &snapshot.server {
        Ok(Server::Version(version)) => version.minor,
        Ok(Server::Silent(_)) | Err(_) => 0,
    }
}

/// The minor release by whose rules the namespace is judged: that of the API server, or an older one that it names.
fn rules_of(snapshot: &Snapshot, namespace: Option<&Namespace>) -> u32 {
    let server = server_minor(snapshot);
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
