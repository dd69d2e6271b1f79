//! The operator's command `nimbus`: a client of the control plane's REST API.
//!
//! [`commands`] holds one file for each command: its flags and what it does. [`view`] turns answers into what a
//! person reads, as pure functions; [`output`] holds what all views share. Every answer that a program reads is the
//! control plane's own JSON. What is decided about clusters and files is decided elsewhere.

pub mod bundle;
pub mod checks;
pub mod cli;
pub mod commands;
pub mod config;
pub mod confirm;
pub mod connect;
pub mod context;
pub mod deploy;
pub mod error;
pub mod exit;
pub mod files;
pub mod format;
pub mod global;
pub mod ids;
pub mod output;
pub mod view;

use std::ffi::OsString;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;

use nimbus_checks::preflight::{Database, NoDatabase};

use crate::cli::Cli;
use crate::commands::up::UpArgs;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;

/// What a command ends with, later.
pub type Ending<'a> = Pin<Box<dyn Future<Output = Result<Exit, Failure>> + 'a>>;

/// What a database says of itself, later.
pub type Looking<'a> = Pin<Box<dyn Future<Output = Result<Database, NoDatabase>> + 'a>>;

/// What the program carries out itself, since it needs a control plane and an agent.
pub struct Here {
    /// `nimbus up`.
    pub up: for<'a> fn(&'a Context, UpArgs) -> Ending<'a>,
    /// The lowest and the highest version of the agents' protocol that this build speaks. Told, so that the command need not be
    /// built again when the protocol changes.
    pub protocol: (u32, u32),
    /// The version of the database's schema that this build writes.
    pub schema: i64,
    /// What the PostgreSQL server at an address says of itself; nothing is written.
    pub look_at_database: for<'a> fn(&'a str) -> Looking<'a>,
    /// The names of the files that [`Self::make_keys`] makes.
    pub key_files: [&'static str; 4],
    /// Makes a control plane's keys in a new directory; the SHA-256 of the CA's certificate, or why it could not.
    pub make_keys: fn(&Path) -> Result<String, String>,
}

/// Runs one command line to its end.
pub fn run(arguments: &[OsString], here: &Here) -> ExitCode {
    let cli = match Cli::read(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error, arguments),
    };
    let context = Context::new(&cli.global);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::new("the command cannot start its threads").found(files::reason(&error));
            return context.report(&failure).into();
        }
    };
    let exit = match runtime.block_on(cli.command.run(&context, here)) {
        Ok(exit) => exit,
        Err(failure) => context.report(&failure),
    };
    // What is still running in the background (a resolver, a blocking read) does not hold the shell's prompt.
    runtime.shutdown_background();
    exit.into()
}

/// Help and version go to stdout; a wrong command line is an error, as problem+json where JSON was asked for.
fn usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let asked_json = arguments
        .windows(2)
        .any(|pair| (pair[0] == "-o" || pair[0] == "--output-format") && pair[1] == "json")
        || arguments
            .iter()
            .any(|word| word == "-ojson" || word == "-o=json" || word == "--output-format=json");
    if error.use_stderr() && asked_json {
        let text = error.render().to_string();
        let title = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let failure = Failure::usage(title).next("see the command's --help");
        eprintln!("{}", failure.problem_json());
        return Exit::Usage.into();
    }
    // When even this cannot be written, nothing is left to report it with.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() }
}
