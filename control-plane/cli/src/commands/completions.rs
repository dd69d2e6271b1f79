//! `nimbus completions SHELL`: what a shell needs to complete the command line.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;

/// The completion script of a shell
///
/// For bash: source <(nimbus completions bash). For zsh: nimbus completions zsh > ~/.zfunc/_nimbus.
/// For fish: nimbus completions fish > ~/.config/fish/completions/nimbus.fish.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Prints the script.
pub fn run(context: &Context, args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "nimbus", &mut script);
    context.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
