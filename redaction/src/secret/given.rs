//! Decides whether a value that is assigned to a name that tells counts as given.

use super::name::Name;
use super::rules::Rules;
use super::values::{Value, has_fallback, is_long_mixed, is_mixed, is_nothing, is_number, is_plain};
use super::{entries, properties};

/// Does an assigned value count, as it stands or behind what YAML puts before it?
pub fn counts(value: &str, line: &str, name: &Name<'_>, flag: bool, rules: &Rules) -> bool {
    let behind = || properties::behind(value).filter(|behind| !behind.starts_with(['=', '&', '|', ')']));
    counts_as_it_is(value, line, name, flag, rules)
        || behind().is_some_and(|behind| counts_as_it_is(behind, line, name, flag, rules))
}

fn counts_as_it_is(value: &str, line: &str, name: &Name<'_>, flag: bool, rules: &Rules) -> bool {
    if is_nothing(value, rules) {
        return has_fallback(value, name.is_about, rules);
    }
    let first = Value::first(value);
    if first.text.is_empty() && !first.quoted && value.starts_with([',', ';', '&', '|', '<']) {
        // A sign ends a value, and a password may begin with one; `password=&user=x` is an empty one, `<x>` a tag or a word
        // that stands for a value.
        let word = value.split_whitespace().next().unwrap_or_default();
        let is_tag = value.starts_with('<') && value.contains('>');
        let has_more = word.get(1..).is_some_and(|rest| rest.contains(['=', '(', '<']));
        if !name.is_about && is_long_mixed(word, rules) && !is_tag && !has_more {
            return true;
        }
    }
    let ends = ends(&first, flag);
    if ends && is_nothing(first.text, rules) {
        return has_fallback(value, name.is_about, rules) || entries::is_in_brackets(value, name, rules);
    }
    let text = if ends { first.text } else { value };
    if name.only_mixed && !is_long_mixed(first.text, rules) {
        return false;
    }
    if name.is_file && text.starts_with('/') && is_plain(text, rules) {
        return false;
    }
    if (name.is_measure && is_number(text, rules)) || (name.is_about && is_plain(text, rules)) {
        return false;
    }
    !(is_comment(line, rules) && is_prose(value, rules))
}

/// Does a value end where its first word does? `no way` is one, and `no, other: 1` is `no` with something behind it.
pub fn ends(first: &Value<'_>, flag: bool) -> bool {
    let rest = first.rest.trim_start();
    first.quoted
        || flag
        || rest.is_empty()
        || rest.starts_with([',', ';', '&', ')', '}', ']', '#', '"', '\'', '<', '>', '|', '-', '\\'])
        || rest.starts_with("//")
}

pub fn is_comment(line: &str, rules: &Rules) -> bool {
    let line = line.trim_start();
    rules.values.comments.iter().any(|start| line.starts_with(start.as_str()))
}

/// Is it a sentence: one of its first words is one that only sentences have, and none is mixed as a password is?
fn is_prose(text: &str, rules: &Rules) -> bool {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    let bare = |word: &str| word.trim_matches([',', ';', '.', ':', '(', ')', '"', '\'']).to_owned();
    words.len() > 2
        && !words.iter().take(4).any(|word| is_mixed(word))
        && words.iter().take(6).any(|word| rules.values.prose.contains(&bare(word)))
}
