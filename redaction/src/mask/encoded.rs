//! Finds words that are base64 of a text with a secret in it.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::page::Page;
use super::words::words;
use crate::secret::random;
use crate::secret::rules::Rules;

/// The shortest and the longest word that is decoded.
const SHORTEST: usize = 16;
const LONGEST: usize = 1 << 20;

/// Masks the words that hold a secret once they are decoded, as `holds_one` says of what they stand for.
pub fn take_out(page: &mut Page, rules: &Rules, holds_one: impl Fn(&str) -> bool) {
    let text = page.judged();
    let public = random::public_places(text, rules);
    let is_public = |place: &Range<usize>| public.iter().any(|p| p.start < place.end && place.start < p.end);
    let holds = |place: &Range<usize>| {
        let word = &text[place.clone()];
        (SHORTEST..=LONGEST).contains(&word.len())
            && decoded(word).is_some_and(|inside| !is_public(place) && holds_one(&inside))
    };
    let places: Vec<Range<usize>> = words(text).filter(holds).collect();
    page.mask(places);
}

/// The text that a word stands for, where it stands for one.
pub fn decoded(word: &str) -> Option<String> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    // `NAME=base64` is one word of such signs.
    let value = word.trim_end_matches('=').rsplit('=').next().unwrap_or(word);
    let text = [STANDARD, URL_SAFE].into_iter().find_map(|alphabet| {
        let bytes = GeneralPurpose::new(&alphabet, config).decode(value).ok()?;
        String::from_utf8(bytes).ok()
    })?;
    let is_text = text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    is_text.then_some(text)
}
