//! Finds where the value of a name that tells stands.

use std::ops::Range;

use crate::secret::assigned::{assigned, is_empty_here};
use crate::secret::entries::{is_entry, is_item, is_value_key};
use crate::secret::name::Name;
use crate::secret::names::is_said;
use crate::secret::rules::Rules;
use crate::secret::values::{Value, is_nothing};
use crate::secret::{below, blocks, given, properties};

/// Words that stand between a name and its value in a sentence, as in `the password was changed from A to B`: behind one of
/// them any other word may be the value.
const LINKS: [&str; 28] = [
    "->", "=>", "are", "as", "be", "been", "changed", "equals", "expected", "found", "from", "given", "got",
    "had", "has", "id", "is", "key", "now", "of", "received", "set", "string", "to", "used", "value", "was",
    "with",
];

/// Does the value only come behind this: a word of a sentence, one with a colon, or what is put around a value, as `Some(`?
pub fn is_link(word: &str) -> bool {
    if (word.len() > 1 && word.ends_with(':')) || word.contains(['(', '{']) {
        return true;
    }
    let word = word.trim_matches([',', ';', '.', ')']);
    LINKS.iter().any(|link| word.eq_ignore_ascii_case(link))
}

/// Something to mask: how many lines below, and the bytes of that line.
pub type Edit = (usize, Range<usize>);

/// The value as exactly as it can be told.
pub fn exact(line: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> Vec<Edit> {
    if let Some(value) = below::of_lone_key(line, next, name) {
        return of_lone_key(value, next, name, rules);
    }
    let assigned = assigned(line, name.end, name.text.starts_with('-'));
    if let Some(parts) = assigned.and_then(|value| blocks::open(value, next)) {
        return parts_of(parts, line, next);
    }
    match assigned {
        // `>-` and `|+` begin a block, too.
        Some(value) if is_empty_here(value) || matches!(value, "-" | "+") => {
            below_exact(line, next, name, rules)
        }
        Some(value) => {
            let mut edits: Vec<Edit> =
                assigned_value(line, value, name).map(|place| (0, place)).into_iter().collect();
            if properties::is_alone(value) {
                edits.extend(below_exact(line, next, name, rules));
            }
            edits
        }
        None if below::is_alone(line, next, name, rules) => {
            next.first().map(|line| (1, 0..line.len())).into_iter().collect()
        }
        None if below::is_default(line, next, name, rules) => defaults(line, next, name.end),
        None => after_space(line, name, rules).map(|place| (0, place)).into_iter().collect(),
    }
}

/// All that follows the name in its line, and every value in the lines that belong to it.
pub fn rest(line: &str, next: &[&str], name: &Name<'_>) -> Vec<Edit> {
    let value = assigned(line, name.end, true).filter(|value| !is_empty_here(value));
    let start = value.and_then(|value| place(line, value)).map_or(name.end, |place| place.start);
    let lines = inside(line, next).map(|(below, text)| {
        let value = below::pair(item(text)).and_then(|(_, value)| place(text, value));
        (below, value.filter(|place| !place.is_empty()).unwrap_or(0..text.len()))
    });
    let open = value.and_then(|value| blocks::open(value, next)).unwrap_or_default();
    let open = parts_of(open, line, next);
    std::iter::once((0, start..line.len())).chain(lines).chain(open).collect()
}

/// The value that the next line gives to a key in a line of its own.
fn of_lone_key(value: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> Vec<Edit> {
    let Some((line, next)) = next.split_first() else { return Vec::new() };
    let edits = if is_empty_here(value) {
        below_exact(line, next, name, rules)
    } else {
        assigned_value(line, value, name).map(|place| (0, place)).into_iter().collect()
    };
    edits.into_iter().map(|(below, place)| (below + 1, place)).collect()
}

/// Where the parts of a value that goes on over lines stand.
fn parts_of(parts: Vec<(usize, &str)>, line: &str, next: &[&str]) -> Vec<Edit> {
    let whole = |below: usize| below.checked_sub(1).map_or(Some(line), |at| next.get(at).copied());
    parts.into_iter().filter_map(|(below, part)| Some((below, place(whole(below)?, part)?))).collect()
}

/// Where a part of a line stands in it.
pub fn place(line: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
    let place = start..start + part.len();
    line.get(place.clone()).map(|_| place)
}

/// The lines below that belong to a line, with how far below they are: those further in, and a list that begins where it
/// does.
pub fn inside<'a>(line: &str, next: &[&'a str]) -> impl Iterator<Item = (usize, &'a str)> {
    let here = below::indent(line);
    let belongs = move |text: &&str| {
        let at = below::indent(text);
        text.trim().is_empty() || at > here || (at == here && text.trim_start().starts_with("- "))
    };
    next.iter().copied().take_while(belongs).enumerate().map(|(at, text)| (at + 1, text))
}

fn item(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix("- ").unwrap_or(text)
}

/// Is the first word a name with a value, as in `password=x7 user=ops` behind the first value?
pub fn begins_with_name(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    first.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
    })
}

/// With what YAML puts before it, which may also be the beginning of a value.
fn assigned_value(line: &str, value: &str, name: &Name<'_>) -> Option<Range<usize>> {
    let Some(behind) = properties::behind(value) else { return value_as_it_is(line, value, name) };
    let (start, inner) = (place(line, value)?.start, value_as_it_is(line, behind, name)?);
    let rest = &line[inner.end..];
    Some(start..line.len() - rest.trim_start_matches(['"', '\'']).len())
}

fn value_as_it_is(line: &str, value: &str, name: &Name<'_>) -> Option<Range<usize>> {
    let first = Value::first(value);
    // `b"x7"` is one value, and its quotes do not begin it.
    let is_prefix = !first.quoted && first.rest.starts_with(['"', '\'']);
    let is_open =
        first.text.starts_with(['[', '{', '(']) || (!first.quoted && is_link(first.text)) || is_prefix;
    let ends = given::ends(&first, name.text.starts_with('-')) || begins_with_name(first.rest);
    place(line, if ends && !is_open { first.text } else { value })
}

/// The values in the lines below: those that the rules take for some, and all that stand for themselves.
fn below_exact(line: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> Vec<Edit> {
    let mut edits = Vec::new();
    for (below, text) in inside(line, next).filter(|(_, text)| !text.trim().is_empty()) {
        let item = item(text);
        match below::pair(item) {
            Some((key, value)) if is_entry(key, value, name, rules) || is_value_key(key, rules) => {
                edits.extend(place(text, value).map(|place| (below, place)));
            }
            Some(_) => {}
            None if text.trim_start().starts_with("- ") && !is_item(item, name, rules) => {}
            None if is_nothing(item, rules) => {}
            None => edits.extend(place(text, item).map(|place| (below, place))),
        }
    }
    // A value without its own indentation.
    if edits.is_empty() && below::is_alone(line, next, name, rules) {
        edits.extend(next.first().map(|line| (1, 0..line.len())));
    }
    edits
}

/// The defaults of a variable of HCL.
fn defaults(line: &str, next: &[&str], end: usize) -> Vec<Edit> {
    let lines =
        std::iter::once((0, line)).chain(next.iter().copied().enumerate().map(|(at, text)| (at + 1, text)));
    lines
        .take_while(|(_, text)| text.trim() != "}")
        .filter_map(|(below, text)| {
            let from = if below == 0 { end } else { 0 };
            let at = text.get(from..)?.find("default")? + from;
            let sign = text[at..].find('=')? + at + 1;
            Some((below, sign..text.len()))
        })
        .collect()
}

/// What follows a name behind nothing but a space.
fn after_space(line: &str, name: &Name<'_>, rules: &Rules) -> Option<Range<usize>> {
    let rest = &line[name.end..];
    if is_said(line, name, rules) {
        return Some(name.end..line.len());
    }
    let value = rest.trim_start_matches(['"', '\'']).trim();
    let words: Vec<&str> = value.split_whitespace().collect();
    let first = *words.first()?;
    if is_link(first) {
        return Some(name.end..line.len());
    }
    if words.len() > 1 && rules.values.forms.iter().any(|form| form == first) {
        return place(line, words[1]);
    }
    place(line, Value::first(value).text)
}
