//! One file for each command: its flags, its help, and what it does.

pub mod agents;
pub mod approvals;
pub mod audit;
pub mod autonomous;
pub mod clusters;
pub mod completions;
pub mod drift;
pub mod incidents;
pub mod jobs;
pub mod outcome;
pub mod resolve;
pub mod status;
pub mod up;
pub mod version;

use crate::cli::Command;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;

/// Runs a command; a failure carries its exit code.
pub async fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Up(args) => up::run(context, args).await,
        Command::Status(args) => status::run(context, args).await,
        Command::Clusters(args) => clusters::run(context, args).await,
        Command::Agents(args) => agents::run(context, args).await,
        Command::Incidents(args) => incidents::run(context, args).await,
        Command::Approvals(args) => approvals::run(context, args).await,
        Command::Approve(args) => approvals::approve(context, args).await,
        Command::Deny(args) => approvals::deny(context, args).await,
        Command::Autonomous(args) => autonomous::run(context, args).await,
        Command::Jobs(args) => jobs::run(context, args).await,
        Command::Drift(args) => drift::run(context, args).await,
        Command::Audit(args) => audit::run(context, args).await,
        Command::Completions(args) => completions::run(context, &args),
        Command::Version(args) => version::run(context, &args).await,
    }
}

/// A list's filters; those that were not given are left out.
fn filters(given: &[(&str, Option<String>)]) -> serde_json::Value {
    let set = given.iter().filter_map(|(name, value)| value.clone().map(|v| ((*name).to_owned(), v.into())));
    serde_json::Value::Object(set.collect())
}

/// With `--exit-code`, whether the list found something.
fn found(page: &serde_json::Value, asked: bool) -> Exit {
    let any = page["items"].as_array().is_some_and(|items| !items.is_empty());
    if asked && any { Exit::Found } else { Exit::Done }
}
