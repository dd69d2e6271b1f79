//! What kubectl and helm print, read: only the fields that a check looks at.

mod cluster;
mod date;
mod name;
mod node;
mod pod;
mod release;
mod rights;
mod secret;
mod service;
mod storage;
mod warning;
mod workload;

use serde::Deserialize;
use serde::de::DeserializeOwned;

pub use cluster::{ApiServer, Namespace, client_version, namespace, server_version};
pub(crate) use cluster::{ENFORCE, ENFORCE_VERSION};
pub use date::date_of;
pub use name::{is_object_name, namespace_name};
pub use node::{Node, nodes};
pub use pod::{Pod, Trouble, pods};
pub use release::{AGENT, CONTROL_PLANE, Release, releases};
pub use rights::{Ask, Review, request, reviews};
pub use secret::{SECRET, Secret, secret};
pub use service::{Balancers, balancers};
pub use storage::{StorageClass, storage_classes};
pub use warning::{Warning, warnings};
pub use workload::{Workload, workloads};

use crate::check::{Gathered, Unread};

#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

/// Whose objects are looked at: the label that both charts set.
const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "nimbus");

fn is_ours(metadata: &Metadata) -> bool {
    metadata.labels.get(PART_OF.0).is_some_and(|value| value == PART_OF.1)
}

/// One document that `program` printed.
fn document<T: DeserializeOwned>(printed: &[u8], program: &str) -> Gathered<T> {
    serde_json::from_slice(printed).map_err(|error| {
        Unread::new(
            format!("what `{program}` printed cannot be read: {error}"),
            format!("run `{program}` by hand, and look whether the program is the real one and of this year"),
        )
    })
}

/// The items of a list that `program` printed.
fn items<T: DeserializeOwned>(printed: &[u8], program: &str) -> Gathered<Vec<T>> {
    document::<Items<T>>(printed, program).map(|list| list.items)
}
