//! `nimbus drift baseline`: accepts a file as it is now, lists what was accepted, and takes it back.

use std::time::Duration;

use clap::Subcommand;
use nimbus_api::client::Client;
use nimbus_api::{BaselineRequest, Drift};

use super::ended::ended;
use super::withdraw::{self, RemoveArgs};
use crate::commands::outcome::{self, Watched};
use crate::commands::resolve;
use crate::confirm::{self, Answer};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::output::plain;
use crate::output::time::parse_span;
use crate::view;

/// What to do with baselines.
#[derive(Debug, Subcommand)]
pub(super) enum BaselineCommand {
    /// Accept a file as it is now; shows what is accepted and asks, and only that is accepted
    Add {
        /// Its id, or the start of it
        id: String,
        /// Do not wait until the agent has done it
        #[arg(long)]
        no_wait: bool,
        /// Longest wait
        #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "60s")]
        timeout: Duration,
    },
    /// List the states that an operator accepted or took back, newest first
    List(Page),
    /// Take back an accepted state: what was the baseline before counts again
    Remove(RemoveArgs),
}

pub(super) async fn run(
    context: &Context,
    client: &Client,
    command: BaselineCommand,
) -> Result<Exit, Failure> {
    match command {
        BaselineCommand::Add { id, no_wait, timeout } => {
            let id = resolve::drift(client, &id).await?;
            accept(context, client, &id, (!no_wait).then_some(timeout)).await
        }
        BaselineCommand::List(page) => {
            context.show_page(&client.baselines(&page.query()).await?, view::baselines::list)?;
            Ok(Exit::Done)
        }
        BaselineCommand::Remove(args) => withdraw::run(context, client, args).await,
    }
}

/// Shows the file's present state, asks, and accepts what was shown. If the file changes in between, the control plane
/// refuses.
async fn accept(
    context: &Context,
    client: &Client,
    id: &str,
    wait: Option<Duration>,
) -> Result<Exit, Failure> {
    let dry_run = context.global.dry_run;
    let shown = client.drift(id).await?;
    let drift = &shown.typed;
    if drift.after.is_none() {
        return Err(unknown(drift));
    }
    if context.global.format.is_table() {
        context.print(&view::drift::before_accept(&context.view(), drift))?;
    }
    if !dry_run {
        match confirm::ask(context, "Accept it as it is?")? {
            Answer::Yes => {}
            Answer::No => {
                context.print_document(&shown.raw)?;
                context.hint("Nothing was changed: the baseline is what it was.");
                return Ok(Exit::Done);
            }
            Answer::Nobody => return Err(unanswered(drift)),
        }
    }
    let request = BaselineRequest { shown: drift.after.clone(), dry_run };
    let answer = client.accept_baseline(id, &request).await?;
    let path = plain(&drift.path);
    if outcome::others_are_asked(&answer.typed) && !dry_run {
        context.show(&answer, |_, _| format!("Accepting {path} as it is now is asked of others.\n"))?;
        context.hint("They are asked within a moment: nimbus approvals list");
        return Ok(Exit::Waiting);
    }
    let Some(timeout) = wait.filter(|_| !dry_run) else {
        let word = if dry_run { "Would accept" } else { "Accepting" };
        return context.show(&answer, |_, _| format!("{word} {path} as it is now.\n")).map(|()| Exit::Done);
    };
    let watched = Watched {
        incident: id.to_owned(),
        name: drift.path.clone(),
        done: "accepted",
        approval: None,
        job_before: drift.job_id.clone(),
    };
    let ends = outcome::follow(context, client, &[watched], timeout, &mut outcome::interrupt()?).await?;
    if context.global.format.is_table() && ends.iter().all(|(_, end)| *end == outcome::End::Resolved) {
        let text = format!("{path}: accepted as it is: this is the baseline now\n");
        return context.print(&text).map(|()| Exit::Done);
    }
    context.print_document(&ended(&shown.raw, client.drift(id).await?.raw))?;
    outcome::print_outcomes(context, &ends)
}

fn unanswered(drift: &Drift) -> Failure {
    Failure::new(format!("{} was not accepted; nothing was changed", drift.path))
        .exit(Exit::Waiting)
        .expected("a yes on a terminal, or --yes")
        .found("no terminal to ask on, and no --yes")
        .next(format!("nimbus drift baseline add {} --yes", drift.id))
}

fn unknown(drift: &Drift) -> Failure {
    Failure::new(format!("the present state of {} is not known", drift.path))
        .expected("its agent to be connected and to report the difference")
        .found(&drift.reason)
        .next(format!("nimbus drift show {}", drift.id))
}
