//! Values that were found once, and are taken out wherever else they stand, as they are, as base64, or with signs that are written
//! as their numbers.

use std::collections::BTreeSet;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::page::Page;
use super::rewritten::{self, behind};
use crate::MASK;
use crate::secret::rules::Rules;
use crate::secret::values::{is_long_mixed, is_nothing};

/// Most values that are remembered; later ones are masked where they were found and not looked for elsewhere.
const MOST: usize = 8_192;
/// The shortest and the longest value, bytes, and the shortest part of one in base64 that is looked for.
const SHORTEST: usize = 6;
const LONGEST: usize = 4_096;
const SHORTEST_ENCODED: usize = 8;

/// The values.
#[derive(Default)]
pub struct Known {
    values: BTreeSet<String>,
    /// Finds the first so many of them.
    search: Option<AhoCorasick>,
    searched: usize,
}

/// May a value that was found once be taken out of everything? Only where it can hardly stand for anything else.
pub fn is_telling(value: &str, rules: &Rules) -> bool {
    is_long_mixed(value, rules)
        && !value.contains(MASK)
        && !is_nothing(value, rules)
        && !rules.random.bare_plain.iter().any(|form| form.is(value))
}

impl Known {
    /// Adds a value. One that is too short or too long, or one too many, is not.
    pub fn add(&mut self, value: &str) {
        let value = value.trim();
        if (SHORTEST..=LONGEST).contains(&value.len()) && self.values.len() < MOST {
            self.values.insert(value.to_owned());
        }
    }

    /// Looks for all of them from now on.
    pub fn refresh(&mut self) {
        if self.values.len() > self.searched {
            self.search = self.all();
            self.searched = self.values.len();
        }
    }

    /// As [`Known::refresh`] where there are a quarter more than are looked for: to begin anew for each would take longer
    /// with each.
    pub fn refresh_now_and_then(&mut self) {
        if self.values.len() > self.searched + self.searched / 4 {
            self.refresh();
        }
    }

    /// Masks each place of a value.
    pub fn take_out(&self, page: &mut Page) {
        let Some(search) = &self.search else { return };
        let find = |text: &str| -> Vec<Range<usize>> {
            let places = search.find_iter(text).map(|found| {
                let is_encoded = !self.values.contains(&text[found.range()]);
                if is_encoded { around(text, found.range()) } else { found.range() }
            });
            places.collect()
        };
        let mut places = find(page.judged());
        // Signs of it may be written as their numbers.
        places.extend(rewritten::read(page.judged()).flat_map(|(start, line)| {
            let found = find(&line.text);
            found.into_iter().map(|place| behind(start, &line.place(&place))).collect::<Vec<_>>()
        }));
        // Where quotes are escaped it is judged as another text.
        if page.judged() != page.text() {
            places.extend(find(page.text()));
        }
        page.mask(places);
    }

    fn all(&self) -> Option<AhoCorasick> {
        let encoded = self.values.iter().flat_map(|value| encoded(value));
        let quoted = self.values.iter().filter_map(|value| quoted(value));
        let all: Vec<String> = self.values.iter().cloned().chain(encoded).chain(quoted).collect();
        if all.is_empty() {
            return None;
        }
        AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(all).ok()
    }
}

/// A value as a string of JSON has it, where that is another text.
fn quoted(value: &str) -> Option<String> {
    let text = serde_json::to_string(value).ok()?;
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    (inside != value).then(|| inside.to_owned())
}

/// The part of a value's base64 that is the same whatever stands before and behind it: it depends on how many bytes stand
/// before it.
fn encoded(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(value.as_bytes());
        // Six bits make a letter: those that hold bits of what stands before are left out, and the last, unfinished ones.
        let from = [0, 2, 3][before];
        let end = bytes.len() / 3 * 4;
        for text in [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)] {
            forms
                .extend(text.get(from..end).filter(|part| part.len() >= SHORTEST_ENCODED).map(str::to_owned));
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

/// The whole word around a part of it.
fn around(text: &str, part: Range<usize>) -> Range<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-' | '=');
    let start = text[..part.start]
        .rfind(|c| !is_part(c))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    let end = text[part.end..].find(|c| !is_part(c)).map_or(text.len(), |length| part.end + length);
    start..end
}
