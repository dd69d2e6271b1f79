//! Tests the way from an observation to a signed job and back to a resolved incident, with an agent that only
//! implements the wire protocol.

use std::path::Path;

use crate::cluster::{UID, crashing, deployment, gone, healthy, listing, replica_set, status};
use crate::common::{Identity, Session, config, join, start, until, within};
use nimbus_control_core::model::{
    ActionKind, AgentKind, Cluster, Incident, IncidentState, Job, JobState, Mode,
};
use nimbus_control_core::remediation;
use nimbus_control_plane::{Config, ControlPlane};
use nimbus_protocol::action::{self, Body as Action};
use nimbus_protocol::signed::Signed;
use nimbus_protocol::v1;
use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::v1::observation::Body;
use nimbus_protocol::v1::server_frame::Body as FromServer;

/// Short times, so that a settled owner is settled soon.
pub fn quick(dir: &Path) -> Config {
    let mut config = config(dir);
    config.settings.verify_ms = 50;
    config.settings.verify_timeout_ms = 1_000;
    config
}

pub async fn connect(plane: &ControlPlane, identity: &Identity) -> Session {
    let hello = v1::Hello { cluster_uid: UID.into(), cluster_name: "kind".into(), ..identity.hello() };
    identity.connect_with(plane, hello).await.unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

pub async fn enable(plane: &ControlPlane) {
    let app = plane.app();
    // An agent's hello may be between the two.
    for _ in 0..10 {
        let cluster = app.store().get::<Cluster>(UID).await.unwrap().unwrap();
        let changes =
            remediation::enable(&cluster, &[ActionKind::RestartPod], Some(Mode::Act), "operator", app.now())
                .unwrap();
        match app.commit(&changes).await {
            Ok(_) => return,
            Err(error) => assert!(error.is_conflict(), "{error}"),
        }
    }
    panic!("ten conflicts in a row");
}

async fn incidents(plane: &ControlPlane) -> Vec<Incident> {
    plane.app().store().all::<Incident>().await.unwrap().into_iter().map(|incident| incident.doc).collect()
}

/// The next job that the agent gets; it believes only a signature of the keys it got at enrolment.
pub async fn job(session: &mut Session, identity: &Identity) -> (v1::Job, v1::Envelope) {
    loop {
        match session.control().await {
            FromServer::Job(envelope) => {
                let key: [u8; 32] = identity.job_keys[0].clone().try_into().unwrap();
                let keys = [ed25519_dalek::VerifyingKey::from_bytes(&key).unwrap()];
                let verified = Signed::<v1::Job>::from_envelope(envelope.clone()).verify(&keys).unwrap();
                return (verified.into_inner(), envelope);
            }
            FromServer::Heartbeat(_) | FromServer::Resync(_) => {}
            other => panic!("expected a job, found {other:?}"),
        }
    }
}

pub fn report(job: &v1::Job, phase: Phase) -> v1::JobReport {
    v1::JobReport {
        job_id: job.job_id.clone(),
        phase: phase.into(),
        at_us: nimbus_protocol::to_micros(nimbus_platform::now()),
        evidence: vec!["pod cart-c is ready".into()],
        ..Default::default()
    }
}

async fn state(plane: &ControlPlane, job: &v1::Job) -> JobState {
    plane.app().store().get::<Job>(&job.job_id).await.unwrap().unwrap().doc.state
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_that_come_before_the_agent_says_which_cluster_it_watches_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    let Body::AgentStatus(said) = status() else { panic!("a status") };
    let early =
        v1::AgentStatus { cluster_uid: String::new(), cluster_name: String::new(), leading: false, ..said };
    session.tell("", vec![Body::AgentStatus(early)]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    session.tell("another-cluster", listing(crashing("cart-a", "n1"))).await;
    session.tell("", vec![status()]).await;
    until("an incident", async || incidents(&plane).await.pop()).await;
    let clusters: Vec<String> = plane.app().view.read().clusters.keys().cloned().collect();
    assert_eq!(clusters, [UID], "one agent reports for one cluster");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_becomes_a_signed_job_and_is_resolved_with_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    // Observed only, until an operator says otherwise.
    let seen = until("an incident", async || incidents(&plane).await.pop()).await;
    let why = until("a reason", async || {
        incidents(&plane).await.pop().filter(|i| i.reason.contains("autonomous enable")).map(|i| i.reason)
    });
    why.await;
    assert_eq!(seen.cluster, "kind");
    assert!(plane.app().store().all::<Job>().await.unwrap().is_empty());
    let mut enabled = plane.enabled_clusters();
    enable(&plane).await;
    let (job, _) = job(&mut session, &identity).await;
    let told = within("the enabled clusters", enabled.wait_for(|clusters| !clusters.is_empty())).await;
    assert_eq!(*told.unwrap(), [(UID.to_owned(), vec![ActionKind::RestartPod])]);
    assert_eq!((job.agent_id.as_str(), job.cluster_uid.as_str()), (identity.id.as_str(), UID));
    assert_eq!((job.epoch, job.incident_id.clone()), (plane.app().epoch, seen.id.to_string()));
    let Ok(Action::RestartPod(restart)) = action::decode(&job.action) else { panic!("{job:?}") };
    assert_eq!(restart.pod.as_ref().unwrap().uid, "uid-cart-a");
    assert!(restart.avoid_node);

    session.report(report(&job, Phase::Accepted)).await;
    session.report(report(&job, Phase::Applied)).await;
    until("a running job", async || (state(&plane, &job).await == JobState::Running).then_some(())).await;
    let new = vec![gone("cart-a"), healthy("cart-c", "n2"), replica_set(2), deployment(2)];
    session.tell(UID, new).await;
    // Told twice, counted once.
    let done = report(&job, Phase::Succeeded);
    session.report(done.clone()).await;
    session.report(done).await;
    let over = until("a resolved incident", async || {
        incidents(&plane).await.pop().filter(|incident| incident.state == IncidentState::Resolved)
    });
    let over = over.await;
    assert_eq!((over.id, over.attempts), (seen.id, 1));
    assert_eq!(state(&plane, &job).await, JobState::Succeeded);
    assert_eq!(incidents(&plane).await.len(), 1);
    let rows = plane.app().store().audit_rows(1, 500).await.unwrap();
    let actions: Vec<&str> = rows.iter().map(|row| row.draft.action.as_str()).collect();
    for action in
        ["agent.enrolled", "incident.opened", "plan.made", "job.signed", "job.sent", "incident.resolved"]
    {
        assert_eq!(actions.iter().filter(|found| **found == action).count(), 1, "{action} in {actions:?}");
    }
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_answered_comes_again_byte_for_byte_after_a_reconnect_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    let next = session.next;
    enable(&plane).await;
    let (first, envelope) = job(&mut session, &identity).await;
    session.connection.close(0u32.into(), b"");

    let mut session = connect(&plane, &identity).await;
    assert_eq!(job(&mut session, &identity).await, (first.clone(), envelope.clone()));
    plane.stop().await;

    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let mut session = connect(&plane, &identity).await;
    assert_eq!(session.welcome.acknowledged, next - 1);
    assert_eq!(job(&mut session, &identity).await, (first.clone(), envelope));
    // What was observed before the restart is still known, and the report closes the circle.
    session.next = next;
    session.report(report(&first, Phase::Accepted)).await;
    session.report(report(&first, Phase::Applied)).await;
    let new = vec![gone("cart-a"), healthy("cart-c", "n2"), replica_set(2), deployment(2)];
    session.tell(UID, new).await;
    session.report(report(&first, Phase::Succeeded)).await;
    until("a resolved incident", async || {
        incidents(&plane).await.pop().filter(|incident| incident.state == IncidentState::Resolved)
    })
    .await;
    let jobs = plane.app().store().all::<Job>().await.unwrap();
    assert_eq!(jobs.len(), 1);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_job_says_why_and_is_planned_anew() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    enable(&plane).await;
    let (first, _) = job(&mut session, &identity).await;
    let refusal = v1::JobReport {
        job_id: first.job_id.clone(),
        phase: Phase::Refused.into(),
        code: "precondition_failed".into(),
        reason: "expected CrashLoopBackOff, found Running".into(),
        ..Default::default()
    };
    session.report(refusal).await;
    until("a refused job", async || (state(&plane, &first).await == JobState::Refused).then_some(())).await;
    let incident = incidents(&plane).await.pop().unwrap();
    assert!(incident.history.iter().any(|entry| entry.text.contains("found Running")), "{incident:#?}");
    let (second, _) = job(&mut session, &identity).await;
    assert_ne!(second.job_id, first.job_id);
    assert_eq!(second.incident_id, first.incident_id);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_reports_only_for_its_own_cluster_and_only_on_its_own_jobs() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    enable(&plane).await;
    let (first, _) = job(&mut session, &identity).await;

    let host = join(&plane, "host", AgentKind::Host).await;
    let mut other = host.connect(&plane).await;
    other.tell(UID, listing(healthy("cart-a", "n1"))).await;
    other.tell("another", listing(crashing("cart-x", "n1"))).await;
    other.report(report(&first, Phase::Succeeded)).await;
    let app = plane.app();
    until("everything applied", async || (app.view.routed() == app.view.stored()).then_some(())).await;
    assert!(!matches!(state(&plane, &first).await, JobState::Succeeded));
    assert_eq!(app.view.read().clusters.keys().collect::<Vec<_>>(), [UID]);
    assert_eq!(app.view.read().clusters[UID].leader.unwrap().to_string(), identity.id);
    assert_eq!(app.store().all::<Cluster>().await.unwrap().len(), 1);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_rebuilds_the_world_from_the_snapshot_and_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(healthy("cart-a", "n1"))).await;
    let app = plane.app().clone();
    until("everything applied", async || (app.view.routed() == app.view.stored()).then_some(())).await;
    let before = app.view.read().to_snapshot();
    plane.stop().await;
    // A snapshot was taken at the stop, and nothing of the log is needed any more.
    let plane = start(dir.path()).await;
    assert_eq!(plane.app().view.read().to_snapshot(), before);
    assert!(!plane.app().view.needs_listing());
    let mut session = connect(&plane, &identity).await;
    session.next = session.welcome.acknowledged + 1;
    session.tell(UID, vec![gone("cart-b")]).await;
    let app = plane.app().clone();
    until("everything applied", async || (app.view.applied() == app.view.stored()).then_some(())).await;
    assert_eq!(app.view.read().clusters[UID].pods.len(), 1);
    let before = app.view.read().to_snapshot();
    drop(plane);
    // Without a goodbye: the tail of the log is read again.
    let plane = until("the data directory", async || {
        nimbus_control_plane::ControlPlane::start(config(dir.path())).await.ok()
    });
    assert_eq!(plane.await.app().view.read().to_snapshot(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_acknowledged_after_its_commit_and_taken_once_however_often_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let plane = ControlPlane::start(quick(dir.path())).await.unwrap();
    let identity = join(&plane, "kind", AgentKind::Cluster).await;
    let mut session = connect(&plane, &identity).await;
    session.tell(UID, vec![status()]).await;
    session.tell(UID, listing(crashing("cart-a", "n1"))).await;
    enable(&plane).await;
    let (job, _) = job(&mut session, &identity).await;
    let accepted = report(&job, Phase::Accepted);
    session.report(accepted.clone()).await;
    // Acknowledged is committed: nobody has to wait for it.
    assert_eq!(state(&plane, &job).await, JobState::Running);
    let rows = async |action: &str| {
        let rows = plane.app().store().audit_rows(1, 500).await.unwrap();
        rows.iter().filter(|row| row.draft.action == action).count()
    };
    // The acknowledgement was lost with the connection: the report comes again.
    session.connection.close(0u32.into(), b"");
    let mut session = connect(&plane, &identity).await;
    session.report(accepted).await;
    assert_eq!(rows("job.accepted").await, 1);
    // A refusal of a copy, and a job that nobody knows: each is a row of its own, and none when it comes again.
    let replayed = v1::JobReport { code: "replayed".into(), ..report(&job, Phase::ReplayRefused) };
    let unknown = v1::JobReport { job_id: "job_nowhere".into(), ..report(&job, Phase::Failed) };
    for report in [&replayed, &replayed, &unknown, &unknown] {
        session.report(report.clone()).await;
    }
    assert_eq!((rows("job.replay_refused").await, rows("job.report_unknown").await), (1, 1));
    // Of a flood of them some are audited, and all are acknowledged.
    for n in 0..50 {
        session.report(v1::JobReport { job_id: format!("job_{n}"), ..unknown.clone() }).await;
    }
    assert_eq!(rows("job.report_unknown").await + rows("job.replay_refused").await, 10);
    assert_eq!(state(&plane, &job).await, JobState::Running);
    plane.stop().await;
}
