//! Finds what is assigned to a name: behind a sign, or behind a blank after a flag.

use super::words::is_part;

/// The longest index of an item, bytes.
const INDEX: usize = 40;

/// What is assigned to the name that ends at `end`: behind `=`, `:` or `>`, or behind a space after a flag.
pub fn assigned(line: &str, end: usize, flag: bool) -> Option<&str> {
    let behind = &line[end..];
    let rest = behind.trim_start_matches(['"', '\'', '`', ']', ' ', '\t']);
    let after = |signs: &[&str]| signs.iter().find_map(|sign| rest.strip_prefix(*sign)).map(str::trim);
    if let Some(value) = after(&["?=", "::=", ":=", "||=", "|=", "??=", ".="]) {
        return Some(value);
    }
    if let Some(value) = after(&["+="]) {
        // What counts tokens adds a number.
        return value.trim_end_matches(';').parse::<f64>().is_err().then_some(value);
    }
    if behind.starts_with([' ', '\t', '→'])
        && let Some(value) = after(&["->", "→", "⇒", "⟶"])
    {
        // The arrow of a function leads to a program.
        return (!value.contains(['(', '{'])).then_some(value);
    }
    if rest.starts_with('[') && !(flag && behind.starts_with(' ')) {
        return assigned_to_item(rest);
    }
    if let Some(value) = behind.strip_prefix("::") {
        // LDIF has two colons and a space before base64; else it is a path of names in a program.
        return value.starts_with(' ').then(|| value.trim());
    }
    let value = match rest.strip_prefix([':', '=', '>', '：', '＝']) {
        // A path of names in a program.
        Some(value) if value.starts_with(':') => return None,
        Some(value) => value,
        None if flag && behind.starts_with(' ') => rest,
        None => return None,
    };
    Some(value.trim_start_matches(['=', '>', ' ', '\t']).trim_end())
}

/// What is assigned to an item of a list or to an entry of a map, up to two of them deep: behind `[0]`, `[]`, `["db"]`,
/// `[$user]` or `[i + 1]`. Behind a colon a log goes on, as in `gdm-password[812]: ...`, unless a blank is before it; two
/// signs compare; and behind a word without quotes a program goes on, unless what is assigned is in quotes or no blank is
/// before the sign, as a shell has it.
fn assigned_to_item(rest: &str) -> Option<&str> {
    let (mut left, mut is_word, mut is_sum) = (rest, false, false);
    for _ in 0..2 {
        let Some(inside) = left.strip_prefix('[') else { break };
        let end = inside.bytes().take(INDEX).position(|byte| byte == b']')?;
        let index = inside[..end].trim_matches(['"', '\'']);
        if !index.chars().all(|c| is_part(c) || matches!(c, '$' | ' ' | '+' | '*' | '%')) {
            return None;
        }
        is_sum |= index.contains([' ', '+', '*', '%']);
        is_word |= index.len() == end && !index.bytes().all(|byte| byte.is_ascii_digit());
        left = &inside[end + 1..];
    }
    let behind = left.trim_start();
    if let Some(value) = behind.strip_prefix(": ").filter(|_| behind.len() < left.len()) {
        return (!is_word).then(|| value.trim());
    }
    let value = behind.strip_prefix('=').filter(|value| !value.starts_with('='));
    let value = value.map(|value| value.trim_start_matches(['>', ' ', '\t']).trim_end())?;
    let is_tight = behind.len() == left.len() && !is_sum;
    (!is_word || is_tight || value.starts_with(['"', '\''])).then_some(value)
}

/// The value stands on the next line, further in.
pub fn is_empty_here(value: &str) -> bool {
    let value = value.trim_end_matches(['"', '\'']);
    let block = |value: &str| matches!(value, "|" | ">" | "|-" | ">-" | "|+" | ">+");
    let tagged = value.starts_with(['!', '&']) && value.rsplit_once(' ').is_some_and(|(_, sign)| block(sign));
    value.is_empty() || block(value) || tagged || matches!(value, "{" | "[" | "\\")
}
