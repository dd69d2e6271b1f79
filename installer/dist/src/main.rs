//! `nimbus-dist`, which `cargo xtask dist` runs: makes a release directory from the source tree, byte for byte the same
//! each time.
//!
//! | what | where |
//! | --- | --- |
//! | what is asked for, and in which order it is made ([`release`]) | `--out` |
//! | programs, built without a trace of where ([`compile`], [`tools`], [`elf`]) | in the artefacts |
//! | archives ([`archive`], of a [`stage`]) | `archives/` |
//! | images ([`image`]) | `images/NAME/` |
//! | packages ([`package`]) | `packages/` |
//! | charts ([`chart`]) | `charts/` |
//! | bills ([`bill`], of [`crates`]) | `sbom/` |
//! | sums and signature (`nimbus-release`) | `SHA256SUMS`, `SHA256SUMS.dsse.json` |

mod archive;
mod artefacts;
mod bill;
mod chart;
mod command;
mod compile;
mod crates;
mod elf;
mod image;
mod package;
mod program;
mod progress;
mod release;
mod source;
mod stage;
mod target;
mod tools;

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use release::{Kind, Plan};
use target::Arch;

/// Makes a release directory from the source tree: programs, archives, images, packages, charts, bills.
///
/// The date of everything is that of the commit, or SOURCE_DATE_EPOCH where it is set.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask dist", bin_name = "cargo xtask dist", version)]
struct Arguments {
    /// Where the release goes: a folder that is empty or not there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The release key (Ed25519, PEM as OpenSSL writes it); without it the release is not signed
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// For which processors; both, when left out
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ARCH")]
    arch: Vec<Arch>,
    /// Take the programs from DIR/ARCH/NAME instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Take programs that need a dynamic linker too: what is made of them runs only where their libraries are
    #[arg(long, requires = "programs")]
    dynamic: bool,
    /// Which packages of this version these are, from 1 on: later ones upgrade earlier ones
    #[arg(long, value_name = "N", default_value = "1")]
    packaging: NonZeroU16,
    /// Only these parts; a whole release, when left out
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    only: Vec<Kind>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { out, key, arch, programs, dynamic, packaging, only } = arguments;
    let arches: BTreeSet<Arch> = if arch.is_empty() { Arch::ALL.into() } else { arch.into_iter().collect() };
    let only = only.into_iter().collect();
    release::make(repository()?, &Plan { out, key, arches, programs, dynamic, only, packaging })
}

/// The workspace's root, from where this crate was built.
fn repository() -> anyhow::Result<&'static Path> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).context("installer/dist is two levels below the repository")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
        let words = ["dist", "--out", "x", "--arch", "aarch64,x86_64", "--only", "charts,bills"];
        let read = Arguments::try_parse_from(words).unwrap();
        assert_eq!(read.arch, [Arch::Arm, Arch::X86]);
        assert_eq!(read.only, [Kind::Charts, Kind::Bills]);
        assert!(Arguments::try_parse_from(["dist"]).is_err());
    }

    #[test]
    fn the_repository_is_found() {
        assert!(repository().unwrap().join("Cargo.lock").is_file());
    }
}
