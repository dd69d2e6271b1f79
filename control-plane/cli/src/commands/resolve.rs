//! From what a person typed to the one thing that is meant, by listing what there is.

use serde_json::{Value, json};

use crate::connect::Server;
use crate::error::Failure;
use crate::exit::Exit;
use crate::ids::{self, Candidate, Kind};
use crate::output::time::Clock;

/// The whole id that `typed` means. Those that `preferred` filters for are looked at before all others.
pub async fn id(server: &Server, kind: Kind, typed: &str, preferred: Value) -> Result<String, Failure> {
    if let Some(whole) = ids::whole(kind, typed)? {
        return Ok(whole);
    }
    let clock = Clock::system();
    if preferred != json!({}) {
        let first = candidates(&server.items(&[path(kind)], &preferred).await?);
        match ids::pick(kind, typed, &first, &clock) {
            Err(failure) if failure.exit == Exit::NotFound => {}
            picked => return picked.map(|candidate| candidate.id.clone()),
        }
    }
    let mut all = server.items(&[path(kind)], &json!({})).await?;
    if kind == ids::DRIFT {
        all.retain(|incident| incident["kind"] == "file_drift");
    }
    ids::pick(kind, typed, &candidates(&all), &clock).map(|candidate| candidate.id.clone())
}

/// Where a kind is listed in every state; drifted files are incidents.
fn path(kind: Kind) -> &'static str {
    match kind.prefix {
        "inc" => "incidents",
        "apr" => "approvals",
        "job" => "jobs",
        _ => "agents",
    }
}

/// What a list's items can be recognised by.
fn candidates(items: &[Value]) -> Vec<Candidate> {
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let about = |item: &Value| {
        let object = text(&item["object"], "name");
        ["title", "path", "summary", "name"]
            .iter()
            .map(|key| text(item, key))
            .find(|text| !text.is_empty())
            .unwrap_or(object)
    };
    items
        .iter()
        .map(|item| Candidate {
            id: text(item, "id"),
            name: text(item, "name"),
            created_at: item["created_at"].as_str().and_then(|at| at.parse().ok()).unwrap_or_default(),
            about: about(item),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_recognised_by_what_its_kind_has() {
        let made = candidates(&[
            json!({"id": "inc_1", "title": "web is stuck", "created_at": "2026-11-22T08:00:00Z"}),
            json!({"id": "apr_1", "summary": "Put it back"}),
            json!({"id": "job_1", "object": {"name": "web"}}),
            json!({"id": "agt_1", "name": "edge-1"}),
        ]);
        let about: Vec<&str> = made.iter().map(|c| c.about.as_str()).collect();
        assert_eq!(about, ["web is stuck", "Put it back", "web", "edge-1"]);
        assert_eq!(made[3].name, "edge-1");
        assert_eq!(made[0].created_at.to_string(), "2026-11-22T08:00:00Z");
    }
}
