//! How results are printed: one JSON document for programs, tables and longer texts for people.
//!
//! Data goes to stdout, hints and progress to stderr. Text that comes from elsewhere (file names, messages of a
//! cluster) has its control characters removed before a terminal gets it.

pub mod table;
pub mod theme;
pub mod time;
pub mod wrap;

use std::borrow::Cow;

/// `text` on one line and without control characters: each becomes U+FFFD, a line break or tab a space.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_control) {
        return Cow::Borrowed(text);
    }
    let clean = |c| match c {
        '\n' | '\t' => ' ',
        c if is_control(c) => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.chars().map(clean).collect())
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
            c if is_control(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Control characters, and the marks that turn the reading direction: both can make a line lie.
fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[31mb\nc\td\u{202e}e"), "a\u{fffd}[31mb c d\u{fffd}e");
        assert_eq!(plain_lines("a\r\nb\tc\u{9b}d"), "a\u{fffd}\nb    c\u{fffd}d");
        assert!(matches!(plain("größer, 文"), Cow::Borrowed(_)));
    }
}
