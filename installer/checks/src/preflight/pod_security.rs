//! Do the namespaces take the pods? Both charts keep to Pod Security `restricted`, until values ask for more, such as files of the
//! nodes.

mod asked;
mod labels;
mod stand;

use asked::Asked;
use labels::labels;
use stand::Stand;

use super::{Server, Snapshot};
use crate::check::{Check, Judged, Outcome};
use crate::words::list;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "pod-security", what: "Pod Security of the namespaces takes the pods", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let needs = snapshot.needs()?;
    let server = server_minor(snapshot);
    let mut said = Said::default();
    for place in snapshot.places() {
        let namespace = place.found.as_ref()?;
        let stand = Stand::of(place, namespace.as_ref(), server);
        said.add(&stand, &Asked::in_place(place, snapshot, &needs));
    }
    Ok(said.outcome())
}

/// The minor release whose rules are the API server's own; what cannot be read is taken for the oldest, whose rules are the strictest.
fn server_minor(snapshot: &Snapshot) -> u32 {
    match &snapshot.server {
        Ok(Server::Version(server)) => server.rules(),
        Ok(Server::Silent(_)) | Err(_) => 0,
    }
}

/// What there is to say of the namespaces.
#[derive(Default)]
struct Said {
    taken: Vec<String>,
    refused: Vec<String>,
    open: Vec<String>,
    odd: Vec<String>,
    remedies: Vec<String>,
}

impl Said {
    fn add(&mut self, stand: &Stand, asked: &Asked) {
        let name = stand.name;
        let refused = stand.refused(asked);
        let unlabelled = if stand.is_there {
            format!("{name} has no label that enforces a level")
        } else {
            format!("{name} is not there yet")
        };
        let enforces = if stand.is_there { "enforces" } else { "is made so that it enforces" };
        match (stand.label, refused.is_empty()) {
            (None, true) => self
                .taken
                .push(format!("{unlabelled}, and the pods keep to restricted, which is the strictest level")),
            // Without a label of its own a namespace gets what the API server was configured with, which nobody can ask for.
            (None, false) => self.open.push(format!(
                "{unlabelled}, and whether the cluster then takes what the pods ask for is not known: {}",
                list(&refused)
            )),
            (Some(level), true) => self.taken.push(format!("{name} {enforces} {level}")),
            (Some(level), false) => {
                let of = stand.version.map_or_else(String::new, |version| format!(" of {version}"));
                self.refused.push(format!(
                    "namespace {name} {enforces} {level}{of}, which refuses {}",
                    list(&refused)
                ));
            }
        }
        if !refused.is_empty() {
            self.remedies.extend(labels(stand, asked));
        }
        self.odd.extend(stand.unreadable());
    }

    fn outcome(self) -> Outcome {
        let Self { taken, refused, open, odd, remedies } = self;
        let remedy = format!(
            "leave it out of the values (hostAccess, extraVolumes, podAnnotations, podSecurityContext, securityContext), or have namespaces \
             whose labels take it: {}",
            remedies.join("; ")
        );
        if !refused.is_empty() {
            Outcome::failure([refused, open, odd].concat().join("; "), remedy)
        } else if !open.is_empty() {
            Outcome::unknown([open, odd].concat().join("; "), remedy)
        } else if !odd.is_empty() {
            Outcome::warning(
                odd.join("; "),
                "correct it: kubectl label --overwrite namespace NAME LABEL=VALUE",
            )
        } else {
            Outcome::pass(taken.join("; "))
        }
    }
}
