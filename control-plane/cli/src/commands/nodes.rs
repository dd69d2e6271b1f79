//! `nimbus nodes`: the nodes of clusters, and what a drain of them would do.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use nimbus_api::client::Client;
use nimbus_api::{DrainQuery, NodeQuery, PageQuery, words};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::{connect, view};

/// The nodes of clusters, and what a drain of them would do
#[derive(Debug, Args)]
pub struct NodesArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Only those in this state
    #[arg(long, value_parser = PossibleValuesParser::new(words::NodeState::WORDS))]
    state: Option<String>,
    /// Only those of this cluster, by name or UID
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List them, by cluster and name
    List(ListArgs),
    /// Show one: its state, its taints, what keeps it from pods, its figures, pods, agents and incidents
    Show {
        /// The node's name
        node: String,
        /// The cluster's name or UID [default: the only one]
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
    },
    /// Can these nodes be drained? With --dry-run only, as Nimbus drains none yet
    ///
    /// Answers from what the cluster's agent sees now: whether the drain finishes, which pods and budgets are in the way, the
    /// fewest changes that would clear it, where the pods find room, in how many rounds they go, and of several nodes in which
    /// order they can be drained one after another.
    Drain {
        /// The nodes' names
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        /// The cluster's name or UID [default: the only one]
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// End with code 3 where it does not finish, or that is not known
        #[arg(long)]
        exit_code: bool,
    },
}

/// Lists, shows, or asks what would happen.
pub async fn run(context: &Context, args: NodesArgs) -> Result<Exit, Failure> {
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(ListArgs { state, cluster, page: Page { limit, after } }) => {
            let client = connect::open(context)?;
            let answer = client.nodes(&NodeQuery { state, cluster, limit, after }).await?;
            context.show_page(&answer, view::node::list)?;
            Ok(Exit::Done)
        }
        Sub::Show { node, cluster } => {
            let client = connect::open(context)?;
            let cluster = named_or_only(&client, cluster).await?;
            context.show(&client.node(&cluster, &node).await?, view::node::show)?;
            Ok(Exit::Done)
        }
        Sub::Drain { nodes, cluster, exit_code } => drain(context, nodes, cluster, exit_code).await,
    }
}

async fn drain(
    context: &Context,
    nodes: Vec<String>,
    cluster: Option<String>,
    exit_code: bool,
) -> Result<Exit, Failure> {
    if !context.global.dry_run {
        let command = format!("nimbus nodes drain {} --dry-run", nodes.join(" "));
        return Err(Failure::new("Nimbus does not drain nodes yet")
            .exit(Exit::Usage)
            .expected("--dry-run, which says what a drain would do")
            .found("none")
            .next(format!("run `{command}`, and then drain with kubectl")));
    }
    let client = connect::open(context)?;
    let cluster = named_or_only(&client, cluster).await?;
    let answer = client.drain(&cluster, &DrainQuery { nodes: nodes.join(",") }).await?;
    context.show(&answer, view::drain::show)?;
    let finishes = answer.typed.verdict == "finishes";
    Ok(if exit_code && !finishes { Exit::Found } else { Exit::Done })
}

/// The cluster that is named, or the only one.
async fn named_or_only(client: &Client, named: Option<String>) -> Result<String, Failure> {
    if let Some(cluster) = named {
        return Ok(cluster);
    }
    let page = client.clusters(&PageQuery { limit: Some(2), after: None }).await?.typed;
    match page.items.as_slice() {
        [one] => Ok(one.id.clone()),
        all => {
            let found = if all.is_empty() { "no cluster" } else { "several clusters" };
            Err(Failure::new("no cluster is named")
                .exit(Exit::Usage)
                .expected("one cluster, or --cluster NAME")
                .found(found)
                .next("`nimbus clusters list` shows those that there are"))
        }
    }
}
