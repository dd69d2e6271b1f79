//! The command line's grammar: the flags that hold everywhere and the list of commands.
//!
//! Each command's own flags stand beside what it does, in [`crate::commands`].

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

use crate::commands::{
    agents, approvals, audit, autonomous, clusters, completions, drift, incidents, jobs, status, up, version,
};
use crate::output::format::Format;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER: &str = "\
Exit codes:
  0  done                              4  waiting for an approval
  1  an error                          5  refused by policy or permission
  2  the command line is wrong         6  the server cannot be reached
  3  found something (--exit-code)     7  not found

Start here: `nimbus up --watch DIR`, then in another terminal `nimbus status`.";

/// Watches clusters and hosts, and puts right what breaks
#[derive(Debug, Parser)]
#[command(name = "nimbus", version, styles = STYLES, after_help = AFTER, max_term_width = 100)]
#[command(propagate_version = false, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// The flags that hold everywhere.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The flags that hold everywhere.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent switches is what a command line is")]
pub struct Global {
    /// How to print: for reading (wide: nothing cut), for a program, or ids alone
    #[arg(
        short = 'o',
        long = "output-format",
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub format: Format,
    /// Address of the control plane [default: the context's, else http://127.0.0.1:7070]
    #[arg(long, global = true, env = "NIMBUS_SERVER", hide_env_values = true, value_name = "URL")]
    pub server: Option<String>,
    /// Which context of the configuration to use [default: its current one]
    #[arg(long, global = true, env = "NIMBUS_CONTEXT", hide_env_values = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Answer yes to every question
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
    /// Say what would happen, write nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// No colour (as with NO_COLOR set)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// No hints, no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Every command.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "each one's documentation is its help text, on its arguments")]
pub enum Command {
    Up(up::UpArgs),
    Status(status::StatusArgs),
    #[command(alias = "cluster")]
    Clusters(clusters::ClustersArgs),
    #[command(alias = "agent")]
    Agents(agents::AgentsArgs),
    #[command(alias = "incident")]
    Incidents(incidents::IncidentsArgs),
    #[command(alias = "approval")]
    Approvals(approvals::ApprovalsArgs),
    Approve(approvals::ApproveArgs),
    Deny(approvals::DenyArgs),
    Autonomous(autonomous::AutonomousArgs),
    #[command(alias = "job")]
    Jobs(jobs::JobsArgs),
    Drift(drift::DriftArgs),
    Audit(audit::AuditArgs),
    Completions(completions::CompletionsArgs),
    Version(version::VersionArgs),
}

/// Which page of a list.
#[derive(Debug, Clone, Default, Args)]
pub struct Page {
    /// At most so many, 1 to 500
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: Option<u32>,
    /// Continue after this cursor (the `next` of the page before)
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    #[test]
    fn the_grammar_contradicts_itself_nowhere() {
        super::Cli::command().debug_assert();
    }

    /// A flag of a command with the name of a global one would be read as the global one.
    #[test]
    fn no_command_has_a_flag_that_means_something_else_everywhere() {
        fn look(command: &Command, global: &[String]) {
            for sub in command.get_subcommands() {
                for arg in sub.get_arguments().filter(|arg| !arg.is_global_set()) {
                    assert!(
                        !global.contains(&arg.get_id().to_string()),
                        "{} {}",
                        sub.get_name(),
                        arg.get_id()
                    );
                }
                look(sub, global);
            }
        }
        let command = super::Cli::command();
        let global: Vec<String> = command.get_arguments().map(|arg| arg.get_id().to_string()).collect();
        assert!(global.len() >= 8, "{global:?}");
        look(&command, &global);
    }
}
