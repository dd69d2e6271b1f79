//! The views of nodes: the list, and one node with what is on it.

use nimbus_api::{List, Node, NodeDetail, NodePod};

use super::layout::Layout;
use super::{View, bytes, count, nodes};
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::Tone;

/// Most pods that are shown; `-o json` has more.
const PODS: usize = 40;

/// The list.
pub fn list(view: &View, page: &List<Node>) -> String {
    if page.items.is_empty() {
        return view.nothing("No nodes: no agent has listed one that was asked for.");
    }
    let mut table = Table::new(vec![
        Column::new("NODE").cut(Cut::End, 16),
        Column::new("STATE"),
        Column::new("CLUSTER").cut(Cut::End, 8).optional(),
        Column::new("PODS").right(),
        Column::new("MEMORY").right(),
        Column::new("INCIDENTS").right(),
        Column::new("AGE").right().optional(),
        Column::new("REASON").cut(Cut::Path, 16).optional(),
    ]);
    for node in &page.items {
        let memory = nodes::share(node.figures.memory_used_bytes, node.figures.memory_bytes);
        table.row(vec![
            Cell::new(&node.name),
            state(node),
            Cell::new(&node.cluster),
            Cell::new(pods(node)),
            nodes::figure(memory.filter(|_| !node.figures.stale)),
            incidents(node.open_incidents),
            Cell::toned(view.clock.age(node.created_at), Tone::Quiet),
            Cell::toned(&node.reason, Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// One node.
pub fn show(view: &View, detail: &NodeDetail) -> String {
    let node = &detail.node;
    let mut layout = Layout::new(view);
    layout.line(&view.theme.heading(&node.name));
    layout.toned_fact("state", tone(node), &words(node)).fact("reason", &node.reason);
    let since = node.since.map(|since| view.clock.full(since));
    layout.fact("since", since.as_deref().unwrap_or("unknown"));
    layout.fact("cluster", &node.cluster).fact("uid", &node.id);
    if node.control_plane {
        layout.fact("role", "part of the cluster's control plane");
    }
    if let Some(job) = &node.held_by {
        let until = detail.held_until.map(|at| format!(", until {} at most", view.clock.moment(at)));
        let text = format!("{job}, a job of Nimbus{}", until.unwrap_or_default());
        layout.toned_fact("held by", Tone::Warn, &text);
    }
    layout.fact("takes", &takes(detail));
    layout.fact("pods", &pods(node)).fact("incidents", &node.open_incidents.to_string());
    match detail.taints.as_deref() {
        None => layout.fact("taints", "unknown: its agent does not say them"),
        Some([]) => layout.fact("taints", "none"),
        Some(taints) => layout.fact("taints", &taints.join(", ")),
    };
    if !detail.marks.is_empty() {
        layout.toned_fact("at work", Tone::Warn, &detail.marks.join(", "));
    }
    for incident in &detail.incidents {
        layout.fact("incident", &format!("{} ({})", incident.title, incident.id));
    }
    for agent in &detail.agents {
        let problem = if agent.problem.is_empty() { String::new() } else { format!(": {}", agent.problem) };
        layout.fact("agent", &format!("{} {}{problem}", agent.name, agent.state));
    }
    let figures = nodes::figures(view, std::slice::from_ref(&node.figures));
    let mut text = format!("{}{}{figures}", layout.end(), nodes::heading(view, "Figures"));
    if !detail.pods_on_it.is_empty() {
        let shown = detail.pods_on_it.get(..PODS).unwrap_or(&detail.pods_on_it);
        text.push_str(&nodes::heading(view, "Pods, those that are not ready first"));
        text.push_str(&on_it(view, shown));
        let more = detail.pods_on_it.len() - shown.len() + detail.pods_left_out as usize;
        if more > 0 {
            let more = count(more as u64, "more pod", "more pods");
            let all = format!("kubectl get pods -A --field-selector spec.nodeName={}", node.name);
            text.push_str(&nodes::more(view, &format!("… and {more}: {all}")));
        }
    }
    text
}

fn on_it(view: &View, pods: &[NodePod]) -> String {
    let mut table = Table::new(vec![
        Column::new("POD").cut(Cut::End, 24),
        Column::new("PHASE"),
        Column::new("READY"),
        Column::new("RESTARTS").right(),
        Column::new("OWNER").cut(Cut::End, 12).optional(),
        Column::new("REASON").cut(Cut::End, 12),
    ]);
    for pod in pods {
        let owner = pod.owner.as_ref().map(|owner| format!("{} {}", owner.kind, owner.name));
        table.row(vec![
            Cell::new(format!("{}/{}", pod.namespace, pod.name)),
            Cell::new(&pod.phase),
            if pod.ready { Cell::new("yes") } else { Cell::toned("no", Tone::Warn) },
            Cell::new(pod.restarts.to_string()),
            Cell::new(owner.as_deref().unwrap_or("nobody")),
            Cell::toned(if pod.reason.is_empty() { "-" } else { &pod.reason }, Tone::Warn),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// `3 processors, 15.2 GiB, 110 pods`.
fn takes(detail: &NodeDetail) -> String {
    let (Some(cpu), Some(memory), Some(pods)) = (detail.cpu_milli, detail.memory_bytes, detail.most_pods)
    else {
        return "unknown: its agent does not say it".to_owned();
    };
    let memory = u64::try_from(memory).unwrap_or_default();
    format!("{}.{:03} processors, {}, {pods} pods in all", cpu / 1_000, cpu % 1_000, bytes(memory))
}

/// `12/13`, or `unknown`.
fn pods(node: &Node) -> String {
    match (node.pods_ready, node.pods) {
        (Some(ready), Some(all)) => format!("{ready}/{all}"),
        _ => "unknown".to_owned(),
    }
}

fn incidents(open: u32) -> Cell {
    Cell::toned(open.to_string(), if open > 0 { Tone::Warn } else { Tone::Plain })
}

fn state(node: &Node) -> Cell {
    Cell::toned(words(node), tone(node))
}

fn words(node: &Node) -> String {
    let state = node.state.replace('_', " ");
    let cordoned = if node.cordoned { ", cordoned" } else { "" };
    let held = if node.held_by.is_some() && !node.cordoned { ", held" } else { "" };
    format!("{state}{cordoned}{held}")
}

fn tone(node: &Node) -> Tone {
    match node.state.as_str() {
        "ready" if node.cordoned || node.held_by.is_some() => Tone::Warn,
        "ready" => Tone::Good,
        "not_ready" => Tone::Bad,
        _ => Tone::Warn,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{read, view};

    const GIB: u64 = 1 << 30;

    fn node(name: &str, state: &str) -> Value {
        json!({
            "id": "6f0f2b7e-0000-4000-8000-000000000001", "created_at": "2026-11-01T08:00:00Z", "name": name,
            "cluster": "kind-dev", "cluster_uid": "5c0f2b7e-0000-4000-8000-000000000001", "kind": "node",
            "state": state, "reason": "", "since": "2026-11-21T08:00:00Z", "cordoned": false, "held_by": null,
            "control_plane": false, "pods": 13, "pods_ready": 12, "open_incidents": 1,
            "figures": {"node": name, "measured_at": "2026-11-22T07:59:00Z", "stale": false,
                "memory_used_bytes": 12 * GIB, "memory_bytes": 16 * GIB, "disk_used_bytes": 40 * GIB,
                "disk_bytes": 100 * GIB, "images_used_bytes": 40 * GIB, "images_bytes": 100 * GIB, "pressures": []},
        })
    }

    #[test]
    fn the_list_fits_80_columns_and_unknown_is_never_shown_as_ready() {
        let mut lost = node("ip-10-0-12-181.eu-central-1.compute.internal", "not_ready");
        lost["reason"] = "Unknown: NodeStatusUnknown".into();
        let mut held = node("worker-2", "ready");
        held["cordoned"] = true.into();
        held["held_by"] = "job_0190a7f0000070008000000000000001".into();
        let mut unknown = node("worker-3", "unknown");
        unknown["reason"] = "unknown: no agent has reported cluster kind-dev yet".into();
        for field in ["pods", "pods_ready", "since"] {
            unknown[field] = Value::Null;
        }
        let page = json!({"items": [lost, held, unknown], "next": null});
        let shown = list(&view(80), &read(page));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        insta::assert_snapshot!("list", shown);
        assert!(list(&view(80), &List { items: Vec::new(), next: None }).starts_with("No nodes"));
    }

    #[test]
    fn a_node_is_shown_with_what_is_on_it() {
        let mut detail = node("worker-1", "ready");
        let pod = |n: u32, ready: bool, reason: &str| {
            json!({"namespace": "shop", "name": format!("web-{n}"), "phase": "Running", "ready": ready,
                   "restarts": n, "reason": reason,
                   "owner": {"kind": "ReplicaSet", "namespace": "shop", "name": "web-6d4cf56db6", "uid": "u"}})
        };
        let mut bare = pod(2, true, "");
        bare["owner"] = Value::Null;
        let more = json!({
            "taints": ["dedicated=gpu:NoSchedule"], "marks": ["kured: annotation weave.works/kured-reboot-in-progress"],
            "held_until": null, "cpu_milli": 3_920, "memory_bytes": 15 * GIB, "most_pods": 110,
            "agents": [{"id": "agt_0190a7f0000070008000000000000001", "name": "nimbus-agent-x7k2p", "node": "worker-1",
                "state": "connected", "version": "0.1.0", "transport": "quic", "leading": false, "problem": ""}],
            "incidents": [], "pods_on_it": [pod(1, false, "CrashLoopBackOff"), bare], "pods_left_out": 3,
        });
        detail.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let shown = show(&view(80), &read(detail.clone()));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        insta::assert_snapshot!("show", shown);
        for field in ["taints", "cpu_milli"] {
            detail[field] = Value::Null;
        }
        let shown = show(&view(80), &read(detail));
        assert_eq!(shown.matches("unknown: its agent does not say").count(), 2, "{shown}");
    }
}
