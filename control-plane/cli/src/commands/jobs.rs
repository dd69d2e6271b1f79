//! `nimbus jobs`: signed orders and what became of them.

use clap::{Args, Subcommand};
use serde_json::json;

use super::resolve;
use crate::cli::Page;
use crate::connect::Server;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::{ids, view};

/// Signed orders to agents, and what became of them
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct JobsArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List them, newest first
    List(ListArgs),
    /// Show one, step by step
    Show {
        /// Its id, or the start of it
        id: String,
    },
}

#[derive(Debug, Default, Args)]
struct ListArgs {
    /// Only those in this state
    #[arg(long, value_parser = ["pending", "dispatched", "running", "succeeded", "failed", "refused", "expired",
                                "compensated", "unknown"])]
    state: Option<String>,
    /// Only those of this cluster or host
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// Lists or shows.
pub async fn run(context: &Context, args: JobsArgs) -> Result<Exit, Failure> {
    let server = Server::open(context)?;
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(list) => {
            let filters = super::filters(&[("state", list.state), ("cluster", list.cluster)]);
            let answer = server.page(&["jobs"], filters, &list.page).await?;
            context.show_page(&answer, view::jobs::list)?;
        }
        Sub::Show { id } => {
            let id = resolve::id(&server, ids::JOB, &id, json!({})).await?;
            let answer = server.get(&["jobs", &id], &json!({})).await?;
            context.show(&answer, view::jobs::show)?;
        }
    }
    Ok(Exit::Done)
}
