//! All agents in the store's order, with what finds one of many thousands without a look at the others.
//!
//! A copy shares everything with what it was copied from, and a change copies the way to what it changes: neither costs more
//! with ten thousand agents than with ten.

use nimbus_protocol::ids::{AgentId, TokenId};
use nimbus_protocol::to_micros;
use rpds::{HashTrieMapSync, RedBlackTreeSetSync, VectorSync};

use super::{Agent, SharedAgent, Versioned};

/// All agents, oldest first, then by id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Agents {
    list: VectorSync<SharedAgent>,
    places: HashTrieMapSync<AgentId, usize>,
    known_by: RedBlackTreeSetSync<(Key, AgentId)>,
    revoked: RevokedMark,
}

/// Which agents are revoked, told apart from any other such set: how many, and all of their ids combined by exclusive or.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RevokedMark {
    count: usize,
    ids: u128,
}

impl RevokedMark {
    fn of(agent: &Agent) -> Self {
        let id = agent.id.to_u128();
        agent.revoked_at.map_or_else(Self::default, |_| Self { count: 1, ids: id })
    }
}

/// What an agent is looked for by, beside its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// The name of one that is not revoked.
    Name(Box<str>),
    /// The cluster that one that is not revoked is bound to.
    Cluster(Box<str>),
    /// The join token that one that is not revoked came with, until it said hello.
    Token(TokenId),
    /// The UID of its pod, also of one that is revoked.
    Pod(Box<str>),
}

impl Key {
    fn all_of(agent: &Agent) -> impl Iterator<Item = (Self, AgentId)> {
        let Agent { id, name, bound_cluster, joining_with, pod, revoked_at, .. } = agent;
        let while_not_revoked = [
            Some(Self::Name(name.as_str().into())),
            bound_cluster.as_deref().map(|uid| Self::Cluster(uid.into())),
            joining_with.map(Self::Token),
        ];
        let while_not_revoked = while_not_revoked.into_iter().filter(|_| revoked_at.is_none());
        let pod = pod.as_ref().map(|pod| Self::Pod(pod.uid.as_str().into()));
        while_not_revoked.chain([pod]).flatten().map(|key| (key, *id))
    }
}

impl Agents {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, also those that are revoked.
    pub fn iter(&self) -> impl Iterator<Item = &SharedAgent> {
        self.list.iter()
    }

    /// One of them, also one that is revoked.
    pub fn get(&self, id: AgentId) -> Option<&SharedAgent> {
        self.list.get(*self.places.get(&id)?)
    }

    /// Those of this name that are not revoked: one, as a rule.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Versioned<Agent>> {
        self.known_by(Key::Name(name.into()))
    }

    /// Those that are bound to this cluster and not revoked.
    pub fn bound_to(&self, cluster: &str) -> impl Iterator<Item = &Versioned<Agent>> {
        self.known_by(Key::Cluster(cluster.into()))
    }

    /// Those that this join token made, that are not revoked, and that did not say hello yet.
    pub fn joining_with(&self, token: TokenId) -> impl Iterator<Item = &Versioned<Agent>> {
        self.known_by(Key::Token(token))
    }

    /// Those of a pod of this UID, in whatever cluster, also revoked ones.
    pub fn of_pod(&self, uid: &str) -> impl Iterator<Item = &Versioned<Agent>> {
        self.known_by(Key::Pod(uid.into()))
    }

    fn known_by(&self, key: Key) -> impl Iterator<Item = &Versioned<Agent>> {
        let first = (key.clone(), AgentId::of_bytes([0; 16]));
        let all = self.known_by.range(first..).take_while(move |(its, _)| *its == key);
        all.filter_map(|(_, id)| self.get(*id)).map(AsRef::as_ref)
    }

    /// Changes whenever another agent is revoked, so that what is to be done then is done once.
    pub const fn revoked(&self) -> RevokedMark {
        self.revoked
    }

    /// Takes in an agent that is new or changed.
    pub fn put(&mut self, agent: SharedAgent) {
        let place = self.places.get(&agent.doc.id).copied();
        let before = place.and_then(|place| Some((place, self.list.get(place)?.clone())));
        match before {
            None => self.add(agent),
            Some((place, before)) if order(&before.doc) == order(&agent.doc) => {
                self.known_by_instead(&before.doc, &agent.doc);
                self.mark_instead(RevokedMark::of(&before.doc), RevokedMark::of(&agent.doc));
                self.list.set_mut(place, agent);
            }
            // Nothing changes when an agent was made; were it so, the places of many would change.
            Some(_) => {
                let others = self.list.iter().filter(|other| other.doc.id != agent.doc.id).cloned();
                *self = others.chain([agent.clone()]).collect();
            }
        }
    }

    /// Adds one where it belongs: behind the last as a rule, and before those that were made a moment later and committed
    /// earlier, as happens where several enrol at once. By a clock that went back, those are all that came since.
    fn add(&mut self, agent: SharedAgent) {
        let mut later = Vec::new();
        while let Some(last) = self.list.last().filter(|last| order(&last.doc) > order(&agent.doc)).cloned() {
            later.push(last);
            self.list.drop_last_mut();
        }
        for key in Key::all_of(&agent.doc) {
            self.known_by.insert_mut(key);
        }
        self.mark_instead(RevokedMark::default(), RevokedMark::of(&agent.doc));
        for agent in std::iter::once(agent).chain(later.into_iter().rev()) {
            self.places.insert_mut(agent.doc.id, self.list.len());
            self.list.push_back_mut(agent);
        }
    }

    fn mark_instead(&mut self, before: RevokedMark, after: RevokedMark) {
        self.revoked.count = self.revoked.count + after.count - before.count;
        self.revoked.ids ^= before.ids ^ after.ids;
    }

    fn known_by_instead(&mut self, before: &Agent, after: &Agent) {
        let (before, after): (Vec<_>, Vec<_>) = (Key::all_of(before).collect(), Key::all_of(after).collect());
        if before == after {
            return;
        }
        for key in before {
            self.known_by.remove_mut(&key);
        }
        for key in after {
            self.known_by.insert_mut(key);
        }
    }
}

/// The store's order.
fn order(agent: &Agent) -> (i64, AgentId) {
    (to_micros(agent.created_at), agent.id)
}

impl FromIterator<SharedAgent> for Agents {
    fn from_iter<I: IntoIterator<Item = SharedAgent>>(agents: I) -> Self {
        let mut sorted: Vec<SharedAgent> = agents.into_iter().collect();
        sorted.sort_by_key(|agent| order(&agent.doc));
        let mut all = Self::default();
        for agent in sorted {
            all.put(agent);
        }
        all
    }
}

impl FromIterator<Versioned<Agent>> for Agents {
    fn from_iter<I: IntoIterator<Item = Versioned<Agent>>>(agents: I) -> Self {
        agents.into_iter().map(SharedAgent::new).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::model::{AgentKind, PodOrigin};

    fn agent(n: u8, name: u8) -> Agent {
        let id = AgentId::of_bytes([n; 16]);
        let name = format!("agent-{name}");
        Agent { name, ..Agent::new(id, AgentKind::Cluster, Timestamp::UNIX_EPOCH) }
    }

    fn pod(uid: &str) -> PodOrigin {
        PodOrigin {
            namespace: "nimbus-system".to_owned(),
            name: "nimbus-agent-x".to_owned(),
            uid: uid.to_owned(),
            service_account: "nimbus-agent".to_owned(),
            node: None,
        }
    }

    #[test]
    fn one_that_is_revoked_is_found_by_its_id_and_its_pod_alone() {
        let token = TokenId::of_bytes([7; 16]);
        let mut one = agent(1, 1);
        (one.bound_cluster, one.joining_with) = (Some("u1".to_owned()), Some(token));
        one.pod = Some(pod("p1"));
        let mut all: Agents = [Versioned::new(one.clone())].into_iter().collect();
        let found = |all: &Agents| {
            let counts = (all.named("agent-1").count(), all.bound_to("u1").count());
            (counts, all.joining_with(token).count(), all.of_pod("p1").count(), all.get(one.id).is_some())
        };
        assert_eq!(found(&all), ((1, 1), 1, 1, true));
        assert_eq!((all.named("agent-").count(), all.named("agent-11").count()), (0, 0));
        all.put(Versioned::new(Agent { revoked_at: Some(Timestamp::UNIX_EPOCH), ..one.clone() }).into());
        assert_eq!(found(&all), ((0, 0), 0, 1, true));
        assert_eq!(all.len(), 1);
    }

    /// One change: which agent, its name, when it was made, whether it is revoked, and its cluster, token and pod.
    type Change = (u8, u8, i64, bool, Option<u8>);

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let change = (0_u8..6, 0_u8..3, 0_i64..3, any::<bool>(), proptest::option::of(0_u8..3));
        proptest::collection::vec(change, 0..40)
    }

    proptest! {
        /// Whatever changes in whatever order: what is found is what a look at each of them finds.
        #[test]
        fn what_is_found_is_what_a_look_at_each_finds(changes in changes()) {
            let (mut all, mut plain) = (Agents::default(), std::collections::BTreeMap::new());
            for (n, name, second, is_revoked, cluster) in changes {
                let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
                let bound_cluster = cluster.map(|cluster| format!("u{cluster}"));
                let revoked_at = is_revoked.then_some(at);
                let joining_with = cluster.map(|cluster| TokenId::of_bytes([cluster; 16]));
                let pod = cluster.map(|cluster| pod(&format!("p{cluster}")));
                let next =
                    Agent { created_at: at, revoked_at, bound_cluster, joining_with, pod, ..agent(n, name) };
                let before = all.clone();
                all.put(Versioned::new(next.clone()).into());
                prop_assert_eq!(before.len(), plain.len(), "a copy does not change");
                plain.insert(next.id, next);
            }
            prop_assert_eq!(&all, &plain.values().cloned().map(Versioned::new).collect::<Agents>());
            let revoked: Vec<&Agent> = plain.values().filter(|it| it.revoked_at.is_some()).collect();
            prop_assert_eq!(all.revoked().count, revoked.len());
            let ids = revoked.iter().fold(0, |ids, it| ids ^ it.id.to_u128());
            prop_assert_eq!(all.revoked().ids, ids);
            let mut ordered: Vec<&Agent> = plain.values().collect();
            ordered.sort_by_key(|agent| (agent.created_at, agent.id));
            prop_assert_eq!(all.iter().map(|agent| &agent.doc).collect::<Vec<_>>(), ordered);
            for n in 0..6_u8 {
                let id = AgentId::of_bytes([n; 16]);
                prop_assert_eq!(all.get(id).map(|agent| &agent.doc), plain.get(&id));
            }
            for n in 0..3_u8 {
                let (name, uid) = (format!("agent-{n}"), format!("u{n}"));
                let ids = |found: &mut dyn Iterator<Item = &Versioned<Agent>>| {
                    found.map(|agent| agent.doc.id).collect::<Vec<_>>()
                };
                let looked = |is: &dyn Fn(&Agent) -> bool| {
                    let all = plain.values().filter(|it| it.revoked_at.is_none() && is(it));
                    all.map(|it| it.id).collect::<Vec<_>>()
                };
                prop_assert_eq!(ids(&mut all.named(&name)), looked(&|it| it.name == name));
                let is_bound = |it: &Agent| it.bound_cluster.as_deref() == Some(&uid);
                prop_assert_eq!(ids(&mut all.bound_to(&uid)), looked(&is_bound));
                prop_assert_eq!(ids(&mut all.joining_with(TokenId::of_bytes([n; 16]))), looked(&is_bound));
                let of_pod = plain.values().filter(|it| is_bound(it)).map(|it| it.id).collect::<Vec<_>>();
                prop_assert_eq!(ids(&mut all.of_pod(&format!("p{n}"))), of_pod, "also revoked ones");
            }
        }
    }
}
