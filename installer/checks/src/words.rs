//! Lists in sentences.

use std::fmt::Write as _;

/// The most items of a list that a sentence names; the rest is counted.
const MOST: usize = 5;

/// `a, b and 3 more`.
pub(crate) fn list<T: AsRef<str>>(items: &[T]) -> String {
    joined(items, ", ")
}

/// `a; b; and 3 more`, for items that are sentences.
pub(crate) fn sentences<T: AsRef<str>>(items: &[T]) -> String {
    joined(items, "; ")
}

fn joined<T: AsRef<str>>(items: &[T], between: &str) -> String {
    let shown: Vec<&str> = items.iter().take(MOST).map(AsRef::as_ref).collect();
    let mut text = shown.join(between);
    if items.len() > MOST {
        // Writing to a string cannot fail.
        let _ = write!(text, " and {} more", items.len() - MOST);
    }
    text
}

/// `1 node`, `3 nodes`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// The start of a text, at most `most` characters of it, on one line.
pub(crate) fn start(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
