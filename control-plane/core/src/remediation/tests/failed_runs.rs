//! Scenes of Jobs that failed for good: their pods have ended, so nothing is left to act on, and a person is told which run
//! failed and where to look.

use super::*;
use crate::model::*;

/// The run `n` of the CronJob `report`, made just now.
fn run(lab: &Lab, n: u32) -> v1::BatchJob {
    let mut job = batch_job(&format!("report-{n}"), Some("report"));
    job.meta.as_mut().unwrap().created_at_us = nimbus_protocol::to_micros(lab.now);
    job
}

/// That run fails, with the pod that failed: its template says `restartPolicy: Never`.
fn fails(lab: &mut Lab, n: u32) {
    let job = failed(run(lab, n), lab.now);
    lab.see(Body::BatchJob(job));
    let mut ended = pod_of(&format!("report-{n}"));
    (ended.phase, ended.ready) = ("Failed".into(), false);
    ended.containers[0].state = "terminated".into();
    lab.see(Body::Pod(ended));
}

fn completes(lab: &mut Lab, n: u32) {
    let job = completed(run(lab, n), lab.now);
    lab.see(Body::BatchJob(job));
}

/// The pod `JOB-x` of a Job.
fn pod_of(job: &str) -> v1::Pod {
    let mut owned = meta("pod", &format!("{job}-x"), Some(("Job", job)));
    owned.owner_api_version = "batch/v1".into();
    v1::Pod { meta: Some(owned), ..pod("x-1", "x", "node-a") }
}

#[test]
fn a_cron_job_that_fails_every_minute_is_one_incident_that_names_the_newest_run() {
    let mut lab = Lab::new();
    for n in 0..12 {
        fails(&mut lab, n);
        assert!(lab.settle().is_empty(), "nothing is evicted");
        lab.pass(60);
    }
    let incident = lab.open(IncidentKind::JobFailing);
    assert_eq!((lab.incidents.len(), incident.state), (1, IncidentState::Escalated));
    assert!(matches!(&incident.workload, Some(Workload::CronJob(owner)) if owner.name == "report"));
    for word in
        ["BackoffLimitExceeded", "kubectl -n shop logs job/report-11", "an eviction counts against it"]
    {
        assert!(incident.reason.contains(word), "{word}: {}", incident.reason);
    }
    assert!(
        incident.evidence[1].contains("of the 12 runs that ended and are kept 12 failed"),
        "{:?}",
        incident.evidence
    );
    assert!(lab.approvals.is_empty());
    assert_eq!((lab.audited("incident.opened"), lab.audited("incident.escalated")), (1, 1));
}

#[test]
fn it_is_over_once_a_later_run_completed_and_that_lasted() {
    let mut lab = Lab::new();
    fails(&mut lab, 1);
    lab.settle();
    lab.pass(60);
    let later = run(&lab, 2);
    lab.see(Body::BatchJob(later));
    lab.settle();
    assert!(lab.open(IncidentKind::JobFailing).is_open(), "it runs still");
    lab.pass(60);
    completes(&mut lab, 2);
    lab.settle();
    lab.pass(599);
    lab.settle();
    assert!(lab.open(IncidentKind::JobFailing).is_open(), "it has not lasted yet");
    lab.pass(1);
    lab.settle();
    let over = lab.last(IncidentKind::JobFailing);
    assert!(over.state == IncidentState::Resolved && over.reason.contains("report-2"), "{}", over.reason);
}

#[test]
fn runs_that_fail_now_and_then_are_one_incident_that_counts_how_often_it_came_back() {
    let mut lab = Lab::new();
    for n in 0..6 {
        if n % 2 == 0 {
            fails(&mut lab, n);
        } else {
            completes(&mut lab, n);
        }
        lab.settle();
        lab.pass(60);
    }
    assert_eq!((lab.incidents.len(), lab.open(IncidentKind::JobFailing).returns), (1, 2));
}

#[test]
fn without_any_run_left_it_is_over_after_an_hour_and_says_that_none_completed() {
    let mut lab = Lab::new();
    fails(&mut lab, 1);
    lab.settle();
    lab.see(gone("Job", "Job-report-1"));
    lab.settle();
    lab.pass(3_599);
    lab.settle();
    assert!(lab.open(IncidentKind::JobFailing).is_open(), "that no run is there is no evidence");
    lab.pass(1);
    lab.settle();
    let over = lab.last(IncidentKind::JobFailing);
    assert_eq!(over.state, IncidentState::Resolved);
    assert!(over.reason.contains("not seen to complete"), "{}", over.reason);
}

/// A cluster keeps failed runs for as long as it is told to: what failed long before anybody looked is no news.
#[test]
fn a_run_that_failed_long_ago_opens_nothing_and_an_open_incident_does_not_age() {
    for (ago, incidents) in [(3_601, 0), (3_600, 1)] {
        let mut lab = Lab::new();
        fails(&mut lab, 1);
        lab.pass(ago);
        lab.settle();
        assert_eq!(lab.incidents.len(), incidents, "failed {ago} s ago");
    }
    let mut lab = Lab::new();
    fails(&mut lab, 1);
    lab.settle();
    lab.pass(86_400);
    lab.settle();
    assert!(lab.open(IncidentKind::JobFailing).is_open(), "the newest run is still a failed one");
}

#[test]
fn a_job_of_nobody_is_an_incident_until_it_is_gone() {
    let mut lab = Lab::new();
    let job = failed(batch_job("once", None), lab.now);
    lab.see(Body::BatchJob(job));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::JobFailing);
    assert!(matches!(&incident.workload, Some(Workload::Job(owner)) if owner.name == "once"));
    assert_eq!(incident.title, "shop/job/once: it failed (BackoffLimitExceeded)");
    assert_eq!(incident.evidence.len(), 1, "it has no other runs");
    lab.see(gone("Job", "Job-once"));
    lab.settle();
    assert_eq!(lab.last(IncidentKind::JobFailing).state, IncidentState::Resolved);
}

/// Their pods have ended: they say nothing of what runs now, and do not stop what is to be healed.
#[test]
fn many_failed_jobs_are_no_storm() {
    let mut lab = crash_loop();
    for n in 0..20 {
        let job = failed(batch_job(&format!("once-{n}"), None), lab.now);
        lab.see(Body::BatchJob(job));
    }
    assert_eq!(lab.settle().len(), 1, "the crash loop is healed all the same");
    assert_eq!(lab.incidents.len(), 21);
}

#[test]
fn the_runs_of_another_controller_are_one_incident_too() {
    let mut lab = Lab::new();
    for n in 0..3 {
        let mut job = run(&lab, n);
        let owned = job.meta.as_mut().unwrap();
        owned.owner_api_version = "keda.sh/v1alpha1".into();
        owned.owner_kind = "ScaledJob".into();
        let job = failed(job, lab.now);
        lab.see(Body::BatchJob(job));
    }
    assert!(lab.settle().is_empty());
    assert!(matches!(&lab.open(IncidentKind::JobFailing).workload, Some(Workload::Other(_))));
}

/// With `restartPolicy: OnFailure` the pods crash-loop first, and then the run fails: whichever incident was there first goes on.
#[test]
fn a_crash_loop_and_the_run_that_fails_of_it_are_one_incident() {
    let mut lab = Lab::new();
    for n in 0..3 {
        let active = run(&lab, n);
        lab.see(Body::BatchJob(active.clone()));
        lab.see(Body::Pod(crashing(pod_of(&format!("report-{n}")), 4)));
        assert!(lab.settle().is_empty());
        lab.pass(60);
        lab.see(gone("Pod", &format!("pod-report-{n}-x")));
        let over = failed(active, lab.now);
        lab.see(Body::BatchJob(over));
        assert!(lab.settle().is_empty());
    }
    assert_eq!((lab.incidents.len(), lab.open(IncidentKind::PodCrashLoop).is_open()), (1, true));

    let mut lab = Lab::new();
    fails(&mut lab, 1);
    lab.settle();
    lab.pass(60);
    let active = run(&lab, 2);
    lab.see(Body::BatchJob(active));
    lab.see(Body::Pod(crashing(pod_of("report-2"), 4)));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::JobFailing);
    assert_eq!(lab.incidents.len(), 1);
    assert!(
        incident.evidence.iter().any(|line| line.contains("CrashLoopBackOff")),
        "{:?}",
        incident.evidence
    );
}

#[test]
fn nothing_is_opened_or_closed_while_jobs_are_not_listed() {
    let mut lab = Lab::new();
    let mut unlisted = lab.clone();
    unlisted.see(begin("Job", 1));
    fails(&mut unlisted, 1);
    unlisted.settle();
    assert!(unlisted.incidents.is_empty());

    fails(&mut lab, 1);
    lab.settle();
    lab.see(begin("Job", 1));
    lab.see(gone("Job", "Job-report-1"));
    lab.pass(86_400);
    lab.settle();
    assert!(lab.open(IncidentKind::JobFailing).is_open());
}

/// Nobody removes a Job that nobody owns: told for ever, they would take the room of everything else.
#[test]
fn failed_jobs_of_nobody_are_told_for_a_day_and_never_more_than_a_hundred() {
    let mut lab = Lab::new();
    for day in 0..3 {
        for n in 0..150 {
            let job = failed(batch_job(&format!("once-{day}-{n}"), None), lab.now);
            lab.see(Body::BatchJob(job));
        }
        lab.settle();
        let open = lab.incidents.values().filter(|i| i.doc.is_open()).count();
        assert_eq!(open, 100, "day {day}");
        // What fails later is told, and takes the place of the oldest; a CronJob's runs need none of theirs.
        lab.pass(600);
        for n in 150..160 {
            let job = failed(batch_job(&format!("once-{day}-{n}"), None), lab.now);
            lab.see(Body::BatchJob(job));
        }
        fails(&mut lab, day);
        lab.settle();
        let open: Vec<String> =
            lab.incidents.values().filter(|i| i.doc.is_open()).map(|i| i.doc.object.to_string()).collect();
        assert_eq!(open.len(), 101, "day {day}");
        assert!(open.iter().any(|name| name.ends_with(&format!("once-{day}-159"))), "{open:?}");
        completes(&mut lab, day);
        lab.settle();
        lab.pass(24 * 3_600 + 60);
        lab.settle();
        assert_eq!(lab.incidents.values().filter(|i| i.doc.is_open()).count(), 0, "day {day}");
    }
}
