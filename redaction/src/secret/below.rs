//! Finds values that stand below their name or in brackets behind it: lists and maps of YAML, JSON and HCL.

use super::entries::{is_entry, is_item, is_judged, is_value_key};
use super::given::{counts, is_comment};
use super::name::{Name, judge};
use super::rules::Rules;
use super::values::{is_long_mixed, is_nothing, is_plain};
use super::words::is_part;

/// Most lines below a name that are looked at.
const LINES: usize = 64;

pub fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Is the name, which has nothing behind it in its line, given a value in the lines below?
pub fn is_given(line: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> bool {
    let Some(first) = next.first().filter(|first| !first.trim().is_empty()) else { return false };
    let (here, level) = (indent(line), indent(first));
    let is_list = |below: &str| below.trim_start().starts_with("- ");
    if level > here && is_first_given(first.trim(), name, rules) {
        return true;
    }
    // A list in YAML may begin where its name does.
    if level < here || (level == here && !is_list(first)) {
        return is_alone(line, next, name, rules);
    }
    let filled =
        next.iter().take(LINES).filter(|below| !below.trim().is_empty() && !is_comment(below, rules));
    let inside = filled.take_while(|below| {
        let at = indent(below);
        at > level || (at == level && (level > here || is_list(below)))
    });
    inside.filter(|below| indent(below) == level).any(|below| {
        let item = below.trim();
        let listed = is_list(item);
        match pair(item.strip_prefix("- ").unwrap_or(item)) {
            Some((key, value)) => is_entry(key, value, name, rules),
            None => listed && is_item(item.trim_start_matches("- "), name, rules),
        }
    })
}

/// The first line below, further in: a value of its own, or one of the keys that stand for the name's.
fn is_first_given(below: &str, name: &Name<'_>, rules: &Rules) -> bool {
    let item = below.strip_prefix("- ").unwrap_or(below);
    // Without a blank behind the colon it is read as one value.
    let Some((key, value)) = pair(item).filter(|_| !is_tight(item)) else {
        let mixed = !name.only_mixed || is_long_mixed(item, rules);
        return mixed && !(is_nothing(item, rules) || (name.is_about && is_plain(item, rules)));
    };
    let harmless = is_nothing(value, rules) || name.only_mixed || (name.is_about && is_plain(value, rules));
    is_value_key(key, rules) && !harmless
}

/// `"key":"value"`, as JSON is written to be short.
fn is_tight(item: &str) -> bool {
    item.trim_start_matches(['"', '\'']).contains("\":\"")
}

/// The key and the value of `key: value` or `"key" = value`.
pub fn pair(item: &str) -> Option<(&str, &str)> {
    let item = item.trim_start_matches(['"', '\'']);
    let end = item.find(|c| !is_part(c)).unwrap_or(item.len());
    let (key, behind) = item.split_at(end);
    let behind = behind.trim_start_matches(['"', '\'']);
    let is_pair = behind.starts_with(": ")
        || behind == ":"
        || behind.starts_with(" =")
        || behind.starts_with('=')
        || behind.starts_with(":\"");
    (is_pair && !key.is_empty()).then(|| (key, behind.trim_start_matches([':', '=', ' ', '\t'])))
}

/// What the next line gives to a key of YAML that has a line of its own: `? password` and `: x`.
pub fn of_lone_key<'a>(line: &str, next: &[&'a str], name: &Name<'_>) -> Option<&'a str> {
    let key = line.trim_start().trim_start_matches("- ").strip_prefix("? ")?.trim();
    let value = next.first()?.trim_start().strip_prefix(':')?;
    let is_given = key.trim_matches(['"', '\'']) == name.text && (value.is_empty() || value.starts_with(' '));
    is_given.then_some(value.trim())
}

/// Is the name alone in its line, and what stands alone in the next one as mixed as a password?
pub fn is_alone(line: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> bool {
    let is_alone = line.trim().trim_end_matches([':', ' ']).trim_matches(['"', '\'']) == name.text;
    let Some(below) = next.first().filter(|_| is_alone && is_judged(name)) else { return false };
    let word = below.trim();
    is_long_mixed(word, rules)
        && !word.contains([' ', '\t', ':', '=', '(', '{', '[', '<', '/'])
        && judge(word, "", rules).is_none()
}

/// Is the name that of a variable of HCL with a default: `variable "db_password" { default = "x" }`?
pub fn is_default(line: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> bool {
    if !line.trim_start().starts_with("variable") || !line.contains('{') {
        return false;
    }
    let lines = std::iter::once(&line[name.end..]).chain(next.iter().take(LINES).copied());
    let mut inside = lines.take_while(|inner| inner.trim() != "}");
    let found = inside.find_map(|inner| {
        let (_, rest) = inner.split_once("default")?;
        Some((inner, rest.trim_start().strip_prefix('=')?))
    });
    found.is_some_and(|(inner, value)| counts(value.trim(), inner, name, false, rules))
}
