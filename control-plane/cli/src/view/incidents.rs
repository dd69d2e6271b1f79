//! The views of incidents: the list, and one incident with its plan, approval, job and history.

use nimbus_api::{Incident, IncidentDetail, List};

use super::layout::Layout;
use super::{View, count, plan};
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::{Tone, readable};

/// Most symptoms named one by one.
const MAX_SYMPTOMS: usize = 10;

/// The list.
pub fn list(view: &View, page: &List<Incident>) -> String {
    if page.items.is_empty() {
        return view.nothing("No incidents: nothing that Nimbus watches is known to be wrong.");
    }
    let mut table = Table::new(vec![
        Column::new("ID"),
        Column::new("SEVERITY"),
        Column::new("STATE"),
        Column::new("WHERE").cut(Cut::End, 8).optional(),
        Column::new("WHAT").cut(Cut::Path, 36),
        Column::new("AGE").right(),
        Column::new("REASON").cut(Cut::Path, 16).optional(),
    ]);
    let ids = view.ids(&page.items.iter().map(|i| i.id.as_str()).collect::<Vec<_>>());
    for (id, incident) in ids.into_iter().zip(&page.items) {
        table.row(vec![
            id.into(),
            Cell::word(&incident.severity),
            Cell::word(&incident.state),
            Cell::new(&incident.cluster),
            Cell::new(&incident.title),
            Cell::toned(view.clock.age(incident.created_at), Tone::Quiet),
            Cell::toned(&incident.reason, Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// One incident: what, why, evidence, the plan with what was considered, what to type, history.
pub fn show(view: &View, detail: &IncidentDetail) -> String {
    let incident = &detail.incident;
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    layout.line(&theme.heading(&incident.title));
    layout.line(&format!(
        "  {} · {} · {}",
        theme.word(&incident.severity),
        theme.word(&incident.state),
        theme.paint(Tone::Quiet, &incident.id)
    ));
    layout.gap();
    layout.fact("where", &incident.cluster).fact("kind", &readable(&incident.kind));
    layout.fact("object", &incident.object.to_string());
    layout.fact("owner", &incident.owner.as_ref().map(ToString::to_string).unwrap_or_default());
    layout.fact("since", &since(view, incident));
    layout.fact("reason", &incident.reason);
    if incident.attempts > 0 {
        layout.fact("attempts", &count(incident.attempts, "remedy took effect", "remedies took effect"));
    }
    if let Some(next) = incident.next_attempt_at.filter(|&at| at > view.clock.now) {
        layout
            .fact("next", &format!("not before {} (in {})", view.clock.moment(next), view.clock.until(next)));
    }
    if let Some(until) = incident.silenced_until.filter(|_| incident.state == "silenced") {
        layout.fact("silenced", &format!("until {}", view.clock.moment(until)));
    }
    if !detail.evidence.is_empty() {
        layout.heading("Evidence");
        for line in &detail.evidence {
            layout.item("-", line);
        }
    }
    symptoms(&mut layout, detail);
    if let Some(plan) = &detail.plan {
        plan::add(&mut layout, view, plan);
    }
    if let Some(approval) = detail.approval.as_ref().filter(|approval| approval.state == "pending") {
        let left = view.clock.until(approval.expires_at);
        layout.heading(&format!("Waiting for approval (expires in {left})"));
        layout.command(&format!("nimbus approve {}", approval.id));
        layout.command(&format!("nimbus deny {} --reason TEXT", approval.id));
    }
    if let Some(job) = &detail.job {
        layout.heading("Job");
        layout.line(&format!("  {} · {}", theme.word(&job.state), theme.paint(Tone::Quiet, &job.id)));
        layout.fact("reason", &job.reason);
    }
    layout.heading("History");
    for entry in &detail.history {
        layout.event(&view.clock.moment(entry.at), &entry.text);
    }
    layout.end()
}

fn since(view: &View, incident: &Incident) -> String {
    let clock = &view.clock;
    let begin = format!("{} ({} ago)", clock.full(incident.created_at), clock.age(incident.created_at));
    match incident.resolved_at {
        Some(end) => {
            let lasted = crate::output::time::span(end.duration_since(incident.created_at));
            format!("{begin}, resolved {} after {lasted}", clock.moment(end))
        }
        None => begin,
    }
}

fn symptoms(layout: &mut Layout<'_>, detail: &IncidentDetail) {
    if detail.symptoms.is_empty() {
        return;
    }
    layout.heading("Explained by this cause");
    for object in detail.symptoms.iter().take(MAX_SYMPTOMS) {
        layout.item("-", &object.to_string());
    }
    if detail.symptoms.len() > MAX_SYMPTOMS {
        layout.item("-", &format!("and {} more", detail.symptoms.len() - MAX_SYMPTOMS));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{id, read, view};

    pub(crate) fn rollout() -> Value {
        json!({
            "id": id("inc", 1), "created_at": "2026-11-22T07:57:00Z", "updated_at": "2026-11-22T07:58:00Z",
            "resolved_at": null, "cluster": "kind-dev", "cluster_uid": "u1", "agent_id": null,
            "kind": "rollout_stuck", "severity": "critical", "state": "waiting_approval",
            "object": {"kind": "Deployment", "namespace": "shop", "name": "web", "uid": "d1"}, "owner": null,
            "title": "Deployment shop/web: revision 4 is stuck",
            "reason": "a rollback to revision 3 waits for approval", "attempts": 0, "next_attempt_at": null,
            "silenced_until": null, "plan_id": id("pln", 1), "approval_id": id("apr", 1), "job_id": null
        })
    }

    pub(crate) fn file() -> Value {
        json!({
            "id": id("inc", 2), "created_at": "2026-11-22T07:59:10Z", "updated_at": "2026-11-22T07:59:10Z",
            "resolved_at": null, "cluster": "build-host", "cluster_uid": null, "agent_id": id("agt", 1),
            "kind": "file_drift", "severity": "warning", "state": "open",
            "object": {"kind": "File", "namespace": "", "name": "/srv/app/app.conf", "uid": ""}, "owner": null,
            "title": "/srv/app/app.conf was modified", "reason": "", "attempts": 0, "next_attempt_at": null,
            "silenced_until": null, "plan_id": null, "approval_id": null, "job_id": null
        })
    }

    pub(crate) fn plan() -> Value {
        json!({
            "id": id("pln", 1), "created_at": "2026-11-22T07:57:10Z", "incident_id": id("inc", 1),
            "cluster_uid": "u1", "agent_id": null, "kind": "rollback_deployment",
            "object": {"kind": "Deployment", "namespace": "shop", "name": "web", "uid": "d1"}, "owner": null,
            "requested_by": "nimbus", "needs_approval": true, "summary": "Roll shop/web back to revision 3",
            "changes": ["-image: web:1.5", "+image: web:1.4"],
            "outlook": {
                "if_it_fails": "where revision 3 does not become available either, a person is asked before the next try",
                "undo": "person", "undo_how": "kubectl -n shop rollout undo deployment/web --to-revision=4"
            },
            "rationale": "revision 3 was fully available for two days before this change",
            "considered": [
                {"what": "rollback_deployment", "chosen": true, "why": "revision 3 is known to be good"},
                {"what": "restart_pod", "chosen": false, "why": "every pod of the revision fails alike"}
            ],
            "evidence": [], "action": {"action": "rollback_deployment"}, "digest": "9f2c".repeat(16)
        })
    }

    pub(crate) fn approval() -> Value {
        json!({
            "id": id("apr", 1), "created_at": "2026-11-22T07:57:10Z", "expires_at": "2026-11-23T07:57:10Z",
            "cluster": "kind-dev", "kind": "rollback_deployment", "severity": "critical", "state": "pending",
            "object": {"kind": "Deployment", "namespace": "shop", "name": "web", "uid": "d1"}, "reason": "",
            "summary": "Roll shop/web back to revision 3", "incident_id": id("inc", 1), "plan_id": id("pln", 1),
            "plan_digest": "9f2c".repeat(16), "requested_by": "nimbus", "decided_by": null, "decided_at": null,
            "used_by": null
        })
    }

    #[test]
    fn the_list_fits_and_says_so_when_all_is_well() {
        let page: List<Incident> = read(json!({"items": [rollout(), file()], "next": null}));
        insta::assert_snapshot!("list_80", list(&view(80), &page));
        insta::assert_snapshot!("list_120", list(&view(120), &page));
        assert!(list(&view(80), &List::whole(Vec::new())).starts_with("No incidents"));
    }

    #[test]
    fn one_incident_reads_in_order_with_the_command_to_type() {
        let mut detail = rollout();
        detail["evidence"] =
            json!(["Progressing=False, ProgressDeadlineExceeded", "0 of 3 new pods are ready"]);
        detail["symptoms"] =
            json!([{"kind": "Pod", "namespace": "shop", "name": "web-7c9d-x2x8q", "uid": "p"}]);
        detail["history"] = json!([
            {"at": "2026-11-22T07:57:00Z", "text": "found: past its progress deadline of 600 s"},
            {"at": "2026-11-22T07:57:10Z", "text": "planned: roll back to revision 3; asked for approval"}
        ]);
        detail["plan"] = plan();
        detail["approval"] = approval();
        detail["job"] = Value::Null;
        insta::assert_snapshot!(show(&view(80), &read(detail)));
    }
}
