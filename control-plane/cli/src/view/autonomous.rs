//! The views of autonomous operation: what Nimbus may do by itself, and what it has done.

use nimbus_api::{AutonomousStatus, HistoryItem, List, Pause, Period, Rule};

use super::layout::Layout;
use super::{View, count};
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::{Tone, readable};

/// Cluster by cluster.
pub fn status(view: &View, page: &List<AutonomousStatus>) -> String {
    if page.items.is_empty() {
        return view.nothing("No clusters: there is nothing to enable. Watched files need no enabling.");
    }
    let mut table = Table::new(vec![
        Column::new("CLUSTER").cut(Cut::End, 12),
        Column::new("MODE"),
        Column::new("ENABLED").cut(Cut::End, 16),
        Column::new("JOBS").right(),
        Column::new("WAITING").right(),
        Column::new("REASON").cut(Cut::End, 16).optional(),
    ]);
    for item in &page.items {
        let enabled: Vec<String> = item.enabled.iter().map(|rule| readable(rule)).collect();
        table.row(vec![
            Cell::new(&item.cluster),
            super::clusters::mode(&item.state, item.paused),
            Cell::new(if enabled.is_empty() { "-".to_owned() } else { enabled.join(", ") }),
            Cell::new(item.jobs_in_flight.to_string()),
            Cell::new(item.waiting_approvals.to_string()),
            Cell::toned(&item.reason, Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// What is allowed after `enable`, or would be.
pub fn enabled(view: &View, item: &AutonomousStatus, rules: &List<Rule>, dry_run: bool) -> String {
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    let would = if dry_run { " would be" } else { "" };
    layout.line(&theme.heading(&format!("Autonomous operations{would} enabled in {}", item.cluster)));
    layout.gap();
    for rule in rules.items.iter().filter(|rule| rule.per_cluster) {
        let on = rule.action.as_ref().is_some_and(|action| item.enabled.contains(action));
        let mark = if on { theme.paint(Tone::Good, "✓") } else { theme.paint(Tone::Quiet, "·") };
        let how = match (on, item.state.as_str(), rule.state.as_str()) {
            (false, ..) => "not enabled",
            (true, _, "off") => "its rule is off",
            (true, "act", "automatic") => "automatic",
            (true, ..) => "after approval",
        };
        layout.gap().item(&mark, &format!("{} ({how}): {}", readable(&rule.id), rule.summary));
        if on {
            for limit in &rule.limits {
                layout.under(limit);
            }
        }
    }
    layout.gap().paragraph("Everything else in this cluster is watched and reported, never changed.");
    if item.state == "recommend" {
        layout.paragraph(
            "A person is asked for each remedy. To let those go by themselves that need nobody's approval:",
        );
        layout.command(&format!("nimbus autonomous enable --cluster {} --mode act", item.cluster));
    }
    layout.command("nimbus autonomous history");
    layout.command(&format!("nimbus autonomous disable --cluster {}", item.cluster));
    layout.end()
}

/// What remains enabled after `disable`.
pub fn disabled(view: &View, item: &AutonomousStatus, dry_run: bool) -> String {
    let mut layout = Layout::new(view);
    let (is, would) = if dry_run { ("would be", "would only be") } else { ("is", "is only") };
    if item.state == "off" {
        layout.line(&format!(
            "{} {is} off: its agents report, and nothing of it is an incident.",
            item.cluster
        ));
    } else if item.state == "observe" || item.enabled.is_empty() {
        layout.line(&format!("{} {would} observed: nothing in it is changed.", item.cluster));
    } else {
        let left: Vec<String> = item.enabled.iter().map(|rule| readable(rule)).collect();
        layout.line(&format!("In {} there {is} still enabled: {}.", item.cluster, left.join(", ")));
    }
    if item.jobs_in_flight > 0 {
        layout.line(&format!(
            "{} already sent and will still report.",
            count(item.jobs_in_flight, "job was", "jobs were")
        ));
    }
    layout.end()
}

/// What holds after a pause, or would.
pub fn paused(view: &View, pauses: &List<Pause>, dry_run: bool) -> String {
    let mut layout = Layout::new(view);
    let heading = if dry_run { "Nothing new would be begun in:" } else { "Nothing new is begun in:" };
    layout.line(&view.theme.heading(heading));
    each(view, &mut layout, pauses);
    layout.gap().paragraph(
        "What was begun is finished and, where it did not help, undone. Nimbus goes on watching, planning and asking. Agents \
         keep the pause, also while they have no control plane.",
    );
    for pause in &pauses.items {
        layout.command(&format!("nimbus autonomous resume {}", place_option(pause)));
    }
    layout.end()
}

/// What still holds after one was ended, or would.
pub fn resumed(view: &View, pauses: &List<Pause>, dry_run: bool) -> String {
    let mut layout = Layout::new(view);
    if pauses.items.is_empty() {
        let is = if dry_run { "would be" } else { "is" };
        layout.line(&format!("Nothing {is} paused any more."));
    } else {
        let is = if dry_run { "would still be" } else { "is still" };
        layout.line(&view.theme.heading(&format!("This {is} paused:")));
        each(view, &mut layout, pauses);
    }
    layout.end()
}

fn each(view: &View, layout: &mut Layout<'_>, pauses: &List<Pause>) {
    for pause in &pauses.items {
        layout.item(&view.theme.paint(Tone::Warn, "!"), &pause_line(view, pause));
    }
}

/// "cluster prod, paused by operator 5 min ago: disks are moved"
pub fn pause_line(view: &View, pause: &Pause) -> String {
    let what =
        pause.cluster.as_ref().map_or_else(|| "the whole fleet".to_owned(), |name| format!("cluster {name}"));
    let because = if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
    let until =
        pause.until.map_or_else(String::new, |until| format!(", for another {}", view.clock.until(until)));
    let beneath = pause.beneath.iter().map(|other| {
        let until =
            other.until.map_or_else(String::new, |until| format!(" for another {}", view.clock.until(until)));
        format!("; and by {}{until}", other.by)
    });
    let beneath: String = beneath.collect();
    let age = view.clock.age(pause.created_at);
    format!("{what}, paused by {} {age} ago{until}{because}{beneath}", pause.by)
}

fn place_option(pause: &Pause) -> String {
    pause.cluster.as_ref().map_or_else(|| "--fleet".to_owned(), |name| format!("--cluster {name}"))
}

/// The windows and blackouts.
pub fn calendar(view: &View, page: &List<Period>) -> String {
    if page.items.is_empty() {
        return view
            .nothing("No windows and no blackouts: what the rules and people allow is begun at any time.");
    }
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    for item in &page.items {
        let mark = match (item.kind.as_str(), item.state.as_str()) {
            ("blackout", "now") => theme.paint(Tone::Warn, "!"),
            ("window", "now") => theme.paint(Tone::Good, "✓"),
            _ => theme.paint(Tone::Quiet, "·"),
        };
        let changes = |word: &str| item.changes_at.map(|at| format!(", {word} {}", view.clock.until(at)));
        let state = match item.state.as_str() {
            "now" => format!("now{}", changes("for another").unwrap_or_default()),
            state => format!("{state}{}", changes("in").unwrap_or_default()),
        };
        let actions: Vec<String> = item.actions.iter().map(|action| readable(action)).collect();
        let actions = if actions.is_empty() { "every action".to_owned() } else { actions.join(", ") };
        let places = if item.clusters.is_empty() {
            "everywhere".to_owned()
        } else {
            format!("in {}", item.clusters.join(", "))
        };
        layout.item(&mark, &format!("{} {}: {state}", item.kind, item.name));
        layout.under(&item.when);
        layout.under(&format!("{actions}, {places}"));
    }
    layout.end()
}

/// The remedies.
pub fn rules(view: &View, page: &List<Rule>) -> String {
    let theme = &view.theme;
    if !view.wide {
        let mut layout = Layout::new(view);
        for rule in &page.items {
            let how = match rule.state.as_str() {
                "automatic" => "automatic",
                "approval" => "asks a person",
                "recommend" => "only recommends",
                "off" => "off",
                other => other,
            };
            layout.gap().line(&format!("{}  {}", theme.heading(&rule.id), theme.paint(Tone::Quiet, how)));
            layout.paragraph(&rule.summary);
            for limit in &rule.limits {
                layout.item(&theme.paint(Tone::Quiet, "-"), limit);
            }
            let place = match (&rule.action, rule.per_cluster, rule.enabled_in.is_empty()) {
                (None, ..) => String::new(),
                (Some(_), false, _) => "every host whose agent's own policy allows it".to_owned(),
                (Some(_), true, true) => "no cluster yet".to_owned(),
                (Some(_), true, false) => rule.enabled_in.join(", "),
            };
            layout.fact("enabled on", &place);
        }
        return layout.end();
    }
    let columns = ["RULE", "HOW", "ANSWERS", "ENABLED IN", "SUMMARY"];
    let mut table = Table::new(columns.into_iter().map(Column::new).collect());
    for rule in &page.items {
        let place = rule.enabled_in.join(", ");
        table.row([&rule.id, &rule.state, &rule.kind, &place, &rule.summary].map(Cell::new).to_vec());
    }
    table.render(theme, view.width)
}

/// What was tried, newest first: a line each, with the reason of its state.
pub fn history(view: &View, page: &List<HistoryItem>) -> String {
    if page.items.is_empty() {
        return view.nothing("Nothing was done yet.");
    }
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    for item in &page.items {
        let (mark, tone) = match item.state.as_str() {
            "succeeded" => ("✓", Tone::Good),
            "failed" | "unknown" => ("✗", Tone::Bad),
            "refused" | "expired" | "compensated" => ("!", Tone::Warn),
            _ => ("…", Tone::Note),
        };
        let how = match (item.automatic, &item.approval_id) {
            (true, _) => "automatic",
            (false, Some(_)) => "approved",
            (false, None) => "ordered by an operator",
        };
        layout.item(
            &theme.paint(tone, mark),
            &format!(
                "{}  {}: {} on {} ({how}, {})",
                view.clock.moment(item.created_at),
                readable(&item.kind),
                item.object,
                item.cluster,
                readable(&item.state)
            ),
        );
        if !item.reason.is_empty() {
            layout.under(&item.reason);
        }
        if view.wide {
            layout.under(&format!("{} for {}", item.id, item.incident_id));
        }
    }
    layout.end()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{id, read, view};

    fn cluster() -> Value {
        json!({
            "id": "u1", "created_at": "2026-11-22T06:00:00Z", "cluster": "kind-dev", "state": "act", "reason": "",
            "enabled": ["restart_pod"], "forbidden": [], "storm": false, "jobs_in_flight": 1, "waiting_approvals": 0
        })
    }

    fn known_rules() -> List<Rule> {
        let rule = |word: &str, state: &str, summary: &str, limits: &[&str], per_cluster: bool| {
            json!({"id": word, "created_at": "2026-11-01T00:00:00Z", "kind": "pod_crash_loop", "state": state,
                   "action": word, "summary": summary, "limits": limits, "per_cluster": per_cluster,
                   "enabled_in": if word == "restart_pod" { vec!["kind-dev"] } else { vec![] }})
        };
        read(json!({"items": [
            rule("restart_pod", "automatic", "Evicts a crash-looping pod so that a new one starts elsewhere.",
                 &["at most 3 attempts, with growing waits between them", "never during a storm"], true),
            rule("rollback_deployment", "approval", "Goes back to the last good revision.", &[], true),
            rule("restore_file", "approval", "Puts a watched file back.", &["only under watched paths"], false),
        ], "next": null}))
    }

    #[test]
    fn what_is_allowed_is_told_truly() {
        insta::assert_snapshot!("enabled", enabled(&view(80), &read(cluster()), &known_rules(), false));
        let mut asks = cluster();
        asks["state"] = json!("recommend");
        insta::assert_snapshot!("enabled_to_ask", enabled(&view(80), &read(asks), &known_rules(), false));
        let mut off = cluster();
        off["state"] = json!("observe");
        off["enabled"] = json!([]);
        insta::assert_snapshot!("disabled", disabled(&view(80), &read(off), false));
        insta::assert_snapshot!("rules", rules(&view(80), &known_rules()));
        let page: List<AutonomousStatus> = read(json!({"items": [cluster()], "next": null}));
        insta::assert_snapshot!("status", status(&view(80), &page));
    }

    #[test]
    fn the_calendar_says_what_holds_and_when_that_changes() {
        let period = |kind: &str, name: &str, state: &str, changes_at: Value, when: &str, more: &[&str]| {
            json!({"name": name, "kind": kind, "state": state, "changes_at": changes_at, "when": when, "actions": more,
                   "clusters": if more.is_empty() { vec![] } else { vec!["kind-dev"] }})
        };
        let page: List<Period> = read(json!({"items": [
            period("blackout", "christmas", "now", json!("2026-11-24T08:00:00Z"), "2026-11-20 12:00 to 2026-11-24 09:00 (Europe/Berlin)", &[]),
            period("blackout", "month-end", "over", Value::Null, "2026-10-30 00:00 to 2026-11-02 00:00 (UTC)", &["rollback_deployment"]),
            period("window", "nights", "later", json!("2026-11-22T21:00:00Z"), "every day 22:00 to 06:00 (Europe/Berlin)", &["restart_pod", "restart_unit"]),
        ], "next": null}));
        insta::assert_snapshot!("calendar", calendar(&view(80), &page));
        let none: List<Period> = read(json!({"items": [], "next": null}));
        insta::assert_snapshot!("calendar_none", calendar(&view(80), &none));
    }

    #[test]
    fn a_pause_is_told_with_what_ends_it() {
        let pause = |cluster: Value, reason: &str| {
            json!({"id": "fleet", "created_at": "2026-11-22T07:50:00Z", "cluster": cluster, "by": "operator",
                   "reason": reason})
        };
        let both =
            json!({"items": [pause(json!(null), "disks are moved"), pause(json!("prod"), "")], "next": null});
        let mut both = both;
        both["items"][1]["until"] = json!("2026-11-22T10:00:00Z");
        insta::assert_snapshot!("paused", paused(&view(80), &read(both.clone()), false));
        insta::assert_snapshot!("resumed", resumed(&view(80), &read(both), false));
        let none = json!({"items": [], "next": null});
        insta::assert_snapshot!("resumed_all", resumed(&view(80), &read(none), false));
    }

    #[test]
    fn history_tells_what_was_done_and_why_it_ended() {
        let item = |number: u32, state: &str, reason: &str, automatic: bool| {
            json!({"id": id("job", number), "created_at": "2026-11-22T07:50:00Z", "cluster": "kind-dev",
                   "kind": "restart_pod", "state": state,
                   "object": {"kind": "Pod", "namespace": "shop", "name": "web-7c9d-x2x8q", "uid": "p1"},
                   "reason": reason, "incident_id": id("inc", number), "automatic": automatic, "approval_id": null,
                   "applied_at": null, "finished_at": null, "duration_ms": null})
        };
        let page: List<HistoryItem> = read(json!({"items": [
            item(2, "refused", "policy_forbids: the agent's policy does not name this cluster", true),
            item(1, "succeeded", "", true),
        ], "next": null}));
        insta::assert_snapshot!("history", history(&view(80), &page));
    }
}
