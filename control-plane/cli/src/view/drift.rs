//! The views of drifted files: the list, and one file with its baseline, its present state and the difference.

use nimbus_api::{Drift, FileState, List};

use super::layout::Layout;
use super::{View, bytes, plan};
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::{Tone, readable};

/// The list.
pub fn list(view: &View, page: &List<Drift>) -> String {
    if page.items.is_empty() {
        return view.nothing("No drift: every watched file that is known is as its baseline says.");
    }
    let mut table = Table::new(vec![
        Column::new("ID"),
        Column::new("STATE"),
        Column::new("CHANGE"),
        Column::new("FILE").cut(Cut::Start, 24),
        Column::new("HOST").cut(Cut::End, 8).optional(),
        Column::new("AGE").right(),
    ]);
    let ids = view.ids(&page.items.iter().map(|i| i.id.as_str()).collect::<Vec<_>>());
    for (id, drift) in ids.into_iter().zip(&page.items) {
        table.row(vec![
            id.into(),
            Cell::word(&drift.state),
            Cell::new(change(drift)),
            Cell::new(&drift.path),
            Cell::new(&drift.cluster),
            Cell::toned(view.clock.age(drift.created_at), Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// One file: what was accepted as true, what is there, and the difference.
pub fn show(view: &View, drift: &Drift) -> String {
    let mut layout = Layout::new(view);
    difference(&mut layout, view, drift, &drift.reason);
    if drift.state == "waiting_approval" {
        layout.heading("To put it back, or to keep it as it is");
        layout.command(&format!("nimbus drift fix {}", drift.id));
        layout.command(&format!("nimbus drift baseline add {}", drift.id));
    }
    if !drift.history.is_empty() {
        layout.heading("History");
        for entry in &drift.history {
            layout.event(&view.clock.moment(entry.at), &entry.text);
        }
    }
    layout.end()
}

/// What `drift fix` shows of each file before it asks.
pub fn before_fix(view: &View, drift: &Drift) -> String {
    let mut layout = Layout::new(view);
    // The reason of its state is about to change with the answer: only what changes is shown.
    difference(&mut layout, view, drift, "");
    layout.gap();
    layout.end()
}

/// What `drift baseline add` shows of the file that it accepts.
pub fn before_accept(view: &View, drift: &Drift) -> String {
    // What would put it back is not what is about to happen.
    before_fix(view, &Drift { plan_summary: None, ..drift.clone() })
}

fn difference(layout: &mut Layout<'_>, view: &View, drift: &Drift, reason: &str) {
    let theme = &view.theme;
    layout.line(&theme.heading(&format!("{}: {}", drift.path, change(drift))));
    layout.line(&format!(
        "  {} · {} · {}",
        theme.word(&drift.severity),
        theme.word(&drift.state),
        theme.paint(Tone::Quiet, &drift.id)
    ));
    layout.gap();
    let agent = drift.agent.as_ref().map(|name| format!(" (agent {name})")).unwrap_or_default();
    layout.fact("host", &format!("{}{agent}", drift.cluster)).fact("reason", reason);
    layout.fact("to fix", drift.plan_summary.as_deref().unwrap_or_default());
    layout.gap();
    layout.toned_fact("baseline", Tone::Good, &state(drift.before.as_ref()));
    layout.toned_fact("now", Tone::Bad, &state(drift.after.as_ref()));
    match (&drift.diff, drift.diff_withheld.as_deref()) {
        (Some(diff), _) => {
            layout.heading("Difference (baseline to now)");
            plan::changes(layout, diff.lines());
        }
        (None, Some("secret")) => {
            layout
                .gap()
                .paragraph("The content looks like a secret: it is compared by its hash and never shown.");
        }
        (None, Some("attributes only")) => {
            layout.gap().paragraph("The content is the same; only mode, owner or group differ.");
        }
        (None, Some(why)) if why != "unknown" => {
            layout.gap().paragraph(&format!("No difference is shown: {why}."));
        }
        (None, _) => {}
    }
}

/// How it differs, in a word or two.
fn change(drift: &Drift) -> String {
    match (&drift.before, &drift.after) {
        (Some(before), Some(after)) if drift.change == "attributes" && before.mode != after.mode => {
            format!("mode {}→{}", before.mode, after.mode)
        }
        (Some(before), Some(after)) if drift.change == "attributes" => {
            format!("owner {}:{}→{}:{}", before.uid, before.gid, after.uid, after.gid)
        }
        _ => readable(&drift.change),
    }
}

/// `file, 1.2 KiB, mode 0644, owner 0:0, sha256 4f2a…`
fn state(state: Option<&FileState>) -> String {
    let Some(state) = state else { return "unknown".to_owned() };
    if state.kind == "absent" {
        return "not there".to_owned();
    }
    let mut parts = vec![state.kind.clone()];
    parts.extend(state.size.map(bytes));
    parts.push(format!("mode {}", state.mode));
    parts.push(format!("owner {}:{}", state.uid, state.gid));
    if let Some(start) = state.sha256.get(..12) {
        parts.push(format!("sha256 {start}…"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{id, read, view};

    fn file(mode: &str, size: u64, hash: &str) -> Value {
        json!({"kind": "file", "mode": mode, "uid": 0, "gid": 0, "size": size, "sha256": hash.repeat(16)})
    }

    fn drift(number: u32, change: &str, path: &str) -> Value {
        json!({
            "id": id("inc", number), "created_at": "2026-11-22T07:57:00Z", "updated_at": "2026-11-22T07:57:00Z",
            "resolved_at": null, "cluster": "build-host", "kind": "file_drift", "severity": "warning",
            "state": "waiting_approval", "object": {"kind": "File", "namespace": "", "name": path, "uid": ""},
            "reason": "restoring it waits for approval", "change": change, "root": "/srv/app", "path": path,
            "before": file("0644", 48, "4f2a"), "after": file("0644", 51, "99be"), "diff": null,
            "diff_withheld": null, "agent_id": id("agt", 1), "agent": "build-host", "plan_id": id("pln", 2),
            "plan_digest": "11ab".repeat(16), "plan_summary": "Put app.conf back to its baseline",
            "approval_id": id("apr", 2), "job_id": null, "history": []
        })
    }

    #[test]
    fn the_list_keeps_the_end_of_a_path() {
        let mut mode = drift(3, "attributes", "/srv/app/bin/rotate.sh");
        mode["after"] = file("0777", 48, "4f2a");
        let long = drift(2, "modified", "/srv/app/releases/2026-11-22/config/production/app.conf");
        let page: List<Drift> =
            read(json!({"items": [mode, long, drift(1, "deleted", "/srv/app/motd")], "next": null}));
        insta::assert_snapshot!("list_80", list(&view(80), &page));
        insta::assert_snapshot!("list_120", list(&view(120), &page));
    }

    #[test]
    fn before_and_after_are_shown_with_the_difference() {
        let mut text = drift(1, "modified", "/srv/app/app.conf");
        text["diff"] =
            json!("--- baseline\n+++ now\n@@ -1,2 +1,2 @@\n workers = 4\n-debug = false\n+debug = true\n");
        text["history"] =
            json!([{"at": "2026-11-22T07:57:00Z", "text": "found: content differs from the baseline"}]);
        insta::assert_snapshot!("show_text", show(&view(80), &read(text)));
        let mut secret = drift(1, "deleted", "/srv/app/key.pem");
        secret["after"]["kind"] = json!("absent");
        secret["diff_withheld"] = json!("secret");
        insta::assert_snapshot!("show_secret", before_fix(&view(80), &read(secret.clone())));
        let accepted = before_accept(&view(80), &read(secret));
        assert!(accepted.contains("now         not there") && !accepted.contains("to fix"), "{accepted}");
    }
}
