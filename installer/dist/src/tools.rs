//! What compiling for another processor needs: Rust's library for the target, and a linker with a C compiler and musl
//! for it (`zig`, driven by `cargo-zigbuild`). Each of a fixed version, as what they write is part of the programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::command::{output, run};
use crate::target::Arch;

const ZIG: (&str, &str) = ("ziglang", "0.15.1");
const ZIGBUILD: (&str, &str) = ("cargo-zigbuild", "0.24.1");

/// The musl that this zig links.
pub const MUSL: &str = "1.2.5";

/// Where the tools are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    /// `zig`.
    pub zig: PathBuf,
    /// `cargo-zigbuild`.
    pub zigbuild: PathBuf,
}

/// Makes ready what is missing: tools below `dir`, where neither `PATH` has them in the right version, and Rust's library
/// for the target in the toolchain of the tree at `root`.
pub fn ready(root: &Path, dir: &Path, arch: Arch) -> anyhow::Result<Tools> {
    library(root, arch)?;
    let own = Tools { zig: dir.join("ziglang/zig"), zigbuild: dir.join("bin/cargo-zigbuild") };
    let installed = Tools { zig: "zig".into(), zigbuild: ZIGBUILD.0.into() };
    for tools in [installed, own.clone()] {
        if is_right(&tools) {
            return Ok(Tools { zig: absolute(&tools.zig)?, ..tools });
        }
    }
    install(dir)?;
    anyhow::ensure!(
        is_right(&own),
        "expected {} {} and {} {} in {} after installing them there, found others; remove that folder and try again",
        ZIG.0,
        ZIG.1,
        ZIGBUILD.0,
        ZIGBUILD.1,
        dir.display()
    );
    Ok(own)
}

/// Do both run, and say the right versions?
fn is_right(tools: &Tools) -> bool {
    let says = |program: &Path, word: &str, version: &str| {
        output(Command::new(program).arg(word)).is_ok_and(|said| ends_with_word(&said, version))
    };
    says(&tools.zig, "version", ZIG.1) && says(&tools.zigbuild, "--version", ZIGBUILD.1)
}

fn ends_with_word(said: &str, word: &str) -> bool {
    said.split_whitespace().next_back() == Some(word)
}

/// Where on `PATH` a program is that was named without a folder.
fn absolute(program: &Path) -> anyhow::Result<PathBuf> {
    if program.components().count() > 1 {
        return Ok(program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file());
    found.with_context(|| format!("expected {} on PATH, found it in no folder of it", program.display()))
}

/// Installs both below `dir` with Python's installer, which has them as programs for every usual system.
fn install(dir: &Path) -> anyhow::Result<()> {
    let packages = [ZIG, ZIGBUILD].map(|(name, version)| format!("{name}=={version}"));
    let pips: [&[&str]; 3] = [&["pip3"], &["pip"], &["python3", "-m", "pip"]];
    for pip in pips {
        let command = || {
            let mut command = Command::new(pip[0]);
            command.args(&pip[1..]);
            command
        };
        if output(command().arg("--version")).is_err() {
            continue;
        }
        eprintln!("installing {} into {}", packages.join(" and "), dir.display());
        let mut install = command();
        install.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade"]);
        return run(install.arg("--target").arg(dir).args(&packages));
    }
    bail!(
        "expected zig {} and cargo-zigbuild {} on PATH, or pip to install them with, found neither; install Python's \
         pip, or take programs that are built already with --programs DIR",
        ZIG.1,
        ZIGBUILD.1
    )
}

/// Adds Rust's library for the target, where the toolchain has none.
fn library(root: &Path, arch: Arch) -> anyhow::Result<()> {
    let triple = arch.triple();
    if sysroot(root)?.join("lib/rustlib").join(triple).join("lib").is_dir() {
        return Ok(());
    }
    eprintln!("adding Rust's library for {triple}");
    let mut rustup = Command::new("rustup");
    rustup.current_dir(root).args(["target", "add", triple]);
    run(&mut rustup).with_context(|| {
        format!(
            "expected Rust's library for {triple}, found none, and it cannot be added; with rustup installed: \
             `rustup target add {triple}`"
        )
    })
}

/// Where the toolchain of the tree at `root` is.
pub fn sysroot(root: &Path) -> anyhow::Result<PathBuf> {
    Ok(PathBuf::from(rustc(root, &["--print", "sysroot"])?.trim()))
}

/// The version of Rust's own library.
pub fn rust_version(root: &Path) -> anyhow::Result<String> {
    // `rustc 1.95.0 (59807616e 2026-04-14)`.
    let said = rustc(root, &["--version"])?;
    let version = said.split(' ').nth(1);
    Ok(version.with_context(|| format!("expected rustc to say its version, found {said:?}"))?.to_owned())
}

fn rustc(root: &Path, words: &[&str]) -> anyhow::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    output(Command::new(rustc).current_dir(root).args(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_of_another_version_is_not_taken() {
        assert!(ends_with_word("0.15.1\n", ZIG.1));
        assert!(ends_with_word("cargo-zigbuild 0.24.1\n", ZIGBUILD.1));
        assert!(!ends_with_word("0.13.0\n", ZIG.1));
        assert!(!ends_with_word("", ZIG.1));
        let missing = Path::new("/no/such/tool");
        assert!(!is_right(&Tools { zig: missing.to_owned(), zigbuild: missing.to_owned() }));
        assert_eq!(absolute(missing).unwrap(), missing);
        assert!(absolute(Path::new("sh")).unwrap().is_absolute());
    }

    #[test]
    fn the_toolchain_says_where_and_what_it_is() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(sysroot(root).unwrap().join("lib").is_dir());
        assert!(rust_version(root).unwrap().starts_with("1."));
    }
}
