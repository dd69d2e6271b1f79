//! The view of a backup: what it is of, and how much of what it holds.

use nimbus_backup::Report;

use super::View;
use super::layout::Layout;
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::Tone;

/// What is in a backup, under a line that says what became of it.
pub fn report(view: &View, report: &Report, title: &str) -> String {
    let theme = &view.theme;
    let (head, manifest) = (&report.head, &report.manifest);
    let mut layout = Layout::new(view);
    layout
        .line(&theme.paint(Tone::Good, title))
        .fact("backup", &manifest.id)
        .fact("made at", &head.created_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
        .fact("of", &format!("{}, schema {}, epoch {}", head.database, head.schema, head.epoch))
        .fact("by", &format!("nimbus {}, format {}", head.product, head.format))
        .fact("CA", &head.ca_sha256)
        .fact("size", &super::bytes(report.bytes));
    let columns = |amount: &'static str| {
        vec![Column::new("NAME"), Column::new(amount).right(), Column::new("SHA-256").cut(Cut::End, 16)]
    };
    let mut tables = Table::new(columns("ROWS"));
    for table in &manifest.tables {
        tables.row(vec![Cell::new(&table.name), Cell::new(table.rows.to_string()), Cell::new(&table.sha256)]);
    }
    let mut files = Table::new(columns("BYTES"));
    for file in &manifest.files {
        files.row(vec![Cell::new(&file.name), Cell::new(file.bytes.to_string()), Cell::new(&file.sha256)]);
    }
    for (heading, table) in [("Tables", tables), ("Files", files)] {
        layout.heading(heading);
        for line in table.render(theme, view.width).lines() {
            layout.line(line);
        }
    }
    layout.end()
}

#[cfg(test)]
mod tests {
    use nimbus_backup::{FileSum, Head, Manifest, TableSum};

    use super::*;
    use crate::view::sample::view;

    #[test]
    fn a_backup_fits_into_eighty_columns() {
        let table = |name: &str, rows| TableSum { name: name.to_owned(), rows, sha256: "ab".repeat(32) };
        let head = Head {
            format: 1,
            product: "0.1.0".to_owned(),
            created_at: "2026-11-22T07:30:00.5Z".parse().unwrap(),
            database: "postgresql".to_owned(),
            schema: 4,
            epoch: 17,
            last_position: 9,
            ca_sha256: "cd".repeat(32),
        };
        let manifest = Manifest {
            id: "ef".repeat(32),
            files: vec![FileSum { name: "operator.token".to_owned(), bytes: 48, sha256: "01".repeat(32) }],
            tables: vec![table("revision_histories", 3), table("observations", 1_234_567)],
        };
        let text =
            report(&view(80), &Report { head, manifest, bytes: 45_000_000 }, "The backup was written.");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!("backup", text);
    }
}
