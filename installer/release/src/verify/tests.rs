use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use ed25519_dalek::SigningKey;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::seal::seal;

/// A bill of this artefact, which is one file with these bytes or an image.
fn bill_of(artefact: &str, bytes: Option<&[u8]>) -> String {
    let hash = |bytes: &[u8]| json!({"alg": "SHA-256", "content": hex::encode(Sha256::digest(bytes))});
    let hashes: Vec<_> = bytes.map(hash).into_iter().collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "metadata": {"component": {"bom-ref": artefact, "hashes": hashes}},
        "components": [{"name": "nimbus"}],
    })
    .to_string()
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn write(root: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A small release: an archive, a package, a chart and an image, sealed by key 1.
fn release() -> TempDir {
    let dir = TempDir::new().unwrap();
    let root = dir.path();
    for name in ["archives/nimbus-1.tar.gz", "packages/nimbus-agent_1_amd64.deb", "charts/nimbus-agent-1.tgz"]
    {
        let bytes = name.repeat(50_000);
        write(root, &bill::place(name), bill_of(name, Some(bytes.as_bytes())));
        write(root, name, bytes);
    }
    let blob = |bytes: &[u8]| {
        let digest = hex::encode(Sha256::digest(bytes));
        write(root, &format!("images/nimbus-agent/blobs/sha256/{digest}"), bytes);
        json!({"mediaType": "x", "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let (config, layer) = (blob(b"{}"), blob(b"layer"));
    let mut manifest = blob(json!({"config": config, "layers": [layer]}).to_string().as_bytes());
    manifest["mediaType"] = json!(image::MANIFEST);
    write(root, "images/nimbus-agent/index.json", json!({"manifests": [manifest]}).to_string());
    write(root, "images/nimbus-agent/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    let image = "images/nimbus-agent";
    write(root, &bill::place(image), bill_of(image, None));
    seal(root, &key(1)).unwrap();
    dir
}

fn report(root: &Path, seed: u8) -> Report {
    verify(root, &key(seed).verifying_key(), |_| ()).unwrap()
}

/// The places that are wrong.
fn places(root: &Path) -> Vec<String> {
    report(root, 1).problems.into_iter().map(|problem| problem.at).collect()
}

#[test]
fn a_whole_release_is_good() {
    let dir = release();
    let report = report(dir.path(), 1);
    assert_eq!(report.problems, []);
    assert_eq!(report.files, 12);
    assert_eq!(
        report.artefacts,
        [
            "archives/nimbus-1.tar.gz",
            "charts/nimbus-agent-1.tgz",
            "images/nimbus-agent",
            "packages/nimbus-agent_1_amd64.deb"
        ]
    );
}

#[test]
fn sha256sum_reads_the_list() {
    let dir = release();
    let status = std::process::Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", SUMS])
        .current_dir(dir.path())
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn another_key_opens_nothing_and_no_file_is_believed() {
    let dir = release();
    let report = report(dir.path(), 2);
    assert_eq!((report.files, report.problems.len()), (0, 1));
    assert_eq!(report.problems[0].at, ENVELOPE);
}

#[test]
fn every_file_that_is_changed_cut_off_gone_or_a_link_is_named() {
    let whole = release();
    let names: Vec<String> = walk::list(whole.path()).unwrap().files.into_keys().collect();
    assert_eq!(names.len(), 14);
    for name in names {
        let change = |change: &dyn Fn(&Path)| {
            let dir = release();
            change(&dir.path().join(&name));
            let places = places(dir.path());
            let own = name == SUMS || name == ENVELOPE;
            assert!(places.contains(&name) || (own && !places.is_empty()), "{name}: {places:?}");
        };
        change(&|path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        });
        change(&|path| {
            let bytes = fs::read(path).unwrap();
            // Behind an envelope's last brace is nothing but a line break.
            fs::write(path, &bytes[..bytes.len() * 3 / 4]).unwrap();
        });
        change(&|path| fs::remove_file(path).unwrap());
        change(&|path| {
            let aside = TempDir::new().unwrap().keep().join("same");
            fs::rename(path, &aside)
                .or_else(|_| fs::copy(path, &aside).and_then(|_| fs::remove_file(path)))
                .unwrap();
            symlink(aside, path).unwrap();
        });
    }
}

#[test]
fn a_file_more_is_named_wherever_it_is() {
    for name in ["more", "packages/more.deb", "images/nimbus-agent/blobs/sha256/more", "a/b/c/d/e/f/g/h/i/j"]
    {
        let dir = release();
        write(dir.path(), name, "x");
        let places = places(dir.path());
        assert_eq!(places.len(), 1, "{name}: {places:?}");
        assert!(name.starts_with(&places[0]), "{name}: {places:?}");
    }
}

#[test]
fn a_list_signed_by_the_key_that_leads_out_of_the_directory_is_refused() {
    let dir = release();
    let list = format!("{}  ../outside\n", "0".repeat(64));
    write(dir.path(), SUMS, &list);
    write(dir.path(), ENVELOPE, dsse::sign(list.as_bytes(), &key(1)));
    let report = report(dir.path(), 1);
    assert_eq!(report.problems[0].at, SUMS);
    assert!(report.problems[0].what.contains("../outside"), "{report:?}");
}

#[test]
fn what_is_signed_and_contradicts_itself_is_named() {
    let dir = release();
    write(dir.path(), "sbom/archives/nimbus-1.tar.gz.cdx.json", "{}");
    write(dir.path(), "images/nimbus-agent/index.json", r#"{"manifests":[]}"#);
    seal(dir.path(), &key(1)).unwrap();
    let mut places = places(dir.path());
    places.dedup();
    assert_eq!(places, ["images/nimbus-agent", "sbom/archives/nimbus-1.tar.gz.cdx.json"]);
}

#[test]
fn what_is_no_release_is_not_sealed() {
    let dir = release();
    write(dir.path(), "packages/other.deb", "x");
    let wrong = seal(dir.path(), &key(1)).unwrap_err().to_string();
    assert!(wrong.contains("packages/other.deb: expected a bill of materials"), "{wrong}");
}

#[test]
fn a_directory_without_a_seal_says_so() {
    let dir = TempDir::new().unwrap();
    assert_eq!(places(dir.path()), [ENVELOPE]);
    let missing = dir.path().join("missing");
    assert!(verify(&missing, &key(1).verifying_key(), |_| ()).is_err());
}
