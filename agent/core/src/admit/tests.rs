//! Tests of admission: which signed jobs the agent runs, and which it refuses with which reason.
#![allow(clippy::unnecessary_wraps, reason = "the fields of messages are optional")]

use ed25519_dalek::SigningKey;
use nimbus_protocol::Scope;
use nimbus_protocol::action::encode;
use nimbus_protocol::digest::{PlanFacts, plan_digest};
use nimbus_protocol::signed::sign;
use nimbus_protocol::to_micros;
use prost::Message as _;

use super::*;
use crate::journal::{Effect, Journal, Phase, Step};

const AGENT: &str = "agt_00000000000000000000000000000001";
const INCIDENT: &str = "inc_00000000000000000000000000000001";
pub(super) const CLUSTER: &str = "0b9a7c1e-0000-4000-8000-000000000001";

pub(super) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(super) fn trusted() -> Vec<VerifyingKey> {
    vec![key(1).verifying_key()]
}

pub(super) fn me() -> Identity {
    Identity { agent_id: AGENT.parse().unwrap(), cluster_uid: CLUSTER.into() }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(2_000_000 + second).unwrap()
}

pub(super) fn policy() -> Policy {
    parse(&policy_text())
}

fn policy_text() -> String {
    format!(
        "allow = [\"restart_pod\", \"rollback_deployment\", \"restore_file\", \"accept_baseline\"]\n\
         clusters = [\"{CLUSTER}\"]\nnamespaces = [\"*\"]\npaths = [\"/etc/app\"]\n"
    )
}

pub(super) fn parse(text: &str) -> Policy {
    Policy::parse(text).unwrap().0
}

/// The id of the job with this number.
pub(crate) fn job_number(number: u128) -> JobId {
    format!("job_{number:032x}").parse().unwrap()
}

fn target(name: &str) -> Option<v1::Target> {
    Some(v1::Target { namespace: "shop".into(), name: name.into(), uid: format!("uid-{name}") })
}

/// The job with the digest of what it says now.
pub(super) fn planned(job: v1::Job) -> v1::Job {
    let on_host = job.cluster_uid.is_empty();
    let scope = if on_host { Scope::Host(me().agent_id) } else { Scope::Cluster(job.cluster_uid.clone()) };
    let digest = plan_digest(&PlanFacts {
        incident: job.incident_id.parse().unwrap(),
        scope: &scope,
        requested_by: &job.requested_by,
        needs_approval: job.needs_approval,
        action: &job.action,
    });
    let approvals = job.approvals.iter().map(|a| v1::Approval { plan_digest: digest.to_vec(), ..a.clone() });
    v1::Job { approvals: approvals.collect(), plan_digest: digest.to_vec(), ..job }
}

pub(super) fn restart_action() -> v1::RestartPod {
    v1::RestartPod {
        pod: target("pod"),
        owner: target("rs"),
        node: "n1".into(),
        container: "main".into(),
        min_restarts: 3,
        avoid_node: false,
        owner_kind: "ReplicaSet".into(),
    }
}

pub(super) fn restart(number: u128, from: Timestamp) -> v1::Job {
    planned(v1::Job {
        job_id: job_number(number).to_string(),
        agent_id: AGENT.into(),
        cluster_uid: CLUSTER.into(),
        not_before_us: to_micros(from),
        expires_at_us: to_micros(from) + 3_600_000_000,
        epoch: 3,
        incident_id: INCIDENT.into(),
        requested_by: NIMBUS.into(),
        limits: Some(v1::Limits { act_ms: 30_000, verify_ms: 1_000, verify_timeout_ms: 2_000 }),
        action: encode(Body::RestartPod(restart_action())),
        ..Default::default()
    })
}

fn approval() -> v1::Approval {
    v1::Approval {
        by: "operator".into(),
        approval_id: "apr_00000000000000000000000000000001".into(),
        ..Default::default()
    }
}

pub(super) fn rollback() -> v1::Job {
    let action = v1::RollbackDeployment {
        deployment: target("d"),
        generation: 2,
        current_template_hash: vec![1; 32],
        to_replica_set: target("rs"),
        to_revision: 1,
        to_template_hash: vec![2; 32],
    };
    planned(v1::Job {
        action: encode(Body::RollbackDeployment(action)),
        approvals: vec![approval()],
        needs_approval: true,
        ..restart(1, at(0))
    })
}

fn facts(byte: u8) -> Option<v1::FileFacts> {
    Some(v1::FileFacts { kind: "file".into(), mode: 0o644, sha256: vec![byte; 32], ..Default::default() })
}

fn restore_action() -> v1::RestoreFile {
    v1::RestoreFile {
        root: "/etc/app".into(),
        path: "/etc/app/x.conf".into(),
        expect_current: facts(1),
        restore_to: facts(2),
    }
}

pub(super) fn restore() -> v1::Job {
    let action = encode(Body::RestoreFile(restore_action()));
    planned(v1::Job { action, cluster_uid: String::new(), ..rollback() })
}

pub(super) fn accept() -> v1::Job {
    let action = v1::AcceptBaseline {
        root: "/etc/app".into(),
        path: "/etc/app/x.conf".into(),
        expect_current: facts(1),
    };
    planned(v1::Job {
        action: encode(Body::AcceptBaseline(action)),
        approvals: Vec::new(),
        needs_approval: false,
        requested_by: "requester".into(),
        ..restore()
    })
}

/// A restart of that number, admitted by an agent without a past.
pub(crate) fn admitted(number: u128, now: Timestamp) -> AdmittedJob {
    ask(&restart(number, now), &Journal::recover(&[], now).0, now).unwrap()
}

fn envelope(job: &v1::Job) -> v1::Envelope {
    sign(job, &key(1)).envelope().clone()
}

pub(super) fn fresh() -> Journal {
    Journal::recover(&[], at(0)).0
}

pub(super) fn ask(job: &v1::Job, journal: &Journal, now: Timestamp) -> Result<AdmittedJob, Refusal> {
    admit(envelope(job), &trusted(), &me(), &policy(), journal, now)
}

pub(super) fn code(job: &v1::Job) -> Code {
    ask(job, &fresh(), at(1)).expect_err("expected a refusal").code
}

#[test]
fn good_jobs_of_each_kind_are_admitted() {
    for job in [restart(1, at(0)), rollback(), restore(), accept()] {
        let admitted = ask(&job, &fresh(), at(1)).unwrap();
        assert_eq!(admitted.job(), &job);
        assert_eq!(encode(admitted.action().clone()), job.action);
        assert_eq!(admitted.envelope(), &envelope(&job));
    }
}

#[test]
fn every_changed_bit_of_the_envelope_is_refused() {
    let bytes = envelope(&rollback()).encode_to_vec();
    let original = v1::Envelope::decode(bytes.as_slice()).unwrap();
    let (policy, journal) = (policy(), fresh());
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(envelope) = v1::Envelope::decode(changed.as_slice()) else { continue };
        assert_ne!(envelope, original, "bit {bit} has no meaning");
        let answer = admit(envelope, &trusted(), &me(), &policy, &journal, at(1));
        let refusal = answer.expect_err(&format!("bit {bit} went unnoticed"));
        assert_eq!(refusal.code, Code::BadSignature, "bit {bit}");
        assert_eq!(refusal.job_id, None, "nothing of it is believed");
    }
}

#[test]
fn a_foreign_key_is_refused_and_a_second_trusted_one_is_not() {
    let signed = sign(&restart(1, at(0)), &key(9)).envelope().clone();
    let refusal = admit(signed.clone(), &trusted(), &me(), &policy(), &fresh(), at(1)).unwrap_err();
    assert_eq!(refusal.code, Code::BadSignature);
    let both = [key(1).verifying_key(), key(9).verifying_key()];
    assert!(admit(signed.clone(), &both, &me(), &policy(), &fresh(), at(1)).is_ok());
    assert!(admit(signed, &[], &me(), &policy(), &fresh(), at(1)).is_err());
}

#[test]
fn jobs_for_others_are_refused() {
    assert_eq!(code(&v1::Job { agent_id: AGENT.replace('1', "2"), ..restart(1, at(0)) }), Code::WrongAgent);
    assert_eq!(code(&v1::Job { cluster_uid: "other".into(), ..restart(1, at(0)) }), Code::WrongCluster);
    assert_eq!(code(&v1::Job { cluster_uid: String::new(), ..restart(1, at(0)) }), Code::WrongCluster);
    assert_eq!(code(&v1::Job { cluster_uid: CLUSTER.into(), ..restore() }), Code::WrongCluster);
    // An agent without a cluster never takes an empty UID for its own.
    let host_only = Identity { cluster_uid: String::new(), ..me() };
    let job = v1::Job { cluster_uid: String::new(), ..restart(1, at(0)) };
    let refusal = admit(envelope(&job), &trusted(), &host_only, &policy(), &fresh(), at(1)).unwrap_err();
    assert_eq!(refusal.code, Code::WrongCluster);
}

#[test]
fn the_time_decides() {
    let job = restart(1, at(100));
    let judge = |second| ask(&job, &fresh(), at(second)).map(|_| ()).map_err(|r| r.code);
    assert_eq!(judge(94), Err(Code::NotYetValid));
    assert_eq!(judge(95), Ok(()), "clocks differ a little");
    assert_eq!(judge(3_699), Ok(()));
    assert_eq!(judge(3_700), Err(Code::Expired));
    let longer = v1::Job { expires_at_us: job.expires_at_us + 1, ..job.clone() };
    assert_eq!(ask(&longer, &fresh(), at(100)).unwrap_err().code, Code::Malformed);
    // A refusal is remembered no longer than a job could be admitted at all.
    let far = v1::Job { expires_at_us: i64::MAX, ..job.clone() };
    let remembered = ask(&far, &fresh(), at(100)).unwrap_err().remember_until;
    assert_eq!(remembered, Some(at(3_705)));
    let backwards = v1::Job { expires_at_us: job.not_before_us, ..job.clone() };
    assert_eq!(ask(&backwards, &fresh(), at(100)).unwrap_err().code, Code::Malformed);
    let forever = v1::Job { not_before_us: i64::MIN, expires_at_us: i64::MAX, ..job };
    assert_eq!(ask(&forever, &fresh(), at(100)).unwrap_err().code, Code::Malformed);
}

#[test]
fn a_clock_that_was_two_years_ahead_lets_the_next_job_run_and_the_old_one_stays_refused() {
    let ahead = 2 * 365 * 86_400;
    for refused in [false, true] {
        let mut journal = fresh();
        let old = restart(1, at(0));
        if refused {
            // It came while the clock was ahead, and was over by that.
            let refusal = ask(&old, &journal, at(ahead)).unwrap_err();
            assert_eq!(refusal.code, Code::Expired);
            journal.refuse(&refusal, at(ahead));
            journal.acknowledge(job_number(1), v1::job_report::Phase::Refused);
        } else {
            let admitted = ask(&old, &journal, at(1)).unwrap();
            journal.begin(&admitted, at(1));
            let done = v1::JobReport {
                job_id: job_number(1).to_string(),
                phase: v1::job_report::Phase::Succeeded.into(),
                ..Default::default()
            };
            journal.finish(done, at(2)).unwrap();
            journal.acknowledge(job_number(1), v1::job_report::Phase::Succeeded);
        }
        assert!(journal.phase(job_number(1)).is_some());
        journal.tick(at(ahead));
        assert_eq!(journal.phase(job_number(1)), None, "by that clock it has been over for two years");
        let refusal = ask(&old, &journal, at(10)).unwrap_err();
        assert_eq!(refusal.code, Code::Expired);
        assert!(refusal.reason.contains("clock"), "{}", refusal.reason);
        assert!(ask(&restart(2, at(10)), &journal, at(10)).is_ok());
    }
}

#[test]
fn a_replay_is_refused_after_a_restart_too_at_every_phase() {
    let job = restart(1, at(0));
    let mut journal = fresh();
    let mut file = Vec::new();
    let mut run = |effects: Vec<Effect>| {
        for effect in effects {
            match effect {
                Effect::Append(bytes) => file.extend(bytes),
                Effect::Replace(bytes) => file = bytes,
            }
        }
        Journal::recover(&file, at(2)).0
    };
    let admitted = ask(&job, &journal, at(1)).unwrap();
    let mut restarted = vec![run(journal.begin(&admitted, at(1)))];
    let id = admitted.id();
    for phase in [Phase::Intent, Phase::Applied, Phase::Compensating] {
        restarted.push(run(journal.advance(id, Step::to(phase, Vec::new()), at(1)).unwrap()));
    }
    let report = v1::JobReport { job_id: job.job_id.clone(), ..Default::default() };
    restarted.push(run(journal.finish(report, at(1)).unwrap()));
    restarted.push(run(journal.acknowledge(id, v1::job_report::Phase::Unspecified)));
    restarted.push(journal);
    for journal in restarted {
        let refusal = ask(&job, &journal, at(2)).unwrap_err();
        assert_eq!(refusal.code, Code::Replayed);
        assert_eq!(refusal.job_id, Some(id));
        assert_eq!(refusal.report(at(2)).phase(), v1::job_report::Phase::ReplayRefused);
        assert_eq!(refusal.remember_until, None);
        // The same id in another envelope is the same job.
        let other = v1::Job { evidence: vec!["more".into()], ..job.clone() };
        assert_eq!(ask(&other, &journal, at(2)).unwrap_err().code, Code::Replayed);
    }
}

#[test]
fn what_was_refused_once_is_not_taken_later() {
    let job = restart(1, at(100));
    let mut journal = fresh();
    let early = ask(&job, &journal, at(0)).unwrap_err();
    assert_eq!(early.code, Code::NotYetValid);
    journal.refuse(&early, at(0));
    assert_eq!(ask(&job, &journal, at(101)).unwrap_err().code, Code::Replayed);
}

#[test]
fn an_older_control_plane_is_refused() {
    let mut journal = fresh();
    journal.note_epoch(4);
    assert_eq!(ask(&restart(1, at(0)), &journal, at(1)).unwrap_err().code, Code::StaleEpoch);
    let newer = v1::Job { epoch: 4, ..restart(1, at(0)) };
    assert!(ask(&newer, &journal, at(1)).is_ok());
}

#[test]
fn a_job_that_says_other_than_its_plan_is_refused_though_its_signature_holds() {
    let action = |avoid_node| encode(Body::RestartPod(v1::RestartPod { avoid_node, ..restart_action() }));
    let changes: [&dyn Fn(&mut v1::Job); 5] = [
        &|j| j.incident_id = INCIDENT.replace('1', "2"),
        &|j| j.requested_by = "requester".into(),
        &|j| j.needs_approval = !j.needs_approval,
        &|j| j.plan_digest[0] ^= 1,
        &|j| j.action = action(true),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut job = restart(1, at(0));
        change(&mut job);
        assert_eq!(code(&job), Code::PlanMismatch, "change {number}");
    }
    // The same action on another host, and in another cluster, is another plan.
    let elsewhere = Scope::Host(AGENT.replace('1', "2").parse().unwrap());
    for (job, scope) in [(accept(), elsewhere), (restart(1, at(0)), Scope::Cluster("other".into()))] {
        let digest = plan_digest(&PlanFacts {
            incident: job.incident_id.parse().unwrap(),
            scope: &scope,
            requested_by: &job.requested_by,
            needs_approval: job.needs_approval,
            action: &job.action,
        });
        assert_eq!(code(&v1::Job { plan_digest: digest.to_vec(), ..job }), Code::PlanMismatch);
    }
}

#[test]
fn approvals_have_to_be_of_this_plan_and_by_somebody_else() {
    type Change = fn(&mut v1::Job);
    let changes: [Change; 8] = [
        |j| j.approvals.clear(),
        |j| j.approvals[0].plan_digest = vec![8; 32],
        |j| j.approvals[0].by.clear(),
        |j| j.approvals[0].by = j.requested_by.clone(),
        |j| j.approvals[0].approval_id.clear(),
        // A policy's own consent has no id, and is not a person's.
        |j| {
            j.approvals[0] = v1::Approval {
                by: "policy:rollout".into(),
                approval_id: String::new(),
                ..j.approvals[0].clone()
            }
        },
        |j| j.approvals.push(v1::Approval { by: "operator".into(), ..Default::default() }),
        |j| j.approvals.push(v1::Approval { by: j.requested_by.clone(), ..j.approvals[0].clone() }),
    ];
    let asked = planned(v1::Job { needs_approval: true, approvals: vec![approval()], ..restart(1, at(0)) });
    let unsaid = planned(v1::Job { needs_approval: false, ..rollback() });
    for job in [rollback(), restore(), asked, unsaid] {
        assert!(ask(&job, &fresh(), at(1)).is_ok());
        for (number, change) in changes.into_iter().enumerate() {
            let mut job = job.clone();
            change(&mut job);
            assert_eq!(code(&job), Code::PolicyForbids, "change {number}");
        }
    }
    // What needs none may still carry a policy's.
    let mut automatic = restart(1, at(0));
    let digest = automatic.plan_digest.clone();
    automatic.approvals.push(v1::Approval {
        by: "policy:pod".into(),
        plan_digest: digest,
        ..Default::default()
    });
    assert!(ask(&automatic, &fresh(), at(1)).is_ok());
}

/// What a rule of the control plane approves without a person: its own word, which has no id.
fn by_a_rule(job: v1::Job) -> v1::Job {
    let mut job = planned(v1::Job { needs_approval: false, approvals: Vec::new(), ..job });
    let plan_digest = job.plan_digest.clone();
    job.approvals.push(v1::Approval { by: "rule:grow@1".into(), plan_digest, ..Default::default() });
    job
}

#[test]
fn a_rules_word_is_enough_where_auto_names_the_action_and_the_plan_asks_for_nobody() {
    let auto = parse(&format!("auto = [\"rollback_deployment\"]\n{}", policy_text()));
    let admit = |job: &v1::Job, policy: &Policy| {
        admit(envelope(job), &trusted(), &me(), policy, &fresh(), at(1)).map_err(|refusal| refusal.code)
    };
    let job = by_a_rule(rollback());
    let admitted = admit(&job, &auto).unwrap();
    assert_eq!(admit(&job, &policy()).unwrap_err(), Code::PolicyForbids, "the policy does not name it");
    assert_eq!(
        admit(&by_a_rule(restore()), &auto).unwrap_err(),
        Code::PolicyForbids,
        "it names another action"
    );
    // Nor is it enough that nobody is named.
    for by in ["policy:rollout", ""] {
        let mut unnamed = job.clone();
        unnamed.approvals[0].by = by.into();
        assert_eq!(admit(&unnamed, &auto).unwrap_err(), Code::PolicyForbids, "{by:?}");
    }
    let nobody = v1::Job { approvals: Vec::new(), ..job.clone() };
    assert_eq!(admit(&nobody, &auto).unwrap_err(), Code::PolicyForbids);
    // A plan that asks for a person says so in its digest: no rule's word is enough for it.
    let mut asked = planned(v1::Job { needs_approval: true, ..job.clone() });
    asked.approvals[0].plan_digest = asked.plan_digest.clone();
    assert_eq!(admit(&asked, &auto).unwrap_err(), Code::PolicyForbids);
    // The policy is asked again right before it acts.
    assert!(may_begin(&admitted, &auto, &fresh(), at(1)).is_ok());
    let refusal = may_begin(&admitted, &policy(), &fresh(), at(1)).unwrap_err();
    assert!(refusal.reason.contains("`auto`"), "{}", refusal.reason);
}

#[test]
fn a_baseline_is_accepted_on_a_persons_request_only() {
    let by_itself = planned(v1::Job { requested_by: NIMBUS.into(), ..accept() });
    let refusal = ask(&by_itself, &fresh(), at(1)).unwrap_err();
    assert_eq!(refusal.code, Code::PolicyForbids);
    assert!(refusal.reason.contains("person"), "{}", refusal.reason);
}

#[test]
fn the_local_policy_has_the_last_word() {
    let job = restart(1, at(0));
    let refusal = admit(envelope(&job), &trusted(), &me(), &Policy::default(), &fresh(), at(1)).unwrap_err();
    assert_eq!(refusal.code, Code::PolicyForbids);
    assert_eq!(refusal.report(at(1)).code, "policy_forbids");
}

#[test]
fn jobs_that_are_not_whole_are_malformed() {
    type Change = fn(&mut v1::Job);
    let restarts: [Change; 9] = [
        |j| j.job_id = "job_1".into(),
        |j| j.plan_digest.clear(),
        |j| j.plan_digest.truncate(31),
        |j| j.limits = None,
        |j| j.limits.as_mut().unwrap().act_ms = 0,
        |j| j.limits.as_mut().unwrap().act_ms = u32::MAX,
        |j| j.limits.as_mut().unwrap().verify_ms = 2_001,
        |j| j.incident_id = "inc_1".into(),
        |j| j.requested_by.clear(),
    ];
    for (number, change) in restarts.into_iter().enumerate() {
        let mut job = restart(1, at(0));
        change(&mut job);
        assert_eq!(code(&job), Code::Malformed, "change {number}");
    }
    let pods: [fn(&mut v1::RestartPod); 4] = [
        |a| a.pod = None,
        |a| a.pod.as_mut().unwrap().uid.clear(),
        |a| a.owner.as_mut().unwrap().namespace = "elsewhere".into(),
        |a| a.container.clear(),
    ];
    for (number, change) in pods.into_iter().enumerate() {
        let mut action = restart_action();
        change(&mut action);
        let job = v1::Job { action: encode(Body::RestartPod(action)), ..restart(1, at(0)) };
        assert_eq!(code(&planned(job)), Code::Malformed, "pod {number}");
    }
    let files: [fn(&mut v1::RestoreFile); 6] = [
        |a| a.path = "/etc/app/../shadow".into(),
        |a| a.path = "/etc/apple".into(),
        |a| a.root = "etc".into(),
        |a| a.restore_to = None,
        |a| a.expect_current.as_mut().unwrap().kind = "directory".into(),
        |a| a.restore_to.as_mut().unwrap().sha256.clear(),
    ];
    for (number, change) in files.into_iter().enumerate() {
        let mut action = restore_action();
        change(&mut action);
        let job = v1::Job { action: encode(Body::RestoreFile(action)), ..restore() };
        assert_eq!(code(&planned(job)), Code::Malformed, "file {number}");
    }
    let huge = v1::Job { evidence: vec!["e".repeat(MAX_ENVELOPE)], ..restart(1, at(0)) };
    assert_eq!(code(&huge), Code::Malformed);
}
