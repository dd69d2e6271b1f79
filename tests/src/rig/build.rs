//! Finds the programs of the test cluster on this machine, or builds them from the Go module in `tests/`; others, whose
//! dependencies must not mix with those, from the modules that they were published in.
//!
//! `KUBEBUILDER_ASSETS` (the variable that envtest users know) comes first, program by program. What
//! it lacks is built once into `target/rig/bin/KEY`, where KEY changes with the module's sources.
//! Tests and `cargo xtask` use this same file, so they agree; it needs nothing but std and anyhow.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Instant, SystemTime};

use anyhow::Context as _;

/// Kubernetes' version, which the programs cannot know by themselves when built as a module.
const KUBERNETES: (&str, &str, &str) = ("v1.37.2", "1", "37");

/// Each program with the package that it is built from.
const PROGRAMS: [(&str, &str); 6] = [
    ("etcd", "./etcd"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
];

/// The programs of a real node that are built from the same module.
const NODE_PROGRAMS: [(&str, &str); 2] =
    [("kubelet", "k8s.io/kubernetes/cmd/kubelet"), ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy")];

/// The container runtime of a real node. Its dependencies disagree with Kubernetes': it is built as the module that it
/// is, with the dependencies that it was published with. Distributions' versions are too old for this kubelet.
const CONTAINERD: &str = "github.com/containerd/containerd/v2/cmd/";
const CONTAINERD_VERSION: &str = "v2.4.2";
const CONTAINERD_PROGRAMS: [&str; 3] = ["containerd", "containerd-shim-runc-v2", "ctr"];
/// What it can do without: drivers that need C libraries or a kernel's own file systems.
const CONTAINERD_TAGS: &str = "no_btrfs,no_devmapper,no_zfs,no_aufs";

/// Renders and installs charts; built as the module that it is, as containerd is.
const HELM: (&str, &str) = ("helm.sh/helm/v4/cmd/helm", "v4.3.1");

/// Helm of other versions that take the charts: the oldest that `nimbus preflight` lets pass, the oldest for `nimbus enterprise deploy
/// --apply`, and the newest 3.
pub const OTHER_HELMS: [&str; 3] = ["v3.8.2", "v3.14.4", "v3.22.0"];

/// Holds images and charts: the CNCF's Distribution; built as the module that it is, as containerd is.
const REGISTRY: (&str, &str) = ("github.com/distribution/distribution/v3/cmd/registry", "v3.1.2");

/// Serves what nodes and pods use, for autoscalers; built as the module that it is, as containerd is.
const METRICS_SERVER: (&str, &str) = ("sigs.k8s.io/metrics-server/cmd/metrics-server", "v0.9.0");

/// OpenTofu and a provider for it that knows schemas alone, from a module of their own.
const TOFU: (&str, &str) = ("tests/terraform/provider", "github.com/opentofu/opentofu/cmd/tofu");
/// What that module's own program is called by Go, and what it is called here.
const PROVIDER: (&str, &str) = ("provider", "terraform-provider-schema");
const TOFU_SOURCES: [&str; 4] = ["go.mod", "go.sum", "main.go", "schema.go"];

/// cert-manager's controllers, from a module of their own: cert-manager publishes its controllers and not its program.
const CERT_MANAGER: (&str, &str) = ("tests/rig/cert-manager", "cert-manager-controller");
/// Where the kinds that they work on are defined, and in which folder of it.
const CERT_MANAGER_CRDS: (&str, &str) = ("github.com/cert-manager/cert-manager", "deploy/crds");
const CERT_MANAGER_SOURCES: [&str; 3] = ["go.mod", "go.sum", "main.go"];

/// How many builds are kept: another working copy may still use the one before.
const KEPT: usize = 2;

/// The files of the module that decide what is built.
const SOURCES: [&str; 4] = ["go.mod", "go.sum", "tools.go", "etcd/main.go"];

/// The programs of a cluster, all present.
#[derive(Debug, Clone)]
pub struct Binaries {
    assets: Option<PathBuf>,
    built: PathBuf,
}

impl Binaries {
    /// The path of one program (`etcd`, `kube-apiserver`, `kubectl`, ...).
    pub fn path(&self, program: &str) -> PathBuf {
        let given = self.assets.iter().map(|dir| dir.join(program)).find(|path| path.is_file());
        given.unwrap_or_else(|| self.built.join(program))
    }

    /// The programs that have neither been given nor built.
    fn missing(&self, of: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
        of.iter().copied().filter(|(program, _)| !self.path(program).is_file()).collect()
    }

    fn lacks_containerd(&self) -> bool {
        CONTAINERD_PROGRAMS.into_iter().any(|program| !self.path(program).is_file())
    }
}

/// Whether every program is there, given or built, so that Go is not needed; those of a real node with `node`.
pub fn is_complete(repository: &Path, node: bool) -> bool {
    locate(repository).is_ok_and(|(binaries, _)| {
        let node_too = || binaries.missing(&NODE_PROGRAMS).is_empty() && !binaries.lacks_containerd();
        binaries.missing(&PROGRAMS).is_empty() && (!node || node_too())
    })
}

/// Finds the programs, and builds those that are missing (some five minutes of two cores, once; with `node`, those of a
/// real node too, and five minutes more).
///
/// `repository` is the workspace's root. Progress goes to standard error. Several processes may call
/// this at once: one builds, the others wait for it.
///
/// # Errors
/// When Go is not installed or the build fails, with what to do.
pub fn ensure_all(repository: &Path, node: bool) -> anyhow::Result<Binaries> {
    let (binaries, cache) = locate(repository)?;
    if is_complete(repository, node) {
        return Ok(binaries);
    }

    let _lock = locked(&cache)?;
    let module = repository.join("tests/rig");
    let mut missing = binaries.missing(&PROGRAMS);
    if node {
        missing.extend(binaries.missing(&NODE_PROGRAMS));
    }
    if !missing.is_empty() {
        build(&module, &binaries.built, &missing)?;
        remove_others(&cache, &binaries.built);
    }
    if node && binaries.lacks_containerd() {
        let version = CONTAINERD_VERSION;
        let packages = CONTAINERD_PROGRAMS.map(|program| format!("{CONTAINERD}{program}@{version}"));
        let what =
            Published { name: "containerd", version, tags: CONTAINERD_TAGS, programs: &CONTAINERD_PROGRAMS };
        what.install(&binaries.built, &packages)?;
    }
    Ok(binaries)
}

/// Helm: finds it, or builds it, a minute or two of two cores, once.
///
/// # Errors
/// When Go is not installed or the build fails, with what to do.
pub fn ensure_helm(repository: &Path) -> anyhow::Result<PathBuf> {
    let (binaries, cache) = locate(repository)?;
    let path = binaries.path("helm");
    if path.is_file() {
        return Ok(path);
    }
    let _lock = locked(&cache)?;
    if !path.is_file() {
        let (package, version) = HELM;
        let what = Published { name: "helm", version, tags: "", programs: &["helm"] };
        what.install(&binaries.built, &[format!("{package}@{version}")])?;
    }
    Ok(path)
}

/// A published Helm of another version: finds it, or builds it, a minute or two of two cores, once.
///
/// # Errors
/// When Go is not installed or the build fails, with what to do.
pub fn ensure_helm_of(repository: &Path, version: &str) -> anyhow::Result<PathBuf> {
    let (binaries, cache) = locate(repository)?;
    let major = version.split('.').next().unwrap_or(version);
    let into = binaries.built.join(format!("helm-{version}"));
    let path = into.join("helm");
    if path.is_file() {
        return Ok(path);
    }
    let _lock = locked(&cache)?;
    if !path.is_file() {
        let what = Published { name: "helm", version, tags: "", programs: &["helm"] };
        what.install(&into, &[format!("helm.sh/helm/{major}/cmd/helm@{version}")])?;
    }
    Ok(path)
}

/// The registry for images and charts: finds it, or builds it, some three minutes, once for each version. A cluster's
/// programs that were given have none.
///
/// # Errors
/// When Go is not installed or the build fails, with what to do.
pub fn ensure_registry(repository: &Path) -> anyhow::Result<PathBuf> {
    ensure_published(repository, "registry", REGISTRY)
}

/// metrics-server: finds it, or builds it, some two minutes, once for each version.
///
/// # Errors
/// When Go is not installed or the build fails, with what to do.
pub fn ensure_metrics_server(repository: &Path) -> anyhow::Result<PathBuf> {
    ensure_published(repository, "metrics-server", METRICS_SERVER)
}

/// A program of a module of its own.
fn ensure_published(
    repository: &Path,
    name: &'static str,
    (package, version): (&str, &str),
) -> anyhow::Result<PathBuf> {
    let (binaries, cache) = locate(repository)?;
    // Another version goes elsewhere, so that it is built, and the cluster's programs are not.
    let into = binaries.built.join(format!("{name}-{version}"));
    let path = into.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let _lock = locked(&cache)?;
    if !path.is_file() {
        let what = Published { name, version, tags: "", programs: &[name] };
        what.install(&into, &[format!("{package}@{version}")])?;
    }
    Ok(path)
}

/// OpenTofu, and the provider that serves schemas from files, in one directory: finds them, or builds them, some three
/// minutes of two cores, once for each state of their module.
///
/// # Errors
/// When Go is not installed or the build fails, with what to do.
pub fn ensure_tofu(repository: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (module, tofu) = (repository.join(TOFU.0), TOFU.1);
    let (_, cache) = locate(repository)?;
    let cache = cache.with_file_name("tofu");
    let into = cache.join(hashed(&module, &TOFU_SOURCES, DefaultHasher::new())?);
    let programs = (into.join("tofu"), into.join(PROVIDER.1));
    let is_there = || programs.0.is_file() && programs.1.is_file();
    if is_there() {
        return Ok(programs);
    }
    let _lock = locked(&cache)?;
    if !is_there() {
        eprintln!("rig: building tofu (minutes the first time, seconds later)");
        let begun = Instant::now();
        let unfinished = into.with_extension("unfinished");
        fs::create_dir_all(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
        go_build(&module, "tofu", &format!("{}/", unfinished.display()), &[".", tofu])?;
        let (built, named) = PROVIDER;
        fs::rename(unfinished.join(built), unfinished.join(named)).context("cannot name the provider")?;
        keep(&unfinished, &into, &["tofu", named])?;
        remove_others(&cache, &into);
        eprintln!("rig: built in {} s", begun.elapsed().as_secs());
    }
    Ok(programs)
}

/// cert-manager's controllers, and the folder with the definitions of their kinds (CRDs) of the same version: finds them, or
/// builds and copies them, some three minutes of two cores, once for each state of their module.
///
/// # Errors
/// When Go is not installed or the build fails, with what to do.
pub fn ensure_cert_manager(repository: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let (module, name) = (repository.join(CERT_MANAGER.0), CERT_MANAGER.1);
    let (_, cache) = locate(repository)?;
    let cache = cache.with_file_name("cert-manager");
    let into = cache.join(hashed(&module, &CERT_MANAGER_SOURCES, DefaultHasher::new())?);
    let found = (into.join(name), into.join("crds"));
    let is_there = || found.0.is_file() && found.1.is_dir();
    if is_there() {
        return Ok(found);
    }
    let _lock = locked(&cache)?;
    if !is_there() {
        eprintln!("rig: building cert-manager (minutes the first time, seconds later)");
        let begun = Instant::now();
        let unfinished = into.with_extension("unfinished");
        let crds = unfinished.join("crds");
        fs::create_dir_all(&crds).with_context(|| format!("cannot create {}", crds.display()))?;
        go_build(&module, "cert-manager", &unfinished.join(name).display().to_string(), &["."])?;
        copy_from_module(&module, CERT_MANAGER_CRDS, &crds)?;
        // The folder last: without it, what is there is built again.
        keep(&unfinished, &into, &[name, "crds"])?;
        remove_others(&cache, &into);
        eprintln!("rig: built in {} s", begun.elapsed().as_secs());
    }
    Ok(found)
}

/// Builds packages of a module of this repository into `output`: a file, or a directory with a slash at its end.
fn go_build(module: &Path, name: &str, output: &str, packages: &[&str]) -> anyhow::Result<()> {
    let status = Command::new("go")
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .args(["build", "-trimpath", "-ldflags", "-s -w", "-o", output])
        .args(packages)
        .status()
        .context("cannot run go: install Go 1.26 or newer")?;
    anyhow::ensure!(status.success(), "go build of {name} failed ({status}); its messages are above");
    Ok(())
}

/// Copies the files of a folder of a dependency, of the version that `module` asks for. Go keeps its modules read-only and
/// may clean them away; the copies are neither.
fn copy_from_module(module: &Path, (of, folder): (&str, &str), into: &Path) -> anyhow::Result<()> {
    let output = Command::new("go")
        .current_dir(module)
        .args(["list", "-m", "-f", "{{.Dir}}", of])
        .output()
        .context("cannot run go: install Go 1.26 or newer")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "go does not say where {of} is: {}", said.trim());
    let from = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join(folder);
    for entry in fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
        let path = entry.with_context(|| format!("cannot read {}", from.display()))?.path();
        let (true, Some(name)) = (path.extension().is_some_and(|it| it == "yaml"), path.file_name()) else {
            continue;
        };
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::write(into.join(name), text).with_context(|| format!("cannot write to {}", into.display()))?;
    }
    Ok(())
}

/// The lock of all builds, held until it is dropped: one process builds, the others wait for it.
fn locked(cache: &Path) -> anyhow::Result<File> {
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = File::create(cache.join("lock")).context("cannot create the build's lock file")?;
    lock.lock().context("cannot lock the build")?;
    Ok(lock)
}

/// Where the programs are or will be, and the directory of all builds.
fn locate(repository: &Path) -> anyhow::Result<(Binaries, PathBuf)> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository.join("target"), PathBuf::from);
    let cache = target.join("rig/bin");
    let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
    let built = cache.join(key(&repository.join("tests/rig"))?);
    Ok((Binaries { assets, built }, cache))
}

/// A name for what the module's sources say; not a security matter.
fn key(module: &Path) -> anyhow::Result<String> {
    let mut hasher = DefaultHasher::new();
    (KUBERNETES, PROGRAMS, NODE_PROGRAMS, CONTAINERD_VERSION, CONTAINERD_TAGS).hash(&mut hasher);
    hashed(module, &SOURCES, hasher)
}

fn hashed(module: &Path, sources: &[&str], mut hasher: DefaultHasher) -> anyhow::Result<String> {
    for name in sources {
        let path = module.join(name);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        (name, text).hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn build(module: &Path, into: &Path, missing: &[(&str, &str)]) -> anyhow::Result<()> {
    let names: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    eprintln!("rig: building {} (minutes the first time, seconds later)", names.join(", "));
    let begun = Instant::now();
    let (version, major, minor) = KUBERNETES;
    let unfinished = into.with_extension("unfinished");
    fs::create_dir_all(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
    let package = "k8s.io/component-base/version";
    let status = Command::new("go")
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .args(["build", "-trimpath", "-ldflags"])
        .arg(format!(
            "-s -w -X {package}.gitVersion={version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
        ))
        .arg("-o")
        .arg(format!("{}/", unfinished.display()))
        .args(missing.iter().map(|(_, source)| source))
        .status()
        .context("cannot run go: install Go 1.26 or newer, or set KUBEBUILDER_ASSETS to a directory with the programs")?;
    anyhow::ensure!(
        status.success(),
        "go build of the cluster's programs failed ({status}); its messages are above"
    );
    keep(&unfinished, into, &names)?;
    eprintln!("rig: built in {} s", begun.elapsed().as_secs());
    Ok(())
}

/// Complete or not there at all: a build that was interrupted is never taken for a whole one.
fn keep(unfinished: &Path, into: &Path, names: &[&str]) -> anyhow::Result<()> {
    fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;
    for name in names {
        fs::rename(unfinished.join(name), into.join(name)).with_context(|| format!("cannot keep {name}"))?;
    }
    // What is left is an empty directory; the next build would use it again.
    let _ = fs::remove_dir(unfinished);
    Ok(())
}

/// Programs that are built as the module that they were published in, with the dependencies that it names.
struct Published<'a> {
    name: &'a str,
    version: &'a str,
    tags: &'a str,
    programs: &'a [&'a str],
}

impl Published<'_> {
    fn install(&self, into: &Path, packages: &[String]) -> anyhow::Result<()> {
        let Self { name, version, .. } = self;
        eprintln!("rig: building {name} {version} (minutes the first time, seconds later)");
        let begun = Instant::now();
        let unfinished = into.with_extension(name);
        fs::create_dir_all(&unfinished).with_context(|| format!("cannot create {}", unfinished.display()))?;
        let status = Command::new("go")
            // Outside of any module: the version says which module it is.
            .current_dir(&unfinished)
            .env("CGO_ENABLED", "0")
            .env("GOBIN", &unfinished)
            .args(["install", "-trimpath", "-tags", self.tags, "-ldflags", "-s -w"])
            .args(packages)
            .status()
            .context("cannot run go: install Go 1.26 or newer")?;
        anyhow::ensure!(status.success(), "go install of {name} failed ({status}); its messages are above");
        keep(&unfinished, into, self.programs)?;
        eprintln!("rig: built in {} s", begun.elapsed().as_secs());
        Ok(())
    }
}

/// Builds of former sources, a gigabyte each, are of no use to anyone but a working copy that has them still.
fn remove_others(cache: &Path, keep: &Path) {
    let mut others: Vec<(SystemTime, PathBuf)> = fs::read_dir(cache)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path() != keep && entry.path().is_dir())
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    others.sort();
    others.reverse();
    for (_, path) in others.into_iter().skip(KEPT - 1) {
        // A failure costs disk space only.
        let _ = fs::remove_dir_all(path);
    }
}
