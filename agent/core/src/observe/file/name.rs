//! Names of files as text that can be shown, sent and turned back: a name is bytes, and not all bytes are text.
//!
//! A byte that is no part of UTF-8, or that is a control character, is written `\xHH`. So that this can be told from a name
//! that holds such text itself, a backslash before text of that form is written `\x5c`. Every other name is itself.

use std::borrow::Cow;

/// The text for a name or a path.
pub fn escape(name: &[u8]) -> Cow<'_, str> {
    let mut text = String::new();
    for chunk in name.utf8_chunks() {
        for (at, c) in chunk.valid().char_indices() {
            let rest = &chunk.valid()[at..];
            if c.is_control() || (c == '\\' && escaped(rest).is_some()) {
                let mut bytes = [0; 4];
                c.encode_utf8(&mut bytes).bytes().for_each(|byte| push(&mut text, byte));
            } else {
                text.push(c);
            }
        }
        chunk.invalid().iter().for_each(|byte| push(&mut text, *byte));
    }
    match std::str::from_utf8(name) {
        Ok(plain) if plain == text => Cow::Borrowed(plain),
        _ => Cow::Owned(text),
    }
}

/// The bytes of the name or path that a text is for.
pub fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('\\') {
        return Cow::Borrowed(text.as_bytes());
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        let (byte, length) = escaped(rest).map_or((b'\\', 1), |byte| (byte, 4));
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Cow::Owned(bytes)
}

fn push(text: &mut String, byte: u8) {
    text.push_str("\\x");
    text.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
}

/// The byte for which a text begins with `\xHH`, of those that are ever written so.
fn escaped(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("\\x")?.get(..2)?;
    if !digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let byte = u8::from_str_radix(digits, 16).ok()?;
    matches!(byte, 0..0x20 | b'\\' | 0x7f..).then_some(byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_text_is_shown_and_what_is_text_stays() {
        for (name, text) in [
            (b"app.conf".as_slice(), "app.conf"),
            ("grüße.txt".as_bytes(), "grüße.txt"),
            (b"caf\xe9.conf", r"caf\xe9.conf"),
            (b"a\nb", r"a\x0ab"),
            (b"\x1b[2J", r"\x1b[2J"),
            (b"\xc2\x85", r"\xc2\x85"),
            // What systemd calls its units.
            (br"dev-disk-by\x2dlabel.swap", r"dev-disk-by\x2dlabel.swap"),
            (br"with\x20blank.mount", r"with\x20blank.mount"),
            (br"home-\xc3\xa4.mount", r"home-\x5cxc3\x5cxa4.mount"),
            (br"C:\temp", r"C:\temp"),
            (br"\x5c", r"\x5cx5c"),
        ] {
            assert_eq!(escape(name), text);
            assert_eq!(unescape(text).as_ref(), name, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_name_has_one_text_and_comes_back(name in proptest::collection::vec(any::<u8>(), 0..24)) {
            prop_assert_eq!(unescape(&escape(&name)).into_owned(), name);
        }

        #[test]
        fn also_a_name_that_looks_escaped(name in r"(\\|x|[0-9a-f]|é){0,16}") {
            prop_assert_eq!(unescape(&escape(name.as_bytes())).into_owned(), name.into_bytes());
        }
    }
}
