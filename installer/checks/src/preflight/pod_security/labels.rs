//! Which labels make a namespace take the pods that are for it.

use super::asked::Asked;
use super::stand::{Level, Stand};
use crate::kubernetes::{ENFORCE, ENFORCE_VERSION};

/// What gives the pods of a namespace one that takes them, at the strictest level that does by the rules of the server's own release; where
/// the namespace names an older one that refuses more, it is to name that no longer. The agents get one of their own rather than that
/// the namespace is opened for them which has the control plane's keys.
pub(super) fn labels(stand: &Stand, asked: &Asked) -> Vec<String> {
    let Stand { name, server, minor, .. } = *stand;
    let present = stand.level();
    let level =
        if present.takes_all(asked.own, server) { present } else { Level::for_all(asked.own, server) };
    let guests_stay = level.takes_all(asked.guests, server);
    let guests = if guests_stay { asked.guests } else { &[] };
    let mut wanted = Vec::new();
    if level != present {
        wanted.push(format!("{ENFORCE}={}", level.as_str()));
    }
    // Taken away, the label would leave the release that the API server was configured with, which nobody can ask for.
    if !(level.takes_all(asked.own, minor) && level.takes_all(guests, minor)) {
        wanted.push(format!("{ENFORCE_VERSION}=latest"));
    }
    let own = (!wanted.is_empty()).then(|| command(name, &wanted.join(" ")));
    let apart = (!guests_stay).then(|| {
        let level = Level::for_all(asked.guests, server);
        format!(
            "{} for the agents alone, and name it as theirs (--agents-namespace of preflight, agents.namespace of a plan, --namespace of \
             helm)",
            command("AGENTS", &format!("{ENFORCE}={}", level.as_str()))
        )
    });
    own.into_iter().chain(apart).collect()
}

fn command(name: &str, labels: &str) -> String {
    format!(
        "kubectl create namespace {name} where it is not there, kubectl label --overwrite namespace {name} {labels}"
    )
}
