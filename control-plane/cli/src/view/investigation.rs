//! The view of an investigation: what happened around an incident, and how what it is about is now, each with its source.

use nimbus_api::{Investigation, Known};

use super::View;
use super::layout::Layout;
use crate::output::theme::{Tone, readable};

/// The timeline, the oldest first; then the present picture, and what is not known.
pub fn show(view: &View, found: &Investigation) -> String {
    let (incident, theme) = (&found.incident, &view.theme);
    let mut layout = Layout::new(view);
    layout.line(&theme.heading(&incident.title));
    layout.line(&format!(
        "  {} · {} · {}",
        theme.word(&incident.severity),
        theme.word(&incident.state),
        theme.paint(Tone::Quiet, &incident.id)
    ));
    layout.gap();
    layout.fact("where", &incident.cluster).fact("since", &view.clock.full(incident.created_at));
    layout.fact("reason", &incident.reason);
    layout.heading("What happened");
    if found.left_out > 0 {
        layout.item("-", &format!("{} older lines are left out", found.left_out));
    }
    for known in &found.timeline {
        let at = known.at.map_or_else(|| "at an unknown time".to_owned(), |at| view.clock.full(at));
        layout.event(&at, &said(known));
    }
    if !found.now.is_empty() {
        layout.heading("Now");
        for known in &found.now {
            layout.item("-", &said(known));
        }
    }
    if !found.unknown.is_empty() {
        layout.heading("Not known");
        for why in &found.unknown {
            layout.item("-", why);
        }
    }
    layout.end()
}

/// What is known, of what, and from where.
fn said(known: &Known) -> String {
    let source = readable(&known.source);
    // The incident's own id is above.
    if known.source == "incident" {
        known.text.clone()
    } else {
        format!("{}: {} [{source}]", known.of, known.text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::incidents::tests::rollout;
    use crate::view::sample::{id, read, view};

    #[test]
    fn shown() {
        let known = |at: Option<&str>, source: &str, of: &str, text: &str| json!({"at": at, "source": source, "of": of, "text": text});
        let found = json!({
            "incident": rollout(),
            "timeline": [
                known(Some("2026-11-22T07:50:00Z"), "managed_fields", "shop/configmap/web-env",
                      "its content was last written by kubectl-edit; pods of it refer to it"),
                known(Some("2026-11-22T07:57:00Z"), "incident", &id("inc", 1), "Deployment shop/web: revision 4 is stuck"),
                known(Some("2026-11-22T07:58:00Z"), "job", &id("job", 1), "restart_pod on shop/pod/web-4-x ended as failed: still crashing"),
            ],
            "left_out": 3,
            "now": [known(None, "status", "shop/deployment/web", "3 pods wanted, 1 of the newest revision (4), 2 ready, 2 available")],
            "unknown": ["logs of containers are not collected"],
        });
        insta::assert_snapshot!(show(&view(80), &read(found)));
    }
}
