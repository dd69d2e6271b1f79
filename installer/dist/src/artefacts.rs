//! The artefacts of a release, each written to its place and with what its bill has to say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nimbus_release::bill::place;
use sha2::{Digest as _, Sha256};

use crate::bill::{self, Component, Parts};
use crate::crates::Crates;
use crate::package::{self, Package};
use crate::program;
use crate::source::Source;
use crate::stage::Stage;
use crate::target::Arch;
use crate::{archive, chart, image, tools};

/// The folder of the programs for each processor.
pub type Programs = BTreeMap<Arch, PathBuf>;

/// An artefact that was written.
#[derive(Debug)]
pub struct Made {
    /// What it is, in CycloneDX's words.
    kind: &'static str,
    /// Its SHA-256, where it is one file.
    sum: Option<String>,
    /// The programs in it.
    programs: Vec<(&'static str, Arch)>,
    /// What else it is made of.
    parts: Parts,
}

/// An archive of everything for each processor.
pub fn archives(
    root: &Path,
    source: &Source,
    programs: &Programs,
    licence: &str,
    into: &Path,
) -> anyhow::Result<Vec<(String, Made)>> {
    let readme = std::fs::read_to_string(root.join("README.md"));
    let readme = excerpt(&readme.with_context(|| format!("cannot read README.md in {}", root.display()))?);
    let mut made = Vec::new();
    for (arch, folder) in programs {
        let top = format!("nimbus-{}-linux-{}", source.version, arch.name());
        let mut stage = Stage::default();
        stage.text(&format!("{top}/LICENSE"), 0o644, licence);
        stage.text(&format!("{top}/README.md"), 0o644, readme.as_str());
        for program in program::ALL {
            stage.file(&format!("{top}/bin/{}", program.name), 0o755, &folder.join(program.name));
        }
        for package in &package::ALL {
            let Some(service) = &package.service else { continue };
            service.unit(package.program.name, &format!("{top}/systemd/system"), &mut stage);
            service.configure(&format!("{top}/etc/nimbus"), &mut stage);
            service.exemplify(&format!("{top}/doc/{}", package.program.name), &mut stage);
        }
        let bytes = archive::gzip(&archive::tar(&stage, "", source.date)?)?;
        let names = program::ALL.map(|program| (program.name, *arch));
        made.push(file(into, format!("archives/{top}.tar.gz"), &bytes, names.to_vec(), Parts::default())?);
    }
    Ok(made)
}

/// The head of the README, which says what this is, and what is in an archive.
fn excerpt(readme: &str) -> String {
    let head: Vec<&str> = readme.split("\n\n").take(2).collect();
    format!("{}\n{}", head.join("\n\n").trim_end(), include_str!("../packaging/README.txt"))
}

/// An image of every program; the command's makes backups on a schedule.
pub fn images(
    source: &Source,
    programs: &Programs,
    licence: &str,
    into: &Path,
) -> anyhow::Result<Vec<(String, Made)>> {
    let mut made = Vec::new();
    for program in program::ALL {
        let roots = programs
            .iter()
            .map(|(arch, folder)| (*arch, image::root(program, &folder.join(program.name), licence)))
            .collect();
        let name = format!("images/{}", program.name);
        for (inside, bytes) in image::layout(program, source, &roots)? {
            write(&into.join(&name).join(inside), &bytes)?;
        }
        let inside = programs.keys().map(|arch| (program.name, *arch)).collect();
        made.push((name, Made { kind: "container", sum: None, programs: inside, parts: Parts::default() }));
    }
    Ok(made)
}

/// Every package for every processor.
pub fn packages(
    source: &Source,
    programs: &Programs,
    licence: &str,
    into: &Path,
) -> anyhow::Result<Vec<(String, Made)>> {
    let mut made = Vec::new();
    for (arch, folder) in programs {
        for package in &package::ALL {
            let stage = package.stage(&folder.join(package.program.name), licence);
            made.extend(both(package, *arch, &stage, source, into)?);
        }
    }
    Ok(made)
}

fn both(
    package: &Package,
    arch: Arch,
    stage: &Stage,
    source: &Source,
    into: &Path,
) -> anyhow::Result<[(String, Made); 2]> {
    let inside = || vec![(package.program.name, arch)];
    let deb = package::deb::build(package, arch, stage, source)?;
    let rpm = package::rpm::build(package, arch, stage, source)?;
    let deb_name = format!("packages/{}", package::deb::file_name(package, arch, source));
    let rpm_name = format!("packages/{}", package::rpm::file_name(package, arch, source));
    Ok([
        file(into, deb_name, &deb, inside(), Parts::default())?,
        file(into, rpm_name, &rpm, inside(), Parts::default())?,
    ])
}

/// Every chart of the tree.
pub fn charts(root: &Path, source: &Source, into: &Path) -> anyhow::Result<Vec<(String, Made)>> {
    let mut made = Vec::new();
    for folder in chart::folders(root)? {
        let packed = chart::pack(&folder, source)?;
        let name = format!("charts/{}", packed.file_name);
        made.push(file(into, name, &packed.bytes, Vec::new(), packed.parts)?);
    }
    Ok(made)
}

/// The bill of every artefact. What the toolchain adds to a program is known only where it was `built_here`.
pub fn bills(
    root: &Path,
    built_here: bool,
    made: &BTreeMap<String, Made>,
    source: &Source,
    into: &Path,
) -> anyhow::Result<()> {
    let arches: BTreeSet<Arch> =
        made.values().flat_map(|made| &made.programs).map(|(_, arch)| *arch).collect();
    let mut crates = BTreeMap::new();
    for arch in arches {
        crates.insert(arch, Crates::of(root, arch)?);
    }
    let toolchain = if built_here && !crates.is_empty() { toolchain(root)? } else { Vec::new() };
    for (name, made) in made {
        let mut parts = made.parts.clone();
        for (program, arch) in &made.programs {
            if let Some(crates) = crates.get(arch) {
                parts.merge(&crates.parts(program)?);
            }
        }
        for part in toolchain.iter().filter(|_| !made.programs.is_empty()) {
            parts.put_first(part.reference());
            parts.add(part.clone(), []);
        }
        let short = name.rsplit('/').next().unwrap_or_default();
        let artefact = Component::named(made.kind, name.clone(), short, &source.version)
            .with_sum(made.sum.clone())
            .with_licence(Some(source.licence));
        write(&into.join(place(name)), bill::write(&artefact, &parts, source)?.as_bytes())?;
    }
    Ok(())
}

/// What the compiler and the linker put into every program beside its crates.
fn toolchain(root: &Path) -> anyhow::Result<Vec<Component>> {
    let rust = tools::rust_version(root)?;
    Ok(vec![
        Component::packaged("library", "generic", "rust-std", &rust).with_licence(Some("MIT OR Apache-2.0")),
        Component::packaged("library", "generic", "musl", tools::MUSL).with_licence(Some("MIT")),
    ])
}

/// Writes an artefact that is one file.
fn file(
    into: &Path,
    name: String,
    bytes: &[u8],
    programs: Vec<(&'static str, Arch)>,
    parts: Parts,
) -> anyhow::Result<(String, Made)> {
    write(&into.join(&name), bytes)?;
    let sum = Some(hex::encode(Sha256::digest(bytes)));
    Ok((name, Made { kind: "file", sum, programs, parts }))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let unwritable = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(unwritable)?;
    }
    std::fs::write(path, bytes).with_context(unwritable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_of_an_archive_says_what_nimbus_is_and_what_is_inside() {
        let text = excerpt("# Nimbus\n\nRepairs.\n\nOn a fresh machine:\n");
        assert!(text.starts_with("# Nimbus\n\nRepairs.\n\n## What is in this archive\n"), "{text}");
        assert!(!text.contains("fresh machine"), "{text}");
    }
}
