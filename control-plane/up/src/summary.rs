//! The text that `nimbus up` prints once everything runs: what was started, where, and what to try next.

use nimbus_cli::output::theme::{Tone, readable};
use nimbus_cli::view::layout::Layout;
use nimbus_cli::view::{View, count};

use crate::started::{Started, Watch};

/// The summary.
pub(super) fn show(view: &View, started: &Started) -> String {
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    layout.line(&format!(
        "{}  {}",
        theme.heading(&format!("Nimbus {} is up", started.version)),
        theme.paint(Tone::Quiet, "(Ctrl-C stops it; started again, it continues)")
    ));
    layout.gap();
    layout.fact("operators", &started.server);
    layout.fact("agents", &format!("{} (QUIC, mutual TLS)", started.quic));
    layout.fact("data", &started.data_dir.display().to_string());
    layout.fact("token", &started.token_file.display().to_string());
    let connected =
        if started.agent_connected { "connected" } else { "not connected yet: see `nimbus status --wait`" };
    let tone = if started.agent_connected { Tone::Plain } else { Tone::Warn };
    layout.toned_fact("this host", tone, &format!("agent {}, {connected}", started.agent));
    for (at, root) in started.watch.iter().enumerate() {
        let tone = if root.problem.is_empty() { Tone::Plain } else { Tone::Warn };
        layout.toned_fact(if at == 0 { "watching" } else { "" }, tone, &watched(view, root));
    }
    if started.watch.is_empty() {
        layout.fact("watching", "no files (--watch PATH)");
    }
    let tone = if started.cluster_awaited { Tone::Warn } else { Tone::Plain };
    layout.toned_fact("cluster", tone, &cluster(started));
    layout.fact("policy", &started.policy_file.display().to_string());
    layout.fact("", "yours to edit; what is watched and enabled is in policy.managed.toml beside it");
    for warning in &started.warnings {
        layout.toned_fact("warning", Tone::Warn, warning);
    }
    layout.heading("Try next, in another terminal");
    for command in commands(started) {
        layout.command(&command);
    }
    layout.gap();
    layout.end()
}

fn cluster(started: &Started) -> String {
    let enabled: Vec<String> = started.cluster_enabled.iter().map(|action| readable(action)).collect();
    match &started.cluster {
        Some(name) if enabled.is_empty() => format!("{name}, observe only until it is enabled"),
        Some(name) => format!("{name}, enabled for {}", enabled.join(", ")),
        None => format!("none ({})", started.cluster_reason),
    }
}

fn watched(view: &View, root: &Watch) -> String {
    let path = root.path.display();
    match (root.problem.as_str(), root.files) {
        ("", Some(files)) => {
            let since = root.baseline_since.map(|since| format!(", taken {}", view.clock.moment(since)));
            let now = || format!(" as first seen now, {}", view.clock.full(view.clock.now));
            let since = since.unwrap_or_else(now);
            format!("{path}: the baseline is {}{since}", count(files, "file", "files"))
        }
        ("", None) => format!("{path}: the first pass is not finished"),
        (problem, _) => format!("{path}: {problem}"),
    }
}

fn commands(started: &Started) -> Vec<String> {
    let nimbus = match (&started.context, started.context_is_current) {
        (Some(_), true) => "nimbus".to_owned(),
        (Some(name), false) => format!("nimbus --context {name}"),
        (None, _) => {
            format!("NIMBUS_TOKEN=$(cat {}) nimbus --server {}", started.token_file.display(), started.server)
        }
    };
    let mut commands = vec![format!("{nimbus} status")];
    if started.watch.iter().any(|root| root.problem.is_empty()) {
        commands.push(format!("{nimbus} drift list            # after changing a watched file"));
        commands.push(format!("{nimbus} drift fix --all       # shows what it will put back, and asks"));
    }
    match &started.cluster {
        Some(cluster) if started.cluster_enabled.is_empty() => {
            commands.push(format!("{nimbus} autonomous enable --cluster {cluster}"));
        }
        Some(_) => commands.push(format!("{nimbus} autonomous history")),
        None if started.cluster_awaited => {
            commands.push(format!("{nimbus} clusters              # it is there once it answered"));
        }
        None => {}
    }
    commands.push(format!("{nimbus} incidents list"));
    commands
}

#[cfg(test)]
mod tests {
    use super::*;
    use nimbus_cli::output::theme::Theme;
    use nimbus_cli::output::time::Clock;

    /// A view of a given width on one fixed morning.
    fn view(width: usize) -> View {
        let clock = Clock { now: "2026-11-22T08:00:00Z".parse().unwrap(), zone: jiff::tz::TimeZone::UTC };
        View { theme: Theme::plain(), clock, width: Some(width), wide: false }
    }

    fn started() -> Started {
        Started {
            version: "0.1.0",
            server: "http://127.0.0.1:7070".into(),
            quic: "127.0.0.1:7071".into(),
            data_dir: "/home/op/.local/share/nimbus/local".into(),
            token_file: "/home/op/.local/share/nimbus/local/operator.token".into(),
            ca_file: "/home/op/.local/share/nimbus/local/ca.pem".into(),
            policy_file: "/home/op/.local/share/nimbus/local/agent/policy.toml".into(),
            managed_policy_file: "/home/op/.local/share/nimbus/local/agent/policy.managed.toml".into(),
            context: Some("local".into()),
            context_is_current: true,
            agent: "build-host".into(),
            agent_connected: true,
            watch: vec![
                Watch {
                    path: "/srv/app".into(),
                    files: Some(3),
                    baseline_since: None,
                    problem: String::new(),
                },
                Watch {
                    path: "/srv/none".into(),
                    files: None,
                    baseline_since: None,
                    problem: "not there now; watched as soon as it is".into(),
                },
            ],
            cluster: None,
            cluster_enabled: Vec::new(),
            cluster_awaited: true,
            cluster_reason:
                "the cluster of context \"dev\" does not answer now; the agent keeps trying. Found: no \
                             answer within 3 s"
                    .into(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn it_says_what_where_and_what_next() {
        insta::assert_snapshot!("host", show(&view(80), &started()));
        let mut other = started();
        other.cluster = Some("kind-dev".into());
        other.context_is_current = false;
        other.cluster_awaited = false;
        other.watch.clear();
        insta::assert_snapshot!("cluster", show(&view(120), &other));
    }

    #[test]
    fn a_baseline_from_an_earlier_start_is_not_said_to_be_first_seen() {
        let mut again = started();
        assert!(show(&view(120), &again).contains("3 files as first seen now"));
        again.watch[0].baseline_since = Some("2026-11-20T09:00:00Z".parse().unwrap());
        let text = show(&view(120), &again);
        assert!(text.contains("the baseline is 3 files, taken 2026-11-20"), "{text}");
        assert!(!text.contains("first seen"), "{text}");
    }

    #[test]
    fn a_cluster_that_is_enabled_is_not_called_observed() {
        let mut other = started();
        other.cluster = Some("kind-dev".into());
        other.cluster_awaited = false;
        other.cluster_enabled = vec!["restart_pod".into(), "rollback_deployment".into()];
        let text = show(&view(120), &other);
        assert!(text.contains("kind-dev, enabled for restart pod, rollback deployment"), "{text}");
        assert!(!text.contains("observe only") && !text.contains("autonomous enable"), "{text}");
    }
}
