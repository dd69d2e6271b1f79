//! A simulated control plane for tests, without sockets: documents with versions, an audit chain, a world and a virtual
//! clock.
//!
//! [`Lab::commit`] does what the store does (all or nothing, version checks, the chain), so that a story told here
//! is told with the same rules.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::ids::{AgentId, IdSource};
use nimbus_protocol::v1::{self, JobReport, job_report::Phase, observation::Body};
use nimbus_protocol::{to_micros, v1::Observation};

use super::{at, objects};
use crate::assessment::Assessment;
use crate::audit;
use crate::causes;
use crate::check;
use crate::connected_agents::ConnectedAgents;
use crate::model::*;
use crate::remediation::{self, Answer, Decision};
use crate::rulebook::{Book, Rule};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::world::World;

/// Ids 1, 2, 3 …
#[derive(Debug, Clone, Default)]
pub(crate) struct Counter(u128);

impl IdSource for Counter {
    fn next_uuid(&mut self) -> uuid::Uuid {
        self.0 += 1;
        uuid::Uuid::from_u128(self.0)
    }
}

type Table<T> = BTreeMap<String, Versioned<T>>;

/// What a snapshot borrows.
struct Documents {
    assessment: Assessment,
    agents: Agents,
    clusters: Vec<Versioned<Cluster>>,
    pauses: Vec<Versioned<Pause>>,
    rules: Book,
    incidents: Vec<Versioned<Incident>>,
    plans: Vec<Versioned<Plan>>,
    approvals: Vec<Versioned<Approval>>,
    jobs: Vec<Versioned<Job>>,
}

impl Documents {
    fn snapshot<'a>(&'a self, lab: &'a Lab) -> Snapshot<'a> {
        Snapshot {
            now: lab.now,
            world: &lab.world,
            assessment: &self.assessment,
            agents: &self.agents,
            clusters: &self.clusters,
            pauses: &self.pauses,
            rules: &self.rules,
            incidents: &self.incidents,
            plans: &self.plans,
            approvals: &self.approvals,
            jobs: &self.jobs,
            unstored_jobs: &[],
            connected: &lab.connected,
            settings: &lab.settings,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Lab {
    pub now: Timestamp,
    pub settings: Settings,
    pub world: World,
    pub agents: Table<Agent>,
    pub clusters: Table<Cluster>,
    pub pauses: Table<Pause>,
    pub rules: Table<Rule>,
    pub incidents: Table<Incident>,
    pub plans: Table<Plan>,
    pub approvals: Table<Approval>,
    pub jobs: Table<Job>,
    pub audit: Vec<AuditRow>,
    pub connected: ConnectedAgents,
    pub ids: Counter,
    seen: Vec<Body>,
}

/// The agent that leads the cluster of the tests and watches its own host.
pub(crate) fn agent_id() -> AgentId {
    format!("agt_{:032x}", 1).parse().unwrap()
}

pub(crate) fn agent(id: AgentId) -> Agent {
    Agent {
        id,
        name: "edge".into(),
        kind: AgentKind::Cluster,
        created_at: at(-9_000),
        key_sha256: String::new(),
        revoked_at: None,
        pod_gone: false,
        joining_with: None,
        hostname: "edge".into(),
        version: "0.1.0".into(),
        cluster_uid: Some(objects::CLUSTER.into()),
        bound_cluster: Some(objects::CLUSTER.into()),
        pod: None,
        leading: true,
        lease_term: 1,
        allowed_actions: ActionKind::ALL.iter().map(|a| a.as_str().to_owned()).collect(),
        automatic_actions: Vec::new(),
        jobs_per_hour: None,
        transport: String::new(),
        paused: None,
        roots: Vec::new(),
        problems: Vec::new(),
        dropped: 0,
    }
}

impl Lab {
    /// An enabled cluster of two nodes, fully listed, with its agent connected.
    pub(crate) fn new() -> Self {
        let mut lab = Self {
            now: at(0),
            settings: Settings::default(),
            world: World::default(),
            agents: Table::new(),
            clusters: Table::new(),
            pauses: Table::new(),
            rules: Table::new(),
            incidents: Table::new(),
            plans: Table::new(),
            approvals: Table::new(),
            jobs: Table::new(),
            audit: Vec::new(),
            connected: ConnectedAgents::from([agent_id()]),
            ids: Counter(1_000),
            seen: Vec::new(),
        };
        lab.agents.insert(agent_id().to_string(), Versioned { version: 1, doc: agent(agent_id()) });
        let cluster = Cluster {
            uid: objects::CLUSTER.into(),
            name: "prod".into(),
            created_at: at(-9_000),
            mode: Mode::Act,
            enabled: vec![
                ActionKind::RestartPod,
                ActionKind::RollbackDeployment,
                ActionKind::UncordonNode,
                ActionKind::RaiseMemoryLimit,
                ActionKind::ExpandVolume,
                ActionKind::RaiseAutoscalerMaximum,
                ActionKind::ScaleWorkload,
                ActionKind::RenewCertificate,
            ],
            identity: None,
        };
        lab.clusters.insert(cluster.uid.clone(), Versioned { version: 1, doc: cluster });
        for kind in nimbus_protocol::ObjectKind::ALL {
            lab.see(objects::begin(kind.as_str(), 1));
        }
        lab.see(Body::Node(objects::node("node-a")));
        lab.see(Body::Node(objects::node("node-b")));
        // The pod templates of all Deployments refer to it.
        lab.see(Body::ConfigMap(objects::config_map(
            "web-env",
            "ci",
            nimbus_protocol::to_micros(at(-90_000)),
        )));
        for kind in nimbus_protocol::ObjectKind::ALL {
            lab.see(objects::end(kind.as_str(), 1));
        }
        lab.see_host(Body::Host(v1::Host::default()));
        lab
    }

    /// The agent sees something of its cluster.
    pub(crate) fn see(&mut self, body: Body) -> bool {
        self.see_as(agent_id(), objects::CLUSTER, body)
    }

    /// The agent sees something of its host.
    pub(crate) fn see_host(&mut self, body: Body) -> bool {
        self.see_as(agent_id(), "", body)
    }

    /// Everything that the agent saw of its cluster's objects so far, the newest state of each.
    pub(crate) fn cluster_bodies(&self) -> Vec<Body> {
        let mut newest = BTreeMap::new();
        for body in &self.seen {
            if let Body::Gone(gone) = body {
                newest.remove(&gone.uid);
            } else if let Some(meta) = body.meta() {
                newest.insert(meta.uid.clone(), body.clone());
            }
        }
        newest.into_values().collect()
    }

    pub(crate) fn see_as(&mut self, agent: AgentId, cluster: &str, body: Body) -> bool {
        if !cluster.is_empty() {
            self.seen.push(body.clone());
        }
        let observation = Observation {
            sequence: 1,
            observed_at_us: to_micros(self.now),
            cluster_uid: cluster.into(),
            body: Some(body),
        };
        self.world.apply(agent, &observation, self.now)
    }

    /// A Deployment `name`, its ReplicaSet of `revision`, and its pods on node-a, all well.
    pub(crate) fn deploy(&mut self, name: &str, pods: u32, revision: u64) {
        self.see(Body::Deployment(objects::deployment(name, pods, revision)));
        self.see(Body::ReplicaSet(objects::replica_set(name, revision, pods)));
        for n in 0..pods {
            let pod = objects::pod(&format!("{name}-{revision}"), &n.to_string(), "node-a");
            self.see(Body::Pod(pod));
        }
    }

    pub(crate) fn pass(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    /// What a decision sees now, for as long as a test keeps it: what the snapshot borrows is leaked. Scenes of many
    /// documents use [`Self::look`].
    pub(crate) fn snapshot(&self) -> Snapshot<'_> {
        let seen: &'static Documents = Box::leak(Box::new(self.documents()));
        seen.snapshot(self)
    }

    /// Hands over what a decision sees now.
    pub(crate) fn look<R>(&self, decide: impl FnOnce(&Snapshot<'_>) -> R) -> R {
        let seen = self.documents();
        decide(&seen.snapshot(self))
    }

    fn documents(&self) -> Documents {
        let open = || self.incidents.values().filter(|i| i.doc.is_open());
        let ids: BTreeSet<_> = open().map(|i| i.doc.id).collect();
        let since = self.settings.jobs_since(self.now);
        let recent = |j: &&Versioned<Job>| !j.doc.state.is_final() || j.doc.counted_from() >= since;
        Documents {
            assessment: causes::assess(&self.world, &self.settings),
            agents: self.agents.values().cloned().collect(),
            clusters: self.clusters.values().cloned().collect(),
            pauses: self.pauses.values().cloned().collect(),
            rules: Book::of(self.rules.values().cloned().collect()),
            plans: self.plans.values().filter(|p| ids.contains(&p.doc.incident_id)).cloned().collect(),
            approvals: self
                .approvals
                .values()
                .filter(|a| ids.contains(&a.doc.incident_id))
                .cloned()
                .collect(),
            incidents: open().cloned().collect(),
            jobs: self.jobs.values().filter(recent).cloned().collect(),
        }
    }

    /// Commits as the store would; true when anything was written.
    pub(crate) fn commit(&mut self, changes: ChangeSet) -> bool {
        let wrote = !changes.is_empty();
        put(&mut self.clusters, changes.clusters, |d| d.uid.clone());
        put(&mut self.pauses, changes.pauses, Document::id);
        for Versioned { version, doc } in
            changes.documents.into_iter().filter(|it| it.doc.table == Rule::TABLE)
        {
            let rule: Rule = serde_json::from_str(&doc.json.unwrap()).unwrap();
            put(&mut self.rules, vec![Versioned { version, doc: rule }], Document::id);
        }
        put(&mut self.incidents, changes.incidents, |d| d.id.to_string());
        for plan in &changes.plans {
            assert_eq!(plan.version, 0, "a plan was changed");
        }
        put(&mut self.plans, changes.plans, |d| d.id.to_string());
        put(&mut self.approvals, changes.approvals, |d| d.id.to_string());
        put(&mut self.jobs, changes.jobs, |d| d.id.to_string());
        put(&mut self.agents, changes.agents, |d| d.id.to_string());
        for gone in changes.removed {
            let version = match gone.table {
                Cluster::TABLE => self.clusters.remove(&gone.id).map(|before| before.version),
                Rule::TABLE => self.rules.remove(&gone.id).map(|before| before.version),
                Pause::TABLE => self.pauses.remove(&gone.id).map(|before| before.version),
                other => panic!("the tests know no removal from {other}"),
            };
            assert_eq!(version, Some(gone.version), "{}", gone.id);
        }
        for draft in changes.audit {
            let seq = self.audit.len() as u64 + 1;
            let prev = self.audit.last().map_or(GENESIS.to_owned(), |row| row.hash.clone());
            let hash = audit::hash(&prev, seq, &draft);
            self.audit.push(AuditRow { seq, prev, hash, draft });
        }
        let mut keys = BTreeSet::new();
        for incident in self.incidents.values().filter(|i| i.doc.is_open()) {
            assert!(keys.insert(incident.doc.key.clone()), "two open incidents for {}", incident.doc.key);
        }
        wrote
    }

    pub(crate) fn diagnose(&mut self) -> bool {
        let mut ids = self.ids.clone();
        let changes = self.look(|s| remediation::incidents(s, self.now, &mut ids));
        self.ids = ids;
        self.commit(changes)
    }

    pub(crate) fn plan(&mut self) -> bool {
        let mut ids = self.ids.clone();
        let changes = self.look(|s| remediation::plans(s, self.now, &mut ids));
        self.ids = ids;
        self.commit(changes)
    }

    pub(crate) fn expire(&mut self) -> bool {
        let changes = self.look(|s| remediation::expire(s, self.now));
        self.commit(changes)
    }

    /// Dispatches, with `check` as the checker of every order; commits and marks each as sent.
    pub(crate) fn dispatch(&mut self) -> Vec<v1::Job> {
        let mut ids = self.ids.clone();
        let orders = self.look(|s| remediation::dispatch(s, 7, self.now, &mut ids));
        self.ids = ids;
        let mut jobs = Vec::new();
        for order in orders {
            let plan = self.plan_of(&order.changes.jobs[0].doc).clone();
            assert_eq!(self.look(|s| check::check(&plan, s, self.now)), [], "{}", plan.summary);
            assert!(order.changes.audit.iter().any(|row| row.action == "job.signed"));
            let id = order.changes.jobs[0].doc.id.to_string();
            self.commit(order.changes);
            let changes = remediation::sent(&self.jobs[&id], self.now);
            self.commit(changes);
            jobs.push(order.job);
        }
        jobs
    }

    /// Diagnose, plan and dispatch, until nothing changes any more.
    pub(crate) fn settle(&mut self) -> Vec<v1::Job> {
        let mut jobs = Vec::new();
        for _ in 0..10 {
            let mut news = self.expire();
            news |= self.diagnose();
            news |= self.plan();
            let orders = self.dispatch();
            news |= !orders.is_empty();
            jobs.extend(orders);
            if !news {
                return jobs;
            }
        }
        panic!("it never comes to rest: {:#?}", self.incidents);
    }

    pub(crate) fn report(&mut self, job: &v1::Job, phase: Phase, code: &str, reason: &str) -> bool {
        let report = JobReport {
            job_id: job.job_id.clone(),
            phase: phase.into(),
            at_us: to_micros(self.now),
            code: code.into(),
            reason: reason.into(),
            ..Default::default()
        };
        let agent = job.agent_id.parse().unwrap();
        let changes = self.look(|s| remediation::report(s, agent, &report, self.now));
        self.commit(changes)
    }

    /// The agent takes the job and makes its change.
    pub(crate) fn apply(&mut self, job: &v1::Job) {
        assert!(self.report(job, Phase::Accepted, "", ""));
        assert!(self.report(job, Phase::Applied, "", ""));
    }

    pub(crate) fn decide(
        &mut self,
        by: &str,
        decision: Decision,
        reason: &str,
    ) -> Result<(), remediation::DecideError> {
        self.answer(&Answer { reason, ..Answer::of(by, decision) })
    }

    /// A person's answer to the one request that waits, or was approved and leads to no job yet; the digest is that of its plan.
    pub(crate) fn answer(&mut self, answer: &Answer<'_>) -> Result<(), remediation::DecideError> {
        let approval = self.approvals.values().find(|a| a.doc.is_live()).expect("nothing to decide");
        let incident = &self.incidents[&approval.doc.incident_id.to_string()];
        let plan = &self.plans[&approval.doc.plan_id.to_string()].doc;
        let answer = Answer { digest: Some(&plan.digest), ..*answer };
        let passed = approval.doc.broken_glass.as_ref().map(|it| it.past.clone()).unwrap_or_default();
        let held = self.look(|s| s.held_by_calendar(plan.action.kind(), &incident.doc, &passed));
        let changes = remediation::decide(approval, incident, plan, &answer, held.as_ref(), self.now)?;
        self.commit(changes);
        Ok(())
    }

    pub(crate) fn plan_of(&self, job: &Job) -> &Plan {
        &self.plans[&job.plan_id.to_string()].doc
    }

    /// The one incident of a kind that is not resolved.
    pub(crate) fn open(&self, kind: IncidentKind) -> &Incident {
        let mut all = self.incidents.values().map(|i| &i.doc).filter(|i| i.kind == kind && i.is_open());
        let one = all.next().unwrap_or_else(|| panic!("no open {kind}: {:#?}", self.incidents));
        assert!(all.next().is_none(), "more than one open {kind}");
        one
    }

    pub(crate) fn last(&self, kind: IncidentKind) -> &Incident {
        self.incidents.values().map(|i| &i.doc).rfind(|i| i.kind == kind).expect("no incident")
    }

    pub(crate) fn live_approvals(&self) -> usize {
        self.approvals.values().filter(|a| a.doc.is_live()).count()
    }

    pub(crate) fn audited(&self, action: &str) -> usize {
        audit::verify(&self.audit, None).unwrap();
        self.audit.iter().filter(|row| row.draft.action == action).count()
    }
}

fn put<T>(table: &mut Table<T>, changed: Vec<Versioned<T>>, id: impl Fn(&T) -> String) {
    let mut seen = BTreeSet::new();
    for one in changed {
        let id = id(&one.doc);
        assert!(seen.insert(id.clone()), "{id} is written twice in one change set");
        let stored = table.get(&id).map_or(0, |old| old.version);
        assert_eq!(one.version, stored, "{id} was written under another version than it was read");
        table.insert(id, Versioned { version: stored + 1, doc: one.doc });
    }
}
