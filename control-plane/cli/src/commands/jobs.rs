//! `nimbus jobs`: signed jobs and how they ended.

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use nimbus_api::{JobQuery, words};

use super::resolve;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::{connect, view};

/// Signed jobs that agents carry out, and how they ended
#[derive(Debug, Args)]
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
    #[arg(long, value_parser = PossibleValuesParser::new(words::JobState::WORDS))]
    state: Option<String>,
    /// Only those of this cluster or host
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// Lists or shows.
pub async fn run(context: &Context, args: JobsArgs) -> Result<Exit, Failure> {
    let client = connect::open(context)?;
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(list) => {
            let Page { limit, after } = list.page;
            let query = JobQuery { state: list.state, cluster: list.cluster, limit, after };
            let answer = client.jobs(&query).await?;
            context.show_page(&answer, view::jobs::list)?;
        }
        Sub::Show { id } => {
            let id = resolve::job(&client, &id).await?;
            let answer = client.job(&id).await?;
            context.show(&answer, view::jobs::show)?;
        }
    }
    Ok(Exit::Done)
}
