//! A unified diff, bounded in work and in length.

use similar::TextDiff;

use super::{MAX_DIFF_BYTES, MAX_DIFF_LINES};

/// Most lines of a side: comparing takes time with the square of what differs.
const MAX_LINES: usize = 4_000;

/// The diff, cut to the bounds with a last line that says how much more there is; `None` when a side has too many
/// lines to compare.
pub(super) fn unified(path: &str, before: &str, after: &str) -> Option<String> {
    if before.lines().count().max(after.lines().count()) > MAX_LINES {
        return None;
    }
    let diff = TextDiff::from_lines(before, after);
    let (old, new) = (format!("a{path}"), format!("b{path}"));
    let whole = diff.unified_diff().context_radius(3).header(&old, &new).to_string();
    Some(cut(&whole))
}

fn cut(whole: &str) -> String {
    let mut out = String::new();
    let count = whole.lines().count();
    for (shown, line) in whole.lines().enumerate() {
        // Room is kept for the note at the end.
        if shown == MAX_DIFF_LINES || out.len() + line.len() + 1 > MAX_DIFF_BYTES - 64 {
            let more = count - shown;
            let lines = if more == 1 { "line" } else { "lines" };
            return out + &format!("... {more} more {lines}\n");
        }
        out.push_str(line);
        out.push('\n');
    }
    out
}
