//! `nimbus drift baseline remove`: withdraws an accepted baseline, so that the one before it applies again.

use std::time::Duration;

use clap::Args;
use nimbus_api::client::{Answer, Client};
use nimbus_api::{DryRunQuery, IncidentDetail, JobDetail, Started};
use tokio::time::{Instant, sleep};

use crate::commands::outcome::{EVERY, others_are_asked};
use crate::commands::resolve;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::plain;
use crate::output::theme::readable;
use crate::output::time::parse_span;

/// Which acceptance to take back.
#[derive(Debug, Args)]
pub(super) struct RemoveArgs {
    /// Its id as `list` shows it, or the start of it
    id: String,
    /// Do not wait until the agent has done it
    #[arg(long)]
    no_wait: bool,
    /// Longest wait
    #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "60s")]
    timeout: Duration,
}

/// The command itself is the operator's decision: nothing is asked. The file stays as it is; where it differs from what
/// counts again, that is a difference like any other.
pub(super) async fn run(context: &Context, client: &Client, args: RemoveArgs) -> Result<Exit, Failure> {
    let dry_run = context.global.dry_run;
    let id = resolve::baseline(client, &args.id).await?;
    let started = client.withdraw_baseline(&id, &DryRunQuery { dry_run }).await?;
    let path = plain(&started.typed.incident.object.name).into_owned();
    if others_are_asked(&started.typed) && !dry_run {
        context.show(&started, |_, _| {
            format!("Taking back the accepted baseline of {path} is asked of others.\n")
        })?;
        context.hint("They are asked within a moment: nimbus approvals list");
        return Ok(Exit::Waiting);
    }
    if dry_run || args.no_wait {
        let word = if dry_run { "Would take" } else { "Taking" };
        let text = format!("{word} back the accepted baseline of {path}; the file stays as it is.\n");
        return context.show(&started, |_, _| text).map(|()| Exit::Done);
    }
    let job = follow(context, client, &started.typed, args.timeout).await?;
    let ended = &job.typed.job;
    match ended.state.as_str() {
        "succeeded" => {
            context.show(&job, |_, _| {
                format!("{path}: what was the baseline before the accepted one counts again\n")
            })?;
            Ok(Exit::Done)
        }
        state => {
            let exit = if state == "refused" { Exit::Refused } else { Exit::Error };
            Err(not_done(&started.typed).exit(exit).found(format!("{}: {}", readable(state), ended.reason)))
        }
    }
}

/// Looks again until the job of this order has ended, its order was dropped, or `timeout` has passed.
async fn follow(
    context: &Context,
    client: &Client,
    started: &Started,
    timeout: Duration,
) -> Result<Answer<JobDetail>, Failure> {
    let end = Instant::now() + timeout;
    let mut progress = context.progress("waiting for the agent");
    let plan = started.plan.as_ref().map(|plan| plan.id.as_str());
    loop {
        let detail = client.incident(&started.incident.id).await?.typed;
        match seen(&detail, plan) {
            Seen::Ended(job) => return Ok(client.job(job).await?),
            Seen::Dropped => return Err(not_done(started).found(detail.incident.reason)),
            Seen::Waits if Instant::now() >= end => {
                let incident = &detail.incident;
                return Err(Failure::new(format!(
                    "the accepted baseline of {} is not taken back yet",
                    incident.object.name
                ))
                .expected("the agent to have done it when --timeout was over")
                .found(format!("the request stands, and waits: {}", incident.reason))
                .next(format!("nimbus incidents show {}", incident.id)));
            }
            Seen::Waits => progress.say(&detail.incident.reason),
        }
        sleep(EVERY).await;
    }
}

/// Where an order stands.
#[derive(Debug, PartialEq, Eq)]
enum Seen<'a> {
    /// Its job has ended.
    Ended(&'a str),
    /// No job came of it, and none will.
    Dropped,
    /// Not yet either.
    Waits,
}

fn seen<'a>(detail: &'a IncidentDetail, plan: Option<&str>) -> Seen<'a> {
    let ours = detail.job.as_ref().filter(|job| Some(job.plan_id.as_str()) == plan);
    match ours {
        Some(job) if job.finished_at.is_some() => Seen::Ended(&job.id),
        Some(_) => Seen::Waits,
        None if detail.incident.plan_id.as_deref() == plan => Seen::Waits,
        None => Seen::Dropped,
    }
}

fn not_done(started: &Started) -> Failure {
    let incident = &started.incident;
    Failure::new(format!("the accepted baseline of {} was not taken back", incident.object.name))
        .expected("the agent to make the baseline before it the baseline again")
        .next(format!("nimbus incidents show {}", incident.id))
}
