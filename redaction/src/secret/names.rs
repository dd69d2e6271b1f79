//! Finds values that are assigned to names which tell, such as `DB_PASSWORD=`, `password: |` or `requirepass `.

use super::assigned::{assigned, is_empty_here};
use super::given::{counts, is_comment};
use super::letters::is_sign;
use super::name::{Name, judge};
use super::rules::Rules;
use super::values::{Value, is_mixed, is_nothing, is_number, is_plain};
use super::words::is_part;
use super::{below, blocks, properties};

/// Most words behind a name in which it is said what it is.
const SAID_WORDS: usize = 8;

/// A name of several words with a sign and a value behind it.
pub fn has_phrase(line: &str, rules: &Rules) -> bool {
    let lower = line.to_lowercase();
    rules.names.phrases.iter().any(|phrase| {
        lower.match_indices(phrase.as_str()).any(|(at, _)| {
            let rest = lower[at + phrase.len()..].trim_start_matches(['"', '\'', ' ', '\t']);
            let value = rest.strip_prefix([':', '=', '：', '＝']);
            value.is_some_and(|value| !is_nothing(Value::first(value).text, rules))
        })
    })
}

/// The names in a line that tell.
pub fn names<'a>(line: &'a str, rules: &'a Rules) -> impl Iterator<Item = Name<'a>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < line.len() {
            let start = at + line[at..].find(is_part)?;
            let end = line[start..].find(|c| !is_part(c)).map_or(line.len(), |length| start + length);
            at = end;
            if let Some(name) = judge(&line[start..end], &line[end..], rules) {
                return Some(Name { start, end, ..name });
            }
        }
        None
    })
}

/// Is the name given a value that may be a secret?
pub fn is_given(line: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> bool {
    if line[..name.start].ends_with("</") {
        return false;
    }
    let flag = name.text.starts_with('-');
    let assigned = assigned(line, name.end, flag);
    if let Some(parts) = assigned.and_then(|value| blocks::open(value, next)) {
        return parts.iter().any(|(_, part)| counts(part, line, name, flag, rules));
    }
    match assigned {
        Some(value) if is_empty_here(value) => below::is_given(line, next, name, rules),
        // What begins with a sign may also be a value.
        Some(value) if properties::is_alone(value) => {
            counts(value, line, name, flag, rules) || below::is_given(line, next, name, rules)
        }
        Some(value) => counts(value, line, name, flag, rules),
        None => {
            is_given_to_lone_key(line, next, name, rules)
                || is_given_after_space(line, name, rules)
                || is_said(line, name, rules)
                || below::is_alone(line, next, name, rules)
                || below::is_default(line, next, name, rules)
        }
    }
}

fn is_given_to_lone_key(line: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> bool {
    let (Some(value), Some((first, next))) = (below::of_lone_key(line, next, name), next.split_first())
    else {
        return false;
    };
    if is_empty_here(value) {
        below::is_given(first, next, name, rules)
    } else {
        counts(value, line, name, false, rules)
    }
}

/// Is it said what the name is, as in `# the root password is x7`? What is said has to look like a password and to be
/// the end of the sentence; that holds for comments, too.
pub fn is_said(line: &str, name: &Name<'_>, rules: &Rules) -> bool {
    let words: Vec<&str> = line[name.end..].split_whitespace().take(SAID_WORDS).collect();
    let is_verb = |word: &str| rules.values.verbs.iter().any(|verb| word.eq_ignore_ascii_case(verb));
    !(name.is_about || name.only_mixed || name.only_account)
        && words.windows(2).enumerate().any(|(at, pair)| {
            let ends = words.len() == at + 2 || pair[1].ends_with([',', ';', '.', ')', '"', '\'']);
            let word = pair[1].trim_matches([',', ';', '.', ')', '(', '"', '\'', '`']);
            let is_one = is_mixed(word) && word.contains(|c: char| c.is_ascii_digit());
            at + 2 < SAID_WORDS && ends && is_verb(pair[0]) && is_one && !is_plain(word, rules)
        })
}

/// Does a value follow the name after nothing but a space? In quotes anywhere in the line, else where the name is one
/// of its first words or the value is mixed as a password is; in a comment only as the last word, and only where that
/// is no word of a sentence, as other text is prose there.
fn is_given_after_space(line: &str, name: &Name<'_>, rules: &Rules) -> bool {
    let rest = line[name.end..].trim_start_matches(['"', '\'']);
    let value = rest.trim();
    if !rest.starts_with([' ', '\t']) || value.is_empty() || name.only_mixed {
        return false;
    }
    let words: Vec<&str> = value.split_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    let comment = is_comment(line, rules);
    if rules.values.forms.iter().any(|form| form == first) && words.len() > 1 {
        return !comment && !is_nothing(words[1], rules);
    }
    if name.only_account {
        let account = first.split_once(':');
        return account.is_some_and(|(user, password)| !user.is_empty() && !is_nothing(password, rules));
    }
    if is_nothing(value, rules) || is_nothing(first, rules) || !first.contains(char::is_alphanumeric) {
        return false;
    }
    let file = name.is_file && first.starts_with('/') && is_plain(first, rules);
    if file || (name.is_measure && is_number(first, rules)) || (name.is_about && is_plain(first, rules)) {
        return false;
    }
    if rules.values.prose.iter().any(|word| first.eq_ignore_ascii_case(word)) {
        return words.iter().skip(1).take(2).any(|word| is_mixed(word)) && !comment;
    }
    if value.starts_with(['"', '\'']) {
        return true;
    }
    let simple = |word: &&str| word.chars().all(|c| c.is_lowercase() || matches!(c, ',' | '.'));
    let sentence = (words.len() > 3 && words.iter().take(3).all(simple))
        || (words.len() > 2 && value.ends_with('.') && simple(&first));
    if comment {
        // After a sentence a small word is its last one; after a label, such as `root password`, it is what is labelled.
        let before =
            line[..name.start].split_whitespace().filter(|word| word.contains(char::is_alphanumeric));
        let before: Vec<&str> = before.take(2).collect();
        let begins = before
            .iter()
            .any(|word| rules.values.before_a_name.iter().any(|one| word.eq_ignore_ascii_case(one)));
        let label = before.len() <= 1 && !begins && !name.text.ends_with('s');
        let last = words.len() == 1 && !value.ends_with(['.', ':', '?', ')']);
        return last && (label || is_no_word(first));
    }
    let early = line[..name.end].split_whitespace().count() <= rules.names.words;
    (early || is_mixed(first)) && !sentence
}

/// Has it digits or signs inside, or capitals among small letters, as the last word of a sentence has not?
fn is_no_word(word: &str) -> bool {
    let inside = word.trim_matches(|c: char| !c.is_alphanumeric());
    let capital = inside.chars().skip(1).any(char::is_uppercase) && inside.contains(char::is_lowercase);
    capital || inside.contains(|c: char| c.is_numeric() || is_sign(c) || matches!(c, '&' | '+' | '=' | '~'))
}
