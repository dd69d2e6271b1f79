//! Describes what a plan will change, in lines that an operator reads before deciding.

use crate::drift;
use crate::model::Drift;
use crate::world::{FileDrift, Lines};

/// Most lines of a diff shown; the rest is counted.
pub const MAX_DIFF_LINES: usize = 200;

/// What an agent says instead of a diff where its policy keeps contents on the host.
const HIDDEN: &str = "policy";

/// Could its agent not read what it has beside content, mode and owner?
pub(super) fn attributes_unread(drift: &FileDrift) -> bool {
    let (then, now) = (&drift.baseline, &drift.current);
    let has_some = matches!(now.kind.as_str(), "file" | "directory");
    let unreadable = drift.restore.as_ref().is_some_and(|outlook| outlook.obstacle == "unreadable");
    // Of two sides that both have some an agent shows neither where one was never noted.
    let unknown = now.attributes_sha256.is_empty() && (unreadable || !then.attributes_sha256.is_empty());
    has_some && unknown && then.kind != "unreadable"
}

/// What putting a file back will change: attributes, hashes, sizes and numbers of lines, then the diff from now to then.
pub fn restore(drift: &FileDrift) -> Vec<String> {
    let mut lines = lines(&drift::of_file(&drift.path, &drift.current, &drift.baseline));
    let (then_size, now_size) = drift.sizes;
    let back = drift.lines.map(|lines| Lines {
        before: lines.after,
        after: lines.before,
        moved: lines.moved.map(|(added, removed)| (removed, added)),
    });
    lines.extend(figures((now_size, then_size), back));
    let (before, now) = &drift.attributes;
    lines.extend(drift::of_attributes(&drift.path, now, before).iter().map(ToString::to_string));
    if let Some(outlook) = &drift.restore {
        lines.extend(way(&outlook.way).map(|way| format!("how: {way}")));
        lines.extend(outlook.loses.iter().map(|lost| format!("lost or left: {lost}")));
    }
    lines.extend(contents(drift, reverse_diff(&drift.diff)));
    lines
}

/// What accepting a file as it is will change: the same of the baseline, then the diff from it to now.
pub fn accept(drift: &FileDrift) -> Vec<String> {
    let changes = drift::of_file(&drift.path, &drift.baseline, &drift.current);
    let (before, now) = &drift.attributes;
    let attributes = drift::of_attributes(&drift.path, before, now);
    let mut lines = lines(&changes);
    lines.extend(attributes.iter().map(ToString::to_string));
    if attributes_unread(drift) {
        lines.push("attributes: cannot be read: they are not known and no longer compared".to_owned());
    }
    lines.extend(figures(drift.sizes, drift.lines));
    let mut lines: Vec<String> = lines.iter().map(|line| format!("baseline {line}")).collect();
    lines.extend(contents(drift, diff_lines(&drift.diff).map(str::to_owned).collect()));
    lines
}

/// Sizes and numbers of lines, where they differ.
fn figures((from, to): (u64, u64), lines: Option<Lines>) -> Vec<String> {
    let mut out = Vec::new();
    if from != to {
        out.push(format!("size: {from} -> {to} bytes"));
    }
    if let Some(Lines { before, after, moved }) = lines {
        let moved = moved.map(|(added, removed)| format!(" ({added} added, {removed} removed)"));
        out.push(format!("lines: {before} -> {after}{}", moved.unwrap_or_default()));
    }
    out
}

/// The lines of the diff, or one that says why there are none.
fn contents(drift: &FileDrift, diff: Vec<String>) -> Vec<String> {
    match (drift.diff.as_str(), drift.diff_withheld.as_str()) {
        ("", "" | "attributes only") => Vec::new(),
        ("", HIDDEN) => vec![format!(
            "content not shown: it stays on the host, whose agent's policy does not name {} in `diff_paths`",
            drift.path
        )],
        ("", "secret") => {
            vec!["content not shown: it looks like a secret, and is compared by its hash alone".to_owned()]
        }
        ("", why) => vec![format!("content not shown: {why}")],
        _ => bounded(diff),
    }
}

/// The lines of a unified diff. They end at a line feed and nowhere else: a carriage return before it is a part of what
/// differs.
fn diff_lines(diff: &str) -> impl Iterator<Item = &str> {
    diff.strip_suffix('\n').unwrap_or(diff).split('\n')
}

/// How an agent says that it would put a file back; `None` where it removes, which the summary says, or says otherwise.
fn way(word: &str) -> Option<&'static str> {
    match word {
        "replace" => Some("a new file takes its place; written in place if a process has it open by then"),
        "in_place" => Some(
            "written in place, since it has other names or is mounted: whoever has it open sees the change",
        ),
        "attributes" => Some("set on the file that is there; its content is not written"),
        _ => None,
    }
}

fn lines(changes: &[Drift]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

/// A unified diff read backwards: what undoing it would change.
fn reverse_diff(diff: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // Inside a run of changed lines the additions of the reversed diff come after its deletions.
    let (mut removed, mut added): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut in_header = true;
    let mut last = ' ';
    for line in diff_lines(diff) {
        if in_header && (line.starts_with("---") || line.starts_with("+++")) {
            continue;
        }
        let (sign, rest) = line.split_at(line.chars().next().map_or(0, char::len_utf8));
        match (sign, last) {
            ("-", _) => added.push(format!("+{rest}")),
            ("+", _) => removed.push(format!("-{rest}")),
            // That a line has no line feed at its end is said behind it, wherever it goes.
            ("\\", '-') => added.push(line.to_owned()),
            ("\\", '+') => removed.push(line.to_owned()),
            _ => {
                lines.append(&mut removed);
                lines.append(&mut added);
                in_header = false;
                lines.push(if line.starts_with("@@") { reverse_hunk(line) } else { line.to_owned() });
            }
        }
        last = sign.chars().next().unwrap_or(' ');
    }
    lines.append(&mut removed);
    lines.append(&mut added);
    lines
}

/// `@@ -1,3 +1,4 @@` becomes `@@ -1,4 +1,3 @@`.
fn reverse_hunk(line: &str) -> String {
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("@@"), Some(from), Some(to)) if from.starts_with('-') && to.starts_with('+') => {
            let rest: Vec<&str> = words.collect();
            format!("@@ -{} +{} {}", &to[1..], &from[1..], rest.join(" "))
        }
        _ => line.to_owned(),
    }
}

fn bounded(mut lines: Vec<String>) -> Vec<String> {
    if lines.len() > MAX_DIFF_LINES {
        let more = lines.len() - MAX_DIFF_LINES;
        lines.truncate(MAX_DIFF_LINES);
        lines.push(format!("... {more} more lines"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_read_backwards_says_what_undoing_changes() {
        let diff =
            "--- baseline\n+++ now\n@@ -1,3 +1,4 @@ top\n one\n-two\n+2\n+2b\n three\n--- not a header\n";
        assert_eq!(
            reverse_diff(diff),
            ["@@ -1,4 +1,3 @@ top", " one", "-2", "-2b", "+two", " three", "+-- not a header"]
        );
    }

    #[test]
    fn line_endings_and_a_lost_last_newline_go_back_with_their_lines() {
        let diff = "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+a\r\n-b\n+b\n\\ No newline at end of file\n";
        assert_eq!(
            reverse_diff(diff),
            ["@@ -1,2 +1,2 @@", "-a\r", "-b", "\\ No newline at end of file", "+a", "+b"]
        );
        let diff = "@@ -1 +1 @@\n-b\n\\ No newline at end of file\n+b\n";
        assert_eq!(reverse_diff(diff), ["@@ -1 +1 @@", "-b", "+b", "\\ No newline at end of file"]);
    }

    fn drift(diff: &str, withheld: &str) -> FileDrift {
        let file = |sha256| crate::model::FileFacts {
            kind: "file".into(),
            mode: 0o644,
            uid: 0,
            gid: 0,
            sha256: vec![sha256],
            attributes_sha256: Vec::new(),
        };
        FileDrift {
            said_at: crate::testing::at(0),
            attributes: (Vec::new(), Vec::new()),
            restore: None,
            lines_lost: 0,
            changes: Vec::new(),
            root: "/etc".into(),
            path: "/etc/x".into(),
            baseline: file(0xaa),
            current: file(0xbb),
            sizes: (10, 12),
            diff: diff.into(),
            diff_withheld: withheld.into(),
            lines: Some(Lines { before: 3, after: 4, moved: Some((2, 1)) }),
            problem: String::new(),
            since: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn where_contents_stay_on_the_host_hashes_sizes_and_lines_are_what_is_decided_on() {
        let hidden = drift("", "policy");
        let last = "content not shown: it stays on the host, whose agent's policy does not name /etc/x in `diff_paths`";
        assert_eq!(
            restore(&hidden),
            ["sha256: bb -> aa", "size: 12 -> 10 bytes", "lines: 4 -> 3 (1 added, 2 removed)", last]
        );
        assert_eq!(
            accept(&hidden),
            [
                "baseline sha256: aa -> bb",
                "baseline size: 10 -> 12 bytes",
                "baseline lines: 3 -> 4 (2 added, 1 removed)",
                last
            ]
        );
        let shown = restore(&drift("@@ -1 +1 @@\n-a\n+b\n", ""));
        assert_eq!(shown[3..], ["@@ -1 +1 @@", "-b", "+a"]);
        assert!(restore(&drift("", "secret"))[3].contains("looks like a secret"));
        // An older agent says nothing of lines.
        assert_eq!(
            restore(&FileDrift { lines: None, ..drift("", "binary") })[2],
            "content not shown: binary"
        );
    }

    #[test]
    fn a_long_diff_is_cut_and_says_so() {
        let lines = bounded(vec![String::new(); MAX_DIFF_LINES + 3]);
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (MAX_DIFF_LINES + 1, "... 3 more lines"));
    }
}
