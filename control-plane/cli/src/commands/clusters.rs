//! `nimbus clusters`: the clusters that agents watch.

use std::time::Duration;

use clap::{Args, Subcommand};
use nimbus_api::client::Client;
use nimbus_api::{Cluster, MAX_LIMIT, PageQuery};
use tokio::time::{Instant, sleep};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::output::time::parse_span;
use crate::{connect, view};

/// The clusters that agents watch
#[derive(Debug, Args)]
pub struct ClustersArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    page: Page,
    /// Wait until a connected agent watches a cluster and has listed it
    #[arg(long)]
    wait: bool,
    /// Longest wait
    #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "60s")]
    timeout: Duration,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List them
    List(ListArgs),
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
        Sub::List(ListArgs { page, wait, timeout }) => {
            if wait {
                watched(context, &client, timeout).await?;
            }
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

/// How often a waiting command looks again.
const EVERY: Duration = Duration::from_secs(1);

/// Looks again until a cluster is watched.
async fn watched(context: &Context, client: &Client, timeout: Duration) -> Result<(), Failure> {
    let end = Instant::now() + timeout;
    let mut progress = context.progress("waiting for a cluster");
    loop {
        let page = PageQuery { limit: Some(MAX_LIMIT), ..PageQuery::default() };
        let clusters = client.clusters(&page).await?.typed.items;
        if clusters.iter().any(is_watched) {
            return Ok(());
        }
        let found = clusters.iter().map(|cluster| format!("{}: {}", cluster.name, cluster.reason));
        let found: Vec<String> = found.collect();
        let found = if found.is_empty() {
            "no cluster: no agent has come from one yet".to_owned()
        } else {
            found.join("\n")
        };
        if Instant::now() + EVERY >= end {
            return Err(Failure::new(format!("no cluster is watched after {} s", timeout.as_secs()))
                .expected("a cluster whose objects a connected agent has listed")
                .found(found)
                .next("look at the agents: `nimbus agents list`, `nimbus doctor`; or wait longer with --timeout"));
        }
        progress.say(&found);
        sleep(EVERY).await;
    }
}

/// Does a connected agent watch it, and is how it is known?
fn is_watched(cluster: &Cluster) -> bool {
    cluster.leader.is_some() && cluster.agents_connected > 0 && cluster.state != "unknown"
}
