//! Finds the programs of the test cluster on this machine, or builds them from the Go module in `tests/`.
//!
//! `KUBEBUILDER_ASSETS` (the variable that envtest users know) comes first, program by program. What
//! it lacks is built once into `target/rig/bin/KEY`, where KEY changes with the module's sources.
//! Tests and `cargo xtask` use this same file, so they agree; it needs nothing but std and anyhow.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File};
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;

/// Kubernetes' version, which the programs cannot know by themselves when built as a module.
const KUBERNETES: (&str, &str, &str) = ("v1.36.3", "1", "36");

/// Each program with the package that it is built from.
const PROGRAMS: [(&str, &str); 6] = [
    ("etcd", "./etcd"),
    ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
    ("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
    ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
    ("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
];

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
    fn missing(&self) -> Vec<(&'static str, &'static str)> {
        PROGRAMS.into_iter().filter(|(program, _)| !self.path(program).is_file()).collect()
    }
}

/// Whether every program is there, given or built, so that Go is not needed.
pub fn is_complete(repository: &Path) -> bool {
    locate(repository).is_ok_and(|(binaries, _)| binaries.missing().is_empty())
}

/// Finds the programs, and builds those that are missing (some five minutes of two cores, once).
///
/// `repository` is the workspace's root. Progress goes to standard error. Several processes may call
/// this at once: one builds, the others wait for it.
///
/// # Errors
/// When Go is not installed or the build fails, with what to do.
pub fn ensure(repository: &Path) -> anyhow::Result<Binaries> {
    let (binaries, cache) = locate(repository)?;
    if binaries.missing().is_empty() {
        return Ok(binaries);
    }

    fs::create_dir_all(&cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = File::create(cache.join("lock")).context("cannot create the build's lock file")?;
    lock.lock().context("cannot lock the build")?;
    let missing = binaries.missing();
    if !missing.is_empty() {
        build(&repository.join("tests/rig"), &binaries.built, &missing)?;
        remove_others(&cache, &binaries.built);
    }
    Ok(binaries)
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
    (KUBERNETES, PROGRAMS).hash(&mut hasher);
    for name in SOURCES {
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
    // Complete or not there at all: a build that was interrupted is never taken for a whole one.
    fs::create_dir_all(into).with_context(|| format!("cannot create {}", into.display()))?;
    for name in names {
        fs::rename(unfinished.join(name), into.join(name)).with_context(|| format!("cannot keep {name}"))?;
    }
    // What is left is an empty directory; the next build would use it again.
    let _ = fs::remove_dir(&unfinished);
    eprintln!("rig: built in {} s", begun.elapsed().as_secs());
    Ok(())
}

/// Builds of former sources, a third of a gigabyte each, are of no use to anyone.
fn remove_others(cache: &Path, keep: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.path() != keep && entry.path().is_dir() {
            // A failure costs disk space only.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
