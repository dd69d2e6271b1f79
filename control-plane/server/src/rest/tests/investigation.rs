//! Tests of what is known around an incident, as the interface shows it.

use super::TestApi;
use super::site::site;

#[tokio::test]
async fn what_is_known_around_an_incident_has_a_time_and_a_source_and_changes_nothing() {
    let api = TestApi::with(site()).await;
    let id = |number: u32| format!("inc_{number:032x}");
    let path = |number: u32| format!("/api/v1/incidents/{}/investigation", id(number));
    let found = api.get(&path(1)).await.ok();
    assert_eq!(found["incident"]["id"], id(1).as_str());
    let timeline = found["timeline"].as_array().unwrap();
    assert!(timeline.iter().any(|line| line["source"] == "incident"), "{found}");
    assert!(timeline.iter().all(|line| line["at"].is_string() && line["of"].is_string()), "{found}");
    // No agent is connected: what there is was seen before, or was not seen at all.
    let unknown = found["unknown"].to_string();
    assert!(
        unknown.contains("unknown:") && unknown.contains("logs of containers are not collected"),
        "{found}"
    );
    assert!(api.actions().await.is_empty(), "a look is no act");
    let problem = api.get(&path(4_711)).await.problem(404, "not_found");
    assert!(problem["remedy"].as_str().unwrap().contains("nimbus incidents list"), "{problem}");
}
