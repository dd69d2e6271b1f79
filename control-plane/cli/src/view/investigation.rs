//! The view of an investigation: what happened around an incident, and how what it is about is now, each with its source.

use std::borrow::Cow;

use nimbus_api::{Investigation, Known};

use super::View;
use super::layout::Layout;
use crate::output::plain;
use crate::output::theme::{Tone, readable};

/// The timeline, the oldest first; then the present picture, and what is not known.
pub fn show(view: &View, found: &Investigation) -> String {
    let (incident, theme) = (&found.incident, &view.theme);
    let mut layout = Layout::new(view);
    layout.hanging("", 0, Tone::Strong, &plain(&incident.title));
    layout.line(&format!(
        "  {} · {} · {}",
        theme.word(&incident.severity),
        theme.word(&incident.state),
        theme.paint(Tone::Quiet, &incident.id)
    ));
    layout.gap();
    layout.fact("where", &plain(&incident.cluster)).fact("since", &view.clock.full(incident.created_at));
    layout.fact("reason", &plain(&incident.reason));
    layout.heading("What happened");
    for known in &found.timeline {
        let at = known.at.map_or_else(|| "at an unknown time".to_owned(), |at| view.clock.full(at));
        layout.event(&at, &said(known));
    }
    if found.left_out > 0 {
        layout
            .item("-", &format!("{} more are left out: which, is said under \"Not known\"", found.left_out));
    }
    if !found.now.is_empty() {
        let as_of = found.as_of.map_or_else(
            || "As seen last (when, is unknown)".to_owned(),
            |at| format!("As seen last at {}", view.clock.full(at)),
        );
        layout.heading(&as_of);
        for known in &found.now {
            layout.item("-", &said(known));
        }
    }
    if !found.unknown.is_empty() {
        layout.heading("Not known");
        for why in &found.unknown {
            layout.item("-", &plain(why));
        }
    }
    layout.end()
}

/// What is known, of what, and from where, on one line: what a cluster says may hold line breaks, and must not look like lines of its own.
fn said(known: &Known) -> Cow<'_, str> {
    // The incident's own id is above.
    if known.source == "incident" {
        return plain(&known.text);
    }
    let text = format!("{}: {} [{}]", known.of, known.text, readable(&known.source));
    Cow::Owned(plain(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::incidents::tests::rollout;
    use crate::view::sample::{id, read, view};

    fn known(at: Option<&str>, source: &str, of: &str, text: &str) -> Value {
        json!({"at": at, "source": source, "of": of, "text": text})
    }

    fn sample() -> Value {
        json!({
            "incident": rollout(),
            "timeline": [
                known(Some("2026-11-22T07:50:00Z"), "managed_fields", "shop/configmap/web-env",
                      "a client that calls itself kubectl-edit, which owns a part of its content, last wrote the object then; pods of it \
                       refer to it"),
                known(Some("2026-11-22T07:56:00Z"), "event", "shop/pod/web-4-x",
                      "FailedMount: \u{1b}[2Jno\r\n2026-11-22 07:57:00 UTC all is well\u{202e}"),
                known(Some("2026-11-22T07:57:00Z"), "incident", &id("inc", 1), "Deployment shop/web: revision 4 is stuck"),
                known(Some("2026-11-22T07:58:00Z"), "job", &id("job", 1), "restart_pod on shop/pod/web-4-x ended as failed: still crashing"),
            ],
            "left_out": 3,
            "as_of": "2026-11-22T07:59:30Z",
            "now": [known(None, "status", "shop/deployment/web", "3 pods wanted, 1 of the newest revision (4), 2 ready, 2 available")],
            "unknown": ["logs of containers are not collected", "one\nline"],
        })
    }

    #[test]
    fn shown() {
        insta::assert_snapshot!(show(&view(80), &read(sample())));
    }

    #[test]
    fn a_long_title_is_wrapped_and_an_older_control_plane_does_not_say_as_of_when() {
        let mut found = sample();
        found["incident"]["title"] = "Deployment shop/web: revision 4 is stuck and so on and on".into();
        found.as_object_mut().unwrap().remove("as_of");
        let text = show(&view(40), &read(found));
        assert!(
            text.starts_with("Deployment shop/web: revision 4 is stuck\nand so on and on\n  critical"),
            "{text}"
        );
        assert!(text.contains("\nAs seen last (when, is unknown)\n"), "{text}");
    }

    #[test]
    fn what_a_cluster_says_steers_no_terminal_and_makes_no_lines() {
        let text = show(&View { width: None, ..view(80) }, &read(sample()));
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}']), "{text}");
        let told: Vec<&str> = text.lines().filter(|line| line.contains("all is well")).collect();
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("shop/pod/web-4-x: FailedMount"), "on its own line: {text}");
        assert!(text.contains("  - one line\n"), "{text}");
    }
}
