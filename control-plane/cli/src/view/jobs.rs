//! The views of jobs: the list, and one signed job with how it ended.

use nimbus_api::{Job, JobDetail, List};

use super::View;
use super::layout::Layout;
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::{Tone, readable};

/// The list.
pub fn list(view: &View, page: &List<Job>) -> String {
    if page.items.is_empty() {
        return view.nothing("No jobs: nothing was carried out yet.");
    }
    let mut table = Table::new(vec![
        Column::new("ID"),
        Column::new("STATE"),
        Column::new("REMEDY").optional(),
        Column::new("WHERE").cut(Cut::End, 8).optional(),
        Column::new("OBJECT").cut(Cut::Start, 20),
        Column::new("AGE").right(),
        Column::new("TOOK").right(),
        Column::new("REASON").cut(Cut::End, 16).optional(),
    ]);
    let ids = view.ids(&page.items.iter().map(|i| i.id.as_str()).collect::<Vec<_>>());
    for (id, job) in ids.into_iter().zip(&page.items) {
        table.row(vec![
            id.into(),
            Cell::word(&job.state),
            Cell::new(readable(&job.kind)),
            Cell::new(&job.cluster),
            Cell::new(job.object.to_string()),
            Cell::toned(view.clock.age(job.created_at), Tone::Quiet),
            Cell::new(took(job)),
            Cell::toned(&job.reason, Tone::Quiet),
        ]);
    }
    table.render(&view.theme, view.width)
}

/// One job, step by step.
pub fn show(view: &View, detail: &JobDetail) -> String {
    let job = &detail.job;
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    layout.line(&theme.heading(&format!("{}: {}", readable(&job.kind), job.object)));
    layout.line(&format!("  {} · {}", theme.word(&job.state), theme.paint(Tone::Quiet, &job.id)));
    layout.gap();
    layout.fact("where", &job.cluster).fact("agent", &job.agent_id).fact("reason", &job.reason);
    layout.fact("incident", &job.incident_id).fact("plan", &job.plan_id);
    layout.fact("digest", &job.plan_digest);
    layout.fact("approval", job.approval_id.as_deref().unwrap_or("none needed: an automatic remedy"));
    let verify = crate::output::time::span(jiff::SignedDuration::from_millis(job.verify_ms.into()));
    let at_most = crate::output::time::span(jiff::SignedDuration::from_millis(job.verify_timeout_ms.into()));
    layout.fact("verified", &format!("the result must hold for {verify}, and be there within {at_most}"));
    layout.heading("Steps");
    let steps = [
        (Some(job.created_at), "signed"),
        (job.dispatched_at, "sent to the agent"),
        (job.applied_at, "the change was made"),
        (job.finished_at, "finished"),
    ];
    for (at, what) in steps {
        if let Some(at) = at {
            layout.event(&view.clock.moment(at), what);
        }
    }
    if !job.evidence.is_empty() {
        layout.heading("What the agent saw");
        for line in &job.evidence {
            layout.item("-", line);
        }
    }
    layout.end()
}

/// From signed to final; a dash while it runs.
fn took(job: &Job) -> String {
    let Some(end) = job.finished_at else { return "-".to_owned() };
    let lasted = end.duration_since(job.created_at);
    let tenths = lasted.as_millis().max(0) / 100;
    if tenths < 100 { format!("{}.{}s", tenths / 10, tenths % 10) } else { crate::output::time::span(lasted) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::sample::{id, read, view};

    fn job(number: u32, state: &str) -> Value {
        json!({
            "id": id("job", number), "created_at": "2026-11-22T07:58:00Z", "cluster": "build-host",
            "cluster_uid": null, "kind": "restore_file", "state": state,
            "object": {"kind": "File", "namespace": "", "name": "/srv/app/app.conf", "uid": ""}, "owner": null,
            "reason": "", "evidence": [], "agent_id": id("agt", 1), "incident_id": id("inc", 2),
            "plan_id": id("pln", 2), "plan_digest": "11ab".repeat(16), "approval_id": id("apr", 2),
            "expires_at": "2026-11-22T07:59:00Z", "dispatched_at": "2026-11-22T07:58:00Z", "applied_at": null,
            "finished_at": null, "verify_ms": 30000, "verify_timeout_ms": 180_000, "replacement_uid": null,
        })
    }

    #[test]
    fn the_list_and_the_steps() {
        let mut done = job(1, "succeeded");
        done["applied_at"] = json!("2026-11-22T07:58:01Z");
        done["finished_at"] = json!("2026-11-22T07:58:02.300Z");
        done["evidence"] = json!(["content, mode and owner are the baseline's"]);
        let mut refused = job(2, "refused");
        refused["reason"] = json!("precondition_failed: the file changed since the plan was made");
        refused["finished_at"] = json!("2026-11-22T07:58:00.200Z");
        let page: List<Job> =
            read(json!({"items": [job(3, "running"), refused, done.clone()], "next": null}));
        insta::assert_snapshot!("list_80", list(&view(80), &page));
        insta::assert_snapshot!("list_120", list(&view(120), &page));
        done["envelope"] = json!("AAAA");
        insta::assert_snapshot!("show", show(&view(80), &read(done)));
    }
}
