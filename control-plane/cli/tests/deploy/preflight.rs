//! What the cluster lacks stops a plan before its first step. kubectl and helm are scripts that answer as a cluster does on which
//! everything is as it has to be, but for the storage classes, which the test decides.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use nimbus_cli::commands::enterprise::before::look;
use nimbus_cli::deploy::directory::Directory;
use nimbus_cli::error::Failure;
use nimbus_deploy::draft::Draft;
use nimbus_deploy::read::read;

use crate::site::{planned, quiet};

const KUBECTL: &str = r#"#!/bin/sh
echo "$*" >> DIR/log
case "$*" in
*version*) echo '{"clientVersion": {"gitVersion": "v1.33.0"}, "serverVersion": {"gitVersion": "v1.33.1"}}' ;;
*"get namespace "*) echo 'Error from server (NotFound): namespaces "it" not found' >&2; exit 1 ;;
*"get storageclasses "*) cat DIR/classes ;;
*"get nodes "*) cat DIR/nodes ;;
*"get services "*) echo '{"items": []}' ;;
*"create --validate=false "*) sed 's/"spec":{"resource/"status":{"allowed":true},&/g' ;;
*healthz*) LC_ALL=C date -u '+Date: %a, %d %b %Y %H:%M:%S GMT' >&2 ;;
esac
"#;

const HELM: &str = r#"#!/bin/sh
echo "helm $*" >> DIR/log
case "$*" in
version*) echo v3.18.0 ;;
list*) echo '[]' ;;
*"/nimbus-control-plane "*) printf 'kind: StatefulSet\nspec:\n  volumeClaimTemplates:\n    - spec: {}\n' ;;
*) printf 'kind: DaemonSet\nspec: {}\n' ;;
esac
"#;

const NODES: &str = r#"{"items": [{"metadata": {"name": "a"}, "status": {
    "conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "4", "memory": "8Gi"},
    "nodeInfo": {"architecture": "amd64", "operatingSystem": "linux"}}}]}"#;

const CLASS: &str = r#"{"items": [{"metadata": {"name": "fast",
    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "example.com/disks"}]}"#;

/// What comes of a plan in a cluster with these storage classes, and what was asked for.
async fn looked(classes: &str) -> (Result<(), Failure>, String) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for (name, text) in [("classes", classes), ("nodes", NODES)] {
        std::fs::write(at(name), text).unwrap();
    }
    std::fs::create_dir(at("bin")).unwrap();
    for (name, text) in [("bin/kubectl", KUBECTL), ("bin/helm", HELM)] {
        std::fs::write(at(name), text.replace("DIR", dir.path().to_str().unwrap())).unwrap();
        std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    for chart in ["nimbus-control-plane", "nimbus-agent"] {
        std::fs::create_dir_all(at("charts").join(chart)).unwrap();
        std::fs::write(at("charts").join(chart).join("Chart.yaml"), "").unwrap();
    }
    let directory = Directory::new(&at("out")).unwrap();
    drop(directory.take().unwrap());
    directory.write(&planned(&[])).unwrap();
    let mut draft = Draft::default();
    for (key, value) in [("registry", "registry.example.internal"), ("database.kind", "sqlite")] {
        draft.set(key, value).unwrap();
    }
    let search = format!("{}:/usr/bin:/bin", at("bin").display());
    let answers = read(&draft).unwrap();
    let came =
        look(&quiet(), &answers, Path::new(&at("charts")), directory.path(), Some(search.into())).await;
    (came, std::fs::read_to_string(at("log")).unwrap())
}

#[tokio::test]
async fn a_cluster_that_lacks_something_stops_it_with_the_checks_words() {
    let (came, log) = looked(r#"{"items": []}"#).await;
    let failure = came.unwrap_err();
    let expected = "storage: no StorageClass is the default one; there is none";
    assert_eq!(failure.found, expected, "the rest is as it has to be");
    assert!(failure.next.contains("the answer database.storage_class"), "{failure}");
    assert!(failure.next.contains("--skip-preflight"), "{failure}");
    assert!(log.contains("out/values-control-plane.yaml") && log.contains("out/values-agent.yaml"), "{log}");
}

#[tokio::test]
async fn a_cluster_as_it_has_to_be_lets_it_go_on() {
    let (came, log) = looked(CLASS).await;
    came.unwrap_or_else(|failure| panic!("{failure}\n{log}"));
}
