//! `nimbus clusters`: the clusters that agents watch.

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::{connect, view};

/// The clusters that agents watch
#[derive(Debug, Args)]
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
    let client = connect::open(context)?;
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(page) => {
            let answer = client.clusters(&page.query()).await?;
            context.show_page(&answer, view::clusters::list)?;
        }
        Sub::Show { cluster } => {
            let answer = client.cluster(&cluster).await?;
            context.show(&answer, view::clusters::show)?;
        }
    }
    Ok(Exit::Done)
}
