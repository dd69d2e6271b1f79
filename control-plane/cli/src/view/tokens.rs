//! The views of join tokens that were made: the list, and one of them. What a new one looks like is with the agents.

use nimbus_api::{JoinTokenItem, List};

use super::View;
use super::layout::Layout;
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::Tone;

/// The list.
pub fn list(view: &View, page: &List<JoinTokenItem>) -> String {
    if page.items.is_empty() {
        return view.nothing(if page.next.is_some() {
            "None of those that were looked at; there are more of them."
        } else {
            "No join tokens to show: `nimbus agents token create --name NAME` makes one."
        });
    }
    let mut table = Table::new(vec![
        Column::new("ID"),
        Column::new("NAME").cut(Cut::End, 12),
        Column::new("STATE"),
        Column::new("USES").right(),
        Column::new("EXPIRES").right(),
        Column::new("CLUSTER").cut(Cut::End, 8).optional(),
        Column::new("AGE").right().optional(),
        Column::new("KIND").optional(),
        Column::new("BY").cut(Cut::End, 8).optional(),
    ]);
    let ids = view.ids(&page.items.iter().map(|i| i.id.as_str()).collect::<Vec<_>>());
    for (id, token) in ids.into_iter().zip(&page.items) {
        table.row(vec![
            id.into(),
            Cell::new(&token.name),
            Cell::word(&token.state),
            Cell::new(format!("{} of {}", token.used, token.uses)),
            Cell::new(expires(view, token)),
            Cell::new(token.cluster.as_deref().unwrap_or("-")),
            Cell::toned(view.clock.age(token.created_at), Tone::Quiet),
            Cell::new(&token.kind),
            Cell::new(&token.created_by),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// One token.
pub fn show(view: &View, token: &JoinTokenItem) -> String {
    let mut layout = Layout::new(view);
    layout.line(&view.theme.heading(&format!("Join token for {} ({})", token.name, token.kind)));
    layout.line(&format!(
        "  {} · {}",
        view.theme.word(&token.state),
        view.theme.paint(Tone::Quiet, &token.id)
    ));
    layout.gap();
    layout.fact("reason", &token.reason).fact("uses", &format!("{} of {}", token.used, token.uses));
    layout.fact("expires", &format!("{} ({})", view.clock.full(token.expires_at), expires(view, token)));
    layout.fact("made", &format!("{} by {}", view.clock.full(token.created_at), token.created_by));
    if let Some(cluster) = &token.cluster {
        layout.fact("speaks for", &format!("cluster {cluster} alone"));
    }
    layout.end()
}

/// `in 15m`, or `3d ago`.
fn expires(view: &View, token: &JoinTokenItem) -> String {
    if token.expires_at > view.clock.now {
        format!("in {}", view.clock.until(token.expires_at))
    } else {
        format!("{} ago", view.clock.age(token.expires_at))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::view::sample::{id, read, view};

    fn token(number: u32, name: &str, state: &str) -> Value {
        json!({
            "id": id("tok", number), "created_at": "2026-11-22T07:57:00Z", "created_by": "operator", "name": name,
            "kind": "cluster", "state": state, "reason": "", "cluster": "prod", "cluster_uid": "u1", "uses": 10_000,
            "used": 9_999, "expires_at": "2026-11-28T08:00:00Z", "revoked_at": null
        })
    }

    #[test]
    fn tokens_read_well_at_two_widths() {
        let mut host = token(2, "edge-1", "expired");
        (host["kind"], host["cluster"], host["cluster_uid"]) = (json!("host"), Value::Null, Value::Null);
        (host["uses"], host["used"], host["expires_at"]) =
            (json!(1), json!(0), json!("2026-11-22T07:30:00Z"));
        let long = token(3, "a-name-that-is-longer-than-any-column-should-be", "revoked");
        let items = [token(1, "prod-nodes", "usable"), host, long, token(4, "standby", "used")];
        let page: List<JoinTokenItem> = read(json!({"items": items, "next": null}));
        for width in [80, 120] {
            let shown = list(&view(width), &page);
            assert!(shown.lines().all(|line| line.width() <= width), "{shown}");
            assert!(shown.contains("9999 of 10000") && shown.contains("30m ago"), "{shown}");
        }
        insta::assert_snapshot!("list_80", list(&view(80), &page));
        insta::assert_snapshot!("list_120", list(&view(120), &page));
        let none = list(&view(80), &List::whole(Vec::new()));
        assert!(none.contains("nimbus agents token create"), "{none}");
    }

    #[test]
    fn one_token_says_why_it_cannot_be_used() {
        let mut revoked = token(1, "prod-nodes", "revoked");
        revoked["reason"] = json!("revoked at 2026-11-22T07:59:00Z");
        revoked["revoked_at"] = json!("2026-11-22T07:59:00Z");
        insta::assert_snapshot!("show", show(&view(80), &read(revoked)));
    }
}
