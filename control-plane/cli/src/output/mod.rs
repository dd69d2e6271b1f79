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
/// turns the reading direction, or looks like a space and is another character, is marked as `<U+202E>`.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(can_lie) {
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
    if !text.chars().any(|c| c != '\n' && can_lie(c)) {
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
        c if can_lie(c) => out.push_str(&visible::code(c)),
        c => out.push(c),
    }
}

/// Control characters, what a terminal does not show or lets turn the reading direction, and blanks that look like a
/// space: each can make a line lie, as a path of which a person copies another one.
fn can_lie(c: char) -> bool {
    c.is_control() || visible::is_unseen(c) || visible::is_odd_blank(c)
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

    #[test]
    fn a_blank_that_is_no_space_is_not_shown_as_one() {
        assert_eq!(plain("/srv/a\u{a0}b c"), "/srv/a<U+00A0>b c");
        assert_eq!(plain_lines("a\u{3000}b\n"), "a<U+3000>b\n");
        let blanks =
            ['\u{1680}', '\u{202f}', '\u{205f}', '\u{3000}'].into_iter().chain('\u{2000}'..='\u{200a}');
        for blank in blanks {
            assert_eq!(plain(&format!("a{blank}b")), format!("a{}b", visible::code(blank)));
        }
    }
}
