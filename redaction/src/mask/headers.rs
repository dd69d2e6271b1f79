//! Finds the values of headers `Authorization` and `Cookie` that stand in a list, as Go prints headers and as JSON and YAML have them:
//! `Authorization:[Digest username="joe", response="x"]`, `"Authorization":["Token x"]`, `"Authorization":[]string{"Token x"}`.

use std::ops::Range;
use std::sync::OnceLock;

use crate::secret::rules::Form;

/// What such a header begins with, up to the sign that opens its list.
const BEGIN: &str = r#"(?i)\b(?:(?:proxy-)?authorization|(?:set-)?cookie)["']?[ \t]*(?::|=>?|,)[ \t]*(?:\[\][ \t]*string[ \t]*\{|\[)"#;
/// What is in a list when that is a credential: a scheme and what follows it, which may be in quotes of its own or in the next
/// line, a name with its value, or one word with a digit in it.
const CREDENTIAL: &str = r#"^["'\s-]*(?:[A-Za-z][\w-]*["']?\s+["']?[^\s"',;|\]]|[^\s"',;=\[\]]+=[^\s"',;\]]|[^\s"',\[\]]{5,}\d[^\s"',]*\s*["']?|[^\s"',\[\]]*\d[^\s"',]{5,}\s*["']?)"#;
/// Most lines of a list, and most bytes; of a longer one so much is taken.
const LINES: usize = 32;
const BYTES: usize = 4096;

fn begin() -> &'static Form {
    static FORM: OnceLock<Form> = OnceLock::new();
    FORM.get_or_init(|| Form::from(BEGIN.to_owned()))
}

fn credential() -> &'static Form {
    static FORM: OnceLock<Form> = OnceLock::new();
    FORM.get_or_init(|| Form::from(CREDENTIAL.to_owned()))
}

/// The forms that are used here, to see whether they can be used.
pub fn forms() -> [(&'static Form, &'static str); 2] {
    [(begin(), BEGIN), (credential(), CREDENTIAL)]
}

/// Where what is in such lists stands.
pub fn places(text: &str) -> Vec<Range<usize>> {
    let Some(form) = begin().get() else { return Vec::new() };
    let opened = form.find_iter(text.as_bytes()).map(|found| found.end());
    opened.filter_map(|start| inside(text, start)).collect()
}

/// What is in the list that is open at `start`, without the quotes around all of it: up to its end, which may be some lines
/// below, else up to the end of its line.
fn inside(text: &str, start: usize) -> Option<Range<usize>> {
    let end = end_of_list(text, start);
    // A link of Markdown.
    if end.is_some_and(|end| text[end..].starts_with("](")) {
        return None;
    }
    let end = end.unwrap_or_else(|| line_end(text, start));
    let inside = &text[start..end];
    let quotes = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let left = inside.len() - inside.trim_start_matches(quotes).len();
    let place = start + left..start + inside.trim_end_matches(quotes).len().max(left);
    credential().is_in(inside).then_some(place)
}

fn line_end(text: &str, from: usize) -> usize {
    text[from..].find('\n').map_or(text.len(), |length| from + length)
}

/// Where the list ends that is open at `start`, or where it has become too long. A value may have such a sign in it: one that ends a list has nothing behind
/// it that a value goes on with.
fn end_of_list(text: &str, start: usize) -> Option<usize> {
    let (mut at, mut depth) = (start, 0_usize);
    for (number, line) in text[start..].split_inclusive('\n').enumerate() {
        if number == LINES {
            return Some(at);
        }
        let goes_on = line.is_empty() || line.starts_with([' ', '\t', '"', '\'', ']', '}', '\r', '\n', '-']);
        if at > start && (line.trim().is_empty() || !goes_on) {
            return None;
        }
        for (byte, c) in line.char_indices() {
            if at + byte - start > BYTES {
                return Some(at + byte);
            }
            let behind = line[byte + c.len_utf8()..].chars().next();
            let ends = behind
                .is_none_or(|c| c.is_whitespace() || matches!(c, ']' | '}' | ')' | ',' | ';' | '(' | '\\'));
            match c {
                '[' | '{' => depth += 1,
                ']' | '}' if depth > 0 => depth -= 1,
                ']' | '}' if ends => return Some(at + byte),
                _ => {}
            }
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_list_is_found_up_to_its_end_or_the_end_of_its_line() {
        for (text, found) in [
            ("map[Authorization:[Token x7] x:[y]]", Some("Token x7")),
            ("map[Authorization:[Digest a=\"x\", b=\"y]z\"] x:[y]]", Some("Digest a=\"x\", b=\"y]z")),
            ("Proxy-Authorization: ['Digest a=\"x\"", Some("Digest a=\"x")),
            ("authorization: [\n  'Token x7',\n  'Token y7'\n]\nport: [1]", Some("Token x7',\n  'Token y7")),
            ("http.Header{\"Authorization\":[]string{\"Token x7\"}, a}", Some("Token x7")),
            (
                "authorization: [Digest\n  username=\"joe\", response=\"x\"]",
                Some("Digest\n  username=\"joe\", response=\"x"),
            ),
            ("Authorization:[\"Digest\" \"username=joe\"]", Some("Digest\" \"username=joe")),
            ("\"Cookie\":[\"JSESSIONID=4F7A1C9D2B\"]", Some("JSESSIONID=4F7A1C9D2B")),
            ("{\"Cookie\":[]string{\"sid=x7Qk\"}}", Some("sid=x7Qk")),
            ("\"Set-Cookie\": [\n \"sid=x7Qk; Path=/\"\n]", Some("sid=x7Qk; Path=/")),
            ("\"Cookie\":[\"lang=en; sid=meadow\"]", Some("lang=en; sid=meadow")),
            ("\"Set-Cookie\":[\"a=1\",\"sid=meadow\"]", Some("a=1\",\"sid=meadow")),
            ("cookie: [session, theme]", None),
            ("authorization: [\nname: Token x7]", None),
            ("authorization: [basic, bearer]", None),
            ("Authorization: [see the guide](https://docs.example)", None),
            ("Authorization:[[redacted]]", None),
            ("Authorization:[]", None),
        ] {
            let place = places(text).into_iter().next();
            assert_eq!(place.map(|place| &text[place]), found, "{text}");
        }
    }

    #[test]
    fn of_a_list_that_is_too_long_as_much_is_taken_as_is_looked_at() {
        for long in ["  'Token x7',\n".repeat(2 * LINES), format!("  'Token {}'\n", "x7".repeat(BYTES))] {
            let text = format!("authorization: [\n{long}]\n");
            let places = places(&text);
            let [place] = &places[..] else { panic!("{places:?}") };
            assert!(text[place.clone()].starts_with("Token x7"));
            assert!(place.len() > BYTES / 2 || text[place.clone()].lines().count() == LINES - 1, "{place:?}");
        }
    }
}
