//! Finds secrets in lines of which signs are written as their numbers or names: `password%3Dx7`.

use std::ops::Range;

use super::Redacted;
use super::page::Page;
use super::signs::Read;

/// Masks what tells once these signs are read; `redacted` is what is left of a text.
pub fn take_out(page: &mut Page, redacted: impl Fn(&str) -> Redacted) {
    let lines: Vec<(usize, Read)> = read(page.judged()).collect();
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
    let places = places.collect();
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
