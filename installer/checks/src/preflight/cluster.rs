//! Does the API server answer?

use super::{Server, Snapshot};
use crate::check::{Check, Judged, Outcome};
use crate::words::start;

/// The most characters of kubectl's complaint that are shown.
const MOST_SHOWN: usize = 300;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "cluster", what: "the cluster's API server answers", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    Ok(match snapshot.server.as_ref()? {
        Server::Version(_) => Outcome::pass("the API server answers"),
        Server::Silent(why) => Outcome::failure(
            format!("the API server does not answer: {}", start(why, MOST_SHOWN)),
            "check which cluster kubectl means (kubectl config current-context), or name it with --kubeconfig and \
             --kube-context",
        ),
    })
}
