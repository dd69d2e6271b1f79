//! Builds the static programs so that they do not show where they were built.
//!
//! Paths get into a program through panic messages (Rust), `__FILE__` (C) and generated code. Each folder that differs
//! between two machines is given the same name everywhere: the tree, what is built from it, cargo's downloads and the
//! toolchain.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::command::{cargo, run};
use crate::program;
use crate::source::{EPOCH, Source};
use crate::target::Arch;
use crate::tools::{Tools, ready, sysroot};

/// Builds the programs for `arch` and returns the folder that they are in.
pub fn build(root: &Path, arch: Arch, source: &Source) -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let base = std::path::absolute(&base).with_context(|| format!("cannot use {}", base.display()))?;
    let tools = ready(root, &base.join("dist-tools"), arch)?;
    // Before the folders are named, as a folder of downloads is there only once there are downloads.
    run(cargo(root).args(["fetch", "--locked", "--quiet", "--target", arch.triple()]))?;
    let target = base.join("dist-build");
    let names = names(root, &target)?;
    let built = target.join(arch.triple());
    let together = built.join("shipped");
    std::fs::create_dir_all(&together).with_context(|| format!("cannot make {}", together.display()))?;
    for profile in profiles() {
        let mut command = std::process::Command::new(&tools.zigbuild);
        command.current_dir(root).args(words(arch, profile));
        command.envs(environment(arch, source, &tools, &names)?);
        command
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_ZIGBUILD_CACHE_DIR", base.join("dist-tools/cache"));
        command.env_remove("RUSTFLAGS");
        run(&mut command)?;
        for program in program::ALL.into_iter().filter(|program| program.profile == profile) {
            let (from, to) = (built.join(profile).join(program.name), together.join(program.name));
            std::fs::copy(&from, &to)
                .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        }
    }
    Ok(together)
}

/// Each profile of a program, once.
fn profiles() -> BTreeSet<&'static str> {
    program::ALL.into_iter().map(|program| program.profile).collect()
}

/// Builds the programs of one profile. All packages are named each time: a program has the same features, and so the same
/// crates in its bill, as when all are built together.
fn words(arch: Arch, profile: &'static str) -> Vec<&'static str> {
    let mut words = vec!["zigbuild", "--locked", "--profile", profile, "--target", arch.triple()];
    for program in program::ALL {
        words.extend(["--package", program.name]);
    }
    for program in program::ALL.into_iter().filter(|program| program.profile == profile) {
        words.extend(["--bin", program.name]);
    }
    words
}

/// Folders and what a program calls them. A later one counts where two fit.
type Names = Vec<(PathBuf, String)>;

fn names(root: &Path, target: &Path) -> anyhow::Result<Names> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let home = home.context("expected CARGO_HOME or HOME to be set, found neither; set one of them")?;
    let mut names = vec![
        (sysroot(root)?, "/rust".to_owned()),
        (home.clone(), "/cargo".to_owned()),
        (root.to_owned(), "/nimbus".to_owned()),
        (target.to_owned(), "/target".to_owned()),
    ];
    // A registry's folder is named after where it was downloaded from, which may be a mirror.
    let registries = home.join("registry/src");
    if let Ok(entries) = std::fs::read_dir(&registries) {
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut folders: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
        folders.sort();
        names.extend(folders.into_iter().map(|folder| (folder, "/cargo/registry".to_owned())));
    }
    Ok(names)
}

fn environment(
    arch: Arch,
    source: &Source,
    tools: &Tools,
    names: &[(PathBuf, String)],
) -> anyhow::Result<Vec<(String, OsString)>> {
    let mut rust = Vec::new();
    let mut c = Vec::new();
    for (folder, name) in names {
        let folder = folder.to_str().filter(|text| !text.contains([' ', '=']));
        let folder = folder.context("expected paths without spaces and `=` to build in, found one")?;
        rust.push(format!("--remap-path-prefix={folder}={name}"));
        c.push(format!("-ffile-prefix-map={folder}={name}"));
    }
    let target = arch.triple().replace('-', "_");
    let zig = tools.zig.clone().into_os_string();
    Ok(vec![
        // Instead of RUSTFLAGS: no word of it is split again.
        ("CARGO_ENCODED_RUSTFLAGS".to_owned(), rust.join("\x1f").into()),
        (format!("CFLAGS_{target}"), c.join(" ").into()),
        (format!("CXXFLAGS_{target}"), c.join(" ").into()),
        (EPOCH.to_owned(), source.date.seconds().to_string().into()),
        ("ZERO_AR_DATE".to_owned(), "1".into()),
        ("CARGO_INCREMENTAL".to_owned(), "0".into()),
        ("LC_ALL".to_owned(), "C".into()),
        ("TZ".to_owned(), "UTC".into()),
        ("CARGO_ZIGBUILD_ZIG_COMMAND".to_owned(), zig.clone()),
        ("CARGO_ZIGBUILD_ZIG_PATH".to_owned(), zig),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::example;

    #[test]
    fn every_folder_has_one_name_for_rust_and_for_c() {
        let tools = Tools { zig: "/t/zig".into(), zigbuild: "/t/cargo-zigbuild".into() };
        let names = |folder: &str| vec![(PathBuf::from(folder), "/nimbus".to_owned())];
        let made = environment(Arch::Arm, &example(), &tools, &names("/home/me/nimbus")).unwrap();
        let value = |name: &str| made.iter().find(|(known, _)| known == name).unwrap().1.to_str().unwrap();
        assert_eq!(value("CARGO_ENCODED_RUSTFLAGS"), "--remap-path-prefix=/home/me/nimbus=/nimbus");
        assert_eq!(value("CFLAGS_aarch64_unknown_linux_musl"), "-ffile-prefix-map=/home/me/nimbus=/nimbus");
        assert_eq!(value("SOURCE_DATE_EPOCH"), "1700000000");
        let wrong = environment(Arch::Arm, &example(), &tools, &names("/home/my nimbus")).unwrap_err();
        assert!(wrong.to_string().contains("without spaces"), "{wrong}");
    }

    #[test]
    fn every_program_is_built_once_with_its_profile() {
        let all = "--package nimbus --package nimbus-agent --package nimbus-control-plane";
        assert_eq!(
            profiles().into_iter().map(|profile| words(Arch::X86, profile).join(" ")).collect::<Vec<_>>(),
            [
                format!(
                    "zigbuild --locked --profile dist --target x86_64-unknown-linux-musl {all} --bin nimbus --bin \
                     nimbus-control-plane"
                ),
                format!(
                    "zigbuild --locked --profile dist-agent --target x86_64-unknown-linux-musl {all} --bin nimbus-agent"
                ),
            ]
        );
    }
}
