//! `nimbus nodes`: what would happen to the nodes of a cluster.

use clap::{Args, Subcommand};
use nimbus_api::client::Client;
use nimbus_api::{DrainQuery, PageQuery};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::{connect, view};

/// What would happen to the nodes of a cluster
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct NodesArgs {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
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

/// Asks what would happen.
pub async fn run(context: &Context, args: NodesArgs) -> Result<Exit, Failure> {
    let Sub::Drain { nodes, cluster, exit_code } = args.command;
    if !context.global.dry_run {
        let command = format!("nimbus nodes drain {} --dry-run", nodes.join(" "));
        return Err(Failure::new("Nimbus does not drain nodes yet")
            .exit(Exit::Usage)
            .expected("--dry-run, which says what a drain would do")
            .found("none")
            .next(format!("run `{command}`, and then drain with kubectl")));
    }
    let client = connect::open(context)?;
    let cluster = match cluster {
        Some(cluster) => cluster,
        None => the_only_one(&client).await?,
    };
    let answer = client.drain(&cluster, &DrainQuery { nodes: nodes.join(",") }).await?;
    context.show(&answer, view::drain::show)?;
    let finishes = answer.typed.verdict == "finishes";
    Ok(if exit_code && !finishes { Exit::Found } else { Exit::Done })
}

/// The cluster that is meant where none is named.
async fn the_only_one(client: &Client) -> Result<String, Failure> {
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
