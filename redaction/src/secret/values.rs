//! Decides which values are plainly not secrets (placeholders, switches, references) where a secret could be.

use super::letters::is_sign;
use super::rules::Rules;
use super::{blocks, name};

/// Most literals in a value that are looked at.
const LITERALS: usize = 16;

/// A value with what its line says of it.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    /// What is assigned, without its quotes.
    pub text: &'a str,
    /// What stands behind it in the line.
    pub rest: &'a str,
    /// It was in quotes.
    pub quoted: bool,
}

impl<'a> Value<'a> {
    /// The first value in a text: what is in quotes or other marks, or else what ends at a blank or a sign.
    pub fn first(text: &'a str) -> Self {
        let text = text.trim_start();
        if let Some((text, rest)) = blocks::first(text) {
            return Self { text, rest, quoted: true };
        }
        if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')) {
            let inside = &text[1..];
            let end = end_of_quoted(inside, quote);
            let rest = inside.get(end + 1..).unwrap_or_default();
            return Self { text: &inside[..end], rest, quoted: true };
        }
        let end =
            text.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&' | '|' | '<' | '"' | '\''));
        let end = end.unwrap_or(text.len());
        Self { text: &text[..end], rest: &text[end..], quoted: false }
    }
}

/// The byte at which a text in quotes ends; a quote behind a backslash ends nothing.
fn end_of_quoted(inside: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        if c == quote && !escaped {
            return at;
        }
        escaped = c == '\\' && !escaped;
    }
    inside.len()
}

/// True for nothing, a switch such as `true`, and a reference such as `${NAME}`.
pub fn is_nothing(value: &str, rules: &Rules) -> bool {
    rules.values.is_nothing(value)
}

/// Is a value of a name that is about something else what such a name has: a number, a time, a path, a word?
pub fn is_plain(value: &str, rules: &Rules) -> bool {
    let value = value.trim().trim_matches(['"', '\'', ',', ';']).trim();
    is_number(value, rules) || rules.values.plain.iter().any(|form| form.is(value))
}

/// A number, with or without a unit.
pub fn is_number(value: &str, rules: &Rules) -> bool {
    let value = value.trim().trim_matches(['"', '\'', ',', ';']).trim();
    rules.values.number.iter().any(|form| form.is(value))
}

/// Has it letters, and digits or signs among them, as passwords have and words of a sentence do not?
pub fn is_mixed(word: &str) -> bool {
    let word = word.trim_matches(['"', '\'', ',', ';', '.', '(', ')']);
    let letters = word.contains(char::is_alphabetic);
    let others = word.contains(|c: char| c.is_ascii_digit() || is_sign(c));
    letters && others && word.chars().count() >= 5
}

/// Is it long enough for a key, with letters and digits, and nothing that is written like this for another reason?
pub fn is_long_mixed(word: &str, rules: &Rules) -> bool {
    let digits = word.contains(|c: char| c.is_ascii_digit());
    word.chars().count() >= 8 && digits && is_mixed(word) && !is_plain(word, rules)
}

/// Does a value that only refers to one bring another for when that is missing, as `env("X", "y")` and `$X || "y"` do?
/// Where the environment is asked any text counts, else one that is as mixed as a password; the name of a secret never.
pub fn has_fallback(value: &str, is_about: bool, rules: &Rules) -> bool {
    let asks_env = value.to_ascii_lowercase().contains("env");
    let is_lookup = value.contains("lookup");
    let is_upper =
        |text: &str| text.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
    let counts = |text: &str| {
        let plain = is_plain(text, rules);
        let env = asks_env && !(is_lookup && is_upper(text)) && !(is_about && plain);
        !is_nothing(text, rules)
            && !text.starts_with(['/', '.', '~', '$', '<', '{'])
            && !text.to_ascii_lowercase().starts_with("utf")
            && (env || (is_mixed(text) && !plain))
            && name::judge(text, "", rules).is_none()
    };
    rules.values.fallback.iter().any(|form| {
        form.get().is_some_and(|form| {
            form.captures_iter(value.as_bytes()).take(LITERALS).any(|found| {
                let text = found.name("value").map(|text| String::from_utf8_lossy(text.as_bytes()));
                text.is_some_and(|text| counts(&text))
            })
        })
    })
}
