//! Scenes of Jobs and CronJobs: their pods are never evicted, as that counts against the run; all runs of a CronJob are one
//! incident.

use super::*;
use crate::model::*;

/// A run of the CronJob `report`, whose pod crash-loops.
fn failing_run(lab: &mut Lab, n: u32) {
    let run = format!("report-{n}");
    let mut job = batch_job(&run, Some("report"));
    job.meta.as_mut().unwrap().created_at_us = nimbus_protocol::to_micros(lab.now);
    lab.see(Body::BatchJob(job));
    let mut owned = meta("pod", &format!("{run}-x"), Some(("Job", &run)));
    owned.owner_api_version = "batch/v1".into();
    let pod = v1::Pod { meta: Some(owned), ..pod("x-1", "x", "node-a") };
    lab.see(Body::Pod(crashing(pod, 4)));
}

#[test]
fn a_cron_job_that_fails_each_time_is_one_incident_and_no_storm() {
    let mut lab = Lab::new();
    for n in 0..12 {
        failing_run(&mut lab, n);
        assert!(lab.settle().is_empty(), "nothing is evicted");
        lab.pass(60);
    }
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!((lab.incidents.len(), incident.state), (1, IncidentState::Escalated));
    assert!(matches!(&incident.workload, Some(Workload::CronJob(owner)) if owner.name == "report"));
    assert!(incident.reason.contains("cronjob/report"), "{}", incident.reason);
    assert!(lab.approvals.is_empty());
}

#[test]
fn a_cron_job_is_well_once_a_later_run_completes_and_not_between_two_runs() {
    let mut lab = Lab::new();
    failing_run(&mut lab, 1);
    lab.settle();
    lab.see(gone("Pod", "pod-report-1-x"));
    lab.see(gone("Job", "Job-report-1"));
    lab.pass(3_600);
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open(), "that no run is there is no evidence");
    let mut job = batch_job("report-2", Some("report"));
    job.meta.as_mut().unwrap().created_at_us = nimbus_protocol::to_micros(lab.now);
    lab.see(Body::BatchJob(job.clone()));
    lab.settle();
    assert!(lab.open(IncidentKind::PodCrashLoop).is_open(), "it runs still");
    job.completed_at_us = nimbus_protocol::to_micros(lab.now);
    lab.see(Body::BatchJob(job));
    lab.settle();
    let over = lab.last(IncidentKind::PodCrashLoop);
    assert!(over.state == IncidentState::Resolved && over.reason.contains("report-2"), "{}", over.reason);
}

#[test]
fn a_job_of_nobody_and_one_whose_kind_is_not_listed_are_their_own_workload() {
    let mut lab = Lab::new();
    lab.see(Body::BatchJob(batch_job("once", None)));
    let mut of_job = meta("pod", "once-x", Some(("Job", "once")));
    of_job.owner_api_version = "batch/v1".into();
    lab.see(Body::Pod(crashing(v1::Pod { meta: Some(of_job), ..pod("x-1", "x", "node-a") }, 4)));
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!(incident.state, IncidentState::Escalated);
    assert!(matches!(&incident.workload, Some(Workload::Job(owner)) if owner.name == "once"));
}
