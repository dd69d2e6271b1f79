//! Finds values that are assigned to names which tell, such as `DB_PASSWORD=`, `password: |` or `requirepass `.

use super::rules::Rules;
use super::values::{Value, is_mixed, is_nothing, is_number, is_plain};

/// A name in a line, and where it stands.
#[expect(clippy::struct_excessive_bools, reason = "each is a plain fact of its own about the name")]
struct Name<'a> {
    text: &'a str,
    start: usize,
    end: usize,
    is_about: bool,
    is_measure: bool,
    /// Its value is the path of a file, where it is one.
    is_file: bool,
    /// Behind a space only a user with a password counts.
    only_account: bool,
}

/// Is a name that tells given any value at all? Values that are plainly none do not count.
pub fn assigns_secret(text: &str, rules: &Rules) -> bool {
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    lines.iter().enumerate().any(|(at, line)| is_secret_line(line, &lines[at + 1..], rules))
}

fn is_secret_line(line: &str, next: &[&str], rules: &Rules) -> bool {
    let mut is_harmless = None;
    let mut found = names(line, rules).filter(|name| is_given(line, next, name, rules));
    found.any(|_| {
        // Asked once a name was found, as few lines have one.
        let harmless = || rules.lines.harmless.iter().any(|form| form.is_in(line));
        !*is_harmless.get_or_insert_with(harmless)
    }) || has_phrase(line, rules)
}

/// A name of several words with a sign and a value behind it.
fn has_phrase(line: &str, rules: &Rules) -> bool {
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
fn names<'a>(line: &'a str, rules: &'a Rules) -> impl Iterator<Item = Name<'a>> {
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

/// A letter or digit of any writing with its marks, and what joins the words of a name.
fn is_part(c: char) -> bool {
    let sign = matches!(c, '\u{2000}'..='\u{206f}' | '\u{3000}'..='\u{303f}' | '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ab}' | '\u{bb}' | '\u{a0}');
    c.is_ascii_alphanumeric()
        || matches!(c, '_' | '-' | '.')
        || (!c.is_ascii() && !c.is_whitespace() && !sign)
}

/// The name, if it tells; `rest` is what follows it.
fn judge<'a>(text: &'a str, rest: &str, rules: &Rules) -> Option<Name<'a>> {
    let plain = plain(text, rules);
    let words = words(text);
    let last = words.last().map_or("", String::as_str);
    let names = &rules.names;
    let hex = plain.ends_with("key") && {
        let value = rest.trim_start_matches(['"', '\'', ' ', '\t', ':', '=', '>']);
        let digits = value.strip_prefix("0x").unwrap_or(value);
        digits.bytes().take_while(u8::is_ascii_hexdigit).count() >= names.hex_key
    };
    let is_last = names.last.iter().any(|word| word == last);
    let tells = hex
        || is_last
        || names.secret.iter().any(|word| plain.contains(word.as_str()))
        || names.ends.iter().any(|end| plain.ends_with(end.as_str()));
    tells.then(|| Name {
        text,
        start: 0,
        end: 0,
        is_about: !hex && names.about.iter().any(|word| word == last),
        is_file: names.files.contains(&plain),
        is_measure: words.iter().any(|word| names.measures.contains(word)),
        only_account: is_last
            && names.only_accounts.iter().any(|word| word == last)
            && !plain.ends_with("masterauth"),
    })
}

/// A name without what it is written with, and without words that only sound secret: `DB_Pass` is `dbpass`.
pub fn plain(name: &str, rules: &Rules) -> String {
    let mark = |c: &char| matches!(c, '_' | '-' | '.' | '\u{300}'..='\u{36f}');
    let mut plain: String = name.chars().filter(|c| !mark(c)).flat_map(char::to_lowercase).collect();
    for innocent in &rules.names.innocent {
        if plain.contains(innocent.as_str()) {
            plain = plain.replace(innocent.as_str(), " ");
        }
    }
    plain
}

/// The words of a name, in lower case: those of `maxTokens_per-day` are four.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let joins = matches!(c, '_' | '-' | '.');
        if joins || (c.is_uppercase() && was_lower) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        if !joins && let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Is the name given a value that may be a secret?
fn is_given(line: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> bool {
    if line[..name.start].ends_with("</") {
        return false;
    }
    let flag = name.text.starts_with('-');
    match assigned(line, name.end, flag) {
        Some(value) if is_empty_here(value) => is_given_below(line, next, name, rules),
        Some(value) => counts(value, line, name, flag, rules),
        None => is_given_after_space(line, name, rules),
    }
}

/// What is assigned to the name that ends at `end`: behind `=`, `:` or `>`, or behind a space after a flag.
fn assigned(line: &str, end: usize, flag: bool) -> Option<&str> {
    let rest = line[end..].trim_start_matches(['"', '\'', '`', ']', ' ', '\t']);
    let value = match rest.strip_prefix([':', '=', '>', '：', '＝']) {
        // A path of names in a program.
        Some(value) if value.starts_with(':') => return None,
        Some(value) => value,
        None if flag && line[end..].starts_with(' ') => rest,
        None => return None,
    };
    Some(value.trim_start_matches(['=', '>', ' ', '\t']).trim_end())
}

/// The value stands on the next line, further in.
fn is_empty_here(value: &str) -> bool {
    let value = value.trim_end_matches(['"', '\'']);
    let block = |value: &str| matches!(value, "|" | ">" | "|-" | ">-" | "|+" | ">+");
    let tagged = value.starts_with('!') && value.rsplit_once(' ').is_some_and(|(_, sign)| block(sign));
    value.is_empty() || block(value) || tagged || matches!(value, "{" | "[" | "\\")
}

fn is_given_below(line: &str, next: &[&str], name: &Name<'_>, rules: &Rules) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let Some(below) = next.first().filter(|below| indent(below) > indent(line) && !below.trim().is_empty())
    else {
        return false;
    };
    let below = below.trim();
    let item = below.strip_prefix("- ").unwrap_or(below);
    let key: String = item.trim_start_matches(['"', '\'']).chars().take_while(|c| is_part(*c)).collect();
    let behind = item.trim_start_matches(['"', '\''])[key.len()..].trim_start_matches(['"', '\'']);
    let is_pair =
        behind.starts_with(": ") || behind == ":" || behind.starts_with(" =") || behind.starts_with('=');
    if !is_pair || key.is_empty() {
        return !(is_nothing(item, rules) || (name.is_about && is_plain(item, rules)));
    }
    let value = behind.trim_start_matches([':', '=', ' ', '\t']);
    rules.values.keys.iter().any(|known| known.eq_ignore_ascii_case(&key))
        && !is_nothing(value, rules)
        && !(name.is_about && is_plain(value, rules))
}

/// Does an assigned value count?
fn counts(value: &str, line: &str, name: &Name<'_>, flag: bool, rules: &Rules) -> bool {
    if is_nothing(value, rules) {
        return false;
    }
    let first = Value::first(value);
    let rest = first.rest.trim_start();
    // `no way` is a value, and `no, other: 1` is none with something behind it.
    let ends = first.quoted
        || flag
        || rest.is_empty()
        || rest.starts_with([',', ';', '&', ')', '}', ']', '#', '"', '\'', '<', '>', '|', '-', '\\'])
        || rest.starts_with("//");
    if ends && is_nothing(first.text, rules) {
        return false;
    }
    let text = if ends { first.text } else { value };
    if name.is_file && text.starts_with('/') && is_plain(text, rules) {
        return false;
    }
    if (name.is_measure && is_number(text, rules)) || (name.is_about && is_plain(text, rules)) {
        return false;
    }
    !(is_comment(line, rules) && is_prose(value, rules))
}

fn is_comment(line: &str, rules: &Rules) -> bool {
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

/// Does a value follow the name after nothing but a space? In quotes anywhere in the line, else where the name is one
/// of its first words or the value is mixed as a password is; in a comment only as the last word, as other text is prose
/// there.
fn is_given_after_space(line: &str, name: &Name<'_>, rules: &Rules) -> bool {
    let rest = line[name.end..].trim_start_matches(['"', '\'']);
    let value = rest.trim();
    if !rest.starts_with([' ', '\t']) || value.is_empty() {
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
        return words.len() == 1 && !value.ends_with(['.', ':', '?', ')']);
    }
    let early = line[..name.end].split_whitespace().count() <= rules.names.words;
    (early || is_mixed(first)) && !sentence
}
