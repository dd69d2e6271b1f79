//! The control plane of the chart's StatefulSet, without a kubelet: its program with its arguments, and the files of the Secret
//! where they are mounted.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nimbus_tests::helm::only;
use nimbus_tests::process::{Process, binary, free_port};
use nimbus_tests::rig::Cluster;
use nimbus_tests::wait::{Seen, wait_for};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::CERTIFICATE;
use crate::served::{first, served};

/// How long it may take to end; it says itself that it takes at most 5 s.
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// What cert-manager wrote.
pub struct Secret {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    pub authority: Vec<u8>,
}

impl Secret {
    /// The one that the pod mounts.
    pub async fn read(cluster: &Cluster, objects: &[Value]) -> anyhow::Result<Self> {
        let name = volume(objects, "tls")?["secret"]["secretName"].as_str().context("a Secret's name")?;
        let words = ["get", "secret", name, "--namespace", CERTIFICATE.0, "--output=json"];
        let secret: Value = serde_json::from_str(&cluster.kubectl(&words).await?)?;
        anyhow::ensure!(secret["type"] == "kubernetes.io/tls", "its type is {}", secret["type"]);
        let file = |key: &str| {
            let text = secret["data"][key].as_str().with_context(|| format!("no {key} in it"))?;
            STANDARD.decode(text).with_context(|| format!("{key} is not in base64"))
        };
        Ok(Self { certificate: file("tls.crt")?, key: file("tls.key")?, authority: file("ca.crt")? })
    }

    /// What is shown to a client first.
    pub fn leaf(&self) -> anyhow::Result<CertificateDer<'static>> {
        first(&self.certificate)
    }
}

/// A control plane that can be restarted on its data.
pub struct Plane {
    // Ended before its directory is removed.
    process: Option<Process>,
    dir: tempfile::TempDir,
    /// Where what the pod mounts is here.
    mounts: BTreeMap<String, PathBuf>,
    ports: (u16, u16),
    /// How often the Secret was mounted.
    mounted: u32,
}

impl Plane {
    /// A directory for each of the pod's volumes that its arguments name.
    pub fn lay_out(objects: &[Value]) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-cert-manager-").tempdir()?;
        let mut mounts = BTreeMap::new();
        for (name, here) in [("data", "volume"), ("tls", "tls")] {
            let here = dir.path().join(here);
            std::fs::create_dir(&here)?;
            mounts.insert(mount_path(objects, name)?, here);
        }
        Ok(Self { process: None, dir, mounts, ports: (free_port()?, free_port()?), mounted: 0 })
    }

    /// Where operators are served.
    pub fn port(&self) -> u16 {
        self.ports.0
    }

    /// Puts the Secret's files there as a kubelet does: all of them are replaced at once, by a link to their directory.
    pub fn mount(&mut self, secret: &Secret) -> anyhow::Result<()> {
        self.mounted += 1;
        let (tls, version) = (self.dir.path().join("tls"), format!("..{}", self.mounted));
        std::fs::create_dir(tls.join(&version))?;
        let files =
            [("tls.crt", &secret.certificate), ("tls.key", &secret.key), ("ca.crt", &secret.authority)];
        for (name, bytes) in files {
            std::fs::write(tls.join(&version).join(name), bytes)?;
            if self.mounted == 1 {
                symlink(Path::new("..data").join(name), tls.join(name))?;
            }
        }
        symlink(&version, tls.join("..data_tmp"))?;
        std::fs::rename(tls.join("..data_tmp"), tls.join("..data")).context("cannot replace the files")
    }

    /// Starts the program with the arguments of the pod, but for where its volumes are and which ports are free here. It
    /// listens on every address as in the pod: on loopback alone it would not speak TLS.
    pub fn start(&mut self, objects: &[Value]) -> anyhow::Result<()> {
        let arguments = pod(objects)?["containers"][0]["args"].as_array().context("arguments")?;
        let mut command = Command::new(binary("nimbus-control-plane")?);
        for argument in arguments {
            command.arg(self.here(argument.as_str().context("an argument")?)?);
        }
        command.env_remove("FAILPOINTS").env("RUST_LOG", "info");
        self.process = Some(Process::start("control-plane", command, self.dir.path())?);
        Ok(())
    }

    /// Asks it to end, and starts it again.
    pub fn restart(&mut self, objects: &[Value]) -> anyhow::Result<()> {
        let mut process = self.process.take().context("it was never started")?;
        let status = process.stop(libc::SIGTERM, STOP_LIMIT)?;
        anyhow::ensure!(status.success(), "it ended with {status}:\n{}", process.output());
        self.start(objects)
    }

    fn here(&self, argument: &str) -> anyhow::Result<String> {
        Ok(match argument {
            "--listen=0.0.0.0:7070" => format!("--listen=0.0.0.0:{}", self.ports.0),
            // Agents are not served here: loopback is enough.
            "--quic=0.0.0.0:7071" => format!("--quic=127.0.0.1:{}", self.ports.1),
            other => {
                let Some((option, path)) = other.split_once("=/") else { return Ok(other.to_owned()) };
                let path = format!("/{path}");
                let below = self.mounts.iter().find_map(|(there, here)| {
                    Some(here.join(path.strip_prefix(there.as_str())?.trim_start_matches('/')))
                });
                let below = below.with_context(|| format!("{other} is in none of the known volumes"))?;
                format!("{option}={}", below.display())
            }
        })
    }

    /// Waits until the `nimbus` command is answered, trusting the mounted `ca.crt` alone.
    pub async fn wait_until_answered(&self, limit: Duration) -> anyhow::Result<()> {
        wait_for("the control plane to answer nimbus", limit, || async {
            let (code, said) = self.nimbus_trusting("tls/ca.crt", &["status"]).await?;
            Ok(Seen::when((code == Some(0)).then_some(()), format!("{code:?}: {said}\n{}", self.output())))
        })
        .await
    }

    /// Waits until the certificate of this Secret is served to somebody who calls it so.
    pub async fn wait_until_served(
        &self,
        secret: &Secret,
        name: &str,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let leaf = secret.leaf()?;
        wait_for("the certificate to be served", limit, || async {
            let is_it = served(self.port(), &secret.authority, name).await? == leaf;
            Ok(Seen::when(is_it.then_some(()), format!("another one\n{}", self.output())))
        })
        .await
    }

    /// Runs the `nimbus` command as an operator whose context names this file as the authority; its exit code and what it said.
    pub async fn nimbus_trusting(
        &self,
        authority: &str,
        words: &[&str],
    ) -> anyhow::Result<(Option<i32>, String)> {
        let file = |name: &str| self.dir.path().join(name);
        let (server, token) =
            (format!("https://127.0.0.1:{}", self.port()), file("volume/data/operator.token"));
        let (token, authority) = (token.display(), file(authority));
        let context = format!(
            "current = \"it\"\n[contexts.it]\nserver = \"{server}\"\ntoken_file = \"{token}\"\nca_file = \"{}\"\n",
            authority.display()
        );
        std::fs::create_dir_all(file("config/nimbus"))?;
        std::fs::write(file("config/nimbus/config.toml"), context)?;
        let mut command = tokio::process::Command::new(binary("nimbus")?);
        command.args(words).env_clear().env("XDG_CONFIG_HOME", file("config")).env("NO_COLOR", "1");
        let output = command.kill_on_drop(true).output().await.context("cannot run nimbus")?;
        let read = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), format!("{}{}", read(&output.stdout), read(&output.stderr))))
    }

    fn output(&self) -> String {
        self.process.as_ref().map(Process::output).unwrap_or_default()
    }
}

fn pod(objects: &[Value]) -> anyhow::Result<&Value> {
    Ok(&only(objects, "StatefulSet", "")?["spec"]["template"]["spec"])
}

fn volume<'a>(objects: &'a [Value], name: &str) -> anyhow::Result<&'a Value> {
    named(&pod(objects)?["volumes"], name)
}

fn mount_path(objects: &[Value], name: &str) -> anyhow::Result<String> {
    let mount = named(&pod(objects)?["containers"][0]["volumeMounts"], name)?;
    Ok(mount["mountPath"].as_str().context("where it is mounted")?.to_owned())
}

fn named<'a>(list: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    let mut all = list.as_array().into_iter().flatten();
    all.find(|it| it["name"] == name).with_context(|| format!("no {name} in {list}"))
}
