//! Finds tables (CSV and its kin, Markdown) with a column whose name tells.

use super::name::judge;
use super::rules::Rules;
use super::values::{Value, is_mixed, is_nothing, is_number};
use super::words::plain;

/// Most bytes of a header, and most rows below one that are looked at.
pub const HEADER_BYTES: usize = 1000;
pub const ROWS: usize = 32;

/// Is the line the header of a table, and does a row below it have a value where the header tells?
pub fn is_in(line: &str, next: &[&str], rules: &Rules) -> bool {
    let Some((sign, fields)) = header(line) else { return false };
    let columns: Vec<usize> = (0..fields.len()).filter(|at| tells(fields[*at], rules)).collect();
    if columns.is_empty() {
        return false;
    }
    let rows = next.iter().take(ROWS).filter(|row| !is_rule(row));
    rows.map(|row| split(row, sign))
        .take_while(|row| row.len() == fields.len())
        .any(|row| columns.iter().any(|at| is_value(fields[*at], row[*at], rules)))
}

/// The values of a row of the table whose header is `line`, where the header tells; `None` where it is no row of it.
pub fn values<'a>(line: &str, row: &'a str, rules: &Rules) -> Option<Vec<&'a str>> {
    let (sign, names) = header(line)?;
    let fields = split(row, sign);
    let same = fields.len() == names.len();
    let told =
        names.iter().zip(fields).filter(|(name, field)| tells(name, rules) && is_value(name, field, rules));
    same.then(|| told.map(|(_, field)| field).collect())
}

/// Is it the line between the names of the columns and the rows?
pub fn is_rule(row: &str) -> bool {
    !row.trim().is_empty() && row.chars().all(|c| matches!(c, '-' | '|' | ':' | '+' | '=' | ' '))
}

/// Does a column's name tell that its values are secrets?
pub fn tells(field: &str, rules: &Rules) -> bool {
    judge(field, "", rules)
        .is_some_and(|name| !(name.is_about || name.is_measure || name.only_account || name.only_mixed))
}

/// The sign between the fields and their names, where all of them are names.
fn header(line: &str) -> Option<(char, Vec<&str>)> {
    if line.len() > HEADER_BYTES {
        return None;
    }
    [',', ';', '\t', '|'].into_iter().find_map(|sign| {
        let fields = split(line, sign);
        (fields.len() > 1 && fields.iter().all(|field| is_name(field, sign))).then_some((sign, fields))
    })
}

/// The fields of a row, without the quotes and marks around them.
fn split(line: &str, sign: char) -> Vec<&str> {
    let line = if sign == '|' { line.trim().trim_matches('|') } else { line };
    line.split(sign).map(|field| field.trim().trim_matches(['"', '\'', '`', '*'])).collect()
}

/// Commas stand in sentences, too: there a name is one word.
fn is_name(field: &str, sign: char) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.') || (c == ' ' && sign != ',');
    field.chars().count() <= 40 && field.starts_with(char::is_alphabetic) && field.chars().all(part)
}

/// Is a field a value, and not the name of one, or what is counted (tests that pass, tokens that are used)?
fn is_value(column: &str, field: &str, rules: &Rules) -> bool {
    let is_one =
        Value::first(field).text == field || (is_mixed(field) && !field.contains(char::is_whitespace));
    is_one && is_told(&plain(column, rules), field, rules) && judge(field, "", rules).is_none()
}

/// May a field that stands below such a name be a value, whatever it is called? The column as [`plain`] has it.
pub fn is_told(column: &str, field: &str, rules: &Rules) -> bool {
    let counted = field.len() < 4 || matches!(column, "pass" | "token" | "tokens");
    field.contains(char::is_alphanumeric)
        && !is_nothing(field, rules)
        && !(counted && is_number(field, rules))
}
