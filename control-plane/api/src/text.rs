//! Characters that no terminal and no spreadsheet should get as they are: those that a terminal obeys, does not show, or
//! lets turn the direction of what follows.

use std::fmt::Write as _;

/// Characters without any width of their own: joiners, marks of direction, variation selectors, tags.
const UNSEEN: [(u32, u32); 16] = [
    (0x00ad, 0x00ad),
    (0x034f, 0x034f),
    (0x061c, 0x061c),
    (0x115f, 0x1160),
    (0x17b4, 0x17b5),
    (0x180b, 0x180f),
    (0x200b, 0x200f),
    (0x2028, 0x202e),
    (0x2060, 0x206f),
    (0x3164, 0x3164),
    (0xfe00, 0xfe0f),
    (0xfeff, 0xfeff),
    (0xffa0, 0xffa0),
    (0xfff0, 0xfffb),
    (0x1_d173, 0x1_d17a),
    (0xe_0000, 0xe_0fff),
];

/// Does a terminal show nothing for it, or let it turn the direction of what follows?
pub fn is_unseen(c: char) -> bool {
    UNSEEN.iter().any(|&(first, last)| (first..=last).contains(&u32::from(c)))
}

/// Whether it is a control character, a line break included, or is not seen.
pub fn is_unsafe(c: char) -> bool {
    c.is_control() || is_unseen(c)
}

/// The text with each such character as JSON writes it: `\n`, `\u001b`. Other text stays as it is.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unsafe(c) => push_escape(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

/// A JSON document in which such characters are escaped. They can stand only in its strings, where the escape means the
/// same; line breaks between its tokens stay.
pub fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\n' => out.push('\n'),
            c if is_unsafe(c) => push_escape(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

fn push_escape(out: &mut String, c: char) {
    let mut units = [0; 2];
    for unit in c.encode_utf16(&mut units) {
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped_and_means_the_same() {
        assert_eq!(escaped("a\nb\t\u{1b}[2J\u{9b}\u{202e}x"), "a\\nb\\t\\u001b[2J\\u009b\\u202ex");
        assert_eq!(escaped("größer, 文 \\n"), "größer, 文 \\n");
        let value = serde_json::json!({"a": "x\u{7f}\u{85}\u{200b}\u{e0041}\n\u{1b}"});
        let text = escaped_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!text.contains(|c: char| c != '\n' && is_unsafe(c)), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
