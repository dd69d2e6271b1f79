//! What has to be true before an installation: the snapshot, and the one list of its checks.

mod clock;
mod cluster;
mod database;
mod helm;
mod kubectl;
mod kubernetes_version;
mod load_balancer;
mod nodes;
mod pod_security;
mod release;
mod resources;
mod rights;
mod secrets;
mod storage;
mod values;

use jiff::Timestamp;

pub use database::{Database, NoDatabase};
pub use rights::asks;
pub use secrets::{Held, Looked};

use crate::check::{Check, Gathered, Judged, Open, Unread};
use crate::clock::Reading;
use crate::kubernetes::{ApiServer, Balancers, Namespace, Node, Release, Review, StorageClass};
use crate::needs::Needs;
use crate::report::Report;
use crate::version::Version;

/// Every check, in the order in which they are shown.
pub const CHECKS: &[Check<Snapshot>] = &[
    kubectl::CHECK,
    cluster::CHECK,
    kubernetes_version::CHECK,
    rights::CHECK,
    pod_security::CHECK,
    storage::CHECK,
    nodes::CHECK,
    resources::CHECK,
    load_balancer::CHECK,
    helm::CHECK,
    values::CHECK,
    secrets::CHECK,
    release::CHECK,
    database::CHECK,
    clock::CHECK,
];

/// What the API server said when it was asked for its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// Its version.
    Version(ApiServer),
    /// No answer, with kubectl's words for it.
    Silent(String),
}

/// A namespace, or that it is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// What is known of it; none: it is not there.
    pub found: Gathered<Option<Namespace>>,
    /// The level of Pod Security with which it is made where it is not there; `None`: somebody makes it, nobody knows how.
    pub made_as: Option<&'static str>,
}

/// What helm said to the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// Nobody gave any: the charts' own are what is asked for.
    NotGiven,
    /// Both charts take them.
    Taken(Needs),
    /// A chart refuses them, in its own words.
    Refused {
        /// The chart.
        chart: String,
        /// What it says.
        why: String,
    },
}

/// Everything that was gathered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The version of this command, which is that of the charts and programs of its release.
    pub build: Version,
    /// kubectl's version.
    pub kubectl: Gathered<Version>,
    /// The API server.
    pub server: Gathered<Server>,
    /// helm's version.
    pub helm: Gathered<Version>,
    /// Where the control plane is to be.
    pub control_plane: Place,
    /// Where the agents are to be.
    pub agents: Place,
    /// What this user may do.
    pub rights: Gathered<Vec<Review>>,
    /// The classes of storage.
    pub classes: Gathered<Vec<StorageClass>>,
    /// The nodes.
    pub nodes: Gathered<Vec<Node>>,
    /// The Services that have, or wait for, a load balancer.
    pub balancers: Gathered<Balancers>,
    /// The releases of Nimbus that are there.
    pub releases: Gathered<Vec<Release>>,
    /// The values for the charts.
    pub values: Gathered<Values>,
    /// The Secrets that the values name; none: they are not looked at.
    pub secrets: Option<Vec<Looked>>,
    /// The database; none: nobody named one.
    pub database: Option<Result<Database, NoDatabase>>,
    /// The API server's clock.
    pub clock: Gathered<Reading>,
}

impl Snapshot {
    /// What the installation asks for: where nobody gave values, what the charts ask for by themselves. Values that a chart
    /// refuses, or that could not be read, ask for something that nobody knows.
    fn needs(&self) -> Result<Needs, Open> {
        const REMEDY: &str = "see the check `values`, then run this again";
        match &self.values {
            Ok(Values::NotGiven) => Ok(Needs::default()),
            Ok(Values::Taken(needs)) => Ok(needs.clone()),
            Ok(Values::Refused { chart, .. }) => Err(Open::Unread(Unread::new(
                format!("what the values ask for is not known: {chart} does not take them"),
                REMEDY,
            ))),
            Err(_) => Err(Open::Unread(Unread::new(
                "what the values ask for is not known: they could not be read",
                REMEDY,
            ))),
        }
    }

    /// With a database alone; of the rest nothing is known.
    fn of_database(database: Result<Database, NoDatabase>, build: Version) -> Self {
        fn nothing<T>() -> Gathered<T> {
            Err(Unread::new("no cluster was asked", "leave out --no-cluster"))
        }
        let place = || Place { name: String::new(), found: nothing(), made_as: None };
        Self {
            build,
            kubectl: nothing(),
            server: nothing(),
            helm: nothing(),
            control_plane: place(),
            agents: place(),
            rights: nothing(),
            classes: nothing(),
            nodes: nothing(),
            balancers: nothing(),
            releases: nothing(),
            values: nothing(),
            secrets: None,
            database: Some(database),
            clock: nothing(),
        }
    }

    /// The namespaces of both charts, each once.
    fn places(&self) -> Vec<&Place> {
        let mut places = vec![&self.control_plane];
        if self.agents.name != self.control_plane.name {
            places.push(&self.agents);
        }
        places
    }
}

/// Judges all of it. Where nobody saw the API server answer, it is not passed: all else that is known is of this machine.
pub fn judge(snapshot: &Snapshot, at: Timestamp) -> Report {
    let mut report = Report::of(CHECKS, snapshot, at);
    report.passed &= report.is_pass(cluster::CHECK.name);
    report
}

/// Judges the database of a control plane that is to run on a server: nothing was asked of a cluster.
pub fn judge_without_cluster(
    database: Result<Database, NoDatabase>,
    build: Version,
    at: Timestamp,
) -> Report {
    fn not_asked(_: &Snapshot) -> Judged {
        Err(Open::NotAsked("leave out --no-cluster"))
    }
    let checks: Vec<Check<Snapshot>> = CHECKS
        .iter()
        .map(|check| Check {
            name: check.name,
            what: check.what,
            judge: if check.name == database::CHECK.name { check.judge } else { not_asked },
        })
        .collect();
    Report::of(&checks, &Snapshot::of_database(database, build), at)
}
