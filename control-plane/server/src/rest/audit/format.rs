//! Encodes audit rows as JSON, JSON lines, CSV and CEF, escaped so that a value is never read as syntax.

use nimbus_api::AuditRow;
use nimbus_api::text::{escaped, escaped_json, is_unsafe};

nimbus_protocol::words! {
    /// How rows are written.
    Format {
        /// One JSON document: `{"items": [...]}`.
        Json = "json",
        /// One JSON object a line.
        JsonLines = "jsonl",
        /// RFC 4180 with a header line.
        Csv = "csv",
        /// ArcSight Common Event Format, one event a line.
        Cef = "cef",
    }
}

impl Format {
    /// Media type and file name.
    pub fn media(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application/json", "nimbus-audit.json"),
            Self::JsonLines => ("application/x-ndjson", "nimbus-audit.jsonl"),
            Self::Csv => ("text/csv; charset=utf-8; header=present", "nimbus-audit.csv"),
            Self::Cef => ("text/plain; charset=utf-8", "nimbus-audit.cef"),
        }
    }

    /// What comes before the first row.
    pub fn begin(self) -> &'static str {
        match self {
            Self::Json => "{\"items\":[",
            Self::Csv => "seq,created_at,actor,action,subject,cluster,detail,prev,hash\r\n",
            Self::JsonLines | Self::Cef => "",
        }
    }

    /// What comes after the last row.
    pub fn end(self) -> &'static str {
        if self == Self::Json { "\n]}\n" } else { "" }
    }

    /// Appends one row; `first` is the first of the whole export.
    pub fn row(self, out: &mut String, row: &AuditRow, first: bool) -> serde_json::Result<()> {
        match self {
            Self::Json => {
                out.push_str(if first { "\n" } else { ",\n" });
                out.push_str(&escaped_json(&serde_json::to_string(row)?));
            }
            Self::JsonLines => {
                out.push_str(&escaped_json(&serde_json::to_string(row)?));
                out.push('\n');
            }
            Self::Csv => csv(out, row),
            Self::Cef => cef(out, row),
        }
        Ok(())
    }
}

fn csv(out: &mut String, row: &AuditRow) {
    let (seq, at) = (row.seq.to_string(), row.created_at.to_string());
    let cells =
        [&seq, &at, &row.actor, &row.action, &row.subject, &row.cluster, &row.detail, &row.prev, &row.hash];
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        csv_cell(out, cell);
    }
    out.push_str("\r\n");
}

/// A cell. One that a spreadsheet would take for a formula gets a leading apostrophe, so that it stays text; what a terminal
/// would obey or not show is escaped as in JSON.
fn csv_cell(out: &mut String, cell: &str) {
    let cell = escaped(cell);
    // Also behind blanks, which some spreadsheets drop, and in their wide forms, which some take for the same.
    let begins = cell.trim_start().chars().next();
    let formula = begins.is_some_and(|c| "=+-@\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}".contains(c))
        || cell.starts_with("\\t")
        || cell.starts_with("\\r")
        || cell.starts_with("\\n");
    // Some take a semicolon for the end of a cell.
    let quoted = formula || cell.contains([',', ';', '"']);
    if quoted {
        out.push('"');
    }
    if formula {
        out.push('\'');
    }
    if quoted {
        out.push_str(&cell.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(&cell);
    }
}

fn cef(out: &mut String, row: &AuditRow) {
    let header = |text: &str| one_line(text).replace('\\', "\\\\").replace('|', "\\|");
    out.push_str("CEF:0|Nimbus|Control Plane|");
    out.push_str(env!("CARGO_PKG_VERSION"));
    for field in [&header(&row.action), &header(&row.action), severity(&row.action)] {
        out.push('|');
        out.push_str(field);
    }
    out.push('|');
    let millis = row.created_at.as_millisecond().to_string();
    let seq = row.seq.to_string();
    let pairs: [(&str, &str); 12] = [
        ("rt", &millis),
        ("externalId", &seq),
        ("suser", &row.actor),
        ("msg", &row.detail),
        ("cs1Label", "subject"),
        ("cs1", &row.subject),
        ("cs2Label", "cluster"),
        ("cs2", &row.cluster),
        ("cs3Label", "hash"),
        ("cs3", &row.hash),
        ("cs4Label", "previousHash"),
        ("cs4", &row.prev),
    ];
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        out.push_str(key);
        out.push('=');
        out.push_str(&cef_value(value));
    }
    out.push('\n');
}

/// In a CEF extension backslash and equals sign are escaped; line ends are written as `\n` and `\r`, and what else a
/// terminal would obey or not show as in JSON.
fn cef_value(value: &str) -> String {
    escaped(&value.replace('\\', "\\\\").replace('=', "\\="))
}

/// A CEF header has no way to write a line end or any other control character.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) { ' ' } else { c }).collect()
}

/// CEF's scale of 0 to 10: what was refused or failed is worth a look.
fn severity(action: &str) -> &'static str {
    let bad = ["refused", "failed", "denied", "revoked", "broken", "unknown", "rejected", "escalated"];
    if bad.iter().any(|word| action.contains(word)) { "6" } else { "3" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(detail: &str) -> AuditRow {
        AuditRow {
            id: "7".into(),
            created_at: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
            seq: 7,
            actor: "operator".into(),
            action: "approval.denied".into(),
            subject: "apr_1".into(),
            cluster: "prod|eu".into(),
            detail: detail.into(),
            prev: "00".into(),
            hash: "ab".into(),
        }
    }

    fn written(format: Format, detail: &str) -> String {
        let mut out = String::new();
        format.row(&mut out, &row(detail), true).unwrap();
        out
    }

    #[test]
    fn a_formula_in_a_cell_stays_text_and_quotes_are_doubled() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\u{ff1d}1+1"] {
            let line = written(Format::Csv, formula);
            assert!(line.contains(&format!(",\"'{formula}\",")), "{line}");
        }
        for (cell, shown) in [("\t=1", "'\\t=1"), ("\r=1", "'\\r=1"), ("a;=1", "a;=1")] {
            let line = written(Format::Csv, cell);
            assert!(line.contains(&format!(",\"{shown}\",")), "{line}");
        }
        assert_eq!(
            written(Format::Csv, "said \"no\", twice\nreally"),
            "7,2023-11-14T22:13:20Z,operator,approval.denied,apr_1,prod|eu,\"said \"\"no\"\", twice\\nreally\",00,ab\r\n"
        );
        let columns = Format::Csv.begin().trim_end().split(',').count();
        assert_eq!(columns, written(Format::Csv, "x").split(',').count());
    }

    #[test]
    fn a_value_cannot_add_a_field_or_a_line_to_a_cef_event() {
        let line = written(Format::Cef, "a=b \\ c\nCEF:0|x");
        assert!(line.contains(r"msg=a\=b \\ c\nCEF:0|x cs1Label=subject"), "{line}");
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.starts_with("CEF:0|Nimbus|Control Plane|"));
        assert!(line.contains("|approval.denied|approval.denied|6|rt=1700000000000 externalId=7 "), "{line}");
        let mut odd = row("x");
        odd.action = "a|b\\c\nd".into();
        let mut out = String::new();
        Format::Cef.row(&mut out, &odd, true).unwrap();
        assert!(out.contains(r"|a\|b\\c d|a\|b\\c d|3|"), "{out}");
    }

    #[test]
    fn no_control_character_is_in_any_export() {
        let detail = "a\u{1b}[2J\u{7}\u{0}\u{7f}\u{9b}31m\u{202e}b\u{200b}c\r\nd\te";
        for format in Format::ALL {
            let line = written(*format, detail);
            let inside = line.trim_end_matches(['\r', '\n']).trim_start_matches('\n');
            assert!(!inside.contains(is_unsafe), "{format:?}: {inside:?}");
        }
        let line = written(Format::JsonLines, detail);
        assert_eq!(serde_json::from_str::<AuditRow>(&line).unwrap().detail, detail, "the same text");
    }

    #[test]
    fn a_json_export_is_one_document_also_when_it_is_empty() {
        for rows in 0..3 {
            let mut out = Format::Json.begin().to_owned();
            for n in 0..rows {
                Format::Json.row(&mut out, &row("x"), n == 0).unwrap();
            }
            out.push_str(Format::Json.end());
            let document: nimbus_api::AuditDocument = serde_json::from_str(&out).unwrap();
            assert_eq!(document.items.len(), rows);
        }
        let line = written(Format::JsonLines, "a\nb");
        assert_eq!(serde_json::from_str::<AuditRow>(&line).unwrap(), row("a\nb"));
        assert_eq!(line.matches('\n').count(), 1);
    }
}
