//! Scenes of a drifted file of which the agent says whether it could be put back: a person is asked only for what can be
//! done, and not twice for the same thing.

use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::approval::Decision;
use crate::check;
use crate::model::*;
use crate::remediation;
use crate::testing::{ActionBody, action_of};

const PATH: &str = "/srv/etc/app.conf";

/// What an agent says: the word for what is in the way, or how it would be done.
fn said(obstacle: &str, reason: &str, way: &str) -> v1::RestoreOutlook {
    let (obstacle, reason, way) = (obstacle.to_owned(), reason.to_owned(), way.to_owned());
    v1::RestoreOutlook { obstacle, reason, way, loses: Vec::new() }
}

fn drift(content: u8, restore: Option<v1::RestoreOutlook>) -> Body {
    let (good, bad) = (file_state("file", 0o640, 1), file_state("file", 0o640, content));
    Body::File(v1::File { restore, ..file(PATH, good, bad) })
}

fn free() -> v1::RestoreOutlook {
    said("", "", "replace")
}

fn seen(body: Body) -> Lab {
    let mut lab = Lab::new();
    lab.see_host(body);
    assert!(lab.settle().is_empty());
    lab
}

#[test]
fn nobody_is_asked_while_something_is_in_the_way_and_it_is_named() {
    for (word, reason) in [
        ("immutable", "it is immutable (`chattr +i`)"),
        ("append_only", "it is append-only (`chattr +a`)"),
        ("mount_point", "a file is mounted on it"),
        ("read_only", "its file system is mounted read-only"),
        ("no_space", "its file system has 12 bytes left"),
        ("too_large", "it is 9000000 bytes long"),
        ("not_kept", "the content of its baseline is not kept"),
        ("copy_damaged", "the kept copy of its baseline is damaged"),
        ("changed_root", "another directory in its place"),
        ("a word of a newer agent", "whatever it found"),
    ] {
        let mut lab = seen(drift(2, Some(said(word, reason, ""))));
        let incident = lab.open(IncidentKind::FileDrift).clone();
        assert_eq!((lab.plans.len(), lab.approvals.len()), (0, 0), "{word}");
        assert_eq!(incident.state, IncidentState::Escalated, "{word}");
        assert!(incident.reason.contains(reason), "{word}: {}", incident.reason);
        assert!(
            incident.evidence.iter().any(|line| line.contains(reason)),
            "{word}: {:?}",
            incident.evidence
        );
        for _ in 0..20 {
            lab.pass(60);
            // The figures move; the answer is the same.
            lab.see_host(drift(2, Some(said(word, reason, ""))));
            assert!(lab.settle().is_empty());
        }
        assert_eq!(lab.approvals.len(), 0, "{word}: never asked");
        let mut ids = lab.ids.clone();
        let accepted =
            remediation::accept_baseline(&lab.snapshot(), incident.id, "operator", lab.now, &mut ids);
        assert!(accepted.is_ok(), "{word}: the way out that is named");
    }
}

#[test]
fn attributes_that_cannot_be_read_are_not_said_to_be_gone_and_are_not_to_be_accepted() {
    let note = v1::FileAttribute { name: "user.note".into(), shown: "3 bytes, aa".into() };
    let attributes = Some(v1::FileAttributes { sha256: vec![7; 32], all: vec![note] });
    let good = v1::FileState { attributes, ..file_state("file", 0o640, 1) };
    let why = "its attributes cannot be read: their names alone are more than 64 KiB";
    let now = v1::FileState { problem: why.into(), ..file_state("file", 0o640, 1) };
    let restore = Some(said("unreadable", why, ""));
    let lab = seen(Body::File(v1::File { restore, ..file(PATH, good, now) }));
    let incident = lab.open(IncidentKind::FileDrift);
    assert_eq!((lab.plans.len(), incident.state), (0, IncidentState::Escalated));
    assert!(incident.title.contains("has attributes that cannot be read"), "{}", incident.title);
    assert!(incident.reason.contains(why) && !incident.reason.contains("accept"), "{}", incident.reason);
    assert!(incident.evidence.iter().any(|line| line.contains(why)), "{:?}", incident.evidence);
    assert!(!incident.evidence.iter().any(|line| line.contains("-> none")), "{:?}", incident.evidence);
}

#[test]
fn once_it_is_out_of_the_way_a_person_is_asked_once() {
    let mut lab = seen(drift(2, Some(said("immutable", "it is immutable", ""))));
    lab.pass(60);
    lab.see_host(drift(2, Some(free())));
    for _ in 0..5 {
        assert!(lab.settle().is_empty());
        lab.pass(60);
    }
    assert_eq!((lab.approvals.len(), lab.live_approvals()), (1, 1));
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert!(matches!(lab.settle().first().and_then(action_of), Some(ActionBody::RestoreFile(_))));
}

#[test]
fn what_comes_in_the_way_of_an_approved_restore_stops_it_at_planner_and_checker() {
    let mut lab = seen(drift(2, Some(free())));
    let plan = lab.plans.values().next().unwrap().doc.clone();
    assert_eq!(check::of_plan(&plan, &lab.snapshot()), []);
    lab.decide("operator", Decision::Approve, "").unwrap();
    lab.see_host(drift(2, Some(said("read_only", "its file system is mounted read-only", ""))));
    let found = check::of_plan(&plan, &lab.snapshot());
    assert!(found.iter().any(|v| v.invariant == 3 && v.text.contains("read_only")), "{found:?}");
    assert!(lab.settle().is_empty(), "no job");
    assert_eq!(lab.open(IncidentKind::FileDrift).state, IncidentState::Escalated);
    assert_eq!(lab.live_approvals(), 0);
}

#[test]
fn an_agent_that_does_not_say_is_asked_as_ever() {
    let mut lab = seen(drift(2, None));
    assert_eq!(lab.live_approvals(), 1);
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    let Some(ActionBody::RestoreFile(action)) = action_of(&jobs[0]) else { panic!() };
    let facts = action.expect_current.as_ref().unwrap();
    assert!(facts.attributes_sha256.is_empty(), "an older agent would refuse a field that it does not know");
}

#[test]
fn the_plan_says_how_and_what_is_lost_before_anybody_approves() {
    let outlook = v1::RestoreOutlook {
        way: "replace".into(),
        loses: vec!["it has 1 other name, which keep what is there now".into()],
        ..Default::default()
    };
    let lab = seen(drift(2, Some(outlook)));
    let changes = &lab.plans.values().next().unwrap().doc.changes;
    assert!(changes.iter().any(|line| line.starts_with("how: a new file takes its place")), "{changes:?}");
    assert!(changes.iter().any(|line| line.starts_with("lost or left: it has 1 other name")), "{changes:?}");
    let lab = seen(drift(2, Some(said("", "", "in_place"))));
    let changes = &lab.plans.values().next().unwrap().doc.changes;
    assert!(changes.iter().any(|line| line.starts_with("how: written in place")), "{changes:?}");
}

#[test]
fn a_difference_of_attributes_alone_is_a_drift_that_is_shown_and_put_back() {
    let with = |digest: u8, shown: &str| {
        let one = v1::FileAttribute { name: "system.posix_acl_access".into(), shown: shown.into() };
        let attributes = Some(v1::FileAttributes { sha256: vec![digest; 32], all: vec![one] });
        v1::FileState { attributes, ..file_state("file", 0o640, 1) }
    };
    let (good, bad) = (with(1, "user::rw-"), with(2, "user::rw-,user:33:rw-"));
    let mut lab =
        seen(Body::File(v1::File { restore: Some(said("", "", "attributes")), ..file(PATH, good, bad) }));
    let incident = lab.open(IncidentKind::FileDrift).clone();
    assert!(incident.title.contains("has other attributes"), "{}", incident.title);
    let plan = &lab.plans.values().next().unwrap().doc;
    assert_eq!(plan.summary, format!("put back attributes of {PATH}"));
    let changes = &plan.changes;
    let line = "system.posix_acl_access: user::rw-,user:33:rw- -> user::rw-";
    assert!(changes.iter().any(|change| change == line), "{changes:?}");
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    let Some(ActionBody::RestoreFile(action)) = action_of(&jobs[0]) else { panic!() };
    assert_eq!(action.restore_to.as_ref().unwrap().attributes_sha256, vec![1; 32]);
    assert_eq!(action.expect_current.as_ref().unwrap().attributes_sha256, vec![2; 32]);
}

/// The summary is what the lists, the audit log and its exports have.
#[test]
fn a_plan_says_in_its_summary_which_of_mode_owner_and_attributes_it_is_about() {
    let with = |mode, uid, content, shown: &[&str]| {
        let one = |name: &&str| v1::FileAttribute { name: (*name).into(), shown: "20 bytes, 0a1b".into() };
        let all: Vec<_> = shown.iter().map(one).collect();
        let attributes = Some(v1::FileAttributes { sha256: vec![u8::try_from(all.len()).unwrap(); 32], all });
        v1::FileState { attributes, uid, ..file_state("file", mode, content) }
    };
    let good = || with(0o640, 0, 1, &[]);
    let capability = ["security.capability"];
    let many = ["security.capability", "user.a", "user.b", "user.c", "user.d"];
    let table = [
        (with(0o600, 0, 1, &[]), "mode of ", ""),
        (with(0o640, 7, 1, &[]), "owner of ", ""),
        (with(0o600, 7, 1, &[]), "mode and owner of ", ""),
        (with(0o640, 0, 1, &capability), "attributes of ", "; its attributes change: security.capability"),
        (
            with(0o600, 0, 1, &capability),
            "mode and attributes of ",
            "; its attributes change: security.capability",
        ),
        (
            with(0o600, 7, 1, &many),
            "mode, owner and attributes of ",
            "; its attributes change: security.capability, user.a, user.b and 2 more",
        ),
        (with(0o640, 0, 2, &capability), "", "; its attributes change: security.capability"),
    ];
    for (bad, back, accepted) in table {
        let lab = seen(Body::File(v1::File { restore: Some(free()), ..file(PATH, good(), bad) }));
        assert_eq!(lab.plans.values().next().unwrap().doc.summary, format!("put back {back}{PATH}"));
        let incident = lab.open(IncidentKind::FileDrift).id;
        let mut ids = lab.ids.clone();
        let changes =
            remediation::accept_baseline(&lab.snapshot(), incident, "operator", lab.now, &mut ids).unwrap();
        let summary = &changes.plans.first().unwrap().doc.summary;
        assert_eq!(*summary, format!("take {PATH} as it is now as the new baseline{accepted}"));
    }
}

#[test]
fn what_the_agent_refused_twice_is_not_asked_a_third_time_until_something_changed() {
    let mut lab = seen(drift(2, Some(free())));
    for _ in 0..2 {
        lab.pass(3_600);
        lab.settle();
        lab.decide("operator", Decision::Approve, "").unwrap();
        let jobs = lab.settle();
        lab.report(&jobs[0], Phase::Refused, "precondition_failed", "expected a way that is not there");
    }
    for _ in 0..10 {
        lab.pass(3_600);
        assert!(lab.settle().is_empty());
    }
    assert_eq!((lab.approvals.len(), lab.live_approvals()), (2, 0));
    let incident = lab.open(IncidentKind::FileDrift);
    assert_eq!(incident.state, IncidentState::Escalated);
    assert!(incident.reason.contains("expected a way that is not there"), "{}", incident.reason);
    lab.see_host(drift(3, Some(free())));
    lab.pass(60);
    lab.settle();
    assert_eq!(lab.live_approvals(), 1, "another difference is another question");
}

#[test]
fn what_the_agent_has_no_whole_copy_of_is_asked_once_until_it_says_otherwise() {
    for said in [
        "expected the baseline's content, found its kept copy damaged",
        // Of an older agent, which does not look at its copies before.
        "expected the baseline's content, found that it was not kept when the baseline was taken, or is damaged",
    ] {
        let mut lab = seen(drift(2, Some(free())));
        lab.decide("operator", Decision::Approve, "").unwrap();
        let jobs = lab.settle();
        lab.report(&jobs[0], Phase::Refused, "precondition_failed", said);
        for _ in 0..10 {
            lab.pass(3_600);
            lab.see_host(drift(2, Some(free())));
            assert!(lab.settle().is_empty());
        }
        assert_eq!((lab.approvals.len(), lab.live_approvals()), (1, 0), "{said}");
        let incident = lab.open(IncidentKind::FileDrift);
        assert!(incident.reason.contains(said), "{}", incident.reason);
        // The agent finds that out for itself, and later keeps the content anew.
        let damaged = self::said("copy_damaged", "its kept copy is damaged", "");
        lab.see_host(drift(2, Some(damaged)));
        lab.pass(60);
        lab.settle();
        assert_eq!(lab.live_approvals(), 0);
        lab.see_host(drift(2, Some(free())));
        lab.pass(60);
        lab.settle();
        assert_eq!(lab.live_approvals(), 1, "what can be done by now is asked");
    }
}

#[test]
fn what_something_else_writes_back_is_not_fought_over() {
    let mut lab = seen(drift(2, Some(free())));
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.report(&jobs[0], Phase::Applied, "", "");
    lab.see_host(drift(1, None));
    // Configuration management comes by.
    lab.see_host(drift(2, Some(free())));
    lab.pass(1);
    lab.report(&jobs[0], Phase::Failed, "", "expected the file to stay, found it changed again");
    for _ in 0..10 {
        lab.pass(3_600);
        assert!(lab.settle().is_empty());
    }
    assert_eq!((lab.approvals.len(), lab.live_approvals()), (1, 0));
    let incident = lab.open(IncidentKind::FileDrift);
    assert!(incident.reason.contains("something else writes it"), "{}", incident.reason);
}

/// An error of the moment, such as too many open files, is no word about the copy.
#[test]
fn one_error_while_the_copy_is_read_is_asked_for_once_more() {
    let mut lab = seen(drift(2, Some(free())));
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    let said = "expected the baseline's content, found: Too many open files (os error 24)";
    lab.report(&jobs[0], Phase::Refused, "precondition_failed", said);
    lab.pass(3_600);
    lab.settle();
    assert_eq!(lab.live_approvals(), 1);
}
