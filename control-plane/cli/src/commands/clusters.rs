//! `nimbus clusters`: the clusters that agents watch.

use std::time::Duration;

use clap::{Args, Subcommand};
use nimbus_api::client::Client;
use nimbus_api::{Cluster, MAX_LIMIT, PageQuery, RemoveRequest};
use tokio::time::{Instant, sleep};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::output::time::parse_span;
use crate::{confirm, connect, view};

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
    /// Forget one whose agents were taken away: they are refused from now on, its incidents are over; asks first
    Remove {
        /// Its name or UID
        cluster: String,
        /// Also while its agents are connected: they are refused at once
        #[arg(long)]
        force: bool,
        /// Why, for the audit log
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
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
        Sub::Remove { cluster, force, reason } => {
            let request = RemoveRequest { reason, force, dry_run: false };
            return remove(context, &client, &cluster, request).await;
        }
    }
    Ok(Exit::Done)
}

async fn remove(
    context: &Context,
    client: &Client,
    cluster: &str,
    request: RemoveRequest,
) -> Result<Exit, Failure> {
    let looked = RemoveRequest { dry_run: true, ..request.clone() };
    let would = client.remove_cluster(cluster, &looked).await?;
    if context.global.dry_run {
        context.show(&would, view::clusters::removed)?;
        return Ok(Exit::Done);
    }
    // By its UID: what is removed is what was shown, also where another cluster takes its name meanwhile.
    let id = would.typed.id.clone();
    let question = format!("{} Go on?", view::clusters::would_go(&would.typed));
    match confirm::ask(context, &question)? {
        confirm::Answer::Yes => {}
        confirm::Answer::No => {
            context.print_document(&would.raw)?;
            context.hint("Nothing was changed.");
            return Ok(Exit::Done);
        }
        confirm::Answer::Nobody => {
            return Err(Failure::usage("removing a cluster asks first, and there is no terminal to ask on")
                .expected("a terminal, or --yes")
                .found("neither")
                .next("the same command with --yes"));
        }
    }
    let answer = client.remove_cluster(&id, &request).await?;
    context.show(&answer, view::clusters::removed)?;
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
        let found = match client.clusters(&page).await.map_err(Failure::from) {
            Ok(answer) if answer.typed.items.iter().any(is_watched) => return Ok(()),
            Ok(answer) if answer.typed.items.is_empty() => {
                "no cluster: no agent has come from one yet".to_owned()
            }
            Ok(answer) => {
                let clusters = answer.typed.items.iter();
                let found: Vec<String> = clusters.map(|it| format!("{}: {}", it.name, it.reason)).collect();
                found.join("\n")
            }
            // One that is taken over just now, or that has too much to do, is waited for as well.
            Err(failure) if failure.exit == Exit::Unreachable || failure.status == Some(503) => {
                if Instant::now() + EVERY >= end {
                    return Err(failure);
                }
                "no answer yet".to_owned()
            }
            Err(failure) => return Err(failure),
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
