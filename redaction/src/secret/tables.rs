//! Finds tables (CSV and its kin, Markdown) with a column whose name tells.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::name::judge;
use super::rules::Rules;
use super::values::{Value, is_mixed, is_nothing, is_number};
use super::words::plain;

/// Most bytes of a header, and most rows below one that are looked at.
pub const HEADER_BYTES: usize = 1000;
pub const ROWS: usize = 32;
/// The name of a first column that counts the rows.
pub const NUMBER: &str = "#";

/// Most rows in succession that are passed over, as they have not as many fields as the header has names.
const PASSED: usize = 64;

/// The fewest signs of a value that shows that there is a table, where it is not known in which column it stands.
const SHORTEST: usize = 4;

/// What a line below a header is.
pub enum Row<'a> {
    /// A row, with the values in it where the header tells.
    Of(Vec<&'a str>),
    /// Something between two rows, or a row that cannot be read: the table may go on behind it.
    Other,
    /// A row with fields too many, as one of them has the sign in it: what may stand where the header tells.
    Shifted(Vec<&'a str>),
    /// A row with fields too few, or the part of one that goes on in the next line: what may stand where the header tells.
    Short(Vec<&'a str>),
    /// The table has ended before it.
    Behind,
}

/// The header of a table.
pub struct Header<'a> {
    sign: char,
    names: Vec<&'a str>,
    /// Which of them tell.
    told: Vec<usize>,
    /// The sign also stands before the first field and behind the last one.
    is_framed: bool,
    /// How many rows in succession may be passed over, and how many were.
    most: usize,
    passed: usize,
}

/// The header that a line is, where a column of it tells.
pub fn header<'a>(line: &'a str, rules: &Rules) -> Option<Header<'a>> {
    if line.len() > HEADER_BYTES {
        return None;
    }
    let mut signs = [',', ';', '\t', '|'].into_iter().filter(|sign| line.contains(*sign));
    let (sign, is_framed, names) = signs.find_map(|sign| {
        let is_framed = sign == '|' && (line.trim_start().starts_with('|') || line.trim_end().ends_with('|'));
        let fields = split(line, sign, is_framed);
        let is_header = fields.len() > 1
            && fields.iter().enumerate().all(|(at, field)| {
                is_name(field.text, sign != ',' || field.is_quoted) || (at == 0 && field.text == NUMBER)
            });
        is_header.then(|| (sign, is_framed, fields.iter().map(|field| field.text).collect::<Vec<&str>>()))
    })?;
    // With a blank behind each comma it may be a sentence, too.
    let most = if line.contains(", ") { 0 } else { PASSED };
    let told: Vec<usize> = (0..names.len()).filter(|at| tells(names[*at], rules)).collect();
    (!told.is_empty()).then_some(Header { sign, names, told, is_framed, most, passed: 0 })
}

/// Is the line the header of a table, and does a row below it have a value where the header tells?
pub fn is_in(line: &str, next: &[&str], rules: &Rules) -> bool {
    let Some(mut header) = header(line, rules) else { return false };
    for line in next.iter().take(ROWS) {
        match header.row(line, rules) {
            Row::Of(values) if !values.is_empty() => return true,
            // Bars without one at the beginning stand in expressions, too.
            Row::Shifted(values) => {
                let is_row = header.sign != '|' || header.is_framed;
                if is_row && values.iter().any(|value| value.len() >= SHORTEST) {
                    return true;
                }
            }
            Row::Of(_) | Row::Other | Row::Short(_) => {}
            Row::Behind => return false,
        }
    }
    false
}

/// Names that columns have, and hardly a password.
const COLUMNS: [&str; 12] =
    ["account", "age", "email", "host", "id", "key", "login", "name", "role", "url", "user", "username"];

fn is_column(name: &str, rules: &Rules) -> bool {
    COLUMNS.iter().any(|column| name.eq_ignore_ascii_case(column)) || tells(name, rules)
}

impl Header<'_> {
    /// May what stands behind a name in this line be the name of the next column, and no value of it? Of two fields the second
    /// one may be the value of the first, which a column's usual name hardly is.
    pub fn is_sure(&self, rules: &Rules) -> bool {
        self.names.len() > 2 || self.names.iter().all(|name| is_column(name, rules))
    }

    /// Is the line the header of another table: does a column of it tell, and is what stands where this one tells a column's
    /// name, too?
    pub fn is_another(&self, line: &str, rules: &Rules) -> bool {
        let Some(other) = header(line, rules).filter(|other| other.names.len() == self.names.len()) else {
            return false;
        };
        self.told.iter().all(|at| is_column(other.names[*at], rules))
    }

    /// What the next line is. A row with too many fields, or with too few, does not end the table: a field may go on in the
    /// next line, or have the sign in it.
    pub fn row<'b>(&mut self, line: &'b str, rules: &Rules) -> Row<'b> {
        if is_rule(line) {
            return Row::Other;
        }
        let mut fields = split(line, self.sign, self.is_framed);
        if fields.len() != self.names.len() && self.sign == '|' {
            fields = split(line.trim().trim_matches('|'), self.sign, false);
        }
        if fields.len() != self.names.len() {
            self.passed += 1;
            if fields.len() < 2 || self.passed > self.most {
                return Row::Behind;
            }
            let shift = fields.len().abs_diff(self.names.len());
            return if fields.len() > self.names.len() {
                Row::Shifted(self.shifted(&fields, |told| told..=told + shift, rules))
            } else {
                Row::Short(self.shifted(&fields, |told| told.saturating_sub(shift)..=told, rules))
            };
        }
        self.passed = 0;
        let told = self.told.iter().map(|at| (self.names[*at], &fields[*at]));
        let told = told.filter(|(name, field)| is_value(name, field, rules));
        Row::Of(told.map(|(_, field)| field.text).collect())
    }

    /// The fields of a row with too many, or too few, that may be what stands where the header tells: any field may have been
    /// parted, or be missing. `places` says where a told field may stand then.
    fn shifted<'b>(
        &self,
        fields: &[Field<'b>],
        places: impl Fn(usize) -> RangeInclusive<usize>,
        rules: &Rules,
    ) -> Vec<&'b str> {
        let mut values = Vec::new();
        for (at, field) in fields.iter().enumerate() {
            let mut told = self.told.iter().filter(|told| places(**told).contains(&at));
            if told.any(|told| is_value(self.names[*told], field, rules)) {
                values.push(field.text);
            }
        }
        values
    }
}

/// Is it the line between the names of the columns and the rows?
pub fn is_rule(row: &str) -> bool {
    !row.trim().is_empty() && row.chars().all(|c| matches!(c, '-' | '|' | ':' | '+' | '=' | ' '))
}

/// The words of a column's name as one name, of which the last word may say what it is about: `TOKEN COUNT`.
pub fn joined(field: &str) -> Cow<'_, str> {
    if field.contains(' ') { Cow::Owned(field.replace(' ', "_")) } else { Cow::Borrowed(field) }
}

/// Does a column's name tell that its values are secrets?
pub fn tells(field: &str, rules: &Rules) -> bool {
    judge(&joined(field), "", rules)
        .is_some_and(|name| !(name.is_about || name.is_measure || name.only_account || name.only_mixed))
}

/// A field of a row, without the quotes and marks around it.
struct Field<'a> {
    text: &'a str,
    /// It is in quotes, so that all of it is the value.
    is_quoted: bool,
}

/// The fields of a row. The sign parts nothing within quotes, of which two stand for one, and a bar nothing behind `\`.
fn split(line: &str, sign: char, is_framed: bool) -> Vec<Field<'_>> {
    let line = if is_framed { line.trim() } else { line };
    let line = if is_framed { line.strip_prefix(sign).unwrap_or(line) } else { line };
    let line = if is_framed { line.strip_suffix(sign).unwrap_or(line) } else { line };
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let end = end_of_field(rest, sign);
        let field = rest[..end].trim();
        let is_quoted = field.len() > 2 && field.starts_with('"') && field.ends_with('"');
        fields.push(Field { text: field.trim_matches(['"', '\'', '`', '*']), is_quoted });
        match rest.get(end + sign.len_utf8()..) {
            Some(behind) => rest = behind,
            None => return fields,
        }
    }
}

/// The byte at which the first field of a text ends.
fn end_of_field(text: &str, sign: char) -> usize {
    let start = text.len() - text.trim_start_matches(' ').len();
    let quoted = text[start..].strip_prefix('"').and_then(|inside| end_of_quotes(inside, sign));
    let from = quoted.map_or(0, |end| start + 1 + end);
    if sign != '|' {
        return text[from..].find(sign).map_or(text.len(), |at| from + at);
    }
    let mut is_escaped = false;
    for (at, c) in text[from..].char_indices() {
        if c == sign && !is_escaped {
            return from + at;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

/// The byte behind the quote that ends a field; `None` where there is none that the sign or the end follows.
fn end_of_quotes(inside: &str, sign: char) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = inside[at..].find('"') {
        let behind = at + found + 1;
        at = if inside[behind..].starts_with('"') { behind + 1 } else { behind };
        let rest = inside[behind..].trim_start_matches(' ');
        if at == behind {
            return (rest.is_empty() || rest.starts_with([sign, '\r'])).then_some(behind);
        }
    }
    None
}

/// Commas stand in sentences, too: between these a name without quotes is one word.
fn is_name(field: &str, may_have_blanks: bool) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.') || (c == ' ' && may_have_blanks);
    field.chars().count() <= 40 && field.starts_with(char::is_alphabetic) && field.chars().all(part)
}

/// Is a field a value, and not the name of one, or what is counted (tests that pass, tokens that are used)?
fn is_value(column: &str, field: &Field<'_>, rules: &Rules) -> bool {
    let text = field.text;
    let is_one = field.is_quoted
        || Value::first(text).text == text
        || (is_mixed(text) && !text.contains(char::is_whitespace));
    is_one && is_told(&plain(&joined(column), rules), text, rules) && judge(text, "", rules).is_none()
}

/// May a field that stands below such a name be a value, whatever it is called? The column as [`plain`] has it.
pub fn is_told(column: &str, field: &str, rules: &Rules) -> bool {
    let counted = field.len() < 4 || matches!(column, "pass" | "token") || column.ends_with("tokens");
    field.contains(char::is_alphanumeric)
        && !is_nothing(field, rules)
        && !(counted && is_number(field, rules))
}
