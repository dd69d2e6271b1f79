//! Tests of jobs from a control plane that is newer or older than this agent, as real bytes.

use ed25519_dalek::Signer as _;
use nimbus_protocol::action::encode;
use nimbus_protocol::signed::{Signable as _, key_id, pre_authentication_encoding};
use prost::Message as _;

use super::tests::{
    accept, ask, at, code, fresh, key, me, planned, policy, restart, restore, rollback, trusted,
};
use super::*;
use crate::journal::Journal;

/// Field 100, a varint of 1: no message of this version has it.
const MORE: [u8; 3] = [0xa0, 0x06, 0x01];

/// What these exact bytes, signed as a job, are answered.
fn ask_bytes(payload: Vec<u8>, journal: &Journal) -> Result<AdmittedJob, Refusal> {
    let message = pre_authentication_encoding(v1::Job::PAYLOAD_TYPE, &payload);
    let signature = v1::Signature {
        key_id: key_id(&key(1).verifying_key()),
        signature: key(1).sign(&message).to_bytes().to_vec(),
    };
    let payload_type = v1::Job::PAYLOAD_TYPE.to_owned();
    let envelope = v1::Envelope { payload_type, payload, signatures: vec![signature] };
    admit(envelope, &trusted(), &me(), &policy(), journal, at(1))
}

fn with_more(bytes: &[u8]) -> Vec<u8> {
    [bytes, &MORE].concat()
}

/// A field of this number that holds these bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![(number << 3) | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    out.extend(bytes);
    out
}

/// A field of the action may be what limits it, such as a node that is not to be closed or a number not to be exceeded.
#[test]
fn a_job_with_more_in_its_action_is_not_run_as_if_that_were_not_there() {
    for job in [restart(1, at(0)), rollback(), restore(), accept()] {
        assert!(ask(&job, &fresh(), at(1)).is_ok());
        // The oneof's field and a length of one or two bytes in front of the action's own message.
        let (tag, own) = (job.action[0] >> 3, &job.action[1..]);
        let length = if own[0] < 0x80 { 1 } else { 2 };
        for action in [field(tag, &with_more(&own[length..])), with_more(&job.action)] {
            let newer = planned(v1::Job { action, ..job.clone() });
            let refusal = ask(&newer, &fresh(), at(1)).unwrap_err();
            assert_eq!(refusal.code, Code::NotUnderstood, "{}", refusal.reason);
            assert_eq!(
                refusal.job_id.map(|id| id.to_string()),
                Some(job.job_id.clone()),
                "it can be told whose"
            );
            assert!(refusal.reason.contains("upgrade this agent"), "{}", refusal.reason);
        }
    }
}

#[test]
fn a_job_with_more_beside_its_action_is_refused_too() {
    let job = rollback();
    let bytes = job.encode_to_vec();
    assert!(ask_bytes(bytes.clone(), &fresh()).is_ok());
    let limits = job.limits.unwrap().encode_to_vec();
    let newer_limits =
        [v1::Job { limits: None, ..job.clone() }.encode_to_vec(), field(11, &with_more(&limits))].concat();
    assert!(v1::Job::decode(&newer_limits[..]).unwrap() == job, "a decoder passes over it");
    for newer in [with_more(&bytes), newer_limits] {
        let refusal = ask_bytes(newer, &fresh()).unwrap_err();
        assert_eq!(refusal.code, Code::NotUnderstood);
        assert_eq!(refusal.job_id, Some(job.job_id.parse().unwrap()));
        assert!(refusal.remember_until.is_some(), "a second copy is a replay");
    }
}

#[test]
fn an_action_of_a_newer_version_is_refused_and_any_other_job_is_not() {
    for action in [vec![0x82, 0xfa, 0x01, 0x00], Vec::new(), vec![0xff, 0xff]] {
        let refusal = ask(&planned(v1::Job { action, ..restart(1, at(0)) }), &fresh(), at(1)).unwrap_err();
        assert_eq!(refusal.code, Code::NotUnderstood);
        assert!(refusal.reason.contains("an action that this version knows"), "{}", refusal.reason);
    }
    assert!(ask(&restart(2, at(0)), &fresh(), at(1)).is_ok());
}

/// A newer agent began it, and this older one is started in its place.
#[test]
fn what_a_newer_agent_left_unfinished_is_not_resumed_by_halves() {
    let job = restart(1, at(0));
    let newer = planned(v1::Job { action: with_more(&job.action), ..job });
    let envelope = nimbus_protocol::signed::sign(&newer, &key(1)).envelope().clone();
    let refusal = resume(envelope, newer.job_id.parse().unwrap(), &trusted(), &me()).unwrap_err();
    assert_eq!(refusal.code, Code::NotUnderstood);
}

/// The job without the fields of these numbers, as a control plane sends it that does not know them.
fn without(job: &v1::Job, left_out: u32) -> v1::Job {
    let (bytes, mut kept) = (job.encode_to_vec(), Vec::new());
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let whole = rest;
        let (number, wire) = prost::encoding::decode_key(&mut rest).unwrap();
        let context = prost::encoding::DecodeContext::default();
        prost::encoding::skip_field(wire, number, &mut rest, context).unwrap();
        if number != left_out {
            kept.extend(&whole[..whole.len() - rest.len()]);
        }
    }
    v1::Job::decode(&kept[..]).unwrap()
}

#[test]
fn what_an_older_control_plane_leaves_out_is_never_a_permission() {
    let job = rollback();
    let mut journal = fresh();
    journal.note_epoch(3);
    assert!(ask(&job, &journal, at(1)).is_ok());
    let refused = [
        (1, Code::Malformed),
        (2, Code::WrongAgent),
        (3, Code::WrongCluster),
        (4, Code::Malformed),
        (5, Code::Malformed),
        (6, Code::StaleEpoch),
        (7, Code::Malformed),
        (8, Code::Malformed),
        (9, Code::PolicyForbids),
        (11, Code::Malformed),
        (12, Code::Malformed),
        (20, Code::NotUnderstood),
    ];
    for (number, expected) in refused {
        let older = without(&job, number);
        assert_ne!(older, job, "field {number}");
        let refusal = ask(&older, &journal, at(1)).unwrap_err();
        assert_eq!(refusal.code, expected, "field {number}: {}", refusal.reason);
    }
    // Its plan is another one; one that was planned so is approved all the same, as the action itself asks for it.
    let unsaid = without(&job, 13);
    assert_eq!(code(&unsaid), Code::PlanMismatch);
    let unapproved = v1::Job { approvals: Vec::new(), ..unsaid };
    assert_eq!(code(&planned(unapproved)), Code::PolicyForbids);
}

/// An older control plane has no StatefulSets and names no kind of controller: its jobs are run, for ReplicaSets alone.
#[test]
fn a_restart_without_the_kind_of_its_controller_is_of_a_replica_sets_pod() {
    let mut restarted = super::tests::restart_action();
    restarted.owner_kind.clear();
    let older = planned(v1::Job { action: encode(Body::RestartPod(restarted)), ..restart(1, at(0)) });
    let admitted = ask(&older, &fresh(), at(1)).unwrap();
    let Body::RestartPod(action) = admitted.action() else { panic!() };
    assert_eq!(crate::action::restart_pod::controller_resource(action), Some("replicasets"));
}
