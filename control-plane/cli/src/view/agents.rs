//! The views of agents: the list, one agent with its host's health, and a new join token.

use std::collections::BTreeMap;

use nimbus_api::{Agent, AgentDetail, HostHealth, JoinToken, List, Pace};

use super::layout::Layout;
use super::{View, bytes, count};
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::{Tone, readable};

/// The list; does this page continue one before it?
pub fn list(view: &View, page: &List<Agent>, continues: bool) -> String {
    if page.items.is_empty() {
        return view
            .nothing("No agents: `nimbus agents token create --name NAME` makes the token for the first.");
    }
    // Cluster by cluster, and node by node in it; what watches a host alone comes last.
    let mut groups: BTreeMap<(bool, &str), Vec<&Agent>> = BTreeMap::new();
    for agent in &page.items {
        let cluster = agent.cluster.as_deref();
        groups.entry((cluster.is_none(), cluster.unwrap_or_default())).or_default().push(agent);
    }
    for agents in groups.values_mut() {
        agents.sort_by_key(|agent| (&agent.node, &agent.name));
    }
    if let [(_, agents)] = groups.iter().collect::<Vec<_>>().as_slice() {
        return table(view, agents);
    }
    let shown = groups.into_iter().map(|((_, cluster), agents)| {
        let connected = agents.iter().filter(|agent| agent.state == "connected").count();
        let those = agents.iter().filter(|agent| agent.state != "revoked").count();
        let of = if cluster.is_empty() { "no cluster".to_owned() } else { format!("cluster {cluster}") };
        // Another page may have more of the same cluster.
        let shown = if continues || page.next.is_some() { " shown here" } else { "" };
        let all = count(those as u64, "agent", "agents");
        let heading = format!("{of}: {connected} of {all}{shown} connected");
        format!("{}\n{}", view.theme.heading(&heading), table(view, &agents))
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// A table of agents.
fn table(view: &View, agents: &[&Agent]) -> String {
    let mut table = Table::new(vec![
        // A problem is what an operator looks for: the columns behind it give way first.
        Column::new("NAME").cut(Cut::End, 12),
        Column::new("STATE"),
        Column::new("AGE").right(),
        Column::new("PROBLEM").cut(Cut::Path, 48),
        Column::new("CLUSTER").cut(Cut::End, 8).optional(),
        Column::new("WATCHES").cut(Cut::Start, 12).optional(),
        Column::new("NODE").cut(Cut::End, 12).optional(),
        Column::new("KIND").optional(),
        Column::new("LEADS").optional(),
        Column::new("VERSION").cut(Cut::End, 12).optional(),
        Column::new("ID").optional(),
    ]);
    let ids = view.ids(&agents.iter().map(|i| i.id.as_str()).collect::<Vec<_>>());
    for (id, agent) in ids.into_iter().zip(agents) {
        table.row(vec![
            Cell::new(&agent.name),
            Cell::word(&agent.state),
            Cell::toned(view.clock.age(agent.created_at), Tone::Quiet),
            Cell::toned(if agent.reason.is_empty() { "-" } else { &agent.reason }, Tone::Warn),
            Cell::new(agent.cluster.as_deref().unwrap_or("-")),
            Cell::new(watches(agent)),
            Cell::new(agent.node.as_deref().unwrap_or("-")),
            Cell::new(&agent.kind),
            Cell::new(if agent.leading { "yes" } else { "-" }),
            Cell::new(&agent.version),
            Cell::toned(id, Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// One agent.
pub fn show(view: &View, detail: &AgentDetail) -> String {
    let agent = &detail.agent;
    let mut layout = Layout::new(view);
    layout.line(&view.theme.heading(&agent.name));
    layout.line(&format!(
        "  {} · {}",
        view.theme.word(&agent.state),
        view.theme.paint(Tone::Quiet, &agent.id)
    ));
    layout.gap();
    layout.fact("reason", &agent.reason).fact("kind", &agent.kind).fact("host", &agent.hostname);
    if let Some(pod) = &agent.pod {
        let node = agent.node.as_deref().unwrap_or("a node that the API server does not name");
        layout.fact("pod", &format!("{pod} on {node}"));
    }
    layout.fact("version", &agent.version).fact("enrolled", &view.clock.full(agent.created_at));
    if let Some(transport) = &agent.transport {
        layout.fact("transport", transport);
    }
    if let Some(cluster) = &agent.cluster {
        let role = if agent.leading { "leads: it watches the cluster's objects" } else { "stands by" };
        layout.fact("cluster", &format!("{cluster} ({role}; lease term {})", detail.lease_term));
    }
    let allowed: Vec<String> = agent.allowed_actions.iter().map(|action| readable(action)).collect();
    let allowed =
        if allowed.is_empty() { "nothing: it only observes".to_owned() } else { allowed.join(", ") };
    let automatic: Vec<String> = agent.automatic_actions.iter().map(|action| readable(action)).collect();
    let automatic = match automatic.as_slice() {
        [] => String::new(),
        some => format!("; {} also on a rule's word, without a person's", some.join(", ")),
    };
    layout.fact("its policy", &format!("allows {allowed}{automatic}")).fact("takes", &budget(agent.pace));
    if agent.dropped > 0 {
        let lost = count(agent.dropped, "observation", "observations");
        layout.toned_fact(
            "dropped",
            Tone::Warn,
            &format!("{lost}: they never came, or were dropped as already had"),
        );
    }
    if !agent.roots.is_empty() {
        layout.heading("Watched paths");
        for root in &agent.roots {
            let well = root.problem.is_empty();
            let mark =
                if well { view.theme.paint(Tone::Good, "✓") } else { view.theme.paint(Tone::Warn, "!") };
            let since =
                root.baseline_since.map(|at| format!(", the baseline as first seen {}", view.clock.full(at)));
            let files = || format!("{}{}", count(root.files, "file", "files"), since.unwrap_or_default());
            let what = if well { files() } else { root.problem.clone() };
            layout.item(&mark, &format!("{}  {what}", root.path));
        }
    }
    if let Some(paused) = &agent.paused {
        layout.heading("Paused");
        let text = format!("{paused}; `nimbus-agent resume` there lets it go on");
        layout.item(&view.theme.paint(Tone::Warn, "!"), &text);
    }
    if !agent.problems.is_empty() {
        layout.heading("Problems");
        for problem in &agent.problems {
            layout.item(&view.theme.paint(Tone::Warn, "!"), problem);
        }
    }
    layout.heading("Host");
    match &detail.host {
        Some(host) => add_host(&mut layout, view, host),
        None => {
            layout.paragraph("unknown: no sample has arrived");
        }
    }
    add_units(&mut layout, view, detail);
    layout.end()
}

/// How many jobs it takes.
fn budget(pace: Pace) -> String {
    match (pace.jobs_per_hour, pace.jobs_left) {
        (Some(hourly), Some(left)) => {
            format!(
                "{} an hour (`jobs_per_hour` in its policy), {left} more now",
                count(hourly, "job", "jobs")
            )
        }
        (Some(_), None) | (None, _) => "unknown: it does not say how many jobs an hour".to_owned(),
    }
}

/// A new join token: the only time its secret is shown.
pub fn token(view: &View, token: &JoinToken) -> String {
    let mut layout = Layout::new(view);
    layout.line(&view.theme.heading(&format!("Join token for {} ({})", token.name, token.kind)));
    layout.line(&format!("  {}", view.theme.paint(Tone::Note, &token.token)));
    layout.gap();
    let times = if token.uses == 1 { "once".to_owned() } else { count(token.uses, "time", "times") };
    layout.fact(
        "use it",
        &format!(
            "{times}, before {} (in {})",
            view.clock.moment(token.expires_at),
            view.clock.until(token.expires_at)
        ),
    );
    if let Some(cluster) = &token.cluster {
        layout.fact("speaks for", &format!("cluster {cluster} alone"));
    }
    layout.fact("shown", "now and never again: only its hash is kept");
    let watches = if token.kind == "cluster" { "--kubeconfig FILE" } else { "--watch PATH" };
    layout.heading(if token.kind == "cluster" {
        "Run where its API server can be reached"
    } else {
        "Run on that host"
    });
    // In the environment, because others can read a command line; a directory of its own, because an agent is one
    // identity, and more than one may live on a host.
    layout.command(&format!(
        "NIMBUS_JOIN_TOKEN={} nimbus-agent --server {} --data-dir /var/lib/nimbus-agent-{} {watches}",
        token.token,
        token.server.as_deref().unwrap_or("HOST:PORT"),
        token.name
    ));
    layout.end()
}

fn watches(agent: &Agent) -> String {
    match agent.roots.as_slice() {
        [] => "-".to_owned(),
        [one] => one.path.clone(),
        several => count(several.len() as u64, "path", "paths"),
    }
}

fn add_host(layout: &mut Layout<'_>, view: &View, host: &HostHealth) {
    let seen = host.at.map_or_else(|| "unknown".to_owned(), |at| format!("{} ago", view.clock.age(at)));
    layout.fact("sample", &seen).fact("system", &format!("{}, kernel {}", host.os, host.kernel));
    let [one, five, fifteen] = host.load;
    layout.fact("cpu", &format!("{:.1} % of {}", host.cpu_percent, count(host.cores, "core", "cores")));
    layout.fact("load", &format!("{one:.2} {five:.2} {fifteen:.2}"));
    let of = |free: u64, all: u64| format!("{} free of {}", bytes(free), bytes(all));
    layout.fact("memory", &of(host.memory_available_bytes, host.memory_total_bytes));
    if host.swap_total_bytes > 0 {
        let free = host.swap_total_bytes.saturating_sub(host.swap_used_bytes);
        layout.fact("swap", &of(free, host.swap_total_bytes));
    }
    for disk in &host.disks {
        layout.fact(
            "disk",
            &format!("{} ({}): {}", disk.mount, disk.filesystem, of(disk.available_bytes, disk.total_bytes)),
        );
    }
    layout.fact("processes", &host.processes.to_string());
    let uptime = jiff::SignedDuration::from_secs(i64::try_from(host.uptime_seconds).unwrap_or(i64::MAX));
    layout.fact("up", &crate::output::time::span(uptime));
}

/// The units of systemd: those that failed with what is in the way of their start.
fn add_units(layout: &mut Layout<'_>, view: &View, detail: &AgentDetail) {
    if detail.units.is_empty() && detail.units_not_listed == 0 {
        return;
    }
    layout.heading("Units");
    for unit in &detail.units {
        let (tone, sign) = if unit.failed { (Tone::Bad, "x") } else { (Tone::Good, "+") };
        let since = view.clock.age(unit.since);
        let obstacle = match unit.obstacle.as_str() {
            "" => String::new(),
            why => format!("; not started by Nimbus: {why}"),
        };
        layout.item(
            &view.theme.paint(tone, sign),
            &format!("{} {}, for {since}{obstacle}", unit.name, unit.state),
        );
    }
    if detail.units_not_listed > 0 {
        layout.paragraph(&format!("{} more are not shown", detail.units_not_listed));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{id, read, view};

    pub(crate) fn agent() -> Value {
        json!({
            "id": id("agt", 1), "created_at": "2026-11-22T07:00:00Z", "name": "build-host", "kind": "cluster",
            "state": "connected", "reason": "", "cluster": "kind-dev", "cluster_uid": "u1",
            "hostname": "build-host", "version": "0.1.0", "leading": true,
            "allowed_actions": ["restart_pod", "restore_file"],
            "roots": [{"path": "/srv/app", "files": 3, "problem": ""},
                      {"path": "/srv/none", "files": 0, "problem": "expected a file or directory, found nothing"}],
            "problems": ["watched path /srv/none does not exist"], "dropped": 0, "revoked_at": null
        })
    }

    #[test]
    fn agents_read_well_at_two_widths() {
        let mut lost = agent();
        lost["name"] = json!("edge-1");
        lost["state"] = json!("disconnected");
        lost["reason"] = json!("no session; last heard of 5 minutes ago");
        lost["roots"] = json!([]);
        lost["leading"] = json!(false);
        let page: List<Agent> = read(json!({"items": [agent(), lost], "next": null}));
        insta::assert_snapshot!("list_80", list(&view(80), &page, false));
        insta::assert_snapshot!("list_120", list(&view(120), &page, false));
    }

    #[test]
    fn agents_of_several_clusters_are_grouped_and_by_node() {
        let of = |name: &str, cluster: Value, node: Value| {
            let mut it = agent();
            (it["name"], it["cluster"], it["node"]) = (json!(name), cluster, node);
            it
        };
        let items = [
            of("db-1", Value::Null, Value::Null),
            of("node-2", json!("prod"), json!("node-2")),
            of("edge-1", json!("edge"), json!("edge-1")),
            of("node-1", json!("prod"), json!("node-1")),
        ];
        let page: List<Agent> = read(json!({"items": items, "next": null}));
        let shown = list(&view(80), &page, false);
        let part = list(&view(80), &page, true);
        assert!(part.contains(" shown here connected") && !shown.contains("shown here"), "{part}");
        let places = [
            "cluster edge: 1 of 1 agent",
            "edge-1",
            "cluster prod: 2 of 2 agents",
            "node-1",
            "node-2",
            "no cluster",
        ];
        let found: Vec<_> = places.iter().map(|text| shown.find(text)).collect();
        assert!(found.iter().all(Option::is_some) && found.is_sorted(), "{shown}");
    }

    #[test]
    fn one_agent_with_its_host() {
        let mut detail = agent();
        detail["lease_term"] = json!(4);
        detail["host"] = json!({
            "at": "2026-11-22T07:59:50Z", "os": "Debian 13", "kernel": "6.12.1", "cores": 2, "cpu_percent": 7.25,
            "load": [0.1, 0.25, 0.3], "memory_total_bytes": 17_179_869_184_u64,
            "memory_available_bytes": 12_884_901_888_u64, "swap_total_bytes": 0, "swap_used_bytes": 0,
            "processes": 143, "uptime_seconds": 86_400,
            "disks": [{"mount": "/", "filesystem": "ext4", "total_bytes": 107_374_182_400_u64,
                       "available_bytes": 53_687_091_200_u64}]
        });
        let unit = |name: &str, state: &str, failed: bool, obstacle: &str| {
            json!({
                "name": name, "state": state, "failed": failed, "since": "2026-11-22T07:40:00Z", "obstacle": obstacle
            })
        };
        detail["units"] = json!([
            unit("shop.service", "failed (exit-code)", true, ""),
            unit("web.service", "failed (signal)", true, "\"web.service\" is not in this agent's `units`"),
            unit("db.service", "active (running)", false, ""),
        ]);
        detail["units_not_listed"] = json!(2);
        insta::assert_snapshot!("show", show(&view(80), &read(detail.clone())));
        detail["host"] = Value::Null;
        assert!(show(&view(80), &read(detail)).contains("unknown: no sample has arrived"));
    }

    #[test]
    fn a_token_says_how_and_how_often_it_is_used() {
        let mut made = json!({
            "id": id("tok", 1), "created_at": "2026-11-22T08:00:00Z", "name": "edge-1", "kind": "vpc",
            "expires_at": "2026-11-22T08:15:00Z", "token": "nimbus1.tok_x.SECRET.FINGERPRINT",
            "server": "127.0.0.1:7071"
        });
        insta::assert_snapshot!("token", token(&view(80), &read(made.clone())));
        made["kind"] = json!("cluster");
        let command =
            " nimbus-agent --server 127.0.0.1:7071 --data-dir /var/lib/nimbus-agent-edge-1 --kubeconfig FILE";
        assert!(token(&view(80), &read(made)).contains(command), "a cluster's agent is pointed at one");
    }
}
