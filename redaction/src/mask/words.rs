//! The words of which keys consist: letters, digits and the signs of base64.

use std::ops::Range;

/// Where they stand in a text.
pub fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_part = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'/' | b'_' | b'-' | b'=');
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(|c| is_part(*c))?;
        let end =
            bytes[start..].iter().position(|c| !is_part(*c)).map_or(bytes.len(), |length| start + length);
        at = end;
        Some(start..end)
    })
}
