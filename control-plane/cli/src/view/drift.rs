//! The views of drifted files: the list, and one file with its baseline, its present state and the difference.

use nimbus_api::{Drift, FileState, LineCounts, List};

use super::layout::Layout;
use super::{View, bytes, count, plan};
use crate::output::changes::{self, Changes, Way};
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
    head(&mut layout, view, drift, &drift.reason);
    layout.toned_fact("baseline", Tone::Good, &state(drift.before.as_ref()));
    layout.toned_fact("now", Tone::Bad, &state(drift.after.as_ref()));
    content(&mut layout, drift, "Difference (baseline to now)", Way::Forward);
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

/// What `drift fix` shows of each file before it asks: what will change, from now to the baseline.
pub fn before_fix(view: &View, drift: &Drift) -> String {
    let mut layout = Layout::new(view);
    // The reason of its state is about to change with the answer: only what changes is shown.
    head(&mut layout, view, drift, "");
    layout.toned_fact("now", Tone::Bad, &state(drift.after.as_ref()));
    layout.toned_fact("baseline", Tone::Good, &state(drift.before.as_ref()));
    content(&mut layout, drift, "What will change (now to baseline)", Way::Back);
    layout.gap();
    layout.end()
}

/// What `drift fix --yes` says of many files before it puts them back: nobody is asked, so nobody reads every difference.
pub fn summaries(view: &View, files: &[&Drift]) -> String {
    let mut table = Table::new(vec![Column::new("ID"), Column::new("WHAT WILL BE DONE").cut(Cut::Path, 36)]);
    let ids = view.ids(&files.iter().map(|drift| drift.id.as_str()).collect::<Vec<_>>());
    for (id, drift) in ids.into_iter().zip(files) {
        let what = drift.plan_summary.clone().unwrap_or_else(|| format!("{}: {}", drift.path, change(drift)));
        table.row(vec![id.into(), Cell::new(what)]);
    }
    let mut layout = Layout::new(view);
    let files = count(files.len() as u64, "file", "files");
    layout.line(&view.theme.heading(&format!("{files} to put back")));
    layout.paragraph("The difference of one is shown by `nimbus drift show ID`.").gap();
    layout.end() + &table.render(&view.theme, view.width) + "\n"
}

/// What `drift baseline add` shows of the file that it accepts.
pub fn before_accept(view: &View, drift: &Drift) -> String {
    let mut layout = Layout::new(view);
    // What would put it back is not what is about to happen.
    head(&mut layout, view, &Drift { plan_summary: None, ..drift.clone() }, "");
    layout.toned_fact("accepted", Tone::Good, &state(drift.after.as_ref()));
    layout.toned_fact("instead of", Tone::Quiet, &state(drift.before.as_ref()));
    content(&mut layout, drift, "What is accepted (baseline to now)", Way::Forward);
    layout.gap();
    layout.end()
}

fn head(layout: &mut Layout<'_>, view: &View, drift: &Drift, reason: &str) {
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
}

/// How the contents differ, or why that is not shown.
fn content(layout: &mut Layout<'_>, drift: &Drift, heading: &str, way: Way) {
    if let Some(lines) = drift.lines {
        layout.fact("lines", &line_counts(lines, way));
    }
    match (&drift.diff, drift.diff_withheld.as_deref()) {
        (Some(diff), _) => {
            layout.heading(heading);
            plan::changes(layout, changes::lines(diff), way);
        }
        (None, Some("policy")) => {
            let root = if drift.root.is_empty() { &drift.path } else { &drift.root };
            let agent =
                drift.agent.as_ref().map_or_else(|| "its agent".to_owned(), |name| format!("agent {name}"));
            layout.gap().paragraph(&format!(
                "The contents stay on the host: hashes, sizes and numbers of lines are all that leaves it. To see the \
                 difference here, name the file or a directory above it in policy.toml in the data directory of {agent}:"
            ));
            layout.command(&format!("diff_paths = [{root:?}]"));
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

/// `12 → 13 (2 added, 1 removed)`
fn line_counts(lines: LineCounts, way: Way) -> String {
    let LineCounts { before, after, added, removed } = lines;
    let (from, to, added, removed) = match way {
        Way::Forward => (before, after, added, removed),
        Way::Back => (after, before, removed, added),
    };
    let moved = added.zip(removed).map(|(added, removed)| format!(" ({added} added, {removed} removed)"));
    format!("{from} → {to}{}", moved.unwrap_or_default())
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
        _ => match drift.diff.as_deref().and_then(unseen) {
            Some(word) => word.to_owned(),
            None => readable(&drift.change),
        },
    }
}

/// What differs, where all of it is what a terminal does not show.
fn unseen(diff: &str) -> Option<&'static str> {
    Changes::read(changes::lines(diff), Way::Forward).unseen()?.word()
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
        assert!(accepted.contains("accepted    not there") && !accepted.contains("to fix"), "{accepted}");
    }

    #[test]
    fn what_fix_shows_is_what_it_will_do() {
        let mut text = drift(1, "modified", "/srv/app/app.conf");
        text["diff"] = json!("--- a\n+++ b\n@@ -1,2 +1,2 @@\n workers = 4\n-debug = false\n+debug = true\n");
        text["lines"] = json!({"before": 2, "after": 2, "added": 1, "removed": 1});
        insta::assert_snapshot!("fix_text", before_fix(&view(80), &read(text)));
    }

    #[test]
    fn of_many_files_that_nobody_is_asked_about_each_has_a_line() {
        let mut secret = drift(2, "deleted", "/srv/app/a\u{a0}b.conf");
        secret["plan_summary"] = Value::Null;
        let mut first = drift(1, "modified", "/srv/app/app.conf");
        first["diff"] = json!("--- a\n+++ b\n@@ -1 +1 @@\n-debug = false\n+debug = true\n");
        let files: Vec<Drift> = vec![read(first), read(secret)];
        let text = summaries(&view(80), &files.iter().collect::<Vec<_>>());
        assert!(text.starts_with("2 files to put back\n"), "{text}");
        assert!(text.contains("nimbus drift show ID"), "{text}");
        assert!(text.contains("  Put app.conf back to its baseline\n"), "{text}");
        assert!(text.contains("  /srv/app/a<U+00A0>b.conf: deleted\n"), "{text}");
        assert!(!text.contains("debug") && text.ends_with("\n\n"), "the differences are left out: {text}");
    }

    #[test]
    fn contents_that_stay_on_the_host_are_said_with_the_way_to_show_them() {
        let mut hidden = drift(1, "modified", "/srv/app/app.conf");
        hidden["diff_withheld"] = json!("policy");
        hidden["lines"] = json!({"before": 12, "after": 13, "added": 2, "removed": 1});
        insta::assert_snapshot!("show_hidden", show(&view(80), &read(hidden.clone())));
        let fix = before_fix(&view(80), &read(hidden));
        assert!(fix.contains("13 → 12 (1 added, 2 removed)"), "{fix}");
    }

    #[test]
    fn what_is_not_seen_is_named_in_the_table_and_marked_in_the_difference() {
        let mut crlf = drift(1, "modified", "/srv/app/app.conf");
        crlf["diff"] = json!("--- a\n+++ b\n@@ -1,2 +1,2 @@\n-a = 1\n-b = 2\n+a = 1\r\n+b = 2\r\n");
        let mut nbsp = drift(2, "modified", "/srv/app/nginx.conf");
        nbsp["diff"] = json!("--- a\n+++ b\n@@ -1 +1 @@\n-root /srv;\n+root\u{a0}/srv;\n");
        let page: List<Drift> = read(json!({"items": [crlf.clone(), nbsp.clone()], "next": null}));
        insta::assert_snapshot!("list_unseen", list(&view(80), &page));
        insta::assert_snapshot!("show_crlf", show(&view(80), &read(crlf)));
        insta::assert_snapshot!("show_nbsp", show(&view(80), &read(nbsp)));
    }
}
