//! Tests of the fleet's overview, in which whatever is not known reads as unknown.

use nimbus_control_core::model::{Agent, ChangeSet, IncidentState, Versioned, WatchedRoot};
use nimbus_protocol::v1::{self, observation, sync_mark};
use serde_json::{Value, json};

use super::TestApi;
use super::site::{self, CLUSTER, PATH, id, site};

pub(super) fn connect(api: &TestApi, number: u32) {
    connect_over(api, number, crate::sessions::Transport::Quic);
}

fn connect_over(api: &TestApi, number: u32, transport: crate::sessions::Transport) {
    let peer = std::net::SocketAddr::from(([127, 0, 0, 1], 9));
    // The registration's end is not needed: deregistering is by number.
    drop(api.app.sessions.register(id("agt", number), (peer, transport), "0.1.0".into(), api.app.now()));
}

pub(super) fn observe(api: &TestApi, agent: u32, cluster: &str, bodies: Vec<observation::Body>) {
    observe_at(api, (agent, cluster), bodies, site::at(20));
}

fn observe_at(
    api: &TestApi,
    (agent, cluster): (u32, &str),
    bodies: Vec<observation::Body>,
    at: jiff::Timestamp,
) {
    let mut world = api.app.view.write();
    for body in bodies {
        let observation = v1::Observation {
            observed_at_us: at.as_microsecond(),
            cluster_uid: cluster.into(),
            body: Some(body),
            ..Default::default()
        };
        world.apply(id("agt", agent), &observation, at);
    }
}

/// A full listing of a cluster with one node, ready, and two pods, one of them ready.
fn listing() -> Vec<observation::Body> {
    let mark = |kind: &str, phase: sync_mark::Phase| {
        observation::Body::Sync(v1::SyncMark { kind: kind.into(), phase: phase.into(), lease_term: 3 })
    };
    let meta = |uid: &str| {
        Some(v1::ObjectMeta {
            uid: uid.into(),
            namespace: "shop".into(),
            name: uid.into(),
            ..Default::default()
        })
    };
    let pod = |uid: &str, ready| {
        observation::Body::Pod(v1::Pod {
            meta: meta(uid),
            phase: "Running".into(),
            ready,
            ..Default::default()
        })
    };
    let node =
        observation::Body::Node(v1::Node { meta: meta("n1"), ready: "True".into(), ..Default::default() });
    let kinds = ["Pod", "ReplicaSet", "Deployment", "Node"];
    let mut bodies: Vec<_> = kinds.iter().map(|kind| mark(kind, sync_mark::Phase::Begin)).collect();
    bodies.extend([pod("p1", true), pod("p2", false), node]);
    bodies.extend(kinds.iter().map(|kind| mark(kind, sync_mark::Phase::End)));
    bodies
}

async fn status(api: &TestApi) -> Value {
    api.get("/api/v1/status").await.ok()
}

#[tokio::test]
async fn a_cluster_is_unknown_until_it_is_listed_by_an_agent_that_is_here() {
    let mut changes = site();
    changes.incidents.clear();
    changes.approvals.clear();
    let api = TestApi::with(changes).await;
    api.app.health.works(crate::health::Part::Start);
    let cold = status(&api).await;
    assert_eq!((&cold["clusters"][0]["state"], &cold["ready"]), (&"unknown".into(), &false.into()));
    assert_eq!(cold["agents"], json!({"total": 2, "connected": 0, "revoked": 0}));
    observe(&api, 1, CLUSTER, listing());
    let away = api.get("/api/v1/clusters/prod").await.ok();
    assert_eq!((&away["state"], &away["pods"]), (&"unknown".into(), &Value::Null));
    assert!(away["reason"].as_str().unwrap().contains("not connected"), "{away}");
    connect(&api, 1);
    let here = api.get("/api/v1/clusters/prod").await.ok();
    assert_eq!((&here["state"], &here["reason"]), (&"healthy".into(), &"".into()));
    assert_eq!([&here["pods"], &here["pods_ready"], &here["nodes_ready"]], [&json!(2), &json!(1), &json!(1)]);
    assert_eq!((&here["agents_total"], &here["agents_connected"]), (&1.into(), &1.into()));
    let waiting = status(&api).await["waiting_for"].to_string();
    assert!(waiting.contains("edge") && !waiting.contains("prod"), "{waiting}");
    connect(&api, 2);
    assert_eq!(status(&api).await["ready"], true);
    api.app.log_moved(9);
    let behind = status(&api).await;
    assert_eq!((&behind["ready"], &behind["storage"]["log_position"]), (&false.into(), &9.into()));
}

#[tokio::test]
async fn a_cluster_shows_what_each_node_measured_last_and_nothing_of_one_that_was_not() {
    let api = TestApi::with(site()).await;
    connect(&api, 1);
    let bare = api.get("/api/v1/clusters/prod").await.ok();
    assert_eq!(bare["node_figures"], json!([]), "nothing was listed");
    observe(&api, 1, CLUSTER, listing());
    let measured = |node: &str, used: u64| {
        observation::Body::NodeMeasured(v1::NodeMeasured {
            node: node.into(),
            conditions: vec![v1::NodeCondition {
                r#type: "MemoryPressure".into(),
                status: "True".into(),
                ..Default::default()
            }],
            memory: Some(v1::MeasuredMemory {
                available_bytes: Some(1_000 - used),
                working_set_bytes: Some(used),
                ..Default::default()
            }),
            image_filesystem: Some(v1::MeasuredFilesystem {
                capacity_bytes: Some(50),
                available_bytes: Some(20),
                ..Default::default()
            }),
            containers: (0..101)
                .map(|n| v1::MeasuredContainer {
                    pod: format!("p{n}"),
                    working_set_bytes: 800 + n,
                    limit_bytes: 1_000,
                    ..Default::default()
                })
                .collect(),
            ..Default::default()
        })
    };
    let unknown = api.get("/api/v1/clusters/prod").await.ok();
    assert_eq!(unknown["node_figures"][0]["node"], "n1");
    for what in ["measured_at", "memory_bytes", "disk_bytes", "pressures"] {
        assert_eq!(unknown["node_figures"][0][what], Value::Null, "{what}");
    }
    observe(&api, 1, CLUSTER, vec![measured("n1", 300), measured("n1", 400)]);
    let seen = api.get("/api/v1/clusters/prod").await.ok();
    let figures = json!([{
        "node": "n1", "measured_at": site::at(20), "stale": true, "memory_used_bytes": 400, "memory_bytes": 1_000,
        "disk_used_bytes": null, "disk_bytes": null, "images_used_bytes": 30, "images_bytes": 50,
        "pressures": ["MemoryPressure"],
    }]);
    assert_eq!(seen["node_figures"], figures, "the latest alone, and that they are old");
    assert_eq!(seen["near_memory_limit"], json!([]), "what was near its limit long ago says nothing of now");
    observe_at(&api, (1, CLUSTER), vec![measured("n1", 500)], api.app.now());
    let seen = api.get("/api/v1/clusters/prod").await.ok();
    let node = &seen["node_figures"][0];
    assert_eq!((&node["stale"], &node["memory_used_bytes"]), (&false.into(), &500.into()));
    let near = seen["near_memory_limit"].as_array().unwrap();
    assert_eq!(
        (near.len(), &near[0]["pod"], &seen["near_memory_limit_left_out"]),
        (100, &"p100".into(), &1.into())
    );
}

#[tokio::test]
async fn incidents_are_counted_by_severity_and_a_silenced_one_is_quiet() {
    let mut changes = site();
    let mut quiet = site::rollout(3);
    (quiet.state, quiet.key) = (IncidentState::Silenced, "rollout/quiet".into());
    changes.incidents.push(nimbus_control_core::model::Versioned::new(quiet));
    let api = TestApi::with(changes).await;
    connect(&api, 1);
    observe(&api, 1, CLUSTER, listing());
    let status = status(&api).await;
    let counts = &status["incidents"];
    assert_eq!(
        (&counts["total"], &counts["warning"], &counts["silenced"]),
        (&2.into(), &2.into(), &1.into())
    );
    assert_eq!((&status["waiting_approvals"], &status["drifted_files"]), (&2.into(), &1.into()));
    assert_eq!(status["storage"]["kind"], "sqlite");
    let cluster = &status["clusters"][0];
    assert_eq!((&cluster["state"], &cluster["open_incidents"]), (&"degraded".into(), &2.into()));
    assert!(cluster["reason"].as_str().unwrap().starts_with("1 incident: "), "{cluster}");
}

#[tokio::test]
async fn autonomy_says_what_keeps_it_from_acting() {
    let mut changes = site();
    let doc = &mut changes.clusters[0].doc;
    doc.mode = nimbus_control_core::model::Mode::Act;
    doc.enabled = nimbus_control_core::rules::of_clusters().collect();
    let api = TestApi::with(changes).await;
    let shown = async || api.get("/api/v1/autonomous").await.ok()["items"][0].clone();
    let away = shown().await;
    assert_eq!(away["forbidden"].as_array().unwrap().len(), away["enabled"].as_array().unwrap().len());
    assert!(away["reason"].as_str().unwrap().starts_with("unknown"), "{away}");
    connect(&api, 1);
    observe(&api, 1, CLUSTER, listing());
    let here = shown().await;
    assert_eq!(
        here["forbidden"],
        json!([
            "rollback_deployment",
            "uncordon_node",
            "raise_memory_limit",
            "expand_volume",
            "raise_autoscaler_maximum",
            "scale_workload",
            "renew_certificate"
        ])
    );
    assert!(here["reason"].as_str().unwrap().contains("policy forbids rollback_deployment"), "{here}");
    assert_eq!(here["waiting_approvals"], 1);
}

#[tokio::test]
async fn the_way_of_a_session_is_what_the_control_plane_sees_and_a_proxy_what_the_agent_says() {
    let mut changes = site();
    changes.agents[1].doc.transport = "tcp through proxy".into();
    let api = TestApi::with(changes).await;
    let shown = async |name: &str| api.get(&format!("/api/v1/agents/{name}")).await.ok()["transport"].clone();
    assert_eq!(shown("edge").await, Value::Null, "not connected");
    connect_over(&api, 2, crate::sessions::Transport::Tcp);
    assert_eq!(shown("edge").await, "tcp through proxy");
    // It came back another way, and has not said so yet.
    connect_over(&api, 2, crate::sessions::Transport::Quic);
    assert_eq!(shown("edge").await, "quic");
}

#[tokio::test]
async fn an_agent_shows_its_host_and_what_is_wrong_with_it() {
    let mut changes = site();
    let edge: &mut Agent = &mut changes.agents[1].doc;
    let problem = "expected a directory, found none".to_owned();
    // As an agent says it: of the root, and among its problems with the root's path before it.
    edge.problems = vec![format!("/srv: {problem}")];
    edge.roots = vec![WatchedRoot { path: "/srv".into(), problem, files: 0, baseline_since: None }];
    let api = TestApi::with(changes).await;
    let away = api.get("/api/v1/agents/edge").await.ok();
    assert_eq!((&away["state"], &away["host"]), (&"disconnected".into(), &Value::Null));
    connect(&api, 2);
    let status = status(&api).await;
    let problem = &status["agent_problems"][0];
    assert_eq!((&problem["name"], &problem["count"]), (&"edge".into(), &1.into()));
    assert_eq!(problem["first"], "/srv: expected a directory, found none");
    let host = v1::Host { cores: 2, cpu_centipercent: 1_250, load1_centi: 50, ..Default::default() };
    observe(&api, 2, "", vec![observation::Body::Host(host)]);
    let here = api.get("/api/v1/agents/edge").await.ok();
    assert_eq!(
        (&here["reason"], &here["kind"]),
        (&"/srv: expected a directory, found none".into(), &"host".into())
    );
    assert_eq!((&here["host"]["cpu_percent"], &here["host"]["load"][0]), (&12.5.into(), &0.5.into()));
    assert_eq!(here["cluster"], Value::Null);
}

#[tokio::test]
async fn a_drifted_file_whose_contents_stay_on_its_host_has_numbers_of_lines() {
    let api = TestApi::with(site()).await;
    let state = |size, byte: u8| {
        Some(v1::FileState { kind: "file".into(), size, sha256: vec![byte; 32], ..Default::default() })
    };
    let file = v1::File {
        root: "/etc/app".into(),
        path: PATH.into(),
        baseline: state(10, 0xaa),
        current: state(12, 0xcc),
        diff_withheld: "policy".into(),
        lines: Some(v1::LineCounts { before: 3, after: 4, added: Some(2), removed: Some(1) }),
        ..Default::default()
    };
    observe(&api, 2, "", vec![observation::Body::File(file)]);
    let shown = api.get(&format!("/api/v1/drift/inc_{:032x}", 2)).await.ok();
    assert_eq!((&shown["diff"], &shown["diff_withheld"]), (&Value::Null, &"policy".into()));
    let lines = serde_json::json!({"before": 3, "after": 4, "added": 2, "removed": 1});
    assert_eq!(shown["lines"], lines);
}

#[tokio::test]
async fn a_drifted_file_names_the_attributes_that_differ() {
    let api = TestApi::with(site()).await;
    let state = |digest: u8, all: &[(&str, &str)]| {
        let one = |(name, shown): &(&str, &str)| v1::FileAttribute {
            name: (*name).to_owned(),
            shown: (*shown).to_owned(),
        };
        let all = all.iter().map(one).collect();
        Some(v1::FileState {
            kind: "file".into(),
            sha256: vec![0xaa; 32],
            attributes: Some(v1::FileAttributes { sha256: vec![digest; 32], all }),
            ..Default::default()
        })
    };
    let file = v1::File {
        root: "/etc/app".into(),
        path: PATH.into(),
        baseline: state(
            1,
            &[("flag immutable", "set"), ("user.kept", "1 bytes, aa"), ("user.x", "1 bytes, bb")],
        ),
        current: state(2, &[("security.capability", "20 bytes, cc"), ("user.kept", "1 bytes, aa")]),
        diff_withheld: "attributes only".into(),
        ..Default::default()
    };
    observe(&api, 2, "", vec![observation::Body::File(file)]);
    let shown = api.get(&format!("/api/v1/drift/inc_{:032x}", 2)).await.ok();
    assert_eq!(shown["change"], "attributes");
    let digests = (&shown["before"]["attributes_sha256"], &shown["after"]["attributes_sha256"]);
    assert_eq!(digests, (&"01".repeat(32).into(), &"02".repeat(32).into()));
    let changes = json!([
        {"name": "flag immutable", "kind": "flag", "before": "set", "after": null},
        {"name": "security.capability", "kind": "capability", "before": null, "after": "20 bytes, cc"},
        {"name": "user.x", "kind": "extended_attribute", "before": "1 bytes, bb", "after": null},
    ]);
    assert_eq!(shown["attributes"], changes);
}

#[tokio::test]
async fn a_drifted_file_shows_what_its_agent_sees_now() {
    let api = TestApi::with(site()).await;
    let state = |mode, size, byte: u8| {
        Some(v1::FileState { kind: "file".into(), mode, size, sha256: vec![byte; 32], ..Default::default() })
    };
    let file = v1::File {
        root: "/etc/app".into(),
        path: PATH.into(),
        baseline: state(0o644, 10, 0xaa),
        current: state(0o644, 12, 0xcc),
        diff: "-old\n+new\n".into(),
        ..Default::default()
    };
    observe(&api, 2, "", vec![observation::Body::File(file)]);
    let shown = api.get(&format!("/api/v1/drift/inc_{:032x}", 2)).await.ok();
    assert_eq!((&shown["diff"], &shown["diff_withheld"]), (&"-old\n+new\n".into(), &Value::Null));
    assert_eq!((&shown["before"]["size"], &shown["after"]["size"]), (&10.into(), &12.into()));
    assert_eq!(shown["after"]["sha256"], "cc".repeat(32));
    assert_eq!(shown["lines"], Value::Null, "an older agent does not count them");
}

#[tokio::test]
async fn a_cluster_whose_agents_were_taken_away_is_forgotten_and_the_fleet_is_ready_without_it() {
    let mut changes = site();
    changes.jobs.clear();
    for incident in &mut changes.incidents {
        incident.doc.job_id = None;
    }
    let api = TestApi::with(changes).await;
    api.app.health.works(crate::health::Part::Start);
    connect(&api, 1);
    connect(&api, 2);
    observe(&api, 1, CLUSTER, listing());
    let path = "/api/v1/clusters/prod/remove";
    let busy = api.post(path, json!({})).await;
    assert_eq!((busy.status, &busy.json()["code"]), (409, &json!("agents_connected")), "{}", busy.text);
    let session = api.app.sessions.number(id("agt", 1)).unwrap();
    api.app.sessions.remove(id("agt", 1), session);
    let would = api.post(path, json!({"dry_run": true})).await.ok();
    assert_eq!(
        (&would["name"], &would["agents"], &would["dry_run"]),
        (&"prod".into(), &1.into(), &true.into())
    );
    assert_eq!(api.get("/api/v1/clusters/prod").await.status, 200, "a dry run writes nothing");
    let gone = api.post(path, json!({"reason": "scrapped"})).await.ok();
    assert_eq!((&gone["id"], &gone["agents"]), (&CLUSTER.into(), &1.into()));
    assert_eq!(api.get("/api/v1/clusters/prod").await.status, 404);
    assert!(!api.app.view.read().clusters.contains_key(CLUSTER));
    let status = status(&api).await;
    assert_eq!((&status["clusters"], &status["ready"]), (&json!([]), &true.into()), "{status}");
    assert_eq!(status["agents"]["revoked"], 1);
    assert_eq!(api.post(path, json!({})).await.status, 404, "it is not there a second time");
    assert!(api.actions().await.contains(&"cluster.removed".to_owned()));
}

#[tokio::test]
async fn a_pod_whose_enrolment_is_under_way_goes_with_its_cluster() {
    let mut changes = site();
    changes.jobs.clear();
    for incident in &mut changes.incidents {
        incident.doc.job_id = None;
    }
    let api = TestApi::with(changes).await;
    let enrolling = api.app.removal.read().await;
    let enrols = async {
        tokio::task::yield_now().await;
        let known = api.app.docs().await.unwrap().agents.iter().next().unwrap().doc.clone();
        let agent =
            Agent { id: id("agt", 9), name: "n5".into(), bound_cluster: Some(CLUSTER.into()), ..known };
        let agents = vec![Versioned::new(agent)];
        api.app.commit(&ChangeSet { agents, ..ChangeSet::default() }).await.unwrap();
        drop(enrolling);
    };
    let order = api.post("/api/v1/clusters/prod/remove", json!({"force": true}));
    let (removed, ()) = tokio::join!(order, enrols);
    assert_eq!(removed.ok()["agents"], 2, "the one that came meanwhile is refused too");
    let all = api.app.store().all::<Agent>().await.unwrap();
    assert!(all.iter().filter(|agent| agent.doc.bound_cluster.is_some()).all(|a| a.doc.revoked_at.is_some()));
}
