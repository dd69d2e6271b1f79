//! `nimbus agents`: who is enrolled, who is turned away, and the tokens with which new ones join.

use std::time::Duration;

use clap::{Args, Subcommand};
use nimbus_api::{AgentDetail, JoinTokenRequest, RevokeRequest};
use serde_json::json;

use super::resolve;
use crate::cli::Page;
use crate::confirm::{self, Answer};
use crate::connect::Server;
use crate::context::{Context, read};
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::time::parse_span;
use crate::{ids, view};

/// Enrolled agents, and the tokens with which new ones join
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AgentsArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: Page,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List them
    List(Page),
    /// Show one with the health of its host
    Show {
        /// Its name or id, or the start of its id
        agent: String,
    },
    /// Turn one away for good; a live session is cut
    Revoke {
        /// Its name or id, or the start of its id
        agent: String,
        /// Why, for the audit log
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
    /// Tokens with which new agents join
    #[command(subcommand)]
    Token(Token),
}

#[derive(Debug, Subcommand)]
enum Token {
    /// Make one: for one agent, once, for a limited time
    Create {
        /// Name that the agent will get
        #[arg(long)]
        name: String,
        /// Where it will live
        #[arg(long, value_parser = ["cluster", "vpc"], default_value = "vpc")]
        kind: String,
        /// The only cluster that it may speak for, by name or UID; needed when another agent speaks for it already
        #[arg(long, value_name = "C")]
        cluster: Option<String>,
        /// How long the token is accepted, 1s to 7d
        #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "15m")]
        ttl: Duration,
    },
}

/// Lists, shows, revokes, or makes a token.
pub async fn run(context: &Context, args: AgentsArgs) -> Result<Exit, Failure> {
    let server = Server::open(context)?;
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(page) => {
            let answer = server.page(&["agents"], json!({}), &page).await?;
            context.show_page(&answer, view::agents::list)?;
        }
        Sub::Show { agent } => {
            let id = resolve::id(&server, ids::AGENT, &agent, json!({})).await?;
            let answer = server.get(&["agents", &id], &json!({})).await?;
            context.show(&answer, view::agents::show)?;
        }
        Sub::Revoke { agent, reason } => return revoke(context, &server, &agent, reason).await,
        Sub::Token(Token::Create { name, kind, cluster, ttl }) => {
            let request = JoinTokenRequest { name, kind, cluster, ttl_seconds: ttl.as_secs() };
            if context.global.dry_run {
                return would_make(context, &request).map(|()| Exit::Done);
            }
            let answer = server.post(&["agents", "tokens"], &request).await?;
            context.show(&answer, view::agents::token)?;
        }
    }
    Ok(Exit::Done)
}

/// What a dry run says of a token: a sentence for a person, the order for a program.
fn would_make(context: &Context, request: &JoinTokenRequest) -> Result<(), Failure> {
    context.hint(&format!("Would make a join token for {} ({}).", request.name, request.kind));
    let JoinTokenRequest { name, kind, cluster, ttl_seconds } = request;
    context.show_dry(&json!({
        "dry_run": true, "name": name, "kind": kind, "cluster": cluster, "ttl_seconds": ttl_seconds,
    }))
}

async fn revoke(context: &Context, server: &Server, agent: &str, reason: String) -> Result<Exit, Failure> {
    let id = resolve::id(server, ids::AGENT, agent, json!({})).await?;
    let answer = server.get(&["agents", &id], &json!({})).await?;
    let name = read::<AgentDetail>(&answer)?.agent.name;
    if context.global.dry_run {
        context.hint(&format!("Would revoke {name} ({id}) for good; it would have to join again."));
        context.show(&answer, view::agents::show)?;
        return Ok(Exit::Done);
    }
    match confirm::ask(context, &format!("Turn {name} ({id}) away for good?"))? {
        Answer::Yes => {}
        Answer::No => return Err(Failure::new("nothing was changed").found("the answer was not yes")),
        Answer::Nobody => {
            return Err(Failure::usage("revoking an agent asks first, and there is no terminal to ask on")
                .expected("a terminal, or --yes")
                .found("neither")
                .next(format!("nimbus agents revoke {id} --yes")));
        }
    }
    let answer = server.post(&["agents", &id, "revoke"], &RevokeRequest { reason }).await?;
    context.show(&answer, view::agents::show)?;
    context
        .hint(&format!("{name} is turned away from now on. To let that host join again, make a new token."));
    Ok(Exit::Done)
}
