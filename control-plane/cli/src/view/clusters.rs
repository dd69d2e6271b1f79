//! The views of clusters: the list, and one cluster in detail.

use nimbus_api::{Cluster, ClusterAgent, ClusterDetail, List, RemovedCluster};

use super::layout::Layout;
use super::{View, count, nodes};
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::{Tone, readable};

/// The list.
pub fn list(view: &View, page: &List<Cluster>) -> String {
    if page.items.is_empty() {
        return view.nothing("No clusters: no agent watches one yet.");
    }
    let mut table = Table::new(vec![
        Column::new("NAME").cut(Cut::End, 12),
        Column::new("STATE"),
        Column::new("MODE"),
        Column::new("NODES").right(),
        Column::new("PODS").right(),
        Column::new("INCIDENTS").right(),
        Column::new("AGENTS").right().optional(),
        Column::new("UID").optional(),
        Column::new("REASON").cut(Cut::End, 16).optional(),
    ]);
    for cluster in &page.items {
        table.row(vec![
            Cell::new(&cluster.name),
            health(&cluster.state),
            mode(&cluster.mode, cluster.paused),
            Cell::new(ready(cluster.nodes_ready, cluster.nodes)),
            Cell::new(ready(cluster.pods_ready, cluster.pods)),
            Cell::toned(
                cluster.open_incidents.to_string(),
                if cluster.open_incidents > 0 { Tone::Warn } else { Tone::Plain },
            ),
            Cell::new(format!("{}/{}", cluster.agents_connected, cluster.agents_total)),
            Cell::toned(&cluster.id, Tone::Quiet),
            Cell::toned(&cluster.reason, Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// One cluster.
pub fn show(view: &View, detail: &ClusterDetail) -> String {
    let cluster = &detail.cluster;
    let mut layout = Layout::new(view);
    layout.line(&view.theme.heading(&cluster.name));
    layout.toned_fact("state", tone(&cluster.state), &cluster.state).fact("reason", &cluster.reason);
    layout.fact("uid", &cluster.id).fact("since", &view.clock.full(cluster.created_at));
    layout.fact("nodes", &with_ready(cluster.nodes_ready, cluster.nodes));
    layout.fact("pods", &with_ready(cluster.pods_ready, cluster.pods));
    layout.fact("deployments", &cluster.deployments.map_or_else(|| "unknown".to_owned(), |n| n.to_string()));
    layout.fact("incidents", &cluster.open_incidents.to_string());
    layout.fact("agents", &format!("{} of {} connected", cluster.agents_connected, cluster.agents_total));
    layout.fact("leader", cluster.leader.as_deref().unwrap_or("none: no agent watches its objects now"));
    layout.gap();
    let rules: Vec<String> = cluster.enabled.iter().map(|rule| readable(rule)).collect();
    let (how_far, enable) = match cluster.mode.as_str() {
        "act" => (format!("act: {}", rules.join(", ")), false),
        "recommend" => (format!("recommend, a person is asked for each: {}", rules.join(", ")), false),
        "off" => ("off: nothing of it is an incident".to_owned(), true),
        _ => ("observe: incidents are opened and remedies planned, nothing is changed".to_owned(), true),
    };
    layout.fact("mode", &how_far);
    if cluster.paused {
        layout.toned_fact(
            "paused",
            Tone::Warn,
            "nothing new is begun here; `nimbus status` says by whom and why",
        );
    }
    if enable {
        layout.command(&format!("nimbus autonomous enable --cluster {}", cluster.name));
    }
    let above = format!("{}{}", layout.end(), nodes::show(view, detail));
    if detail.agents.is_empty() {
        return above;
    }
    let mut layout = Layout::new(view);
    layout.heading("Agents");
    let text = format!("{above}\n{}{}", layout.end(), agents(view, &detail.agents));
    match (cluster.agents_total as usize).saturating_sub(detail.agents.len()) {
        0 => text,
        more => format!(
            "{text}\n{}\n",
            view.theme
                .paint(Tone::Quiet, &format!("… and {more} more: `nimbus agents list` has all of them"))
        ),
    }
}

/// The agents of one cluster, by node.
fn agents(view: &View, agents: &[ClusterAgent]) -> String {
    let mut table = Table::new(vec![
        Column::new("NODE").cut(Cut::End, 20),
        Column::new("AGENT").cut(Cut::End, 20).optional(),
        Column::new("STATE"),
        Column::new("VERSION").cut(Cut::End, 12),
        Column::new("BY").optional(),
        Column::new("LEADS").optional(),
        Column::new("PROBLEM").cut(Cut::Path, 30),
    ]);
    for agent in agents {
        table.row(vec![
            Cell::new(if agent.node.is_empty() { "-" } else { &agent.node }),
            Cell::new(&agent.name),
            Cell::word(&agent.state),
            Cell::new(if agent.version.is_empty() { "-" } else { &agent.version }),
            Cell::new(agent.transport.as_deref().unwrap_or("-")),
            Cell::new(if agent.leading { "yes" } else { "-" }),
            Cell::toned(if agent.problem.is_empty() { "-" } else { &agent.problem }, Tone::Warn),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// How far Nimbus may go, and whether it is paused.
pub fn mode(mode: &str, is_paused: bool) -> Cell {
    if is_paused { Cell::toned(format!("{}, paused", readable(mode)), Tone::Warn) } else { Cell::word(mode) }
}

/// A health word in its tone.
pub fn health(state: &str) -> Cell {
    Cell::toned(state, tone(state))
}

/// The tone of a health word; unknown is never shown as healthy.
pub fn tone(state: &str) -> Tone {
    match state {
        "healthy" => Tone::Good,
        "degraded" => Tone::Bad,
        _ => Tone::Warn,
    }
}

/// `3 of 4 ready`, or `unknown`.
fn with_ready(ready: Option<u32>, all: Option<u32>) -> String {
    match (ready, all) {
        (Some(ready), Some(all)) => format!("{ready} of {all} ready"),
        _ => "unknown".to_owned(),
    }
}

/// `3/4`, or `unknown`.
fn ready(ready: Option<u32>, all: Option<u32>) -> String {
    match (ready, all) {
        (Some(ready), Some(all)) => format!("{ready}/{all}"),
        _ => "unknown".to_owned(),
    }
}

/// What would go with a cluster, as a sentence.
pub fn would_go(gone: &RemovedCluster) -> String {
    format!("This forgets cluster {} ({}): {}.", readable(&gone.name), readable(&gone.id), with_it(gone))
}

/// A cluster that was removed, or would be.
pub fn removed(_: &View, gone: &RemovedCluster) -> String {
    if gone.dry_run {
        return format!("{} Nothing was written.\n", would_go(gone));
    }
    format!(
        "Cluster {} ({}) is forgotten: {}. The audit log keeps what was done there. An agent that joins from it later makes it \
         known again, as a new cluster that is only observed.\n",
        readable(&gone.name),
        readable(&gone.id),
        with_it(gone)
    )
}

fn with_it(gone: &RemovedCluster) -> String {
    let mut parts = vec![format!("{} refused from now on", count(gone.agents, "agent is", "agents are"))];
    if gone.watch_files > 0 {
        let files = "files of their own host, which nobody watches then";
        parts.push(format!("{} {files}", count(gone.watch_files, "of them watches", "of them watch")));
    }
    if gone.tokens > 0 {
        parts.push(format!("{} revoked", count(gone.tokens, "join token is", "join tokens are")));
    }
    parts.push(format!("{} over", count(gone.incidents, "incident is", "incidents are")));
    parts.join(", ")
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{read, view};

    pub(crate) fn cluster(name: &str, state: &str) -> Value {
        let known = state != "unknown";
        json!({
            "id": "4f0c2a1e-9c1d-4f5e-8a77-000000000001", "created_at": "2026-11-22T06:00:00Z", "name": name,
            "cluster": name, "kind": "kubernetes", "state": state,
            "reason": if known { "" } else { "no agent is connected" }, "mode": "observe", "enabled": [],
            "agents_total": 1, "agents_connected": u32::from(known), "leader": known.then_some("build-host"),
            "nodes": known.then_some(4), "nodes_ready": known.then_some(3), "pods": known.then_some(112),
            "pods_ready": known.then_some(109), "deployments": known.then_some(12), "open_incidents": 1
        })
    }

    #[test]
    fn what_goes_with_a_cluster_is_said_before_and_after() {
        let gone = json!({"id": "4f0c2a1e", "created_at": "2026-11-22T06:00:00Z", "name": "prod", "agents": 1,
            "watch_files": 1, "tokens": 3, "incidents": 2, "dry_run": true});
        let mut gone: RemovedCluster = read(gone);
        assert_eq!(
            removed(&view(80), &gone),
            "This forgets cluster prod (4f0c2a1e): 1 agent is refused from now on, 1 of them watches files of their own host, which nobody \
             watches then, 3 join tokens are revoked, 2 incidents are over. Nothing was written.\n"
        );
        gone.dry_run = false;
        assert!(
            removed(&view(80), &gone).starts_with("Cluster prod (4f0c2a1e) is forgotten: 1 agent is refused")
        );
    }

    #[test]
    fn what_is_not_known_reads_unknown() {
        let page: List<Cluster> = read(
            json!({"items": [cluster("kind-dev", "degraded"), cluster("edge", "unknown")], "next": null}),
        );
        insta::assert_snapshot!("list_80", list(&view(80), &page));
        insta::assert_snapshot!("list_120", list(&view(120), &page));
        let mut detail = cluster("edge", "unknown");
        insta::assert_snapshot!("show", show(&view(80), &read(detail.clone())));
        let agent = |node: &str, leading: bool, problem: &str| {
            json!({
                "id": format!("agt_{node}"), "name": node, "node": node, "state": "connected", "version": "0.1.0",
                "leading": leading, "problem": problem, "transport": if leading { "quic" } else { "tcp" },
            })
        };
        detail["agents"] = json!([
            agent("node-1", true, ""),
            agent("node-2", false, "expected to read /etc/kubernetes/manifests, found: permission denied"),
        ]);
        detail["agents_total"] = json!(2);
        insta::assert_snapshot!("show_agents", show(&view(80), &read(detail.clone())));
        detail["agents_total"] = json!(1_002);
        let cut = show(&view(80), &read(detail));
        assert!(cut.ends_with("… and 1000 more: `nimbus agents list` has all of them\n"), "{cut}");
    }
}
