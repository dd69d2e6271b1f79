//! Characters that are not what they look like: what a terminal obeys, what it does not show, and what it shows as
//! another character.
//!
//! Marks are plain ASCII: `<CR>`, `<TAB>`, `<SP>` and `<U+00A0>`. Where the text itself has such letters, its `<` is
//! marked too, so that a mark is never taken for text.

use std::borrow::Cow;

pub use nimbus_api::text::is_unseen;

/// Blanks other than the space.
const BLANKS: [(u32, u32); 7] = [
    (0x00a0, 0x00a0),
    (0x1680, 0x1680),
    (0x2000, 0x200a),
    (0x202f, 0x202f),
    (0x205f, 0x205f),
    (0x2800, 0x2800),
    (0x3000, 0x3000),
];
/// Letters and signs of other alphabets that look like these of ASCII.
const LOOK_ALIKES: [(char, &str); 60] = [
    ('A', "\u{410}\u{391}\u{13aa}"),
    ('B', "\u{412}\u{392}\u{13f4}"),
    ('C', "\u{421}\u{3f9}\u{216d}"),
    ('D', "\u{216e}\u{13a0}"),
    ('E', "\u{415}\u{395}\u{13ac}"),
    ('F', "\u{3dc}"),
    ('G', "\u{50c}\u{13c0}"),
    ('H', "\u{41d}\u{397}\u{13bb}"),
    ('I', "\u{406}\u{399}\u{4c0}\u{2160}"),
    ('J', "\u{408}\u{13ab}"),
    ('K', "\u{41a}\u{39a}\u{212a}"),
    ('L', "\u{216c}\u{13de}"),
    ('M', "\u{41c}\u{39c}\u{216f}"),
    ('N', "\u{39d}"),
    ('O', "\u{41e}\u{39f}\u{555}"),
    ('P', "\u{420}\u{3a1}\u{13e2}"),
    ('Q', "\u{51a}"),
    ('R', "\u{13a1}"),
    ('S', "\u{405}\u{54f}\u{13da}"),
    ('T', "\u{422}\u{3a4}\u{13a2}"),
    ('U', "\u{54d}"),
    ('V', "\u{474}\u{2164}\u{13d9}"),
    ('W', "\u{51c}\u{13b3}"),
    ('X', "\u{425}\u{3a7}\u{2169}"),
    ('Y', "\u{423}\u{3a5}\u{4ae}"),
    ('Z', "\u{396}\u{13c3}"),
    ('a', "\u{430}\u{3b1}\u{251}"),
    ('b', "\u{42c}\u{185}"),
    ('c', "\u{441}\u{3f2}\u{217d}"),
    ('d', "\u{501}\u{217e}"),
    ('e', "\u{435}\u{4bd}"),
    ('g', "\u{261}\u{581}"),
    ('h', "\u{4bb}\u{570}"),
    ('i', "\u{456}\u{3b9}\u{131}\u{2170}"),
    ('j', "\u{458}\u{3f3}"),
    ('k', "\u{3ba}\u{43a}"),
    ('l', "\u{4cf}\u{217c}\u{1c0}"),
    ('m', "\u{217f}"),
    ('n', "\u{578}\u{3b7}"),
    ('o', "\u{43e}\u{3bf}\u{585}"),
    ('p', "\u{440}\u{3c1}"),
    ('q', "\u{51b}\u{566}"),
    ('s', "\u{455}\u{a731}"),
    ('u', "\u{3c5}\u{57d}\u{28b}"),
    ('v', "\u{3bd}\u{475}\u{2174}"),
    ('w', "\u{51d}\u{461}"),
    ('x', "\u{445}\u{3c7}\u{2179}"),
    ('y', "\u{443}\u{4af}\u{3b3}"),
    ('-', "\u{2010}\u{2011}\u{2012}\u{2013}\u{2014}\u{2015}\u{2212}\u{fe63}\u{2d7}\u{2043}"),
    ('\'', "\u{2018}\u{2019}\u{201a}\u{201b}\u{2032}\u{2b9}\u{2bc}"),
    ('"', "\u{201c}\u{201d}\u{201e}\u{201f}\u{2033}\u{2ba}"),
    (';', "\u{37e}"),
    (':', "\u{2236}\u{a789}\u{2d0}"),
    ('/', "\u{2044}\u{2215}\u{29f8}"),
    ('.', "\u{2024}\u{6d4}"),
    ('!', "\u{1c3}"),
    ('*', "\u{2217}\u{204e}"),
    ('~', "\u{223c}\u{2dc}"),
    ('|', "\u{2223}\u{2758}"),
    ('=', "\u{a78a}\u{30a0}"),
];
/// What begins a mark.
const MARKS: [&str; 4] = ["<CR>", "<TAB>", "<SP>", "<U+"];

fn is_in(ranges: &[(u32, u32)], c: char) -> bool {
    ranges.iter().any(|&(first, last)| (first..=last).contains(&u32::from(c)))
}

/// Is it a blank other than the space and the tab?
pub fn is_odd_blank(c: char) -> bool {
    is_in(&BLANKS, c)
}

/// The character of ASCII that it looks like.
pub fn looks_like(c: char) -> Option<char> {
    let code = u32::from(c);
    match code {
        0..=0x7f => None,
        // The wide forms, and the letters and digits of mathematics.
        0xff01..=0xff5e => char::from_u32(code - 0xfee0),
        0x1_d400..=0x1_d6a3 => {
            let letter = (code - 0x1_d400) % 52;
            char::from_u32(if letter < 26 { 0x41 + letter } else { 0x61 + letter - 26 })
        }
        0x1_d7ce..=0x1_d7ff => char::from_u32(0x30 + (code - 0x1_d7ce) % 10),
        _ => LOOK_ALIKES.iter().find(|(_, others)| others.contains(c)).map(|(ascii, _)| *ascii),
    }
}

/// `<U+00A0>`
pub fn code(c: char) -> String {
    format!("<U+{:04X}>", u32::from(c))
}

/// What a character is called, where it has to be named.
pub fn name(c: char) -> Cow<'static, str> {
    let known = match u32::from(c) {
        0x00a0 => "no-break space",
        0x00ad => "soft hyphen",
        0x200b => "zero-width space",
        0x200c => "zero-width non-joiner",
        0x200d => "zero-width joiner",
        0x2060 => "word joiner",
        0x202f => "narrow no-break space",
        0x3000 => "ideographic space",
        0xfeff => "byte order mark",
        0x200e | 0x200f | 0x061c | 0x202a..=0x202e | 0x2066..=0x2069 => "mark of direction",
        0x2028 | 0x2029 => "line separator",
        0xfe00..=0xfe0f => "variation selector",
        0xe_0000..=0xe_0fff => "invisible tag",
        _ if c.is_control() => "control character",
        _ if is_odd_blank(c) => "blank that is no space",
        _ if is_unseen(c) => "invisible character",
        _ => {
            return looks_like(c)
                .map_or(Cow::Borrowed("character"), |ascii| format!("looks like {ascii}").into());
        }
    };
    Cow::Borrowed(known)
}

/// Where a line stands in a change: that decides what of it is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// The same on both sides: tabs are blanks, and blanks at its end are no matter.
    Same,
    /// Added or removed: every blank that could differ is marked.
    Changed,
}

/// Each character of a line as it is shown.
pub fn marked(text: &str, line: Line) -> Vec<Cow<'static, str>> {
    let chars: Vec<char> = text.chars().collect();
    let blank = |c: &char| matches!(c, ' ' | '\t' | '\r') || is_odd_blank(*c) || is_unseen(*c);
    let end = chars.iter().rposition(|c| !blank(c)).map_or(0, |at| at + 1);
    let mut bytes = 0;
    let mut out = Vec::with_capacity(chars.len());
    for (at, &c) in chars.iter().enumerate() {
        let begins_mark = c == '<' && MARKS.iter().any(|mark| text[bytes..].starts_with(mark));
        bytes += c.len_utf8();
        out.push(match c {
            '\r' => Cow::Borrowed("<CR>"),
            '\t' if line == Line::Changed => Cow::Borrowed("<TAB>"),
            '\t' => Cow::Borrowed("    "),
            ' ' if line == Line::Changed && at >= end => Cow::Borrowed("<SP>"),
            c if c.is_control() || is_odd_blank(c) || is_unseen(c) || begins_mark => code(c).into(),
            c if line == Line::Changed && is_out_of_place(&chars, at) => format!("{c}{}", code(c)).into(),
            c => c.to_string().into(),
        });
    }
    out
}

/// A look-alike is out of place as a sign, and as a letter in a word that has letters or digits of ASCII too.
fn is_out_of_place(chars: &[char], at: usize) -> bool {
    if looks_like(chars[at]).is_none() {
        return false;
    }
    if !chars[at].is_alphanumeric() {
        return true;
    }
    let in_word = |c: &&char| c.is_alphanumeric() || **c == '_';
    let before = chars[..at].iter().rev().take_while(in_word);
    let after = chars[at..].iter().take_while(in_word);
    before.chain(after).any(char::is_ascii_alphanumeric)
}

/// What is left of a line when everything is made equal that looks equal.
pub fn skeleton(text: &str) -> String {
    let seen = text.chars().filter(|c| !is_unseen(*c) && *c != '\r');
    let seen = seen.map(|c| if c == '\t' || is_odd_blank(c) { ' ' } else { looks_like(c).unwrap_or(c) });
    let seen: String = seen.collect();
    seen.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, line: Line) -> String {
        marked(text, line).concat()
    }

    #[test]
    fn what_is_not_seen_is_marked() {
        for (text, shown) in [
            ("a = 1\r", "a = 1<CR>"),
            ("a = 1  ", "a = 1<SP><SP>"),
            ("\ta\tb\t", "<TAB>a<TAB>b<TAB>"),
            ("a\u{a0}= 1", "a<U+00A0>= 1"),
            ("pass\u{200b}word", "pass<U+200B>word"),
            ("\u{feff}a", "<U+FEFF>a"),
            ("if \u{202e}eslaf", "if <U+202E>eslaf"),
            ("a\u{1b}[2Jb\u{9b}c\u{7f}", "a<U+001B>[2Jb<U+009B>c<U+007F>"),
            ("p\u{430}ypal.com", "p\u{430}<U+0430>ypal.com"),
            ("a \u{2013}x", "a \u{2013}<U+2013>x"),
            ("\u{ff50}ort1", "\u{ff50}<U+FF50>ort1"),
            ("a <U+00A0> <CR>", "a <U+003C>U+00A0> <U+003C>CR>"),
            ("a < b <b>", "a < b <b>"),
            ("   ", "<SP><SP><SP>"),
        ] {
            assert_eq!(show(text, Line::Changed), shown, "{text:?}");
        }
        // Words of another alphabet are what they are.
        for text in ["# \u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c}", "größer, 文", "a b"] {
            assert_eq!(show(text, Line::Changed), text);
        }
        assert_eq!(show("\ta \r", Line::Same), "    a <CR>");
        assert_eq!(show("a\u{a0}b\u{1b}", Line::Same), "a<U+00A0>b<U+001B>");
    }

    #[test]
    fn lines_that_look_equal_have_one_skeleton() {
        for other in
            ["a = 1\r", "a =  1 ", "a\t= 1", "a\u{a0}= 1", "\u{430} = 1", "\u{200b}a = 1", "\u{ff41} = 1"]
        {
            assert_eq!(skeleton(other), skeleton("a = 1"), "{other:?}");
        }
        assert_ne!(skeleton("a = 1"), skeleton("a = 2"));
        assert_ne!(skeleton("ab"), skeleton("a b"));
    }

    #[test]
    fn characters_have_names() {
        assert_eq!(name('\u{a0}'), "no-break space");
        assert_eq!(name('\u{202e}'), "mark of direction");
        assert_eq!(name('\u{430}'), "looks like a");
        assert_eq!(name('\u{1b}'), "control character");
    }
}
