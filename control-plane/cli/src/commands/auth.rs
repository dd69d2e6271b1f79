//! `nimbus auth whoami`: who the control plane takes the sender of this command's token for.

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::{connect, view};

/// Who you are to the control plane
#[derive(Debug, Args)]
pub struct AuthArgs {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// The name under which you are audited, and the groups that count for approvals
    Whoami,
}

/// Asks.
pub async fn run(context: &Context, args: AuthArgs) -> Result<Exit, Failure> {
    let Sub::Whoami = args.command;
    let answer = connect::open(context)?.whoami().await?;
    context.show(&answer, view::access::whoami)?;
    Ok(Exit::Done)
}
