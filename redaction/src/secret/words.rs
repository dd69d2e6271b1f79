//! Takes names apart into the words and the letters by which they are judged.

use super::letters::{fold, is_silent};
use super::rules::Rules;

/// A letter or digit of any writing with its marks, and what joins the words of a name.
pub fn is_part(c: char) -> bool {
    let sign = matches!(c, '\u{2000}'..='\u{206f}' | '\u{2190}'..='\u{21ff}' | '\u{27f0}'..='\u{27ff}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ab}' | '\u{bb}' | '\u{a0}');
    c.is_ascii_alphanumeric()
        || matches!(c, '_' | '-' | '.')
        || is_silent(c)
        || (!c.is_ascii() && !c.is_whitespace() && !sign)
}

/// A name without what it is written with, and without words that only sound secret: `DB_Pass` is `dbpass`.
pub fn plain(name: &str, rules: &Rules) -> String {
    let joins = |c: &char| matches!(c, '_' | '-' | '.');
    without_innocent(name.chars().filter(|c| !joins(c)).flat_map(fold).collect(), rules)
}

/// A text in lower case without the words that only sound secret. One that a word which tells runs on from stays: of
/// `proxypassword` not `word` alone is left.
pub fn without_innocent(mut text: String, rules: &Rules) -> String {
    for innocent in &rules.names.innocent {
        if !text.contains(innocent.as_str()) {
            continue;
        }
        let mut left = String::with_capacity(text.len());
        let mut from = 0;
        for (at, _) in text.match_indices(innocent.as_str()) {
            let end = at + innocent.len();
            if !runs_on(&text, at, end, rules) {
                left.push_str(&text[from..at]);
                left.push(' ');
                from = end;
            }
        }
        left.push_str(&text[from..]);
        text = left;
    }
    text
}

/// Does a word that tells begin between the two places and end behind them?
fn runs_on(text: &str, at: usize, end: usize, rules: &Rules) -> bool {
    let mut starts = (at..end).filter_map(|start| text.get(start..).map(|rest| (start, rest)));
    starts.any(|(start, rest)| {
        let mut words = rules.names.secret.iter();
        words.any(|word| start + word.len() > end && rest.starts_with(word.as_str()))
    })
}

/// The words of a name, in lower case: those of `maxTokens_per-day` are four.
pub fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let joins = matches!(c, '_' | '-' | '.');
        if joins || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        if !joins && let Some(word) = words.last_mut() {
            word.extend(fold(c));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
