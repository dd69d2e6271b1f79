//! The command line's grammar and the one list of commands.
//!
//! Each command's own flags are defined with what it does, in [`crate::commands`]; the flags that hold everywhere are in
//! [`crate::global`].

use std::ffi::OsString;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::Here;
use crate::commands::{
    access, agents, approvals, audit, auth, autonomous, backup, clusters, completions, doctor, drift,
    enterprise, incidents, jobs, keys, nodes, preflight, status, support_bundle, up, verify_release, version,
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
  0  done, or a question was answered  4  waiting for an approval
     with no and nothing was changed
  1  an error                          5  refused by policy or permission
  2  the command line is wrong         6  the server cannot be reached
  3  found something (--exit-code)     7  not found
  130  Ctrl-C while waiting: what was ordered goes on

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
    #[command(alias = "node")]
    Nodes(nodes::NodesArgs),
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
    Access(access::AccessArgs),
    Auth(auth::AuthArgs),
    Backup(backup::BackupArgs),
    Preflight(preflight::PreflightArgs),
    Doctor(doctor::DoctorArgs),
    Enterprise(enterprise::EnterpriseArgs),
    Keys(keys::KeysArgs),
    SupportBundle(support_bundle::SupportBundleArgs),
    VerifyRelease(verify_release::VerifyReleaseArgs),
    Completions(completions::CompletionsArgs),
    Version(version::VersionArgs),
}

impl Command {
    /// Runs the command; a failure carries its exit code.
    pub async fn run(self, context: &Context, here: &Here) -> Result<Exit, Failure> {
        match self {
            Self::Up(args) => (here.up)(context, args).await,
            Self::Status(args) => status::run(context, args).await,
            Self::Clusters(args) => clusters::run(context, args).await,
            Self::Nodes(args) => nodes::run(context, args).await,
            Self::Agents(args) => agents::run(context, args).await,
            Self::Incidents(args) => incidents::run(context, args).await,
            Self::Approvals(args) => approvals::run(context, args).await,
            Self::Approve(args) => approvals::approve(context, args).await,
            Self::Deny(args) => approvals::deny(context, args).await,
            Self::Autonomous(args) => autonomous::run(context, args).await,
            Self::Jobs(args) => jobs::run(context, args).await,
            Self::Drift(args) => drift::run(context, args).await,
            Self::Audit(args) => audit::run(context, args).await,
            Self::Access(args) => access::run(context, args).await,
            Self::Auth(args) => auth::run(context, args).await,
            Self::Backup(args) => backup::run(context, args).await,
            Self::Preflight(args) => preflight::run(context, &args, here).await,
            Self::Doctor(args) => doctor::run(context, &args).await,
            Self::Enterprise(args) => enterprise::run(context, &args).await,
            Self::Keys(args) => keys::run(context, &args, here),
            Self::SupportBundle(args) => support_bundle::run(context, args, here).await,
            Self::VerifyRelease(args) => verify_release::run(context, &args),
            Self::Completions(args) => completions::run(context, &args, &mut Cli::command()),
            Self::Version(args) => version::run(context, &args, here).await,
        }
    }
}

impl Cli {
    /// Reads a command line. A flag that holds everywhere may stand before a subcommand as well as behind it; a flag of a
    /// list may not stand before another subcommand, which would not heed it.
    pub fn read(arguments: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(arguments)?;
        command.build();
        heeded(&mut command, &matches)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// Every flag that stands before a subcommand holds everywhere.
fn heeded(command: &mut clap::Command, matches: &ArgMatches) -> Result<(), clap::Error> {
    let Some((name, inner)) = matches.subcommand() else { return Ok(()) };
    let given = |arg: &&clap::Arg| {
        !arg.is_global_set() && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let flag = command.get_arguments().find(given).map(ToString::to_string);
    if let Some(flag) = flag {
        let text = format!("{flag} is of the list and cannot stand before the subcommand {name:?}");
        return Err(command.error(ErrorKind::ArgumentConflict, text));
    }
    command.find_subcommand_mut(name).map_or(Ok(()), |sub| heeded(sub, inner))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{Command, CommandFactory as _};

    use super::Cli;

    fn read(line: &str) -> Result<Cli, clap::Error> {
        Cli::read(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_holds_everywhere_holds_before_every_subcommand_too() {
        for line in [
            "nimbus --yes -o json drift fix --all",
            "nimbus drift --yes -o json fix --all",
            "nimbus drift fix --yes -o json --all",
            "nimbus drift -o json --yes baseline add x",
            "nimbus drift baseline -o json --yes add x",
        ] {
            let global = read(line).unwrap_or_else(|error| panic!("{line}: {error}")).global;
            assert!(global.yes && global.format == crate::format::Format::Json, "{line}");
        }
        for (command, sub) in [
            ("incidents", "show x"),
            ("approvals", "show x"),
            ("jobs", "show x"),
            ("agents", "show x"),
            ("clusters", "show x"),
            ("audit", "verify"),
            ("autonomous", "status"),
        ] {
            for flags in [
                "-o name",
                "--server http://127.0.0.1:1",
                "--context c",
                "--dry-run",
                "--no-color",
                "-q",
                "-vv",
            ] {
                for line in [
                    format!("nimbus {flags} {command} {sub}"),
                    format!("nimbus {command} {flags} {sub}"),
                    format!("nimbus {command} {sub} {flags}"),
                ] {
                    assert!(read(&line).is_ok(), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_flag_of_a_list_is_not_passed_over_before_another_subcommand() {
        for line in [
            "nimbus drift --state open show x",
            "nimbus incidents --limit 3 show x",
            "nimbus audit --user a verify",
        ] {
            let error = read(line).unwrap_err();
            assert!(error.to_string().contains("cannot stand before"), "{line}: {error}");
        }
        assert!(read("nimbus drift --state open").is_ok() && read("nimbus drift list --state open").is_ok());
    }

    #[test]
    fn what_is_paused_is_one_cluster_or_the_fleet_and_the_reason_goes_with_either() {
        for command in ["pause", "resume"] {
            for good in ["--cluster c", "--fleet", "--cluster c --reason x", "--reason x --fleet"] {
                let line = format!("nimbus autonomous {command} {good}");
                assert!(read(&line).is_ok(), "{line}");
            }
            for bad in ["--reason x", "--cluster c --fleet"] {
                let line = format!("nimbus autonomous {command} {bad}");
                assert!(read(&line).is_err(), "{line}");
            }
        }
    }

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
