//! A cluster with a real node, a PostgreSQL server beside it, and an administrator with helm, kubectl and nimbus.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::bench::Row;
use crate::postgres::Postgres;
use crate::process::binary;
use crate::registry::Registry;
use crate::rig::real_node::csi::Csi;
use crate::rig::real_node::names::Names;
use crate::rig::real_node::{self, ADDRESS, RealNode, images, mounts};
use crate::rig::workloads::Workloads;
use crate::rig::{Cluster, build, repository};

/// Where both releases are installed.
pub const NAMESPACE: &str = "nimbus";
/// The release of the control plane, and with it the name of its Service.
pub const CONTROL_PLANE: &str = "nimbus-control-plane";
/// The release of the agents.
pub const AGENT: &str = "nimbus-agent";
/// The program of the backups.
const COMMAND: &str = "nimbus";
/// Where pods are healed.
pub const SHOP: &str = "shop";
/// The first database.
const DATABASE: &str = "nimbus";
/// The folder of the images in the registry.
const LOCAL: &str = "local";
/// The images of this build.
pub const TAG: &str = "1";
/// How long a container that crashes waits at most.
const LONGEST_BACK_OFF: &str = "10s";
/// Helm's words for an installation that is waited for.
pub const UNTIL_READY: [&str; 3] = ["--wait", "--timeout", "3m"];

/// Everything that is there before anything is installed.
pub struct Site {
    /// The cluster.
    pub cluster: Cluster,
    /// Where pods are healed.
    pub shop: Workloads,
    _names: Names,
    nodes: Vec<RealNode>,
    registry: Registry,
    parts: Parts,
    postgres: Postgres,
    helm: PathBuf,
    /// The administrator's.
    home: PathBuf,
    /// What stands over `/etc/hosts`, as nobody here serves names.
    hosts: PathBuf,
    /// What was measured so far.
    figures: Mutex<Vec<Row>>,
}

impl Site {
    /// Starts it with one node; the namespace enforces Pod Security `restricted`.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        let (cluster, node) = RealNode::start(LONGEST_BACK_OFF).await?;
        Self::on(dir, cluster, vec![node]).await
    }

    /// The same with two nodes.
    pub async fn start_with_two_nodes(dir: &Path) -> anyhow::Result<Self> {
        let (cluster, first) = RealNode::start(LONGEST_BACK_OFF).await?;
        let second = RealNode::second(&cluster, LONGEST_BACK_OFF).await.context("the second node")?;
        Self::on(dir, cluster, vec![first, second]).await
    }

    async fn on(dir: &Path, cluster: Cluster, nodes: Vec<RealNode>) -> anyhow::Result<Self> {
        let registry = Registry::start()?;
        let names = Names::serve(&cluster).await?;
        let parts = Parts::bring(&nodes, &registry)?;
        let postgres = Postgres::start_for(ADDRESS)?;
        let (home, hosts) = (dir.join("home"), dir.join("hosts"));
        fs::create_dir(&home)?;
        fs::write(&hosts, "127.0.0.1 localhost\n")?;
        mounts::run("mount", &["--bind", &hosts.display().to_string(), "/etc/hosts"])?;
        // The machine itself reaches a Service as pods do: it only has to try, kube-proxy changes the address.
        mounts::run("ip", &["route", "add", "default", "dev", "node0"])?;
        let helm = build::ensure_helm(&repository()?)?;
        cluster.namespace(NAMESPACE, &restricted()).await?;
        let shop = cluster.namespace(SHOP, &json!({})).await?;
        Ok(Self {
            cluster,
            shop,
            _names: names,
            nodes,
            registry,
            parts,
            postgres,
            helm,
            home,
            hosts,
            figures: Mutex::default(),
        })
    }

    /// Keeps a figure.
    pub fn note(&self, figure: Row) {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).push(figure);
    }

    /// The figures so far, as JSON.
    pub fn figures(&self) -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&*self.figures.lock().unwrap_or_else(PoisonError::into_inner))?)
    }

    /// One more namespace that enforces Pod Security `restricted`.
    pub async fn restricted_namespace(&self, name: &str) -> anyhow::Result<()> {
        self.cluster.namespace(name, &restricted()).await.map(drop)
    }

    /// Another cluster, with one node that has the control plane's image and one such namespace.
    pub async fn another_cluster(&self, namespace: &str) -> anyhow::Result<(Cluster, RealNode)> {
        let (cluster, node) = RealNode::start_beside(LONGEST_BACK_OFF).await?;
        self.parts.import(&node, CONTROL_PLANE)?;
        cluster.namespace(namespace, &restricted()).await?;
        Ok((cluster, node))
    }

    /// An address of a new database, with a password, as pods reach it.
    pub fn database(&self) -> anyhow::Result<String> {
        self.postgres.sql("postgres", "CREATE ROLE nimbus LOGIN PASSWORD 'not-a-secret'")?;
        self.make_database(DATABASE)
    }

    /// Removes that database, whoever is connected to it.
    pub fn lose_database(&self) -> anyhow::Result<()> {
        self.postgres.sql("postgres", &format!("DROP DATABASE {DATABASE} WITH (FORCE)")).map(drop)
    }

    /// An address of one more database, of the same user.
    pub fn another_database(&self) -> anyhow::Result<String> {
        self.make_database("another")
    }

    /// An address of one more database of this name.
    pub fn make_database(&self, name: &str) -> anyhow::Result<String> {
        self.postgres.sql("postgres", &format!("CREATE DATABASE {name} OWNER nimbus"))?;
        let port = self.postgres.port();
        Ok(format!("postgres://nimbus:not-a-secret@{ADDRESS}:{port}/{name}?sslmode=disable"))
    }

    /// kubectl in the releases' namespace.
    pub async fn kubectl(&self, words: &[&str]) -> anyhow::Result<String> {
        self.kubectl_in(NAMESPACE, words).await
    }

    /// kubectl in a namespace.
    pub async fn kubectl_in(&self, namespace: &str, words: &[&str]) -> anyhow::Result<String> {
        self.cluster.kubectl(&[&["-n", namespace], words].concat()).await
    }

    /// helm in the releases' namespace.
    pub async fn helm(&self, words: &[&str]) -> anyhow::Result<String> {
        self.helm_in(NAMESPACE, words).await
    }

    /// helm in a namespace.
    pub async fn helm_in(&self, namespace: &str, words: &[&str]) -> anyhow::Result<String> {
        self.helm_at((&self.cluster, namespace), words).await
    }

    /// helm in a namespace of a cluster, this one or another.
    pub async fn helm_at(
        &self,
        (cluster, namespace): (&Cluster, &str),
        words: &[&str],
    ) -> anyhow::Result<String> {
        let mut command = Command::new(&self.helm);
        command.args(["--namespace", namespace]).args(words).current_dir(repository()?);
        command.env("KUBECONFIG", cluster.kubeconfig_path()).env("HOME", &self.home);
        run(command).await
    }

    /// A chart, with the images that the node has or pulls, installed or upgraded, until everything is ready.
    pub async fn install(&self, chart: &str, values: &Value) -> anyhow::Result<()> {
        self.install_in(NAMESPACE, chart, values).await
    }

    /// The same in a namespace.
    pub async fn install_in(&self, namespace: &str, chart: &str, values: &Value) -> anyhow::Result<()> {
        self.install_at((&self.cluster, namespace), chart, values).await
    }

    /// The same in a namespace of a cluster whose node has the images.
    pub async fn install_at(&self, at: (&Cluster, &str), chart: &str, values: &Value) -> anyhow::Result<()> {
        let (from, image) = (self.parts.chart(chart)?, self.parts.image(chart));
        self.install_from(at, chart, (&from, &image), values, &UNTIL_READY).await
    }

    /// A chart from this place with this image, installed or upgraded by helm with these words more.
    pub async fn install_from(
        &self,
        at: (&Cluster, &str),
        chart: &str,
        (from, image): (&str, &Value),
        values: &Value,
        words: &[&str],
    ) -> anyhow::Result<()> {
        let file = self.home.join(format!("{chart}.json"));
        let mut values = values.clone();
        values["image"] = image.clone();
        fs::write(&file, values.to_string())?;
        let file = file.display().to_string();
        let upgrade = ["upgrade", "--install", chart, from, "--values", &file];
        self.helm_at(at, &[&upgrade, words].concat()).await.map(drop)
    }

    /// A CSI driver on the first node.
    pub async fn csi(&self) -> anyhow::Result<Csi> {
        Csi::start(&self.cluster, self.nodes.first().context("a node")?).await
    }

    /// Pushes the image of one more program; the values that name it, by its digest.
    pub fn push(&self, program: &Path, tag: &str) -> anyhow::Result<Value> {
        let name = program.file_name().context("a program has a name")?.to_string_lossy();
        let repository = format!("{LOCAL}/{name}");
        let name = format!("{repository}:{tag}");
        let dir = self.nodes.first().context("a node")?.dir();
        let archive = images::of_program(dir, program, &name)?;
        self.registry.push(&format!("docker-archive:{}", archive.display()), &name)?;
        let digest = self.registry.digest(&name)?;
        Ok(json!({"registry": self.registry.address(), "repository": repository, "digest": digest}))
    }

    /// The values that name the image of a program.
    pub fn image(&self, program: &str) -> Value {
        self.parts.image(program)
    }

    /// What to name helm as the chart.
    pub fn chart(&self, chart: &str) -> anyhow::Result<String> {
        self.parts.chart(chart)
    }

    /// Tells nimbus where the control plane is and what proves who it is, as the chart's notes say.
    pub async fn know_control_plane(
        &self,
        (namespace, service): (&str, &str),
        keys: &Path,
    ) -> anyhow::Result<()> {
        let words = ["get", "service", service, "-o", "jsonpath={.spec.clusterIP}"];
        let address = self.kubectl_in(namespace, &words).await?;
        self.know_control_plane_at(&address, &format!("{service}.{namespace}.svc"), keys)
    }

    /// The same of one with this address and name.
    pub fn know_control_plane_at(&self, address: &str, name: &str, keys: &Path) -> anyhow::Result<()> {
        fs::write(&self.hosts, format!("127.0.0.1 localhost\n{address} {name}\n"))?;
        let folder = self.home.join(".config/nimbus");
        fs::create_dir_all(&folder)?;
        let file = |name: &str| keys.join(name).display().to_string();
        let mut text = String::from("current = \"it\"\n[contexts.it]\n");
        writeln!(text, "server = \"https://{name}:7070\"")?;
        writeln!(text, "token_file = {:?}\nca_file = {:?}", file("operator.token"), file("ca.pem"))?;
        fs::write(folder.join("config.toml"), text)?;
        Ok(())
    }

    /// The operator's command, as a person has it; its answer for a program.
    pub async fn nimbus(&self, words: &[&str]) -> anyhow::Result<Value> {
        let mut command = Command::new(binary("nimbus")?);
        command.args(["-o", "json", "--yes"]).args(words).env_clear().env("HOME", &self.home);
        let said = run(command).await?;
        serde_json::from_str(&said).with_context(|| format!("nimbus {}: {said}", words.join(" ")))
    }

    /// `nimbus enterprise deploy`, with kubectl and helm on its `PATH` and a home of its own.
    pub async fn deploy(&self, words: &[&str]) -> anyhow::Result<Value> {
        let home = self.home.join("deploy");
        fs::create_dir_all(&home)?;
        let kubectl = build::ensure_all(&repository()?, true)?.path("kubectl");
        let folders = [&kubectl, &self.helm].map(|program| program.parent().map(Path::to_owned));
        let path = folders.into_iter().flatten().chain(["/usr/bin".into(), "/bin".into()]);
        let mut command = Command::new(binary("nimbus")?);
        command.args(["-o", "json", "--yes", "enterprise", "deploy", "--mode", "on-premise"]).args(words);
        command.env_clear().env("PATH", std::env::join_paths(path)?);
        command.env("HOME", &home).env("KUBECONFIG", self.cluster.kubeconfig_path());
        let said = run(command).await?;
        serde_json::from_str(&said).with_context(|| format!("nimbus enterprise deploy: {said}"))
    }

    /// The administrator's home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Where the images of this build are, as an answer names it.
    pub fn registry(&self) -> String {
        format!("{}/{LOCAL}", self.registry.address())
    }

    /// The directory of the charts.
    pub fn charts(&self) -> anyhow::Result<PathBuf> {
        match &self.parts.release {
            Some(release) => Ok(release.join("charts")),
            None => Ok(repository()?.join("charts")),
        }
    }

    /// What a person would look at when something is wrong.
    pub async fn state(&self) -> String {
        let mut text = String::new();
        let logs = |pod: &'static str| ["logs", pod, "--tail=80", "--prefix", "--all-containers"];
        for words in [
            &["get", "pods,statefulsets,daemonsets,services", "-o", "wide"][..],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["describe", "pods"],
            &logs("-lapp.kubernetes.io/part-of=nimbus"),
            &logs("-lapp.kubernetes.io/name=nimbus-control-plane"),
            &logs("-lapp.kubernetes.io/name=nimbus-agent"),
        ] {
            let said = self.kubectl(words).await.unwrap_or_else(|error| format!("{error:#}"));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "$ kubectl {}\n{said}", words.join(" "));
        }
        text
    }
}

/// The values that name the image with which `helm test` asks.
pub fn asking() -> Value {
    json!({"image": {"repository": format!("{LOCAL}/curl"), "tag": TAG, "pullPolicy": "Never"}})
}

/// The label of a namespace that enforces it.
fn restricted() -> Value {
    json!({"pod-security.kubernetes.io/enforce": "restricted"})
}

/// What is installed.
struct Parts {
    /// The directory of a release; without one it is made of this build and this tree.
    release: Option<PathBuf>,
    /// The values that name the agent's image, in the registry.
    agent: Value,
}

impl Parts {
    /// Makes the images known: all to the nodes, but the agent's, which it has to pull, and those of the charts to the registry.
    fn bring(nodes: &[RealNode], registry: &Registry) -> anyhow::Result<Self> {
        let node = nodes.first().context("a node")?;
        let release = std::env::var_os("NIMBUS_RELEASE").map(PathBuf::from);
        for program in [CONTROL_PLANE, AGENT] {
            let from = match &release {
                Some(release) => format!("oci:{}", release.join("images").join(program).display()),
                None => format!("docker-archive:{}", archive(node, program)?.display()),
            };
            registry.push(&from, &format!("{LOCAL}/{program}:{TAG}"))?;
        }
        let repository = format!("{LOCAL}/{AGENT}");
        let name = format!("{repository}:{TAG}");
        let digest = registry.digest(&name)?;
        let agent = json!({"registry": registry.address(), "repository": repository, "digest": digest});
        let parts = Self { release, agent };
        let curl = images::of_program(node.dir(), real_node::part("curl")?, &format!("{LOCAL}/curl:{TAG}"))?;
        for node in nodes {
            for program in [CONTROL_PLANE, COMMAND] {
                parts.import(node, program)?;
            }
            node.import(&curl)?;
        }
        Ok(parts)
    }

    fn import(&self, node: &RealNode, program: &str) -> anyhow::Result<()> {
        let Some(release) = &self.release else {
            return node.import(&archive(node, program)?);
        };
        let archive = node.dir().join(format!("{program}.tar")).display().to_string();
        let layout = release.join("images").join(program).display().to_string();
        mounts::run("tar", &["-C", &layout, "-cf", &archive, "."])?;
        // By its whole name, as the kubelet asks for it.
        node.import_as(&format!("docker.io/{LOCAL}/{program}"), Path::new(&archive))
    }

    /// The values that name an image which the node has, or pulls by its digest.
    fn image(&self, program: &str) -> Value {
        if program == AGENT {
            return self.agent.clone();
        }
        let mut image = json!({"repository": format!("{LOCAL}/{program}"), "pullPolicy": "Never"});
        if self.release.is_none() {
            image["tag"] = json!(TAG);
        }
        image
    }

    fn chart(&self, chart: &str) -> anyhow::Result<String> {
        let Some(release) = &self.release else { return Ok(format!("charts/{chart}")) };
        let folder = release.join("charts");
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let version =
                name.strip_suffix(".tgz").and_then(|name| name.strip_prefix(chart)?.strip_prefix('-'));
            let is_package =
                version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()));
            if is_package {
                return Ok(folder.join(name).display().to_string());
            }
        }
        anyhow::bail!("{} holds no package of the chart {chart}", folder.display())
    }
}

/// The image of a program as the tests built it, as an archive.
fn archive(node: &RealNode, program: &str) -> anyhow::Result<PathBuf> {
    images::of_program(node.dir(), &binary(program)?, &format!("{LOCAL}/{program}:{TAG}"))
}

/// Runs a command that has to succeed, and returns what it printed.
async fn run(mut command: Command) -> anyhow::Result<String> {
    let output = command.kill_on_drop(true).output().await.context("cannot run a command")?;
    let error = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{:?} failed: {}", command.as_std(), error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
