//! Finds tables whose columns are parted by blanks, as programs print them, with a column whose name tells.

use crate::MASK;

use super::names;
use super::rules::Rules;
use super::tables::{HEADER_BYTES, NUMBER, ROWS, is_rule, is_told, joined, tells};
use super::values::{is_long_mixed, is_mixed, is_number};
use super::words::plain;

/// First columns that make a table of accounts of it, whatever letters its names are written in.
const ACCOUNTS: [&str; 4] = ["account", "login", "user", "username"];
/// Columns that also name a Secret, and none of its values.
const NAMES: [&str; 4] = ["credential", "credentials", "secret", "secrets"];

/// Most columns of such a table.
const COLUMNS: usize = 32;

/// The header of such a table.
pub struct Header<'a> {
    /// The names of the columns, and at which letter each begins.
    names: Vec<(usize, &'a str)>,
    /// Which of them tell, each as [`plain`] has it; none where all that do are about something else, as `TOKEN COUNT`.
    told: Vec<(usize, String)>,
    /// It can hardly be anything but a header: else only what is as mixed as a password counts.
    is_sure: bool,
}

/// The header that a line is, where a column of it tells; `next` is the line below.
pub fn header<'a>(line: &'a str, next: Option<&str>, rules: &Rules) -> Option<Header<'a>> {
    if line.len() > HEADER_BYTES || !line.trim().contains("  ") || line.contains('\t') {
        return None;
    }
    let columns = fields(line);
    if !(2..=COLUMNS).contains(&columns.len())
        || !columns.iter().enumerate().all(|(at, (_, name))| is_name(name) || (at == 0 && *name == NUMBER))
    {
        return None;
    }
    let told = columns.iter().enumerate().filter(|(_, (_, name))| tells(name, rules));
    let told: Vec<(usize, String)> = told.map(|(at, (_, name))| (at, plain(&joined(name), rules))).collect();
    let is_of_none = told.is_empty() && names::names(line, rules).next().is_none();
    if is_of_none || rules.lines.harmless.iter().any(|form| form.is_in(line)) {
        return None;
    }
    let is_whole = |(_, name): &(usize, String)| rules.names.secret.contains(name);
    let first = columns.iter().map(|(_, name)| name.to_lowercase()).find(|name| name != NUMBER)?;
    let begins_great = || columns.iter().all(|(_, name)| !name.starts_with(char::is_lowercase));
    let is_sure = !line.contains(char::is_lowercase)
        || (told.is_empty() && begins_great())
        || next.is_some_and(is_rule)
        || (ACCOUNTS.contains(&first.as_str()) && !told.is_empty() && told.iter().all(is_whole));
    Some(Header { names: columns, told, is_sure })
}

impl Header<'_> {
    /// Has a row below it a value where it tells?
    pub fn has_values(&self, next: &[&str], rules: &Rules) -> bool {
        let rows = next.iter().take(ROWS).filter(|row| !is_rule(row));
        rows.map_while(|row| self.values(row, rules)).any(|values| !values.is_empty())
    }

    /// Is it beyond doubt the header of a table, so that what follows a name in it is another name and no value?
    pub fn is_table(&self, next: &[&str], rules: &Rules) -> bool {
        let row = next.iter().take(ROWS).find(|row| !is_rule(row));
        let is_above = |row: &&str| {
            if self.told.is_empty() || self.told.iter().any(|(at, _)| *at == 0) {
                self.is_aligned(row, rules)
            } else {
                self.values(row, rules).is_some()
            }
        };
        self.is_sure && row.is_some_and(is_above)
    }

    /// Are these three columns or more, whose names no password is among, and does a field of the row begin below each? Else
    /// a first name that tells may have its value behind it, as in settings. Two are enough where none of them has secrets.
    fn is_aligned(&self, row: &str, rules: &Rules) -> bool {
        let is_word = |name: &str| !name.contains(|c: char| c.is_ascii_digit());
        let fields = fields(row);
        // Behind a mask the others stand elsewhere.
        let is_below = |(field, name): (&(usize, &str), &(usize, &str))| field.0 == name.0;
        let counts = |(at, name): &(usize, String)| {
            name.ends_with("tokens") && fields.get(*at).is_some_and(|(_, field)| is_number(field, rules))
        };
        self.names.len() == fields.len()
            && (self.names.len() > 2 || self.told.iter().all(counts))
            && self.names.iter().all(|(_, name)| is_word(name))
            && (row.contains(MASK) || fields.iter().zip(&self.names).all(is_below))
    }

    /// The values of a row where the header tells; `None` where it is no row.
    pub fn values<'b>(&self, row: &'b str, rules: &Rules) -> Option<Vec<&'b str>> {
        let all = fields(row);
        if all.is_empty() {
            return None;
        }
        let is_full = all.len() == self.names.len();
        let mut values = Vec::new();
        for (at, name) in &self.told {
            let value = if is_full { Some(all[*at].1) } else { self.below(*at, row)? };
            values.extend(value.filter(|value| self.counts(name, value, rules)));
        }
        Some(values)
    }

    /// The one word below a name in a row that has not as many fields as there are names; `None` where its words do not
    /// stand below the names, `Some(None)` where there is none below this one.
    #[expect(clippy::option_option, reason = "an empty field is no end of the table")]
    fn below<'b>(&self, at: usize, row: &'b str) -> Option<Option<&'b str>> {
        let byte = |letter: usize| row.char_indices().nth(letter).map_or(row.len(), |(byte, _)| byte);
        let start = byte(self.names[at].0);
        let end = self.names.get(at + 1).map_or(row.len(), |(letter, _)| byte(*letter));
        let is_apart = |byte: usize| byte == 0 || byte == row.len() || row[..byte].ends_with(' ');
        let word = row[start..end].trim();
        let is_row = is_apart(start) && is_apart(end) && !word.contains(' ') && row.trim().contains(' ');
        is_row.then_some(Some(word).filter(|word| !word.is_empty()))
    }

    /// Is a field below a name a value? What costs least is asked first, as every line may be a header.
    fn counts(&self, column: &str, value: &str, rules: &Rules) -> bool {
        let only_mixed = !self.is_sure || column == "pass";
        let is_name = || NAMES.contains(&column) && rules.random.bare_plain.iter().any(|form| form.is(value));
        (!only_mixed || is_mixed(value))
            && plain(value, rules) != column
            && is_told(column, value, rules)
            && !is_name()
            && (!only_mixed || is_long_mixed(value, rules))
    }
}

/// What two blanks or more part, and at which letter each begins.
fn fields(line: &str) -> Vec<(usize, &str)> {
    let mut fields = Vec::new();
    let (mut letters, mut rest) = (0, line);
    while !rest.is_empty() {
        let text = rest.trim_start_matches(' ');
        letters += rest.len() - text.len();
        let end = text.find("  ").unwrap_or(text.len());
        let (field, behind) = text.split_at(end);
        if !field.trim().is_empty() {
            fields.push((letters, field.trim_end()));
        }
        letters += field.chars().count();
        rest = behind;
    }
    fields
}

/// A name of a column is a word or two.
fn is_name(field: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    field.chars().count() <= 40 && field.starts_with(char::is_alphabetic) && field.chars().all(is_part)
}
