//! Decides which values are plainly not secrets (placeholders, switches, references) where a secret could be.

use super::rules::Rules;

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
    /// The first value in a text: what is in quotes, or else what ends at a blank or a sign.
    pub fn first(text: &'a str) -> Self {
        let text = text.trim_start();
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
    let others = word
        .contains(|c: char| c.is_ascii_digit() || matches!(c, '!' | '$' | '%' | '^' | '*' | '#' | '@' | '?'));
    letters && others && word.chars().count() >= 5
}
