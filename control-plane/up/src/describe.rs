//! Collects what the summary of `nimbus up` shows once everything runs.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use nimbus_cli::config;
use nimbus_cli::context::Context;
use nimbus_cli::error::Failure;
use nimbus_cli::view::layout::Layout;
use tokio::time::timeout;

use crate::cluster::Found;
use crate::context;
use crate::parts::Parts;
use crate::settings::Settings;
use crate::started::{Started, Watch};

/// Longest wait for the agent's first session before the summary is printed without it.
const CONNECT: Duration = Duration::from_secs(10);

/// Waits, within a bound, for the agent's first session and first pass, writes the command's context of this `name`, and
/// gathers what the summary says.
pub(super) async fn describe(
    name: &str,
    settings: &Settings,
    found: &Found,
    parts: &Parts,
    began: Timestamp,
) -> Result<Started, Failure> {
    let mut status = parts.agent.status();
    let passed =
        |status: &nimbus_agent::Status| status.connected && status.roots.len() >= settings.watch.len();
    let connected = timeout(CONNECT, status.wait_for(passed)).await.is_ok_and(|waited| waited.is_ok());
    let status = status.borrow().clone();
    let control_plane = &parts.control_plane;
    let server = control_plane.rest_url();
    let token_file = control_plane.operator_token_path();
    let ca_file = control_plane.ca_pem_path();
    let mut warnings = Vec::new();
    let mut context_is_current = false;
    let config = config::config_path();
    if let Some(path) = &config {
        match context::write(path, name, &server, &token_file, &ca_file) {
            Ok(current) => context_is_current = current,
            Err(failure) => warnings.push(format!("the context {name:?} was not written: {}", failure.title)),
        }
    }
    let watch = settings.watch.iter().map(|path| {
        let root = status.roots.iter().find(|root| Path::new(&root.path) == path);
        let missing = if path.exists() { "" } else { "not there now; watched as soon as it is" };
        Watch {
            path: path.clone(),
            files: root.map(|root| root.files),
            baseline_since: root.and_then(|root| older(root.baseline_taken_micros, began)),
            problem: root.map_or(missing, |root| root.problem.as_str()).to_owned(),
        }
    });
    Ok(Started {
        version: env!("CARGO_PKG_VERSION"),
        server,
        quic: control_plane.quic_addr().to_string(),
        data_dir: settings.data_dir.clone(),
        token_file,
        ca_file,
        policy_file: parts.policy.person().to_owned(),
        managed_policy_file: parts.policy.managed().to_owned(),
        context: config.map(|_| name.to_owned()),
        context_is_current,
        agent: parts.agent_name.clone(),
        agent_connected: connected || status.connected,
        watch: watch.collect(),
        cluster: found.name.clone(),
        cluster_enabled: enabled(&control_plane.enabled_clusters().borrow(), found.uid.as_deref()),
        cluster_awaited: found.awaited(),
        cluster_reason: found.reason.clone(),
        warnings,
    })
}

/// What would be started, without starting or writing anything.
pub(super) fn dry_run(context: &Context, settings: &Settings, found: &Found) -> Result<(), Failure> {
    let control_plane = settings.control_plane();
    let document = serde_json::json!({
        "dry_run": true,
        "listen": control_plane.listen.to_string(),
        "quic": control_plane.quic.to_string(),
        "data_dir": settings.data_dir,
        "watch": settings.watch,
        "cluster": found.name,
        "cluster_awaited": found.awaited(),
        "cluster_reason": found.reason,
    });
    context.print_either(&document, |view| {
        let mut layout = Layout::new(view);
        layout.line(
            &view.theme.heading("Would start a control plane and this machine's agent; nothing was written"),
        );
        layout.gap();
        layout.fact("operators", &control_plane.listen.to_string());
        layout.fact("agents", &control_plane.quic.to_string());
        layout.fact("data", &settings.data_dir.display().to_string());
        for (at, path) in settings.watch.iter().enumerate() {
            layout.fact(if at == 0 { "watching" } else { "" }, &path.display().to_string());
        }
        layout.fact("cluster", found.name.as_ref().unwrap_or(&format!("none ({})", found.reason)));
        layout.end()
    })
}

/// When a baseline was taken, if that was before this start. The agent counts in whole seconds.
fn older(taken_micros: i64, began: Timestamp) -> Option<Timestamp> {
    let taken = Timestamp::from_microsecond(taken_micros).ok()?;
    (taken_micros != 0 && taken.as_second() < began.as_second()).then_some(taken)
}

/// The remedies that the cluster of this UID is enabled for.
fn enabled<A: ToString>(clusters: &[(String, Vec<A>)], uid: Option<&str>) -> Vec<String> {
    let own = clusters.iter().filter(|(known, _)| Some(known.as_str()) == uid);
    own.flat_map(|(_, actions)| actions).map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_baseline_is_old_when_it_was_taken_before_this_start() {
        let began = "2026-11-22T08:00:00.5Z".parse().unwrap();
        let micros = |text: &str| text.parse::<Timestamp>().unwrap().as_microsecond();
        assert_eq!(older(0, began), None);
        assert_eq!(older(micros("2026-11-22T08:00:00Z"), began), None, "in the second of the start");
        assert_eq!(
            older(micros("2026-11-20T09:00:00Z"), began),
            Some("2026-11-20T09:00:00Z".parse().unwrap())
        );
    }

    #[test]
    fn only_what_the_own_cluster_is_enabled_for_is_told() {
        let clusters =
            [("u1".to_owned(), vec!["restart_pod"]), ("u2".to_owned(), vec!["rollback_deployment"])];
        assert_eq!(enabled(&clusters, Some("u2")), ["rollback_deployment"]);
        assert!(enabled(&clusters, Some("u3")).is_empty() && enabled(&clusters, None).is_empty());
    }
}
