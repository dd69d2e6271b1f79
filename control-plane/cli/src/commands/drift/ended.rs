//! The JSON document that `nimbus drift` prints for a file after a command has changed or accepted it.

use serde_json::Value;

/// The fields that say what became of it; the others say what it was.
const SINCE: [&str; 7] = ["updated_at", "resolved_at", "state", "reason", "approval_id", "job_id", "history"];

/// The file as it was `shown`, before and after included, with what became of it by `now`: once a file is as its
/// baseline says, the control plane knows the difference no longer.
pub(super) fn ended(shown: &Value, mut now: Value) -> Value {
    let mut document = shown.clone();
    for field in SINCE {
        document[field] = now[field].take();
    }
    document
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_put_back_is_still_shown_when_it_is_over() {
        let shown = json!({
            "id": "inc_1", "state": "waiting_approval", "before": {"mode": "0644"}, "after": {"mode": "0777"},
            "change": "attributes", "diff": "-a\n+b\n", "job_id": null, "resolved_at": null,
            "attributes": [{"name": "user.x"}]
        });
        let now = json!({
            "id": "inc_1", "state": "resolved", "before": null, "after": null, "change": "unknown", "diff": null,
            "job_id": "job_1", "resolved_at": "2026-11-22T08:00:00Z", "history": [{"text": "restored"}],
            "attributes": null
        });
        let document = ended(&shown, now);
        assert_eq!(
            (&document["before"]["mode"], &document["after"]["mode"]),
            (&json!("0644"), &json!("0777"))
        );
        assert_eq!((&document["change"], &document["diff"]), (&json!("attributes"), &json!("-a\n+b\n")));
        assert_eq!(document["attributes"][0]["name"], "user.x");
        assert_eq!((&document["state"], &document["job_id"]), (&json!("resolved"), &json!("job_1")));
        assert_eq!(document["history"][0]["text"], "restored");
    }
}
