//! Judges a name: whether it tells that its value is a secret, and what kind of value that would be.

use super::rules::Rules;
use super::words::{plain, words};

/// A name in a line, and where it stands.
#[expect(clippy::struct_excessive_bools, reason = "each is a plain fact of its own about the name")]
pub struct Name<'a> {
    pub text: &'a str,
    pub start: usize,
    pub end: usize,
    pub is_about: bool,
    pub is_measure: bool,
    /// Its value is the path of a file, where it is one.
    pub is_file: bool,
    /// Behind a space only a user with a password counts.
    pub only_account: bool,
    /// Only a long value with letters and digits counts, as the word means other keys, too.
    pub only_mixed: bool,
}

/// The name, if it tells; `rest` is what follows it.
pub fn judge<'a>(text: &'a str, rest: &str, rules: &Rules) -> Option<Name<'a>> {
    let plain = plain(text, rules);
    let words = words(text);
    let last = words.last().map_or("", String::as_str);
    let names = &rules.names;
    let hex = names.hex_ends.iter().any(|end| plain.ends_with(end.as_str())) && {
        let value = rest.trim_start_matches(['"', '\'', ' ', '\t', ':', '=', '>']);
        let digits = value.strip_prefix("0x").unwrap_or(value);
        digits.bytes().take_while(u8::is_ascii_hexdigit).count() >= names.hex_key
    };
    let is_last = names.last.iter().any(|word| word == last);
    let tells = hex
        || is_last
        || names.secret.iter().any(|word| plain.contains(word.as_str()))
        || names.ends.iter().any(|end| plain.ends_with(end.as_str()));
    let only_mixed = !tells && names.only_mixed.iter().any(|word| word == last || *word == plain);
    (tells || only_mixed).then(|| Name {
        text,
        start: 0,
        end: 0,
        is_about: !hex && names.about.iter().any(|word| word == last),
        is_file: names.files.contains(&plain),
        is_measure: words.iter().any(|word| names.measures.contains(word)),
        only_account: is_last
            && names.only_accounts.iter().any(|word| word == last)
            && !plain.ends_with("masterauth"),
        only_mixed,
    })
}
