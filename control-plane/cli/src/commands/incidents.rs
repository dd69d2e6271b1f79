//! `nimbus incidents`: what is wrong, one for each root cause.

use std::time::Duration;

use clap::{Args, Subcommand};
use nimbus_api::{AcknowledgeRequest, SilenceRequest};
use serde_json::{Value, json};

use super::resolve;
use crate::cli::Page;
use crate::connect::Server;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::time::parse_span;
use crate::{ids, view};

/// What is wrong: one incident for each root cause
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct IncidentsArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List those that are not resolved, newest first
    List(ListArgs),
    /// Tell one's story: what, why, evidence, plan, history
    Show {
        /// Its id, or the start of it
        id: String,
    },
    /// Say that somebody looks at it
    Ack {
        /// Its id, or the start of it
        id: String,
        /// A word for its story
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
    /// Ask again for what was denied
    Ask {
        /// Its id, or the start of it
        id: String,
        /// Why, for the audit log
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
    /// Leave it alone for a while: nothing automatic runs for it
    Silence {
        /// Its id, or the start of it
        id: String,
        /// For how long, 60s to 30d
        #[arg(long = "for", value_name = "TIME", value_parser = parse_span, default_value = "1h")]
        how_long: Duration,
        /// Why, for the audit log
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
}

#[derive(Debug, Default, Args)]
struct ListArgs {
    /// Resolved ones too
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only those in this state
    #[arg(long, value_parser = ["open", "waiting_approval", "remediating", "resolved", "escalated", "silenced"])]
    state: Option<String>,
    /// Only those of this cluster or host
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// End with code 3 when there are any
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    page: Page,
}

/// Lists, tells, acknowledges, asks again or silences.
pub async fn run(context: &Context, args: IncidentsArgs) -> Result<Exit, Failure> {
    let server = Server::open(context)?;
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(args) => return list(context, &server, args).await,
        Sub::Show { id } => {
            let id = find(&server, &id).await?;
            let answer = server.get(&["incidents", &id], &json!({})).await?;
            context.show(&answer, view::incidents::show)?;
        }
        Sub::Ack { id, reason } => {
            let id = find(&server, &id).await?;
            let order = AcknowledgeRequest { reason };
            change(context, &server, &id, "ack", &order, "acknowledge").await?;
        }
        Sub::Ask { id, reason } => {
            let id = find(&server, &id).await?;
            let order = AcknowledgeRequest { reason };
            change(context, &server, &id, "ask", &order, "ask again about").await?;
        }
        Sub::Silence { id, how_long, reason } => {
            let id = find(&server, &id).await?;
            let order = SilenceRequest { for_seconds: how_long.as_secs(), reason };
            change(context, &server, &id, "silence", &order, "silence").await?;
        }
    }
    Ok(Exit::Done)
}

async fn list(context: &Context, server: &Server, args: ListArgs) -> Result<Exit, Failure> {
    let state = args.state.or_else(|| (!args.all).then(|| "active".to_owned()));
    let filters = super::filters(&[("state", state), ("cluster", args.cluster)]);
    let answer = server.page(&["incidents"], filters, &args.page).await?;
    context.show_page(&answer, view::incidents::list)?;
    Ok(super::found(&answer, args.exit_code))
}

async fn find(server: &Server, typed: &str) -> Result<String, Failure> {
    resolve::id(server, ids::INCIDENT, typed, json!({"state": "active"})).await
}

async fn change(
    context: &Context,
    server: &Server,
    id: &str,
    order: &str,
    body: &impl serde::Serialize,
    verb: &str,
) -> Result<(), Failure> {
    let answer: Value = if context.global.dry_run {
        context.hint(&format!("Would {verb} {id}."));
        server.get(&["incidents", id], &json!({})).await?
    } else {
        server.post(&["incidents", id, order], body).await?
    };
    context.show(&answer, view::incidents::show)
}
