//! The agent's status, which its parts update and which telemetry and the report to the control plane read.
//!
//! A problem has a key, so that the part which reported it can take it back.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use nimbus_agent_core::clock::ControlPlaneClock;
use nimbus_protocol::v1;
use tokio::sync::watch;

/// Most problems that are shown; further ones are counted in one line.
const MAX_PROBLEMS: usize = 50;
/// Longest text of one problem, in characters.
const MAX_PROBLEM: usize = 500;

/// The words for the ways to the control plane.
pub const TRANSPORTS: [&str; 3] = ["quic", "tcp", "tcp through proxy"];

/// What an agent says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a plain fact of its own, shown as such")]
pub struct Status {
    /// The agent's id.
    pub agent_id: String,
    /// A session with the control plane is live.
    pub connected: bool,
    /// The control plane refuses this agent until an operator does something; a mere disconnection is not that.
    pub rejected: bool,
    /// This agent stops, and finishes the jobs that are under way: it leads no cluster any more.
    pub leaving: bool,
    /// The control plane does not know this agent (it was restored from a backup, or the agent was removed), or says that its certificate
    /// ended.
    pub unknown: bool,
    /// This agent is to watch a cluster.
    pub has_cluster: bool,
    /// UID of the kube-system namespace; empty while it is not known.
    pub cluster_uid: String,
    /// The cluster's name.
    pub cluster_name: String,
    /// This replica holds the watch lease.
    pub leading: bool,
    /// Transitions of the lease under which it leads; 0 when it does not.
    pub lease_term: u64,
    /// Another replica holds the lease and renews it.
    pub standing_by: bool,
    /// Every kind of cluster object was listed once under this term.
    pub synced: bool,
    /// It was ready once since this process began.
    pub was_ready: bool,
    /// Actions that the local policy allows.
    pub allowed_actions: Vec<String>,
    /// Those of them that go on a rule's word, without a person's.
    pub automatic_actions: Vec<String>,
    /// Jobs an hour that the local policy takes.
    pub jobs_per_hour: Option<u32>,
    /// Why nothing is begun on the word of a person on this side; empty when nobody said so.
    pub paused: String,
    /// Watched paths.
    pub roots: Vec<v1::WatchedRoot>,
    /// Problems, one sentence each.
    pub problems: Vec<String>,
    /// Observations dropped because the spool was full.
    pub dropped: u64,
    /// The way of the last connection to the control plane: [`TRANSPORTS`]; empty before the first.
    pub transport: String,
}

impl Status {
    /// Was it connected once, with the cluster (if there is one) watched by this replica or by another?
    ///
    /// Once ready it stays so: what it lacks later is told by its problems and figures. An agent that a control plane's outage made
    /// unready would be replaced with all others at once by an upgrade, and what none of them had sent would go with their pods.
    pub fn ready(&self) -> bool {
        self.was_ready || self.is_complete()
    }

    /// Connected, and the cluster (if there is one) is watched by this replica or by another.
    fn is_complete(&self) -> bool {
        self.connected && (!self.has_cluster || (self.leading && self.synced) || self.standing_by)
    }
}

#[derive(Debug, Default)]
struct Inner {
    status: Status,
    problems: BTreeMap<String, String>,
    control_plane: ControlPlaneClock,
}

/// The status that the agent's parts share.
#[derive(Debug)]
pub struct SharedStatus {
    inner: Mutex<Inner>,
    out: watch::Sender<Status>,
}

impl SharedStatus {
    /// An empty one.
    pub fn new() -> Self {
        Self { inner: Mutex::default(), out: watch::Sender::default() }
    }

    /// Follows the status.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.out.subscribe()
    }

    /// The status now.
    pub fn status(&self) -> Status {
        self.out.borrow().clone()
    }

    /// Changes the status.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        let mut inner = self.lock();
        change(&mut inner.status);
        inner.status.was_ready |= inner.status.is_complete();
        self.publish(&inner);
    }

    /// The control plane says that it is `time`.
    pub fn heard_time(&self, time: Timestamp) {
        self.lock().control_plane.told(time, nimbus_platform::monotonic());
    }

    /// The time by which jobs are judged: the control plane's, as far as it told it.
    pub fn job_time(&self) -> Timestamp {
        self.lock().control_plane.now(nimbus_platform::now(), nimbus_platform::monotonic())
    }

    /// Says a problem (again), or with `None` takes it back. A new text is logged once.
    pub fn problem(&self, key: &str, text: Option<String>) {
        let mut inner = self.lock();
        let before = inner.problems.get(key);
        if let Some(text) = text {
            let text: String = text.chars().take(MAX_PROBLEM).collect();
            if before == Some(&text) {
                return;
            }
            tracing::warn!(problem = key, "{text}");
            inner.problems.insert(key.to_owned(), text);
        } else {
            if inner.problems.remove(key).is_none() {
                return;
            }
            tracing::info!(problem = key, "no longer a problem");
        }
        self.publish(&inner);
    }

    fn publish(&self, inner: &Inner) {
        let mut status = inner.status.clone();
        status.problems = inner.problems.values().take(MAX_PROBLEMS).cloned().collect();
        let more = inner.problems.len().saturating_sub(MAX_PROBLEMS);
        if more > 0 {
            status.problems.push(format!("and {more} more problems; see the agent's log"));
        }
        self.out.send_if_modified(|now| {
            let changed = *now != status;
            *now = status;
            changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held leaves plain values: still true, or overwritten soon.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SharedStatus {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_stays_until_the_part_that_said_it_takes_it_back() {
        let status = SharedStatus::new();
        status.problem("b", Some("second".into()));
        status.problem("a", Some("first".into()));
        assert_eq!(status.status().problems, ["first", "second"]);
        status.problem("a", None);
        assert_eq!(status.status().problems, ["second"]);
    }

    #[test]
    fn many_problems_are_counted_not_piled_up() {
        let status = SharedStatus::new();
        for n in 0..60 {
            status.problem(&format!("{n:02}"), Some("x".repeat(1_000)));
        }
        let problems = status.status().problems;
        assert_eq!((problems.len(), problems[0].len()), (51, 500));
        assert!(problems[50].contains("10 more"), "{}", problems[50]);
    }

    #[test]
    fn ready_needs_a_session_and_someone_who_watches_the_cluster() {
        let mut status = Status { connected: true, ..Status::default() };
        assert!(status.ready());
        status.has_cluster = true;
        assert!(!status.ready());
        status.leading = true;
        assert!(!status.ready());
        status.synced = true;
        assert!(status.ready());
        let standby = Status { connected: true, has_cluster: true, standing_by: true, ..Status::default() };
        assert!(standby.ready());
        assert!(!Status { connected: false, ..standby }.ready());
    }

    /// Otherwise an upgrade while the control plane is away would replace every pod at once, with what it had not sent.
    #[test]
    fn what_was_ready_once_stays_so_when_the_control_plane_goes_away() {
        let status = SharedStatus::new();
        status.update(|s| s.has_cluster = true);
        status.update(|s| s.connected = true);
        assert!(!status.status().ready(), "nobody watches the cluster yet");
        status.update(|s| s.standing_by = true);
        assert!(status.status().ready());
        status.update(|s| (s.connected, s.standing_by) = (false, false));
        assert!(status.status().ready() && !status.status().connected);
    }
}
