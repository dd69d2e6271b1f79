//! Reads a line in which signs are written as their numbers or names, and knows where each of them stands: `%3D`, `&#61;`,
//! `&#x3d;`, `&quot;`, `\u003d` and `\x3d`.

use std::ops::Range;

/// The longest sign, bytes: `&#x10ffff;`.
const LONGEST: usize = 10;
/// Signs with a name.
const NAMED: [(&str, char); 8] = [
    ("amp", '&'),
    ("apos", '\''),
    ("colon", ':'),
    ("equals", '='),
    ("gt", '>'),
    ("lt", '<'),
    ("nbsp", ' '),
    ("quot", '"'),
];

/// A line as it reads.
pub struct Read {
    /// The line.
    pub text: String,
    /// For each of its bytes, and for its end, where what it was read from begins.
    starts: Vec<usize>,
}

impl Read {
    /// The line, if a sign in it is written otherwise.
    pub fn new(line: &str) -> Option<Self> {
        if !line.contains(['%', '&', '\\']) {
            return None;
        }
        let mut read = Self { text: String::with_capacity(line.len()), starts: Vec::new() };
        let mut at = 0;
        while let Some(first) = line[at..].chars().next() {
            let (sign, length) = sign(&line[at..]).unwrap_or((first, first.len_utf8()));
            read.text.push(sign);
            read.starts.extend(std::iter::repeat_n(at, sign.len_utf8()));
            at += length;
        }
        read.starts.push(at);
        (read.text.len() < line.len()).then_some(read)
    }

    /// Where a place of the text stands in the line.
    pub fn place(&self, place: &Range<usize>) -> Range<usize> {
        let at = |byte: usize| self.starts.get(byte).or(self.starts.last()).copied().unwrap_or_default();
        at(place.start)..at(place.end)
    }
}

/// The sign at the beginning of a text that is written as its number or name, and how many bytes that takes.
fn sign(text: &str) -> Option<(char, usize)> {
    let (sign, length) = match text.as_bytes().first()? {
        b'%' => percent(text.as_bytes())?,
        b'&' => entity(text)?,
        b'\\' => escape(text)?,
        _ => return None,
    };
    // What no text has stays as it is written.
    (!sign.is_control() || matches!(sign, '\t' | '\n' | '\r')).then_some((sign, length))
}

/// `%C3%A4`: the bytes of one letter.
fn percent(text: &[u8]) -> Option<(char, usize)> {
    let byte = |number: usize| {
        let digits = text.get(number * 3..number * 3 + 3)?.strip_prefix(b"%")?;
        number_of(digits).and_then(|byte| u8::try_from(byte).ok())
    };
    let first = byte(0)?;
    let count = match first {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        0xf0..=0xff => 4,
    };
    let bytes: Vec<u8> = (0..count).map_while(byte).collect();
    let mut letters = std::str::from_utf8(&bytes).ok()?.chars();
    Some((letters.next()?, count * 3))
}

/// `&#61;`, `&#x3d;` or `&equals;`.
fn entity(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(LONGEST).position(|byte| byte == b';')?;
    let name = text.get(1..end)?;
    let sign = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(digits) => number_of(digits.as_bytes()).and_then(char::from_u32)?,
            None => number.parse().ok().and_then(char::from_u32)?,
        },
        None => NAMED.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))?.1,
    };
    Some((sign, end + 1))
}

/// `\u003d` or `\x3d`.
fn escape(text: &str) -> Option<(char, usize)> {
    let length = match text.as_bytes().get(1)? {
        b'u' => 6,
        b'x' => 4,
        _ => return None,
    };
    let sign = number_of(text.as_bytes().get(2..length)?).and_then(char::from_u32)?;
    Some((sign, length))
}

/// The number that hexadecimal digits are, and nothing else is.
fn number_of(digits: &[u8]) -> Option<u32> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|c| c.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_sign_is_read_and_found_again() {
        for (line, text) in [
            ("a%3Db%20c", "a=b c"),
            ("%E5%AF%86x", "密x"),
            ("a&#61;&#x3A;&quot;&Equals;b", "a=:\"=b"),
            (r"\u0070\x3dq", "p=q"),
            ("100%25 &amp; more", "100% & more"),
        ] {
            let read = Read::new(line).unwrap();
            assert_eq!(read.text, text);
            assert_eq!(read.place(&(0..text.len())), 0..line.len());
            let last = text.char_indices().next_back().unwrap().0;
            assert!(line[read.place(&(last..text.len()))].len() <= 9, "{line}");
        }
        let read = Read::new("ä%3Dbc").unwrap();
        assert_eq!(read.place(&(3..4)), 5..6, "the letter behind the sign");
    }

    #[test]
    fn what_is_no_sign_stays() {
        for line in
            ["", "plain", "50% of it", "a & b;", r"C:\users", "%zz %+1 &#x; &#; &unknown;", "%00", "%C3"]
        {
            assert!(Read::new(line).is_none(), "{line}");
        }
    }
}
