//! `nimbus preflight`: says before an installation whether the cluster, the programs and the database are as they have to be.

use std::path::PathBuf;

use clap::Args;
use nimbus_checks::address;
use nimbus_checks::kubernetes::namespace_name;
use nimbus_checks::preflight::{NoDatabase, judge, judge_without_cluster};
use nimbus_checks::report::Report;
use nimbus_checks::version::Version;

use super::doctor;
use crate::Here;
use crate::checks::kubectl::Kubectl;
use crate::checks::preflight::{Asked, gather};
use crate::checks::redacted::redacted;
use crate::checks::values::Wanted;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::view;

/// Before an installation: is everything as it has to be?
///
/// Looks with kubectl and helm at the cluster that the kubeconfig names: its version, what this user may create, Pod Security,
/// StorageClasses, nodes, clocks, what is installed already; with values at the Secrets that they name; and with --database at
/// PostgreSQL (alone with --no-cluster). Each check ends in pass, warning, failure or unknown, with what to do. Nothing is written or
/// created.
#[derive(Debug, Args)]
pub struct PreflightArgs {
    /// The namespace of the control plane
    #[arg(long, value_name = "NAMESPACE", default_value = "nimbus", value_parser = namespace_name)]
    namespace: String,
    /// The namespace of the agents [default: the control plane's]
    #[arg(long, value_name = "NAMESPACE", value_parser = namespace_name)]
    agents_namespace: Option<String>,
    /// The kubeconfig that names the cluster [default: kubectl's own]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    kube_context: Option<String>,
    /// The directory with both charts: what their values ask for is looked at, and not what they ask for by themselves
    #[arg(long, value_name = "DIR")]
    charts: Option<PathBuf>,
    /// Values for the control plane's chart; several times for several
    #[arg(long, value_name = "FILE")]
    control_plane_values: Vec<PathBuf>,
    /// Values for the agents' chart; several times for several
    #[arg(long, value_name = "FILE")]
    agent_values: Vec<PathBuf>,
    /// The database to look at: postgres://user:password@host/database
    #[arg(long, env = "NIMBUS_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// Look at the database alone, for a control plane on a server
    #[arg(long, requires = "database", conflicts_with_all = OF_THE_CLUSTER)]
    no_cluster: bool,
    /// End with code 3 where no check failed and a warning or an unknown stands
    #[arg(long)]
    exit_code: bool,
}

/// What is asked of a cluster alone.
const OF_THE_CLUSTER: [&str; 6] =
    ["agents_namespace", "kubeconfig", "kube_context", "charts", "control_plane_values", "agent_values"];

/// Gathers, judges and says it.
pub async fn run(context: &Context, args: &PreflightArgs, here: &Here) -> Result<Exit, Failure> {
    let at = if args.no_cluster { "looking at the database" } else { "looking at the cluster" };
    let progress = context.moving(at);
    let report = report(args, here).await;
    drop(progress);
    let report = report?;
    let document = doctor::document(&report)?;
    context.print_either(&document, |view| view::checks::report(view, "Preflight", &report))?;
    Ok(doctor::exit(&report, args.exit_code))
}

/// What all checks found.
pub async fn report(args: &PreflightArgs, here: &Here) -> Result<Report, Failure> {
    let asked = Asked {
        kubectl: Kubectl {
            kubeconfig: args.kubeconfig.clone(),
            context: args.kube_context.clone(),
            search: None,
        },
        namespace: args.namespace.clone(),
        agents_namespace: args.agents_namespace.clone().unwrap_or_else(|| args.namespace.clone()),
        wanted: Wanted {
            charts: args.charts.clone(),
            control_plane: args.control_plane_values.clone(),
            agents: args.agent_values.clone(),
            set_for_agents: None,
        },
        looks_at_secrets: true,
    };
    let database = match args.database.as_deref().filter(|address| !address.is_empty()) {
        Some(address) => Some(match address::wrong(address) {
            Some(why) => Err(NoDatabase::Other(why)),
            None => (here.look_at_database)(address).await,
        }),
        None => None,
    };
    // One without a password is what the check talks about, and no secret.
    let secrets =
        [args.database.as_deref().filter(|it| !address::is_without_password(it)).unwrap_or_default()];
    if args.no_cluster {
        let database = database.ok_or_else(|| {
            Failure::new("there is nothing to look at")
                .expected("the address of a database in --database or NIMBUS_DATABASE_URL")
                .found("an empty one")
        })?;
        return redacted(judge_without_cluster(database, build()?, nimbus_platform::now()), &secrets);
    }
    // All that it waits for at once is large.
    let snapshot = Box::pin(gather(&asked, build()?, database)).await;
    redacted(judge(&snapshot, nimbus_platform::now()), &secrets)
}

/// This command's version.
pub(super) fn build() -> Result<Version, Failure> {
    let text = env!("CARGO_PKG_VERSION");
    Version::parse(text).ok_or_else(|| {
        Failure::new("this build does not know its version").expected("three numbers").found(text)
    })
}
