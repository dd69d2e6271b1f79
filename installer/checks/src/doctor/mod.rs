//! What has to be true after an installation: the snapshot, and the one list of its checks.

mod agents;
mod authority;
mod backlog;
mod bounds;
mod certificate;
mod clock;
mod control_plane;
mod damage;
mod disk;
mod listener;
mod pods;
mod problems;
mod transport;
mod versions;

use jiff::Timestamp;

pub use pods::told;

use crate::check::{Check, Gathered, Open, Outcome, Unread};
use crate::clock::Reading;
use crate::kubernetes::{Pod, Workload};
use crate::listener::Listener;
use crate::report::Report;

/// Every check, in the order in which they are shown.
pub const CHECKS: &[Check<Snapshot>] = &[
    control_plane::CHECK,
    versions::CHECK,
    agents::CHECK,
    problems::CHECK,
    transport::CHECK,
    certificate::CHECK,
    authority::CHECK,
    clock::CHECK,
    damage::CHECK,
    backlog::CHECK,
    bounds::CHECK,
    listener::CHECK,
    disk::CHECK,
    pods::CHECK,
];

/// How to ask for what needs a control plane, where only the network was asked for.
const NEEDS_PLANE: &str = "leave --agents out, or name a control plane with --server or --context";

/// What a control plane says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    /// Its address.
    pub server: String,
    /// Its build.
    pub version: String,
    /// What it waits for, one sentence each; empty: it is ready.
    pub waiting_for: Vec<String>,
    /// What else an operator should know, one sentence each.
    pub notices: Vec<String>,
    /// `sqlite` or `postgresql`.
    pub storage: String,
    /// The position in its log up to which what agents sent is stored.
    pub stored: i64,
    /// The position up to which it is applied.
    pub applied: i64,
    /// When everything stored was last checked; none: not yet.
    pub checked_at: Option<Timestamp>,
    /// What that check found damaged.
    pub damage: Vec<String>,
    /// The bounds that are reached, one sentence each.
    pub bounds: Vec<String>,
    /// Its clock.
    pub clock: Reading,
    /// Every agent that is not revoked.
    pub agents: Vec<Agent>,
    /// Are there more agents than were read?
    pub has_more_agents: bool,
}

/// An agent as the control plane knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent {
    /// Its name.
    pub name: String,
    /// Its build; empty before its first report.
    pub version: String,
    /// Has it a session?
    pub is_connected: bool,
    /// Why it has none.
    pub reason: String,
    /// `quic`, `tcp` or `tcp through proxy`; none without a session.
    pub transport: Option<String>,
    /// What it reports, one sentence each.
    pub problems: Vec<String>,
    /// Observations that it had to drop.
    pub dropped: u64,
}

/// Why a control plane said nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// What was found, naming the address.
    pub found: String,
    /// What to do.
    pub remedy: String,
}

/// A certificate's life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// Whose, and where it was read.
    pub of: String,
    /// From then on it is valid.
    pub from: Timestamp,
    /// Until then.
    pub until: Timestamp,
}

/// The room on a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The directory that was looked at.
    pub path: String,
    /// Bytes in all.
    pub total: u64,
    /// Bytes that may be used.
    pub available: u64,
    /// Are there no more places for new files?
    pub is_out_of_files: bool,
}

/// What of Nimbus is in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The pods.
    pub pods: Vec<Pod>,
    /// What is to make them: pods that are missing are in no list of pods.
    pub workloads: Gathered<Vec<Workload>>,
}

/// Everything that was gathered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// When.
    pub now: Timestamp,
    /// The version of this command.
    pub build: String,
    /// The control plane; none: only the network is looked at.
    pub plane: Option<Result<Plane, Silence>>,
    /// The certificate that operators see; none: plain HTTP on this machine.
    pub certificate: Option<Gathered<Life>>,
    /// The CA that the context names; none: it names none.
    pub authority: Option<Gathered<Life>>,
    /// The agents' listener; none: nobody named it.
    pub listener: Option<Gathered<Listener>>,
    /// The data directory; none: nobody named it.
    pub disk: Option<Gathered<Disk>>,
    /// The pods in the cluster; none: nobody named the namespace.
    pub pods: Option<Gathered<Installed>>,
}

impl Snapshot {
    /// The control plane, or why a check that needs it is open.
    fn plane(&self) -> Result<&Plane, Open> {
        match &self.plane {
            None => Err(Open::NotAsked(NEEDS_PLANE)),
            Some(Ok(plane)) => Ok(plane),
            Some(Err(_)) => Err(Open::Unread(Unread::new(
                "the control plane did not answer",
                "see the check `control-plane`, then run this again",
            ))),
        }
    }
}

/// What was asked for, or the words for how to.
fn asked<'a, T>(gathered: Option<&'a Gathered<T>>, how: &'static str) -> Result<&'a T, Open> {
    Ok(gathered.ok_or(Open::NotAsked(how))?.as_ref()?)
}

/// Judges all of it.
pub fn judge(snapshot: &Snapshot) -> Report {
    Report::of(CHECKS, snapshot, snapshot.now)
}

/// What is left of a certificate's life, and what that means.
pub(crate) fn life(life: &Life, now: Timestamp, noticed_days: i64, remedy: &str) -> Outcome {
    let Life { of, from, until } = life;
    let days = until.duration_since(now).as_hours() / 24;
    if now >= *until {
        Outcome::failure(format!("{of} expired at {until}"), remedy)
    } else if now < *from {
        Outcome::failure(
            format!("{of} is valid from {from} on, and it is {now} here"),
            "correct this machine's clock, or that of the machine that made the certificate",
        )
    } else if days < noticed_days {
        Outcome::warning(format!("{of} expires in {days} days, at {until}"), remedy)
    } else {
        Outcome::pass(format!("{of} is valid until {until}"))
    }
}
