//! `nimbus agents`: the enrolled agents, revoking them, and the tokens with which new ones join.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use nimbus_api::client::Client;
use nimbus_api::{AgentQuery, JoinTokenRequest, PageQuery, RevokeRequest};
use serde_json::json;

use super::resolve;
use crate::confirm::{self, Answer};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::output::time::parse_span;
use crate::{connect, view};

/// Enrolled agents, and the tokens with which new ones join
#[derive(Debug, Args)]
pub struct AgentsArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// Also the agents of pods that are gone, which are kept for a day
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List them, cluster by cluster
    List(ListArgs),
    /// Show one with the health of its host
    Show {
        /// Its name or id, or the start of its id
        agent: String,
    },
    /// Revoke one for good; a live session is closed
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
    /// Make one: for one agent (or some of one cluster), for a limited time
    Create {
        /// Name that the agent will get; may be left out with --kind cluster, as agents in pods go by their nodes' names
        #[arg(long)]
        name: Option<String>,
        /// Where it will live
        #[arg(long, value_enum, default_value_t = Kind::Host)]
        kind: Kind,
        /// The only cluster that it may report for, by name or UID; needed when another agent reports for it already
        #[arg(long, value_name = "C")]
        cluster: Option<String>,
        /// How long the token is accepted, 1s to 7d
        #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "15m")]
        ttl: Duration,
        /// How many agents of one cluster may join with it; agents in pods that prove where they run (the chart
        /// nimbus-agent) need one for all of them
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        uses: u32,
    },
}

/// Where an agent lives. The variants carry no help of their own: the words say it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    // In a Kubernetes cluster, or beside one.
    Cluster,
    // On a host of its own; the alias is what earlier scripts say.
    #[value(alias = "vpc")]
    Host,
}

impl Kind {
    /// The contract's word.
    fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Host => "host",
        }
    }
}

/// Lists, shows, revokes, or makes a token.
pub async fn run(context: &Context, args: AgentsArgs) -> Result<Exit, Failure> {
    let client = connect::open(context)?;
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(ListArgs { all, page }) => {
            let PageQuery { limit, after } = page.query();
            let continues = after.is_some();
            let query = AgentQuery { gone: (!all).then_some(false), limit, after };
            let answer = client.agents(&query).await?;
            context.show_page(&answer, |view, page| view::agents::list(view, page, continues))?;
        }
        Sub::Show { agent } => {
            let id = resolve::agent(&client, &agent).await?;
            let answer = client.agent(&id).await?;
            context.show(&answer, view::agents::show)?;
        }
        Sub::Revoke { agent, reason } => return revoke(context, &client, &agent, reason).await,
        Sub::Token(Token::Create { name, kind, cluster, ttl, uses }) => {
            let name = name_of(name, kind, cluster.as_deref())?;
            let kind = kind.as_str().to_owned();
            let request = JoinTokenRequest { name, kind, cluster, ttl_seconds: ttl.as_secs(), uses };
            if context.global.dry_run {
                return would_make(context, &request).map(|()| Exit::Done);
            }
            let answer = client.create_token(&request).await?;
            context.show(&answer, view::agents::token)?;
        }
    }
    Ok(Exit::Done)
}

/// May an agent be called so? The control plane decides; this only chooses what is asked for.
fn may_be_a_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=63).contains(&text.len()) && text.chars().all(plain)
}

/// The name of a token that is to be made: a host's agent needs one of its own.
fn name_of(given: Option<String>, kind: Kind, cluster: Option<&str>) -> Result<String, Failure> {
    match (given, kind) {
        (Some(name), _) => Ok(name),
        // A cluster may be called by what is no agent's name, such as an ARN.
        (None, Kind::Cluster) => Ok(cluster.filter(|name| may_be_a_name(name)).unwrap_or("cluster").to_owned()),
        (None, Kind::Host) => Err(Failure::usage("a host's agent needs a name")
            .expected("--name NAME, which `nimbus agents list` shows it by; --kind cluster for the agents of a cluster")
            .found("neither")
            .next("nimbus agents token create --name NAME")),
    }
}

/// What a dry run says of a token: a sentence for a person, the request for a program.
fn would_make(context: &Context, request: &JoinTokenRequest) -> Result<(), Failure> {
    context.hint(&format!("Would make a join token for {} ({}).", request.name, request.kind));
    let JoinTokenRequest { name, kind, cluster, ttl_seconds, uses } = request;
    context.print_document(&json!({
        "dry_run": true, "name": name, "kind": kind, "cluster": cluster, "ttl_seconds": ttl_seconds, "uses": uses,
    }))
}

async fn revoke(context: &Context, client: &Client, agent: &str, reason: String) -> Result<Exit, Failure> {
    let id = resolve::agent(client, agent).await?;
    let answer = client.agent(&id).await?;
    let name = &answer.typed.agent.name;
    if context.global.dry_run {
        context.hint(&format!("Would revoke {name} ({id}) for good; nothing was written."));
        context.show(&answer, view::agents::show)?;
        return Ok(Exit::Done);
    }
    match confirm::ask(context, &format!("Revoke {name} ({id}) for good?"))? {
        Answer::Yes => {}
        Answer::No => {
            context.print_document(&answer.raw)?;
            context.hint("Nothing was changed.");
            return Ok(Exit::Done);
        }
        Answer::Nobody => {
            return Err(Failure::usage("revoking an agent asks first, and there is no terminal to ask on")
                .expected("a terminal, or --yes")
                .found("neither")
                .next(format!("nimbus agents revoke {id} --yes")));
        }
    }
    let answer = client.revoke_agent(&id, &RevokeRequest { reason }).await?;
    context.show(&answer, view::agents::show)?;
    context.hint(&format!(
        "{name} is revoked. To let that host join again: nimbus agents token create --name NAME. The agent of a pod stays out for \
         as long as the pod is there; the next pod on its node joins by itself, unless the DaemonSet is kept off that node"
    ));
    Ok(Exit::Done)
}
