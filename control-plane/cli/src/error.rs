//! A command's failure in three parts: what was expected, what was found, and what to do next.
//!
//! Decides the wording's frame and the exit code; the parts come from where the trouble is.

use std::fmt::{self, Write as _};
use std::ops::{Deref, DerefMut};

use serde::Serialize;

use crate::exit::Exit;
use crate::output::theme::{Theme, Tone};
use crate::output::wrap::wrap;

/// A command that did not do what it was asked. Never holds a secret. Its parts are behind one pointer, so that a
/// `Result` stays small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Box<Parts>);

/// What a [`Failure`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The exit code.
    pub exit: Exit,
    /// One line without a full stop.
    pub title: String,
    /// Free text where three parts do not fit; empty when not used.
    pub detail: String,
    /// What was expected; empty when it adds nothing.
    pub expected: String,
    /// What was found; empty when it adds nothing.
    pub found: String,
    /// What to do next.
    pub next: String,
    /// The HTTP status, where a server said it.
    pub status: Option<u16>,
    /// The problem type's URI, where a server said it.
    pub type_uri: Option<String>,
}

impl Failure {
    /// An error with exit code 1.
    pub fn new(title: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            exit: Exit::Error,
            title: title.into(),
            detail: String::new(),
            expected: String::new(),
            found: String::new(),
            next: String::new(),
            status: None,
            type_uri: None,
        }))
    }

    /// Something that does not exist: exit code 7.
    pub fn not_found(title: impl Into<String>) -> Self {
        Self::new(title).exit(Exit::NotFound)
    }

    /// A command line that cannot be followed: exit code 2.
    pub fn usage(title: impl Into<String>) -> Self {
        Self::new(title).exit(Exit::Usage)
    }

    /// With another exit code.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// With what was expected.
    #[must_use]
    pub fn expected(mut self, text: impl Into<String>) -> Self {
        self.expected = text.into();
        self
    }

    /// With what was found.
    #[must_use]
    pub fn found(mut self, text: impl Into<String>) -> Self {
        self.found = text.into();
        self
    }

    /// With what to do next.
    #[must_use]
    pub fn next(mut self, text: impl Into<String>) -> Self {
        self.next = text.into();
        self
    }

    /// With free text.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = text.into();
        self
    }

    /// For a person, several lines, wrapped by words at `width` (`None`: not at all).
    pub fn render(&self, theme: &Theme, width: Option<usize>) -> String {
        self.lay_out("error:", Tone::Bad, *theme, width)
    }

    /// The same for what is worth knowing and ends nothing.
    pub fn render_warning(&self, theme: &Theme, width: Option<usize>) -> String {
        self.lay_out("warning:", Tone::Warn, *theme, width)
    }

    fn lay_out(&self, word: &str, tone: Tone, theme: Theme, width: Option<usize>) -> String {
        let mut out = theme.paint(tone, word);
        let lead = word.len() + 1;
        let lines = |text: &str, indent: usize| -> Vec<String> {
            let text = crate::output::plain_lines(text);
            let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(20));
            text.lines().flat_map(|line| wrap(line, room)).collect()
        };
        let _ = write!(out, " {}", lines(&self.title, lead).join(&format!("\n{:lead$}", "")));
        let parts =
            [("", &self.detail), ("expected", &self.expected), ("found", &self.found), ("next", &self.next)];
        for (label, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
            let label = theme.paint(Tone::Quiet, &format!("{label:<10}"));
            let _ = write!(out, "\n  {label}{}", lines(text, 12).join("\n            "));
        }
        out.push('\n');
        out
    }

    /// For a program: problem+json (RFC 9457), one line.
    pub fn problem_json(&self) -> String {
        let code = match self.exit {
            Exit::Usage => "usage",
            Exit::Waiting => "waiting-for-approval",
            Exit::Refused => "refused",
            Exit::Unreachable => "unreachable",
            Exit::NotFound => "not-found",
            Exit::Interrupted => "interrupted",
            Exit::Done | Exit::Error | Exit::Found => "error",
        };
        let problem = Problem {
            type_uri: self.type_uri.clone().unwrap_or_else(|| format!("urn:nimbus:problem:{code}")),
            title: &self.title,
            status: self.status,
            detail: &self.detail,
            expected: &self.expected,
            found: &self.found,
            remedy: &self.next,
            exit_code: self.exit as u8,
        };
        let json =
            serde_json::to_string(&problem).unwrap_or_else(|error| format!("{{\"title\":\"{error}\"}}"));
        // The strings mean the same; no terminal gets what it would obey or not show.
        nimbus_api::text::escaped_json(&json)
    }
}

impl Deref for Failure {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl DerefMut for Failure {
    fn deref_mut(&mut self) -> &mut Parts {
        &mut self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(&Theme::plain(), None).trim_end())
    }
}

impl std::error::Error for Failure {}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    type_uri: String,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    expected: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    found: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    remedy: &'a str,
    exit_code: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_three_parts_and_a_program_the_same_as_json() {
        let failure = Failure::not_found("there is no incident inc_1")
            .expected("the id of an incident, or the start of one")
            .found("inc_1\u{1b}[2J")
            .next("list them with `nimbus incidents list`");
        insta::assert_snapshot!(failure.render(&Theme::plain(), None), @r"
        error: there is no incident inc_1
          expected  the id of an incident, or the start of one
          found     inc_1�[2J
          next      list them with `nimbus incidents list`
        ");
        insta::assert_snapshot!(failure.render_warning(&Theme::plain(), Some(40)), @r"
        warning: there is no incident inc_1
          expected  the id of an incident, or
                    the start of one
          found     inc_1�[2J
          next      list them with `nimbus
                    incidents list`
        ");
        let json: serde_json::Value = serde_json::from_str(&failure.problem_json()).unwrap();
        assert_eq!(json["exit_code"], 7);
        assert_eq!(json["type"], "urn:nimbus:problem:not-found");
        assert_eq!(json["remedy"], "list them with `nimbus incidents list`");
        assert!(json.get("status").is_none());
    }

    #[test]
    fn a_problem_document_holds_nothing_that_a_terminal_obeys_or_hides() {
        let found = "a\u{9b}2J\u{202e}b\u{200b}\nc";
        let text = Failure::new("wrong\u{1b}[2J").found(found).problem_json();
        assert!(!text.contains(nimbus_api::text::is_unsafe), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((json["found"].as_str(), json["title"].as_str()), (Some(found), Some("wrong\u{1b}[2J")));
    }
}
