//! Opens a control plane's data directory and databases as an earlier build left them, and reads everything in them.
//!
//! `recorded/control-plane-2` is what a control plane left that healed a crash loop and asked about a rollout in a real
//! cluster, once on SQLite and once on PostgreSQL (whose database is a dump as text). The keys there were made for the
//! record and guard nothing. A record is never written again: a new layout or schema brings its own beside it, which
//! `NIMBUS_RECORD=DIR cargo test -p nimbus-tests --test recorded -- --ignored` makes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

use std::fs;
use std::path::{Path, PathBuf};

use nimbus_control_core::world::World;
use nimbus_protocol::ObjectKind;
use nimbus_store::{Store, StoreUrl};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::postgres::Postgres;
use nimbus_tests::process::binary;
use nimbus_tests::rig::workloads::{DeploymentSpec, Fault};
use nimbus_tests::site::{PATIENCE, Site};
use nimbus_tests::sqlite;

/// What is kept of a data directory beside an embedded database; the rest is made anew at each start.
const KEPT: [&str; 5] = ["ca.pem", "ca.key", "job.key", "operator.token", "nimbus.db"];

fn record() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded/control-plane-2")
}

/// Copies what is kept; a repository does not remember that a key is for its owner alone.
fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(to).unwrap();
    for name in KEPT.iter().filter(|name| from.join(name).exists()) {
        let copied = to.join(name);
        fs::copy(from.join(name), &copied).unwrap();
        fs::set_permissions(copied, PermissionsExt::from_mode(0o600)).unwrap();
    }
}

/// The inventory that the record holds is read, and not made anew from what agents list again.
async fn has_its_inventory(url: &StoreUrl) {
    let store = Store::open(url).await.unwrap();
    let (_, snapshot) = store.load_snapshot().await.unwrap().unwrap();
    let world = World::from_snapshot(&snapshot).unwrap();
    let (_, cluster) = world.clusters.first_key_value().unwrap();
    assert!(cluster.pods.len() >= 4 && !cluster.nodes.is_empty(), "{} pods", cluster.pods.len());
    // Kinds that came later are not listed in it.
    let later = [
        ObjectKind::BatchJob,
        ObjectKind::PodEvent,
        ObjectKind::ConfigMap,
        ObjectKind::Secret,
        ObjectKind::PersistentVolumeClaim,
        ObjectKind::PersistentVolume,
        ObjectKind::PodDisruptionBudget,
        ObjectKind::StorageClass,
        ObjectKind::HorizontalPodAutoscaler,
        ObjectKind::Certificate,
        ObjectKind::Issuer,
        ObjectKind::ClusterIssuer,
        ObjectKind::TlsSecret,
    ];
    assert_eq!(cluster.unlisted(), later);
}

/// Everything of the record is there, and its keys are the ones in use.
async fn is_whole(plane: &Plane, from: &Path) {
    for name in ["ca.pem", "ca.key", "job.key", "operator.token"] {
        let now = fs::read(plane.data_dir().join(name)).unwrap();
        assert_eq!(now, fs::read(from.join(name)).unwrap(), "{name} is not made anew");
    }
    let audit = plane.get("/audit/verify").await.unwrap();
    assert_eq!(audit["valid"], true, "{audit}");
    let clusters = plane.items("/clusters").await.unwrap();
    assert_eq!(clusters.len(), 1, "{clusters:?}");
    assert!(clusters[0]["name"].as_str().is_some_and(|name| !name.is_empty()), "{clusters:?}");
    let agents = plane.items("/agents").await.unwrap();
    assert_eq!(agents.len(), 1, "{agents:?}");
    let incidents = plane.items("/incidents").await.unwrap();
    let of =
        |kind: &str| incidents.iter().find(|i| i["kind"] == kind).unwrap_or_else(|| panic!("{incidents:?}"));
    assert_eq!(of("pod_crash_loop")["state"], "resolved");
    let rollout = of("rollout_stuck");
    // A day after the record was made the approval that it asks for has expired, which its story says; it is asked again once
    // an agent reports.
    let story = plane.get(&format!("/incidents/{}", rollout["id"].as_str().unwrap())).await.unwrap();
    let ended = rollout["state"] == "open" && story.to_string().contains("was not answered in time");
    assert!(rollout["state"] == "waiting_approval" || ended, "what was asked is still asked: {story}");
    let jobs = plane.items("/jobs").await.unwrap();
    assert!(jobs.len() == 1 && jobs[0]["state"] == "succeeded", "{jobs:?}");
    let job = plane.get(&format!("/jobs/{}", jobs[0]["id"].as_str().unwrap())).await.unwrap();
    assert!(job["envelope"].as_str().is_some_and(|envelope| !envelope.is_empty()), "{job}");
    let plan = plane.get(&format!("/plans/{}", rollout["plan_id"].as_str().unwrap())).await.unwrap();
    assert_eq!(
        plan["action"]["kind"].as_str().or(plan["kind"].as_str()),
        Some("rollback_deployment"),
        "{plan}"
    );
}

#[tokio::test]
async fn a_start_that_is_refused_for_its_keys_migrates_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, before) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    copy(&record().join("sqlite"), before.path());
    copy(&record().join("sqlite"), dir.path());
    fs::set_permissions(dir.path().join("ca.key"), PermissionsExt::from_mode(0o644)).unwrap();
    let mut command = std::process::Command::new(binary("nimbus-control-plane").unwrap());
    command.arg("--data-dir").arg(dir.path()).args(["--listen", "127.0.0.1:0", "--quic", "127.0.0.1:0"]);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("ca.key"), "{said}");
    let (was, is) = (before.path().join("nimbus.db"), dir.path().join("nimbus.db"));
    assert_eq!(sqlite::dump(&is).await.unwrap(), sqlite::dump(&was).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_with_an_embedded_database_is_read_whole() {
    let from = record().join("sqlite");
    let read = tempfile::tempdir().unwrap();
    copy(&from, read.path());
    has_its_inventory(&StoreUrl::sqlite(read.path().join("nimbus.db"))).await;
    let plane = Plane::start_on(|data| copy(&from, data), None, QUICK).await.unwrap();
    is_whole(&plane, &from).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_with_its_postgresql_database_is_read_whole() {
    let from = record().join("postgres");
    let postgres = Postgres::start().unwrap();
    let url = postgres.fresh_database().unwrap();
    postgres.run_file(&url, &from.join("dump.sql")).unwrap();
    has_its_inventory(&url.parse().unwrap()).await;
    let plane = Plane::start_on(|data| copy(&from, data), Some(url), QUICK).await.unwrap();
    is_whole(&plane, &from).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes a new record; see this file's head"]
async fn a_new_record_is_made() {
    let to = PathBuf::from(std::env::var_os("NIMBUS_RECORD").expect("NIMBUS_RECORD: an empty directory"));
    let postgres = Postgres::start().unwrap();
    for (name, database) in [("sqlite", None), ("postgres", Some(postgres.fresh_database().unwrap()))] {
        let mut site = Site::start(database.clone(), QUICK).await.unwrap();
        site.enable().await.unwrap();
        let workloads = site.cluster.workloads("recorded").await.unwrap();
        workloads.apply_and_wait(&DeploymentSpec::new("api", 2), PATIENCE).await.unwrap();
        let pod = workloads.pod_names("api").await.unwrap().remove(0);
        workloads.break_pod(&pod, &Fault::Crash).await.unwrap();
        site.incident_in("pod_crash_loop", workloads.namespace(), "resolved").await.unwrap();
        workloads
            .apply_and_wait(&DeploymentSpec::new("web", 2).progress_deadline(5), PATIENCE)
            .await
            .unwrap();
        workloads.set_template_annotation("web", "rig.nimbus.dev/never-ready", Some("true")).await.unwrap();
        site.incident_in("rollout_stuck", workloads.namespace(), "waiting_approval").await.unwrap();
        // Its last act is a snapshot of the inventory.
        site.plane.stop().unwrap();
        let to = to.join(name);
        copy(&site.plane.data_dir(), &to);
        if let Some(url) = database {
            postgres.dump(&url, &to.join("dump.sql")).unwrap();
        }
    }
}
