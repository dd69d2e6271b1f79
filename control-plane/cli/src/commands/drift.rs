//! `nimbus drift`: watched files that differ from what was accepted as true.
//!
//! Decides which files are meant and how they are shown; putting them back is in [`fix`].

mod fix;

use std::time::Duration;

use clap::{Args, Subcommand};
use nimbus_api::{BaselineRequest, Drift, Started};
use serde_json::{Value, json};

use self::fix::FixArgs;
use super::outcome::{self, Watched};
use super::resolve;
use crate::cli::Page;
use crate::connect::Server;
use crate::context::{Context, read};
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::time::parse_span;
use crate::{ids, view};

/// Watched files that differ from what was accepted as true
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DriftArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List the files that differ now
    List(ListArgs),
    /// Show one: before, after, and the difference
    Show {
        /// Its id, or the start of it
        id: String,
    },
    /// Put files back: content, mode and owner; shows what will change and asks
    Fix(FixArgs),
    /// What counts as true
    #[command(subcommand)]
    Baseline(Baseline),
}

#[derive(Debug, Subcommand)]
enum Baseline {
    /// Accept a file as it is now; what is accepted is shown, and only that
    Add {
        /// Its id, or the start of it
        id: String,
        /// Do not wait until the agent has done it
        #[arg(long)]
        no_wait: bool,
        /// Longest wait
        #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "60s")]
        timeout: Duration,
    },
}

#[derive(Debug, Default, Args)]
struct ListArgs {
    /// Those in this state [default: all that are not resolved]
    #[arg(long, value_parser = ["open", "waiting_approval", "remediating", "resolved", "escalated", "silenced"])]
    state: Option<String>,
    /// Only those of this host
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// End with code 3 when there are any
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    page: Page,
}

/// Lists, shows, fixes or accepts.
pub async fn run(context: &Context, args: DriftArgs) -> Result<Exit, Failure> {
    let server = Server::open(context)?;
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(args) => list(context, &server, args).await,
        Sub::Show { id } => {
            let id = find(&server, &id).await?;
            let answer = server.get(&["drift", &id], &json!({})).await?;
            context.show(&answer, view::drift::show)?;
            Ok(Exit::Done)
        }
        Sub::Fix(args) => fix::run(context, &server, args).await,
        Sub::Baseline(Baseline::Add { id, no_wait, timeout }) => {
            let id = find(&server, &id).await?;
            accept(context, &server, &id, (!no_wait).then_some(timeout)).await
        }
    }
}

async fn list(context: &Context, server: &Server, args: ListArgs) -> Result<Exit, Failure> {
    let filters = super::filters(&[("state", args.state), ("cluster", args.cluster)]);
    let answer = server.page(&["drift"], filters, &args.page).await?;
    context.show_page(&answer, view::drift::list)?;
    let any = answer["items"]
        .as_array()
        .is_some_and(|items| items.iter().any(|i| i["state"] == "waiting_approval"));
    if any {
        context.hint("See one: nimbus drift show ID. Put it back: nimbus drift fix ID. Keep it: nimbus drift baseline add ID");
    }
    Ok(super::found(&answer, args.exit_code))
}

async fn find(server: &Server, typed: &str) -> Result<String, Failure> {
    resolve::id(server, ids::DRIFT, typed, json!({"state": "active"})).await
}

/// Takes the file's present state as the truth. The command itself is the operator's decision: nothing is asked, and
/// what is accepted is what is shown here. If the file changes in between, the control plane refuses.
async fn accept(
    context: &Context,
    server: &Server,
    id: &str,
    wait: Option<Duration>,
) -> Result<Exit, Failure> {
    let dry_run = context.global.dry_run;
    let before: Drift = read(&server.get(&["drift", id], &json!({})).await?)?;
    if before.after.is_none() {
        return Err(Failure::new(format!("what {} is now is not known", before.path))
            .expected("its agent to be connected and to report the difference")
            .found(&before.reason)
            .next(format!("nimbus drift show {id}")));
    }
    if context.global.format.is_table() {
        context.print(&view::drift::before_accept(&context.view(), &before))?;
    }
    let order = BaselineRequest { shown: before.after.clone(), dry_run };
    let answer: Value = server.post(&["drift", id, "baseline"], &order).await?;
    if dry_run || wait.is_none() {
        return context
            .show(&answer, |_, started: &Started| {
                let path = crate::output::plain(&before.path).into_owned();
                let word = if started.dry_run { "Would accept" } else { "Accepting" };
                format!("{word} {path} as it is now.\n")
            })
            .map(|()| Exit::Done);
    }
    let watched = Watched {
        incident: id.to_owned(),
        name: before.path.clone(),
        done: "accepted",
        approval: None,
        job_before: before.job_id.clone(),
    };
    let ends = outcome::follow(context, server, &[watched], wait.unwrap_or_default()).await?;
    if context.global.format.is_table() && ends.iter().all(|(_, end)| *end == outcome::End::Resolved) {
        let word = "accepted as it is: this is the baseline now";
        return context
            .print(&format!("{}: {word}\n", crate::output::plain(&before.path)))
            .map(|()| Exit::Done);
    }
    if !context.global.format.is_table() {
        let answer = server.get(&["drift", id], &json!({})).await?;
        context.show(&answer, view::drift::show)?;
    }
    outcome::conclude(context, &ends)
}
