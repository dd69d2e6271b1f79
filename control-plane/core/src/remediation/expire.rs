//! Expires what is past its time: approvals that were not answered or not used, jobs that were not started or not
//! reported, silences, and pauses that were for a time.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::IncidentId;

use super::index::Index;
use super::record::{Record, transition};
use super::report::record_failed_attempt;
use super::{clock, pause};
use crate::model::{ApprovalState, ChangeSet, IncidentState, Job, JobState, Versioned};
use crate::settings::{later, millis};
use crate::snapshot::Snapshot;

/// Closes what is past its time.
pub fn expire(s: &Snapshot<'_>, now: Timestamp) -> ChangeSet {
    let index = Index::of(s);
    let mut record = Record::new(now);
    for incident in s.incidents.iter().filter(|i| i.doc.is_open()) {
        let id = incident.doc.id;
        let mut after = incident.doc.clone();
        if clock::wait_is_absurd(&after, s.settings, now) {
            after.next_attempt_at = None;
            after.note(now, "its wait was set by a clock that was ahead, and is over");
        }
        for approval in index.approvals(id) {
            if let Some(doc) =
                clock::shortened(&approval.doc, s.settings, now).filter(|_| approval.doc.is_live())
            {
                record.changes.approvals.push(Versioned { version: approval.version, doc });
                continue;
            }
            if !approval.doc.is_live() || now < approval.doc.expires_at {
                continue;
            }
            let text = match approval.doc.state {
                ApprovalState::Approved => "was given, but could not be used in time",
                ApprovalState::Pending | ApprovalState::Denied | ApprovalState::Expired => {
                    "was not answered in time"
                }
            };
            record.expire_approval(approval, &format!("approval {} {text}", approval.doc.id));
            if after.approval_id == Some(approval.doc.id) {
                after.approval_id = None;
                let reason = format!("approval {} {text}; it is asked again", approval.doc.id);
                transition(&mut after, IncidentState::Open, &reason, now);
            }
        }
        for job in index.jobs(id) {
            if let Some(moved) = clock::drawn_back(&job.doc, now) {
                record.job(job, moved);
                continue;
            }
            let Some((state, reason)) = given_up(s, &job.doc, now) else { continue };
            let mut gone = job.doc.clone();
            gone.state = state;
            gone.reason = reason;
            gone.finished_at = Some(now);
            record.audit(&format!("job.{state}"), &gone.id, &gone.cluster, gone.reason.clone());
            if after.job_id == Some(gone.id) {
                record_failed_attempt(s, &mut after, &gone, now);
            }
            record.job(job, gone);
        }
        if after.state == IncidentState::Silenced && after.silenced_until.is_some_and(|until| until <= now) {
            after.silenced_until = None;
            transition(
                &mut after,
                IncidentState::Open,
                "the silence is over; a remedy is being looked for",
                now,
            );
            record.audit("incident.unsilenced", &after.id, &after.cluster, "the silence is over");
        }
        record.incident(incident, after);
    }
    orphans(s, &mut record, now);
    pause::ended(s.pauses.iter(), &mut record, now);
    record.changes
}

/// Jobs whose incident is not open any more: they end as well, without a consequence.
fn orphans(s: &Snapshot<'_>, record: &mut Record, now: Timestamp) {
    let open: BTreeSet<IncidentId> =
        s.incidents.iter().filter(|i| i.doc.is_open()).map(|i| i.doc.id).collect();
    for job in s.jobs.iter().filter(|j| !open.contains(&j.doc.incident_id)) {
        if let Some(moved) = clock::drawn_back(&job.doc, now) {
            record.job(job, moved);
            continue;
        }
        let Some((state, reason)) = given_up(s, &job.doc, now) else { continue };
        let mut gone = job.doc.clone();
        gone.state = state;
        gone.reason = reason;
        gone.finished_at = Some(now);
        record.audit(&format!("job.{state}"), &gone.id, &gone.cluster, gone.reason.clone());
        record.job(job, gone);
    }
}

/// What a silent job has become by now, and why.
///
/// A job that was not taken before it expired is void, once a report that says otherwise had time to arrive; that
/// takes a connected agent. Everything else that stays silent is unknown, never a success, and not before its time is over: an
/// agent whose pod is gone may still run, and act.
fn given_up(s: &Snapshot<'_>, job: &Job, now: Timestamp) -> Option<(JobState, String)> {
    let grace = millis(s.settings.report_grace_ms);
    let work = SignedDuration::from_millis(i64::from(job.verify_timeout_ms) + i64::from(s.settings.act_ms));
    let past = |by: SignedDuration| later(later(job.expires_at, by), grace) <= now;
    let expired =
        || format!("no agent took it before {:.0}; nothing is known to have been done", job.expires_at);
    match job.state {
        JobState::Pending if past(SignedDuration::ZERO) => Some((JobState::Expired, expired())),
        JobState::Dispatched if past(SignedDuration::ZERO) && s.connected.contains(&job.agent_id) => {
            Some((JobState::Expired, expired()))
        }
        JobState::Dispatched if past(work) => Some((
            JobState::Unknown,
            "it was sent, and its agent has not been heard of since: nobody can say whether it took effect"
                .to_owned(),
        )),
        JobState::Running if past(work) => Some((
            JobState::Unknown,
            "its agent took it and has not said how it ended: nobody can say whether it helped".to_owned(),
        )),
        JobState::Pending
        | JobState::Dispatched
        | JobState::Running
        | JobState::Succeeded
        | JobState::Failed
        | JobState::Refused
        | JobState::Expired
        | JobState::Compensated
        | JobState::Unknown => None,
    }
}
