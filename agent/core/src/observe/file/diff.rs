//! A unified diff, bounded in work and in length.
//!
//! Lines end at a line feed and nowhere else: a carriage return belongs to its line, so that a change of line endings
//! is a change that is seen. Of a line that is too long, what is the same on both sides is left out, never what differs.

use std::fmt::Write as _;

use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, TextDiffConfig};

use super::{MAX_DIFF_BYTES, MAX_DIFF_LINES};

/// Most lines of a side: comparing takes time with the square of what differs.
const MAX_LINES: usize = 4_000;
/// Longest line that is shown whole, in bytes.
const MAX_LINE: usize = 2 << 10;
/// Bytes that are kept on each side of the differing part of a longer line.
const AROUND: usize = 200;

/// How many lines each side has, and how many were added and removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub before: usize,
    pub after: usize,
    /// Added and removed; `None` where the sides are too long to be compared.
    pub moved: Option<(usize, usize)>,
}

/// Two texts and the lines in which they differ.
pub(super) struct Compared<'a> {
    counts: Counts,
    diff: Option<TextDiff<'a, 'a, str>>,
}

impl<'a> Compared<'a> {
    /// Counts the lines of both, and compares them where the texts are `small` enough and have few enough.
    pub fn new(before: &'a str, after: &'a str, small: bool) -> Self {
        let (old, new) = (lines(before), lines(after));
        let mut counts = Counts { before: old.len(), after: new.len(), moved: None };
        if !small || old.len().max(new.len()) > MAX_LINES {
            return Self { counts, diff: None };
        }
        let diff = TextDiffConfig::default().algorithm(Algorithm::Myers).diff_slices(&old, &new);
        let mut moved = (0, 0);
        for op in diff.ops() {
            if !matches!(op, DiffOp::Equal { .. }) {
                moved = (moved.0 + op.new_range().len(), moved.1 + op.old_range().len());
            }
        }
        counts.moved = Some(moved);
        Self { counts, diff: Some(diff) }
    }

    /// False where the sides are too long, and only their lines were counted.
    pub fn is_whole(&self) -> bool {
        self.diff.is_some()
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The diff, cut to the bounds with a last line that says how much more there is; `None` when a side has too many
    /// lines to compare.
    pub fn unified(&self, path: &str) -> Option<String> {
        let diff = self.diff.as_ref()?;
        let mut out = Bounded::new(format!("--- a{path}\n+++ b{path}\n"));
        for group in diff.grouped_ops(3) {
            hunk(diff, &group, &mut out);
        }
        Some(out.end())
    }
}

/// The lines of a text with their line feeds.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn hunk(diff: &TextDiff<'_, '_, str>, group: &[DiffOp], out: &mut Bounded) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    let old = first.old_range().start..last.old_range().end;
    let new = first.new_range().start..last.new_range().end;
    out.line(&format!("@@ -{} +{} @@", range(&old), range(&new)), true);
    for op in group {
        let changes: Vec<(ChangeTag, &str)> =
            diff.iter_changes(op).map(|change| (change.tag(), change.value())).collect();
        let side = |wanted: ChangeTag| -> Vec<&str> {
            changes.iter().filter(|(tag, _)| *tag == wanted).map(|(_, line)| *line).collect()
        };
        let (removed, added) = (side(ChangeTag::Delete), side(ChangeTag::Insert));
        for line in side(ChangeTag::Equal) {
            content(' ', &shorten(line, 0, 0), out);
        }
        // The nth line that was removed is compared with the nth that was added: what both begin and end with may go.
        for (n, line) in removed.iter().enumerate() {
            let (start, end) = common(line, added.get(n).copied());
            content('-', &shorten(line, start, end), out);
        }
        for (n, line) in added.iter().enumerate() {
            let (start, end) = common(line, removed.get(n).copied());
            content('+', &shorten(line, start, end), out);
        }
    }
}

/// A line of the content behind its sign; without a line feed it is followed by a note that says so.
fn content(sign: char, line: &str, out: &mut Bounded) {
    let text = line.strip_suffix('\n');
    out.line(&format!("{sign}{}", text.unwrap_or(line)), true);
    if text.is_none() {
        out.line("\\ No newline at end of file", false);
    }
}

/// `12`, or `12,3`: the first line and how many, as in every unified diff.
fn range(lines: &std::ops::Range<usize>) -> String {
    match lines.len() {
        // An empty range names the line before it.
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        count => format!("{},{count}", lines.start + 1),
    }
}

/// Bytes at the beginning and at the end that a line has in common with the one that it is compared with.
fn common(line: &str, other: Option<&str>) -> (usize, usize) {
    let Some(other) = other else { return (0, 0) };
    let start: usize =
        line.chars().zip(other.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let (line, other) = (&line[start..], &other[start..]);
    let end = line.chars().rev().zip(other.chars().rev()).take_while(|(a, b)| a == b);
    (start, end.map(|(a, _)| a.len_utf8()).sum())
}

/// A line that is longer than [`MAX_LINE`] without most of what is the same: `start` bytes at its beginning and `end`
/// bytes at its end. What differs and is too long itself is cut at its end.
fn shorten(line: &str, start: usize, end: usize) -> String {
    if line.len() <= MAX_LINE {
        return line.to_owned();
    }
    let (text, feed) = line.strip_suffix('\n').map_or((line, ""), |text| (text, "\n"));
    let end = text.len() - end.saturating_sub(feed.len()).min(text.len());
    let from = floor(text, start.min(end).saturating_sub(AROUND));
    let most = floor(text, from + MAX_LINE - AROUND);
    let to = ceil(text, (end + AROUND).min(text.len())).min(most.max(from));
    let mut out = String::new();
    if from > 0 {
        out.push_str(&left_out(from));
    }
    out.push_str(&text[from..to]);
    if to < text.len() {
        out.push_str(&left_out(text.len() - to));
    }
    out + feed
}

fn left_out(bytes: usize) -> String {
    format!("[... {bytes} bytes ...]")
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn ceil(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

/// A text that stops growing at the bounds, and then counts.
struct Bounded {
    text: String,
    shown: usize,
    more: usize,
}

impl Bounded {
    fn new(header: String) -> Self {
        Self { text: header, shown: 2, more: 0 }
    }

    /// Adds a line; one that does not `count` is a note to the line before it, and shares its fate.
    fn line(&mut self, line: &str, counts: bool) {
        // Room is kept for the note at the end.
        let full = self.shown >= MAX_DIFF_LINES || self.text.len() + line.len() + 1 > MAX_DIFF_BYTES - 64;
        if self.more > 0 || (full && counts) {
            self.more += usize::from(counts);
            return;
        }
        self.text.push_str(line);
        self.text.push('\n');
        self.shown += usize::from(counts);
    }

    fn end(mut self) -> String {
        if self.more > 0 {
            let lines = if self.more == 1 { "line" } else { "lines" };
            let _ = writeln!(self.text, "... {} more {lines}", self.more);
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(before: &str, after: &str) -> String {
        Compared::new(before, after, true).unified("/x").unwrap()
    }

    fn hunks(before: &str, after: &str) -> String {
        diff(before, after).lines().skip(2).map(|line| line.to_owned() + "\n").collect()
    }

    #[test]
    fn it_is_a_unified_diff() {
        assert_eq!(
            diff("a\nb\nc\n", "a\nB\nc\nd\n"),
            "--- a/x\n+++ b/x\n@@ -1,3 +1,4 @@\n a\n-b\n+B\n c\n+d\n"
        );
        assert_eq!(hunks("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
        assert_eq!(hunks("a\nb\n", ""), "@@ -1,2 +0,0 @@\n-a\n-b\n");
    }

    #[test]
    fn a_carriage_return_belongs_to_its_line() {
        assert!(diff("a\nb\n", "a\r\nb\n").ends_with("@@ -1,2 +1,2 @@\n-a\n+a\r\n b\n"));
        assert!(diff("a\rb\n", "a\rc\n").ends_with("@@ -1 +1 @@\n-a\rb\n+a\rc\n"));
    }

    #[test]
    fn a_lost_last_newline_is_noted_with_its_line() {
        assert_eq!(hunks("a\nb\n", "a\nb"), "@@ -1,2 +1,2 @@\n a\n-b\n+b\n\\ No newline at end of file\n");
        assert_eq!(hunks("b", "b\n"), "@@ -1 +1 @@\n-b\n\\ No newline at end of file\n+b\n");
    }

    #[test]
    fn of_a_long_line_what_differs_is_shown() {
        let (before, after) = (
            format!("{{{}\"debug\":false{}}}\n", "\"a\":1,".repeat(5_000), ",\"z\":2".repeat(5_000)),
            format!("{{{}\"debug\":true{}}}\n", "\"a\":1,".repeat(5_000), ",\"z\":2".repeat(5_000)),
        );
        let changed = diff(&before, &after);
        assert!(changed.contains("\"debug\":false,") && changed.contains("\"debug\":true,"), "{changed}");
        assert!(
            changed.len() < 2_000 && changed.contains("[... 29") && changed.ends_with("]\n"),
            "{changed}"
        );
        let new = diff("", &"x".repeat(10_000));
        assert!(new.contains("[... 8") && new.contains("No newline"), "{new}");
    }

    #[test]
    fn lines_are_counted_also_where_they_are_too_many_to_compare() {
        let count = |before, after| Compared::new(before, after, true).counts();
        assert_eq!(count("a\nb", "a\nc\nd\n"), Counts { before: 2, after: 3, moved: Some((2, 1)) });
        assert_eq!(count("", ""), Counts { before: 0, after: 0, moved: Some((0, 0)) });
        let many = "l\n".repeat(MAX_LINES + 1);
        assert_eq!(count(&many, "a"), Counts { before: MAX_LINES + 1, after: 1, moved: None });
        assert_eq!(Compared::new(&many, "a", true).unified("/x"), None);
    }
}
