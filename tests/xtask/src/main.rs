//! `cargo xtask`: the project's development tasks.
//!
//! `test` runs every test there is, the real cluster and both databases included; `--quick` is the inner loop without
//! servers, `--faults` the long fault tests alone, and `--cold` any of these with every cache empty. `arrows` checks
//! who knows whom, `rig` builds the cluster's programs alone, `scenes` plays the catalogue of situations, `bench`
//! measures and writes BENCHMARKS.md, `dist` makes a release. Each runs
//! other programs and decides only which, in which order, and what to say when something is missing.

mod arrows;
mod bench;
mod cold;
mod dist;
mod machine;
mod needs;
mod scenes;
mod steps;
mod targets;
mod test;
mod version_before;

#[path = "../../src/postgres/locate.rs"]
mod locate;
#[path = "../../src/rig/real_node/obstacle.rs"]
mod obstacle;
#[path = "../../src/rig/build.rs"]
mod rig;
#[path = "../../src/rig/schemas.rs"]
mod schemas;
#[path = "../../src/rig/systemd.rs"]
mod systemd;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use test::Part;

/// The project's own chores.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Format, lint and run every test, the real cluster and both databases included
    Test {
        /// Without servers: formatting, arrows, lints, unit tests and the crates' own integration tests
        #[arg(long, group = "part")]
        quick: bool,
        /// The long fault tests alone; without an option they are included
        #[arg(long, group = "part")]
        faults: bool,
        /// What takes too long for CI, and is not included without this
        #[arg(long, group = "part")]
        long: bool,
        /// With every cache empty, as on a machine that has built nothing yet
        #[arg(long)]
        cold: bool,
        /// Leave the directory of a cold run where it is
        #[arg(long, requires = "cold")]
        keep: bool,
    },
    /// Check who knows whom, between the crates and between the folders of a crate
    Arrows {
        /// Print the folders' tables as the code has them
        #[arg(long)]
        print: bool,
    },
    /// Build the programs of the real cluster, of a registry, of cert-manager and OpenTofu and make the root of a systemd host, or say where they are
    Rig,
    /// Play the scenes of tests/scenes and say what was right and what was wrong
    Scenes {
        /// Which scenes; all, when left out
        names: Vec<String>,
        /// Those of one place; may be given more than once
        #[arg(long = "where", value_enum)]
        places: Vec<scenes::Place>,
        /// Say which scenes there are
        #[arg(long)]
        list: bool,
        /// How many scenes beside each other on one cluster
        #[arg(long, value_name = "N")]
        at_once: Option<u16>,
    },
    /// Measure and write the figures to BENCHMARKS.md
    Bench {
        /// What to measure; all, when left out
        #[arg(value_enum)]
        which: Option<bench::Which>,
        /// For the benchmark's own program, after `--`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Make a release directory: programs, archives, images, packages, charts, bills; `--help` says with what options
    #[command(disable_help_flag = true)]
    Dist {
        /// For `nimbus-dist`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse().chore) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the chore was done without a failure.
fn run(chore: &Chore) -> anyhow::Result<bool> {
    let repository = repository()?;
    match chore {
        Chore::Test { quick, faults, long, cold, keep } => {
            let (option, part) = match (quick, faults, long) {
                (true, _, _) => (Some("--quick"), Part::Quick),
                (_, true, _) => (Some("--faults"), Part::Faults),
                (_, _, true) => (Some("--long"), Part::Long),
                (false, false, false) => (None, Part::Everything),
            };
            if *cold {
                let arguments: Vec<&str> = ["test"].into_iter().chain(option).collect();
                cold::run(&arguments, *keep)
            } else {
                test::run(&repository, part)
            }
        }
        Chore::Arrows { print } => arrows::run(&repository, *print),
        Chore::Rig => {
            let node = obstacle::of_machine().is_none();
            needs::ensure(&[
                needs::go(&repository, node),
                needs::skopeo(),
                needs::real_node(),
                needs::systemd_host(&repository),
                needs::pip(&repository),
            ])?;
            let kubectl = rig::ensure_all(&repository, node)?.path("kubectl");
            rig::ensure_helm(&repository)?;
            rig::ensure_metrics_server(&repository)?;
            println!("the cluster's programs are beside {}", kubectl.display());
            println!("the registry is {}", rig::ensure_registry(&repository)?.display());
            println!("cert-manager is {}", rig::ensure_cert_manager(&repository)?.0.display());
            println!("OpenTofu is {}", rig::ensure_tofu(&repository)?.0.display());
            schemas::ensure(&repository)?;
            if node {
                println!("the root of a systemd host is {}", systemd::ensure(&repository)?.display());
            }
            Ok(true)
        }
        Chore::Scenes { names, places, list, at_once } => {
            scenes::run(&repository, &scenes::words(names, places, *list, *at_once), *list)
        }
        Chore::Bench { which, arguments } => bench::run(&repository, *which, arguments),
        Chore::Dist { arguments } => dist::run(&repository, arguments),
    }
}

/// The workspace's root, from where this crate was built.
fn repository() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(here.ancestors().nth(2).context("tests/xtask is two levels below the repository")?.to_owned())
}
