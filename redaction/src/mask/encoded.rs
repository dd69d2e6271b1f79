//! Finds words that stand for a text with a secret in it: base64, also where it is broken by blanks and line ends, and
//! hexadecimal digits; both of UTF-8 or of UTF-16.

use std::ops::Range;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::page::Page;
use super::time::Time;
use super::words::words;
use crate::secret::random;
use crate::secret::rules::{Form, Rules};

/// The shortest and the longest word that is decoded.
const SHORTEST: usize = 16;
const LONGEST: usize = 1 << 20;
/// Of how many of its first words a broken one may begin with: what stands before it may look like a part of it.
const BEGINNINGS: usize = 3;
/// Words in a row, all but the last as long as a line of base64 may be at least, with nothing but blanks and line ends between
/// them, also those of a string within a string.
pub const BROKEN: &str = r"[A-Za-z0-9+/_-]{16,}(?:(?:[ \t]|\r?\n|\\r|\\n)+[A-Za-z0-9+/_-]{16,})*(?:[ \t]|\r?\n|\\r|\\n)+[A-Za-z0-9+/_-]+={0,2}";

/// [`BROKEN`], compiled when it is first needed.
pub fn broken() -> &'static Form {
    static FORM: OnceLock<Form> = OnceLock::new();
    FORM.get_or_init(|| Form::from(BROKEN.to_owned()))
}

/// Masks broken words that hold a secret once they are decoded, as `holds_one` says of what they stand for.
pub fn take_out_broken(page: &mut Page, time: &Time, holds_one: impl Fn(&str) -> bool) {
    let text = page.judged();
    let rows = broken().get().into_iter().flat_map(|form| form.find_iter(text.as_bytes()));
    let places = rows.filter_map(|row| joined(text, &row.range(), time, &holds_one)).collect();
    page.mask(places);
}

/// Masks the words that hold one.
pub fn take_out(page: &mut Page, rules: &Rules, time: &Time, holds_one: impl Fn(&str) -> bool) {
    let text = page.judged();
    let public = random::public_places(text, rules);
    let is_public = |place: &Range<usize>| public.iter().any(|p| p.start < place.end && place.start < p.end);
    let holds = |place: &Range<usize>| {
        let word = &text[place.clone()];
        let is_judged = (SHORTEST..=LONGEST).contains(&word.len()) && time.is_left();
        // A digest is public, and what reads as a text is none.
        is_judged
            && (of_digits(word).is_some_and(|inside| holds_one(&inside))
                || of_base64(word).is_some_and(|inside| !is_public(place) && holds_one(&inside)))
    };
    let places: Vec<Range<usize>> = words(text).filter(holds).collect();
    page.mask(places);
}

/// The place of a broken word in a row of words, if it holds a secret.
fn joined(
    text: &str,
    row: &Range<usize>,
    time: &Time,
    holds_one: impl Fn(&str) -> bool,
) -> Option<Range<usize>> {
    let parts = parts(text, row);
    for first in 0..parts.len().min(BEGINNINGS) {
        // The word behind it may look like a part of it, too.
        for end in [0, 1] {
            let within = parts.get(first..parts.len() - end).filter(|within| within.len() > 1)?;
            let length: usize = within.iter().map(ExactSizeIterator::len).sum();
            if length > LONGEST || !time.is_left() {
                return None;
            }
            let whole: String = within.iter().map(|part| &text[part.clone()]).collect();
            // What reads as a text is whole, and a part of it would tell no more.
            let Some(inside) = of_base64(&whole) else { continue };
            let place = within.first()?.start..within.last()?.end;
            return holds_one(&inside).then_some(place);
        }
    }
    None
}

/// The words of a row; the letter of a line end in a string within a string is none of theirs.
fn parts(text: &str, row: &Range<usize>) -> Vec<Range<usize>> {
    let is_end = |place: &Range<usize>| {
        text[..place.start].ends_with('\\') && text[place.clone()].starts_with(['r', 'n'])
    };
    words(&text[row.clone()])
        .map(|word| row.start + word.start..row.start + word.end)
        .map(|word| if is_end(&word) { word.start + 1..word.end } else { word })
        .filter(|word| !word.is_empty())
        .collect()
}

/// The text that a word of either kind stands for, where it stands for one.
pub fn decoded(word: &str) -> Option<String> {
    of_digits(word).or_else(|| of_base64(word))
}

fn of_base64(word: &str) -> Option<String> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    [STANDARD, URL_SAFE].into_iter().find_map(|alphabet| {
        let bytes = GeneralPurpose::new(&alphabet, config).decode(value(word)).ok()?;
        text_of(&bytes)
    })
}

fn of_digits(word: &str) -> Option<String> {
    let value = value(word);
    let digits = value.strip_prefix("0x").unwrap_or(value).as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let bytes = digits.chunks_exact(2).map(|two| {
        let two = std::str::from_utf8(two).ok()?;
        u8::from_str_radix(two, 16).ok()
    });
    text_of(&bytes.collect::<Option<Vec<u8>>>()?)
}

/// `NAME=base64` is one word of such signs.
fn value(word: &str) -> &str {
    word.trim_end_matches('=').rsplit('=').next().unwrap_or(word)
}

/// What bytes are as UTF-8, or as UTF-16 of which most is ASCII, as any two bytes are some letter.
fn text_of(bytes: &[u8]) -> Option<String> {
    let plain = std::str::from_utf8(bytes).ok().filter(|text| is_text(text)).map(str::to_owned);
    plain.or_else(|| wide(bytes, u16::from_le_bytes)).or_else(|| wide(bytes, u16::from_be_bytes))
}

fn wide(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let units = bytes.chunks_exact(2).filter_map(|two| <[u8; 2]>::try_from(two).ok()).map(unit);
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    let text = text.trim_start_matches('\u{feff}');
    let ascii = text.chars().filter(char::is_ascii).count();
    (ascii * 2 > text.chars().count() && is_text(text)).then(|| text.to_owned())
}

fn is_text(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}
