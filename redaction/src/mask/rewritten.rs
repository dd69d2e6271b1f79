//! Finds secrets in lines of which signs are written as their numbers or names: `password%3Dx7`.

use std::ops::Range;

use super::Redacted;
use super::page::Page;
use super::signs::Read;

/// The methods that a log of requests writes before an address.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// Masks what tells once these signs are read; `redacted` is what is left of a text.
pub fn take_out(page: &mut Page, redacted: impl Fn(&str) -> Redacted) {
    let text = page.judged();
    let lines: Vec<(usize, Read)> = read(text).collect();
    // Few such lines hold a secret: they are judged together first, with an empty line between, so that none belongs to
    // another.
    let all: Vec<&str> = lines.iter().map(|(_, line)| line.text.as_str()).collect();
    if all.is_empty() || redacted(&all.join("\n\n")).count == 0 {
        return;
    }
    let places = lines.iter().filter_map(|(start, line)| {
        let left = redacted(&line.text);
        (left.count > 0).then(|| behind(*start, &line.place(&difference(&line.text, &left.text))))
    });
    let places = places.filter(|place| !is_answer(text, place)).collect();
    page.mask(places);
}

/// The lines of a text with such signs, as they read, each with where it begins.
pub fn read(text: &str) -> impl Iterator<Item = (usize, Read)> {
    let mut at = 0;
    text.split('\n').filter_map(move |line| {
        let start = at;
        at += line.len() + 1;
        Some((start, Read::new(line)?))
    })
}

/// A place in a line as one in the text.
pub fn behind(start: usize, place: &Range<usize>) -> Range<usize> {
    start + place.start..start + place.end
}

/// Is this the protocol or the status code behind a request's address that ends with `%20`? Once that is read as a blank, the
/// address seems to go on. Who writes the blanks of an address as `%20` has its value in the address, and the blank behind it
/// is the log's own.
fn is_answer(text: &str, place: &Range<usize>) -> bool {
    let line = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let Some((request, "")) = text[line..place.start].rsplit_once(' ') else { return false };
    let mut words = request.rsplit(' ');
    let (address, method) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let value = &text[place.clone()];
    let is_status = value.len() == 3
        && value.bytes().all(|c| c.is_ascii_digit())
        && value.starts_with(['1', '2', '3', '4', '5']);
    let ends = text[place.end..].chars().next().is_none_or(|c| c.is_whitespace() || c == '"');
    address.starts_with('/')
        && address.ends_with("%20")
        && METHODS.contains(&method.trim_start_matches('"'))
        && ends
        && (is_status || matches!(value, "HTTP/1.0" | "HTTP/1.1" | "HTTP/2.0"))
}

/// What of a text is another one now, from the first such place to the last; all of it where that cannot be told.
fn difference(before: &str, after: &str) -> Range<usize> {
    let mut both = before.char_indices().zip(after.chars());
    let shorter = before.len().min(after.len());
    let start = both.find(|((_, old), new)| old != new).map_or(shorter, |((at, _), _)| at);
    let mut end = before.len();
    for (old, new) in before.chars().rev().zip(after.chars().rev()) {
        let length = before.len() - end + old.len_utf8();
        if old != new || start + length > shorter {
            break;
        }
        end -= old.len_utf8();
    }
    if start < end { start..end } else { 0..before.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_log_writes_behind_a_request_is_its_answer() {
        for (text, value, expected) in [
            ("ok\nGET /s?q=password%20 200 18", "200", true),
            (r#"10.0.0.9 "GET /s?q=password%20 HTTP/1.1" 404 17"#, "HTTP/1.1", true),
            ("GET /s?q=password%20200 18", "200", false),
            ("GET /s?q=password%20 2007 18", "2007", false),
            ("GET /s?q=password%20 2007 18", "200", false),
            ("GET /s?q=password%20 700 18", "700", false),
            ("GET /s?q=password%20 Tr0ub4dor 200", "Tr0ub4dor", false),
            ("GET /s?q=password 200 18", "200", false),
            ("said password%20 200", "200", false),
            ("GET\n/s?q=password%20 200", "200", false),
        ] {
            let at = text.find(value).unwrap();
            assert_eq!(is_answer(text, &(at..at + value.len())), expected, "{text}");
        }
    }

    #[test]
    fn what_differs_is_all_between_what_does_not() {
        for (before, after, place) in [
            ("a x b", "a [redacted] b", 2..3),
            ("x b", "[redacted] b", 0..1),
            ("a x", "a [redacted]", 2..3),
            ("a xx b yy c", "a [redacted] b [redacted] c", 2..9),
            ("äxä", "ä[redacted]ä", 2..3),
            ("aa", "[redacted]a", 0..1),
            ("same", "same", 0..4),
        ] {
            assert_eq!(difference(before, after), place, "{before}");
        }
    }
}
