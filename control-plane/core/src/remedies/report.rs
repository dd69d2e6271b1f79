//! Describes what a plan will change, in lines that an operator reads before deciding.

use crate::drift;
use crate::model::Drift;
use crate::world::FileDrift;

/// Most lines of a diff shown; the rest is counted.
pub const MAX_DIFF_LINES: usize = 200;

/// What putting a file back will change: attributes and hashes, then the diff from now to then.
pub fn restore(drift: &FileDrift) -> Vec<String> {
    let mut lines = lines(&drift::of_file(&drift.path, &drift.current, &drift.baseline));
    let (before, now) = &drift.attributes;
    lines.extend(drift::of_attributes(&drift.path, now, before).iter().map(ToString::to_string));
    if let Some(outlook) = &drift.restore {
        lines.extend(way(&outlook.way).map(|way| format!("how: {way}")));
        lines.extend(outlook.loses.iter().map(|lost| format!("lost or left: {lost}")));
    }
    match (drift.diff.as_str(), drift.diff_withheld.as_str()) {
        ("", "") => {}
        ("", why) => lines.push(format!("content not shown: {why}")),
        (diff, _) => lines.extend(bounded(reverse_diff(diff))),
    }
    lines
}

/// What accepting a file as it is will change: attributes and hashes of the baseline, then the diff.
pub fn accept(drift: &FileDrift) -> Vec<String> {
    let changes = drift::of_file(&drift.path, &drift.baseline, &drift.current);
    let (before, now) = &drift.attributes;
    let attributes = drift::of_attributes(&drift.path, before, now);
    let changes = changes.iter().chain(&attributes);
    let mut lines: Vec<String> = changes.map(|line| format!("baseline {line}")).collect();
    if !drift.diff.is_empty() {
        lines.extend(bounded(drift.diff.lines().map(str::to_owned).collect()));
    }
    lines
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
    for line in diff.lines() {
        if in_header && (line.starts_with("---") || line.starts_with("+++")) {
            continue;
        }
        if let Some(rest) = line.strip_prefix('-') {
            added.push(format!("+{rest}"));
            continue;
        }
        if let Some(rest) = line.strip_prefix('+') {
            removed.push(format!("-{rest}"));
            continue;
        }
        lines.append(&mut removed);
        lines.append(&mut added);
        in_header = false;
        lines.push(if line.starts_with("@@") { reverse_hunk(line) } else { line.to_owned() });
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
    fn a_long_diff_is_cut_and_says_so() {
        let lines = bounded(vec![String::new(); MAX_DIFF_LINES + 3]);
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (MAX_DIFF_LINES + 1, "... 3 more lines"));
    }
}
