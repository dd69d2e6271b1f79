//! Tests of what is known around an incident, as the interface shows it.

use nimbus_control_core::model::{Incident, IncidentState, Job, Scope, Versioned};
use nimbus_protocol::v1::{self, observation, sync_mark};
use serde_json::Value;

use super::TestApi;
use super::fleet::{connect, observe};
use super::site::{self, CLUSTER, at, id, site};

fn path(number: u32) -> String {
    format!("/api/v1/incidents/inc_{number:032x}/investigation")
}

/// The lines of this list from this source, each as what it is of and its words.
fn lines<'a>(found: &'a Value, list: &str, source: &str) -> Vec<(&'a str, &'a str)> {
    let all = found[list].as_array().unwrap().iter().filter(|line| line["source"] == source);
    all.map(|line| (line["of"].as_str().unwrap(), line["text"].as_str().unwrap())).collect()
}

/// A full listing of a cluster with the Deployment that the incident is about.
fn listing() -> Vec<observation::Body> {
    let mark = |phase: sync_mark::Phase| {
        let mark = move |kind: &nimbus_protocol::ObjectKind| {
            observation::Body::Sync(v1::SyncMark {
                kind: kind.as_str().into(),
                phase: phase.into(),
                lease_term: 3,
            })
        };
        nimbus_protocol::ObjectKind::ALL.iter().map(mark)
    };
    let meta = v1::ObjectMeta {
        uid: "uid-web".into(),
        namespace: "shop".into(),
        name: "web".into(),
        ..Default::default()
    };
    let web = v1::Deployment { meta: Some(meta), desired: 3, ready: 1, ..Default::default() };
    let begin = mark(sync_mark::Phase::Begin);
    begin.chain([observation::Body::Deployment(web)]).chain(mark(sync_mark::Phase::End)).collect()
}

#[tokio::test]
async fn what_is_known_around_an_incident_has_a_time_and_a_source_and_changes_nothing() {
    let api = TestApi::with(site()).await;
    let found = api.get(&path(1)).await.ok();
    let own = format!("inc_{:032x}", 1);
    assert_eq!(found["incident"]["id"], own.as_str());
    assert_eq!(lines(&found, "timeline", "incident"), [(own.as_str(), "found")]);
    assert_eq!(found["timeline"][0]["at"], at(1).to_string());
    // No agent is connected, and nothing was seen of its cluster.
    assert_eq!((&found["as_of"], &found["now"]), (&Value::Null, &serde_json::json!([])));
    let unknown = found["unknown"].to_string();
    for why in ["unknown: no agent has reported cluster prod yet", "logs of containers are not collected"] {
        assert!(unknown.contains(why), "{why}: {found}");
    }
    assert!(api.actions().await.is_empty(), "a look is no act");
    let problem = api.get(&path(4_711)).await.problem(404, "not_found");
    assert!(problem["remedy"].as_str().unwrap().contains("nimbus incidents list"), "{problem}");
}

#[tokio::test]
async fn jobs_other_incidents_of_the_place_and_the_present_picture_are_told() {
    let mut changes = site();
    let tried = Job { incident_id: id("inc", 1), ..site::job(2) };
    // These ended just now, so that they are among what decisions are made from: another incident's on the same workload, and one on
    // what has its UID in another cluster.
    let beside = Job { finished_at: Some(nimbus_platform::now()), ..site::job(3) };
    let elsewhere = Scope::Cluster("another".into());
    let foreign = Job { scope: elsewhere.clone(), finished_at: beside.finished_at, ..site::job(4) };
    changes.jobs.extend([tried, beside, foreign].map(Versioned::new));
    let over = Incident {
        state: IncidentState::Resolved,
        resolved_at: Some(at(5)),
        reason: "it came back".into(),
        ..site::rollout(3)
    };
    let of_host = Incident { scope: Scope::Host(id("agt", 1)), ..site::file(4, "/etc/kubelet.conf") };
    let of_another = Incident { scope: elsewhere, cluster: "another".into(), ..site::rollout(5) };
    changes.incidents.extend([over, of_host, of_another].map(Versioned::new));
    let api = TestApi::with(changes).await;
    connect(&api, 1);
    observe(&api, 1, CLUSTER, listing());

    let found = api.get(&path(1)).await.ok();
    let job = |number: u32| format!("job_{number:032x}");
    let jobs = lines(&found, "timeline", "job");
    let own: Vec<&str> = jobs.iter().filter(|(of, _)| *of == job(2)).map(|(_, text)| *text).collect();
    assert_eq!(
        own,
        [
            "restart_pod on shop/pod/web-1-x was signed for agent prod-agent",
            "restart_pod on shop/pod/web-1-x took effect",
            "restart_pod on shop/pod/web-1-x ended as succeeded: ready for 30 s (pod web-1-y is ready)",
        ]
    );
    assert_eq!(jobs.iter().filter(|(of, _)| *of == job(3)).count(), 3, "{jobs:#?}");
    assert_eq!(jobs.len(), 6, "none of another cluster: {jobs:#?}");
    let others = lines(&found, "timeline", "other_incident");
    let [opened, of_host, resolved] = others.as_slice() else { panic!("{others:#?}") };
    assert_eq!(opened.0, format!("inc_{:032x}", 3));
    assert!(opened.1.starts_with("rollout stuck was opened, on the same workload"), "{opened:?}");
    assert!(
        of_host.1.starts_with("file drift on host edge was opened, at about the same time"),
        "{of_host:?}"
    );
    assert_eq!(resolved.1, "rollout stuck was resolved: it came back");
    let now = lines(&found, "now", "status");
    let web = "3 pods wanted, 0 of the newest revision (0), 1 ready, 0 available";
    assert!(now.contains(&("shop/deployment/web", web)), "{found}");
    assert_eq!(found["as_of"], at(20).to_string());
    assert_eq!(found["left_out"], 0);
}
