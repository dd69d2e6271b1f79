//! Measures how long a decision over a cluster of ten thousand pods takes, and how much memory its inventory needs.
//!
//! Everything is in this process: observations of a made-up cluster go into the control plane's inventory,
//! and one pass of diagnose, plan and dispatch is timed. No store, no socket.

use std::time::Instant;

use jiff::Timestamp;
use nimbus_control_core::assessment::Assessment;
use nimbus_control_core::connected_agents::ConnectedAgents;
use nimbus_control_core::model::{ActionKind, Agent, AgentKind, Agents, Cluster, Mode, Versioned};
use nimbus_control_core::remediation::{MAX_JOBS, MAX_OPENED, MAX_PLANNED};
use nimbus_control_core::settings::{Caps, Settings};
use nimbus_control_core::{Snapshot, World, remediation};
use nimbus_disruption::{drain, order};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::Observation;
use nimbus_tests::bench::{Report, drains, observed, percentile, usage};
use uuid::Uuid;

const PODS: usize = 10_000;
const FAILING: usize = 1_000;
/// Passes that are timed: with one change each, and with [`FAILING`] each.
const SMALL: usize = 500;
const LARGE: usize = 20;

/// The fencing epoch of the jobs, which are never sent.
const EPOCH: u64 = 1;

/// Whether the storm rule and the caps are the defaults or have no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limits {
    Default,
    None,
}

/// The control plane's side of it: what it holds of one cluster and of the agent that leads there.
struct Subject {
    now: Timestamp,
    settings: Settings,
    world: World,
    assessment: Assessment,
    agents: Agents,
    agent: AgentId,
    clusters: Vec<Versioned<Cluster>>,
    connected: ConnectedAgents,
    ids: u128,
}

impl Subject {
    /// An empty inventory, a connected agent that leads the cluster [`observed::CLUSTER`], everything allowed.
    fn new(limits: Limits) -> anyhow::Result<Self> {
        let now = Timestamp::from_microsecond(observed::SEEN_AT_US)?;
        let id = AgentId::from(Uuid::from_u128(1));
        let mut agent = Agent::new(id, AgentKind::Cluster, now);
        agent.cluster_uid = Some(observed::CLUSTER.into());
        agent.bound_cluster.clone_from(&agent.cluster_uid);
        agent.leading = true;
        agent.lease_term = 1;
        agent.allowed_actions = ActionKind::ALL.iter().map(|action| action.as_str().to_owned()).collect();
        let cluster = Cluster {
            uid: observed::CLUSTER.into(),
            name: "made-up".into(),
            created_at: now,
            mode: Mode::Act,
            enabled: ActionKind::ALL.to_vec(),
            identity: None,
        };
        let mut settings = Settings::default();
        if limits == Limits::None {
            settings.storm.incidents = u32::MAX;
            settings.caps = Caps {
                per_target: u32::MAX,
                per_owner: u32::MAX,
                per_namespace: u32::MAX,
                per_node: u32::MAX,
                per_cluster: u32::MAX,
                fleet: u32::MAX,
            };
        }
        Ok(Self {
            now,
            settings,
            world: World::default(),
            assessment: Assessment::default(),
            agents: [Versioned { version: 1, doc: agent }].into_iter().collect(),
            agent: id,
            clusters: vec![Versioned { version: 1, doc: cluster }],
            connected: ConnectedAgents::from([id]),
            ids: 1,
        })
    }

    /// Takes an observation into the inventory.
    fn apply(&mut self, observation: &Observation) {
        self.world.apply(self.agent, observation, self.now);
    }

    /// Assesses, opens incidents, plans and dispatches once over all of it. What each step decides is given to the next
    /// as stored, and nothing is kept, so that the next pass finds the same. Returns how many documents would change.
    fn pass(&mut self) -> usize {
        let mut ids = || {
            self.ids += 1;
            Uuid::from_u128(self.ids)
        };
        nimbus_control_core::causes::refresh(&mut self.assessment, &self.world, &self.settings);
        let empty = Snapshot {
            now: self.now,
            world: &self.world,
            assessment: &self.assessment,
            agents: &self.agents,
            clusters: &self.clusters,
            pauses: &[],
            rules: &nimbus_control_core::rulebook::Book::default(),
            incidents: &[],
            plans: &[],
            approvals: &[],
            jobs: &[],
            unstored_jobs: &[],
            connected: &self.connected,
            settings: &self.settings,
        };
        let opened = remediation::incidents(&empty, self.now, &mut ids);
        let diagnosed = Snapshot { incidents: &opened.incidents, ..empty };
        let planned = remediation::plans(&diagnosed, self.now, &mut ids);
        let planned_incidents =
            if planned.incidents.is_empty() { &opened.incidents } else { &planned.incidents };
        let (plans, approvals) = (&planned.plans, &planned.approvals);
        let ready = Snapshot { incidents: planned_incidents, plans, approvals, ..empty };
        let jobs = remediation::dispatch(&ready, EPOCH, self.now, &mut ids);
        opened.incidents.len() + planned.plans.len() + planned.approvals.len() + jobs.len()
    }
}

fn listed(limits: Limits) -> anyhow::Result<Subject> {
    let mut subject = Subject::new(limits)?;
    observed::listing(PODS).for_each(|observation| subject.apply(&observation));
    Ok(subject)
}

/// One pass in milliseconds. Fails unless it changes something exactly when it should.
fn timed(subject: &mut Subject, expects_changes: bool) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let documents = subject.pass();
    let took = begun.elapsed().as_secs_f64() * 1e3;
    anyhow::ensure!(
        (documents > 0) == expects_changes,
        "a pass changed {documents} documents, expected some: {expects_changes}"
    );
    Ok(took)
}

fn one_change() -> anyhow::Result<Vec<f64>> {
    let mut subject = listed(Limits::Default)?;
    subject.pass();
    let times = i64::try_from(SMALL)?;
    (0..times)
        .map(|n| {
            subject.apply(&observed::touched(usize::try_from(n)? % PODS, n));
            timed(&mut subject, false)
        })
        .collect()
}

fn many_failing(limits: Limits) -> anyhow::Result<Vec<f64>> {
    (0..LARGE)
        .map(|_| {
            let mut subject = listed(limits)?;
            subject.pass();
            // Every tenth pod: one of each Deployment, on all nodes.
            (0..FAILING).for_each(|n| subject.apply(&observed::crashing(n * (PODS / FAILING))));
            timed(&mut subject, true)
        })
        .collect()
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
fn memory() -> anyhow::Result<f64> {
    let own = std::process::id();
    let before = usage::resident_bytes(own)?;
    let subject = listed(Limits::Default)?;
    let after = usage::resident_bytes(own)?;
    drop(subject);
    Ok(after.saturating_sub(before) as f64 / 1e6)
}

/// Milliseconds of one answer for so many nodes, and of an order of all of them.
fn drains() -> Vec<(usize, f64)> {
    let cluster = drains::cluster();
    let all: Vec<usize> = (0..drains::NODES).collect();
    let timed = |nodes: usize| {
        let begun = Instant::now();
        if nodes == drains::NODES {
            std::hint::black_box(order(&cluster, &all));
        } else {
            std::hint::black_box(drain(&cluster, &all[..nodes]));
        }
        (nodes, begun.elapsed().as_secs_f64() * 1e3)
    };
    [1, 100, drains::NODES].map(timed).into()
}

fn main() -> anyhow::Result<()> {
    let mut report = Report::new("A decision pass", "cargo xtask bench decision");
    // First, while nothing was freed that could be used again.
    report.row(format!("inventory of {PODS} pods: resident memory"), memory()?, "MB", None, None);
    let mut small = one_change()?;
    report.row("one change: p50", percentile(&mut small, 50.0), "ms", Some("1"), None);
    report.row("one change: p99", percentile(&mut small, 99.0), "ms", None, None);
    for (limits, what) in
        [(Limits::Default, "the storm rule answers"), (Limits::None, "no limit, all is planned")]
    {
        let mut large = many_failing(limits)?;
        let what = format!("{FAILING} pods fail at once, {what}");
        report.row(format!("{what}: p50"), percentile(&mut large, 50.0), "ms", Some("100"), None);
        report.row(format!("{what}: longest"), percentile(&mut large, 100.0), "ms", None, None);
    }
    for (nodes, millis) in drains() {
        let what = if nodes == 1 { "one of them".to_owned() } else { format!("{nodes} nodes at once") };
        let what = if nodes == drains::NODES { "an order of all, one by one".to_owned() } else { what };
        let what = format!("can nodes be drained, of {} with {} pods: {what}", drains::NODES, drains::PODS);
        report.row(what, millis, "ms", Some("1000"), None);
    }
    let scattered = drains::scattered();
    let begun = Instant::now();
    std::hint::black_box(drain(&scattered, &[0]));
    let what = "can a node be drained, of 41 whose room is scattered, until the search ends";
    report.row(what, begun.elapsed().as_secs_f64() * 1e3, "ms", Some("1000"), None);
    report.note(format!(
        "{PODS} pods of {} Deployments on 100 nodes, in this process alone. A pass is diagnose, plan and dispatch over \
         the whole inventory after the change was taken in; storing what it decides is not in it. One pass opens at most \
         {MAX_OPENED} incidents, makes at most {MAX_PLANNED} plans and dispatches at most {MAX_JOBS} jobs.",
        PODS / 10
    ));
    report.print()
}
