//! Orders that are let through, and everything that is not.
#![allow(clippy::unnecessary_wraps, reason = "the fields of messages are optional")]

use ed25519_dalek::SigningKey;
use nimbus_protocol::signed::sign;
use nimbus_protocol::to_micros;
use prost::Message as _;

use super::*;
use crate::journal::{Effect, Phase};

const CLUSTER: &str = "0b9a7c1e-0000-4000-8000-000000000001";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn trusted() -> Vec<VerifyingKey> {
    vec![key(1).verifying_key()]
}

fn me() -> Identity {
    Identity { agent_id: "agt_1".into(), cluster_uid: CLUSTER.into() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(2_000_000 + second).unwrap()
}

fn policy() -> Policy {
    Policy::parse(&format!(
        "allow = [\"restart_pod\", \"rollback_deployment\", \"restore_file\", \"accept_baseline\"]\n\
         clusters = [\"{CLUSTER}\"]\nnamespaces = [\"*\"]\npaths = [\"/etc/app\"]\n"
    ))
    .unwrap()
}

/// The id of the job with this number.
pub(crate) fn order_number(number: u128) -> String {
    format!("job_{number:032x}")
}

fn target(name: &str) -> Option<v1::Target> {
    Some(v1::Target { namespace: "shop".into(), name: name.into(), uid: format!("uid-{name}") })
}

fn restart(number: u128, from: Timestamp) -> v1::Job {
    let order = v1::RestartPod {
        pod: target("pod"),
        owner: target("rs"),
        node: "n1".into(),
        container: "main".into(),
        min_restarts: 3,
        avoid_node: false,
    };
    v1::Job {
        job_id: order_number(number),
        agent_id: me().agent_id,
        cluster_uid: CLUSTER.into(),
        not_before_us: to_micros(from),
        expires_at_us: to_micros(from) + 3_600_000_000,
        epoch: 3,
        incident_id: "inc_1".into(),
        plan_digest: vec![7; 32],
        limits: Some(v1::Limits { act_ms: 30_000, verify_ms: 1_000, verify_timeout_ms: 2_000 }),
        action: Some(Action::RestartPod(order)),
        ..Default::default()
    }
}

fn rollback() -> v1::Job {
    let order = v1::RollbackDeployment {
        deployment: target("d"),
        generation: 2,
        current_template_hash: vec![1; 32],
        to_replica_set: target("rs"),
        to_revision: 1,
        to_template_hash: vec![2; 32],
    };
    let approval = v1::Approval { by: "operator".into(), plan_digest: vec![7; 32], ..Default::default() };
    v1::Job {
        action: Some(Action::RollbackDeployment(order)),
        approvals: vec![approval],
        ..restart(1, at(0))
    }
}

fn restore() -> v1::Job {
    let facts = |byte: u8| {
        Some(v1::FileFacts { kind: "file".into(), mode: 0o644, sha256: vec![byte; 32], ..Default::default() })
    };
    let order = v1::RestoreFile {
        root: "/etc/app".into(),
        path: "/etc/app/x.conf".into(),
        expect_current: facts(1),
        restore_to: facts(2),
    };
    v1::Job { action: Some(Action::RestoreFile(order)), cluster_uid: String::new(), ..rollback() }
}

/// A restart of that number, admitted by an agent without a past.
pub(crate) fn admitted(number: u128, now: Timestamp) -> Admitted<v1::Job> {
    let job = restart(number, now);
    let verified = sign(&job, &key(1)).verify(&trusted()).unwrap();
    super::admitted(verified, sign(&job, &key(1)).envelope().clone())
}

fn envelope(job: &v1::Job) -> v1::Envelope {
    sign(job, &key(1)).envelope().clone()
}

fn fresh() -> Journal {
    Journal::recover(&[], at(0)).0
}

fn ask(job: &v1::Job, journal: &Journal, now: Timestamp) -> Result<Admitted<v1::Job>, Refusal> {
    admit(envelope(job), &trusted(), &me(), &policy(), journal, now)
}

fn code(job: &v1::Job) -> Code {
    ask(job, &fresh(), at(1)).expect_err("expected a refusal").code
}

#[test]
fn good_orders_of_each_kind_are_admitted() {
    for job in [restart(1, at(0)), rollback(), restore()] {
        let admitted = ask(&job, &fresh(), at(1)).unwrap();
        assert_eq!(admitted.get(), &job);
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
fn orders_for_others_are_refused() {
    assert_eq!(code(&v1::Job { agent_id: "agt_2".into(), ..restart(1, at(0)) }), Code::WrongAgent);
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
    let backwards = v1::Job { expires_at_us: job.not_before_us, ..job.clone() };
    assert_eq!(ask(&backwards, &fresh(), at(100)).unwrap_err().code, Code::Malformed);
    let forever = v1::Job { not_before_us: i64::MIN, expires_at_us: i64::MAX, ..job };
    assert_eq!(ask(&forever, &fresh(), at(100)).unwrap_err().code, Code::Malformed);
}

#[test]
fn a_clock_set_back_does_not_revive_an_expired_order() {
    let mut journal = fresh();
    journal.tick(at(5_000));
    let refusal = ask(&restart(1, at(0)), &journal, at(10)).unwrap_err();
    assert_eq!(refusal.code, Code::Expired);
    assert!(refusal.reason.contains("clock"), "{}", refusal.reason);
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
    for phase in [Phase::Intent, Phase::Applied, Phase::Verifying] {
        restarted.push(run(journal.advance(&job.job_id, phase, b"", at(1)).unwrap()));
    }
    let report = v1::JobReport { job_id: job.job_id.clone(), ..Default::default() };
    restarted.push(run(journal.finish(&report, at(1)).unwrap()));
    restarted.push(run(journal.reported(&job.job_id)));
    restarted.push(journal);
    for journal in restarted {
        let refusal = ask(&job, &journal, at(2)).unwrap_err();
        assert_eq!(refusal.code, Code::Replayed);
        assert_eq!(refusal.job_id.as_deref(), Some(job.job_id.as_str()));
        assert_eq!(refusal.report(at(2)).phase(), v1::job_report::Phase::ReplayRefused);
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
fn approvals_have_to_be_of_this_plan() {
    for job in [rollback(), restore()] {
        let none = v1::Job { approvals: Vec::new(), ..job.clone() };
        assert_eq!(code(&none), Code::PolicyForbids);
        let mut other = job.clone();
        other.approvals[0].plan_digest = vec![8; 32];
        assert_eq!(code(&other), Code::PolicyForbids);
        let mut nobody = job.clone();
        nobody.approvals[0].by.clear();
        assert_eq!(code(&nobody), Code::PolicyForbids);
        let mut mixed = job;
        mixed.approvals.push(v1::Approval { by: "operator".into(), ..Default::default() });
        assert_eq!(code(&mixed), Code::PolicyForbids);
    }
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
    let restarts: [Change; 8] = [
        |j| j.job_id = "job_1".into(),
        |j| j.plan_digest.clear(),
        |j| j.plan_digest.truncate(31),
        |j| j.limits = None,
        |j| j.limits.as_mut().unwrap().act_ms = 0,
        |j| j.limits.as_mut().unwrap().act_ms = u32::MAX,
        |j| j.limits.as_mut().unwrap().verify_ms = 2_001,
        |j| j.action = None,
    ];
    for (number, change) in restarts.into_iter().enumerate() {
        let mut job = restart(1, at(0));
        change(&mut job);
        assert_eq!(code(&job), Code::Malformed, "change {number}");
    }
    let orders: [fn(&mut v1::RestartPod); 4] = [
        |o| o.pod = None,
        |o| o.pod.as_mut().unwrap().uid.clear(),
        |o| o.owner.as_mut().unwrap().namespace = "elsewhere".into(),
        |o| o.container.clear(),
    ];
    for (number, change) in orders.into_iter().enumerate() {
        let mut job = restart(1, at(0));
        let Some(Action::RestartPod(order)) = &mut job.action else { unreachable!() };
        change(order);
        assert_eq!(code(&job), Code::Malformed, "order {number}");
    }
    let files: [fn(&mut v1::RestoreFile); 6] = [
        |o| o.path = "/etc/app/../shadow".into(),
        |o| o.path = "/etc/apple".into(),
        |o| o.root = "etc".into(),
        |o| o.restore_to = None,
        |o| o.expect_current.as_mut().unwrap().kind = "directory".into(),
        |o| o.restore_to.as_mut().unwrap().sha256.clear(),
    ];
    for (number, change) in files.into_iter().enumerate() {
        let mut job = restore();
        let Some(Action::RestoreFile(order)) = &mut job.action else { unreachable!() };
        change(order);
        assert_eq!(code(&job), Code::Malformed, "file {number}");
    }
    let huge = v1::Job { evidence: vec!["e".repeat(MAX_ENVELOPE)], ..restart(1, at(0)) };
    assert_eq!(code(&huge), Code::Malformed);
}

#[test]
fn what_is_owed_is_resumed_with_its_signature_checked_again() {
    let mut journal = fresh();
    let job = rollback();
    journal.begin(&ask(&job, &journal, at(1)).unwrap(), at(1));
    let owed = journal.owed().remove(0);
    assert_eq!(resume(&owed, &trusted(), &me()).unwrap().get(), &job);
    assert!(resume(&owed, &[key(9).verifying_key()], &me()).is_err());
    let elsewhere = Identity { cluster_uid: "other".into(), ..me() };
    assert_eq!(resume(&owed, &trusted(), &elsewhere).unwrap_err().code, Code::WrongCluster);
    let renamed = Owed { job_id: order_number(2), ..owed };
    assert_eq!(resume(&renamed, &trusted(), &me()).unwrap_err().code, Code::Malformed);
}

#[test]
fn what_waited_is_asked_again_before_it_begins() {
    let job = restart(1, at(0));
    let mut journal = fresh();
    let admitted = ask(&job, &journal, at(1)).unwrap();
    journal.begin(&admitted, at(1));
    let begin = |policy: &Policy, journal: &Journal, second| {
        may_begin(&admitted, policy, journal, at(second)).map_err(|refusal| {
            assert_eq!(refusal.job_id.as_deref(), Some(job.job_id.as_str()));
            assert_eq!(refusal.envelope_sha256, admitted.envelope_sha256());
            refusal.code
        })
    };
    assert_eq!(begin(&policy(), &journal, 3_599), Ok(()));
    assert_eq!(begin(&policy(), &journal, 3_600), Err(Code::Expired));
    assert_eq!(begin(&Policy::default(), &journal, 2), Err(Code::PolicyForbids));
    journal.note_epoch(4);
    assert_eq!(begin(&policy(), &journal, 2), Err(Code::StaleEpoch));

    let mut ahead = fresh();
    ahead.begin(&admitted, at(1));
    ahead.tick(at(3_600));
    assert_eq!(begin(&policy(), &ahead, 2), Err(Code::Expired), "a clock set back revives nothing");
}

#[test]
fn a_job_that_waited_does_not_count_against_its_own_rate() {
    let one = Policy::parse(&format!(
        "allow = [\"restart_pod\"]\nclusters = [\"{CLUSTER}\"]\nnamespaces = [\"*\"]\njobs_per_hour = 1\n"
    ))
    .unwrap();
    let mut journal = fresh();
    let first = ask(&restart(1, at(0)), &journal, at(1)).unwrap();
    journal.begin(&first, at(1));
    assert_eq!(may_begin(&first, &one, &journal, at(2)), Ok(()));
    journal.begin(&admitted(2, at(0)), at(1));
    assert_eq!(may_begin(&first, &one, &journal, at(2)).unwrap_err().code, Code::PolicyForbids);
}
