//! Asks of a whole text whether anything in it is given a value that may be a secret: a name in a line, or a table.

use super::names::{has_phrase, is_given, names};
use super::rules::Rules;
use super::{columns, records, tables};

/// Is a name that tells given any value at all? Values that are plainly none do not count.
pub fn assigns_secret(text: &str, rules: &Rules) -> bool {
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let next = &lines[at + 1..];
        let header = columns::header(line, next.first().copied(), rules);
        let is_table = header.as_ref().is_some_and(|header| header.is_table(next, rules));
        (!is_table && is_secret_line(line, next, rules))
            || tables::is_in(line, next, rules)
            || header.is_some_and(|header| header.has_values(next, rules))
            || !records::values(line, next.iter().copied(), rules).is_empty()
    })
}

fn is_secret_line(line: &str, next: &[&str], rules: &Rules) -> bool {
    let mut is_harmless = None;
    let mut found = names(line, rules).filter(|name| is_given(line, next, name, rules));
    found.any(|_| {
        // Asked once a name was found, as few lines have one.
        let harmless = || rules.lines.harmless.iter().any(|form| form.is_in(line));
        !*is_harmless.get_or_insert_with(harmless)
    }) || has_phrase(line, rules)
}
