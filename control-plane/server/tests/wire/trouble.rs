//! Tests of a store that does not answer, of a full disk, and of a process that is killed.

use std::path::Path;
use std::time::Duration;

use nimbus_control_core::model::{Agent, AgentKind, Job, JobState};
use nimbus_control_plane::{Config, ControlPlane};
use nimbus_protocol::v1;
use nimbus_protocol::v1::agent_frame::Body as ToServer;
use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::v1::observation::Body;
use nimbus_protocol::v1::server_frame::Body as FromServer;
use sqlx::Connection as _;

use crate::cluster::{UID, crashing, deployment, healthy, listing, status};
use crate::common::{Identity, closed, config, host, join, read, start, until, within, write};
use crate::heal;

/// What a crash leaves: the files as they are at this moment.
fn image(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // Copies the permission bits too.
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Somebody with the database in their hands.
async fn intruder(dir: &Path) -> sqlx::SqliteConnection {
    let url = format!("sqlite://{}", dir.join("nimbus.db").display());
    sqlx::SqliteConnection::connect(&url).await.unwrap()
}

async fn run(intruder: &mut sqlx::SqliteConnection, sql: &str) {
    sqlx::query(sqlx::AssertSqlSafe(sql.to_owned())).execute(intruder).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_the_database_refuses_is_not_acknowledged_and_is_taken_when_it_comes_again() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(heal::quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let other = join(&plane, "other", AgentKind::Host).await;
    let mut session = heal::connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    heal::enable(&plane).await;
    let (job, _) = heal::job(&mut session, &identity).await;
    let state = async || plane.app().store().get::<Job>(&job.job_id).await.unwrap().unwrap().doc.state;
    until("a dispatched job", async || (state().await == JobState::Dispatched).then_some(())).await;

    let mut intruder = intruder(dir.path()).await;
    let refuse =
        "CREATE TRIGGER refused BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    run(&mut intruder, refuse).await;
    let accepted = heal::report(&job, Phase::Accepted);
    write(&mut session.send, ToServer::JobReport(accepted.clone())).await;
    let acknowledged = async {
        // Until the session ends, which it does over this report.
        while let Ok(frame) = read(&mut session.recv).await {
            if matches!(frame, FromServer::JobReportAck(_)) {
                return true;
            }
        }
        false
    };
    assert!(!within("the end of the session", acknowledged).await, "acknowledged without a commit");
    assert_eq!(state().await, JobState::Dispatched);
    // Nobody else waits for it.
    let unknown = v1::JobReport { job_id: "job_nowhere".into(), ..heal::report(&job, Phase::Failed) };
    other.connect(&plane).await.report(unknown).await;
    assert!(plane.app().health.ready(), "{:?}", plane.app().health.problems());

    run(&mut intruder, "DROP TRIGGER refused").await;
    let mut session = heal::connect(&plane, &identity).await;
    session.report(accepted).await;
    assert_eq!(state().await, JobState::Running);
    plane.stop().await;
}

async fn hostname(plane: &ControlPlane, identity: &Identity) -> String {
    plane.app().store().get::<Agent>(&identity.id).await.unwrap().unwrap().doc.hostname
}

fn named(hostname: &str) -> Vec<Body> {
    vec![Body::AgentStatus(v1::AgentStatus { hostname: hostname.into(), ..Default::default() })]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_skipped_only_where_the_database_will_never_take_it() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let one = join(&plane, "one", AgentKind::Host).await;
    let two = join(&plane, "two", AgentKind::Host).await;
    let (mut first, mut second) = (one.connect(&plane).await, two.connect(&plane).await);
    let is = async |identity: &Identity, name: &str| {
        until(name, async || (hostname(&plane, identity).await == name).then_some(())).await;
    };
    let mut intruder = intruder(dir.path()).await;
    let refuse = "CREATE TRIGGER refused BEFORE UPDATE ON agents WHEN NEW.doc LIKE '%unheard-of%'
                  BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    run(&mut intruder, refuse).await;
    first.tell("", named("unheard-of")).await;
    second.tell("", named("taken")).await;
    is(&two, "taken").await;
    assert!(plane.app().health.ready(), "{:?}", plane.app().health.problems());

    // A table that is gone takes no row at all: that is the database's fault, and no status is lost over it.
    run(&mut intruder, "ALTER TABLE agents RENAME TO mislaid").await;
    first.tell("", named("late")).await;
    let app = plane.app();
    until("an unready process", async || (!app.health.ready()).then_some(())).await;
    run(&mut intruder, "ALTER TABLE mislaid RENAME TO agents").await;
    is(&one, "late").await;
    until("a ready process", async || app.health.ready().then_some(())).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_acknowledged_while_the_store_does_not_answer_and_all_of_it_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let mut session = identity.connect(&plane).await;
    session.send_blank(1..=3).await;
    assert_eq!(session.ack().await, 3);

    let url = format!("sqlite://{}", dir.path().join("nimbus.db").display());
    let mut intruder = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut intruder).await.unwrap();
    session.send_blank(4..=9).await;
    let app = plane.app();
    until("an unready process", async || (!app.health.ready()).then_some(())).await;
    let problems = app.health.problems();
    assert!(problems.iter().any(|problem| problem.contains("nimbus.db")), "{problems:?}");
    // The session lives on meanwhile.
    write(&mut session.send, ToServer::Heartbeat(v1::Heartbeat::default())).await;
    assert!(matches!(session.control().await, FromServer::Heartbeat(_)));
    let early = tokio::time::timeout(Duration::from_millis(1), read(&mut session.data_recv)).await;
    assert!(early.is_err(), "acknowledged without a commit: {early:?}");
    sqlx::query("ROLLBACK").execute(&mut intruder).await.unwrap();
    assert_eq!(session.ack().await, 9);
    until("a ready process", async || app.health.ready().then_some(())).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_superseded_acknowledges_and_decides_nothing_more_and_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "edge", AgentKind::Host).await;
    let mut session = identity.connect(&plane).await;
    session.send_blank(1..=3).await;
    assert_eq!(session.ack().await, 3);
    let app = plane.app();
    assert!(app.health.ready());

    // As after a lock that was lost unnoticed: another one starts on the same database.
    let url = format!("sqlite://{}", dir.path().join("nimbus.db").display());
    let later = nimbus_store::Store::open(&url.parse().unwrap()).await.unwrap();
    assert_eq!(later.next_epoch().await.unwrap(), app.epoch + 1);
    let head = later.audit_head().await.unwrap();
    session.send_blank(4..=9).await;
    let minute = Duration::from_mins(1);
    let refused = plane.create_join_token(host("two"), minute, "operator").await.unwrap_err();
    assert!(refused.to_string().contains("started later"), "{refused}");
    let error = within("the end", plane.superseded()).await;
    assert!(error.is_superseded(), "{error}");
    assert!(!app.health.ready());
    let problems = app.health.problems();
    assert!(problems.iter().any(|problem| problem.contains("stop it")), "{problems:?}");
    plane.stop().await;
    assert!(read(&mut session.data_recv).await.is_err(), "nothing was acknowledged");
    assert_eq!(later.audit_head().await.unwrap(), head);
    assert_eq!(later.log_span().await.unwrap().rows, 1);
    later.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_too_many_is_told_when_to_come_back_and_finds_room_then() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(Config { max_connections: 1, ..config(dir.path()) }).await.unwrap();
    // Joining needs a connection too, and leaves it.
    let one = join(&plane, "one", AgentKind::Host).await;
    let two = until("room for the second to join", async || {
        let minute = Duration::from_mins(1);
        let token = plane.create_join_token(host("two"), minute, "operator").await.unwrap();
        crate::common::enrol(&plane, &token.to_string()).await.ok()
    });
    let two = two.await;
    let first = until("room for the first", async || one.connect_with(&plane, one.hello()).await.ok()).await;
    let connection = two.dial(&plane).await;
    let (mut send, mut recv) = connection.open_bi().await.unwrap();
    write(&mut send, ToServer::Hello(two.hello())).await;
    let answer = read(&mut recv).await.unwrap();
    let FromServer::Refusal(refusal) = answer else { panic!("{answer:?}") };
    assert_eq!(refusal.code, "overloaded");
    assert!((5_000..=7_500).contains(&refusal.retry_after_ms), "{refusal:?}");
    assert_eq!(closed(&connection).await.0, 3);
    first.connection.close(0u32.into(), b"");
    until("room again", async || two.connect_with(&plane, two.hello()).await.ok()).await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_at_any_moment_everything_acknowledged_is_there() {
    let (dir, left) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let plane = start(dir.path()).await;
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let hello = v1::Hello { cluster_uid: UID.into(), cluster_name: "kind".into(), ..identity.hello() };
    let mut session = identity.connect_with(&plane, hello.clone()).await.unwrap();
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(healthy("cart-a", "n1"))).await;
    session.tell(UID, vec![crashing("cart-a", "n1")]).await;
    let app = plane.app();
    until("an incident", async || app.docs().await.unwrap().incidents.first().cloned()).await;
    let incident = app.docs().await.unwrap().incidents[0].doc.id;
    let before = app.view.read().to_snapshot();
    // No snapshot was taken yet: the whole log is the tail.
    image(dir.path(), left.path());
    plane.stop().await;

    let plane = start(left.path()).await;
    assert_eq!(plane.app().view.read().to_snapshot(), before);
    let session = identity.connect_with(&plane, hello).await.unwrap();
    assert_eq!(session.welcome.acknowledged, 1 + 14 + 1);
    let app = plane.app();
    let open = app.store().open_incidents().await.unwrap();
    assert_eq!(open.iter().map(|open| open.doc.id).collect::<Vec<_>>(), [incident]);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_of_another_layout_is_listed_again_and_nothing_is_concluded_before() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let hello = v1::Hello { cluster_uid: UID.into(), cluster_name: "kind".into(), ..identity.hello() };
    let mut session = identity.connect_with(&plane, hello.clone()).await.unwrap();
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    until("an incident", async || plane.app().docs().await.unwrap().incidents.first().cloned()).await;
    let (next, last) = (session.next, plane.app().view.stored());
    plane.stop().await;
    let url = format!("sqlite://{}", dir.path().join("nimbus.db").display());
    let store = nimbus_store::Store::open(&url.parse().unwrap()).await.unwrap();
    store.save_snapshot(last + 1, b"\xff of a later Nimbus").await.unwrap();
    store.trim_log(last + 1).await.unwrap();
    store.close().await;

    let plane = start(dir.path()).await;
    let app = plane.app();
    assert!(app.view.needs_listing());
    let listed = |cluster: &nimbus_control_core::world::Inventory| !cluster.unlisted().is_empty();
    assert!(
        app.view.read().clusters.values().all(|c| c.pods.is_empty() && listed(c)),
        "histories alone are left"
    );
    let mut session = identity.connect_with(&plane, hello).await.unwrap();
    let FromServer::Resync(resync) = session.control().await else { panic!("expected a resync") };
    assert!(resync.reason.contains("rebuilt"), "{}", resync.reason);
    assert_eq!(app.store().open_incidents().await.unwrap().len(), 1, "unknown is not healthy");
    session.next = next;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    until("the inventory", async || (app.view.read().clusters.get(UID)?.pods.len() == 2).then_some(())).await;
    assert_eq!(app.store().all::<nimbus_control_core::model::Incident>().await.unwrap().len(), 1);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lasted_outlives_a_snapshot_that_does_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let hello = v1::Hello { cluster_uid: UID.into(), cluster_name: "kind".into(), ..identity.hello() };
    let mut session = identity.connect_with(&plane, hello).await.unwrap();
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(healthy("cart-a", "n1"))).await;
    session.tell(UID, vec![deployment(2)]).await;
    let good = "07".repeat(32);
    let is_known = |plane: &ControlPlane| {
        let world = plane.app().view.read();
        let history = world.clusters.get(UID).and_then(|cluster| cluster.histories.get("uid-cart"));
        history.is_some_and(|history| history.holding.as_ref().is_some_and(|h| h.template_hash == good))
    };
    until("a revision that holds", async || is_known(&plane).then_some(())).await;
    let last = plane.app().view.stored();
    plane.stop().await;
    let url = format!("sqlite://{}", dir.path().join("nimbus.db").display());
    let store = nimbus_store::Store::open(&url.parse().unwrap()).await.unwrap();
    store.save_snapshot(last + 1, b"\xff of a later Nimbus").await.unwrap();
    store.trim_log(last + 1).await.unwrap();
    store.close().await;

    let plane = start(dir.path()).await;
    assert!(plane.app().view.needs_listing(), "nothing of the inventory came back");
    assert!(is_known(&plane));
    plane.stop().await;
    let plane = start(dir.path()).await;
    assert!(is_known(&plane), "also after a start with nothing to add");
    plane.stop().await;
}
