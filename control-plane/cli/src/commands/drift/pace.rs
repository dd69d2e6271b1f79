//! How long putting many files back takes, said before anybody is asked: by how many jobs a host takes at once, and by
//! how many an hour its agent's own policy takes.

use std::collections::BTreeMap;
use std::time::Duration;

use nimbus_api::client::Client;
use nimbus_api::{Drift, Pace};

use crate::error::Failure;
use crate::output::time::span;
use crate::view::count;

/// From so many files on, a single host is worth a word.
const WORTH_SAYING: usize = 2;
/// What an order, its report and the next look take, beside the work itself.
pub(super) const MARGIN: Duration = Duration::from_mins(1);
const HOUR: u64 = 3_600;

/// What is to be expected of putting a number of files of one host back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Forecast {
    /// Within this hour's budget.
    at_once: u64,
    /// Afterwards, as the budget allows.
    later: u64,
    /// Until the last within this hour's budget.
    first: Duration,
    /// Until the last of all; `None`: never, the agent takes none.
    whole: Option<Duration>,
}

fn forecast(files: u64, pace: &Pace) -> Forecast {
    let left = pace.jobs_left.map_or(files, u64::from);
    let at_once = files.min(left);
    let later = files - at_once;
    let rounds = at_once.div_ceil(u64::from(pace.at_once.max(1)));
    let first = rounds.saturating_mul(pace.job_seconds.into());
    let whole = match (later, pace.jobs_per_hour) {
        (0, _) | (_, None) => Some(first),
        (_, Some(0)) => None,
        // A place that was taken in this hour is free an hour later, at the latest.
        (_, Some(hourly)) => Some(later.div_ceil(hourly.into()).saturating_mul(HOUR).saturating_add(first)),
    };
    Forecast { at_once, later, first: Duration::from_secs(first), whole: whole.map(Duration::from_secs) }
}

/// What is to be expected on every host.
#[derive(Debug, Default)]
pub(super) struct Expected {
    /// One sentence for each host, where there is something to say.
    pub lines: Vec<String>,
    /// How long to wait at least for what begins at once.
    pub patience: Duration,
    /// How many files that is, on all hosts; the others follow by themselves.
    pub at_once: u64,
    /// How many of each agent's files there is room for before their approvals run out.
    fits: BTreeMap<String, u64>,
    /// How many files an hour each agent takes, where that holds some of them up.
    hourly: BTreeMap<String, u64>,
}

impl Expected {
    /// How many of the files of `agent` can be put back before their approvals run out.
    pub fn fits(&self, agent: &str) -> u64 {
        self.fits.get(agent).copied().unwrap_or(u64::MAX)
    }

    /// How long it takes at most until the last of what is left has its turn, by the number of files of each agent; `None`
    /// where no hourly budget holds them up.
    pub fn rest_takes(&self, left: &BTreeMap<&str, u64>) -> Option<Duration> {
        let hours = left.iter().filter_map(|(agent, files)| Some(files.div_ceil(*self.hourly.get(*agent)?)));
        hours.max().map(|hours| Duration::from_secs(hours.saturating_mul(HOUR)))
    }
}

/// Looks up the pace of every host of these files. `holds` is how long their approvals hold.
pub(super) async fn expected(
    client: &Client,
    files: &[&Drift],
    holds: Option<Duration>,
) -> Result<Expected, Failure> {
    let mut hosts: BTreeMap<&str, Vec<&Drift>> = BTreeMap::new();
    for file in files {
        if let Some(agent) = &file.agent_id {
            hosts.entry(agent).or_default().push(file);
        }
    }
    let mut expected = Expected { patience: MARGIN, ..Expected::default() };
    for (agent, files) in hosts {
        let of = client.agent(agent).await?.typed.agent;
        let seen = forecast(files.len() as u64, &of.pace);
        expected.patience = expected.patience.max(seen.first.saturating_add(MARGIN));
        expected.at_once += seen.at_once;
        let fits = holds.map_or(u64::MAX, |holds| fitting(&of.pace, holds));
        expected.fits.insert(agent.to_owned(), fits);
        let hourly = of.pace.jobs_per_hour.filter(|hourly| seen.later > 0 && *hourly > 0);
        expected.hourly.extend(hourly.map(|hourly| (agent.to_owned(), u64::from(hourly))));
        if files.len() >= WORTH_SAYING {
            expected.lines.push(sentence(&of.name, files.len() as u64, &of.pace, seen));
        }
    }
    Ok(expected)
}

/// How many jobs an agent takes in this time.
fn fitting(pace: &Pace, holds: Duration) -> u64 {
    let Some(hourly) = pace.jobs_per_hour else { return u64::MAX };
    let left = u64::from(pace.jobs_left.unwrap_or(hourly));
    left.saturating_add(u64::from(hourly).saturating_mul(holds.as_secs() / HOUR))
}

fn sentence(host: &str, files: u64, pace: &Pace, seen: Forecast) -> String {
    let all = count(files, "file", "files");
    let about =
        |time: Duration| span(jiff::SignedDuration::try_from(time).unwrap_or(jiff::SignedDuration::MAX));
    let hourly = pace.jobs_per_hour.unwrap_or_default();
    match (seen.later, seen.whole) {
        (0, _) => format!("{host}: {all}, {} at a time, about {}", pace.at_once, about(seen.first)),
        (_, None) => format!(
            "{host}: {all}, and its agent takes no job at all: `jobs_per_hour` is 0 in its policy, on that host"
        ),
        (later, Some(whole)) => format!(
            "{host}: {all}; its agent takes {hourly} jobs an hour (`jobs_per_hour` in its policy, on that host) and {} are \
             left of this one: {} now, {later} follow by themselves, the last in about {}",
            pace.jobs_left.unwrap_or_default(),
            seen.at_once,
            about(whole)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(jobs_per_hour: Option<u32>, jobs_left: Option<u32>) -> Pace {
        Pace { jobs_per_hour, jobs_left, at_once: 10, job_seconds: 6 }
    }

    #[test]
    fn without_a_budget_only_the_number_at_a_time_counts() {
        for unbounded in [pace(None, None), pace(Some(2_000), Some(1_500))] {
            let seen = forecast(1_000, &unbounded);
            assert_eq!((seen.at_once, seen.later), (1_000, 0));
            assert_eq!((seen.first.as_secs(), seen.whole), (600, Some(Duration::from_mins(10))));
        }
        assert_eq!(
            sentence("edge", 1_000, &pace(None, None), forecast(1_000, &pace(None, None))),
            "edge: 1000 files, 10 at a time, about 10m"
        );
    }

    #[test]
    fn beyond_the_budget_the_rest_follows_by_the_hour() {
        let budget = pace(Some(60), Some(40));
        let seen = forecast(1_000, &budget);
        assert_eq!((seen.at_once, seen.later, seen.first.as_secs()), (40, 960, 24));
        assert_eq!(seen.whole, Some(Duration::from_secs(16 * 3_600 + 24)));
        let said = sentence("edge", 1_000, &budget, seen);
        for word in ["1000 files", "60 jobs an hour", "40 are left", "40 now", "960 follow", "about 16h"] {
            assert!(said.contains(word), "{word} in {said}");
        }
        let none = pace(Some(0), Some(0));
        assert!(sentence("edge", 3, &none, forecast(3, &none)).contains("takes no job at all"));
    }

    #[test]
    fn what_is_left_goes_on_by_the_hour_of_the_slowest_host() {
        let hourly = BTreeMap::from([("edge".to_owned(), 60), ("far".to_owned(), 10)]);
        let expected = Expected { hourly, ..Expected::default() };
        let takes = |left: &[(&str, u64)]| expected.rest_takes(&left.iter().copied().collect());
        assert_eq!(takes(&[("edge", 140)]), Some(Duration::from_hours(3)));
        assert_eq!(takes(&[("edge", 140), ("far", 45)]), Some(Duration::from_hours(5)));
        assert_eq!(takes(&[("near", 3)]), None, "no budget holds it up");
        assert_eq!(takes(&[]), None);
    }

    #[test]
    fn what_does_not_fit_into_the_time_that_approvals_hold_is_known() {
        let day = Duration::from_hours(24);
        assert_eq!(fitting(&pace(Some(60), Some(40)), day), 40 + 24 * 60);
        assert_eq!(fitting(&pace(Some(60), Some(0)), Duration::from_mins(59)), 0);
        assert_eq!(fitting(&pace(None, None), day), u64::MAX);
    }
}
