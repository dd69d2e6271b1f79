//! `nimbus completions SHELL`: prints the script that completes the command line in a shell.

use clap::{Args, Command};
use clap_complete::Shell;

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

/// Prints the script for this grammar.
pub fn run(context: &Context, args: &CompletionsArgs, grammar: &mut Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, grammar, "nimbus", &mut script);
    context.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
