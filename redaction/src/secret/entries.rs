//! Judges the items of a list and the entries of a map that belong to a name.

use super::name::Name;
use super::properties;
use super::rules::Rules;
use super::values::{Value, is_mixed, is_nothing, is_number, is_plain};
use super::words::{plain, words};

/// Most items in brackets that are looked at.
const ITEMS: usize = 64;

pub fn is_value_key(key: &str, rules: &Rules) -> bool {
    rules.values.keys.iter().any(|known| known.eq_ignore_ascii_case(key))
}

/// Does the name say that each of what it has is one?
fn is_several(name: &Name<'_>, ends: &[String], rules: &Rules) -> bool {
    let plain = plain(name.text, rules);
    ends.iter().any(|end| plain.ends_with(end.as_str()))
}

/// Is an entry of the map below a name a secret?
pub fn is_entry(key: &str, value: &str, name: &Name<'_>, rules: &Rules) -> bool {
    let value = properties::behind(value).unwrap_or(value);
    let text = Value::first(value).text;
    let block = matches!(text, "|" | ">" | "|-" | ">-" | "|+" | ">+" | "[" | "\\")
        || text.starts_with(['&', '*', '!']);
    if block || is_nothing(text, rules) || !is_judged(name) {
        return false;
    }
    if is_value_key(key, rules) {
        return !is_nothing(value, rules);
    }
    let words = words(key);
    let last = words.last().map_or("", String::as_str);
    if rules.values.beside.iter().any(|known| known == last) || is_number(text, rules) {
        return false;
    }
    let about = rules.names.about.iter().any(|known| known == last);
    let several = [&rules.names.several, &rules.names.several_by_key];
    if several.iter().any(|ends| is_several(name, ends, rules)) {
        return !(about && is_plain(text, rules));
    }
    !about && is_mixed(text) && !is_plain(text, rules)
}

/// Is an item of the list below a name a secret?
pub fn is_item(item: &str, name: &Name<'_>, rules: &Rules) -> bool {
    let text = Value::first(properties::behind(item).unwrap_or(item)).text;
    if is_nothing(text, rules) || !is_judged(name) {
        return false;
    }
    let is_name = text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"_-.".contains(&c));
    // Lists of secrets are most often lists of their names.
    let names = is_name && is_several(name, &rules.names.several_by_key, rules);
    is_several(name, &rules.names.several, rules) || (!names && is_mixed(text) && !is_plain(text, rules))
}

/// Is what such a name has to be judged item by item?
pub fn is_judged(name: &Name<'_>) -> bool {
    !(name.is_about || name.is_measure || name.only_account || name.only_mixed)
}

/// Does a list or a map in the line of the name hold one: `["app", "x7"]`, `{"db": "x7"}`?
pub fn is_in_brackets(value: &str, name: &Name<'_>, rules: &Rules) -> bool {
    if let Some(list) = value.strip_prefix('[') {
        let inside = list.split(']').next().unwrap_or_default();
        return inside.split(',').take(ITEMS).any(|item| is_item(item.trim(), name, rules));
    }
    let Some(map) = value.strip_prefix('{') else { return false };
    let inside = map.split('}').next().unwrap_or_default();
    inside.split(',').take(ITEMS).any(|entry| {
        let parts = entry.split_once(':').or_else(|| entry.split_once('='));
        let quoted = |key: &str| key.trim().trim_matches(['"', '\'']).to_owned();
        parts.is_some_and(|(key, value)| is_entry(&quoted(key), value.trim(), name, rules))
    })
}
