//! Whether the volumes of a pod's claims can be attached from a node, as far as the scheduler goes by the volumes themselves.
//!
//! How many more volumes a node takes of a driver is not told; that alone is left to the scheduler.

use nimbus_protocol::ObjectKind;

use super::others::Says;
use crate::world::{Inventory, Node, NodeFacts, PersistentVolume, Requirement};

/// Most terms of a volume, and most values of a requirement, that are named.
const NAMED: usize = 3;

/// The volumes of a pod's claims, looked up once for all nodes.
pub(crate) struct Volumes<'a>(Vec<Claimed<'a>>);

/// The name of a claim and its volume; where none is known that stays bound to it, what is said of every node.
type Claimed<'a> = Result<(&'a str, &'a PersistentVolume), Says>;

impl<'a> Volumes<'a> {
    /// Of these claims of a namespace.
    pub(crate) fn of(claims: &'a [String], namespace: &str, inventory: &'a Inventory) -> Self {
        Self(claims.iter().map(|claim| claimed(claim, namespace, inventory)).collect())
    }

    /// Can all of them be attached from this node?
    pub(crate) fn says(&self, node: &Node, facts: &NodeFacts) -> Says {
        let of_one = |claimed: &Claimed<'a>| match claimed {
            Ok((_, volume)) if volume.attaches_to(node, facts) => Says::Yes,
            Ok((claim, volume)) => Says::No(format!(
                "volume {} of claim {claim} can be attached only where {}, which the node is not",
                volume.meta.name,
                asked_of_nodes(volume)
            )),
            Err(of_every_node) => of_every_node.clone(),
        };
        self.0.iter().fold(Says::Yes, |said, claimed| said.and(of_one(claimed)))
    }
}

fn claimed<'a>(name: &'a str, namespace: &str, inventory: &'a Inventory) -> Claimed<'a> {
    for kind in [ObjectKind::PersistentVolumeClaim, ObjectKind::PersistentVolume] {
        if !inventory.is_listed(kind) {
            return Err(Says::NotKnown(format!(
                "where the volume of claim {name} can be attached is not known: its agent does not list every {kind}"
            )));
        }
    }
    let Some(claim) = inventory.claim(namespace, name) else {
        return Err(Says::NotKnown(format!("claim {name} is not there")));
    };
    if claim.meta.deleting {
        return Err(Says::No(format!("claim {name} is being deleted")));
    }
    let Some(volume) = claim.bound_to() else {
        let phase = if claim.phase.is_empty() { "not bound" } else { claim.phase.as_str() };
        return Err(Says::NotKnown(format!(
            "claim {name} is bound to no volume ({phase}): where one would be made is not known"
        )));
    };
    let Some(volume) = inventory.volume(volume) else {
        return Err(Says::NotKnown(format!("volume {volume} of claim {name} is not there")));
    };
    let called = format!("volume {} of claim {name}", volume.meta.name);
    if volume.phase != "Bound" || volume.meta.deleting {
        let phase = if volume.meta.deleting { "being deleted" } else { volume.phase.as_str() };
        return Err(Says::NotKnown(format!("{called} is not one that stays bound ({phase})")));
    }
    if !volume.node_terms_complete {
        return Err(Says::NotKnown(format!("not all that {called} asks of a node is told")));
    }
    Ok((name, volume))
}

/// What a volume asks of a node, such as `topology.kubernetes.io/zone In eu-1a`.
fn asked_of_nodes(volume: &PersistentVolume) -> String {
    let one = |r: &Requirement| match named(&r.values, " or ") {
        values if values.is_empty() => format!("{} {}", r.key, r.operator),
        values => format!("{} {} {values}", r.key, r.operator),
    };
    let terms: Vec<String> =
        volume.node_terms.iter().map(|term| term.iter().map(one).collect::<Vec<_>>().join(" and ")).collect();
    named(&terms, ", or ")
}

/// The first of them.
fn named(all: &[String], between: &str) -> String {
    let more = if all.len() > NAMED { ", ..." } else { "" };
    format!("{}{more}", all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(between))
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::{self, observation::Body};

    use super::*;
    use crate::testing::lab::Lab;
    use crate::testing::objects::*;

    /// Claims `data` on `pvc-1` in zone eu-1a, and `logs` on `pvc-2`, which goes everywhere; node-a in eu-1a, node-b in eu-1b.
    fn lab() -> Lab {
        let mut lab = Lab::new();
        for (name, zone) in [("node-a", "eu-1a"), ("node-b", "eu-1b")] {
            let label = v1::Label { key: "topology.kubernetes.io/zone".into(), value: zone.into() };
            let facts = v1::NodeFacts { labels: vec![label], ..node(name).facts.unwrap() };
            lab.see(Body::Node(v1::Node { facts: Some(facts), ..node(name) }));
        }
        lab.see(Body::PersistentVolumeClaim(claim("data", "pvc-1")));
        lab.see(Body::PersistentVolume(volume("pvc-1", &["eu-1a"])));
        lab.see(Body::PersistentVolumeClaim(claim("logs", "pvc-2")));
        lab.see(Body::PersistentVolume(volume("pvc-2", &[])));
        lab
    }

    fn ask(lab: &Lab, claims: &[&str], node: &str) -> Says {
        let inventory = &lab.world.clusters[CLUSTER];
        let node = inventory.node(node).unwrap();
        let claims: Vec<String> = claims.iter().map(|claim| (*claim).to_owned()).collect();
        Volumes::of(&claims, "shop", inventory).says(node, node.facts.as_ref().unwrap())
    }

    #[test]
    fn a_volume_is_attached_only_where_its_node_terms_hold() {
        let lab = lab();
        assert_eq!(ask(&lab, &["data", "logs"], "node-a"), Says::Yes);
        assert_eq!(ask(&lab, &["logs"], "node-b"), Says::Yes);
        assert_eq!(ask(&lab, &[], "node-b"), Says::Yes);
        let Says::No(why) = ask(&lab, &["logs", "data"], "node-b") else { panic!() };
        assert_eq!(
            why,
            "volume pvc-1 of claim data can be attached only where topology.kubernetes.io/zone In eu-1a, which the node \
             is not"
        );
    }

    #[test]
    fn what_is_not_known_is_named_and_a_no_counts_for_more() {
        type Change = fn(&mut Lab);
        let cases: [(&str, Change); 8] = [
            ("claim logs is not there", |lab| {
                lab.see(gone("PersistentVolumeClaim", "PersistentVolumeClaim-logs"));
            }),
            ("claim logs is bound to no volume (Lost)", |lab| {
                let lost = v1::PersistentVolumeClaim { phase: "Lost".into(), ..claim("logs", "pvc-2") };
                lab.see(Body::PersistentVolumeClaim(lost));
            }),
            ("claim logs is bound to no volume (Pending)", |lab| {
                let pending = v1::PersistentVolumeClaim { phase: "Pending".into(), ..claim("logs", "") };
                lab.see(Body::PersistentVolumeClaim(pending));
            }),
            ("volume pvc-2 of claim logs is not there", |lab| {
                lab.see(gone("PersistentVolume", "PersistentVolume-pvc-2"));
            }),
            ("volume pvc-2 of claim logs is not one that stays bound (Failed)", |lab| {
                lab.see(Body::PersistentVolume(v1::PersistentVolume {
                    phase: "Failed".into(),
                    ..volume("pvc-2", &[])
                }));
            }),
            ("not all that volume pvc-2 of claim logs asks of a node is told", |lab| {
                lab.see(Body::PersistentVolume(v1::PersistentVolume {
                    node_terms_complete: false,
                    ..volume("pvc-2", &[])
                }));
            }),
            ("its agent does not list every PersistentVolumeClaim", |lab| {
                lab.see(begin("PersistentVolumeClaim", 1));
            }),
            ("its agent does not list every PersistentVolume", |lab| {
                lab.see(begin("PersistentVolume", 1));
            }),
        ];
        for (words, change) in cases {
            let mut lab = lab();
            change(&mut lab);
            let Says::NotKnown(why) = ask(&lab, &["logs"], "node-b") else { panic!("{words}") };
            assert!(why.contains(words), "{words}: {why}");
        }
        let mut lab = lab();
        lab.see(gone("PersistentVolumeClaim", "PersistentVolumeClaim-logs"));
        assert!(matches!(ask(&lab, &["logs", "data"], "node-b"), Says::No(_)));
        let mut leaving = claim("data", "pvc-1");
        leaving.meta = leaving.meta.map(|meta| v1::ObjectMeta { deleting_since_us: 1, ..meta });
        lab.see(Body::PersistentVolumeClaim(leaving));
        assert_eq!(ask(&lab, &["data"], "node-a"), Says::No("claim data is being deleted".into()));
    }

    #[test]
    fn a_claim_is_looked_up_in_its_own_namespace() {
        let lab = lab();
        let inventory = &lab.world.clusters[CLUSTER];
        assert!(inventory.claim("bank", "data").is_none() && inventory.volume("pvc-1").is_some());
        let restored = crate::world::World::from_snapshot(&lab.world.to_snapshot()).unwrap();
        assert_eq!(restored.clusters[CLUSTER].claim("shop", "data"), inventory.claim("shop", "data"));
    }
}
