//! How figures, times and names are said.

use jiff::Timestamp;

use crate::world::{Filesystem, manager_name};

/// `once`, `3 times`.
pub(super) fn times(count: impl Into<u64>) -> String {
    match count.into() {
        1 => "once".to_owned(),
        more => format!("{more} times"),
    }
}

/// A time span in the unit that people read, cut and not rounded.
pub(super) fn span(ms: u64) -> String {
    match ms / 1_000 {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds @ 7_200..=172_799 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// `95.0 %`.
pub(super) fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

/// How full a file system is; `None` where it does not say.
pub(super) fn fullness(of: &Filesystem) -> Option<String> {
    let bytes = of.used_permille().map(|used| format!("{} in use", percent(used)));
    let inodes = of.inodes_used_permille().map(|used| format!("{} of its inodes in use", percent(used)));
    let all: Vec<String> = [bytes, inodes].into_iter().flatten().collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// ` (why)`, or nothing.
pub(super) fn in_brackets(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(" ({why})") }
}

/// `: why`, or nothing.
pub(super) fn after_colon(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

/// ` since 2026-…`, or nothing.
pub(super) fn since(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!(" since {at:.0}"))
}

/// ` at 2026-…`, or nothing.
pub(super) fn at(at: Option<Timestamp>) -> String {
    at.map_or_else(String::new, |at| format!(" at {at:.0}"))
}

/// That a tool keeps an object as it is; `None` where nobody known does.
pub(super) fn kept(manager: &str, evidence: &str) -> Option<String> {
    (!manager.is_empty()).then(|| format!("it is kept by {}{}", manager_name(manager), after_colon(evidence)))
}

/// So many of them joined, and how many more there are.
pub(super) fn some(all: &[String], most: usize) -> String {
    let shown = all.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = all.len().saturating_sub(most);
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}
