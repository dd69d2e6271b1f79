//! Waits for many files at once: one list instead of a question for each, one line that moves instead of one for each
//! look.

use std::collections::BTreeMap;
use std::time::Duration;

use nimbus_api::client::{Client, collect};
use nimbus_api::{Incident, IncidentQuery, MAX_LIMIT};
use tokio::signal::unix::Signal;
use tokio::time::{Instant, sleep};

use crate::commands::outcome::{self, End, Watched};
use crate::commands::resolve;
use crate::context::Context;
use crate::error::Failure;

/// Between two looks at the whole list.
const EVERY: Duration = Duration::from_secs(1);

/// What one look at the list says of a file.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Waits for its turn.
    Waiting,
    /// A job is under way.
    UnderWay,
    /// It may have ended; the incident itself says how.
    Ask,
}

fn seen(watched: &Watched, listed: Option<&Incident>) -> Seen {
    // What is not resolved is in the list.
    let Some(incident) = listed else { return Seen::Ask };
    let new_job = incident.job_id.is_some() && incident.job_id != watched.job_before;
    match incident.state.as_str() {
        "remediating" => Seen::UnderWay,
        "open" if !new_job => Seen::Waiting,
        "waiting_approval" if incident.approval_id == watched.approval => Seen::Waiting,
        _ => Seen::Ask,
    }
}

/// How long to wait for many files. How long they take is only estimated: a slow host is not late while it goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    /// At least.
    pub first: Duration,
    /// After each of the ends of what begins at once.
    pub goes_on: Duration,
    /// How many begin at once; the others follow by themselves, maybe hours later, and are not waited for.
    pub at_once: u64,
}

impl Wait {
    /// As an operator said: for all of them.
    pub fn no_longer_than(timeout: Duration) -> Self {
        Self { first: timeout, goes_on: Duration::ZERO, at_once: u64::MAX }
    }

    /// Has all ended that begins at once?
    fn is_over(self, ended: usize, under_way: usize) -> bool {
        ended as u64 >= self.at_once && under_way == 0
    }

    /// Until when to wait, after the end that makes it `ended`.
    fn until(self, until: Instant, ended: usize, now: Instant) -> Instant {
        if ended as u64 > self.at_once { until } else { until.max(now + self.goes_on) }
    }
}

/// Looks again until each has ended, or all that begins at once has, or it has waited for as long as `wait` says; `told`
/// hears of each end when it comes. Ctrl-C ends the wait and nothing else.
pub(super) async fn follow(
    context: &Context,
    client: &Client,
    watched: &[Watched],
    wait: Wait,
    interrupt: &mut Signal,
    mut told: impl FnMut(&Watched, &End) -> Result<(), Failure>,
) -> Result<Vec<(Watched, End)>, Failure> {
    let mut until = Instant::now() + wait.first;
    let progress = context.moving(&line(0, watched.len(), 0));
    let mut ends: BTreeMap<usize, End> = BTreeMap::new();
    loop {
        let late = Instant::now() >= until;
        let listed = active(client).await?;
        let mut under_way = 0;
        for (n, one) in watched.iter().enumerate() {
            if ends.contains_key(&n) {
                continue;
            }
            let end = match seen(one, listed.get(&one.incident)) {
                Seen::Ask => outcome::end_of(one, &client.incident(&one.incident).await?.typed),
                Seen::UnderWay => None,
                Seen::Waiting => continue,
            };
            let Some(end) = end else {
                under_way += 1;
                continue;
            };
            progress.aside(|| told(one, &end))?;
            ends.insert(n, end);
            if !late {
                until = wait.until(until, ends.len(), Instant::now());
            }
        }
        if late || wait.is_over(ends.len(), under_way) {
            for (n, one) in watched.iter().enumerate() {
                if ends.contains_key(&n) {
                    continue;
                }
                let state = listed.get(&one.incident).map_or("open", |incident| incident.state.as_str());
                let end = End::Late(outcome::waiting(state));
                progress.aside(|| told(one, &end))?;
                ends.insert(n, end);
            }
        }
        let good = ends.values().filter(|end| **end == End::Resolved).count();
        progress.count(&line(good, watched.len(), under_way));
        if ends.len() == watched.len() {
            let ends = watched.iter().cloned().zip(ends.into_values());
            return Ok(ends.collect());
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            _ = interrupt.recv() => {
                let open = watched.iter().enumerate().filter(|(n, _)| !ends.contains_key(n));
                return Err(outcome::interrupted(&open.map(|(_, one)| one).collect::<Vec<_>>()));
            }
        }
    }
}

fn line(good: usize, all: usize, under_way: usize) -> String {
    format!("{good} of {all} put back, {under_way} under way")
}

/// How all of them ended, in one line: `480 of 500 put back and verified, 20 not finished yet`.
pub(super) fn closing(ends: &[(Watched, End)]) -> String {
    let number = |is: fn(&End) -> bool| ends.iter().filter(|(_, end)| is(end)).count();
    let good = number(|end| matches!(end, End::Resolved));
    let mut parts = vec![format!("{good} of {} put back and verified", ends.len())];
    let others = [
        (number(|end| matches!(end, End::Refused(_))), "refused by the agent"),
        (number(|end| matches!(end, End::Failed(_))), "not resolved"),
        (number(|end| matches!(end, End::Replanned(_))), "changed meanwhile, with a new plan that waits"),
        (number(|end| matches!(end, End::Late(_))), "not finished yet"),
    ];
    let others = others.iter().filter(|(number, _)| *number > 0);
    parts.extend(others.map(|(number, what)| format!("{number} {what}")));
    parts.join(", ")
}

/// The incidents that are not resolved, by id.
async fn active(client: &Client) -> Result<BTreeMap<String, Incident>, Failure> {
    let page = async |after| {
        let state = Some("active".to_owned());
        client.incidents(&IncidentQuery { state, cluster: None, limit: Some(MAX_LIMIT), after }).await
    };
    let incidents = collect(resolve::MAX_LOOKED_AT, page).await?.items;
    Ok(incidents.into_iter().map(|incident| (incident.id.clone(), incident)).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::incidents::tests::rollout;
    use crate::view::sample::{id, read};

    fn listed(state: &str, approval: Option<u32>, job: Option<u32>) -> Incident {
        let mut value = rollout();
        value["state"] = json!(state);
        value["approval_id"] = json!(approval.map(|n| id("apr", n)));
        value["job_id"] = json!(job.map(|n| id("job", n)));
        read(value)
    }

    #[test]
    fn each_end_of_what_begins_at_once_prolongs_the_wait_and_no_other_one_does() {
        let (minute, now) = (Duration::from_mins(1), Instant::now());
        let wait = Wait { first: minute, goes_on: minute, at_once: 2 };
        assert_eq!(wait.until(now, 1, now), now + minute);
        assert_eq!(wait.until(now, 2, now), now + minute);
        assert_eq!(wait.until(now, 3, now), now, "it follows by itself");
        assert_eq!(wait.until(now + minute * 5, 1, now), now + minute * 5, "never shorter");
        assert_eq!(Wait::no_longer_than(minute).until(now, 1, now), now, "as the operator said");
    }

    #[test]
    fn what_follows_by_itself_is_not_waited_for() {
        let minute = Duration::from_mins(1);
        let wait = Wait { first: minute, goes_on: minute, at_once: 60 };
        assert!(!wait.is_over(59, 0), "one of them has not begun yet");
        assert!(!wait.is_over(60, 1), "one more has begun");
        assert!(wait.is_over(60, 0) && wait.is_over(61, 0));
        assert!(Wait { at_once: 0, ..wait }.is_over(0, 0), "none is taken in this hour");
        assert!(!Wait::no_longer_than(minute).is_over(200, 0), "an operator who says how long waits for all");
    }

    fn watched() -> Watched {
        Watched {
            incident: id("inc", 1),
            name: "/srv/app/app.conf".into(),
            done: "restored",
            approval: Some(id("apr", 1)),
            job_before: Some(id("job", 1)),
        }
    }

    #[test]
    fn the_ends_of_many_are_counted_in_one_line() {
        let line = |ends: &[End]| {
            closing(&ends.iter().map(|end| (watched(), end.clone())).collect::<Vec<(Watched, End)>>())
        };
        let late = End::Late("waiting for its turn".into());
        assert_eq!(line(&[End::Resolved, End::Resolved]), "2 of 2 put back and verified");
        assert_eq!(
            line(&[End::Resolved, late.clone(), late]),
            "1 of 3 put back and verified, 2 not finished yet"
        );
        let others = [End::Failed("x".into()), End::Refused("x".into()), End::Replanned("apr_1".into())];
        assert_eq!(
            line(&others),
            "0 of 3 put back and verified, 1 refused by the agent, 1 not resolved, 1 changed meanwhile, with a new plan that \
             waits"
        );
    }

    #[test]
    fn only_what_may_have_ended_is_asked_for() {
        let watched = watched();
        let seen = |state, approval, job| super::seen(&watched, Some(&listed(state, approval, job)));
        assert_eq!(seen("waiting_approval", Some(1), Some(1)), Seen::Waiting);
        assert_eq!(seen("open", Some(1), Some(1)), Seen::Waiting, "approved, and not its turn yet");
        assert_eq!(seen("remediating", None, Some(2)), Seen::UnderWay);
        assert_eq!(seen("open", None, Some(2)), Seen::Ask, "its job has ended somehow");
        assert_eq!(seen("waiting_approval", Some(2), Some(1)), Seen::Ask, "another plan");
        assert_eq!(seen("escalated", None, Some(1)), Seen::Ask);
        assert_eq!(super::seen(&watched, None), Seen::Ask, "resolved, or gone");
    }
}
