//! The result of a benchmark, and BENCHMARKS.md as sections that are replaced one by one.

use std::fmt::Write as _;

use serde::Deserialize;

/// What a benchmark prints as its last line.
#[derive(Debug, Deserialize)]
pub struct Report {
    pub title: String,
    pub command: String,
    pub rows: Vec<Row>,
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One figure. `aim` is what we want to reach, `peer` what another program did in the same run.
#[derive(Debug, Deserialize)]
pub struct Row {
    pub what: String,
    pub value: f64,
    pub unit: String,
    pub aim: Option<String>,
    pub peer: Option<String>,
}

const HEADER: &str = "# Benchmarks\n\n\
    Written by `cargo xtask bench`; each section says when and where it was measured. A figure is worth \
    something only beside its machine: run it on yours.\n";

impl Report {
    /// The section's text in Markdown.
    pub fn section(&self, date: &str, machine: &str) -> String {
        let mut text = format!("## {}\n\n`{}`, {date}, on {machine}\n\n", self.title, self.command);
        let (aims, peers) =
            (self.rows.iter().any(|row| row.aim.is_some()), self.rows.iter().any(|row| row.peer.is_some()));
        let mut table = |cells: [&str; 4]| {
            let _ = write!(text, "| {} | {} |", cells[0], cells[1]);
            for (cell, shown) in [(cells[2], aims), (cells[3], peers)] {
                if shown {
                    let _ = write!(text, " {cell} |");
                }
            }
            text.push('\n');
        };
        table(["what", "measured", "aim", "peer, same run"]);
        table(["---", "---:", "---:", "---:"]);
        for row in &self.rows {
            let value = format!("{} {}", figure(row.value), row.unit);
            let (aim, peer) = (row.aim.as_deref().unwrap_or(""), row.peer.as_deref().unwrap_or(""));
            table([&row.what, value.trim(), aim, peer]);
        }
        if !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            let _ = writeln!(text, "- {note}");
        }
        text
    }
}

/// A number as people read it: three significant places when small, thousands apart when large.
fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 100.0 || size == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        size if size >= 0.1 => 3,
        _ => 4,
    };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) =
        text.split_once('.').map_or((text.as_str(), None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let fraction = fraction.map(|rest| format!(".{rest}")).unwrap_or_default();
    format!("{sign}{grouped}{fraction}")
}

/// The whole text with one section replaced; all others stay as they were, in the order of `names`.
pub fn replace<const N: usize>(former: &str, names: [&str; N], name: &str, section: &str) -> String {
    let mut text = HEADER.to_owned();
    for other in names {
        let (begin, end) = (format!("<!-- {other} -->"), format!("<!-- end of {other} -->"));
        let kept = former.split_once(&begin).and_then(|(_, rest)| Some(rest.split_once(&end)?.0.trim()));
        let body = if other == name { Some(section.trim()) } else { kept };
        if let Some(body) = body {
            let _ = write!(text, "\n{begin}\n{body}\n{end}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"title":"Remedy","command":"cargo xtask bench remedy","rows":[
        {"what":"p50","value":312.4,"unit":"ms","aim":null,"peer":null},
        {"what":"p99","value":0.8765,"unit":"s","aim":"1 s","peer":null}],"notes":["200 pods"]}"#;

    #[test]
    fn a_section_shows_only_the_columns_that_have_something() {
        let report: Report = serde_json::from_str(JSON).unwrap();
        let text = report.section("2026-01-02", "2 cores");
        assert!(
            text.contains("| what | measured | aim |\n| --- | ---: | ---: |\n| p50 | 312 ms |  |\n"),
            "{text}"
        );
        assert!(
            text.contains("| p99 | 0.876 s | 1 s |") || text.contains("| p99 | 0.877 s | 1 s |"),
            "{text}"
        );
        assert!(text.ends_with("- 200 pods\n"), "{text}");
    }

    #[test]
    fn a_section_that_is_not_run_keeps_its_text() {
        let first = replace("", ["a", "b"], "b", "## B\n\none");
        let second = replace(&first, ["a", "b"], "a", "## A\n\ntwo");
        assert!(second.contains("one") && second.find("two") < second.find("one"), "{second}");
        let third = replace(&second, ["a", "b"], "b", "## B\n\nthree");
        assert!(third.contains("two") && third.contains("three") && !third.contains("one"), "{third}");
        assert_eq!(replace(&third, ["a", "b"], "b", "## B\n\nthree"), third);
    }

    #[test]
    fn figures_are_readable() {
        let shown = [0.0, 0.0123, 0.5, 2.346, 12.25, 999.6, 50_123.4, -1_234_567.0].map(figure);
        assert_eq!(shown, ["0", "0.0123", "0.500", "2.35", "12.2", "1,000", "50,123", "-1,234,567"]);
    }
}
