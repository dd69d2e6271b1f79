//! Scenes on a real node: where what the kubelet itself does matters. The agent runs as a pod, with the service account
//! and the ClusterRole of the documents.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::catalogue::{Catalogue, Place, directory};
use super::ground::Ground;
use super::pod_agent;
use super::runner::{Order, on_stage};
use super::stage::config;
use super::verdict::Report;
use crate::rig::real_node::{INSIDE, enter, mounts, obstacle};
use crate::rig::{build, repository};

scenes!(
    Ground:
    real_crash_loop_with_probe,
    real_empty_dir_is_lost,
    real_exit_zero,
    real_image_is_missing,
    real_init_container_of_first_revision,
    real_init_container_of_second_revision,
    real_memory_leak,
    real_out_of_memory,
    real_revision_without_probe,
    real_secret_is_missing,
    real_sidecar_of_second_revision,
    real_volume_over_its_limit,
);

/// What the program inside of the namespaces is told.
#[derive(Serialize, Deserialize)]
struct Told {
    names: Vec<String>,
    at_once: usize,
}

/// Plays scenes on a real node: this program again, in namespaces of its own.
///
/// # Errors
/// When it cannot be started, or ends without a report.
pub async fn play(catalogue: &Catalogue, order: &Order) -> anyhow::Result<Vec<Report>> {
    let names: Vec<&str> = SCENES.iter().map(|scene| scene.name).filter(|name| order.has(name)).collect();
    if let Some(why) = obstacle::of_all() {
        for name in &names {
            eprintln!("{name}: left out: {why}");
        }
        return Ok(names.iter().map(|name| Report::left_out(name, &why)).collect());
    }
    debug_assert!(names.iter().all(|name| catalogue.entries.contains_key(*name)));
    let dir = tempfile::Builder::new().prefix("nimbus-node-").tempdir()?;
    let told = Told { names: names.iter().map(|&name| name.to_owned()).collect(), at_once: order.at_once };
    std::fs::write(dir.path().join("told.json"), serde_json::to_vec(&told)?)?;
    let (own, into) = (std::env::current_exe()?, dir.path().to_owned());
    let status = tokio::task::spawn_blocking(move || {
        // Inside there is no network to fetch sources from.
        build::ensure_all(&repository()?, true)?;
        enter::run(&own, &[INSIDE.as_ref(), into.as_os_str()])
    })
    .await??;
    let read = std::fs::read(dir.path().join("reports.json"));
    let reports =
        read.with_context(|| format!("the scenes on a real node ended with {status} and without a report"))?;
    Ok(serde_json::from_slice(&reports)?)
}

/// The other half of [`play`], inside of the namespaces: reads what is to be played from `dir`, and writes the reports.
///
/// # Errors
/// When the node or the agent does not start.
pub async fn inside(dir: &Path) -> anyhow::Result<()> {
    let told: Told = serde_json::from_slice(&std::fs::read(dir.join("told.json"))?)?;
    mounts::prepare(dir)?;
    let order = Order { names: told.names, places: vec![Place::Node], at_once: told.at_once };
    let catalogue = Catalogue::read(&directory())?;
    let stage = Arc::new(pod_agent::stage(&config(), "5s").await?);
    let reports = on_stage(&catalogue, &order, &stage, SCENES).await;
    std::fs::write(dir.join("reports.json"), serde_json::to_vec(&reports)?)?;
    Ok(())
}
