//! The program `nimbus`: the operator's command, and `nimbus up`, a control plane and this machine's agent in one process
//! until Ctrl-C.
//!
//! The command itself is `nimbus_cli`, which knows neither the control plane nor the agent and is built beside them. This
//! crate decides what `nimbus up` starts with what and in which order; how each part works is theirs. The agent enrols by
//! itself with a token made in this process, and its managed policy follows what is enabled here: the person who runs this
//! owns both sides.

mod cluster;
mod context;
mod database;
mod describe;
mod failure;
mod follow;
mod logs;
mod parts;
mod policy;
mod settings;
mod started;
mod summary;

use std::ffi::OsString;
use std::process::ExitCode;

use nimbus_cli::commands::up::UpArgs;
use nimbus_cli::config;
use nimbus_cli::context::Context;
use nimbus_cli::error::Failure;
use nimbus_cli::exit::Exit;
use nimbus_protocol::version::{HIGHEST, LOWEST};

use self::settings::Settings;

/// Runs one command line to its end. For one type alone: a generic function would be compiled, with all that it calls, with
/// whoever calls it.
pub fn run(arguments: &[OsString]) -> ExitCode {
    let here = nimbus_cli::Here {
        up: |context, args| Box::pin(up(context, args)),
        protocol: (LOWEST, HIGHEST),
        schema: nimbus_control_plane::schema_version(),
        look_at_database: |address| Box::pin(database::look(address)),
        key_files: nimbus_control_plane::KEY_FILES,
        make_keys: |directory| {
            let made = nimbus_control_plane::make_keys(directory, nimbus_platform::now());
            made.map(|fingerprint| nimbus_protocol::to_hex(&fingerprint)).map_err(|error| error.to_string())
        },
    };
    nimbus_cli::run(arguments, &here)
}

/// Starts everything, says so, waits for Ctrl-C or SIGTERM, stops everything.
async fn up(context: &Context, args: UpArgs) -> Result<Exit, Failure> {
    let began = context.view().clock.now;
    logs::start(context);
    let settings = Settings::read(args)?;
    let name = context.global.context.as_deref().unwrap_or(config::LOCAL);
    if !context.global.dry_run {
        context::check(name, &settings.data_dir)?;
    }
    let mut interrupt = follow::Interrupt::new()?;
    let mut progress = context.progress("starting");
    let found = cluster::find(&settings.cluster).await?;
    if context.global.dry_run {
        drop(progress);
        return describe::dry_run(context, &settings, &found).map(|()| Exit::Done);
    }
    let parts = tokio::select! {
        parts = parts::start(&settings, &found) => parts?,
        () = interrupt.wait() => return Err(Failure::new("interrupted while starting; nothing is running now")),
    };
    progress.say("waiting for the agent");
    let started = describe::describe(name, &settings, &found, &parts, began).await?;
    drop(progress);
    let document = serde_json::to_value(&started)
        .map_err(|error| Failure::new("the summary cannot be written").found(error.to_string()))?;
    context.print_either(&document, |view| summary::show(view, &started))?;
    let superseded = tokio::select! {
        () = interrupt.wait() => None,
        error = parts.control_plane.superseded() => Some(error),
    };
    context.hint("\nstopping (Ctrl-C again to stop at once)");
    tokio::select! {
        stopped = parts.stop() => stopped?,
        () = interrupt.wait() => {
            return Err(Failure::new("stopped at once; what was being written is finished at the next start"));
        }
    }
    if let Some(error) = superseded {
        return Err(
            Failure::new("another control plane has taken this one's place").detail(error.to_string())
        );
    }
    context.hint("stopped cleanly");
    Ok(Exit::Done)
}
