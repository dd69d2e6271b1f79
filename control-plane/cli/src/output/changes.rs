//! The lines of a change (a unified diff, or facts with a before and an after) as a person reads them before deciding.
//!
//! Decides what is made visible, and which part of a line that is longer than the terminal is shown: always the part
//! that differs.

use std::collections::BTreeMap;

use unicode_width::UnicodeWidthStr as _;

use super::table::{Cut, shorten};
use super::theme::Tone;
use super::visible::{self, Line, marked, skeleton};

/// Most rows that one line of a change is wrapped into; the rest of it is counted.
const MAX_ROWS: usize = 12;
/// Most characters that are named one by one.
const MAX_NAMED: usize = 6;
/// What begins a row that continues a line.
const CONTINUED: &str = "  > ";

/// One row of the terminal, without its colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// How it is coloured.
    pub tone: Tone,
    /// Its text, safe for a terminal.
    pub text: String,
}

/// Which way a unified diff is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As it is written.
    Forward,
    /// Backwards: what undoing it would change.
    Back,
}

/// A line with the sign of its side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Side<'a> {
    text: &'a str,
    /// No line feed ends it.
    open: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    /// A heading or a fact.
    Fact(Tone, String),
    /// The same on both sides.
    Same(Side<'a>),
    /// Lines that went, and those that came in their place.
    Block(Vec<Side<'a>>, Vec<Side<'a>>),
}

/// A change that was read.
#[derive(Debug)]
pub struct Changes<'a> {
    parts: Vec<Part<'a>>,
    /// Not all of it is there: whoever made it counted the rest.
    is_cut: bool,
}

/// The lines of a text; a carriage return is part of its line.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.strip_suffix('\n').unwrap_or(text).split('\n')
}

impl<'a> Changes<'a> {
    /// Reads the lines of a change.
    pub fn read(all: impl IntoIterator<Item = &'a str>, way: Way) -> Self {
        let mut parts: Vec<Part<'a>> = Vec::new();
        let (mut is_cut, mut in_hunk) = (false, false);
        for line in all {
            in_hunk |= line.starts_with("@@");
            let side = |text: &'a str| Side { text, open: false };
            match line.as_bytes().first() {
                Some(b'-' | b'+') if !in_hunk && (line.starts_with("--- ") || line.starts_with("+++ ")) => {
                    if way == Way::Forward {
                        parts.push(Part::Fact(Tone::Strong, marked(line, Line::Same).concat()));
                    }
                }
                Some(b'-') => block(&mut parts).0.push(side(&line[1..])),
                Some(b'+') => block(&mut parts).1.push(side(&line[1..])),
                Some(b'\\') if in_hunk => open(&mut parts),
                Some(b' ') if in_hunk => parts.push(Part::Same(side(&line[1..]))),
                Some(b'@') if in_hunk => parts.push(Part::Fact(Tone::Note, hunk(line, way))),
                _ => {
                    is_cut |= line.starts_with("... ");
                    parts.push(Part::Fact(Tone::Plain, marked(line, Line::Same).concat()));
                }
            }
        }
        if way == Way::Back {
            for part in &mut parts {
                if let Part::Block(removed, added) = part {
                    std::mem::swap(removed, added);
                }
            }
        }
        Self { parts, is_cut }
    }

    /// The rows, each at most `room` columns wide (`None`: as wide as they are).
    pub fn rows(&self, room: Option<usize>) -> Vec<Row> {
        let room = room.map_or(usize::MAX, |room| room.max(20));
        let mut rows = Vec::new();
        for part in &self.parts {
            match part {
                Part::Fact(tone, text) => {
                    let wrapped = super::wrap::wrap(text, room);
                    rows.extend(wrapped.into_iter().map(|text| Row { tone: *tone, text }));
                }
                Part::Same(side) => {
                    let text = format!(" {}", marked(side.text, Line::Same).concat());
                    rows.push(Row { tone: Tone::Plain, text: shorten(text.trim_end(), room, Cut::End) });
                    rows.extend(open_row(side, Tone::Plain));
                }
                Part::Block(removed, added) => {
                    for (sign, tone, these, others) in
                        [('-', Tone::Bad, removed, added), ('+', Tone::Good, added, removed)]
                    {
                        for (at, side) in these.iter().enumerate() {
                            let other = others.get(at).map(|other| other.text);
                            rows.extend(changed(sign, tone, side.text, other, room));
                            rows.extend(open_row(side, tone));
                        }
                    }
                }
            }
        }
        rows
    }

    /// What differs without being seen; `None` where everything that differs is plain to see.
    pub fn unseen(&self) -> Option<Unseen> {
        let mut unseen = Unseen::default();
        let mut alone = !self.is_cut;
        for part in &self.parts {
            let Part::Block(removed, added) = part else { continue };
            for (old, new) in removed.iter().zip(added) {
                unseen.compare(old, new);
                alone &= skeleton(old.text) == skeleton(new.text);
            }
            alone &= removed.len() == added.len();
            let longer = if removed.len() > added.len() { removed } else { added };
            for side in &longer[removed.len().min(added.len())..] {
                unseen.characters(side.text, "");
            }
        }
        unseen.alone = alone;
        (!unseen.kinds.is_empty()).then_some(unseen)
    }
}

/// The block that ends the parts, made if there is none.
fn block<'p, 'a>(parts: &'p mut Vec<Part<'a>>) -> (&'p mut Vec<Side<'a>>, &'p mut Vec<Side<'a>>) {
    if !matches!(parts.last(), Some(Part::Block(..))) {
        parts.push(Part::Block(Vec::new(), Vec::new()));
    }
    match parts.last_mut() {
        Some(Part::Block(removed, added)) => (removed, added),
        Some(Part::Fact(..) | Part::Same(_)) | None => {
            unreachable!("a block was pushed where none was the last")
        }
    }
}

/// `\ No newline at end of file` speaks of the line before it.
fn open(parts: &mut [Part<'_>]) {
    let side = match parts.last_mut() {
        Some(Part::Same(side)) => Some(side),
        // Lines that were added are written last.
        Some(Part::Block(removed, added)) => added.last_mut().or(removed.last_mut()),
        Some(Part::Fact(..)) | None => None,
    };
    if let Some(side) = side {
        side.open = true;
    }
}

fn open_row(side: &Side<'_>, tone: Tone) -> Option<Row> {
    side.open.then(|| Row { tone, text: "\\ no newline at the end of the file".to_owned() })
}

/// `@@ -1,3 +1,4 @@` is `@@ -1,4 +1,3 @@` backwards.
fn hunk(line: &str, way: Way) -> String {
    let mut words = line.split(' ');
    match (way, words.next(), words.next(), words.next()) {
        (Way::Back, Some("@@"), Some(from), Some(to)) if from.starts_with('-') && to.starts_with('+') => {
            let rest: Vec<&str> = words.collect();
            marked(&format!("@@ -{} +{} {}", &to[1..], &from[1..], rest.join(" ")), Line::Same).concat()
        }
        _ => marked(line, Line::Same).concat(),
    }
}

/// The rows of an added or removed line. One that is too long is shown from a little before the first character that
/// differs from `other` to a little behind the last one.
fn changed(sign: char, tone: Tone, text: &str, other: Option<&str>, room: usize) -> Vec<Row> {
    let shown = marked(text, Line::Changed);
    let row = |text: String| Row { tone, text };
    let width = |from: usize, to: usize| shown[from..to].iter().map(|part| part.width()).sum::<usize>();
    if room == usize::MAX || width(0, shown.len()) < room {
        return vec![row(format!("{sign}{}", shown.concat()))];
    }
    let (first, last) = other.map_or((0, shown.len()), |other| differing(text, other));
    // A quarter of the row is for what stands before; what is behind fills it.
    let (mut from, mut to) = (first, last);
    while from > 0 && width(from - 1, first) <= room / 4 {
        from -= 1;
    }
    let cut_before = from > 0;
    let lead = if cut_before { "…" } else { "" };
    let room_of_first = room.saturating_sub(1 + lead.width());
    while to < shown.len() && width(from, to + 1) < room_of_first {
        to += 1;
    }
    let mut rows = Vec::new();
    let mut line = format!("{sign}{lead}");
    let mut at = from;
    while at < to {
        let tail = usize::from(to < shown.len());
        let fits = line.width() + shown[at].width() + tail <= room;
        if !fits && line.width() > CONTINUED.width() {
            if rows.len() + 1 == MAX_ROWS {
                let more = shown.len() - at;
                rows.push(row(line));
                rows.push(row(format!("{CONTINUED}… {more} more characters of this line; -o json has them")));
                return rows;
            }
            rows.push(row(std::mem::replace(&mut line, CONTINUED.to_owned())));
        }
        line.push_str(&shown[at]);
        at += 1;
    }
    if to < shown.len() {
        line.push('…');
    }
    rows.push(row(line));
    rows
}

/// The first and the end of the characters of `text` that differ from `other`.
fn differing(text: &str, other: &str) -> (usize, usize) {
    let (text, other): (Vec<char>, Vec<char>) = (text.chars().collect(), other.chars().collect());
    let start = text.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let ends = text[start..].iter().rev().zip(other[start..].iter().rev());
    let end = ends.take_while(|(a, b)| a == b).count();
    (start, text.len() - end)
}

/// A kind of difference that a terminal does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    LineEndings,
    LastNewline,
    TrailingBlanks,
    Blanks,
    Characters,
}

/// What differs without being seen.
#[derive(Debug, Default)]
pub struct Unseen {
    /// Nothing else differs.
    alone: bool,
    /// How many lines have each.
    kinds: BTreeMap<Kind, usize>,
    characters: Vec<char>,
    /// `LF -> CRLF`, and whether the last newline came or went.
    ending: &'static str,
    newline: &'static str,
}

impl Unseen {
    fn note(&mut self, kind: Kind) {
        *self.kinds.entry(kind).or_default() += 1;
    }

    fn compare(&mut self, old: &Side<'_>, new: &Side<'_>) {
        let bare = |side: &Side<'_>| {
            side.text.strip_suffix('\r').map_or((side.text.to_owned(), false), |t| (t.to_owned(), true))
        };
        let ((old_text, old_cr), (new_text, new_cr)) = (bare(old), bare(new));
        if old_cr != new_cr {
            self.note(Kind::LineEndings);
            self.ending = if new_cr { "LF -> CRLF" } else { "CRLF -> LF" };
        }
        if old.open != new.open {
            self.note(Kind::LastNewline);
            self.newline = if new.open { "the last newline is lost" } else { "a last newline is added" };
        }
        self.characters(&new_text, &old_text);
        self.characters(&old_text, &new_text);
        let (old_end, new_end) =
            (old_text.trim_end_matches([' ', '\t']), new_text.trim_end_matches([' ', '\t']));
        if old_text.len() - old_end.len() != new_text.len() - new_end.len() {
            self.note(Kind::TrailingBlanks);
        }
        if old_end != new_end && skeleton(old_end) == skeleton(new_end) && blanks(old_end) != blanks(new_end)
        {
            self.note(Kind::Blanks);
        }
    }

    /// Notes the characters of one side that are no part of the other and are not what they look like.
    fn characters(&mut self, text: &str, other: &str) {
        let chars: Vec<char> = text.chars().collect();
        let odd = |c: char| {
            visible::is_unseen(c)
                || visible::is_odd_blank(c)
                || (c.is_control() && !matches!(c, '\t' | '\r'))
                || (visible::looks_like(c).is_some() && skeleton(text) == skeleton(other))
        };
        let mut found = false;
        for c in chars {
            if odd(c) && text.matches(c).count() != other.matches(c).count() {
                found = true;
                if !self.characters.contains(&c) {
                    self.characters.push(c);
                }
            }
        }
        if found {
            self.note(Kind::Characters);
        }
    }

    /// A word or two for a table, where nothing else differs.
    pub fn word(&self) -> Option<&'static str> {
        let mut kinds = self.kinds.keys();
        let word = match (kinds.next(), kinds.next()) {
            (Some(Kind::LineEndings), None) => "line endings",
            (Some(Kind::LastNewline), None) => "last newline",
            (Some(Kind::TrailingBlanks), None) => "trailing blanks",
            (Some(Kind::Blanks), None) => "tabs or blanks",
            (Some(Kind::Characters), None) => "look-alikes",
            _ => "unseen only",
        };
        self.alone.then_some(word)
    }

    /// What a person has to look for, as a sentence.
    pub fn sentence(&self) -> String {
        let lines = |count: &usize| if *count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
        let mut all: Vec<String> = Vec::new();
        for (kind, count) in &self.kinds {
            all.push(match kind {
                Kind::LineEndings => format!("line endings {} ({})", self.ending, lines(count)),
                Kind::LastNewline => self.newline.to_owned(),
                Kind::TrailingBlanks => format!("blanks at the end of {}", lines(count)),
                Kind::Blanks => format!("tabs or blanks in {}", lines(count)),
                Kind::Characters => {
                    let named = self.characters.iter().take(MAX_NAMED);
                    let named: Vec<String> =
                        named.map(|c| format!("U+{:04X} ({})", u32::from(*c), visible::name(*c))).collect();
                    let more = self.characters.len().saturating_sub(MAX_NAMED);
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    format!("characters that are not what they look like: {}{more}", named.join(", "))
                }
            });
        }
        let lead =
            if self.alone { "Only what is not seen differs: " } else { "Also differs, without being seen: " };
        format!("{lead}{}.", all.join("; "))
    }
}

/// The runs of spaces and tabs of a line; a blank of another kind counts as a space here, as it is named by itself.
fn blanks(text: &str) -> Vec<String> {
    let seen = text.chars().filter(|c| !visible::is_unseen(*c));
    let plain: String = seen.map(|c| if visible::is_odd_blank(c) { ' ' } else { c }).collect();
    plain.split(|c| c != ' ' && c != '\t').filter(|run| !run.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(change: &str, room: usize) -> String {
        let changes = Changes::read(lines(change), Way::Forward);
        changes.rows(Some(room)).into_iter().map(|row| row.text + "\n").collect()
    }

    fn unseen(change: &str) -> (Option<&'static str>, String) {
        let unseen = Changes::read(lines(change), Way::Forward).unseen();
        unseen.map_or((None, String::new()), |unseen| (unseen.word(), unseen.sentence()))
    }

    #[test]
    fn what_is_not_seen_is_named() {
        for (change, word, says) in [
            (
                "@@ -1,2 +1,2 @@\n-a\n-b\n+a\r\n+b\r\n",
                Some("line endings"),
                "line endings LF -> CRLF (2 lines)",
            ),
            ("@@ -1 +1 @@\n-a\r\n+a\n", Some("line endings"), "CRLF -> LF (1 line)"),
            (
                "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n",
                Some("last newline"),
                "Only what is not seen differs: the last newline is lost.",
            ),
            (
                "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n",
                Some("last newline"),
                "a last newline is added",
            ),
            ("@@ -1 +1 @@\n-a\n+a  \n", Some("trailing blanks"), "blanks at the end of 1 line"),
            ("@@ -1 +1 @@\n-a b\n+a\tb\n", Some("tabs or blanks"), "tabs or blanks in 1 line"),
            ("@@ -1 +1 @@\n-a b\n+a\u{a0}b\n", Some("look-alikes"), "U+00A0 (no-break space)"),
            ("@@ -1 +1 @@\n-ab\n+a\u{200b}b\n", Some("look-alikes"), "U+200B (zero-width space)"),
            ("@@ -1 +1 @@\n-paypal\n+p\u{430}ypal\n", Some("look-alikes"), "U+0430 (looks like a)"),
            ("@@ -1 +1 @@\n-a\n+a\r\n-b\n+b \n", Some("unseen only"), "LF -> CRLF (1 line); blanks"),
            ("@@ -1 +1 @@\n-a = 1\n+a = 2\r\n", None, "Also differs, without being seen: line endings"),
            ("@@ -0,0 +1 @@\n+a\u{202e}b\n", None, "U+202E (mark of direction)"),
            ("@@ -1 +1 @@\n-a\n+a\r\n... 3 more lines\n", None, "Also differs"),
            ("@@ -1 +1 @@\n-a\n+b\n", None, ""),
            ("sha256: a -> b\n", None, ""),
        ] {
            let (found, sentence) = unseen(change);
            assert_eq!(found, word, "{change:?}");
            assert!(
                sentence.contains(says) && sentence.is_empty() == says.is_empty(),
                "{change:?}: {sentence}"
            );
        }
    }

    #[test]
    fn a_long_line_is_cut_around_what_differs() {
        let line = |value: &str| {
            format!("{{{}\"debug\":{value}{}}}", "\"aaa\":1,".repeat(50), ",\"z\":2".repeat(50))
        };
        let change = format!("@@ -1 +1 @@\n-{}\n+{}\n", line("false"), line("true"));
        let text = rows(&change, 60);
        insta::assert_snapshot!(text, @r#"
        @@ -1 +1 @@
        -…aaa":1,"debug":false,"z":2,"z":2,"z":2,"z":2,"z":2,"z":2,…
        +…aaa":1,"debug":true,"z":2,"z":2,"z":2,"z":2,"z":2,"z":2,"…
        "#);
    }

    #[test]
    fn what_differs_is_never_cut_before_it_is_shown() {
        for at in [0, 1, 30, 58, 59, 60, 61, 118, 119, 200, 499] {
            let mut other: Vec<char> = "x".repeat(500).chars().collect();
            other[at] = 'Y';
            let change = format!("@@ -1 +1 @@\n-{}\n+{}\n", "x".repeat(500), String::from_iter(other));
            for room in [20, 60, 76] {
                let text = rows(&change, room);
                assert!(text.contains('Y'), "{at} in {room}: {text}");
                assert!(text.lines().all(|row| row.width() <= room), "{at} in {room}: {text}");
            }
        }
    }

    #[test]
    fn a_new_long_line_is_wrapped_and_its_rest_is_counted() {
        let text = rows(&format!("@@ -0,0 +1 @@\n+{}\n", "x".repeat(100)), 40);
        insta::assert_snapshot!(text, @r"
        @@ -0,0 +1 @@
        +xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
          > xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
          > xxxxxxxxxxxxxxxxxxxxxxxxx
        ");
        let long = rows(&format!("@@ -0,0 +1 @@\n+{}\n", "x".repeat(2_000)), 40);
        assert!(long.lines().count() == 14 && long.contains("more characters of this line; -o"), "{long}");
    }

    #[test]
    fn read_backwards_it_says_what_undoing_changes() {
        let change = "--- a/x\n+++ b/x\n@@ -1,2 +1 @@ top\n a\n-b\n-c\n+B\n\\ No newline at end of file\n";
        let back = Changes::read(lines(change), Way::Back).rows(None);
        let text: Vec<String> = back.into_iter().map(|row| row.text).collect();
        assert_eq!(
            text,
            ["@@ -1 +1,2 @@ top", " a", "-B", "\\ no newline at the end of the file", "+b", "+c"]
        );
    }

    #[test]
    fn no_control_byte_is_left_in_any_row() {
        let change =
            "\u{1b}[1mfact\n--- a/\u{9b}\n@@ -1 +1 @@ \u{7}\n \u{1b}c\n-\u{8}a\n+\u{202e}b\r\n\\ No\u{1b}\n";
        for row in Changes::read(lines(change), Way::Forward).rows(Some(40)) {
            assert!(!row.text.contains(|c: char| c.is_control() || visible::is_unseen(c)), "{row:?}");
        }
    }
}
