//! The view of the whole fleet's status, with the command to type next.

use std::fmt::Write as _;

use nimbus_api::{ControlPlaneReplica, IncidentCounts, Status};

use super::layout::Layout;
use super::{View, autonomous, clusters, count};
use crate::output::theme::Tone;

/// The overview.
pub fn show(view: &View, status: &Status) -> String {
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    let ready =
        if status.ready { theme.paint(Tone::Good, "ready") } else { theme.paint(Tone::Warn, "not ready") };
    let up = view.clock.age(status.started_at);
    let about = format!("Nimbus {} · up {up} · {} · ", status.version, status.storage.kind);
    layout.line(&format!("{}{ready}", theme.paint(Tone::Strong, &about)));
    for pause in &status.paused {
        let text = format!("{}: nothing new is begun there", autonomous::pause_line(view, pause));
        layout.item(&theme.paint(Tone::Warn, "!"), &text);
    }
    for what in &status.waiting_for {
        layout.item(&theme.paint(Tone::Warn, "!"), what);
    }
    for what in &status.notices {
        layout.item(&theme.paint(Tone::Warn, "!"), what);
    }
    layout.gap();
    control_planes(&mut layout, view, &status.control_planes);
    let agents = status.agents;
    let all = agents.connected == agents.total && agents.total > 0;
    let mut text = format!("{} of {} connected", agents.connected, agents.total);
    if agents.revoked > 0 {
        let _ = write!(text, ", {} revoked", agents.revoked);
    }
    layout.toned_fact("Agents", if all { Tone::Good } else { Tone::Warn }, &text);
    for agent in &status.agent_problems {
        let problems = count(agent.count, "problem", "problems");
        let first = if agent.count > 1 { "; the first: " } else { ": " };
        layout.toned_fact(
            "",
            Tone::Warn,
            &format!("{} reports {problems}{first}{}", agent.name, agent.first),
        );
    }
    if status.clusters.is_empty() {
        layout.fact("Clusters", "none watched");
    }
    for (at, cluster) in status.clusters.iter().enumerate() {
        let label = if at == 0 { "Clusters" } else { "" };
        let mut text = format!("{}: {}, {}", cluster.name, cluster.state, mode(&cluster.mode));
        if cluster.open_incidents > 0 {
            let _ = write!(text, ", {}", count(cluster.open_incidents, "incident", "incidents"));
        }
        // The reason often begins with the state's own word.
        let reason = cluster.reason.strip_prefix(&format!("{}: ", cluster.state)).unwrap_or(&cluster.reason);
        if !reason.is_empty() {
            let _ = write!(text, " ({reason})");
        }
        layout.toned_fact(label, clusters::tone(&cluster.state), &text);
    }
    let (tone, text) = incidents(&status.incidents);
    layout.toned_fact("Incidents", tone, &text);
    for (at, bound) in status.bounds.iter().enumerate() {
        layout.toned_fact(if at == 0 { "Not shown" } else { "" }, Tone::Warn, &bound.text);
    }
    let waiting = u64::from(status.waiting_approvals);
    let owed = status.reviews_owed;
    let tone = if waiting > 0 || owed > 0 { Tone::Warn } else { Tone::Plain };
    let mut approvals = if waiting > 0 { format!("{waiting} waiting") } else { "none waiting".to_owned() };
    if owed > 0 {
        let more = if owed >= 100 { " or more" } else { "" };
        let _ = write!(approvals, ", {owed}{more} given alone and not reviewed");
    }
    layout.toned_fact("Approvals", tone, &approvals);
    let tone = if status.drifted_files > 0 { Tone::Warn } else { Tone::Plain };
    let drift = match status.drifted_files {
        0 => "none known".to_owned(),
        1 => "1 file differs from its baseline".to_owned(),
        many => format!("{many} files differ from their baseline"),
    };
    layout.toned_fact("Drift", tone, &drift);
    layout.fact("Jobs", &format!("{} in progress", status.jobs_in_flight));
    let behind = status.storage.log_position - status.storage.log_applied;
    if behind > 0 {
        let late = count(behind.unsigned_abs(), "batch", "batches");
        layout.fact("Log", &format!("{late} stored and not applied yet"));
    }
    layout.end()
}

/// Who leads, and who takes over when that one ends. Where one runs alone, nothing is said.
fn control_planes(layout: &mut Layout<'_>, view: &View, all: &[ControlPlaneReplica]) {
    if all.is_empty() {
        return;
    }
    for (state, label, none) in [
        ("leads", "Leads", ""),
        ("stands_by", "Stands by", "none: nothing takes over when the one that leads ends"),
        ("superseded", "Ends", ""),
    ] {
        let mut label = label;
        for one in all.iter().filter(|one| one.state == state) {
            let (since, seen) = (view.clock.age(one.since), view.clock.age(one.last_seen));
            let text =
                format!("{} at {}, {}, for {since}, seen {seen} ago", one.name, one.address, one.version);
            layout.fact(label, &text);
            label = "";
        }
        if !label.is_empty() {
            layout.toned_fact(label, Tone::Warn, none);
        }
    }
}

/// What an operator may want to type next; `None` when nothing is to be done.
pub fn next(status: &Status) -> Option<String> {
    if status.drifted_files > 0 {
        Some("See what changed: nimbus drift list".to_owned())
    } else if status.waiting_approvals > 0 {
        Some("See what waits for you: nimbus approvals list".to_owned())
    } else if status.reviews_owed > 0 {
        Some("See what was approved alone: nimbus approvals list --unreviewed".to_owned())
    } else if status.incidents.total > 0 {
        Some("See what is wrong: nimbus incidents list".to_owned())
    } else {
        let agent = status.agent_problems.first()?;
        Some(format!("See every problem that it reports: nimbus agents show {}", agent.name))
    }
}

fn mode(mode: &str) -> &str {
    if mode == "observe" { "observe only" } else { mode }
}

fn incidents(counts: &IncidentCounts) -> (Tone, String) {
    let tone = match counts {
        IncidentCounts { total: 0, .. } => Tone::Plain,
        IncidentCounts { critical: 1.., .. } => Tone::Bad,
        _ => Tone::Warn,
    };
    let severities = [(counts.critical, "critical"), (counts.warning, "warning"), (counts.info, "info")];
    let parts: Vec<String> =
        severities.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    let mut text = if counts.total == 0 { "none known".to_owned() } else { parts.join(", ") };
    let states = [
        (counts.escalated, "escalated to a person"),
        (counts.remediating, "being remedied"),
        (counts.waiting_approval, "waiting for approval"),
        (counts.silenced, "silenced"),
    ];
    let states: Vec<String> =
        states.into_iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if !states.is_empty() {
        let _ = write!(text, " ({})", states.join(", "));
    }
    (tone, text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{read, view};

    fn status() -> Value {
        json!({
            "ready": true, "waiting_for": [], "version": "0.1.0", "now": "2026-11-22T08:00:00Z",
            "started_at": "2026-11-22T07:57:00Z", "agents": {"total": 1, "connected": 1, "revoked": 0},
            "agent_problems": [],
            "clusters": [], "incidents": {"total": 0, "critical": 0, "warning": 0, "info": 0, "open": 0,
            "waiting_approval": 0, "remediating": 0, "escalated": 0, "silenced": 0}, "waiting_approvals": 0,
            "jobs_in_flight": 0, "drifted_files": 0,
            "storage": {"kind": "sqlite", "log_position": 12, "log_applied": 12}
        })
    }

    #[test]
    fn a_quiet_fleet() {
        insta::assert_snapshot!("quiet", show(&view(80), &read(status())));
        assert_eq!(next(&read(status())), None);
        let mut troubled = status();
        troubled["agent_problems"] =
            json!([{"id": "agt_1", "name": "edge-1", "count": 2, "first": "no such path"}]);
        assert!(next(&read(troubled)).is_some_and(|text| text.contains("nimbus agents show edge-1")));
    }

    #[test]
    fn several_control_planes_are_named_and_that_nobody_stands_by_is_said() {
        let one = |name: &str, state: &str, since: &str| {
            json!({"id": name, "name": name, "address": "https://0.0.0.0:7070", "version": "0.1.0", "state": state,
                   "since": since, "last_seen": "2026-11-22T07:59:59Z"})
        };
        let mut several = status();
        several["control_planes"] = json!([
            one("nimbus-control-plane-0", "leads", "2026-11-22T05:00:00Z"),
            one("nimbus-control-plane-2", "superseded", "2026-11-22T04:00:00Z"),
            one("nimbus-control-plane-1", "stands_by", "2026-11-21T05:00:00Z"),
        ]);
        insta::assert_snapshot!("several", show(&view(80), &read(several.clone())));
        several["control_planes"] = json!([one("nimbus-control-plane-0", "leads", "2026-11-22T05:00:00Z")]);
        assert!(show(&view(80), &read(several)).contains("nothing takes over"));
    }

    #[test]
    fn a_fleet_with_trouble_says_what_and_how_much() {
        let mut busy = status();
        busy["ready"] = json!(false);
        busy["waiting_for"] = json!(["cluster edge: its first listing is not complete"]);
        busy["agents"]["total"] = json!(2);
        busy["agent_problems"] = json!([
            {"id": "agt_1", "name": "build-host", "count": 1, "first": "watched path /srv/none does not exist"},
            {"id": "agt_2", "name": "edge-1", "count": 3, "first": "pods may not be listed: grant list on pods"}
        ]);
        busy["clusters"] = json!([
            {"id": "u1", "name": "kind-dev", "state": "degraded", "reason": "", "mode": "act", "open_incidents": 2},
            {"id": "u2", "name": "edge", "state": "unknown", "reason": "unknown: no agent is connected", "mode": "observe",
             "open_incidents": 0}
        ]);
        busy["incidents"] = json!({"total": 3, "critical": 1, "warning": 2, "info": 0, "open": 1,
            "waiting_approval": 2, "remediating": 0, "escalated": 0, "silenced": 1});
        busy["waiting_approvals"] = json!(2);
        busy["reviews_owed"] = json!(1);
        busy["drifted_files"] = json!(1);
        busy["storage"]["log_position"] = json!(15);
        let busy: Status = read(busy);
        insta::assert_snapshot!("busy", show(&view(80), &busy));
        assert!(next(&busy).is_some_and(|text| text.contains("drift list")));
    }
}
