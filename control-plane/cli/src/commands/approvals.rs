//! `nimbus approvals`, `nimbus approve` and `nimbus deny`: a person's word on one exact plan.
//!
//! What was shown is what is approved: the plan's digest goes back with the word, and a plan that changed meanwhile
//! is refused by the control plane.

use std::time::Duration;

use clap::{Args, Subcommand};
use nimbus_api::{ApprovalDetail, ApproveRequest, DenyRequest};
use serde_json::{Value, json};

use super::outcome::{self, Watched};
use super::resolve;
use crate::cli::Page;
use crate::confirm::{self, Answer};
use crate::connect::Server;
use crate::context::{Context, read};
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::theme::readable;
use crate::output::time::parse_span;
use crate::{ids, view};

/// Plans that wait for a person's word
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ApprovalsArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// List those that wait, newest first
    List(ListArgs),
    /// Show what exactly would change, and why
    Show {
        /// Its id, or the start of it
        id: String,
    },
    /// Say yes
    Approve(ApproveArgs),
    /// Say no; nothing is changed
    Deny(DenyArgs),
}

#[derive(Debug, Default, Args)]
struct ListArgs {
    /// Answered and expired ones too
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only those in this state
    #[arg(long, value_parser = ["pending", "approved", "denied", "expired"])]
    state: Option<String>,
    /// Only those of this cluster or host
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    #[command(flatten)]
    page: Page,
}

/// Say yes to a plan, after seeing what will change
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The approval's id, or the start of it
    id: String,
    /// Why, for the audit log
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
    /// Wait until it is done and verified
    #[arg(long)]
    wait: bool,
    /// Longest wait
    #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "5m")]
    timeout: Duration,
}

/// Say no to a plan; nothing is changed
#[derive(Debug, Args)]
pub struct DenyArgs {
    /// The approval's id, or the start of it
    id: String,
    /// Why, for the audit log
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
}

/// Lists, shows, approves or denies.
pub async fn run(context: &Context, args: ApprovalsArgs) -> Result<Exit, Failure> {
    match args.command.unwrap_or(Sub::List(args.list)) {
        Sub::List(args) => {
            let state = args.state.or_else(|| (!args.all).then(|| "pending".to_owned()));
            let filters = super::filters(&[("state", state), ("cluster", args.cluster)]);
            let answer = Server::open(context)?.page(&["approvals"], filters, &args.page).await?;
            context.show_page(&answer, view::approvals::list)?;
            if answer["items"]
                .as_array()
                .is_some_and(|items| items.iter().any(|item| item["state"] == "pending"))
            {
                context.hint("See what would change: nimbus approvals show ID. Then: nimbus approve ID, or nimbus deny ID");
            }
            Ok(Exit::Done)
        }
        Sub::Show { id } => {
            let (_, answer, detail) = find(&Server::open(context)?, &id).await?;
            context.show(&answer, view::approvals::show)?;
            if detail.approval.state == "pending" {
                let id = &detail.approval.id;
                context.hint(&format!("nimbus approve {id}   or   nimbus deny {id} --reason TEXT"));
            }
            Ok(Exit::Done)
        }
        Sub::Approve(args) => approve(context, args).await,
        Sub::Deny(args) => deny(context, args).await,
    }
}

/// Shows the plan, asks, and says yes to exactly that plan.
pub async fn approve(context: &Context, args: ApproveArgs) -> Result<Exit, Failure> {
    let server = Server::open(context)?;
    let (id, shown, detail) = find(&server, &args.id).await?;
    must_wait(&detail)?;
    if context.global.format.is_table() {
        context.print(&view::approvals::show(&context.view(), &detail))?;
    }
    if context.global.dry_run {
        context.hint(&format!("Would approve {id}; nothing was written."));
        return if context.global.format.is_table() {
            Ok(())
        } else {
            context.show(&shown, view::approvals::show)
        }
        .map(|()| Exit::Done);
    }
    match confirm::ask(context, "Do this?")? {
        Answer::Yes => {}
        Answer::No => return Err(still_waiting(&id, "the answer was not yes")),
        Answer::Nobody => return Err(still_waiting(&id, "no terminal to ask on, and no --yes")),
    }
    let order = ApproveRequest { plan_digest: detail.approval.plan_digest.clone(), reason: args.reason };
    let answer = server.post(&["approvals", &id, "approve"], &order).await?;
    let incident = &detail.incident;
    context.hint(&format!("Approved: {}.", detail.approval.summary));
    if args.wait {
        let watched = Watched {
            incident: incident.id.clone(),
            name: incident.object.to_string(),
            done: "done",
            approval: Some(id.clone()),
            job_before: incident.job_id.clone(),
        };
        let ends = outcome::follow(context, &server, &[watched], args.timeout).await?;
        if !context.global.format.is_table() {
            let (_, answer, _) = find(&server, &id).await?;
            context.show(&answer, view::approvals::show)?;
        }
        return outcome::conclude(context, &ends);
    }
    if !context.global.format.is_table() {
        context.show(&answer, view::approvals::show)?;
    }
    context.hint(&format!("Follow it: nimbus incidents show {}", incident.id));
    Ok(Exit::Done)
}

/// Says no.
pub async fn deny(context: &Context, args: DenyArgs) -> Result<Exit, Failure> {
    let server = Server::open(context)?;
    let (id, shown, detail) = find(&server, &args.id).await?;
    must_wait(&detail)?;
    if context.global.dry_run {
        context.hint(&format!("Would deny {id}; nothing was written."));
        context.show(&shown, view::approvals::show)?;
        return Ok(Exit::Done);
    }
    let answer = server.post(&["approvals", &id, "deny"], &DenyRequest { reason: args.reason }).await?;
    if context.global.format.is_table() {
        context.print(&format!(
            "Denied: {}. Nothing was changed.\n",
            crate::output::plain(&detail.approval.summary)
        ))?;
    } else {
        context.show(&answer, view::approvals::show)?;
    }
    let incident = &detail.incident.id;
    context.hint(&format!("The incident stays with a person: nimbus incidents show {incident}"));
    context.hint(&format!("To be asked again: nimbus incidents ask {incident}"));
    Ok(Exit::Done)
}

async fn find(server: &Server, typed: &str) -> Result<(String, Value, ApprovalDetail), Failure> {
    let id = resolve::id(server, ids::APPROVAL, typed, json!({"state": "pending"})).await?;
    let answer = server.get(&["approvals", &id], &json!({})).await?;
    let detail = read(&answer)?;
    Ok((id, answer, detail))
}

/// An approval is answered once.
fn must_wait(detail: &ApprovalDetail) -> Result<(), Failure> {
    let approval = &detail.approval;
    if approval.state == "pending" {
        return Ok(());
    }
    let by = approval.decided_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let why = if approval.reason.is_empty() { String::new() } else { format!(": {}", approval.reason) };
    Err(Failure::new(format!("{} does not wait any more", approval.id))
        .expected("an approval in state pending")
        .found(format!("{}{by}{why}", readable(&approval.state)))
        .next(format!("see where it stands now: nimbus incidents show {}", approval.incident_id)))
}

fn still_waiting(id: &str, found: &str) -> Failure {
    Failure::new(format!("{id} still waits for approval; nothing was changed"))
        .exit(Exit::Waiting)
        .expected("a yes on a terminal, or --yes")
        .found(found)
        .next(format!("nimbus approve {id} --yes   or   nimbus deny {id} --reason TEXT"))
}
