//! `nimbus status`: shows an overview of the whole fleet, or waits until the fleet is ready.

use std::time::Duration;

use clap::Args;
use nimbus_api::Status;
use nimbus_api::client::Answer;
use tokio::time::{Instant, sleep};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::time::parse_span;
use crate::{connect, view};

/// How often a waiting command looks again.
const EVERY: Duration = Duration::from_millis(250);

/// An overview of the whole fleet
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Wait until every agent is connected and every cluster is known
    #[arg(long)]
    wait: bool,
    /// Longest wait
    #[arg(long, value_name = "TIME", value_parser = parse_span, default_value = "60s")]
    timeout: Duration,
}

/// Prints the overview.
pub async fn run(context: &Context, args: StatusArgs) -> Result<Exit, Failure> {
    let answer = if args.wait { wait(context, args.timeout).await? } else { look(context).await? };
    context.show(&answer, view::status::show)?;
    if let Some(next) = view::status::next(&answer.typed) {
        context.hint(&next);
    }
    Ok(Exit::Done)
}

async fn look(context: &Context) -> Result<Answer<Status>, Failure> {
    Ok(connect::open(context)?.status().await?)
}

/// Looks again until it is ready. A server that does not answer yet is waited for as well.
async fn wait(context: &Context, timeout: Duration) -> Result<Answer<Status>, Failure> {
    let end = Instant::now() + timeout;
    let mut progress = context.progress("waiting for the control plane");
    loop {
        let looked = look(context).await;
        let not_yet = match looked {
            Ok(answer) => {
                let status = &answer.typed;
                if status.ready {
                    return Ok(answer);
                }
                progress.say(&format!("not ready yet: {}", status.waiting_for.join("; ")));
                Failure::new(format!("not ready after {} s", timeout.as_secs()))
                    .expected("every agent connected and every cluster known")
                    .found(status.waiting_for.join("\n"))
                    .next("look at `nimbus agents list` and `nimbus clusters list`, or wait longer with --timeout")
            }
            // One that has too much to do is waited for as well.
            Err(failure) if failure.exit == Exit::Unreachable || failure.status == Some(503) => failure,
            Err(failure) => return Err(failure),
        };
        if Instant::now() + EVERY >= end {
            return Err(not_yet);
        }
        sleep(EVERY).await;
    }
}
