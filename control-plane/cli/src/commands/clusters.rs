//! `nimbus clusters`: the clusters that agents watch.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::Page;
use crate::connect::Server;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::view;

/// The clusters that agents watch
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ClustersArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: Page,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List them
    List(Page),
    /// Show one
    Show {
        /// Its name or UID
        cluster: String,
    },
}

/// Lists or shows.
pub async fn run(context: &Context, args: ClustersArgs) -> Result<Exit, Failure> {
    let server = Server::open(context)?;
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(page) => {
            let answer = server.page(&["clusters"], json!({}), &page).await?;
            context.show_page(&answer, view::clusters::list)?;
        }
        Sub::Show { cluster } => {
            let answer = server.get(&["clusters", &cluster], &json!({})).await?;
            context.show(&answer, view::clusters::show)?;
        }
    }
    Ok(Exit::Done)
}
