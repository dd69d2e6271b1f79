//! Scenes of a drifted file, which is restored or accepted as the new baseline.

use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::approval::Decision;
use crate::model::*;
use crate::remediation::{self, DecideError};
use crate::testing::lab::agent_id;
use crate::testing::{ActionBody, action_of};

const PATH: &str = "/srv/etc/app.conf";

fn as_accepted(lab: &mut Lab) {
    let good = file_state("file", 0o640, 1);
    lab.see_host(Body::File(file(PATH, good.clone(), good)));
}

fn accept(lab: &mut Lab, by: &str) -> Result<bool, DecideError> {
    let id = lab.open(IncidentKind::FileDrift).id;
    let mut ids = lab.ids.clone();
    let changes = remediation::accept_baseline(&lab.snapshot(), id, by, lab.now, &mut ids)?;
    lab.ids = ids;
    Ok(lab.commit(changes))
}

#[test]
fn a_changed_file_is_put_back_after_approval() {
    let mut lab = drifted_file();
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::FileDrift);
    assert_eq!(incident.state, IncidentState::WaitingApproval);
    assert_eq!((incident.cluster.as_str(), incident.scope.host()), ("edge", Some(agent_id())));
    let plan = &lab.plans.values().next().unwrap().doc;
    assert_eq!(
        plan.changes,
        ["sha256: 020202020202 -> 010101010101", "mode: 0666 -> 0640", "@@ -1 +1 @@", "-port 81", "+port 80"]
    );
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    assert_eq!(jobs[0].cluster_uid, "");
    let Some(ActionBody::RestoreFile(action)) = action_of(&jobs[0]) else { panic!() };
    assert_eq!((action.root.as_str(), action.path.as_str()), ("/srv/etc", PATH));
    assert_eq!(action.expect_current.as_ref().unwrap().sha256, vec![2; 32]);
    assert_eq!(action.restore_to.as_ref().unwrap().mode, 0o640);
    lab.apply(&jobs[0]);
    as_accepted(&mut lab);
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    assert_eq!(lab.last(IncidentKind::FileDrift).state, IncidentState::Resolved);
}

#[test]
fn the_same_file_can_be_put_back_again_and_again() {
    let mut lab = drifted_file();
    for _ in 0..5 {
        lab.settle();
        lab.decide("operator", Decision::Approve, "").unwrap();
        let jobs = lab.settle();
        lab.apply(&jobs[0]);
        as_accepted(&mut lab);
        lab.report(&jobs[0], Phase::Succeeded, "", "");
        lab.pass(10);
        let (good, bad) = (file_state("file", 0o640, 1), file_state("file", 0o640, 3));
        lab.see_host(Body::File(file(PATH, good, bad)));
    }
    assert_eq!(lab.jobs.len(), 5, "each approved by a person: what helped is no failed attempt");
}

#[test]
fn a_person_accepts_the_present_state_as_the_baseline() {
    let mut lab = drifted_file();
    lab.settle();
    assert_eq!(lab.live_approvals(), 1);
    assert_eq!(accept(&mut lab, "operator"), Ok(true));
    assert_eq!(accept(&mut lab, "operator"), Ok(false), "the same again changes nothing");
    assert_eq!(lab.live_approvals(), 0, "putting it back is no longer asked");
    let jobs = lab.settle();
    let Some(ActionBody::AcceptBaseline(action)) = action_of(&jobs[0]) else { panic!() };
    assert_eq!(action.expect_current.as_ref().unwrap().mode, 0o666);
    assert_eq!(jobs[0].requested_by, "operator");
    assert!(jobs[0].approvals.is_empty(), "an agent refuses an approval by whoever asked");
    assert!(accept(&mut lab, "operator").unwrap_err().to_string().contains("being worked on"));
    lab.apply(&jobs[0]);
    let now = file_state("file", 0o666, 2);
    lab.see_host(Body::File(file(PATH, now.clone(), now)));
    lab.report(&jobs[0], Phase::Succeeded, "", "");
    assert_eq!(lab.last(IncidentKind::FileDrift).state, IncidentState::Resolved);
}

#[test]
fn a_file_that_changes_again_is_planned_anew() {
    let mut lab = drifted_file();
    lab.settle();
    accept(&mut lab, "operator").unwrap();
    lab.see_host(Body::File(file(PATH, file_state("file", 0o640, 1), file_state("file", 0o640, 9))));
    assert!(lab.settle().is_empty(), "what the person accepted is not what is there");
    let incident = lab.open(IncidentKind::FileDrift);
    assert_eq!(incident.state, IncidentState::WaitingApproval);
    assert!(incident.history.iter().any(|h| h.text.contains("no longer fits")), "{:#?}", incident.history);
}

#[test]
fn added_and_deleted_files_can_be_put_right_and_others_are_left_to_a_person() {
    let file_of = || file_state("file", 0o644, 1);
    let table = [
        (file_state("absent", 0, 0), file_of(), Some("remove /srv/etc/x")),
        (file_of(), file_state("absent", 0, 0), Some("bring back /srv/etc/x")),
        (file_of(), file_state("file", 0o600, 1), Some("put back mode of /srv/etc/x")),
        (file_of(), file_state("symlink", 0o777, 0), Some("put back /srv/etc/x")),
        (file_of(), file_state("directory", 0o755, 0), None),
        (file_state("other", 0, 0), file_state("absent", 0, 0), None),
        (file_of(), file_state("unreadable", 0, 0), None),
    ];
    for (baseline, current, summary) in table {
        let mut lab = Lab::new();
        lab.see_host(Body::File(file("/srv/etc/x", baseline, current.clone())));
        lab.settle();
        let incident = lab.open(IncidentKind::FileDrift);
        let plan = lab.plans.values().next().map(|p| p.doc.summary.as_str());
        assert_eq!(plan, summary, "{}", incident.reason);
        assert_eq!(incident.state == IncidentState::Escalated, summary.is_none());
        if summary.is_some() {
            lab.decide("operator", Decision::Approve, "").unwrap();
            assert_eq!(lab.settle().len(), 1, "{summary:?}");
        } else if current.kind == "unreadable" {
            assert!(matches!(accept(&mut lab, "operator"), Err(DecideError::NoBaseline { .. })));
        } else {
            // What cannot be put back can still be accepted.
            assert!(accept(&mut lab, "operator").unwrap());
            assert_eq!(lab.settle().len(), 1, "{current:?}");
        }
    }
}

#[test]
fn nobody_is_asked_to_put_back_what_no_agent_can() {
    let long = |mode, content| v1::FileState { size: (1 << 20) + 1, ..file_state("file", mode, content) };
    let short = |mode, content| v1::FileState { size: 1 << 20, ..file_state("file", mode, content) };
    let (absent, link) = (|| file_state("absent", 0, 0), || file_state("symlink", 0o777, 0));
    let table = [
        (long(0o644, 1), short(0o644, 2), "content not kept", false),
        (long(0o644, 1), absent(), "content not kept", false),
        (long(0o644, 1), long(0o600, 1), "attributes only", false),
        (long(0o644, 1), link(), "content not kept", false),
        // Kept no longer, or not from the start, for want of room.
        (short(0o644, 1), short(0o644, 2), "content not kept", false),
        // An agent keeps what it replaces, so that it can be undone, and that has the same bound.
        (short(0o644, 1), long(0o644, 2), "too large", false),
        (short(0o644, 1), short(0o600, 1), "attributes only", true),
        // What an agent says of links, whose targets it keeps.
        (short(0o644, 1), link(), "content not kept", true),
        (link(), short(0o644, 2), "content not kept", true),
        (absent(), long(0o644, 2), "too large", false),
    ];
    for (baseline, current, withheld, asked) in table {
        let what = format!("{} of {} -> {}: {withheld}", baseline.kind, baseline.size, current.kind);
        let mut lab = Lab::new();
        let diff_withheld = withheld.to_owned();
        lab.see_host(Body::File(v1::File { diff_withheld, ..file(PATH, baseline, current.clone()) }));
        assert!(lab.settle().is_empty());
        let incident = lab.open(IncidentKind::FileDrift).clone();
        assert_eq!(
            (lab.live_approvals(), lab.plans.len()),
            (usize::from(asked), usize::from(asked)),
            "{what}"
        );
        assert_eq!(incident.state == IncidentState::Escalated, !asked, "{what}");
        let why = if withheld == "too large" { "bytes long now" } else { "keeps no copy" };
        assert_eq!(incident.reason.contains(why), !asked, "{what}: {}", incident.reason);
        if !asked {
            assert_eq!(accept(&mut lab, "operator"), Ok(true), "{what}: the way out that is named");
        }
    }
}

#[test]
fn a_persons_command_is_not_held_by_what_was_tried_before() {
    let mut lab = drifted_file();
    lab.settle();
    lab.decide("operator", Decision::Approve, "").unwrap();
    let jobs = lab.settle();
    lab.apply(&jobs[0]);
    lab.report(&jobs[0], Phase::Failed, "failed", "it was written again");
    lab.pass(86_400);
    lab.settle();
    assert_eq!(lab.open(IncidentKind::FileDrift).state, IncidentState::Escalated, "a person has to look");
    assert_eq!(accept(&mut lab, "operator"), Ok(true));
    assert!(matches!(lab.settle().first().and_then(action_of), Some(ActionBody::AcceptBaseline(_))));
}

#[test]
fn silence_is_no_evidence_that_a_file_is_well() {
    let mut lab = drifted_file();
    lab.settle();
    // The picture is lost and rebuilt from what comes next.
    lab.world.hosts.remove(&agent_id());
    lab.see_host(Body::Host(v1::Host::default()));
    lab.settle();
    assert!(lab.open(IncidentKind::FileDrift).is_open());
    as_accepted(&mut lab);
    lab.settle();
    assert_eq!(lab.last(IncidentKind::FileDrift).state, IncidentState::Resolved);
}

#[test]
fn baselines_are_for_files_that_drift_now() {
    let mut lab = crash_loop();
    lab.settle();
    let mut ids = lab.ids.clone();
    let id = lab.open(IncidentKind::PodCrashLoop).id;
    let error = remediation::accept_baseline(&lab.snapshot(), id, "operator", lab.now, &mut ids).unwrap_err();
    assert!(matches!(error, DecideError::WrongKind { .. }));
    let unknown = "inc_ffffffffffffffffffffffffffffffff".parse().unwrap();
    let error =
        remediation::accept_baseline(&lab.snapshot(), unknown, "operator", lab.now, &mut ids).unwrap_err();
    assert_eq!(error, DecideError::NoIncident(unknown));
}

#[test]
fn a_file_that_is_written_all_the_time_does_not_ask_each_time() {
    let mut lab = drifted_file();
    lab.settle();
    for second in 0..60_u8 {
        lab.pass(1);
        let (good, bad) = (file_state("file", 0o640, 1), file_state("file", 0o640, 10 + second));
        lab.see_host(Body::File(file(PATH, good, bad)));
        lab.settle();
    }
    assert!(lab.approvals.len() <= 2, "{} approvals within a minute", lab.approvals.len());
    let heard = |lab: &mut Lab| lab.see_host(Body::Host(v1::Host::default()));
    lab.pass(11);
    heard(&mut lab);
    lab.settle();
    let incident = lab.open(IncidentKind::FileDrift);
    assert_eq!((incident.state, lab.live_approvals()), (IncidentState::Escalated, 0));
    assert!(incident.reason.contains("--exclude"), "{}", incident.reason);
    lab.pass(600);
    heard(&mut lab);
    lab.settle();
    assert_eq!(
        (lab.live_approvals(), lab.open(IncidentKind::FileDrift).state),
        (1, IncidentState::WaitingApproval),
        "at rest, it is a drift like any other"
    );
}

#[test]
fn what_a_revoked_agent_watched_is_over() {
    let mut lab = drifted_file();
    lab.settle();
    lab.agents.values_mut().for_each(|agent| agent.doc.revoked_at = Some(lab.now));
    lab.connected.clear();
    lab.settle();
    let incident = lab.last(IncidentKind::FileDrift);
    assert_eq!(incident.state, IncidentState::Resolved);
    assert!(incident.reason.contains("revoked"), "{}", incident.reason);
    assert_eq!(lab.live_approvals(), 0);
}

#[test]
fn a_mass_change_opens_a_bounded_number_and_goes_on_as_they_end() {
    let mut lab = Lab::new();
    let (good, bad) = (file_state("file", 0o640, 1), file_state("file", 0o640, 2));
    for n in 0..remediation::MAX_OPEN_PER_SCOPE + 5 {
        lab.see_host(Body::File(file(&format!("/srv/etc/{n:05}"), good.clone(), bad.clone())));
    }
    while lab.diagnose() {}
    assert_eq!(lab.incidents.values().filter(|i| i.doc.is_open()).count(), remediation::MAX_OPEN_PER_SCOPE);
    for n in 0..3 {
        lab.see_host(Body::File(file(&format!("/srv/etc/{n:05}"), good.clone(), good.clone())));
    }
    while lab.diagnose() {}
    assert_eq!(lab.incidents.len(), remediation::MAX_OPEN_PER_SCOPE + 3);
}
