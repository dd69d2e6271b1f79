//! Tests of lists and single items: the fields of each item, paging, filters, ETags.

use axum::body::Body;
use nimbus_control_core::model::{ChangeSet, IncidentKind, IncidentState, Versioned};
use serde_json::Value;

use super::TestApi;
use super::site::{self, CLUSTER, PATH, id, site};

/// The lists of the contract, and a path to each of their items.
const LISTS: [(&str, &str); 9] = [
    ("clusters", "clusters"),
    ("agents", "agents"),
    ("agents/tokens", ""),
    ("incidents", "incidents"),
    ("approvals", "approvals"),
    ("jobs", "jobs"),
    ("drift", "drift"),
    ("autonomous", ""),
    ("autonomous/history", "jobs"),
];

#[tokio::test]
async fn every_item_has_what_scripts_rely_on() {
    let api = TestApi::with(site()).await;
    for (list, single) in LISTS {
        let page = api.get(&format!("/api/v1/{list}")).await.ok();
        assert_eq!(page["next"], Value::Null, "{list}");
        let items = page["items"].as_array().unwrap();
        assert!(!items.is_empty(), "{list}");
        for item in items {
            let created = item["created_at"].as_str().unwrap();
            assert!(
                created.ends_with('Z') && created.parse::<jiff::Timestamp>().is_ok(),
                "{list}: {created}"
            );
            for field in ["id", "cluster", "state", "reason"] {
                assert!(item.get(field).is_some(), "{list} has no {field}: {item}");
            }
            assert!(item["kind"].is_string() || list == "autonomous", "{list}: {item}");
            let graded = ["incidents", "approvals", "drift"].contains(&list);
            assert_eq!(item["severity"].is_string(), graded, "{list}: {item}");
            if let Some(object) = item.get("object") {
                for field in ["kind", "namespace", "name", "uid"] {
                    assert!(object[field].is_string(), "{list}: {object}");
                }
            }
            if !single.is_empty() {
                let id = item["id"].as_str().unwrap();
                let shown = api.get(&format!("/api/v1/{single}/{id}")).await.ok();
                assert_eq!(shown["id"], item["id"]);
            }
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_a_gap_or_a_repetition() {
    let incidents = (1..=7).map(|n| Versioned::new(site::file(n, &format!("/etc/app/{n}")))).collect();
    let api = TestApi::with(ChangeSet { incidents, ..ChangeSet::default() }).await;
    for list in ["incidents", "drift"] {
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page = api.get(&format!("/api/v1/{list}?limit=3{after}")).await.ok();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 3);
            seen.extend(items.iter().map(|item| item["object"]["name"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        let newest_first: Vec<_> = (1..=7).rev().map(|n| format!("/etc/app/{n}")).collect();
        assert_eq!(seen, newest_first, "{list}");
    }
}

#[tokio::test]
async fn filters_narrow_by_state_and_by_a_clusters_name_or_uid() {
    let mut changes = site();
    let mut over = site::rollout(3);
    over.state = IncidentState::Resolved;
    over.key = "rollout/over".into();
    changes.incidents.push(Versioned::new(over));
    let api = TestApi::with(changes).await;
    let ids = async |path: &str| -> Vec<String> {
        let page = api.get(&format!("/api/v1/{path}")).await.ok();
        page["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let inc = |n| format!("inc_{n:032x}");
    assert_eq!(ids("incidents").await, [inc(3), inc(2), inc(1)]);
    assert_eq!(ids("incidents?state=active").await, [inc(2), inc(1)]);
    assert_eq!(ids("incidents?state=resolved").await, [inc(3)]);
    assert_eq!(ids("incidents?cluster=prod&state=active").await, [inc(1)]);
    assert_eq!(ids(&format!("incidents?cluster={CLUSTER}")).await, [inc(3), inc(1)]);
    assert_eq!(ids("drift").await, [inc(2)]);
    assert!(ids("drift?cluster=prod").await.is_empty());
    assert!(ids("jobs?state=running").await.is_empty());
    assert_eq!(ids("jobs?cluster=prod").await.len(), 1);
    assert_eq!(ids("approvals?state=pending&cluster=edge").await, [format!("apr_{:032x}", 2)]);
    assert_eq!(ids("autonomous/history?cluster=edge").await, [] as [String; 0]);
}

#[tokio::test]
async fn an_incident_shows_its_plan_approval_and_story() {
    let api = TestApi::with(site()).await;
    let shown = api.get(&format!("/api/v1/incidents/inc_{:032x}", 1)).await.ok();
    assert_eq!(shown["kind"], "rollout_stuck");
    assert_eq!(shown["plan"]["considered"][0]["why"], "it never ends");
    assert_eq!(shown["plan"]["action"]["action"], "rollback_deployment");
    assert_eq!(shown["approval"]["plan_digest"], shown["plan"]["digest"]);
    assert_eq!(shown["history"][0]["text"], "found");
    assert_eq!(shown["job"], Value::Null);
    let plan = api.get(&format!("/api/v1/plans/{}", shown["plan"]["id"].as_str().unwrap())).await.ok();
    assert_eq!(plan, shown["plan"]);
}

#[tokio::test]
async fn a_drifted_file_is_shown_as_the_plan_knows_it_while_its_agent_is_silent() {
    let api = TestApi::with(site()).await;
    let path = format!("/api/v1/drift/inc_{:032x}", 2);
    let shown = api.get(&path).await.ok();
    assert_eq!((&shown["path"], &shown["root"]), (&PATH.into(), &"/etc/app".into()));
    assert_eq!((&shown["before"]["mode"], &shown["after"]["mode"]), (&"0644".into(), &"0600".into()));
    assert_eq!((&shown["diff"], &shown["diff_withheld"]), (&Value::Null, &"unknown".into()));
    assert_eq!((&shown["agent"], &shown["change"]), (&"edge".into(), &"modified".into()));
    assert_eq!(shown["attributes"], Value::Null, "a plan has their digest alone");
    assert_eq!(shown["history"][0]["text"], "found");
    api.get(&format!("/api/v1/drift/inc_{:032x}", 1)).await.problem(404, "not_found");
}

#[tokio::test]
async fn what_is_not_there_is_said_with_its_id() {
    let api = TestApi::with(site()).await;
    for single in ["clusters", "agents", "incidents", "approvals", "jobs", "plans", "drift"] {
        let problem = api.get(&format!("/api/v1/{single}/nowhere")).await.problem(404, "not_found");
        assert!(problem["detail"].as_str().unwrap().contains("nowhere"), "{problem}");
        assert!(problem["remedy"].is_string());
    }
}

#[tokio::test]
async fn clusters_and_agents_go_by_their_names_unless_two_share_one() {
    let mut changes = site();
    changes.agents.push(Versioned::new(site::agent(3, "edge", false)));
    let mut gone = site::agent(4, "prod-agent", true);
    gone.revoked_at = Some(site::at(5));
    changes.agents.push(Versioned::new(gone));
    let api = TestApi::with(changes).await;
    assert_eq!(api.get("/api/v1/clusters/prod").await.ok()["id"], CLUSTER);
    api.get("/api/v1/agents/edge").await.problem(409, "ambiguous");
    let by_name = api.get("/api/v1/agents/prod-agent").await.ok();
    assert_eq!(by_name["id"], id::<nimbus_protocol::ids::AgentId>("agt", 1).to_string());
}

#[tokio::test]
async fn an_item_that_did_not_change_is_not_sent_again() {
    let api = TestApi::with(site()).await;
    for path in
        [format!("jobs/job_{:032x}", 1), format!("incidents/inc_{:032x}", 1), "agents/edge".to_owned()]
    {
        let path = format!("/api/v1/{path}");
        let first = api.get(&path).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with('"') && first.status == 200);
        let again = api.request("GET", &path).header("if-none-match", &tag).body(Body::empty()).unwrap();
        let again = api.send(again).await;
        assert_eq!((again.status, again.text.as_str(), again.header("etag")), (304, "", tag.as_str()));
    }
    let mut changed = api.app.store().get(format!("inc_{:032x}", 1)).await.unwrap().unwrap();
    let tag = api.get(&format!("/api/v1/incidents/inc_{:032x}", 1)).await.header("etag").to_owned();
    let incident: &mut nimbus_control_core::model::Incident = &mut changed.doc;
    incident.note(site::at(99), "moved on");
    api.app.commit(&ChangeSet { incidents: vec![changed], ..ChangeSet::default() }).await.unwrap();
    let path = format!("/api/v1/incidents/inc_{:032x}", 1);
    let request = api.request("GET", &path).header("if-none-match", tag).body(Body::empty()).unwrap();
    assert_eq!(api.send(request).await.status, 200);
}

#[tokio::test]
async fn rules_say_who_decides_and_where() {
    let mut changes = site();
    changes.clusters[0].doc.mode = nimbus_control_core::model::Mode::Act;
    changes.clusters[0].doc.enabled = vec![nimbus_control_core::model::ActionKind::RestartPod];
    let api = TestApi::with(changes).await;
    let rules = api.get("/api/v1/autonomous/rules").await.ok();
    let rule = |id: &str| -> Value {
        let found = rules["items"].as_array().unwrap().iter().find(|rule| rule["id"] == id);
        found.unwrap_or_else(|| panic!("no rule {id}: {rules}")).clone()
    };
    assert_eq!(
        (&rule("restart_pod")["state"], &rule("restart_pod")["enabled_in"][0]),
        (&"automatic".into(), &"prod".into())
    );
    assert_eq!(rule("rollback_deployment")["state"], "approval");
    assert_eq!(rule("restore_file")["per_cluster"], false);
    let recommend = rule(IncidentKind::ImagePull.as_str());
    assert_eq!((&recommend["state"], &recommend["action"]), (&"recommend".into(), &Value::Null));
}

#[tokio::test]
async fn an_accepted_baseline_is_listed_with_who_accepted_it_and_what_became_of_it() {
    let mut changes = site();
    let (plan, job) = site::accepted(7);
    // Not handed to the agent yet: nothing is held.
    let (waiting, _) = site::accepted(8);
    changes.plans.extend([plan, waiting].map(Versioned::new));
    changes.jobs.push(Versioned::new(job));
    let api = TestApi::with(changes).await;
    let page = api.get("/api/v1/drift/baselines").await.ok();
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{page}");
    let item = &items[0];
    assert_eq!((&item["path"], &item["root"]), (&PATH.into(), &"/etc/app".into()));
    assert_eq!(
        (&item["decided_by"], &item["change"], &item["state"]),
        (&"operator".into(), &"accepted".into(), &"succeeded".into())
    );
    assert_eq!((&item["accepted"]["mode"], &item["cluster"]), (&"0600".into(), &"edge".into()));
    assert_eq!(item["id"], format!("job_{:032x}", 7));
}
