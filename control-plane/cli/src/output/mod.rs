//! How results are printed: one JSON document for programs, tables and longer texts for people.
//!
//! Data goes to stdout, hints and progress to stderr. Text that comes from elsewhere (file names, messages of a
//! cluster) has its control characters removed before a terminal gets it, and what a terminal does not show is marked.

pub mod changes;
pub mod table;
pub mod theme;
pub mod time;
pub mod visible;
pub mod wrap;

use std::borrow::Cow;

/// `text` on one line and without control characters: each becomes U+FFFD, a line break or tab a space. What is not seen,
/// or turns the reading direction, is marked as `<U+202E>`.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(' '),
            c => push(&mut out, c),
        }
    }
    Cow::Owned(out)
}

/// As [`plain`], but line breaks stay and a tab becomes four spaces.
pub fn plain_lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != '\n' && is_control(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            c => push(&mut out, c),
        }
    }
    Cow::Owned(out)
}

fn push(out: &mut String, c: char) {
    match c {
        c if c.is_control() => out.push('\u{fffd}'),
        c if visible::is_unseen(c) => out.push_str(&visible::code(c)),
        c => out.push(c),
    }
}

/// Control characters, and what a terminal does not show or lets turn the reading direction: each can make a line lie.
fn is_control(c: char) -> bool {
    c.is_control() || visible::is_unseen(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc\td\u{202e}e"), "a\u{fffd}[31mb c d<U+202E>e");
        assert_eq!(plain("pass\u{200b}wd"), "pass<U+200B>wd");
        assert_eq!(plain_lines("a\r\nb\tc\u{9b}d"), "a\u{fffd}\nb    c\u{fffd}d");
        assert!(matches!(plain("größer, 文"), Cow::Borrowed(_)));
    }
}
