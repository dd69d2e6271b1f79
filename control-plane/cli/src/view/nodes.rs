//! The view of a cluster's nodes: the latest figures that their kubelets measured.

use jiff::Timestamp;
use nimbus_api::{ClusterDetail, ContainerNearLimit, NodeFigures};

use super::layout::Layout;
use super::{View, bytes};
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::Tone;

/// Most containers near their limit that are shown; `-o json` has more.
const CONTAINERS: usize = 10;

/// The nodes of one cluster, and its containers near their memory limit; empty where no node is known.
pub fn show(view: &View, detail: &ClusterDetail) -> String {
    if detail.node_figures.is_empty() {
        return String::new();
    }
    let mut text = format!("{}{}", heading(view, "Nodes"), figures(view, &detail.node_figures));
    if detail.nodes_left_out > 0 {
        text.push_str(&more(view, &format!("… and {} more nodes", detail.nodes_left_out)));
    }
    let near = &detail.near_memory_limit;
    if !near.is_empty() {
        text.push_str(&heading(view, "Containers near their memory limit"));
        text.push_str(&containers(view, near.get(..CONTAINERS).unwrap_or(near)));
        let left_out = near.len().saturating_sub(CONTAINERS) + detail.near_memory_limit_left_out as usize;
        if left_out > 0 {
            text.push_str(&more(view, &format!("… and {left_out} more: `-o json` has the first of them")));
        }
    }
    text
}

/// A heading with a line before it.
pub(super) fn heading(view: &View, text: &str) -> String {
    let mut layout = Layout::new(view);
    layout.heading(text);
    format!("\n{}", layout.end())
}

/// That there is more, under a table.
pub(super) fn more(view: &View, text: &str) -> String {
    format!("\n{}\n", view.theme.paint(Tone::Quiet, text))
}

/// The figures of nodes, one in a line.
pub(super) fn figures(view: &View, nodes: &[NodeFigures]) -> String {
    let mut table = Table::new(vec![
        Column::new("NODE").cut(Cut::End, 16),
        Column::new("MEMORY").right(),
        Column::new("DISK").right(),
        Column::new("IMAGES").right(),
        Column::new("SHORT OF").cut(Cut::End, 8),
        Column::new("MEASURED").right(),
    ]);
    for node in nodes {
        let short = pressures(node.pressures.as_deref());
        table.row(vec![
            Cell::new(&node.node),
            figure(share_of(node.memory_used_bytes, node.memory_bytes)),
            figure(share(node.disk_used_bytes, node.disk_bytes)),
            figure(share(node.images_used_bytes, node.images_bytes)),
            Cell::toned(&short, if short == "nothing" { Tone::Plain } else { Tone::Warn }),
            measured(view, node.measured_at, node.stale),
        ]);
    }
    table.render(&view.theme, view.width)
}

fn containers(view: &View, near: &[ContainerNearLimit]) -> String {
    let mut table = Table::new(vec![
        Column::new("NODE").cut(Cut::End, 12).optional(),
        Column::new("POD").cut(Cut::End, 20),
        Column::new("CONTAINER").cut(Cut::End, 12),
        Column::new("MEMORY").right(),
    ]);
    for one in near {
        table.row(vec![
            Cell::new(&one.node),
            Cell::new(format!("{}/{}", one.namespace, one.pod)),
            Cell::new(&one.container),
            figure(share_of(Some(one.memory_used_bytes), Some(one.memory_limit_bytes))),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// A figure, or that it is not known.
pub(super) fn figure(known: Option<String>) -> Cell {
    known.map_or_else(|| Cell::toned("unknown", Tone::Warn), Cell::new)
}

/// `76 % of 16.0 GiB`, cut and not rounded; `None` where that is not known.
fn share_of(used: Option<u64>, all: Option<u64>) -> Option<String> {
    Some(format!("{} of {}", share(used, all)?, bytes(all?)))
}

/// `76 %`; more than all of it is said as it is.
pub(super) fn share(used: Option<u64>, all: Option<u64>) -> Option<String> {
    let percent = (u128::from(used?) * 100).checked_div(u128::from(all?))?;
    Some(format!("{percent} %"))
}

/// `disk, memory`, by the conditions `DiskPressure` and `MemoryPressure`.
fn pressures(known: Option<&[String]>) -> String {
    let Some(pressures) = known else { return "unknown".to_owned() };
    let words: Vec<String> = pressures
        .iter()
        .map(|condition| match condition.strip_suffix("Pressure").unwrap_or(condition) {
            "PID" => "process ids".to_owned(),
            other => other.to_lowercase(),
        })
        .collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// How long ago; with `stale` where that is too long to say anything of now.
fn measured(view: &View, at: Option<Timestamp>, stale: bool) -> Cell {
    match at {
        None => Cell::toned("never", Tone::Warn),
        Some(at) if stale => Cell::toned(format!("stale, {}", view.clock.age(at)), Tone::Warn),
        Some(at) => Cell::new(view.clock.age(at)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::sample::{read, view};

    #[test]
    fn a_node_s_figures_fit_80_columns_and_what_is_not_known_reads_unknown() {
        const GIB: u64 = 1 << 30;
        let mut detail = crate::view::clusters::tests::cluster("kind-dev", "healthy");
        assert_eq!(
            show(&view(80), &read(detail.clone())),
            "",
            "an older control plane says nothing of nodes"
        );
        detail["node_figures"] = json!([
            {"node": "ip-10-0-12-181.eu-central-1.compute.internal", "measured_at": "2026-11-22T07:59:00Z", "stale": false,
             "memory_used_bytes": 12 * GIB, "memory_bytes": 16 * GIB, "disk_used_bytes": 95 * GIB, "disk_bytes": 100 * GIB,
             "images_used_bytes": 95 * GIB, "images_bytes": 100 * GIB, "pressures": ["DiskPressure", "PIDPressure"]},
            {"node": "node-2", "measured_at": "2026-11-22T05:00:00Z", "stale": true, "memory_used_bytes": GIB,
             "memory_bytes": 1024 * GIB, "disk_used_bytes": null, "disk_bytes": 100 * GIB, "images_used_bytes": 0,
             "images_bytes": 0, "pressures": []},
            {"node": "node-3", "measured_at": null, "stale": false, "memory_used_bytes": null, "memory_bytes": null,
             "disk_used_bytes": null, "disk_bytes": null, "images_used_bytes": null, "images_bytes": null,
             "pressures": null},
        ]);
        let near = |n: u64| {
            json!({"node": "node-2", "namespace": "shop", "pod": format!("web-{n}"), "container": "web",
                   "memory_used_bytes": (1_100 - n) * 1024 * 1024, "memory_limit_bytes": GIB})
        };
        detail["near_memory_limit"] = (0..12).map(near).collect();
        detail["near_memory_limit_left_out"] = json!(3);
        let shown = show(&view(80), &read(detail.clone()));
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        insta::assert_snapshot!("nodes", shown);
        assert!(shown.contains("… and 5 more"), "{shown}");
        detail["nodes_left_out"] = json!(7);
        assert!(show(&view(80), &read(detail)).contains("… and 7 more nodes"));
    }
}
