//! A real registry (CNCF Distribution) on loopback, and what is pushed to it: images with the real skopeo.
//!
//! It keeps everything in files of a temporary folder and speaks plain HTTP, which every client allows on loopback alone or
//! has to be told. Charts are pushed with [`crate::helm`].

pub mod layout;
pub mod release;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::process::{Process, free_port};
use crate::rig::{build, repository};

/// How long the registry may take until it listens: it takes less than a second on an idle machine.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long one command of skopeo may take, as skopeo reads it; it ends itself after that.
const SKOPEO_LIMIT: &str = "3m";

/// A registry that runs; it and everything in it are gone when this is dropped.
#[derive(Debug)]
pub struct Registry {
    address: String,
    // Dropped before the folder that it writes to.
    _process: Process,
    _dir: tempfile::TempDir,
}

impl Registry {
    /// Starts one with nothing in it, on a free port of loopback.
    ///
    /// # Errors
    /// When it cannot be built or started; then with what it said.
    pub fn start() -> anyhow::Result<Self> {
        let program = build::ensure_registry(&repository()?)?;
        let dir = tempfile::Builder::new().prefix("nimbus-registry-").tempdir()?;
        let address = format!("127.0.0.1:{}", free_port()?);
        // JSON is YAML, too.
        let config = dir.path().join("config.json");
        fs::write(&config, configuration(&address, &dir.path().join("storage")).to_string())?;
        let mut command = Command::new(program);
        // REGISTRY_… in somebody's environment would change what the file says.
        command.arg("serve").arg(&config).env_clear();
        // Otherwise it sends traces to a port of loopback where nobody listens.
        command.env("OTEL_TRACES_EXPORTER", "none");
        let mut process = Process::start("registry", command, dir.path())?;
        process.wait_for_line(&format!("listening on {address}"), START_LIMIT)?;
        Ok(Self { address, _process: process, _dir: dir })
    }

    /// Where it listens, as the name of an image or a chart begins.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Pushes an image from where skopeo finds it (`oci:FOLDER`, `docker-archive:FILE`), with every platform that it has;
    /// `name` is without the registry.
    ///
    /// # Errors
    /// When skopeo is not installed, or the registry refuses it.
    pub fn push(&self, from: &str, name: &str) -> anyhow::Result<()> {
        skopeo(&["copy", "--all", "--dest-tls-verify=false", from, &self.whole(name)]).map(drop)
    }

    /// Pulls an image with every platform that it has to where skopeo puts it (`oci:FOLDER:TAG`).
    ///
    /// # Errors
    /// When there is none of this name, or its bytes are not those of its digest.
    pub fn pull(&self, name: &str, into: &str) -> anyhow::Result<()> {
        skopeo(&["copy", "--all", "--src-tls-verify=false", &self.whole(name), into]).map(drop)
    }

    /// The index or the manifest of this name (`NAME:TAG`, `NAME@DIGEST`), byte for byte.
    ///
    /// # Errors
    /// When there is none.
    pub fn raw(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        skopeo(&["inspect", "--raw", "--tls-verify=false", &self.whole(name)])
    }

    /// The digest of what has this name, asked for as the charts tell a person to.
    ///
    /// # Errors
    /// When there is none.
    pub fn digest(&self, name: &str) -> anyhow::Result<String> {
        let whole = self.whole(name);
        let said = skopeo(&["inspect", "--format", "{{.Digest}}", "--tls-verify=false", &whole])?;
        Ok(String::from_utf8(said)?.trim().to_owned())
    }

    fn whole(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.address)
    }
}

/// What the registry reads: where it listens and where it writes. Nothing is removed and nothing is fetched from elsewhere.
fn configuration(address: &str, storage: &Path) -> Value {
    json!({
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": true}},
        "storage": {
            "filesystem": {"rootdirectory": storage},
            "maintenance": {"uploadpurging": {"enabled": false}},
        },
        "http": {"addr": address},
    })
}

/// What skopeo prints for these words, without anybody's login, and whether or not this machine has a policy for images.
fn skopeo(words: &[&str]) -> anyhow::Result<Vec<u8>> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy", "--command-timeout", SKOPEO_LIMIT]).args(words);
    command.env("HOME", home.path()).env("REGISTRY_AUTH_FILE", home.path().join("none.json"));
    let output = command.stdin(Stdio::null()).output();
    let output = output.context("cannot run skopeo: install its package, as `cargo xtask test` does")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`skopeo {}` failed: {}", words.join(" "), said.trim());
    Ok(output.stdout)
}
