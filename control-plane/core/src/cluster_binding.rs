//! The binding of agents to clusters: decides which agent may report for which cluster.
//!
//! A certificate proves which agent reports, not where it lives, and a cluster's UID is no secret: an agent that names
//! one may not live there. So an agent is bound to one cluster for good: the one that its token was made for, or else the
//! first one that it names, if no other agent is bound to that. A second agent of a cluster needs a token made for it.
//! The binding of a revoked agent is void.

use std::collections::{HashMap, HashSet};

use nimbus_protocol::ids::AgentId;

use crate::model::{Agent, AgentKind, Agents, Cluster, RevokedMark, Versioned};
use crate::world::{Inventory, World, is_cluster_uid};

/// Why an agent may not report for a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// It was enrolled for a host.
    Host,
    /// What it names cannot be a cluster.
    NoUid,
    /// It is bound to this other cluster.
    BoundElsewhere(String),
    /// Another agent, called so, is bound to it.
    Taken(String),
}

impl Denied {
    /// What stood in the way of reporting for `cluster`.
    pub fn found(&self, cluster: &str) -> String {
        match self {
            Self::Host => format!("an agent of a host that names cluster {cluster}"),
            Self::NoUid => format!("one that calls its cluster {cluster:?}, which is no UID"),
            Self::BoundElsewhere(own) => format!("one of cluster {own} that names cluster {cluster}"),
            Self::Taken(by) => {
                format!("one whose token names no cluster; agent {by} reports for cluster {cluster} already")
            }
        }
    }
}

/// What an agent has to be so that it may report for a cluster.
pub const EXPECTED: &str = "an agent of the cluster that it watches";
/// How it gets there.
pub const REMEDY: &str = "make one with `nimbus agents token create --kind cluster --cluster NAME`, remove the agent's \
                          identity directory, and join it again";

/// May `agent` report for `cluster`, from now on and for no other?
pub fn may_report_for(agents: &Agents, agent: &Agent, cluster: &str) -> Result<(), Denied> {
    match agent.kind {
        AgentKind::Host => return Err(Denied::Host),
        AgentKind::Cluster => {}
    }
    if !is_cluster_uid(cluster) {
        return Err(Denied::NoUid);
    }
    match &agent.bound_cluster {
        Some(own) if own == cluster => return Ok(()),
        Some(own) => return Err(Denied::BoundElsewhere(own.clone())),
        None => {}
    }
    let others = agents.bound_to(cluster).map(|other| &other.doc).filter(|other| other.id != agent.id);
    // The oldest of them, so that its name does not change as others come.
    let first = others.min_by_key(|other| (other.created_at, other.id));
    first.map_or(Ok(()), |other| Err(Denied::Taken(other.name.clone())))
}

/// May `agent` say what was measured on `node` of its cluster? The agent of that node alone, as its pod's service account
/// token proved it, or else, before Kubernetes 1.30, as the cluster's leading agent sees that pod.
pub fn may_measure(agents: &Agents, inventory: Option<&Inventory>, agent: AgentId, node: &str) -> bool {
    let Some(pod) = agents.get(agent).and_then(|agent| agent.doc.pod.as_ref()) else { return false };
    let seen = || inventory.and_then(|all| all.pods.get(&pod.uid)).map(|pod| pod.node.as_str());
    !node.is_empty() && pod.node.as_deref().or_else(seen) == Some(node)
}

/// The cluster that each agent may report for: as the documents say, or until they do the first one that it named.
///
/// An agent's first facts may be read before its documents say which cluster it is bound to: then the facts say it.
#[derive(Debug, Default)]
pub struct Bindings {
    /// What agents named that the documents bind to no cluster yet. It stands until another agent is bound to that.
    named_first: HashMap<AgentId, String>,
    /// Who was revoked when hosts were looked at last.
    hosts_looked_at: Option<RevokedMark>,
}

/// The parts of the world that nobody may report for any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unbound {
    /// Clusters whose leader is not bound to them.
    pub clusters: Vec<String>,
    /// Clusters without a document that no agent is bound to: they were removed, and facts that were on their way then, or an
    /// older snapshot, brought them back.
    pub removed: Vec<String>,
    /// Hosts whose agent was revoked.
    pub hosts: Vec<AgentId>,
}

impl Bindings {
    /// Takes what the documents say now: what an agent named first is over once they bind it, or another one to that.
    pub fn follow(&mut self, agents: &Agents) {
        self.named_first.retain(|id, named| {
            let known = agents.get(*id).map(|agent| &agent.doc);
            known.is_some_and(|agent| {
                let is_open = agent.bound_cluster.is_none() && agent.revoked_at.is_none();
                is_open && may_report_for(agents, agent, named).is_ok()
            })
        });
    }

    /// May this agent's facts of a cluster be taken? Facts of its own host, without a cluster, always may. Nothing of a
    /// revoked agent may.
    pub fn may_report(&mut self, agents: &Agents, agent: AgentId, cluster: &str) -> bool {
        let known = agents.get(agent).map(|agent| &agent.doc);
        // What a revoked agent sent last may be read after its revocation.
        if known.is_some_and(|agent| agent.revoked_at.is_some()) {
            return false;
        }
        if cluster.is_empty() {
            return true;
        }
        if let Some(own) = self.of(agents, agent) {
            return own == cluster;
        }
        let may = known.is_some_and(|agent| may_report_for(agents, agent, cluster).is_ok());
        if may {
            self.named_first.insert(agent, cluster.to_owned());
        }
        may
    }

    /// The cluster of an agent that is not revoked.
    fn of<'a>(&'a self, agents: &'a Agents, agent: AgentId) -> Option<&'a str> {
        let known = agents.get(agent).map(|agent| &agent.doc).filter(|agent| agent.revoked_at.is_none())?;
        let documented = known.bound_cluster.as_deref().filter(|_| known.kind == AgentKind::Cluster);
        documented.or_else(|| {
            let named = self.named_first.get(&agent)?;
            may_report_for(agents, known, named).is_ok().then_some(named.as_str())
        })
    }

    /// What is known of the world from agents that may not report it (any more).
    ///
    /// All hosts are looked at once somebody was revoked, and not with each document that changes: what an agent that is known
    /// and revoked says of its host is not taken, so that none comes back.
    pub fn unbound(&mut self, world: &World, documents: &[Versioned<Cluster>], agents: &Agents) -> Unbound {
        let looked_at = self.hosts_looked_at.replace(agents.revoked());
        let are_hosts_due = looked_at != Some(agents.revoked());
        let is_led = |uid: &String, leader: AgentId| self.of(agents, leader) == Some(uid);
        let clusters = world.clusters.iter();
        let clusters =
            clusters.filter(|(uid, known)| known.leader.is_some_and(|leader| !is_led(uid, leader)));
        let documented: HashSet<&str> = documents.iter().map(|cluster| cluster.doc.uid.as_str()).collect();
        let is_bound = |uid: &String| {
            let mut named = self.named_first.iter().filter(|(_, named)| *named == uid);
            agents.bound_to(uid).any(|agent| agent.doc.kind == AgentKind::Cluster)
                || named.any(|(agent, _)| is_led(uid, *agent))
        };
        // A cluster without a document is one whose first facts are older than it, or one that was removed: few at a time.
        let removed =
            world.clusters.keys().filter(|uid| !documented.contains(uid.as_str()) && !is_bound(uid));
        let hosts = are_hosts_due.then(|| world.hosts.keys());
        let is_revoked = |id: &&AgentId| agents.get(**id).is_some_and(|agent| agent.doc.revoked_at.is_some());
        Unbound {
            clusters: clusters.map(|(uid, _)| uid.clone()).collect(),
            removed: removed.cloned().collect(),
            hosts: hosts.into_iter().flatten().filter(is_revoked).copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use nimbus_protocol::kind::Body;
    use nimbus_protocol::v1;

    use super::*;
    use crate::model::{Mode, PodOrigin, SharedAgent};

    fn agent(n: u8, bound_cluster: Option<&str>) -> SharedAgent {
        let agent = Versioned::new(Agent {
            name: format!("agent-{n}"),
            bound_cluster: bound_cluster.map(str::to_owned),
            ..Agent::new(format!("agt_{n:032x}").parse().unwrap(), AgentKind::Cluster, Timestamp::UNIX_EPOCH)
        });
        agent.into()
    }

    fn of<const N: usize>(agents: [&SharedAgent; N]) -> Agents {
        agents.into_iter().cloned().collect()
    }

    fn document(uid: &str) -> Versioned<Cluster> {
        Versioned::new(Cluster {
            uid: uid.to_owned(),
            name: uid.to_owned(),
            created_at: Timestamp::UNIX_EPOCH,
            mode: Mode::Observe,
            enabled: Vec::new(),
            identity: None,
        })
    }

    #[test]
    fn the_first_one_gets_a_cluster_and_a_second_needs_a_token_for_it() {
        let newcomer = agent(1, None);
        assert_eq!(may_report_for(&of([&newcomer]), &newcomer.doc, "u1"), Ok(()));
        let (first, plain) = (agent(1, Some("u1")), agent(2, None));
        let all = of([&first, &plain]);
        assert_eq!(may_report_for(&all, &plain.doc, "u1"), Err(Denied::Taken("agent-1".into())));
        assert_eq!(may_report_for(&all, &plain.doc, "u2"), Ok(()));
        let made_for_it = agent(2, Some("u1"));
        let all = of([&first, &made_for_it]);
        assert!(may_report_for(&all, &made_for_it.doc, "u1").is_ok());
        assert!(may_report_for(&all, &first.doc, "u1").is_ok(), "the first keeps what it has");
    }

    #[test]
    fn an_agent_of_one_cluster_reports_for_no_other_one() {
        let agent = agent(1, Some("u1"));
        let denied = may_report_for(&of([&agent]), &agent.doc, "u2").unwrap_err();
        assert_eq!(denied, Denied::BoundElsewhere("u1".into()));
        assert!(denied.found("u2").contains("u1") && denied.found("u2").contains("u2"));
    }

    #[test]
    fn a_revoked_agent_is_bound_to_nothing_and_an_agent_of_a_host_gets_nothing() {
        let (mut gone, mut next) = (agent(1, Some("u1")), agent(2, None));
        Arc::make_mut(&mut gone).doc.revoked_at = Some(Timestamp::UNIX_EPOCH);
        assert!(may_report_for(&of([&gone, &next]), &next.doc, "u1").is_ok());
        Arc::make_mut(&mut next).doc.kind = AgentKind::Host;
        assert_eq!(may_report_for(&Agents::default(), &next.doc, "u1"), Err(Denied::Host));
    }

    #[test]
    fn what_no_database_keeps_is_no_cluster() {
        let agent = agent(1, None);
        for text in ["", "a\0b", "a/b", &"u".repeat(65)] {
            assert_eq!(may_report_for(&Agents::default(), &agent.doc, text), Err(Denied::NoUid), "{text:?}");
        }
    }

    #[test]
    fn the_first_facts_of_an_agent_bind_it_until_the_documents_say_otherwise() {
        let (one, two) = (agent(1, None), agent(2, None));
        let all = of([&one, &two]);
        let mut bindings = Bindings::default();
        assert!(bindings.may_report(&all, one.doc.id, "") && bindings.may_report(&all, one.doc.id, "u1"));
        assert!(!bindings.may_report(&all, one.doc.id, "u2"));
        let unknown = "agt_00000000000000000000000000000009".parse().unwrap();
        assert!(!bindings.may_report(&all, unknown, "u3"));
        // The documents bound the other one to that cluster meanwhile.
        let all = of([&one, &agent(2, Some("u1"))]);
        bindings.follow(&all);
        assert!(!bindings.may_report(&all, one.doc.id, "u1") && bindings.may_report(&all, two.doc.id, "u1"));
        // What it named first is over for good, also where that other one is revoked.
        let mut gone = agent(2, Some("u1"));
        Arc::make_mut(&mut gone).doc.revoked_at = Some(Timestamp::UNIX_EPOCH);
        let all = of([&one, &gone]);
        bindings.follow(&all);
        assert!(bindings.may_report(&all, one.doc.id, "u2") && !bindings.may_report(&all, one.doc.id, "u1"));
    }

    #[test]
    fn an_agent_tells_what_was_measured_on_its_own_node_and_on_no_other() {
        let on = |node: Option<&str>| {
            let mut agent = agent(1, Some("u1"));
            Arc::make_mut(&mut agent).doc.pod = Some(PodOrigin {
                namespace: "nimbus-system".into(),
                name: "nimbus-agent-x".into(),
                uid: "pod-1".into(),
                service_account: "nimbus-agent".into(),
                node: node.map(str::to_owned),
            });
            agent
        };
        let may = |agent: SharedAgent, inventory: Option<&Inventory>, node: &str| {
            may_measure(&of([&agent]), inventory, agent.doc.id, node)
        };
        assert!(may(on(Some("a")), None, "a"));
        assert!(!may(on(Some("a")), None, "b") && !may(on(Some("")), None, ""));
        assert!(!may(agent(1, Some("u1")), None, "a"), "it proved nowhere that it is in a pod");
        // An API server that does not say the node in the token.
        let meta = v1::ObjectMeta { uid: "pod-1".into(), ..Default::default() };
        let pod = v1::Pod { meta: Some(meta), node: "a".into(), ..Default::default() };
        let begin = v1::SyncMark { kind: "Pod".into(), phase: 1, lease_term: 1 };
        let mut world = World::default();
        for body in [Body::Sync(begin), Body::Pod(pod)] {
            let seen = v1::Observation { cluster_uid: "u1".into(), body: Some(body), ..Default::default() };
            world.apply(on(None).doc.id, &seen, Timestamp::UNIX_EPOCH);
        }
        let inventory = world.clusters.get("u1");
        assert!(may(on(None), inventory, "a") && !may(on(None), inventory, "b"));
        assert!(!may(on(None), None, "a"), "nobody has seen that pod");
    }

    #[test]
    fn a_leader_that_is_not_bound_and_the_host_of_a_revoked_agent_are_found() {
        let (one, mut two) = (agent(1, Some("u1")), agent(2, Some("u2")));
        let mut world = World::default();
        let begin = v1::SyncMark { kind: "Pod".into(), phase: 1, lease_term: 1 };
        let mut tell = |agent, cluster: &str, body| {
            let observation =
                v1::Observation { cluster_uid: cluster.into(), body: Some(body), ..Default::default() };
            world.apply(agent, &observation, Timestamp::UNIX_EPOCH);
        };
        tell(one.doc.id, "u1", Body::Sync(begin.clone()));
        tell(two.doc.id, "u2", Body::Sync(begin));
        tell(two.doc.id, "", Body::Host(v1::Host::default()));
        let all = of([&one, &two]);
        let mut bindings = Bindings::default();
        assert_eq!(bindings.unbound(&world, &[], &all), Unbound::default());
        assert!(bindings.may_report(&all, two.doc.id, "u2"));
        Arc::make_mut(&mut two).doc.revoked_at = Some(Timestamp::UNIX_EPOCH);
        let all = of([&agent(1, Some("u3")), &two]);
        let unbound = Unbound {
            clusters: vec!["u1".into(), "u2".into()],
            removed: vec!["u1".into()],
            hosts: vec![two.doc.id],
        };
        assert_eq!(bindings.unbound(&world, &[document("u2")], &all), unbound, "the document of u2 is kept");
        assert_eq!(
            bindings.unbound(&world, &[], &all).removed,
            ["u1", "u2"],
            "what a removed cluster's agents sent last"
        );
        for of in ["u2", ""] {
            assert!(!bindings.may_report(&all, two.doc.id, of), "what a revoked agent sent last: {of:?}");
        }
    }
}
