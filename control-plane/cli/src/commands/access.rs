//! `nimbus access tokens`: people, by the tokens that stand for them until there are accounts.

use std::time::Duration;

use clap::{Args, Subcommand};
use nimbus_api::client::{Client, collect};
use nimbus_api::{AccessTokenItem, AccessTokenRequest, MAX_LIMIT, PageQuery, RevokeRequest};
use serde_json::json;

use super::resolve::MAX_LOOKED_AT;
use crate::confirm::{self, Answer};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::output::time::parse_span;
use crate::{connect, view};

/// The length of a token's id: `acc_` and 32 digits.
const ID_LENGTH: usize = 36;

/// People, by the tokens that stand for them
#[derive(Debug, Args)]
pub struct AccessArgs {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Tokens, each with the name and the groups of a person
    #[command(subcommand, alias = "token")]
    Tokens(TokenCommand),
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make one for a person, with the operator's token
    Create {
        /// The person's name, under which everything is audited
        name: String,
        /// A group that the person is in; may be given several times
        #[arg(long = "group", value_name = "G")]
        groups: Vec<String>,
        /// How long the token is accepted, 1m to 365d
        #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "90d")]
        ttl: Duration,
    },
    /// List them, newest first; never their secrets
    List(Page),
    /// Take one back for good; what was decided with it stays decided, and a word that was given stays given
    Revoke {
        /// The person's name, the token's id or the start of it, or the token itself
        token: String,
        /// Why, for the audit log
        #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
        reason: String,
    },
}

/// Makes, lists or revokes.
pub async fn run(context: &Context, args: AccessArgs) -> Result<Exit, Failure> {
    let Sub::Tokens(command) = args.command;
    let client = connect::open(context)?;
    match command {
        TokenCommand::Create { name, groups, ttl } => {
            let request = AccessTokenRequest { name, groups, ttl_seconds: ttl.as_secs() };
            if context.global.dry_run {
                context
                    .hint(&format!("Would make an access token for {}; nothing was written.", request.name));
                let AccessTokenRequest { name, groups, ttl_seconds } = request;
                context.print_document(
                    &json!({"dry_run": true, "name": name, "groups": groups, "ttl_seconds": ttl_seconds}),
                )?;
                return Ok(Exit::Done);
            }
            let answer = client.create_access_token(&request).await?;
            context.show(&answer, view::access::made)?;
            context.hint(&format!("Take it back: nimbus access tokens revoke {}", answer.typed.name));
        }
        TokenCommand::List(Page { limit, after }) => {
            let answer = client.access_tokens(&PageQuery { limit, after }).await?;
            context.show_page(&answer, view::access::list)?;
        }
        TokenCommand::Revoke { token, reason } => return revoke(context, &client, &token, reason).await,
    }
    Ok(Exit::Done)
}

async fn revoke(context: &Context, client: &Client, typed: &str, reason: String) -> Result<Exit, Failure> {
    let token = find(client, typed).await?;
    let (id, name) = (&token.id, &token.name);
    if context.global.dry_run {
        context
            .hint(&format!("Would revoke the access token of {name} ({id}) for good; nothing was written."));
        context.print_either(&json!(token), |view| view::access::show(view, &token))?;
        return Ok(Exit::Done);
    }
    match confirm::ask(context, &format!("Revoke the access token of {name} ({id}) for good?"))? {
        Answer::Yes => {}
        Answer::No => {
            context.print_document(&json!(token))?;
            context.hint("Nothing was changed.");
            return Ok(Exit::Done);
        }
        Answer::Nobody => {
            return Err(Failure::usage("revoking a token asks first, and there is no terminal to ask on")
                .expected("a terminal, or --yes")
                .found("neither")
                .next(format!("nimbus access tokens revoke {id} --yes")));
        }
    }
    let answer = client.revoke_access_token(id, &RevokeRequest { reason }).await?;
    context.show(&answer, view::access::show)?;
    context.hint(&format!(
        "An approval that waits keeps the word that {name} gave: look at those with nimbus approvals list, and deny what has to go"
    ));
    Ok(Exit::Done)
}

/// The token that is meant, by its id or its person's name; one that is not revoked comes before those that are.
async fn find(client: &Client, typed: &str) -> Result<AccessTokenItem, Failure> {
    // Of a whole token that was pasted the id alone: its secret is never said again.
    let typed = typed.strip_prefix("nba_").map_or(typed, |rest| rest.get(..ID_LENGTH).unwrap_or("acc_"));
    let page = async |after| client.access_tokens(&PageQuery { limit: Some(MAX_LIMIT), after }).await;
    let mut all = collect(MAX_LOOKED_AT, page).await?.items;
    // No name begins as an id does.
    let is_id = typed.starts_with("acc_");
    all.retain(|token| token.name == typed || (is_id && token.id.starts_with(typed)));
    all.sort_by_key(|token| token.state == "revoked");
    let wrong = |title: String, found: String| {
        Failure::new(title)
            .exit(Exit::NotFound)
            .expected("a person's name, or the id of one token or the start of it")
            .found(found)
            .next("nimbus access tokens list")
    };
    if is_id && all.len() > 1 {
        let title = format!("more than one access token's id begins with {typed}");
        return Err(wrong(title, format!("{} of them", all.len())));
    }
    let missing = || wrong(format!("there is no access token of {typed}"), typed.to_owned());
    all.into_iter().next().ok_or_else(missing)
}
