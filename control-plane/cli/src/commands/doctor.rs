//! `nimbus doctor`: says of an installation whether everything is as it has to be, and what to do where it is not.

use std::path::PathBuf;

use clap::Args;
use nimbus_checks::doctor::judge;
use nimbus_checks::kubernetes::namespace_name;
use nimbus_checks::report::Report;
use serde_json::Value;

use crate::checks::doctor::{Asked, gather};
use crate::checks::kubectl::Kubectl;
use crate::checks::listener;
use crate::checks::redacted::redacted;
use crate::connect;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::view;

/// After an installation: is everything as it has to be?
///
/// Asks the control plane for its state, its agents and its clock, looks at certificates, and at whatever else is named: the
/// agents' listener over UDP and TCP, a data directory, the pods of a namespace. Each check ends in pass, warning, failure or
/// unknown, with what to do. With --agents on a machine that knows no control plane, the network alone is looked at: that needs
/// no login.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Probe the agents' listener from here, as agents reach it
    #[arg(long, value_name = "HOST:PORT", value_parser = listener::address)]
    agents: Option<String>,
    /// The control plane's data directory, where it is on this machine
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Look at the pods of this namespace, with kubectl
    #[arg(long, value_name = "NAMESPACE", value_parser = namespace_name)]
    namespace: Option<String>,
    /// The kubeconfig that names the cluster [default: kubectl's own]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    kube_context: Option<String>,
    /// End with code 3 where no check failed and a warning or an unknown stands
    #[arg(long)]
    exit_code: bool,
}

/// Gathers, judges and says it.
pub async fn run(context: &Context, args: &DoctorArgs) -> Result<Exit, Failure> {
    let asked = Asked {
        agents: args.agents.clone(),
        data_dir: args.data_dir.clone(),
        namespace: args.namespace.clone(),
        kubectl: Kubectl {
            kubeconfig: args.kubeconfig.clone(),
            context: args.kube_context.clone(),
            search: None,
        },
    };
    let progress = context.moving("looking at the installation");
    let report = report(context, &asked).await;
    drop(progress);
    let report = report?;
    context.print_either(&document(&report)?, |view| view::checks::report(view, "Doctor", &report))?;
    Ok(exit(&report, args.exit_code))
}

/// What all checks found; for whoever wants it as a value.
pub async fn report(context: &Context, asked: &Asked) -> Result<Report, Failure> {
    // All that it waits for at once is large.
    let report = judge(&Box::pin(gather(context, asked)).await?);
    let token = connect::secret(context).unwrap_or_default();
    redacted(report, &[token.trim()])
}

/// A report for a program.
pub(super) fn document(report: &Report) -> Result<Value, Failure> {
    serde_json::to_value(report)
        .map_err(|error| Failure::new("the report cannot be written").found(error.to_string()))
}

/// How a command with such a report ends.
pub(super) fn exit(report: &Report, asked: bool) -> Exit {
    if !report.passed {
        Exit::Error
    } else if asked && report.is_doubtful() {
        Exit::Found
    } else {
        Exit::Done
    }
}
