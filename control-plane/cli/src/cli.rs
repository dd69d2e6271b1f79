//! The command line's grammar and the one list of commands.
//!
//! Each command's own flags are defined with what it does, in [`crate::commands`]; the flags that hold everywhere are in
//! [`crate::global`].

use clap::builder::styling::{AnsiColor, Styles};
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands::{
    agents, approvals, audit, autonomous, clusters, completions, drift, incidents, jobs, status, up, version,
};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Global;

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

/// Watches Kubernetes clusters and hosts, and repairs what breaks in them
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

impl Command {
    /// Runs the command; a failure carries its exit code.
    pub async fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Up(args) => up::run(context, args).await,
            Self::Status(args) => status::run(context, args).await,
            Self::Clusters(args) => clusters::run(context, args).await,
            Self::Agents(args) => agents::run(context, args).await,
            Self::Incidents(args) => incidents::run(context, args).await,
            Self::Approvals(args) => approvals::run(context, args).await,
            Self::Approve(args) => approvals::approve(context, args).await,
            Self::Deny(args) => approvals::deny(context, args).await,
            Self::Autonomous(args) => autonomous::run(context, args).await,
            Self::Jobs(args) => jobs::run(context, args).await,
            Self::Drift(args) => drift::run(context, args).await,
            Self::Audit(args) => audit::run(context, args).await,
            Self::Completions(args) => completions::run(context, &args, &mut Cli::command()),
            Self::Version(args) => version::run(context, &args).await,
        }
    }
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
