//! `nimbus agents`: the enrolled agents and revoking them; the tokens with which new ones join are in [`token`].

mod token;

use clap::{Args, Subcommand};
use nimbus_api::client::Client;
use nimbus_api::{AgentQuery, PageQuery, RevokeRequest};

use self::token::TokenCommand;
use super::resolve;
use crate::confirm::{self, Answer};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
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
    Token(TokenCommand),
}

/// Lists, shows or revokes, or does something with tokens.
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
        Sub::Token(command) => return token::run(context, &client, command).await,
    }
    Ok(Exit::Done)
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
