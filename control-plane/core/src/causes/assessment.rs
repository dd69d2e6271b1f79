//! What is wrong in each cluster and on each host, made again only where something changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use nimbus_protocol::ids::AgentId;

use super::storm::Figures;
use super::{Finding, Place, of};
use crate::model::IncidentKind;
use crate::settings::Settings;
use crate::world::World;

/// What the causes see in one place, and the version of the place that this was made from.
#[derive(Debug, Clone)]
struct Assessed {
    version: u64,
    findings: Vec<Finding>,
    figures: Figures,
}

/// The findings of every cause in every cluster and on every host.
///
/// A pure function of the world and the settings; [`Assessment::refresh`] keeps what it made of a cluster or host for as
/// long as that does not change. One value belongs to one [`World`] and one set of settings.
#[derive(Debug, Clone, Default)]
pub struct Assessment {
    clusters: BTreeMap<String, Arc<Assessed>>,
    hosts: BTreeMap<AgentId, Arc<Assessed>>,
}

impl Assessment {
    /// What is wrong in `world`.
    pub fn of(world: &World, settings: &Settings) -> Self {
        let mut assessment = Self::default();
        assessment.refresh(world, settings);
        assessment
    }

    /// Looks again at every cluster and host that changed since the last time.
    pub fn refresh(&mut self, world: &World, settings: &Settings) {
        self.clusters.retain(|uid, _| world.clusters.contains_key(uid));
        for (uid, inventory) in &world.clusters {
            let version = inventory.version();
            if self.clusters.get(uid).is_none_or(|known| known.version != version) {
                let place = Place::Cluster(uid, inventory);
                let figures = Figures::of(inventory);
                self.clusters.insert(uid.clone(), Arc::new(assess(place, version, figures, settings)));
            }
        }
        self.hosts.retain(|agent, _| world.hosts.contains_key(agent));
        for (agent, facts) in &world.hosts {
            let version = facts.version();
            if self.hosts.get(agent).is_none_or(|known| known.version != version) {
                let place = Place::Host(*agent, facts);
                let assessed = assess(place, version, Figures::default(), settings);
                self.hosts.insert(*agent, Arc::new(assessed));
            }
        }
    }

    /// Every finding, in a stable order.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.clusters.values().chain(self.hosts.values()).flat_map(|assessed| &assessed.findings)
    }

    /// How many pods and nodes of a cluster are unwell; `None` where nothing is known of it.
    pub(crate) fn figures(&self, cluster_uid: &str) -> Option<Figures> {
        self.clusters.get(cluster_uid).map(|assessed| assessed.figures)
    }
}

fn assess(place: Place<'_>, version: u64, figures: Figures, settings: &Settings) -> Assessed {
    let is_known = |kind: IncidentKind| match place {
        Place::Cluster(_, inventory) => of(kind).needs().iter().all(|needed| inventory.is_listed(*needed)),
        Place::Host(..) => true,
    };
    let detect = |kind: &IncidentKind| of(*kind).detect(place, settings);
    let known = IncidentKind::ALL.iter().filter(|kind| is_known(**kind));
    Assessed { version, findings: known.flat_map(detect).collect(), figures }
}
