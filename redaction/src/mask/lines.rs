//! Masks what names that tell are given: in their line, in the lines below, and in the columns of tables.
//!
//! The rules judge a line as a whole and say yes or no. Here the value is found in it: first as exactly as it can be, and
//! where the rules still say yes, the rest of the line and the lines that belong to it, and at last all of the line.

use super::page::{Line, Page};
use super::time::Time;
use super::value::{Edit, begins_with_name, exact, inside, is_link, place, rest};
use crate::MASK;
use crate::secret::assigned::assigned;
use crate::secret::name::Name;
use crate::secret::names::{has_phrase, is_given, names};
use crate::secret::rules::Rules;
use crate::secret::tables::Row;
use crate::secret::values::is_long_mixed;
use crate::secret::{below, blocks, columns, records, tables};

/// Most lines below one that are looked at with it.
const NEXT: usize = 64;
/// Most values that are masked one by one in a line; then all of it is.
const VALUES: usize = 64;
/// Most words behind a name that may be said of it.
const SAID: usize = 8;

struct Sheet<'a> {
    lines: Vec<Line>,
    taken: Vec<String>,
    rules: &'a Rules,
}

/// Masks the values in a page's lines.
pub fn take_out(page: &mut Page, rules: &Rules, time: &Time) {
    let mut sheet = Sheet { lines: page.lines(), taken: Vec::new(), rules };
    for at in 0..sheet.lines.len() {
        if !time.is_left() {
            break;
        }
        let is_columns = sheet.columns(at);
        // Before the next column's name is taken for a value.
        let is_first = sheet.begins_table(at);
        if is_first {
            sheet.table(at);
        }
        if !is_columns {
            sheet.line(at);
        }
        if !is_first {
            sheet.table(at);
        }
        sheet.record(at);
    }
    page.set_lines(&sheet.lines, &sheet.taken);
}

/// As kubectl describes a variable that a Secret or a ConfigMap gives, and what is in a Secret: it says which one and how
/// long it is, not what is in it.
fn is_reference(line: &str) -> bool {
    let Some((name, value)) = line.split_once(':') else { return false };
    let value = value.trim();
    let is_size = value
        .strip_suffix(" bytes")
        .is_some_and(|size| !size.is_empty() && size.bytes().all(|c| c.is_ascii_digit()));
    let is_variable = value.starts_with("<set to the key '") && value.contains("'>");
    !name.trim().contains(' ') && (is_size || is_variable)
}

/// Is the value masked, and what follows it another one with its own name?
fn is_done(line: &str, name: &Name<'_>) -> bool {
    let value = assigned(line, name.end, name.text.starts_with('-'));
    let behind = value.and_then(|value| value.trim_start_matches(['"', '\'']).strip_prefix(MASK));
    behind.is_some_and(begins_with_name)
}

impl Sheet<'_> {
    /// Masks the values in a line until the rules find none.
    fn line(&mut self, at: usize) {
        let rules = self.rules;
        let first = &self.lines[at].judged;
        let tells = names(first, rules).next().is_some() || has_phrase(first, rules);
        if !tells || is_reference(first) || rules.lines.harmless.iter().any(|form| form.is_in(first)) {
            return;
        }
        let mut last = None;
        for _ in 0..VALUES {
            let next = self.next(at);
            let line = self.lines[at].judged.as_str();
            let Some(name) =
                names(line, rules).find(|name| !is_done(line, name) && is_given(line, &next, name, rules))
            else {
                return self.phrase(at);
            };
            let tries = match last {
                Some((start, tries)) if start == name.start => tries + 1,
                _ => 0,
            };
            let start = name.start;
            let edits = match tries {
                0 => exact(line, &next, &name, rules),
                1 => rest(line, &next, &name),
                _ => break,
            };
            last = Some((start, tries));
            self.mask(at, edits);
        }
        self.all(at);
    }

    /// Masks what is said of a name in a sentence and is mixed as a password is, as in `PASSWORD is set to x7Q-9f3k`.
    fn said(&mut self, at: usize) {
        let (line, rules) = (&self.lines[at].judged, self.rules);
        let mut edits = Vec::new();
        for name in names(line, rules).filter(|it| !(it.is_about || it.only_mixed || it.only_account)) {
            let mut words = line[name.end..].split_whitespace().take(SAID);
            if !words.next().is_some_and(is_link) {
                continue;
            }
            let bare = words.map(|word| word.trim_matches(['"', '\'', '`', ',', ';', '.', ':', '(', ')']));
            let telling = bare.filter(|word| is_long_mixed(word, rules) && !word.contains(MASK));
            edits.extend(telling.filter_map(|word| Some((0, place(line, word)?))));
        }
        self.mask(at, edits);
    }

    /// Masks what stands behind a name of several words.
    fn phrase(&mut self, at: usize) {
        self.said(at);
        let line = &self.lines[at].judged;
        if !has_phrase(line, self.rules) {
            return;
        }
        let sign = line.find([':', '=', '：', '＝']).unwrap_or(0);
        let start = sign + line[sign..].chars().next().map_or(0, char::len_utf8);
        let end = line.len();
        self.mask(at, vec![(0, start..end)]);
        if has_phrase(&self.lines[at].judged, self.rules) {
            self.all(at);
        }
    }

    /// Masks all of a line, and the lines below that belong to it.
    fn all(&mut self, at: usize) {
        let line = &self.lines[at].judged;
        let mut edits = vec![(0, below::indent(line)..line.len())];
        edits.extend(inside(line, &self.next(at)).map(|(below, text)| (below, 0..text.len())));
        self.mask(at, edits);
    }

    /// Masks the fields of a table whose columns are parted by blanks, where the column tells. Says whether the line is the
    /// header of one beyond doubt: then it has no value of its own.
    fn columns(&mut self, at: usize) -> bool {
        let below = self.lines.get(at + 1).map(|line| line.judged.as_str());
        let Some(header) = columns::header(&self.lines[at].judged, below, self.rules) else { return false };
        let next = self.next(at);
        let is_table = header.is_table(&next, self.rules);
        if !header.has_values(&next, self.rules) {
            return is_table;
        }
        let mut edits = Vec::new();
        for (below, line) in self.lines[at + 1..].iter().enumerate() {
            if self.begins_columns(at + 1 + below) {
                break;
            }
            match header.values(&line.judged, self.rules) {
                Some(values) => {
                    let places = values.into_iter().filter_map(|value| place(&line.judged, value));
                    edits.extend(places.map(|place| (below + 1, place)));
                }
                None if tables::is_rule(&line.judged) => {}
                None => break,
            }
        }
        self.mask(at, edits);
        is_table
    }

    /// Is the line the header of another table whose columns are parted by blanks, beyond doubt?
    fn begins_columns(&self, at: usize) -> bool {
        let below = self.lines.get(at + 1).map(|line| line.judged.as_str());
        let header = columns::header(&self.lines[at].judged, below, self.rules);
        header.is_some_and(|header| header.is_table(&self.next(at), self.rules))
    }

    /// Is the line the header of a table whose names are hardly values of each other?
    fn begins_table(&self, at: usize) -> bool {
        let header = tables::header(&self.lines[at].judged, self.rules);
        header.is_some_and(|header| header.is_sure(self.rules))
    }

    /// Masks the fields of a table's rows whose column tells.
    fn table(&mut self, at: usize) {
        let line = &self.lines[at].judged;
        if !line.contains([',', ';', '\t', '|']) || !tables::is_in(line, &self.next(at), self.rules) {
            return;
        }
        let Some(mut header) = tables::header(line, self.rules) else { return };
        let mut edits = Vec::new();
        for (below, line) in self.lines[at + 1..].iter().enumerate() {
            // Another table, which has its own turn. Where it is a row of this one after all, the rows below it are, too.
            if header.is_another(&line.judged, self.rules) {
                continue;
            }
            match header.row(&line.judged, self.rules) {
                Row::Of(values) | Row::Shifted(values) | Row::Short(values) => {
                    let places = values.into_iter().filter_map(|value| place(&line.judged, value));
                    edits.extend(places.map(|place| (below + 1, place)));
                }
                Row::Other => {}
                Row::Behind => break,
            }
        }
        self.mask(at, edits);
    }

    /// Masks the fields of a record of psql whose name tells.
    fn record(&mut self, at: usize) {
        let next = self.lines[at + 1..].iter().map(|line| line.judged.as_str());
        let values = records::values(&self.lines[at].judged, next, self.rules);
        let places = values
            .into_iter()
            .filter_map(|(below, value)| Some((below, place(&self.lines.get(at + below)?.judged, value)?)));
        let edits = places.collect();
        self.mask(at, edits);
    }

    /// The lines below one, more of them where a value may go on over many.
    fn next(&self, at: usize) -> Vec<&str> {
        let is_open = blocks::may_be_in(&self.lines[at].judged);
        let most = if is_open { blocks::LINES } else { NEXT };
        self.lines[at + 1..].iter().take(most).map(|line| line.judged.as_str()).collect()
    }

    /// Masks these places, the last ones first, so that the others stay where they are.
    fn mask(&mut self, at: usize, mut edits: Vec<Edit>) {
        edits.sort_by_key(|(below, place)| (*below, place.start));
        for (below, place) in edits.into_iter().rev() {
            let value = self.lines.get_mut(at + below).and_then(|line| line.mask(place));
            self.taken.extend(value);
        }
    }
}
