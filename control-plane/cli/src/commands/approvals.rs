//! `nimbus approvals`, `nimbus approve` and `nimbus deny`: a person's decision on one exact plan.
//!
//! What was shown is what is approved: the plan's digest goes back with the decision, and the control plane refuses it
//! for a plan that changed meanwhile.

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use nimbus_api::client::{self, Client};
use nimbus_api::{ApprovalDetail, ApprovalQuery, ApproveRequest, DenyRequest, ReviewRequest, words};

use super::outcome::{self, Watched};
use super::resolve;
use crate::confirm::{self, Answer};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::output::theme::readable;
use crate::output::time::parse_span;
use crate::{connect, view};

/// Plans that wait for a person's approval
#[derive(Debug, Args)]
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
    /// Approve one
    Approve(ApproveArgs),
    /// Deny one; nothing is changed
    Deny(DenyArgs),
    /// Look back at one that somebody gave alone where several had to, and close that
    Review {
        /// Its id, or the start of it
        id: String,
        /// What you found, for the audit log
        #[arg(long, value_name = "TEXT")]
        note: String,
    },
}

#[derive(Debug, Default, Args)]
struct ListArgs {
    /// Answered and expired ones too
    #[arg(long, conflicts_with = "state")]
    all: bool,
    /// Only those in this state
    #[arg(long, value_parser = PossibleValuesParser::new(words::ApprovalState::WORDS))]
    state: Option<String>,
    /// Only those of this cluster or host
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Only those whose glass somebody broke, and that nobody reviewed yet
    #[arg(long, conflicts_with_all = ["state", "all"])]
    unreviewed: bool,
    #[command(flatten)]
    page: Page,
}

/// Approve a plan, after seeing what will change
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The approval's id, or the start of it
    id: String,
    /// Why, for the audit log
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
    /// In an emergency, approve alone what several people have to approve, and pass by the blackout that it waits for, also where it
    /// was approved before: takes --reason, and stays open until another person reviewed it
    #[arg(long, requires = "reason")]
    break_glass: bool,
    /// Wait until it is done and verified
    #[arg(long)]
    wait: bool,
    /// Longest wait
    #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "5m")]
    timeout: Duration,
}

/// Deny a plan; nothing is changed
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
            let state = args.state.or_else(|| (!args.all && !args.unreviewed).then(|| "pending".to_owned()));
            let review = args.unreviewed.then(|| "owed".to_owned());
            let Page { limit, after } = args.page;
            let query = ApprovalQuery { state, cluster: args.cluster, review, limit, after };
            let answer = connect::open(context)?.approvals(&query).await?;
            let nothing =
                if args.unreviewed { "Nobody owes a review." } else { "Nothing waits for an approval." };
            context.show_page(&answer, |view, page| view::approvals::list(view, page, nothing))?;
            if answer.typed.items.iter().any(|approval| approval.state == "pending") {
                context.hint("See what would change: nimbus approvals show ID. Then: nimbus approve ID, or nimbus deny ID");
            }
            Ok(Exit::Done)
        }
        Sub::Show { id } => {
            let answer = find(&connect::open(context)?, &id).await?;
            context.show(&answer, view::approvals::show)?;
            let approval = &answer.typed.approval;
            if approval.state == "pending" {
                let id = &approval.id;
                context.hint(&format!("nimbus approve {id}   or   nimbus deny {id} --reason TEXT"));
            }
            Ok(Exit::Done)
        }
        Sub::Approve(args) => approve(context, args).await,
        Sub::Deny(args) => deny(context, args).await,
        Sub::Review { id, note } => review(context, &id, note).await,
    }
}

/// Closes the review of one that somebody gave alone.
async fn review(context: &Context, typed: &str, note: String) -> Result<Exit, Failure> {
    let client = connect::open(context)?;
    let shown = find(&client, typed).await?;
    let id = &shown.typed.approval.id;
    if context.global.dry_run {
        context.hint(&format!("Would close the review of {id}; nothing was written."));
        return context.show(&shown, view::approvals::show).map(|()| Exit::Done);
    }
    let answer = client.review(id, &ReviewRequest { note }).await?;
    context.show(&answer, view::approvals::show)?;
    Ok(Exit::Done)
}

/// Shows the plan, asks, and approves exactly that plan.
pub async fn approve(context: &Context, args: ApproveArgs) -> Result<Exit, Failure> {
    let client = connect::open(context)?;
    let shown = find(&client, &args.id).await?;
    let ApprovalDetail { approval, incident, .. } = &shown.typed;
    // Approved and held back by a blackout, there is a glass to break still.
    if !(args.break_glass && is_unused(approval)) {
        must_wait(&shown.typed)?;
    }
    if context.global.format.is_table() {
        context.print(&view::approvals::show(&context.view(), &shown.typed))?;
    }
    if context.global.dry_run {
        context.hint(&format!("Would approve {}; nothing was written.", approval.id));
        return context.print_document(&shown.raw).map(|()| Exit::Done);
    }
    match confirm::ask(context, "Do this?")? {
        Answer::Yes => {}
        Answer::No => {
            context.print_document(&shown.raw)?;
            context.hint(&format!(
                "Nothing was changed, and {0} still waits. To end it: nimbus deny {0} --reason TEXT",
                approval.id
            ));
            return Ok(Exit::Done);
        }
        Answer::Nobody => return Err(still_waiting(&approval.id, "no terminal to ask on, and no --yes")),
    }
    let request = ApproveRequest {
        plan_digest: approval.plan_digest.clone(),
        reason: args.reason,
        break_glass: args.break_glass,
    };
    let answer = client.approve(&approval.id, &request).await?;
    let left = &answer.typed.approval.still_needed;
    if !left.is_empty() {
        context.print_document(&answer.raw)?;
        context.hint(&format!("Your word is given: {}. Still needed: {left}.", approval.summary));
        return Ok(Exit::Waiting);
    }
    context.hint(&format!("Approved: {}.", approval.summary));
    if answer.typed.approval.broken_glass.is_some() {
        context.hint(&format!(
            "Another person owes a look back: nimbus approvals review {} --note TEXT",
            approval.id
        ));
    }
    if !args.wait {
        context.print_document(&answer.raw)?;
        context.hint(&format!("Follow it: nimbus incidents show {}", incident.id));
        return Ok(Exit::Done);
    }
    let watched = Watched {
        incident: incident.id.clone(),
        name: incident.object.to_string(),
        done: "done",
        approval: Some(approval.id.clone()),
        job_before: incident.job_id.clone(),
    };
    let ends =
        outcome::follow(context, &client, &[watched], args.timeout, &mut outcome::interrupt()?).await?;
    context.print_document(&client.approval(&approval.id).await?.raw)?;
    outcome::print_outcomes(context, &ends)
}

/// Denies the plan.
pub async fn deny(context: &Context, args: DenyArgs) -> Result<Exit, Failure> {
    let client = connect::open(context)?;
    let shown = find(&client, &args.id).await?;
    let ApprovalDetail { approval, incident, .. } = &shown.typed;
    // What was approved and not begun yet can be denied still.
    if !is_unused(approval) {
        must_wait(&shown.typed)?;
    }
    if context.global.dry_run {
        context.hint(&format!("Would deny {}; nothing was written.", approval.id));
        return context.show(&shown, view::approvals::show).map(|()| Exit::Done);
    }
    let answer = client.deny(&approval.id, &DenyRequest { reason: args.reason }).await?;
    context.print_either(&answer.raw, |_| {
        format!("Denied: {}. Nothing was changed.\n", crate::output::plain(&approval.summary))
    })?;
    context.hint(&format!("The incident stays open for a person: nimbus incidents show {}", incident.id));
    context.hint(&format!("To be asked again: nimbus incidents ask {}", incident.id));
    Ok(Exit::Done)
}

async fn find(client: &Client, typed: &str) -> Result<client::Answer<ApprovalDetail>, Failure> {
    let id = resolve::approval(client, typed).await?;
    Ok(client.approval(&id).await?)
}

/// Was it approved, and led to no job yet?
fn is_unused(approval: &nimbus_api::Approval) -> bool {
    approval.state == "approved" && approval.used_by.is_none()
}

/// Once its job is there, or it was denied or expired, nothing is left to decide.
fn must_wait(detail: &ApprovalDetail) -> Result<(), Failure> {
    let approval = &detail.approval;
    if approval.state == "pending" {
        return Ok(());
    }
    let by = approval.decided_by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
    let why = if approval.reason.is_empty() { String::new() } else { format!(": {}", approval.reason) };
    Err(Failure::new(format!("{} is not pending any more", approval.id))
        .expected("a pending approval")
        .found(format!("{}{by}{why}", readable(&approval.state)))
        .next(format!("see the incident's state now: nimbus incidents show {}", approval.incident_id)))
}

fn still_waiting(id: &str, found: &str) -> Failure {
    Failure::new(format!("{id} still waits for approval; nothing was changed"))
        .exit(Exit::Waiting)
        .expected("a yes on a terminal, or --yes")
        .found(found)
        .next(format!("nimbus approve {id} --yes   or   nimbus deny {id} --reason TEXT"))
}
