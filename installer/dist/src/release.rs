//! Puts a release together: everything in a folder beside the one that was asked for, which gets its name only when
//! all of it is done.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::num::NonZeroU16;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use nimbus_platform::read_regular_text;
use nimbus_release::{key, seal};
use tempfile::TempDir;

use crate::artefacts::{self, Made, Programs};
use crate::progress::{none, step};
use crate::source::{EPOCH, Source};
use crate::target::Arch;
use crate::{chart, compile, elf, program};

/// Longest file of a key that is read.
const MOST_KEY_BYTES: u64 = 16 << 10;
/// What the folders begin with in which releases are put together.
const BESIDE: &str = ".nimbus-dist-";

/// A part of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// The programs alone, in ARCH/NAME: what `--programs` takes
    Programs,
    /// An archive for each processor
    Archives,
    /// OCI image layouts
    Images,
    /// Packages for Debian and RPM
    Packages,
    /// Helm charts
    Charts,
    /// A bill of materials for each of the others, their sums and the signature
    Bills,
}

/// What is asked for.
#[derive(Debug)]
pub struct Plan {
    /// Where the release goes.
    pub out: PathBuf,
    /// The file of the release key.
    pub key: Option<PathBuf>,
    /// The processors.
    pub arches: BTreeSet<Arch>,
    /// Where programs are that are built already.
    pub programs: Option<PathBuf>,
    /// Whether those may need a dynamic linker.
    pub dynamic: bool,
    /// The parts; without any, a whole release.
    pub only: BTreeSet<Kind>,
    /// Which packages of this version are made, from 1 on.
    pub packaging: NonZeroU16,
}

impl Plan {
    /// Is this part wanted? The programs by themselves are no part of a whole release.
    fn wants(&self, kind: Kind) -> bool {
        if self.only.is_empty() { kind != Kind::Programs } else { self.only.contains(&kind) }
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.only.contains(&Kind::Programs) && self.only.len() > 1 {
            bail!(
                "expected `--only programs` by itself, as a release does not hold them by themselves; leave `programs` \
                 out, or the others"
            );
        }
        if self.only.len() == 1 && self.wants(Kind::Bills) {
            bail!(
                "expected something that the bills are of, found `bills` alone; name it beside them in `--only`"
            );
        }
        if self.key.is_some() && !self.wants(Kind::Bills) {
            bail!(
                "expected `bills` in `--only` beside `--key`, as only a release with bills is signed; add it"
            );
        }
        Ok(())
    }
}

/// Makes what `plan` asks for from the tree at `root`.
pub fn make(root: &Path, plan: &Plan) -> anyhow::Result<()> {
    plan.check()?;
    let key = match &plan.key {
        Some(path) => {
            let pem = read_regular_text(path, MOST_KEY_BYTES);
            let pem = pem.with_context(|| format!("cannot read the release key {}", path.display()))?;
            Some(key::private(&pem).with_context(|| format!("the release key {}", path.display()))?)
        }
        None => None,
    };
    let (out, parent) = absent(&plan.out)?;
    let source = Source::read(root, std::env::var(EPOCH).ok().as_deref(), plan.packaging)?;
    eprintln!(
        "Nimbus {} of {}, {}",
        source.version,
        source.date.text(),
        source.revision.as_deref().unwrap_or("a tree that is no commit")
    );
    for left in left_over(&parent) {
        eprintln!(
            "{} is of a run that was interrupted, or that still runs; remove it if none does",
            left.display()
        );
    }
    let beside = tempfile::Builder::new().prefix(BESIDE).tempdir_in(&parent);
    let beside = beside.with_context(|| format!("cannot make a folder in {}", parent.display()))?;
    let programs = programs(root, plan, &source)?;
    if plan.wants(Kind::Programs) {
        copy(&programs, beside.path())?;
        return finish(beside, &out);
    }
    let made = all(root, plan, &source, &programs, beside.path())?;
    if made.is_empty() {
        bail!("expected something to make, found nothing: there is no chart in {}", root.display());
    }
    if !plan.wants(Kind::Bills) {
        none("sums and signature", "made only where there are bills");
        return finish(beside, &out);
    }
    step("bills", || artefacts::bills(root, plan.programs.is_none(), &made, &source, beside.path()))?;
    let sums = step("sums", || match &key {
        Some(key) => seal::seal(beside.path(), key).context("cannot sign the release"),
        None => seal::list(beside.path()).context("cannot list the release"),
    })?;
    match &key {
        Some(key) => eprintln!("{} files, signed by {}", sums.len(), key::id(&key.verifying_key())),
        None => eprintln!(
            "{} files, NOT signed: without --key there is no signature, and `nimbus verify-release` refuses them",
            sums.len()
        ),
    }
    finish(beside, &out)
}

/// Every artefact that is wanted, written below `into`.
fn all(
    root: &Path,
    plan: &Plan,
    source: &Source,
    programs: &Programs,
    into: &Path,
) -> anyhow::Result<BTreeMap<String, Made>> {
    let licence = std::fs::read_to_string(root.join("LICENSE"));
    let licence = licence.with_context(|| format!("cannot read LICENSE in {}", root.display()))?;
    let mut made = BTreeMap::new();
    if plan.wants(Kind::Archives) {
        made.extend(step("archives", || artefacts::archives(root, source, programs, &licence, into))?);
    }
    if plan.wants(Kind::Images) {
        made.extend(step("images", || artefacts::images(source, programs, &licence, into))?);
    }
    if plan.wants(Kind::Packages) {
        made.extend(step("packages", || artefacts::packages(source, programs, &licence, into))?);
    }
    if plan.wants(Kind::Charts) {
        if chart::folders(root)?.is_empty() {
            none("charts", "there is none in the tree");
        } else {
            made.extend(step("charts", || artefacts::charts(root, source, into))?);
        }
    }
    Ok(made)
}

/// The programs for each processor: those that were given, or built from the tree. Charts alone need none.
fn programs(root: &Path, plan: &Plan, source: &Source) -> anyhow::Result<Programs> {
    let kinds = [Kind::Programs, Kind::Archives, Kind::Images, Kind::Packages];
    let mut programs = Programs::new();
    if !kinds.into_iter().any(|kind| plan.wants(kind)) {
        return Ok(programs);
    }
    for arch in &plan.arches {
        let name = format!("programs for {}", arch.name());
        let folder = match &plan.programs {
            Some(given) => given.join(arch.name()),
            None => step(&name, || compile::build(root, *arch, source))?,
        };
        for program in program::ALL {
            elf::check(&folder.join(program.name), *arch, plan.dynamic)?;
        }
        programs.insert(*arch, folder);
    }
    Ok(programs)
}

fn copy(programs: &Programs, into: &Path) -> anyhow::Result<()> {
    for (arch, folder) in programs {
        let to = into.join(arch.name());
        std::fs::create_dir(&to).with_context(|| format!("cannot make {}", to.display()))?;
        for program in program::ALL {
            let (from, to) = (folder.join(program.name), to.join(program.name));
            std::fs::copy(&from, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
    }
    Ok(())
}

/// The folder that is asked for, if it is not there or empty, and the one that it is in, which is made if it is missing.
fn absent(out: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let out = std::path::absolute(out).with_context(|| format!("cannot use {}", out.display()))?;
    let parent = out
        .parent()
        .with_context(|| format!("expected a folder that can be made, found {}", out.display()))?;
    match std::fs::read_dir(&out) {
        Ok(mut entries) => {
            anyhow::ensure!(
                entries.next().is_none(),
                "expected {} to be empty or not there, found files in it; remove it or name another folder",
                out.display()
            );
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => bail!("expected {} to be an empty folder or not there: {error}", out.display()),
    }
    std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let parent = parent.to_owned();
    Ok((out, parent))
}

/// The folders beside the one that is asked for in which other runs were at work.
fn left_over(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(BESIDE))
        .map(|entry| entry.path())
        .collect()
}

/// Gives the finished folder its name.
fn finish(beside: TempDir, out: &Path) -> anyhow::Result<()> {
    let path = beside.path();
    // A temporary folder is closed to others; what was asked for is an ordinary one.
    std::fs::set_permissions(path, Permissions::from_mode(0o755))
        .with_context(|| format!("cannot open {} to others", path.display()))?;
    std::fs::rename(path, out)
        .with_context(|| format!("cannot rename {} to {}", path.display(), out.display()))?;
    // It is not there any more, so that nothing is left to remove.
    let _ = beside.keep();
    eprintln!("{}", out.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_interrupted_run_left_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".nimbus-dist-abc", "release", ".nimbus"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert_eq!(left_over(dir.path()), [dir.path().join(".nimbus-dist-abc")]);
        assert!(left_over(&dir.path().join("none")).is_empty());
    }

    fn plan(only: &[Kind], key: bool) -> Plan {
        Plan {
            out: PathBuf::from("/x"),
            key: key.then(|| PathBuf::from("key.pem")),
            arches: BTreeSet::from(Arch::ALL),
            programs: None,
            dynamic: false,
            packaging: NonZeroU16::MIN,
            only: only.iter().copied().collect(),
        }
    }

    #[test]
    fn a_plan_that_contradicts_itself_is_refused() {
        assert!(plan(&[], true).check().is_ok());
        assert!(plan(&[Kind::Archives, Kind::Bills], true).check().is_ok());
        assert!(plan(&[Kind::Programs], false).check().is_ok());
        for (only, key, says) in [
            (&[Kind::Programs, Kind::Archives][..], false, "--only programs"),
            (&[Kind::Bills][..], false, "`bills` alone"),
            (&[Kind::Archives][..], true, "--key"),
        ] {
            let wrong = plan(only, key).check().unwrap_err().to_string();
            assert!(wrong.contains(says), "{wrong}");
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(absent(&dir.path().join("new/er")).is_ok());
        assert!(absent(&dir.path().join("new")).is_ok());
        std::fs::write(dir.path().join("new/file"), "x").unwrap();
        for taken in ["new", "new/file"] {
            let wrong = absent(&dir.path().join(taken)).unwrap_err().to_string();
            assert!(wrong.contains("empty"), "{wrong}");
        }
    }
}
