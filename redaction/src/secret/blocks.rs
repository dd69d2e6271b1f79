//! Reads values between marks of several signs, which may go on over lines: `"""x"""` and `'''x'''` of TOML,
//! `<![CDATA[x]]>` of XML.

/// What begins such a value, and what ends it.
const MARKS: [(&str, &str); 3] = [("\"\"\"", "\"\"\""), ("'''", "'''"), ("<![CDATA[", "]]>")];
/// Quotes of which two stand for one, as in the quotes of SQL, YAML and CSV. Only with a letter or a digit behind them, and
/// closed in the same line: `""` is also a value that is empty.
const DOUBLED: [&str; 2] = ["\"\"", "''"];
/// Most lines that such a value has.
pub const LINES: usize = 512;

/// Such a value, as far as its line goes.
struct Block<'a> {
    inside: &'a str,
    /// What stands behind its end; `None` where it goes on in the next line.
    rest: Option<&'a str>,
    end: &'static str,
}

/// The value and what stands behind it in its line, where a text begins with such a mark.
pub fn first(text: &str) -> Option<(&str, &str)> {
    match begin(text) {
        Some(block) => Some((block.inside, block.rest.unwrap_or_default())),
        None => DOUBLED.iter().find_map(|quotes| doubled(text, quotes)),
    }
}

/// The parts of a value that does not end in its line, with how far below each of them stands.
pub fn open<'a>(value: &'a str, next: &[&'a str]) -> Option<Vec<(usize, &'a str)>> {
    let Block { inside, rest: None, end } = begin(value)? else { return None };
    // Of several in a line only the last one goes on: the lines below are looked at once for each kind of mark.
    if MARKS.iter().any(|(begin, close)| *close == end && inside.contains(begin)) {
        return None;
    }
    let mut parts = vec![(0, inside)];
    for (at, line) in next.iter().take(LINES).enumerate() {
        let close = end_of(line, end);
        parts.push((at + 1, &line[..close.unwrap_or(line.len())]));
        if close.is_some() {
            break;
        }
    }
    Some(parts)
}

/// May a line have a value that does not end in it?
pub fn may_be_in(line: &str) -> bool {
    MARKS.iter().any(|(begin, _)| line.contains(begin))
}

fn begin(text: &str) -> Option<Block<'_>> {
    let (inside, end) = MARKS.iter().find_map(|(begin, end)| Some((text.strip_prefix(begin)?, *end)))?;
    Some(match end_of(inside, end) {
        Some(at) => Block { inside: &inside[..at], rest: Some(&inside[at + end.len()..]), end },
        None => Block { inside, rest: None, end },
    })
}

fn doubled<'a>(text: &'a str, quotes: &str) -> Option<(&'a str, &'a str)> {
    let inside = text.strip_prefix(quotes).filter(|inside| inside.starts_with(char::is_alphanumeric))?;
    // What ends with the sign of a name is an attribute: `a=""b=""`.
    inside.split_once(quotes).filter(|(value, _)| !value.ends_with(['=', ':', ' ']))
}

/// The byte at which the mark that ends a value begins; within `"""` a quote behind a backslash ends nothing.
fn end_of(text: &str, end: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        if !is_escaped && text[at..].starts_with(end) {
            return Some(at);
        }
        is_escaped = c == '\\' && !is_escaped && end.starts_with('"');
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_at_its_mark_in_its_line_or_below() {
        assert_eq!(first("'''a'b''' c"), Some(("a'b", " c")));
        assert_eq!(first(r#""""a\"""b""" c"#), Some((r#"a\"""b"#, " c")));
        assert_eq!(first("<![CDATA[a<b]]></x>"), Some(("a<b", "</x>")));
        assert_eq!(first("'''a"), Some(("a", "")));
        assert_eq!(first("''a'' b"), Some(("a", " b")));
        for text in ["'a'", "''", "'' + x + ''", "\"\", \"\"", "\"\"b=\"\"", "''a"] {
            assert_eq!(first(text), None, "{text}");
        }
        assert_eq!(open("'''a'''", &["b"]), None);
        assert_eq!(open("<![CDATA[a <![CDATA[b", &["c"]), None, "the other one goes on");
        assert_eq!(open("'''", &["a", "b''' c", "d"]), Some(vec![(0, ""), (1, "a"), (2, "b")]));
        assert_eq!(open("'''a", &["b"]), Some(vec![(0, "a"), (1, "b")]), "it is never closed");
    }
}
