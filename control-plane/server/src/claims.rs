//! Which agent may speak for which cluster.
//!
//! A certificate proves which agent speaks, not where it lives, and a cluster's UID is no secret: an agent that names
//! one may not live there. So an agent speaks for one cluster for good: the one that its token was made for, or else
//! the first one that it names, if no other agent has a claim to that. A second agent of a cluster needs a token made
//! for it. A revoked agent's claim is void.

use nimbus_control_core::model::{Agent, AgentKind, Versioned};
use nimbus_control_core::world::is_cluster_uid;

/// Why an agent may not speak for a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// It was enrolled for a host.
    Host,
    /// What it names cannot be a cluster.
    NoUid,
    /// It speaks for this other cluster.
    Other(String),
    /// Another agent, called so, has the claim.
    Taken(String),
}

impl Denied {
    /// What stood in the way of speaking for `cluster`.
    pub fn found(&self, cluster: &str) -> String {
        match self {
            Self::Host => format!("an agent of a host that names cluster {cluster}"),
            Self::NoUid => format!("one that calls its cluster {cluster:?}, which is no UID"),
            Self::Other(own) => format!("one of cluster {own} that names cluster {cluster}"),
            Self::Taken(by) => {
                format!("one whose token names none; for cluster {cluster} agent {by} speaks already")
            }
        }
    }
}

/// What an agent has to be so that it may speak for a cluster.
pub const EXPECTED: &str = "an agent of the cluster that it watches";
/// How it gets there.
pub const REMEDY: &str = "make one with `nimbus agents token create --kind cluster --cluster NAME`, remove the agent's \
                          identity directory, and join it again";

/// May `agent` speak for `cluster`, from now on and for no other?
pub fn may_speak(agents: &[Versioned<Agent>], agent: &Agent, cluster: &str) -> Result<(), Denied> {
    if agent.kind != AgentKind::Cluster {
        return Err(Denied::Host);
    }
    if !is_cluster_uid(cluster) {
        return Err(Denied::NoUid);
    }
    match &agent.claim {
        Some(own) if own == cluster => return Ok(()),
        Some(own) => return Err(Denied::Other(own.clone())),
        None => {}
    }
    let holds = |other: &&Versioned<Agent>| {
        let other = &other.doc;
        other.claim.as_deref() == Some(cluster) && other.id != agent.id && other.revoked_at.is_none()
    };
    agents.iter().find(holds).map_or(Ok(()), |other| Err(Denied::Taken(other.doc.name.clone())))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn agent(n: u8, claim: Option<&str>) -> Versioned<Agent> {
        Versioned::new(Agent {
            name: format!("agent-{n}"),
            claim: claim.map(str::to_owned),
            ..Agent::new(format!("agt_{n:032x}").parse().unwrap(), AgentKind::Cluster, Timestamp::UNIX_EPOCH)
        })
    }

    #[test]
    fn the_first_one_gets_a_cluster_and_a_second_needs_a_token_for_it() {
        let newcomer = agent(1, None);
        assert_eq!(may_speak(std::slice::from_ref(&newcomer), &newcomer.doc, "u1"), Ok(()));
        let (first, plain) = (agent(1, Some("u1")), agent(2, None));
        let all = [first.clone(), plain.clone()];
        assert_eq!(may_speak(&all, &plain.doc, "u1"), Err(Denied::Taken("agent-1".into())));
        assert_eq!(may_speak(&all, &plain.doc, "u2"), Ok(()));
        let made_for_it = agent(2, Some("u1"));
        let all = [first.clone(), made_for_it.clone()];
        // And the first keeps what it has.
        assert!(may_speak(&all, &made_for_it.doc, "u1").is_ok() && may_speak(&all, &first.doc, "u1").is_ok());
    }

    #[test]
    fn an_agent_of_one_cluster_speaks_for_no_other_one() {
        let agent = agent(1, Some("u1"));
        let denied = may_speak(std::slice::from_ref(&agent), &agent.doc, "u2").unwrap_err();
        assert_eq!(denied, Denied::Other("u1".into()));
        assert!(denied.found("u2").contains("u1") && denied.found("u2").contains("u2"));
    }

    #[test]
    fn a_revoked_agent_holds_nothing_and_an_agent_of_a_host_gets_nothing() {
        let (mut gone, mut next) = (agent(1, Some("u1")), agent(2, None));
        gone.doc.revoked_at = Some(Timestamp::UNIX_EPOCH);
        assert!(may_speak(&[gone, next.clone()], &next.doc, "u1").is_ok());
        next.doc.kind = AgentKind::Vpc;
        assert_eq!(may_speak(&[], &next.doc, "u1"), Err(Denied::Host));
    }

    #[test]
    fn what_no_database_keeps_is_no_cluster() {
        let agent = agent(1, None);
        for text in ["", "a\0b", "a/b", &"u".repeat(65)] {
            assert_eq!(may_speak(&[], &agent.doc, text), Err(Denied::NoUid), "{text:?}");
        }
    }
}
