//! OCI image layouts, made without a container daemon: for each program one image with a single layer for each
//! processor, and one index over both.
//!
//! A layer holds the static program and what a process expects to find around it. It holds no root certificates: an
//! agent in a cluster is given its API server's authority, agents and control plane trust the control plane's own, and
//! the client of PostgreSQL has its roots compiled in. Who watches another cluster through a kubeconfig without an
//! authority in it mounts `/etc/ssl/certs`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use nimbus_release::image::{INDEX, MANIFEST};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::archive;
use crate::program::Program;
use crate::source::Source;
use crate::stage::Stage;
use crate::target::Arch;

/// The user and the group that the program runs as.
pub const USER: u32 = 65_532;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const STATE: &str = "var/lib/nimbus";
const PASSWD: &str = "root:x:0:0:root:/:/sbin/nologin\n\
                      nimbus:x:65532:65532:Nimbus:/var/lib/nimbus:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnimbus:x:65532:\n";

/// What a layout has to say of a blob.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: &'static str,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<Platform>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Notes,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Platform {
    architecture: &'static str,
    os: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u8,
    media_type: &'static str,
    manifests: Vec<Descriptor>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: Notes,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u8,
    media_type: &'static str,
    config: Descriptor,
    layers: [Descriptor; 1],
    annotations: &'a Notes,
}

#[derive(Debug, Serialize)]
struct Configuration<'a> {
    created: String,
    #[serde(flatten)]
    platform: Platform,
    config: Run<'a>,
    rootfs: Root,
    history: [History<'a>; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Run<'a> {
    user: String,
    env: [String; 2],
    entrypoint: [String; 1],
    working_dir: &'static str,
    labels: &'a Notes,
}

#[derive(Debug, Serialize)]
struct Root {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: [String; 1],
}

#[derive(Debug, Serialize)]
struct History<'a> {
    created: String,
    created_by: &'static str,
    comment: &'a str,
}

type Notes = BTreeMap<&'static str, String>;

/// The files of a layout by their names in it.
pub type Files = BTreeMap<String, Vec<u8>>;

/// The root file system of an image: `from` is the program's file.
pub fn root(program: &Program, from: &Path, licence: &str) -> Stage {
    let mut stage = Stage::default();
    stage.text("etc/group", 0o644, GROUP);
    stage.text("etc/passwd", 0o644, PASSWD);
    stage.directory("tmp", 0o1777, USER);
    stage.file(&format!("usr/bin/{}", program.name), 0o755, from);
    stage.text(&format!("usr/share/doc/{}/copyright", program.name), 0o644, licence);
    stage.directory(STATE, 0o700, USER);
    stage
}

/// The layout of a program's image, with a root file system for each processor.
pub fn layout(program: &Program, source: &Source, roots: &BTreeMap<Arch, Stage>) -> anyhow::Result<Files> {
    let notes = notes(program, source);
    let mut files = Files::new();
    let mut manifests = Vec::new();
    for (arch, stage) in roots {
        let platform = Platform { architecture: arch.go(), os: "linux" };
        let tar = archive::tar(stage, "", source.date)?;
        let configuration = Configuration {
            created: source.date.text(),
            platform,
            config: Run {
                user: format!("{USER}:{USER}"),
                env: ["PATH=/usr/bin".to_owned(), format!("NIMBUS_DATA_DIR=/{STATE}")],
                entrypoint: [format!("/usr/bin/{}", program.name)],
                working_dir: "/",
                labels: &notes,
            },
            rootfs: Root { kind: "layers", diff_ids: [digest(&tar)] },
            history: [History {
                created: source.date.text(),
                created_by: "cargo xtask dist",
                comment: program.summary,
            }],
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST,
            config: blob(&mut files, CONFIG, json(&configuration)?),
            layers: [blob(&mut files, LAYER, archive::gzip(&tar)?)],
            annotations: &notes,
        };
        let manifest = blob(&mut files, MANIFEST, json(&manifest)?);
        manifests.push(Descriptor { platform: Some(platform), ..manifest });
    }
    let index = Index { schema_version: 2, media_type: INDEX, manifests, annotations: notes };
    let mut index = blob(&mut files, INDEX, json(&index)?);
    index.annotations.insert("org.opencontainers.image.ref.name", source.tag());
    let top =
        Index { schema_version: 2, media_type: INDEX, manifests: vec![index], annotations: Notes::new() };
    files.insert("index.json".to_owned(), json(&top)?);
    files.insert("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
    Ok(files)
}

/// The labels and annotations that OCI gives names to.
fn notes(program: &Program, source: &Source) -> Notes {
    let mut notes = Notes::from([
        ("org.opencontainers.image.created", source.date.text()),
        ("org.opencontainers.image.description", program.summary.to_owned()),
        ("org.opencontainers.image.licenses", source.licence.to_owned()),
        ("org.opencontainers.image.source", source.repository.to_owned()),
        ("org.opencontainers.image.title", program.name.to_owned()),
        ("org.opencontainers.image.version", source.version.clone()),
    ]);
    if let Some(revision) = &source.revision {
        notes.insert("org.opencontainers.image.revision", revision.clone());
    }
    notes
}

/// Puts a blob into the layout.
fn blob(files: &mut Files, media_type: &'static str, bytes: Vec<u8>) -> Descriptor {
    let (digest, size) = (digest(&bytes), bytes.len());
    files.insert(format!("blobs/{}", digest.replace(':', "/")), bytes);
    Descriptor { media_type, digest, size, platform: None, annotations: Notes::new() }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn json(value: &impl Serialize) -> anyhow::Result<Vec<u8>> {
    serde_json::to_vec(value).context("cannot write JSON")
}

#[cfg(test)]
mod tests {
    use nimbus_release::image::{Known, check};
    use serde_json::Value;

    use super::*;
    use crate::program::AGENT;
    use crate::source::tests::example;

    fn made() -> Files {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::write(&program, "program").unwrap();
        let roots = Arch::ALL.map(|arch| (arch, root(&AGENT, &program, "licence")));
        layout(&AGENT, &example(), &BTreeMap::from(roots)).unwrap()
    }

    fn read(files: &Files, descriptor: &Value) -> Value {
        let name = descriptor["digest"].as_str().unwrap().replace(':', "/");
        serde_json::from_slice(&files[&format!("blobs/{name}")]).unwrap()
    }

    #[test]
    fn verify_release_finds_nothing_wrong_with_it() {
        let files = made();
        let known = |bytes: &Vec<u8>| Known { sum: Sha256::digest(bytes).into(), size: bytes.len() as u64 };
        let about = files.iter().map(|(name, bytes)| (name.clone(), known(bytes))).collect();
        let wrong = check(&about, |name| files.get(name).cloned().ok_or_else(|| "gone".to_owned()));
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(files, made());
    }

    #[test]
    fn one_index_leads_to_a_program_that_runs_as_nobody_in_particular() {
        let files = made();
        let top: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let tag = "org.opencontainers.image.ref.name";
        assert_eq!(top["manifests"][0]["annotations"][tag], "1.2.3-rc.1_x");
        let index = read(&files, &top["manifests"][0]);
        for (at, architecture) in ["amd64", "arm64"].into_iter().enumerate() {
            let descriptor = &index["manifests"][at];
            assert_eq!(descriptor["platform"]["architecture"], architecture);
            let manifest = read(&files, descriptor);
            let config = read(&files, &manifest["config"]);
            assert_eq!(config["architecture"], architecture);
            assert_eq!(config["created"], "2023-11-14T22:13:20Z");
            assert_eq!(config["config"]["User"], "65532:65532");
            assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/usr/bin/nimbus-agent"]));
            assert_eq!(config["config"]["WorkingDir"], "/");
            let revision = "org.opencontainers.image.revision";
            assert_eq!(config["config"]["Labels"][revision], "0123456789abcdef");
            assert_eq!(manifest["annotations"], config["config"]["Labels"]);
        }
    }
}
