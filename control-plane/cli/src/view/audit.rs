//! The views of the audit log: its newest rows, and whether its hash chain is valid.

use nimbus_api::{AuditRow, AuditVerification, List};

use super::View;
use super::layout::Layout;
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::Tone;

/// The rows.
pub fn list(view: &View, page: &List<AuditRow>) -> String {
    if page.items.is_empty() {
        return view.nothing("No audit rows match.");
    }
    let mut table = Table::new(vec![
        Column::new("ROW").right(),
        Column::new("WHEN"),
        Column::new("WHO").cut(Cut::End, 8),
        Column::new("ACTION"),
        Column::new("WHERE").cut(Cut::End, 8).optional(),
        Column::new("DETAIL").cut(Cut::Path, 28),
        Column::new("ABOUT").cut(Cut::End, 36).optional(),
    ]);
    for row in &page.items {
        table.row(vec![
            Cell::toned(row.seq.to_string(), Tone::Quiet),
            Cell::new(view.clock.moment(row.created_at)),
            Cell::new(&row.actor),
            Cell::new(&row.action),
            Cell::new(&row.cluster),
            Cell::new(&row.detail),
            Cell::toned(&row.subject, Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// Whether every row fits the one before.
pub fn verified(view: &View, result: &AuditVerification) -> String {
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    if result.valid {
        let rows = super::count(result.rows, "row", "rows");
        layout.line(
            &theme.paint(Tone::Good, &format!("The audit chain holds: {rows}, none changed or missing.")),
        );
        layout.fact("head", &result.head);
        layout.fact("checked", &view.clock.full(result.verified_at));
    } else {
        layout.line(&theme.paint(Tone::Bad, "The audit chain is broken."));
        layout.fact("good rows", &result.rows.to_string());
        if let Some(mismatch) = &result.mismatch {
            layout.fact("first bad", &format!("row {}", mismatch.seq));
            layout.fact("expected", &mismatch.expected).fact("found", &mismatch.found);
        }
    }
    layout.end()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::sample::{id, read, view};

    #[test]
    fn rows_and_verdicts() {
        let row = |seq: u64, actor: &str, action: &str, detail: &str| {
            json!({"id": seq.to_string(), "created_at": "2026-11-22T07:58:03Z", "seq": seq, "actor": actor,
                   "action": action, "subject": id("apr", 1), "cluster": "build-host", "detail": detail,
                   "prev": "0".repeat(64), "hash": "a".repeat(64)})
        };
        let page: List<AuditRow> = read(json!({"items": [
            row(12, "operator", "approval.approved", "Put /srv/app/app.conf back to its baseline"),
            row(11, "nimbus", "plan.made", "Put /srv/app/app.conf back to its baseline; waits for a person"),
        ], "next": null}));
        insta::assert_snapshot!("list_80", list(&view(80), &page));
        insta::assert_snapshot!("list_120", list(&view(120), &page));
        let mut verdict = json!({"valid": true, "rows": 12, "head": "ab".repeat(32),
            "verified_at": "2026-11-22T08:00:00Z", "mismatch": null});
        insta::assert_snapshot!("valid", verified(&view(80), &read(verdict.clone())));
        verdict["valid"] = json!(false);
        verdict["mismatch"] = json!({"seq": 7, "expected": "ab".repeat(32), "found": "cd".repeat(32)});
        insta::assert_snapshot!("broken", verified(&view(80), &read(verdict)));
    }
}
