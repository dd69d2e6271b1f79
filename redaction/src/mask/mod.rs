//! Takes secrets out of texts and documents.
//!
//! A text passes, in this order: blocks that are secret as a whole (private keys), Nimbus's own tokens, base64 that is broken
//! over lines, what the rules find, values of names that tell, random-looking words, what is any of these once signs that are
//! written as their numbers are read, words that are base64 or hexadecimal digits of any of these, and values that were found
//! before in another place. Where a rule still finds something behind a mask, more is masked: first the rest of the line,
//! then the lines. When in doubt it masks.

mod document;
mod encoded;
mod headers;
mod known;
mod lines;
mod page;
mod rewritten;
mod signs;
mod text;
mod time;
mod value;
mod words;

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;

use crate::MASK;
use crate::secret::rules::Rules;
use crate::secret::{check, name_looks_secret, rules};
use known::Known;
use page::Page;
use signs::Read;
use time::Time;

/// Most strings of documents whose redaction is remembered, and the longest one, bytes.
const MOST_REMEMBERED: usize = 100_000;
const LONGEST_REMEMBERED: usize = 4_096;
/// The longest line of a text that is looked at, bytes; all of a longer one is masked.
const LONGEST_LINE: usize = 32 << 10;

/// A text without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redacted {
    /// What is left.
    pub text: String,
    /// How many values were taken out.
    pub count: usize,
}

/// Takes secrets out of one text or document after the other, and remembers them. [`Redactor::again`] looks for all of them,
/// which finds in the earlier ones what the later ones told; the others look for most of them.
pub struct Redactor {
    rules: &'static Rules,
    known: Known,
    remembered: HashMap<String, Redacted>,
    time: Time,
}

/// The text with a mask for each line that is longer than is looked at, and how many there were: what a line tells takes longer
/// to find out than it is long.
fn without_long_lines(text: &str) -> (Cow<'_, str>, usize) {
    let is_long = |line: &str| line.len() > LONGEST_LINE;
    if !text.split('\n').any(is_long) {
        return (Cow::Borrowed(text), 0);
    }
    let mut cut = 0;
    let lines = text.split('\n').map(|line| {
        if is_long(line) {
            cut += 1;
            format!("{MASK}: a line of {} bytes", line.len())
        } else {
            line.to_owned()
        }
    });
    let lines: Vec<String> = lines.collect();
    (Cow::Owned(lines.join("\n")), cut)
}

impl Redactor {
    /// One that takes these values out wherever they stand, whatever the rules say of them. An error where the rules cannot
    /// be used: then nothing may leave.
    pub fn new(known: &[&str]) -> Result<Self, String> {
        check()?;
        text::check()?;
        let rules = rules().as_ref().map_err(Clone::clone)?;
        let mut values = Known::default();
        for value in known {
            values.add(value);
        }
        Ok(Self { rules, known: values, remembered: HashMap::new(), time: Time::default() })
    }

    /// From now on there is as much time as `is_left` says, which is asked between small parts of the work. Once it says no
    /// nothing more is judged: what was being judged is one mask, and so is what is given later, until there is time anew.
    pub fn bound(&mut self, is_left: impl Fn() -> bool + Send + 'static) {
        self.time = Time::new(is_left);
    }

    /// Whether time ran out since [`Redactor::bound`] was called: then what was returned since is not whole.
    pub fn is_late(&self) -> bool {
        !self.time.is_left()
    }

    /// A text of lines: a log, what a program prints, a configuration.
    pub fn text(&mut self, text: &str) -> Redacted {
        let (text, cut) = without_long_lines(text);
        let redacted = self.mask(&text, text::Kind::Lines);
        Redacted { count: redacted.count + cut, ..redacted }
    }

    /// A file: nothing of one whose name tells that all of it is secret.
    pub fn file(&mut self, path: &str, text: &str) -> Redacted {
        if !text.trim().is_empty() && name_looks_secret(path, text, self.rules) {
            return Redacted { text: format!("{MASK}\n"), count: 1 };
        }
        self.text(text)
    }

    /// A JSON document, and how many values were taken out of it.
    pub fn json(&mut self, document: Value) -> (Value, usize) {
        document::redact(self, document)
    }

    /// A text that was redacted already, without the values that were found since then.
    pub fn again(&mut self, text: &str) -> Redacted {
        self.known.refresh();
        let mut page = Page::new(text);
        self.known.take_out(&mut page);
        page.end(&mut Vec::new())
    }

    /// A string of a document, apart from the name that it has there.
    fn string(&mut self, text: &str) -> Redacted {
        if let Some(known) = self.remembered.get(text).filter(|_| self.time.is_left()) {
            return known.clone();
        }
        let kind = if text.contains('\n') { text::Kind::Lines } else { text::Kind::String };
        let redacted = self.mask(text, kind);
        if self.time.is_left() && self.remembered.len() < MOST_REMEMBERED && text.len() <= LONGEST_REMEMBERED
        {
            self.remembered.insert(text.to_owned(), redacted.clone());
        }
        redacted
    }

    fn mask(&mut self, text: &str, kind: text::Kind) -> Redacted {
        let mut page = Page::new(text);
        if self.time.is_left() {
            text::take_out(&mut page, kind, self.rules, &self.time, 0);
        }
        if !self.time.is_left() {
            return Redacted { text: MASK.to_owned(), count: 1 };
        }
        self.known.refresh_now_and_then();
        self.known.take_out(&mut page);
        let mut taken = Vec::new();
        let redacted = page.end(&mut taken);
        for value in &taken {
            self.learn(value);
        }
        redacted
    }

    /// Remembers a value that is too much like a password to stand for anything else, and what it stands for where it is
    /// encoded.
    fn learn(&mut self, value: &str) {
        let inside = encoded::decoded(value);
        let read = Read::new(value).map(|read| read.text);
        for value in [Some(value), inside.as_deref(), read.as_deref()].into_iter().flatten() {
            if known::is_telling(value.trim(), self.rules) {
                self.known.add(value);
            }
        }
    }
}
