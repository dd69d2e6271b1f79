//! Tests of a whole agent against a small test control plane: what it observes, which jobs it runs and which it
//! refuses.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::plane::{AGENT, Plane};
use nimbus_agent::{Agent, Config};
use nimbus_protocol::Scope;
use nimbus_protocol::action::{self, Body};
use nimbus_protocol::digest::{PlanFacts, plan_digest};
use nimbus_protocol::v1::job_report::Phase;
use nimbus_protocol::v1::{self, observation};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

pub struct Site {
    pub dir: tempfile::TempDir,
    pub root: PathBuf,
    pub plane: Plane,
    pub agent: Agent,
}

pub fn config(dir: &Path, plane: &Plane) -> Config {
    let mut config = Config::new(dir.join("data"), plane.server());
    config.watch = vec![dir.join("root")];
    config.host_interval = Duration::from_millis(200);
    config.telemetry = Some("127.0.0.1:0".parse().unwrap());
    config
}

impl Site {
    pub async fn new() -> Self {
        Self::of(Plane::start()).await
    }

    async fn of(plane: Plane) -> Self {
        Self::with(plane, |_| {}).await
    }

    /// An agent that joined and watches a root with one file, whose baseline is taken.
    pub async fn with(mut plane: Plane, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("app.ini"), "port = 80\n").unwrap();
        let policy = format!(
            "allow = [\"restore_file\", \"accept_baseline\"]\npaths = [{0:?}]\ndiff_paths = [{0:?}]\n",
            root.to_str().unwrap()
        );
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/policy.toml"), policy).unwrap();
        let mut config = config(dir.path(), &plane);
        config.join = Some(plane.token().to_string());
        change(&mut config);
        let agent = Agent::start(config).await.unwrap();
        plane
            .hear("a baseline", |body| match body {
                observation::Body::AgentStatus(s) => s.roots.first().filter(|r| r.files == 1).map(|_| ()),
                _ => None,
            })
            .await;
        Self { dir, root, plane, agent }
    }

    pub async fn file(&mut self, name: &str) -> v1::File {
        let path = self.root.join(name).to_str().unwrap().to_owned();
        self.plane
            .hear(&path, |body| match body {
                observation::Body::File(file) if file.path == path => Some(file),
                _ => None,
            })
            .await
    }

    pub fn content(&self) -> String {
        std::fs::read_to_string(self.root.join("app.ini")).unwrap()
    }
}

/// The job that puts this drift right.
pub fn restore(number: u8, drift: &v1::File) -> v1::Job {
    let action = v1::RestoreFile {
        root: drift.root.clone(),
        path: drift.path.clone(),
        expect_current: drift.current.as_ref().map(facts),
        restore_to: drift.baseline.as_ref().map(facts),
    };
    job(number, Body::RestoreFile(action))
}

fn facts(state: &v1::FileState) -> v1::FileFacts {
    v1::FileFacts {
        attributes_sha256: state.attributes.as_ref().map(|all| all.sha256.clone()).unwrap_or_default(),
        kind: state.kind.clone(),
        mode: state.mode,
        uid: state.uid,
        gid: state.gid,
        sha256: state.sha256.clone(),
    }
}

const INCIDENT: &str = "inc_00000000000000000000000000000001";

/// A job that Maria asked for and the operator approved.
fn job(number: u8, body: Body) -> v1::Job {
    job_of(number, action::encode(body))
}

/// The same, of an action in these bytes.
fn job_of(number: u8, action: Vec<u8>) -> v1::Job {
    let now = nimbus_protocol::to_micros(jiff::Timestamp::now());
    let digest = plan_digest(&PlanFacts {
        incident: INCIDENT.parse().unwrap(),
        scope: &Scope::Host(AGENT.parse().unwrap()),
        requested_by: "requester",
        needs_approval: true,
        action: &action,
    });
    let approval = v1::Approval {
        by: "operator".into(),
        at_us: now,
        plan_digest: digest.to_vec(),
        approval_id: "apr_00000000000000000000000000000001".into(),
    };
    v1::Job {
        job_id: format!("job_{number:032x}"),
        agent_id: AGENT.into(),
        not_before_us: now,
        expires_at_us: now + 60_000_000,
        epoch: 1,
        incident_id: INCIDENT.into(),
        plan_digest: digest.to_vec(),
        requested_by: "requester".into(),
        needs_approval: true,
        approvals: vec![approval],
        limits: Some(v1::Limits { act_ms: 5_000, verify_ms: 0, verify_timeout_ms: 5_000 }),
        action,
        ..v1::Job::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contents_leave_only_while_the_policy_names_the_path() {
    let mut site = Site::new().await;
    let policy = site.dir.path().join("data/policy.toml");
    std::fs::write(&policy, "").unwrap();
    std::fs::write(site.root.join("app.ini"), "port = 8080\nmore = 1\n").unwrap();
    let hidden = site.file("app.ini").await;
    assert_eq!((hidden.diff.as_str(), hidden.diff_withheld.as_str()), ("", "policy"));
    assert_eq!(hidden.lines, Some(v1::LineCounts { before: 1, after: 2, added: Some(2), removed: Some(1) }));
    // A person who names the path is shown what differs already, and one who takes it out again is not.
    std::fs::write(&policy, format!("diff_paths = [{:?}]\n", site.root.to_str().unwrap())).unwrap();
    let shown = site.file("app.ini").await;
    assert!(shown.diff.contains("-port = 80\n+port = 8080\n"), "{shown:?}");
    assert_eq!(shown.lines, hidden.lines);
    std::fs::write(&policy, "diff_paths = [\n").unwrap();
    let broken = site.file("app.ini").await;
    assert_eq!((broken.diff.as_str(), broken.diff_withheld.as_str()), ("", "policy"), "a broken policy");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drift_is_seen_put_back_by_a_job_and_reported() {
    let mut site = Site::new().await;
    std::fs::write(site.root.join("app.ini"), "port = 8080\n").unwrap();
    std::fs::set_permissions(site.root.join("app.ini"), PermissionsExt::from_mode(0o666)).unwrap();
    let mut drift = site.file("app.ini").await;
    while drift.current.as_ref().unwrap().mode != 0o666 {
        drift = site.file("app.ini").await;
    }
    assert!(drift.diff.contains("-port = 80\n") && drift.diff.contains("+port = 8080\n"), "{}", drift.diff);

    let order = restore(1, &drift);
    site.plane.job(&order);
    // Over the control stream, which no inventory delays.
    site.plane.report(&order.job_id, Phase::Accepted).await;
    site.plane.report(&order.job_id, Phase::Applied).await;
    let right = site.file("app.ini").await;
    assert_eq!(right.baseline, right.current);
    let end = site.plane.report(&order.job_id, Phase::Succeeded).await;
    assert!(end.reason.contains("as in the baseline"), "{}", end.reason);
    assert_eq!(site.content(), "port = 80\n");
    site.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_copy_a_changed_bit_and_a_changed_file_are_refused_each_with_its_reason() {
    let mut site = Site::new().await;
    std::fs::write(site.root.join("app.ini"), "port = 1\n").unwrap();
    let drift = site.file("app.ini").await;
    let order = restore(2, &drift);
    let envelope = site.plane.job(&order);
    site.plane.report(&order.job_id, Phase::Succeeded).await;
    std::fs::write(site.root.join("app.ini"), "port = 1\n").unwrap();
    site.file("app.ini").await;
    site.plane.send(envelope.clone());
    let refused = site.plane.report(&order.job_id, Phase::ReplayRefused).await;
    assert_eq!(refused.code, "replayed");

    let mut changed = envelope;
    let at = changed.payload.len() / 2;
    changed.payload[at] ^= 1;
    site.plane.send(changed);
    assert_eq!(site.plane.report("", Phase::Refused).await.code, "bad_signature");

    let late = restore(3, &drift);
    std::fs::write(site.root.join("app.ini"), "port = 2\n").unwrap();
    site.plane.job(&late);
    let refused = site.plane.report(&late.job_id, Phase::Refused).await;
    assert_eq!(refused.code, "precondition_failed");
    assert_eq!(site.content(), "port = 2\n");
    site.agent.stop().await;
}

/// A frame whose one field, a job's at its number plus 100, no agent of this version knows.
#[derive(Clone, PartialEq, prost::Message)]
struct NewerFrame {
    #[prost(message, optional, tag = "104")]
    job: Option<v1::Envelope>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_control_plane_is_listened_to_and_obeyed_in_what_is_understood() {
    let mut site = Site::new().await;
    std::fs::write(site.root.join("app.ini"), "port = 1\n").unwrap();
    let drift = site.file("app.ini").await;
    let good = restore(20, &drift);
    let envelope = nimbus_protocol::signed::sign(&good, &site.plane.job_key).envelope().clone();
    site.plane.send_frame(&NewerFrame { job: Some(envelope) });

    // The same action with a field 100 in it, planned and approved with it.
    let Ok(Body::RestoreFile(action)) = action::decode(&good.action) else { panic!() };
    let more = [&prost::Message::encode_to_vec(&action)[..], &[0xa0, 0x06, 0x01]].concat();
    let mut bytes = vec![0x1a];
    prost::encoding::encode_varint(more.len() as u64, &mut bytes);
    bytes.extend(more);
    let newer = job_of(21, bytes);
    site.plane.job(&newer);
    let refused = site.plane.report(&newer.job_id, Phase::Refused).await;
    assert_eq!(refused.code, "not_understood");
    assert_eq!(site.content(), "port = 1\n");

    site.plane.job(&good);
    site.plane.report(&good.job_id, Phase::Succeeded).await;
    assert_eq!(site.content(), "port = 80\n");
    site.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_local_policy_does_not_allow_is_refused_and_the_policy_is_read_each_time() {
    let mut site = Site::new().await;
    std::fs::write(site.root.join("app.ini"), "port = 1\n").unwrap();
    let drift = site.file("app.ini").await;
    let policy = site.dir.path().join("data/policy.toml");
    let allowed = std::fs::read_to_string(&policy).unwrap();
    for (number, text) in [(4, "allow = []"), (5, "this is no TOML")] {
        std::fs::write(&policy, text).unwrap();
        let order = restore(number, &drift);
        site.plane.job(&order);
        assert_eq!(site.plane.report(&order.job_id, Phase::Refused).await.code, "policy_forbids");
    }
    assert!(site.agent.status().borrow().problems.iter().any(|p| p.contains("only observes")));
    assert_eq!(site.content(), "port = 1\n");
    std::fs::write(&policy, allowed).unwrap();
    let order = restore(6, &drift);
    site.plane.job(&order);
    site.plane.report(&order.job_id, Phase::Succeeded).await;
    site.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accepted_baseline_is_the_truth_after_a_restart() {
    let mut site = Site::new().await;
    std::fs::write(site.root.join("app.ini"), "port = 443\n").unwrap();
    let drift = site.file("app.ini").await;
    let order = v1::AcceptBaseline {
        root: drift.root.clone(),
        path: drift.path.clone(),
        expect_current: drift.current.as_ref().map(facts),
    };
    let order = job(7, Body::AcceptBaseline(order));
    site.plane.job(&order);
    let right = site.file("app.ini").await;
    assert_eq!(right.baseline, right.current);
    site.plane.report(&order.job_id, Phase::Succeeded).await;
    site.agent.stop().await;

    let agent = Agent::start(config(site.dir.path(), &site.plane)).await.unwrap();
    std::fs::write(site.root.join("app.ini"), "port = 1\n").unwrap();
    site.agent = agent;
    let drift = site.file("app.ini").await;
    assert!(drift.diff.contains("-port = 443"), "{}", drift.diff);
    site.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_was_not_acknowledged_is_sent_again_after_a_restart_and_then_no_more() {
    let mut site = Site::new().await;
    std::fs::write(site.root.join("app.ini"), "port = 1\n").unwrap();
    let drift = site.file("app.ini").await;
    let first_job = restore(8, &drift);
    site.plane.acknowledge_reports(false);
    site.plane.job(&first_job);
    let first = site.plane.report(&first_job.job_id, Phase::Succeeded).await;
    site.agent.stop().await;

    site.plane.acknowledge_reports(true);
    site.agent = Agent::start(config(site.dir.path(), &site.plane)).await.unwrap();
    for phase in [Phase::Accepted, Phase::Applied] {
        site.plane.report(&first_job.job_id, phase).await;
    }
    assert_eq!(site.plane.report(&first_job.job_id, Phase::Succeeded).await, first);
    // Once the next job was answered, the acknowledgements before it were read, and are in the journal.
    std::fs::write(site.root.join("app.ini"), "port = 2\n").unwrap();
    let drift = site.file("app.ini").await;
    let next = restore(9, &drift);
    site.plane.job(&next);
    site.plane.hear_report("an answer to the next job", |report| report.job_id == next.job_id).await;
    std::fs::write(site.root.join("app.ini"), "port = 3\n").unwrap();
    let drift = site.file("app.ini").await;
    let other = restore(10, &drift);
    site.agent.stop().await;
    site.agent = Agent::start(config(site.dir.path(), &site.plane)).await.unwrap();
    let live = async {
        while !site.agent.status().borrow().connected {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), live).await.expect("never connected");
    site.plane.job(&other);
    // What was acknowledged is gone from the journal too: nothing of the first job is said again.
    let mut said = Vec::new();
    while said.last() != Some(&other.job_id) {
        said.push(site.plane.hear_report("any", |_| true).await.job_id);
    }
    assert!(!said.contains(&first_job.job_id), "{said:?}");
    site.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_told_again_when_asked_and_host_health_comes_by_itself() {
    let mut site = Site::new().await;
    let host = |body| if let observation::Body::Host(host) = body { Some(host) } else { None };
    assert!(site.plane.hear("the host", host).await.memory_total_bytes > 0);
    std::fs::write(site.root.join("app.ini"), "port = 1\n").unwrap();
    site.file("app.ini").await;
    site.plane.resync();
    let mark = |body| if let observation::Body::Sync(mark) = body { Some(mark) } else { None };
    let begin = site.plane.hear("the first mark", mark).await;
    assert_eq!((begin.kind.as_str(), begin.phase()), ("File", v1::sync_mark::Phase::Begin));
    let again = site.file("app.ini").await;
    assert_ne!(again.baseline, again.current);
    assert_eq!(site.plane.hear("the last mark", mark).await.phase(), v1::sync_mark::Phase::End);
    site.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_over_the_live_session_with_the_same_key() {
    // Two thirds of this life passed at once: five seconds before now, two after.
    let site = Site::of(Plane::with_life(Duration::from_secs(2))).await;
    let cert = site.dir.path().join("data/identity/cert.pem");
    let kept = || CertificateDer::from_pem_slice(&std::fs::read(&cert).unwrap()).unwrap().to_vec();
    let renewed = async {
        while site.plane.renewed().is_none_or(|renewed| renewed != kept()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.expect("never renewed");
    site.agent.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readiness_follows_the_session_and_a_second_agent_on_the_same_data_is_refused() {
    let site = Site::new().await;
    let address = site.agent.telemetry_addr().unwrap();
    let (head, body) = get(address, "/readyz").await;
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("connected: true"), "{head} {body}");
    let (_, metrics) = get(address, "/metrics").await;
    assert!(metrics.contains("nimbus_agent_watched_files 1"), "{metrics}");
    let mut second = config(site.dir.path(), &site.plane);
    second.telemetry = None;
    let error = Agent::start(second.clone()).await.unwrap_err().to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    site.agent.stop().await;

    second.server = "127.0.0.1:1".to_owned();
    second.telemetry = Some("127.0.0.1:0".parse().unwrap());
    let agent = Agent::start(second).await.unwrap();
    let (head, _) = get(agent.telemetry_addr().unwrap(), "/readyz").await;
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    let (head, _) = get(agent.telemetry_addr().unwrap(), "/healthz").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    agent.stop().await;
}

#[test]
fn more_jobs_of_one_root_than_the_shipped_runtime_has_threads_all_end() {
    let runtime = nimbus_agent::runtime().unwrap();
    let all = runtime.block_on(async {
        tokio::time::timeout(Duration::from_mins(1), Box::pin(jobs_of_one_root(6 * nimbus_agent::BLOCKING)))
            .await
    });
    // Dropping it would wait for threads that wait for each other.
    runtime.shutdown_background();
    assert!(all.is_ok(), "the jobs wait for each other for ever");
}

/// So many files were added; so many jobs remove them again, all at once.
async fn jobs_of_one_root(many: usize) {
    let mut site = Site::new().await;
    for number in 0..many {
        std::fs::write(site.root.join(format!("added-{number}")), "x = 1\n").unwrap();
    }
    let mut drifts = std::collections::BTreeMap::new();
    while drifts.len() < many {
        let added = site.plane.hear("what was added", |body| match body {
            observation::Body::File(file) if file.path.contains("/added-") => Some(file),
            _ => None,
        });
        let added = added.await;
        drifts.insert(added.path.clone(), added);
    }
    let mut open: std::collections::BTreeSet<String> = (10..)
        .zip(drifts.values())
        .map(|(number, drift)| {
            let order = restore(number, drift);
            site.plane.job(&order);
            order.job_id
        })
        .collect();
    while !open.is_empty() {
        let ends = |report: &v1::JobReport| !matches!(report.phase(), Phase::Accepted | Phase::Applied);
        let report = site.plane.hear_report("the end of every job", ends).await;
        assert_eq!(report.phase(), Phase::Succeeded, "{}", report.reason);
        open.remove(&report.job_id);
    }
    assert_eq!(std::fs::read_dir(&site.root).unwrap().count(), 1);
    site.agent.stop().await;
}

pub async fn get(address: std::net::SocketAddr, path: &str) -> (String, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_root_that_went_is_watched_anew_when_it_is_back_and_another_in_its_place_is_a_problem() {
    let mut site = Site::new().await;
    let aside = site.dir.path().join("aside");
    std::fs::rename(&site.root, &aside).unwrap();
    let gone = site.file("app.ini").await;
    assert_eq!(gone.current.unwrap().kind, "absent");
    std::fs::rename(&aside, &site.root).unwrap();
    let back = site.file("app.ini").await;
    assert_eq!(back.baseline, back.current);
    // Noticed again, not only found by the next pass in five minutes.
    std::fs::write(site.root.join("app.ini"), "port = 9\n").unwrap();
    let drift = site.file("app.ini").await;
    assert!(drift.diff.contains("port = 80"), "{}", drift.diff);

    std::fs::rename(&site.root, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &site.root).unwrap();
    let mut status = site.agent.status();
    let said = |status: &nimbus_agent::Status| {
        status.roots.iter().any(|root| root.problem.contains("a link or a file in its place"))
    };
    tokio::time::timeout(Duration::from_secs(30), status.wait_for(said)).await.unwrap().unwrap();
    let order = restore(40, &drift);
    site.plane.job(&order);
    let refused = site.plane.report(&order.job_id, Phase::Refused).await;
    assert_eq!(refused.code, "precondition_failed");
    assert_eq!(std::fs::read_to_string(aside.join("app.ini")).unwrap(), "port = 9\n");
    site.agent.stop().await;
}
