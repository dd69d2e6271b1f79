//! `nimbus agents token`: makes the tokens with which new agents join, lists them, and takes them back.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand, ValueEnum};
use nimbus_api::client::Client;
use nimbus_api::{JoinTokenQuery, JoinTokenRequest, RevokeRequest, words};
use serde_json::json;

use crate::commands::resolve;
use crate::confirm::{self, Answer};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::output::time::parse_span;
use crate::view;

/// What to do with join tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make one: for one agent (or some of one cluster), for a limited time
    Create {
        /// Name that the agent will get, and a cluster that a pod makes known with the token; may be left out with --kind cluster
        /// (`cluster`, `cluster-2`, …), as agents in pods go by their nodes' names
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
    /// List them, newest first; never their secrets
    List(ListArgs),
    /// Take one back for good: nobody joins with it any more; agents that joined with it stay
    Revoke {
        /// Its name or id, the start of its id, or the token itself
        token: String,
        /// Why, for the audit log
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those in this state
    #[arg(long, value_parser = PossibleValuesParser::new(words::JoinTokenState::WORDS))]
    state: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// Where an agent lives. The variants carry no help of their own: the words say it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
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

/// Makes, lists or revokes.
pub(super) async fn run(context: &Context, client: &Client, command: TokenCommand) -> Result<Exit, Failure> {
    match command {
        TokenCommand::Create { name, kind, cluster, ttl, uses } => {
            let name = name_of(name, kind)?;
            let kind = kind.as_str().to_owned();
            let request = JoinTokenRequest { name, kind, cluster, ttl_seconds: ttl.as_secs(), uses };
            if context.global.dry_run {
                return would_make(context, &request).map(|()| Exit::Done);
            }
            let answer = client.create_token(&request).await?;
            context.show(&answer, view::agents::token)?;
            context.hint(&format!("Take it back: nimbus agents token revoke {}", answer.typed.id));
        }
        TokenCommand::List(ListArgs { state, page: Page { limit, after } }) => {
            let answer = client.tokens(&JoinTokenQuery { state, limit, after }).await?;
            context.show_page(&answer, view::tokens::list)?;
            if answer.typed.items.iter().any(|token| token.state == "usable") {
                context.hint("Take one back: nimbus agents token revoke ID");
            }
        }
        TokenCommand::Revoke { token, reason } => return revoke(context, client, &token, reason).await,
    }
    Ok(Exit::Done)
}

/// The name of a token that is to be made: a host's agent needs one of its own.
fn name_of(given: Option<String>, kind: Kind) -> Result<String, Failure> {
    match (given, kind) {
        (Some(name), _) => Ok(name),
        // The control plane chooses one that no agent has.
        (None, Kind::Cluster) => Ok(String::new()),
        (None, Kind::Host) => Err(Failure::usage("a host's agent needs a name")
            .expected("--name NAME, which `nimbus agents list` shows it by; --kind cluster for the agents of a cluster")
            .found("neither")
            .next("nimbus agents token create --name NAME")),
    }
}

/// What a dry run says of a token: a sentence for a person, the request for a program.
fn would_make(context: &Context, request: &JoinTokenRequest) -> Result<(), Failure> {
    let name = if request.name.is_empty() { "a name that is free" } else { &request.name };
    context.hint(&format!("Would make a join token for {name} ({}).", request.kind));
    let JoinTokenRequest { name, kind, cluster, ttl_seconds, uses } = request;
    context.print_document(&json!({
        "dry_run": true, "name": name, "kind": kind, "cluster": cluster, "ttl_seconds": ttl_seconds, "uses": uses,
    }))
}

async fn revoke(context: &Context, client: &Client, typed: &str, reason: String) -> Result<Exit, Failure> {
    let token = resolve::token(client, typed).await?;
    let (id, name) = (&token.id, &token.name);
    if context.global.dry_run {
        context
            .hint(&format!("Would revoke the join token for {name} ({id}) for good; nothing was written."));
        context.print_either(&json!(token), |view| view::tokens::show(view, &token))?;
        return Ok(Exit::Done);
    }
    let uses = format!("{} of {} uses", token.used, token.uses);
    match confirm::ask(context, &format!("Revoke the join token for {name} ({id}, {uses}) for good?"))? {
        Answer::Yes => {}
        Answer::No => {
            context.print_document(&json!(token))?;
            context.hint("Nothing was changed.");
            return Ok(Exit::Done);
        }
        Answer::Nobody => {
            return Err(Failure::usage(
                "revoking a join token asks first, and there is no terminal to ask on",
            )
            .expected("a terminal, or --yes")
            .found("neither")
            .next("the same command with --yes"));
        }
    }
    let answer = client.revoke_token(id, &RevokeRequest { reason }).await?;
    context.show(&answer, view::tokens::show)?;
    if answer.typed.used > 0 {
        context.hint(
            "Agents that joined with it stay: `nimbus agents revoke NAME` refuses one. Where a pod made its cluster known with it \
             (`nimbus audit --action cluster.identity_set`), pods of that cluster go on joining by their own proof: `nimbus clusters \
             remove NAME --force` ends that.",
        );
    }
    Ok(Exit::Done)
}
