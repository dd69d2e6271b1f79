//! Turns the status that agents report into agent and cluster documents.
//!
//! Facts only: what may be done in a cluster starts as *observe* and is changed by operators alone; which agent may report
//! for a cluster is decided in `cluster_binding`.

use jiff::Timestamp;
use nimbus_protocol::{from_micros, v1};

use crate::cluster_binding::{self, Denied};
use crate::model::{Agent, AgentKind, Agents, AuditDraft, ChangeSet, Cluster, Mode, Versioned, WatchedRoot};

/// Longest text that is kept of what an agent says.
const MAX_TEXT: usize = 256;
/// Longest problem that is kept; agents say them in 500 characters, most of which are one byte.
const MAX_PROBLEM: usize = 1_024;
/// Bytes of the word for a way to the control plane.
const MAX_TRANSPORT: usize = 32;
/// Most watched roots and most problems that are kept of one agent.
const MAX_ITEMS: usize = 100;

/// The documents that are known already.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// All agents.
    pub agents: &'a Agents,
    /// All clusters.
    pub clusters: &'a [Versioned<Cluster>],
}

/// What a hello or a status says of the cluster that an agent watches.
struct Watched<'a> {
    uid: &'a str,
    name: &'a str,
}

/// What a hello changes, and why the agent may not come in with what it says.
pub fn hello(
    known: Known<'_>,
    agent: &Versioned<Agent>,
    said: &v1::Hello,
    now: Timestamp,
) -> (ChangeSet, Option<Denied>) {
    let mut next = agent.doc.clone();
    next.joining_with = None;
    next.hostname = cut(&said.hostname);
    next.version = cut(&said.agent_version);
    changes(known, agent, next, &Watched { uid: &said.cluster_uid, name: &said.cluster_name }, now)
}

/// What a status changes, and why the agent may not stay with what it says.
pub fn status(
    known: Known<'_>,
    agent: &Versioned<Agent>,
    said: &v1::AgentStatus,
    now: Timestamp,
) -> (ChangeSet, Option<Denied>) {
    // What it sent before it was refused changes nothing any more: else it would make a cluster known again that a person removed.
    if agent.doc.revoked_at.is_some() {
        return (ChangeSet::default(), None);
    }
    let mut next = agent.doc.clone();
    next.hostname = cut(&said.hostname);
    next.version = cut(&said.agent_version);
    next.leading = said.leading;
    next.lease_term = said.lease_term;
    let actions = |said: &[String]| said.iter().take(MAX_ITEMS).map(|text| cut(text)).collect();
    next.allowed_actions = actions(&said.allowed_actions);
    next.automatic_actions = actions(&said.automatic_actions);
    next.jobs_per_hour = said.jobs_per_hour;
    next.transport = cut_to(&said.transport, MAX_TRANSPORT);
    next.paused = (!said.paused.is_empty()).then(|| cut_to(&said.paused, MAX_PROBLEM));
    let roots = said.roots.iter().take(MAX_ITEMS);
    let kept = |root: &v1::WatchedRoot| WatchedRoot {
        path: cut_to(&root.path, 4_096),
        problem: cut_to(&root.problem, MAX_PROBLEM),
        files: root.files,
        baseline_since: (root.baseline_taken_micros > 0).then(|| from_micros(root.baseline_taken_micros)),
    };
    next.roots = roots.map(kept).collect();
    next.problems = said.problems.iter().take(MAX_ITEMS).map(|text| cut_to(text, MAX_PROBLEM)).collect();
    next.dropped = said.dropped;
    changes(known, agent, next, &Watched { uid: &said.cluster_uid, name: &said.cluster_name }, now)
}

fn changes(
    known: Known<'_>,
    agent: &Versioned<Agent>,
    mut next: Agent,
    watched: &Watched<'_>,
    now: Timestamp,
) -> (ChangeSet, Option<Denied>) {
    let mut changes = ChangeSet::default();
    let mut denied = None;
    next.cluster_uid = None;
    // An agent that was enrolled for a host may well name one; it does not report for it.
    if next.kind == AgentKind::Cluster && !watched.uid.is_empty() {
        let uid = cut(watched.uid);
        match cluster_binding::may_report_for(known.agents, &next, &uid) {
            Ok(()) => (next.bound_cluster, next.cluster_uid) = (Some(uid.clone()), Some(uid)),
            Err(why) => {
                changes.audit.extend(refuse_binding(&mut next, &agent.doc, &uid, &why, now));
                denied = Some(why);
            }
        }
    }
    if let Some(uid) = &next.cluster_uid
        && !known.clusters.iter().any(|cluster| &cluster.doc.uid == uid)
    {
        let wanted = if watched.name.is_empty() { &next.name } else { watched.name };
        let taken = known.clusters.iter().map(|cluster| cluster.doc.name.as_str());
        let name = unique(&cut(wanted), taken);
        changes.audit.push(row(now, &next, "cluster.added", uid, &name, "first seen; observed only"));
        let cluster = Cluster {
            uid: uid.clone(),
            name,
            created_at: now,
            mode: Mode::Observe,
            enabled: Vec::new(),
            identity: None,
        };
        changes.clusters.push(Versioned::new(cluster));
    }
    // A cluster is made known by an agent as it was read: one that was revoked meanwhile, as its cluster was removed, makes none.
    if next == agent.doc && changes.clusters.is_empty() {
        return (changes, denied);
    }
    // One that just started does not say yet which one it watches: it went nowhere.
    if let (Some(before), Some(now_watches)) = (&agent.doc.cluster_uid, &next.cluster_uid)
        && before != now_watches
    {
        let detail = format!("now watches cluster {now_watches}");
        changes.audit.push(row(now, &next, "agent.moved", &next.id.to_string(), "", &detail));
    }
    changes.agents.push(Versioned { version: agent.version, doc: next });
    (changes, denied)
}

/// An agent named a cluster that it may not report for: that is noted as a problem of the agent, with one audit row when it
/// is new, and nothing else of it is taken.
fn refuse_binding(
    next: &mut Agent,
    before: &Agent,
    uid: &str,
    why: &Denied,
    now: Timestamp,
) -> Option<AuditDraft> {
    let start = format!("expected {}, found ", cluster_binding::EXPECTED);
    let problem = format!("{start}{}", why.found(uid));
    let is_known = before.problems.iter().any(|text| text.starts_with(&start));
    (next.leading, next.lease_term) = (false, 0);
    next.problems.retain(|text| !text.starts_with(&start));
    next.problems.push(problem.clone());
    (!is_known).then(|| row(now, next, "agent.claim_refused", uid, "", &problem))
}

fn row(
    now: Timestamp,
    agent: &Agent,
    action: &str,
    subject: &str,
    cluster: &str,
    detail: &str,
) -> AuditDraft {
    AuditDraft {
        at: now,
        actor: agent.id.to_string(),
        action: action.to_owned(),
        subject: subject.to_owned(),
        cluster: cluster.to_owned(),
        detail: detail.to_owned(),
    }
}

/// `wanted`, or `wanted-2`, `wanted-3` … when it is taken.
fn unique<'a>(wanted: &str, taken: impl Iterator<Item = &'a str>) -> String {
    let taken: std::collections::HashSet<&str> = taken.collect();
    if !taken.contains(wanted) {
        return wanted.to_owned();
    }
    // One more candidate than there are taken names: one of them is free.
    let mut candidates = (2..=taken.len() + 2).map(|n| format!("{wanted}-{n}"));
    candidates.find(|name| !taken.contains(name.as_str())).unwrap_or_else(|| wanted.to_owned())
}

fn cut(text: &str) -> String {
    cut_to(text, MAX_TEXT)
}

fn cut_to(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(kind: AgentKind) -> Versioned<Agent> {
        let id = "agt_00000000000000000000000000000001".parse().unwrap();
        let doc = Agent { name: "edge".into(), ..Agent::new(id, kind, Timestamp::UNIX_EPOCH) };
        Versioned { version: 3, doc }
    }

    fn clusters(clusters: &[(&str, &str)]) -> Vec<Versioned<Cluster>> {
        let cluster = |&(uid, name): &(&str, &str)| {
            let (uid, name) = (uid.to_owned(), name.to_owned());
            let created_at = Timestamp::UNIX_EPOCH;
            Versioned::new(Cluster {
                uid,
                name,
                created_at,
                mode: Mode::Observe,
                enabled: Vec::new(),
                identity: None,
            })
        };
        clusters.iter().map(cluster).collect()
    }

    fn known(clusters: &[Versioned<Cluster>]) -> Known<'_> {
        static NONE: std::sync::LazyLock<Agents> = std::sync::LazyLock::new(Agents::default);
        Known { agents: &NONE, clusters }
    }

    fn said(uid: &str, name: &str) -> v1::AgentStatus {
        v1::AgentStatus { cluster_uid: uid.into(), cluster_name: name.into(), ..Default::default() }
    }

    #[test]
    fn a_new_cluster_gets_a_name_of_its_own_and_is_only_observed() {
        let known_ones = clusters(&[("u1", "prod"), ("u2", "prod-2")]);
        let (changes, _) = status(
            known(&known_ones),
            &agent(AgentKind::Cluster),
            &said("u3", "prod"),
            Timestamp::UNIX_EPOCH,
        );
        let cluster = &changes.clusters[0];
        assert_eq!((cluster.version, cluster.doc.name.as_str()), (0, "prod-3"));
        assert_eq!((cluster.doc.mode, cluster.doc.enabled.len()), (Mode::Observe, 0));
        assert_eq!(changes.agents[0].version, 3);
        assert_eq!(changes.agents[0].doc.cluster_uid.as_deref(), Some("u3"));
        assert_eq!(changes.audit[0].action, "cluster.added");
    }

    #[test]
    fn a_known_cluster_is_left_as_it_is_and_the_same_status_changes_nothing() {
        let prod = clusters(&[("u1", "prod")]);
        let (first, _) =
            status(known(&prod), &agent(AgentKind::Cluster), &said("u1", "other"), Timestamp::UNIX_EPOCH);
        assert!(first.clusters.is_empty() && first.audit.is_empty());
        let (again, _) = status(known(&prod), &first.agents[0], &said("u1", "other"), Timestamp::UNIX_EPOCH);
        assert!(again.is_empty());
    }

    #[test]
    fn an_agent_of_a_host_reports_for_no_cluster() {
        let (changes, _) =
            status(known(&[]), &agent(AgentKind::Host), &said("u1", "prod"), Timestamp::UNIX_EPOCH);
        assert!(changes.clusters.is_empty() && changes.agents.is_empty());
    }

    #[test]
    fn a_binding_that_is_refused_is_a_problem_and_one_audit_row() {
        let prod = clusters(&[("u1", "prod")]);
        let mut owner = agent(AgentKind::Cluster);
        owner.doc.id = "agt_00000000000000000000000000000002".parse().unwrap();
        owner.doc.bound_cluster = Some("u1".into());
        let owners = [owner].into_iter().collect();
        let known = Known { agents: &owners, clusters: &prod };
        let thief = agent(AgentKind::Cluster);
        let mut loud = said("u1", "prod");
        (loud.leading, loud.lease_term) = (true, u64::MAX);
        let (first, denied) = status(known, &thief, &loud, Timestamp::UNIX_EPOCH);
        assert_eq!(denied, Some(Denied::Taken("edge".into())));
        let doc = &first.agents[0].doc;
        assert_eq!((&doc.cluster_uid, doc.leading, doc.lease_term), (&None, false, 0));
        assert!(doc.problems[0].contains("u1") && doc.bound_cluster.is_none(), "{:?}", doc.problems);
        assert_eq!(first.audit[0].action, "agent.claim_refused");
        assert!(status(known, &first.agents[0], &loud, Timestamp::UNIX_EPOCH).0.is_empty());
        let greeting = v1::Hello { cluster_uid: "u1".into(), ..Default::default() };
        let (_, denied) = hello(known, &thief, &greeting, Timestamp::UNIX_EPOCH);
        assert_eq!(denied, Some(Denied::Taken("edge".into())));
    }
}
