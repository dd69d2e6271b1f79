//! What an agent knows of a pause: what it says, and how it is kept in a file.
//!
//! Decides that what cannot be read is a pause: the safe answer of a kill switch whose state is not known.

use jiff::Timestamp;
use nimbus_protocol::{from_micros, v1};
use serde::{Deserialize, Serialize};

/// Longest of each text that is kept, bytes; the rest is cut off.
pub const MAX_TEXT: usize = 200;
/// Longest file of a pause, bytes: three texts, of which each character may be escaped, a time, and what is around them.
pub const MAX_FILE: u64 = 8 << 10;

/// Since when nothing new is begun, and on whose word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// What is paused: `the fleet`, `cluster NAME`, or `this agent` for a pause that was made on its own side.
    pub what: String,
    /// Who paused it.
    pub by: String,
    /// Why; may be empty.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

impl Pause {
    /// A pause whose texts are within their bounds and of one line each.
    pub fn new(what: &str, by: &str, reason: &str, since: Timestamp) -> Self {
        Self { what: line(what), by: line(by), reason: line(reason), since }
    }

    /// What the control plane says; `None`: nobody has paused anything here.
    pub fn of_frame(frame: &v1::Pause) -> Option<Self> {
        frame.paused.then(|| Self::new(&frame.what, &frame.by, &frame.reason, from_micros(frame.since_us)))
    }

    /// That nothing is begun, in a sentence.
    pub fn sentence(&self) -> String {
        let because = if self.reason.is_empty() { String::new() } else { format!(": {}", self.reason) };
        format!("{} is paused by {} since {:.0}{because}", self.what, self.by, self.since)
    }

    /// As it is kept.
    pub fn to_file(&self) -> String {
        // Texts and a time: there is nothing in them that JSON does not take.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// As [`Self::to_file`] wrote it; the error says what was expected and found.
    pub fn from_file(text: &str) -> Result<Self, String> {
        let read: Result<Self, _> = serde_json::from_str(text);
        // Whoever wrote it by hand: it is shown on terminals.
        read.map(|it| Self::new(&it.what, &it.by, &it.reason, it.since))
            .map_err(|error| format!("expected a pause as this agent writes it, found: {error}"))
    }
}

/// One line within [`MAX_TEXT`], without anything that a terminal obeys.
fn line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since() -> Timestamp {
        "2026-11-29T02:14:00Z".parse().unwrap()
    }

    #[test]
    fn a_frame_says_who_what_and_why_and_one_that_says_no_is_no_pause() {
        let frame = v1::Pause {
            paused: true,
            what: "cluster prod".into(),
            by: "operator".into(),
            reason: "disks are moved".into(),
            since_us: nimbus_protocol::to_micros(since()),
        };
        let said = "cluster prod is paused by operator since 2026-11-29T02:14:00Z: disks are moved";
        assert_eq!(Pause::of_frame(&frame).unwrap().sentence(), said);
        assert_eq!(Pause::of_frame(&v1::Pause { paused: false, ..frame }), None);
    }

    #[test]
    fn a_hostile_peers_texts_are_bounded_and_of_one_line() {
        let frame = v1::Pause {
            paused: true,
            what: "x".repeat(10_000),
            by: "a\n\u{1b}[31mroot".into(),
            reason: "ä".repeat(MAX_TEXT),
            since_us: i64::MAX,
        };
        let pause = Pause::of_frame(&frame).unwrap();
        assert_eq!((pause.what.len(), pause.reason.len()), (MAX_TEXT, MAX_TEXT));
        assert!(!pause.sentence().contains(['\n', '\u{1b}']), "{}", pause.sentence());
        assert!(pause.to_file().len() as u64 <= MAX_FILE);
    }

    #[test]
    fn what_is_kept_is_read_back_and_anything_else_is_refused() {
        let pause = Pause::new("this agent", "root", "say \"no\"", since());
        assert_eq!(Pause::from_file(&pause.to_file()), Ok(pause.clone()));
        let hostile = pause.to_file().replace("root", "a\\u001b[31m\\nroot");
        assert!(!Pause::from_file(&hostile).unwrap().sentence().contains(['\n', '\u{1b}']));
        let text = pause.to_file();
        for wrong in ["", "paused", "{}", &text[..text.len() - 5], &text.replace("\"by\"", "\"who\"")] {
            assert!(Pause::from_file(wrong).unwrap_err().contains("expected a pause"), "{wrong}");
        }
    }
}
