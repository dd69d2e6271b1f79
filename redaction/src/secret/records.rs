//! Finds values in records as psql prints them in its expanded form: `-[ RECORD 1 ]-`, and below it `password | x7`.

use super::rules::Rules;
use super::tables::{is_told, joined, tells};
use super::words::plain;

/// Most fields of a record that are looked at.
const FIELDS: usize = 1600;

/// The values of a record that begins in this line, where the names of its fields tell, with how far below each stands.
pub fn values<'a>(line: &str, next: impl Iterator<Item = &'a str>, rules: &Rules) -> Vec<(usize, &'a str)> {
    if !is_head(line) {
        return Vec::new();
    }
    let fields = next.take(FIELDS).take_while(|line| line.contains('|') && !is_head(line));
    let told = fields.enumerate().filter_map(|(at, line)| Some((at + 1, value(line, rules)?)));
    told.collect()
}

/// Is it the line above a record, in whatever language: `-[ RECORD 1 ]-----`?
fn is_head(line: &str) -> bool {
    let line = line.trim_start().trim_start_matches('+');
    let head = line.strip_prefix("-[ ").and_then(|rest| rest.split_once(" ]"));
    let number = head.and_then(|(head, _)| head.rsplit_once(' ')).map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()))
}

fn value<'a>(line: &'a str, rules: &Rules) -> Option<&'a str> {
    let line = line.trim();
    let line = line.strip_prefix('|').map_or(line, |line| line.strip_suffix('|').unwrap_or(line));
    let (name, value) = line.split_once('|')?;
    let (name, value) = (name.trim(), value.trim());
    (tells(name, rules) && is_told(&plain(&joined(name), rules), value, rules)).then_some(value)
}
