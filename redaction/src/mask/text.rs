//! The passes through a text.

use std::ops::Range;
use std::sync::OnceLock;

use super::page::Page;
use super::time::Time;
use super::words::words;
use super::{Redacted, encoded, headers, lines, rewritten};
use crate::secret::random;
use crate::secret::rules::{Form, Found, Place, Rules};

/// How often a rule is applied to a text; each time more around what it finds is masked.
const ROUNDS: usize = 4;
/// How often what was decoded is decoded again.
const DEPTH: usize = 2;
/// Most lines before and behind a place of which all is secret.
const LINES_BEFORE: usize = 64;
const LINES_BEHIND: usize = 512;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines, of which each may stand for itself.
    Lines,
    /// A string of a document.
    String,
}

/// Forms of what is secret as a whole, and of the secrets of Nimbus and of protocols that configurations do not hold. Where
/// a form has a `value`, that alone is.
const OWN: [&str; 14] = [
    // From the beginning to the end; without an end, all lines that a key has.
    r"-----BEGIN (?:[A-Z0-9 ]+ )?PRIVATE KEY(?: BLOCK)?-----(?s:.*?)-----END (?:[A-Z0-9 ]+ )?PRIVATE KEY(?: BLOCK)?-----",
    r"-----BEGIN (?:[A-Z0-9 ]+ )?PRIVATE KEY(?: BLOCK)?-----(?:(?:(?:\\r)?\\n|\r?\n)[ \t]*(?:[A-Za-z-]+: [^\n]*|[A-Za-z0-9+/]*={0,2})|[ \t]+[A-Za-z0-9+/=]{32,})*",
    // Join tokens, and what else this control plane hands out.
    r"\bnimbus1\.[\w-]+(?:\.[\w-]*)*",
    r"\bnb[a-z]_[A-Za-z0-9_-]{16,}",
    r"(?i)\bAGE-(?:SECRET-KEY|PLUGIN)-[A-Z0-9-]{10,}",
    // In an address, where a sign is written as its number.
    r#"(?i)(?:passwor[dt]|passwd|passphrase|pwd|secret|token|credentials?|api[_-]?key|access[_-]?key|auth)%3D(?<value>[^\s&"'<>\\]{3,})"#,
    // A value may be in quotes, and have an apostrophe in it.
    r#"(?i)\b(?:set-cookie|cookies?)["']?[ \t]*[:=][ \t]*["']?(?<value>[^\s"'\[{](?:=\\?"[^\r\n"\\]*\\?"|[^\r\n"']|["'][;A-Za-z]){3,})"#,
    // As a pair of two strings.
    r#"(?i)["'](?:set-cookie|cookie)["'],[ \t]*[bu]?["'](?<value>[^\r\n"']{3,})"#,
    // In items of a list of YAML below.
    r#"(?i)\b(?:set-cookie|cookie)["']?:[ \t]*\r?\n[ \t]*-[ \t]+["']?(?<value>[^\s"'=;:]+=[^\r\n]{4,}(?:\r?\n[ \t]*-[ \t]+["']?[^\s"'=;:]+=[^\r\n]+)*)"#,
    // With parameters in quotes all of it goes, also where it goes on in lines of its own that are further in.
    r#"(?i)\bauthorization["']?[ \t]*[:=][ \t]*["']?(?<value>[A-Za-z][\w-]*[ \t]+[^\r\n"']*=[ \t]*["'][^\s,;:}\])](?:[^\r\n]*,[ \t]*\r?\n[ \t]+[\w*-]+[ \t]*=)*[^\r\n]*)"#,
    r#"(?i)\bauthorization["']?[ \t]*[:=,]?[ \t]*["']?[ \t]*(?<value>(?:digest|oauth|hawk|mac|signature|token|hoba|mutual|vapid|privatetoken|mediabrowser|emby)[ \t]+[^\r\n"']*\w=[ \t]*["'](?:[^\r\n]*,[ \t]*\r?\n[ \t]+[\w*-]+[ \t]*=)*[^\r\n]*)"#,
    // Its first parameter in quotes stands in a line of its own.
    r#"(?i)\bauthorization["']?[ \t]*[:=][ \t]*["']?[A-Za-z][\w-]*(?<value>[^\r\n"']*(?:,?[ \t]*\r?\n[ \t]+[\w*-]+[ \t]*=[ \t]*["'][^\r\n]*)+)"#,
    // In an item of a list of YAML below.
    r#"(?i)\bauthorization["']?:[ \t]*\r?\n[ \t]*-[ \t]+["']?(?<value>[A-Za-z][\w-]*[ \t]+(?:[^\r\n]*=[ \t]*["'](?:[^\r\n]*,[ \t]*\r?\n[ \t]+[\w*-]+[ \t]*=)*[^\r\n]*|[^\s"']*\d[^\r\n"']*))"#,
    r#"(?i)\b(?:proxy-)?authorization["']?[ \t]*[:=][ \t]*["']?(?<value>[A-Za-z-]+[ \t]+\S[^\r\n"']*|(?:[^\s"'\[][^\s"']*)?[\d+/=_.-][^\r\n"']{4,})"#,
];

fn own() -> &'static [Form] {
    static OWN_FORMS: OnceLock<Vec<Form>> = OnceLock::new();
    OWN_FORMS.get_or_init(|| OWN.iter().map(|form| Form::from((*form).to_owned())).collect())
}

/// Can the forms be used?
pub fn check() -> Result<(), String> {
    let broken = std::iter::once((encoded::broken(), encoded::BROKEN)).chain(headers::forms());
    match own().iter().zip(OWN).chain(broken).find(|(form, _)| form.get().is_none()) {
        None => Ok(()),
        Some((_, form)) => {
            Err(format!("the form {form} cannot be used, so nothing may leave; install nimbus anew"))
        }
    }
}

/// Takes the secrets out of a text; `depth` counts how often what is looked at was encoded. Where time runs out what is left
/// was not judged.
pub fn take_out(page: &mut Page, kind: Kind, rules: &Rules, time: &Time, depth: usize) {
    let inner = |inside: &str, kind: Kind| -> Redacted {
        let mut inner = Page::new(inside);
        take_out(&mut inner, kind, rules, time, depth + 1);
        inner.end(&mut Vec::new())
    };
    let holds_one = |inside: &str| inner(inside, Kind::Lines).count > 0;
    take_out_own(page);
    if depth < DEPTH {
        // Before a part of a broken word is masked as it looks random, which would leave the other parts.
        encoded::take_out_broken(page, time, holds_one);
    }
    pass(page, kind, rules, time);
    if page.join() {
        pass(page, kind, rules, time);
    }
    take_out_random(page, kind, rules);
    if depth < DEPTH {
        rewritten::take_out(page, |inside| inner(inside, kind));
        encoded::take_out(page, rules, time, holds_one);
    }
}

fn pass(page: &mut Page, kind: Kind, rules: &Rules, time: &Time) {
    let mut lower = page.judged().to_lowercase();
    let is_line = kind == Kind::Lines;
    for rule in rules.found.iter().filter(|rule| is_line || !rule.by_line) {
        if !time.is_left() {
            return;
        }
        if rule.may_be_in(&lower) && take_out_found(page, rule, rules) {
            lower = page.judged().to_lowercase();
        }
    }
    lines::take_out(page, rules, time);
}

fn take_out_own(page: &mut Page) {
    let listed = headers::places(page.judged());
    page.mask(listed);
    for form in own().iter().filter_map(Form::get) {
        let found = form.captures_iter(page.judged().as_bytes());
        let places =
            found.filter_map(|found| found.name("value").or(found.get(0)).map(|value| value.range()));
        let places = places.collect();
        page.mask(places);
    }
}

/// Masks what a rule finds until it finds nothing more. Says whether it found something.
fn take_out_found(page: &mut Page, rule: &Found, rules: &Rules) -> bool {
    for round in 0..ROUNDS {
        let judged = page.judged();
        let places = rule.places(judged, rules);
        if places.is_empty() {
            return round > 0;
        }
        let places = places.into_iter().map(|place| widened(judged, place, rule.around, round)).collect();
        page.mask(places);
    }
    true
}

/// What is masked of a place: in the first round what was found, later more.
fn widened(text: &str, place: Place, around: bool, round: usize) -> Range<usize> {
    let Place { whole, value } = place;
    if around {
        return paragraph(text, &whole);
    }
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |length| at + length);
    let is_name = text[whole.end..].trim_start_matches(['"', '\'', ' ']).starts_with([':', '=']);
    let found = match value {
        Some(value) => value,
        None if is_name => whole.start..line_end(whole.end),
        None => to_end_of_word(text, &whole),
    };
    match round {
        0 => found,
        1 => found.start..line_end(found.end),
        _ => {
            let start = text[..whole.start].rfind('\n').map_or(0, |at| at + 1);
            start..line_end(whole.end.max(found.end))
        }
    }
}

/// A form may end before the value does.
fn to_end_of_word(text: &str, found: &Range<usize>) -> Range<usize> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ';' | '<' | ')' | ']' | '}');
    let end = text[found.end..].find(ends).map_or(text.len(), |length| found.end + length);
    found.start..end
}

/// The lines around a place, up to an empty line or the border of a document.
fn paragraph(text: &str, place: &Range<usize>) -> Range<usize> {
    let is_border = |line: &str| line.trim().is_empty() || line.trim_end() == "---";
    let first = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let mut start = first;
    for line in text[..first].split_inclusive('\n').rev().take(LINES_BEFORE) {
        if is_border(line) {
            break;
        }
        start -= line.len();
    }
    let mut end =
        place.end + text[place.end..].find('\n').map_or(text.len() - place.end, |length| length + 1);
    for line in text[end..].split_inclusive('\n').take(LINES_BEHIND) {
        if is_border(line) {
            break;
        }
        end += line.len();
    }
    start..end
}

/// Masks words that look random and are not public, and lines that are one key.
fn take_out_random(page: &mut Page, kind: Kind, rules: &Rules) {
    let text = page.judged();
    let public = random::public_places(text, rules);
    let is_public = |place: &Range<usize>| public.iter().any(|p| p.start < place.end && place.start < p.end);
    let mut places: Vec<Range<usize>> =
        words(text).filter(|place| random::is_random(&text[place.clone()], &rules.random)).collect();
    if kind == Kind::Lines {
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            if random::is_bare_line(line, rules) {
                places.push(at..at + line.trim_end().len());
            }
            at += line.len();
        }
    }
    places.retain(|place| !is_public(place));
    page.mask(places);
}
