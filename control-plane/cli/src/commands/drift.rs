//! `nimbus drift`: watched files that differ from their baseline.
//!
//! Decides which files are meant and how they are shown; putting them back is in [`fix`], accepting them in
//! [`baseline`], and taking that back in [`withdraw`].

mod baseline;
mod ended;
mod fix;
mod many;
mod order;
mod pace;
mod which;
mod withdraw;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use nimbus_api::client::Client;
use nimbus_api::{DriftQuery, words};

use self::baseline::BaselineCommand;
use self::fix::FixArgs;
use super::resolve;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::{connect, view};

/// Watched files that differ from their baseline
#[derive(Debug, Args)]
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
    /// Put files back: content, mode, owner and attributes; shows what will change and asks
    Fix(FixArgs),
    /// What watched files should be
    #[command(subcommand)]
    Baseline(BaselineCommand),
}

#[derive(Debug, Default, Args)]
struct ListArgs {
    /// Those in this state [default: all that are not resolved]
    #[arg(long, value_parser = PossibleValuesParser::new(words::IncidentState::WORDS))]
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
    let client = connect::open(context)?;
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(args) => list(context, &client, args).await,
        Sub::Show { id } => {
            let id = resolve::drift(&client, &id).await?;
            context.show(&client.drift(&id).await?, view::drift::show)?;
            Ok(Exit::Done)
        }
        Sub::Fix(args) => fix::run(context, &client, args).await,
        Sub::Baseline(command) => baseline::run(context, &client, command).await,
    }
}

async fn list(context: &Context, client: &Client, args: ListArgs) -> Result<Exit, Failure> {
    let Page { limit, after } = args.page;
    let query = DriftQuery { state: args.state, cluster: args.cluster, limit, after };
    let answer = client.drifts(&query).await?;
    context.show_page(&answer, view::drift::list)?;
    if answer.typed.items.iter().any(|drift| drift.state == "waiting_approval") {
        context.hint(
            "See one: nimbus drift show ID. Put it back: nimbus drift fix ID. Keep it: nimbus drift baseline add ID",
        );
    }
    Ok(super::found(&answer.typed.items, args.exit_code))
}
