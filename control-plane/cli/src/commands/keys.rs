//! `nimbus keys create DIR`: the keys of control planes that stand by for each other. It asks no server and no network.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::Here;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::view;

/// The keys of control planes that stand by for each other
#[derive(Debug, Args)]
pub struct KeysArgs {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Make a directory with a new CA, job key and operator's token
    ///
    /// Each control plane with --stand-by gets the same directory as --keys. In Kubernetes it is a Secret:
    /// kubectl create secret generic nimbus-keys --from-file=DIR. Whoever has these files is the control plane to every
    /// agent, and its operator: keep a copy where you keep such things, and nowhere else.
    Create {
        /// A directory that is not there yet
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// Carries the command out.
pub fn run(context: &Context, args: &KeysArgs, here: &Here) -> Result<Exit, Failure> {
    let Sub::Create { directory } = &args.command;
    let directory = std::path::absolute(directory).map_err(|error| {
        Failure::new("this directory has no absolute path").found(error.to_string()).next("name another one")
    })?;
    if context.global.dry_run {
        let document = json!({ "dry_run": true, "directory": directory, "files": here.key_files });
        context.print_either(&document, |view| view::keys::planned(view, &directory, &here.key_files))?;
        return Ok(Exit::Done);
    }
    let fingerprint =
        (here.make_keys)(&directory).map_err(|why| Failure::new("no keys were made").found(why))?;
    let document = json!({ "directory": directory, "files": here.key_files, "ca_sha256": fingerprint });
    context
        .print_either(&document, |view| view::keys::made(view, &directory, &here.key_files, &fingerprint))?;
    Ok(Exit::Done)
}
