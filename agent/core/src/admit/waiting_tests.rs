//! Jobs that waited, or that an interruption left behind, are asked again before they begin.

use super::tests::{
    CLUSTER, admitted, ask, at, fresh, job_number, key, me, parse, policy, restart, rollback, trusted,
};
use super::*;
use crate::journal::Journal;

#[test]
fn what_was_interrupted_is_resumed_with_its_signature_checked_again() {
    let mut journal = fresh();
    let job = rollback();
    journal.begin(&ask(&job, &journal, at(1)).unwrap(), at(1));
    let interrupted = journal.interrupted().remove(0);
    let again = |id, keys: &[VerifyingKey], me: &Identity| {
        resume(interrupted.envelope.clone(), id, keys, me).map(|admitted| admitted.job().clone())
    };
    let id = interrupted.job_id;
    assert_eq!(again(id, &trusted(), &me()), Ok(job));
    assert!(again(id, &[key(9).verifying_key()], &me()).is_err());
    let elsewhere = Identity { cluster_uid: "other".into(), ..me() };
    assert_eq!(again(id, &trusted(), &elsewhere).unwrap_err().code, Code::WrongCluster);
    assert_eq!(again(job_number(2), &trusted(), &me()).unwrap_err().code, Code::Malformed);
}

#[test]
fn what_waited_is_asked_again_before_it_begins() {
    let job = restart(1, at(0));
    let mut journal = fresh();
    let admitted = ask(&job, &journal, at(1)).unwrap();
    journal.begin(&admitted, at(1));
    let begin = |policy: &Policy, journal: &Journal, second| {
        may_begin(&admitted, policy, journal, at(second)).map_err(|refusal| {
            assert_eq!(refusal.job_id, Some(admitted.id()));
            assert_eq!(refusal.envelope_sha256, admitted.envelope_sha256());
            refusal.code
        })
    };
    assert_eq!(begin(&policy(), &journal, 3_599), Ok(()));
    assert_eq!(begin(&policy(), &journal, 3_600), Err(Code::Expired));
    assert_eq!(begin(&Policy::default(), &journal, 2), Err(Code::PolicyForbids));
    journal.note_epoch(4);
    assert_eq!(begin(&policy(), &journal, 2), Err(Code::StaleEpoch));
}

#[test]
fn a_job_that_waited_does_not_count_against_its_own_rate() {
    let one = parse(&format!(
        "allow = [\"restart_pod\"]\nclusters = [\"{CLUSTER}\"]\nnamespaces = [\"*\"]\njobs_per_hour = 1\n"
    ));
    let mut journal = fresh();
    let first = ask(&restart(1, at(0)), &journal, at(1)).unwrap();
    journal.begin(&first, at(1));
    assert_eq!(may_begin(&first, &one, &journal, at(2)), Ok(()));
    journal.begin(&admitted(2, at(0)), at(1));
    assert_eq!(may_begin(&first, &one, &journal, at(2)).unwrap_err().code, Code::HourlyBudget);
}
