//! A text that is being redacted, and the same text as it is judged: places are the same in both.

use std::ops::Range;

use super::Redacted;
use crate::MASK;

/// Most values that are kept of one text, to be looked for elsewhere.
const MOST_TAKEN: usize = 4_096;

/// A text, and how it is judged.
pub struct Page {
    text: String,
    judged: Option<String>,
    taken: Vec<String>,
    count: usize,
}

/// A line of a text.
pub struct Line {
    /// As it is.
    pub text: String,
    /// As it is judged, without the sign of a line's end.
    pub judged: String,
}

impl Line {
    /// Puts the mask in this place; what stood there, if there was anything.
    pub fn mask(&mut self, place: Range<usize>) -> Option<String> {
        let place = trimmed(&self.text, place)?;
        let value = self.text[place.clone()].to_owned();
        self.text.replace_range(place.clone(), MASK);
        self.judged.replace_range(place, MASK);
        Some(value)
    }
}

impl Page {
    /// The text as it is.
    pub fn new(text: &str) -> Self {
        let mut page = Self { text: text.to_owned(), judged: None, taken: Vec::new(), count: 0 };
        page.unescape();
        page
    }

    /// Judges quotes that are escaped, as a document within a string has them, as if they were not. The quote goes before the
    /// signs that escape it, and they become spaces, so that every other place stays the same.
    fn unescape(&mut self) {
        if !self.text.contains("\\\"") && !self.text.contains("\\'") {
            return;
        }
        let mut bytes = self.text.clone().into_bytes();
        let text = self.text.as_bytes();
        let mut at = 0;
        while let Some(quote) = text.get(at).copied() {
            at += 1;
            if !matches!(quote, b'"' | b'\'') {
                continue;
            }
            let signs = text[..at - 1].iter().rev().take_while(|byte| **byte == b'\\').count();
            let start = at - 1 - signs;
            let one = &text[start..at];
            // Three of them are one mark.
            let is_mark = signs > 0 && text[at..].strip_prefix(one).is_some_and(|rest| rest.starts_with(one));
            let count = if is_mark { 3 } else { 1 };
            at = start + count * one.len();
            bytes[start..at].fill(b' ');
            bytes[start..start + count].fill(quote);
        }
        self.judged = String::from_utf8(bytes).ok();
    }

    /// Judges a line that ends in a backslash together with the next one. Says whether there is such a line.
    pub fn join(&mut self) -> bool {
        let judged = self.judged();
        if !judged.contains("\\\n") && !judged.contains("\\\r\n") {
            return false;
        }
        self.judged = Some(judged.replace("\\\r\n", "   ").replace("\\\n", "  "));
        true
    }

    /// The text as it stands.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text as it is judged.
    pub fn judged(&self) -> &str {
        self.judged.as_ref().unwrap_or(&self.text)
    }

    /// Puts the mask in these places; those that touch each other get one. Says whether anything changed.
    pub fn mask(&mut self, places: Vec<Range<usize>>) -> bool {
        let mut places: Vec<Range<usize>> =
            places.into_iter().filter_map(|place| trimmed(&self.text, place)).collect();
        places.sort_by_key(|place| (place.start, place.end));
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(places.len());
        for place in places {
            match merged.last_mut() {
                Some(last) if place.start <= last.end => last.end = last.end.max(place.end),
                _ => merged.push(place),
            }
        }
        if merged.is_empty() {
            return false;
        }
        for place in &merged {
            self.take(place.clone());
        }
        self.text = masked(&self.text, &merged);
        self.judged = self.judged.as_ref().map(|judged| masked(judged, &merged));
        self.count += merged.len();
        true
    }

    fn take(&mut self, place: Range<usize>) {
        let value = self.text.get(place).unwrap_or_default().to_owned();
        self.take_value(&value);
    }

    fn take_value(&mut self, value: &str) {
        if self.taken.len() < MOST_TAKEN && !value.contains(char::is_whitespace) {
            self.taken.push(value.to_owned());
        }
    }

    /// The lines, each as it is and as it is judged.
    pub fn lines(&self) -> Vec<Line> {
        let mut at = 0;
        let mut lines = Vec::new();
        for judged in self.judged().split('\n') {
            let text = self.text.get(at..at + judged.len()).unwrap_or_default().to_owned();
            at += judged.len() + 1;
            lines.push(Line { text, judged: judged.trim_end_matches('\r').to_owned() });
        }
        lines
    }

    /// Puts the lines in the place of the text; `taken` is what was masked in them.
    pub fn set_lines(&mut self, lines: &[Line], taken: &[String]) {
        if taken.is_empty() {
            return;
        }
        let join = |part: fn(&Line) -> String| lines.iter().map(part).collect::<Vec<_>>().join("\n");
        self.text = join(|line| line.text.clone());
        self.judged = self.judged.is_some().then(|| {
            join(|line| {
                let end = if line.text.ends_with('\r') { "\r" } else { "" };
                format!("{}{end}", line.judged)
            })
        });
        self.count += taken.len();
        for value in taken {
            self.take_value(value);
        }
    }

    /// What is left; the values that were taken out are added to `taken`.
    pub fn end(self, taken: &mut Vec<String>) -> Redacted {
        taken.extend(self.taken);
        Redacted { text: self.text, count: self.count }
    }
}

/// The place without blanks around it and without an escaped quote's parts at its borders; `None` where nothing is left or
/// what is left is a mask.
fn trimmed(text: &str, mut place: Range<usize>) -> Option<Range<usize>> {
    // The rules see bytes: a place may begin or end within a letter, which then goes as a whole.
    place.end = (place.end.min(text.len())..=text.len()).find(|at| text.is_char_boundary(*at))?;
    place.start = (0..=place.start.min(place.end)).rev().find(|at| text.is_char_boundary(*at))?;
    let inside = text.get(place.clone())?;
    let is_escaped = text[..place.start].ends_with('\\');
    let is_quoted = text[place.end..].starts_with(['"', '\'']);
    let left = inside.trim_end();
    let left = if is_quoted { left.trim_end_matches('\\') } else { left };
    let value = if is_escaped { left.trim_start_matches(['\\', '"', '\'']) } else { left }.trim_start();
    let end = place.start + left.len();
    (!value.is_empty() && value != MASK).then_some(end - value.len()..end)
}

/// The text with the mask in these places, which are in order and apart.
fn masked(text: &str, places: &[Range<usize>]) -> String {
    let mut left = String::with_capacity(text.len());
    let mut from = 0;
    for place in places {
        left.push_str(text.get(from..place.start).unwrap_or_default());
        left.push_str(MASK);
        from = place.end;
    }
    left.push_str(text.get(from..).unwrap_or_default());
    left
}
