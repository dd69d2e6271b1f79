//! The views of drifted files: the list, and one file with its baseline, its present state and the difference.

use nimbus_api::{AttributeChange, Drift, FileState, LineCounts, List};

use super::layout::Layout;
use super::{View, bytes, count, plan};
use crate::output::changes::{self, Changes, Way};
use crate::output::plain;
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::{Tone, readable};

/// What a file has beside content, mode and owner; also the change of one that differs beside the content alone.
const ATTRIBUTES: &str = "attributes";

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
    // What would put it back is not what is about to happen. Where it cannot be, the reason says why, and what is not known.
    let reason = if drift.state == "escalated" { drift.reason.as_str() } else { "" };
    head(&mut layout, view, &Drift { plan_summary: None, ..drift.clone() }, reason);
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
    layout.toned_fact("attributes", Tone::Warn, &attributes(drift, way));
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
            layout.gap().paragraph(&only(&beside(drift)));
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

/// The attributes that differ, a line each; empty where none does.
fn attributes(drift: &Drift, way: Way) -> String {
    let named: Vec<String> = drift.attributes.iter().flatten().map(|change| attribute(change, way)).collect();
    if named.is_empty() && beside(drift).contains(&ATTRIBUTES) {
        let of_now = drift.after.as_ref().map_or("", |after| after.attributes_sha256.as_str());
        let of_then = drift.before.as_ref().map_or("", |before| before.attributes_sha256.as_str());
        let text = if of_now.is_empty() && !of_then.is_empty() {
            "they cannot be read: what is there now is not known"
        } else {
            "they differ; which ones is not known here"
        };
        return text.to_owned();
    }
    named.join("\n")
}

/// `capability security.capability: none → 20 bytes, 0a1b2c3d4e5f`
fn attribute(change: &AttributeChange, way: Way) -> String {
    let AttributeChange { name, kind, before, after } = change;
    let (from, to) = match way {
        Way::Forward => (before.as_deref(), after.as_deref()),
        Way::Back => (after.as_deref(), before.as_deref()),
    };
    let value = |side: Option<&str>| plain(side.unwrap_or("none")).into_owned();
    // A flag, and what stands for all of too many, say in their names what they are.
    let is_said = kind == "flag" || name.starts_with("all ");
    let kind = if is_said { String::new() } else { format!("{} ", readable(kind)) };
    format!("{kind}{}: {} → {}", plain(name), value(from), value(to))
}

/// What differs beside the content, each in a word.
fn beside(drift: &Drift) -> Vec<&'static str> {
    let mut words = Vec::new();
    let mut unnamed = false;
    let sides = drift.before.as_ref().zip(drift.after.as_ref());
    // What is not there has neither mode nor owner.
    if let Some((before, after)) = sides.filter(|(then, now)| then.kind != "absent" && now.kind != "absent") {
        words.extend((before.mode != after.mode).then_some("mode"));
        words.extend(((before.uid, before.gid) != (after.uid, after.gid)).then_some("owner"));
        // Of another kind, such as a link, they are not known.
        unnamed = before.kind == after.kind && before.attributes_sha256 != after.attributes_sha256;
    }
    let named = drift.attributes.as_ref().is_some_and(|changes| !changes.is_empty());
    // An older server says nothing of attributes but that nothing else differs.
    let remains = words.is_empty() && drift.change == ATTRIBUTES;
    words.extend((unnamed || named || remains).then_some(ATTRIBUTES));
    words
}

/// `The content is the same; only mode and attributes differ.`
fn only(words: &[&str]) -> String {
    let (what, verb) = match words {
        [] => return "The content is the same.".to_owned(),
        [ATTRIBUTES] => (ATTRIBUTES.to_owned(), "differ"),
        [one] => ((*one).to_owned(), "differs"),
        [first @ .., last] => (format!("{} and {last}", first.join(", ")), "differ"),
    };
    format!("The content is the same; only {what} {verb}.")
}

/// How it differs, in a word or two.
fn change(drift: &Drift) -> String {
    let beside = beside(drift);
    if drift.change == ATTRIBUTES {
        return match (beside.as_slice(), &drift.before, &drift.after) {
            (["mode"], Some(before), Some(after)) => format!("mode {}→{}", before.mode, after.mode),
            (["owner"], Some(before), Some(after)) => {
                format!("owner {}:{}→{}:{}", before.uid, before.gid, after.uid, after.gid)
            }
            (several, _, _) => several.join(", "),
        };
    }
    let what = match drift.diff.as_deref().and_then(unseen) {
        Some(word) => word.to_owned(),
        None => readable(&drift.change),
    };
    // A new file has some wherever the system labels files.
    if drift.change == "modified" && beside.contains(&ATTRIBUTES) {
        return format!("{what}, {ATTRIBUTES}");
    }
    what
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

    /// Given a capability, an access list, a note and the immutable flag, and nothing else.
    fn given() -> Value {
        let mut given = drift(1, "attributes", "/srv/app/bin/serve");
        given["after"] = file("0644", 48, "4f2a");
        given["before"]["attributes_sha256"] = json!("11".repeat(32));
        given["after"]["attributes_sha256"] = json!("22".repeat(32));
        given["diff_withheld"] = json!("attributes only");
        given["plan_summary"] = json!("put back attributes of /srv/app/bin/serve");
        given["attributes"] = json!([
            {"name": "flag immutable", "kind": "flag", "before": null, "after": "set"},
            {
                "name": "security.capability", "kind": "capability", "before": null,
                "after": "20 bytes, 0a1b2c3d4e5f"
            },
            {
                "name": "system.posix_acl_access", "kind": "access_list", "before": "user::rw-,group::r--,other::r--",
                "after": "user::rw-,user:33:rw-,group::r--,mask::rw-,other::r--"
            },
            {
                "name": "user.note", "kind": "extended_attribute", "before": "1 bytes, ca978112ca1b", "after": null
            },
        ]);
        given
    }

    #[test]
    fn attributes_that_differ_are_shown_before_anybody_decides() {
        insta::assert_snapshot!("show_attributes", show(&view(80), &read(given())));
        insta::assert_snapshot!("fix_attributes", before_fix(&view(80), &read(given())));
        insta::assert_snapshot!("accept_attributes", before_accept(&view(80), &read(given())));
        let mut modified = drift(2, "modified", "/srv/app/app.conf");
        modified["attributes"] = given()["attributes"].clone();
        let mut mode = given();
        mode["id"] = json!(id("inc", 3));
        mode["after"]["mode"] = json!("0755");
        let page: List<Drift> = read(json!({"items": [mode, modified, given()], "next": null}));
        insta::assert_snapshot!("list_attributes", list(&view(80), &page));
    }

    #[test]
    fn that_attributes_differ_is_said_also_where_it_is_not_known_which() {
        // Its agent says nothing now: the plan has digests alone.
        let mut silent = given();
        silent["attributes"] = Value::Null;
        let text = before_accept(&view(80), &read(silent));
        assert!(text.starts_with("/srv/app/bin/serve: attributes\n"), "{text}");
        assert!(text.contains("  attributes  they differ; which ones is not known here\n"), "{text}");
        // A directory of which the agent cannot read them any more.
        let mut unread = given();
        unread["state"] = json!("escalated");
        unread["reason"] = json!("put it right by hand, or accept it without its attributes");
        unread["attributes"] = json!([]);
        unread["after"].as_object_mut().unwrap().remove("attributes_sha256");
        let text = before_accept(&view(80), &read(unread));
        assert!(
            text.contains("  attributes  they cannot be read: what is there now is not known\n"),
            "{text}"
        );
        assert!(text.contains("accept it without its attributes"), "{text}");
        // A server of an earlier version says no more than that nothing else differs.
        let mut older = drift(1, "attributes", "/srv/app/bin/serve");
        older["after"] = file("0644", 48, "4f2a");
        assert_eq!(change(&read(older.clone())), "attributes");
        older["after"]["uid"] = json!(7);
        assert_eq!(change(&read(older)), "owner 0:0→7:0");
    }

    #[test]
    fn an_attribute_is_called_what_it_is_once() {
        let line = |name: &str, kind: &str| {
            let change = json!({"name": name, "kind": kind, "before": null, "after": "x\ny"});
            attribute(&read(change), Way::Back)
        };
        assert_eq!(line("user.a", "extended_attribute"), "extended attribute user.a: x y → none");
        assert_eq!(line("flag immutable", "flag"), "flag immutable: x y → none");
        assert_eq!(
            line("all extended attributes", "extended_attribute"),
            "all extended attributes: x y → none"
        );
    }

    #[test]
    fn what_differs_beside_the_content_is_named_in_one_sentence() {
        assert_eq!(only(&["mode"]), "The content is the same; only mode differs.");
        assert_eq!(only(&["attributes"]), "The content is the same; only attributes differ.");
        assert_eq!(
            only(&["mode", "owner", "attributes"]),
            "The content is the same; only mode, owner and attributes differ."
        );
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
