//! Decides whether a word looks random, as keys and tokens do; names, paths, digests and what is public do not.

use std::borrow::Cow;
use std::ops::Range;

use super::letters::is_sign;
use super::rules::{Form, Random, Rules};

/// Is anything in the text random and not public, or is all of it, or a line of it, one key?
pub fn is_in(path: &str, text: &str, rules: &Rules) -> bool {
    let text = without_public(text, rules);
    let word = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-' | '='));
    text.split(word).any(|word| is_random(word, &rules.random)) || is_bare(path, &text, rules)
}

/// The text without what is random and public: certificates, public keys, digests.
fn without_public<'a>(text: &'a str, rules: &Rules) -> Cow<'a, str> {
    let mut left = Cow::Borrowed(text);
    for span in &rules.public.spans {
        let Some(regex) = span.get() else { continue };
        if regex.is_match(left.as_bytes()) {
            let cut = regex.replace_all(left.as_bytes(), &b" "[..]).into_owned();
            left = Cow::Owned(String::from_utf8_lossy(&cut).into_owned());
        }
    }
    left
}

/// Does the text consist of nothing but what is public?
pub fn is_public(text: &str, rules: &Rules) -> bool {
    let left = without_public(text, rules);
    if left == text {
        return false;
    }
    left.split('\n').all(|line| {
        let line = line.trim();
        line.is_empty()
            || rules.public.around.iter().any(|form| {
                form.get().is_some_and(|form| {
                    form.find(line.as_bytes())
                        .is_some_and(|found| found.start() == 0 && found.end() == line.len())
                })
            })
    })
}

/// Where what is random and public stands.
pub fn public_places(text: &str, rules: &Rules) -> Vec<Range<usize>> {
    let forms = rules.public.spans.iter().filter_map(Form::get);
    forms.flat_map(|form| form.find_iter(text.as_bytes()).map(|found| found.range())).collect()
}

pub fn is_random(word: &str, random: &Random) -> bool {
    let word = word.trim_matches('=');
    if word.len() < random.from {
        return false;
    }
    let has = |test: fn(&u8) -> bool| word.as_bytes().iter().any(test);
    let mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase) && has(u8::is_ascii_digit);
    // A path or a name is made of words; random text has no run of plain letters that long.
    mixed && bits(word) > random.bits && longest_lower_run(word) < random.run
}

/// A file that is one word, or a line that is one long word, with letters and digits: nothing else says what it is.
fn is_bare(path: &str, text: &str, rules: &Rules) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    if rules.random.bare_names.iter().any(|known| known == name) {
        return false;
    }
    let whole = text.trim();
    is_key(whole, rules.random.bare, rules) || whole.lines().any(|line| is_bare_line(line, rules))
}

/// Is a line one long word that looks like a key?
pub fn is_bare_line(line: &str, rules: &Rules) -> bool {
    let line = line.trim();
    let upper = line.contains(|c: char| c.is_ascii_uppercase());
    let token = line.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-'));
    upper
        && token
        && longest_lower_run(line) < rules.random.run
        && is_key(line, rules.random.bare_line, rules)
}

/// Is a text one word of at least so many bytes, with letters and digits, and nothing that is written so otherwise?
fn is_key(word: &str, least: usize, rules: &Rules) -> bool {
    let has = |test: fn(char) -> bool| word.contains(test);
    word.len() >= least
        && !word.contains(char::is_whitespace)
        && has(char::is_alphabetic)
        && has(|c| c.is_ascii_digit() || is_sign(c) || c == '&')
        && !rules.random.bare_plain.iter().any(|form| form.is(word))
}

/// Shannon entropy of the characters, in bits for each.
fn bits(word: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in word.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let total = f64::from(u32::try_from(word.len()).unwrap_or(u32::MAX));
    counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / total).map(|p| -p * p.log2()).sum()
}

fn longest_lower_run(word: &str) -> usize {
    word.split(|c: char| !c.is_ascii_lowercase()).map(str::len).max().unwrap_or(0)
}
