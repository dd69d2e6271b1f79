//! The views of approvals: the list, and one approval with exactly what the operator is asked to approve.

use nimbus_api::{Approval, ApprovalDetail, List};

use super::layout::Layout;
use super::{View, plan};
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::{Tone, readable};

/// The list; `nothing` is said where it is empty.
pub fn list(view: &View, page: &List<Approval>, nothing: &str) -> String {
    if page.items.is_empty() {
        return view.nothing(nothing);
    }
    let mut table = Table::new(vec![
        Column::new("ID"),
        Column::new("STATE"),
        Column::new("SEVERITY").optional(),
        Column::new("WHERE").cut(Cut::End, 8).optional(),
        Column::new("WHAT WILL CHANGE").cut(Cut::Path, 36),
        Column::new("AGE").right(),
        Column::new("EXPIRES").right(),
    ]);
    let ids = view.ids(&page.items.iter().map(|i| i.id.as_str()).collect::<Vec<_>>());
    for (id, approval) in ids.into_iter().zip(&page.items) {
        let pending = approval.state == "pending";
        let expires =
            if pending { format!("in {}", view.clock.until(approval.expires_at)) } else { "-".to_owned() };
        table.row(vec![
            id.into(),
            Cell::word(&approval.state),
            Cell::word(&approval.severity),
            Cell::new(&approval.cluster),
            Cell::new(&approval.summary),
            Cell::toned(view.clock.age(approval.created_at), Tone::Quiet),
            Cell::toned(expires, Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// What is asked, with everything a person needs to answer.
pub fn show(view: &View, detail: &ApprovalDetail) -> String {
    let (approval, incident) = (&detail.approval, &detail.incident);
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    layout.line(&theme.heading(&approval.summary));
    layout.line(&format!(
        "  {} · {} · {}",
        theme.word(&approval.severity),
        theme.word(&approval.state),
        theme.paint(Tone::Quiet, &approval.id)
    ));
    layout.gap();
    layout.fact("where", &approval.cluster).fact("remedy", &readable(&approval.kind));
    layout.fact("object", &approval.object.to_string());
    layout.fact("because", &incident.title);
    layout.fact("incident", &approval.incident_id);
    layout
        .fact("asked by", &format!("{}, {} ago", approval.requested_by, view.clock.age(approval.created_at)));
    match (&approval.decided_by, approval.decided_at) {
        (Some(by), Some(at)) => {
            layout
                .fact("answered", &format!("{} by {by}, {}", readable(&approval.state), view.clock.full(at)));
        }
        _ if approval.state == "pending" => {
            layout.fact("expires", &format!("in {}", view.clock.until(approval.expires_at)));
        }
        _ => {}
    }
    if approval.state == "pending" || (approval.state == "approved" && approval.used_by.is_none()) {
        layout.fact("now", &incident.reason);
    }
    add_words(&mut layout, view, approval);
    layout.fact("reason", &approval.reason);
    layout.fact("job", approval.used_by.as_deref().unwrap_or_default());
    plan::add(&mut layout, view, &detail.plan);
    layout.end()
}

/// Who has to give their word, who did, and what became of one that was given alone.
fn add_words(layout: &mut Layout<'_>, view: &View, approval: &Approval) {
    layout.fact("needs", &approval.still_needed);
    for word in &approval.given {
        let groups = if word.groups.is_empty() { "no group".to_owned() } else { word.groups.join(", ") };
        layout.fact("approved", &format!("by {} ({groups}), {}", word.by, view.clock.full(word.at)));
    }
    let Some(broken) = &approval.broken_glass else { return };
    layout.fact(
        "alone",
        &format!(
            "{} broke the glass, {}{}: {}",
            broken.by,
            view.clock.full(broken.at),
            if broken.past.is_empty() { String::new() } else { format!(", past {}", broken.past.join(", ")) },
            broken.reason
        ),
    );
    let owed = || format!("owed, by another person: nimbus approvals review {} --note TEXT", approval.id);
    let review = broken.review.as_ref();
    let review = review.map(|it| format!("by {}, {}: {}", it.by, view.clock.full(it.at), it.note));
    layout.fact("review", &review.unwrap_or_else(owed));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::incidents::tests::{approval, plan, rollout};
    use crate::view::sample::{id, read, view};

    fn answered() -> Value {
        let mut denied = approval();
        denied["id"] = json!(id("apr", 2));
        denied["state"] = json!("denied");
        denied["summary"] = json!("Put /srv/app/app.conf back to its baseline");
        denied["reason"] = json!("the change is wanted");
        denied["decided_by"] = json!("operator");
        denied["decided_at"] = json!("2026-11-22T07:59:00Z");
        denied
    }

    #[test]
    fn the_list_fits() {
        let page: List<Approval> = read(json!({"items": [approval(), answered()], "next": null}));
        insta::assert_snapshot!("list_80", list(&view(80), &page, ""));
        insta::assert_snapshot!("list_120", list(&view(120), &page, ""));
    }

    #[test]
    fn what_will_change_is_shown_before_asking() {
        let mut pending = approval();
        (pending["plan"], pending["incident"]) = (plan(), rollout());
        insta::assert_snapshot!("show_pending", show(&view(80), &read(pending)));
        let mut several = approval();
        (several["plan"], several["incident"]) = (plan(), rollout());
        several["needs"] = json!([["oncall"], ["payments", "platform"]]);
        several["given"] = json!([{"by": "ann", "groups": ["oncall"], "at": "2026-11-22T07:59:00Z", "reason": "it is down"}]);
        several["still_needed"] = json!("one of payments or platform");
        let text = show(&view(80), &read(several.clone()));
        assert!(text.contains("one of payments or platform") && text.contains("by ann (oncall)"), "{text}");
        several["broken_glass"] =
            json!({"by": "eve", "at": "2026-11-22T07:59:00Z", "reason": "nobody answers", "review": null});
        let text = show(&view(80), &read(several));
        assert!(text.contains("eve broke the glass") && text.contains("owed, by another person"), "{text}");
        let mut denied = answered();
        (denied["plan"], denied["incident"]) = (plan(), rollout());
        let text = show(&view(80), &read(denied));
        assert!(text.contains("denied by operator, 2026-11-22 07:59:00 UTC"), "{text}");
    }
}
