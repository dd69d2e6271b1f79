//! Packages of two versions, made by `nimbus-dist` as those of a release are: `older` and `newer`.
//!
//! There is only one version of the programs so far, so the newer packages hold the same ones under a higher version of the
//! packaging: what is tried is what package manager, scripts, units and state do, not a change between two programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::Context as _;

use super::site::{AGENT, COMMAND, CONTROL_PLANE};
use crate::dist::{self, ARCH};

/// One of the two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// What is installed first, and gone back to.
    Older,
    /// What is upgraded to.
    Newer,
}

impl Version {
    const fn folder(self) -> &'static str {
        match self {
            Self::Older => "older",
            Self::Newer => "newer",
        }
    }
}

/// A kind of package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Debian's.
    Deb,
    /// RPM.
    Rpm,
}

/// The packages, in a directory that becomes the host's `/mnt`.
pub struct Packages(PathBuf);

impl Packages {
    /// Makes them below `dir`.
    pub fn make(dir: &Path) -> anyhow::Result<Self> {
        let (packages, programs) = (dir.join("packages"), dir.join("programs"));
        fs::create_dir(&packages)?;
        let folder = programs.join(ARCH.0);
        fs::create_dir_all(&folder)?;
        let mut making = Vec::new();
        if let Some(release) = std::env::var_os("NIMBUS_RELEASE").map(PathBuf::from) {
            from_archive(&release, &folder)?;
            copy_all(&release.join("packages"), &packages.join("older/packages"))?;
        } else {
            from_build(&folder)?;
            making.push(pack(&programs, &packages.join("older"), "1")?);
        }
        making.push(pack(&programs, &packages.join("newer"), "2")?);
        for child in making {
            dist::finish(child)?;
        }
        Ok(Self(packages))
    }

    /// Where they are.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// The path of a package on the host.
    pub fn path(&self, program: &str, version: Version, kind: Kind) -> anyhow::Result<String> {
        let folder = format!("{}/packages", version.folder());
        let is_it = |name: &str| match kind {
            Kind::Deb => {
                name.starts_with(&format!("{program}_")) && name.ends_with(&format!("_{}.deb", ARCH.1))
            }
            // After the name comes the version, and no other program's name.
            Kind::Rpm => {
                let version = name.strip_prefix(program).and_then(|name| name.strip_prefix('-'));
                let version = version.filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()));
                version.is_some_and(|rest| rest.ends_with(&format!(".{}.rpm", ARCH.0)))
            }
        };
        let place = self.0.join(&folder);
        for entry in fs::read_dir(&place).with_context(|| place.display().to_string())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if is_it(&name) {
                return Ok(format!("/mnt/{folder}/{name}"));
            }
        }
        anyhow::bail!("{} holds no package of {program} for {}", place.display(), ARCH.0)
    }

    /// The paths of the packages of control plane and agent on the host.
    pub fn both(&self, version: Version, kind: Kind) -> anyhow::Result<[String; 2]> {
        Ok([self.path(CONTROL_PLANE, version, kind)?, self.path(AGENT, version, kind)?])
    }
}

/// The programs as the tests built them.
fn from_build(folder: &Path) -> anyhow::Result<()> {
    for program in [CONTROL_PLANE, AGENT, COMMAND] {
        dist::strip(program, folder)?;
    }
    Ok(())
}

/// The programs of a release.
fn from_archive(release: &Path, folder: &Path) -> anyhow::Result<()> {
    let archives = release.join("archives");
    let end = format!("-{}.tar.gz", ARCH.0);
    let entries = fs::read_dir(&archives).with_context(|| archives.display().to_string())?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let archive = paths
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(&end)))
        .with_context(|| format!("{} holds no archive for {}", archives.display(), ARCH.0))?;
    let mut tar = Command::new("tar");
    tar.args(["--strip-components=2", "--wildcards", "-xzf"]).arg(archive);
    tar.arg("-C").arg(folder).arg("*/bin/*");
    let output = tar.output().context("cannot run tar")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "tar failed: {said}");
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Starts the making of packages of this version of the packaging.
fn pack(programs: &Path, out: &Path, packaging: &str) -> anyhow::Result<Child> {
    dist::start(programs, out, &["--only", "packages", "--arch", ARCH.0, "--packaging", packaging])
}
