//! `nimbus incidents`: lists, shows, acknowledges and silences incidents, of which there is one for each root cause.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use nimbus_api::client::Client;
use nimbus_api::{AcknowledgeRequest, IncidentQuery, SilenceRequest, words};

use super::resolve;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::output::time::parse_span;
use crate::{connect, view};

/// What is wrong: one incident for each root cause
#[derive(Debug, Args)]
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
    /// Show one: what is wrong, why, evidence, plan, history
    Show {
        /// Its id, or the start of it
        id: String,
    },
    /// What is known around one: what happened, what was tried, who wrote what, and how it is now
    Investigate {
        /// Its id, or the start of it
        id: String,
    },
    /// Acknowledge it: a person has seen it
    Ack {
        /// Its id, or the start of it
        id: String,
        /// A note for its history
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
    /// Take a denial back: what was denied is asked for again, or begun where a rule lets it
    Ask {
        /// Its id, or the start of it
        id: String,
        /// Why, for the audit log
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
    /// Silence it for a while: nothing automatic runs for it
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
    #[arg(long, value_parser = PossibleValuesParser::new(words::IncidentState::WORDS))]
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

/// Lists, shows, acknowledges, asks again or silences.
pub async fn run(context: &Context, args: IncidentsArgs) -> Result<Exit, Failure> {
    let client = connect::open(context)?;
    let (id, verb) = match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(args) => return list(context, &client, args).await,
        Sub::Show { id } => {
            let id = resolve::incident(&client, &id).await?;
            context.show(&client.incident(&id).await?, view::incidents::show)?;
            return Ok(Exit::Done);
        }
        Sub::Investigate { id } => {
            let id = resolve::incident(&client, &id).await?;
            context.show(&client.investigation(&id).await?, view::investigation::show)?;
            return Ok(Exit::Done);
        }
        Sub::Ack { id, reason } => (id, Verb::Acknowledge(AcknowledgeRequest { reason })),
        Sub::Ask { id, reason } => (id, Verb::AskAgain(AcknowledgeRequest { reason })),
        Sub::Silence { id, how_long, reason } => {
            (id, Verb::Silence(SilenceRequest { for_seconds: how_long.as_secs(), reason }))
        }
    };
    change(context, &client, &resolve::incident(&client, &id).await?, &verb).await?;
    Ok(Exit::Done)
}

/// What an operator does with an incident.
enum Verb {
    Acknowledge(AcknowledgeRequest),
    AskAgain(AcknowledgeRequest),
    Silence(SilenceRequest),
}

async fn list(context: &Context, client: &Client, args: ListArgs) -> Result<Exit, Failure> {
    let state = args.state.or_else(|| (!args.all).then(|| "active".to_owned()));
    let Page { limit, after } = args.page;
    let answer = client.incidents(&IncidentQuery { state, cluster: args.cluster, limit, after }).await?;
    context.show_page(&answer, view::incidents::list)?;
    Ok(super::found(&answer.typed.items, args.exit_code))
}

async fn change(context: &Context, client: &Client, id: &str, verb: &Verb) -> Result<(), Failure> {
    if context.global.dry_run {
        let word = match verb {
            Verb::Acknowledge(_) => "acknowledge",
            Verb::AskAgain(_) => "ask again about",
            Verb::Silence(_) => "silence",
        };
        context.hint(&format!("Would {word} {id}; nothing was written."));
        return context.show(&client.incident(id).await?, view::incidents::show);
    }
    let answer = match verb {
        Verb::Acknowledge(request) => client.acknowledge_incident(id, request).await?,
        Verb::AskAgain(request) => client.ask_again(id, request).await?,
        Verb::Silence(request) => client.silence_incident(id, request).await?,
    };
    context.show(&answer, view::incidents::show)
}
