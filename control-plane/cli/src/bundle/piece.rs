//! What becomes of an answer: redacted, and cut where it is too long.

use nimbus_redaction::Redactor;
use serde_json::Value;

use super::MOST_OF_A_PART;

/// What a source answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// A document.
    Document(Value),
    /// A text.
    Text(String),
    /// A file of this path.
    File(String, String),
}

impl Raw {
    /// What was printed: a document where it is one.
    pub fn read(text: String) -> Self {
        if !text.trim_start().starts_with(['{', '[']) {
            return Self::Text(text);
        }
        serde_json::from_str(&text).map_or(Self::Text(text), Self::Document)
    }
}

/// A part without secrets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Piece {
    /// What is left.
    pub text: String,
    /// How many values were taken out.
    pub redactions: usize,
    /// Whether its end was cut off.
    pub cut: bool,
}

impl Piece {
    /// Takes the secrets out of an answer.
    pub fn new(redactor: &mut Redactor, raw: Raw) -> Self {
        let (text, redactions) = match raw {
            Raw::Document(document) => {
                let (document, count) = redactor.json(document);
                let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
                text.push('\n');
                (text, count)
            }
            Raw::Text(text) => {
                let redacted = redactor.text(&text);
                (redacted.text, redacted.count)
            }
            Raw::File(path, text) => {
                let redacted = redactor.file(&path, &text);
                (redacted.text, redacted.count)
            }
        };
        Self { text, redactions, cut: false }.bounded(MOST_OF_A_PART)
    }

    /// Without the values that were found in later answers.
    pub fn again(self, redactor: &mut Redactor) -> Self {
        let redacted = redactor.again(&self.text);
        let redactions = self.redactions + redacted.count;
        Self { text: redacted.text, redactions, cut: self.cut }.bounded(MOST_OF_A_PART)
    }

    /// Cut at the end of a line, with a line that says so.
    fn bounded(mut self, most: usize) -> Self {
        if self.text.len() <= most {
            return self;
        }
        let note = format!("[cut here: a part has at most {most} bytes]\n");
        let room = most.saturating_sub(note.len());
        let end = (0..=room).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let end = self.text[..end].rfind('\n').map_or(end, |at| at + 1);
        self.text.truncate(end);
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
        self.text.push_str(&note);
        self.cut = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_at_a_line_and_says_so() {
        let text = "one line of some length\n".repeat(10);
        let piece = Piece { text: text.clone(), redactions: 2, cut: false };
        assert_eq!(piece.clone().bounded(text.len()), piece);
        let cut = piece.bounded(130);
        assert!(cut.cut && cut.text.len() <= 130, "{cut:?}");
        assert_eq!(cut.text.lines().next_back(), Some("[cut here: a part has at most 130 bytes]"));
        assert_eq!(cut.text.lines().next(), Some("one line of some length"));
    }

    #[test]
    fn a_document_that_was_cut_off_is_a_text() {
        assert!(matches!(Raw::read("{\"a\": 1}".to_owned()), Raw::Document(_)));
        assert!(matches!(Raw::read("{\"a\": ".to_owned()), Raw::Text(_)));
        assert!(matches!(Raw::read("Name: x".to_owned()), Raw::Text(_)));
    }
}
