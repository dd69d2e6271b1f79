//! An independent witness for the fault tests: counts through its own watch of the API server what really happened in a
//! namespace.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::{WatchStreamExt as _, watcher};

use crate::rig::workloads::Workloads;

/// Collects the UIDs of every pod that ever existed in a namespace from now on.
pub struct Witness {
    seen: Arc<Mutex<BTreeSet<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Witness {
    /// Starts watching; pods that exist already are counted too.
    pub fn watch(workloads: &Workloads) -> Self {
        let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let (sink, api) =
            (Arc::clone(&seen), kube::Api::<Pod>::namespaced(workloads.client(), workloads.namespace()));
        let task = tokio::spawn(async move {
            let mut pods =
                watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
            while let Some(pod) = pods.next().await {
                if let Ok(Some(uid)) = pod.map(|p| p.metadata.uid) {
                    sink.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
                }
            }
        });
        Self { seen, task }
    }

    /// How many different pods there have been.
    pub fn pods(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.task.abort();
    }
}
