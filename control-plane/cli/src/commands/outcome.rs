//! Waits, up to a time limit, until remedies have ended, and prints how each ended.

use std::time::Duration;

use nimbus_api::client::Client;
use nimbus_api::{IncidentDetail, Started};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::theme::{Tone, readable};

/// How often a waiting command looks again.
pub const EVERY: Duration = Duration::from_millis(300);

/// An incident whose remedy is awaited.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The incident's id.
    pub incident: String,
    /// What it is about, to show.
    pub name: String,
    /// What to call its good end: `restored`.
    pub done: &'static str,
    /// The approval that was given; a pending one with another id means that the plan changed.
    pub approval: Option<String>,
    /// The job that it had before: another one is ours.
    pub job_before: Option<String>,
}

/// How a remedy ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The incident is resolved.
    Resolved,
    /// The agent refused the job; why.
    Refused(String),
    /// Tried, and it did not help or its effect is unknown; why.
    Failed(String),
    /// The object changed meanwhile: a new plan waits under this approval.
    Replanned(String),
    /// Not ended within the bound; its state.
    Late(String),
}

/// Looks again until each has ended, `timeout` has passed or `interrupt` hears of Ctrl-C.
pub async fn follow(
    context: &Context,
    client: &Client,
    watched: &[Watched],
    timeout: Duration,
    interrupt: &mut Signal,
) -> Result<Vec<(Watched, End)>, Failure> {
    let end = Instant::now() + timeout;
    let mut progress = context.progress("waiting for the agent");
    let mut ends: Vec<Option<End>> = vec![None; watched.len()];
    loop {
        let late = Instant::now() >= end;
        for (one, known) in watched.iter().zip(&mut ends).filter(|(_, known)| known.is_none()) {
            let detail = client.incident(&one.incident).await?.typed;
            *known = end_of(one, &detail).or_else(|| late.then(|| End::Late(progress_of(&detail))));
            if known.is_none() {
                progress.say(&format!("{}: {}", one.name, progress_of(&detail)));
            }
        }
        if ends.iter().all(Option::is_some) {
            return Ok(watched.iter().cloned().zip(ends.into_iter().flatten()).collect());
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = interrupt.recv() => {
                let open = watched.iter().zip(&ends).filter(|(_, end)| end.is_none());
                return Err(interrupted(&open.map(|(one, _)| one).collect::<Vec<_>>()));
            }
        }
    }
}

/// Hears of Ctrl-C, which does not end the command by itself from then on.
pub fn interrupt() -> Result<Signal, Failure> {
    signal(SignalKind::interrupt())
        .map_err(|error| Failure::new("Ctrl-C cannot be listened for").found(crate::files::reason(&error)))
}

/// Ctrl-C ends the wait and nothing else.
pub fn interrupted(open: &[&Watched]) -> Failure {
    let jobs = if open.len() == 1 { "the job goes on" } else { "the jobs go on" };
    let next = match open {
        [one] => format!("nimbus incidents show {}", one.incident),
        _ => "nimbus jobs list".to_owned(),
    };
    Failure::new(format!("stopped waiting; {jobs} without this command"))
        .exit(Exit::Interrupted)
        .expected("the agent to end what was ordered")
        .found(format!("Ctrl-C with {} of them not ended", open.len()))
        .next(format!("follow it: {next}"))
}

/// Whether and how it has ended.
pub fn end_of(watched: &Watched, detail: &IncidentDetail) -> Option<End> {
    let incident = &detail.incident;
    if incident.state == "resolved" {
        return Some(End::Resolved);
    }
    let ours = detail.job.as_ref().filter(|job| Some(&job.id) != watched.job_before.as_ref());
    if let Some(job) = ours {
        let why = if job.reason.is_empty() { incident.reason.clone() } else { job.reason.clone() };
        match job.state.as_str() {
            "refused" => return Some(End::Refused(why)),
            "failed" | "expired" | "compensated" | "unknown" => {
                return Some(End::Failed(format!("{}: {why}", job.state)));
            }
            _ => {}
        }
    }
    match (&incident.approval_id, incident.state.as_str()) {
        (Some(now), "waiting_approval") if watched.approval.as_ref().is_some_and(|given| given != now) => {
            Some(End::Replanned(now.clone()))
        }
        (_, "escalated") => Some(End::Failed(incident.reason.clone())),
        _ => None,
    }
}

/// What an incident is doing that has not ended when the wait is over.
pub fn waiting(state: &str) -> String {
    match state {
        "open" => "waiting for its turn".to_owned(),
        other => readable(other),
    }
}

fn progress_of(detail: &IncidentDetail) -> String {
    match &detail.job {
        Some(job) if job.applied_at.is_some() && job.finished_at.is_none() => {
            let window = crate::output::time::span(jiff::SignedDuration::from_millis(job.verify_ms.into()));
            format!("changed; verifying that it holds for {window}")
        }
        // What keeps it from being sent stands in the incident: somebody paused it, or it waits for its turn.
        Some(job) if job.state == "pending" && !detail.incident.reason.is_empty() => {
            detail.incident.reason.clone()
        }
        Some(job) if detail.incident.state == "remediating" => format!("job {}", readable(&job.state)),
        None if detail.incident.state == "open" && !detail.incident.reason.is_empty() => {
            detail.incident.reason.clone()
        }
        _ => readable(&detail.incident.state),
    }
}

/// Prints each end (tables), and gives the exit code or the failure.
pub fn print_outcomes(context: &Context, ends: &[(Watched, End)]) -> Result<Exit, Failure> {
    for (one, end) in ends {
        print_outcome(context, one, end)?;
    }
    verdict(ends)
}

/// Prints one end (tables).
pub fn print_outcome(context: &Context, one: &Watched, end: &End) -> Result<(), Failure> {
    if !context.global.format.is_table() {
        return Ok(());
    }
    let (tone, word) = match end {
        End::Resolved => (Tone::Good, format!("{} and verified", one.done)),
        End::Refused(why) => (Tone::Bad, format!("refused by the agent, nothing was changed: {why}")),
        End::Failed(why) => (Tone::Bad, format!("not resolved: {why}")),
        End::Replanned(id) => (Tone::Warn, format!("it changed meanwhile; a new plan waits as {id}")),
        End::Late(state) => (Tone::Warn, format!("not finished yet: {state}")),
    };
    let name = crate::output::plain(&one.name);
    context.print(&format!("{name}: {}\n", context.theme.paint(tone, &word)))
}

/// The exit code of these ends: done only when every one is good.
pub fn verdict(ends: &[(Watched, End)]) -> Result<Exit, Failure> {
    let worst = ends.iter().filter_map(|(one, end)| {
        let (rank, exit, found) = match end {
            End::Resolved => return None,
            End::Refused(why) => (0, Exit::Refused, format!("refused: {why}")),
            End::Failed(why) => (1, Exit::Error, why.clone()),
            End::Replanned(id) => {
                (2, Exit::Waiting, format!("it changed meanwhile; a new plan waits as {id}"))
            }
            End::Late(state) => (3, Exit::Error, format!("still {state} when the wait was over")),
        };
        Some((rank, exit, found, one))
    });
    let Some((_, exit, found, one)) = worst.min_by_key(|(rank, ..)| *rank) else { return Ok(Exit::Done) };
    let bad = ends.iter().filter(|(_, end)| *end != End::Resolved).count();
    Err(Failure::new(format!("{bad} of {} not resolved", ends.len()))
        .exit(exit)
        .expected(format!("{}: resolved", one.name))
        .found(found)
        .next(format!("nimbus incidents show {}", one.incident)))
}

/// Is an order one that others have to approve?
pub fn others_are_asked(started: &Started) -> bool {
    started.plan.as_ref().is_some_and(|plan| plan.needs_approval)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::incidents::tests::rollout;
    use crate::view::sample::{id, read};

    fn watched() -> Watched {
        Watched {
            incident: id("inc", 1),
            name: "shop/deployment/web".into(),
            done: "done",
            approval: Some(id("apr", 1)),
            job_before: Some(id("job", 1)),
        }
    }

    fn detail(state: &str, approval: u32, job: Option<(u32, &str)>) -> IncidentDetail {
        let mut value = rollout();
        value["state"] = json!(state);
        value["approval_id"] = json!(id("apr", approval));
        for list in ["evidence", "symptoms", "history"] {
            value[list] = json!([]);
        }
        for none in ["plan", "approval", "job"] {
            value[none] = Value::Null;
        }
        if let Some((number, state)) = job {
            value["job"] = json!({
                "id": id("job", number), "created_at": "2026-11-22T07:58:00Z", "cluster": "c", "cluster_uid": null,
                "kind": "rollback_deployment", "state": state, "object": value["object"], "owner": null,
                "reason": "because", "evidence": [], "agent_id": id("agt", 1), "incident_id": id("inc", 1),
                "plan_id": id("pln", 1), "plan_digest": "", "approval_id": null,
                "expires_at": "2026-11-22T07:59:00Z", "dispatched_at": null, "applied_at": null,
                "finished_at": null, "verify_ms": 1, "verify_timeout_ms": 1, "replacement_uid": null
            });
        }
        read(value)
    }

    #[test]
    fn an_end_is_seen_and_an_older_job_is_not_taken_for_ours() {
        let end_after = |state, approval, job| super::end_of(&watched(), &detail(state, approval, job));
        assert_eq!(end_after("waiting_approval", 1, None), None);
        assert_eq!(end_after("waiting_approval", 1, Some((1, "refused"))), None, "the job from before");
        assert_eq!(end_after("remediating", 1, Some((2, "running"))), None);
        assert_eq!(
            end_after("remediating", 1, Some((2, "succeeded"))),
            None,
            "resolved only when the world agrees"
        );
        assert_eq!(end_after("resolved", 1, Some((2, "succeeded"))), Some(End::Resolved));
        assert_eq!(end_after("open", 1, Some((2, "refused"))), Some(End::Refused("because".into())));
        assert_eq!(
            end_after("escalated", 1, Some((2, "failed"))),
            Some(End::Failed("failed: because".into()))
        );
        assert_eq!(end_after("waiting_approval", 2, None), Some(End::Replanned(id("apr", 2))));
        assert!(matches!(end_after("escalated", 1, None), Some(End::Failed(_))));
    }

    #[test]
    fn ctrl_c_says_that_what_was_ordered_goes_on() {
        let one = interrupted(&[&watched()]);
        assert_eq!(one.exit, Exit::Interrupted);
        assert!(one.title.contains("the job goes on") && one.next.contains("incidents show"), "{one}");
        assert!(interrupted(&[&watched(), &watched()]).next.contains("nimbus jobs list"));
    }

    #[test]
    fn the_worst_end_gives_the_exit_code() {
        let code = |ends: &[End]| {
            let ends: Vec<_> = ends.iter().map(|end| (watched(), end.clone())).collect();
            verdict(&ends).unwrap_or_else(|failure| failure.exit)
        };
        let (failed, late) = (End::Failed("x".into()), End::Late("running".into()));
        assert_eq!(code(&[End::Resolved, End::Resolved]), Exit::Done);
        assert_eq!(code(&[End::Resolved, late.clone()]), Exit::Error);
        assert_eq!(code(&[late.clone(), End::Replanned("apr".into())]), Exit::Waiting);
        assert_eq!(code(&[failed, End::Refused("x".into()), late]), Exit::Refused);
    }
}
