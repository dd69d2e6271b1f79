//! The claim that the incident is about: how large it is and is to be, who says so, and how full kubelets read its volume to be.

use nimbus_protocol::quantity;

use crate::investigation::words::{fullness, kept};
use crate::investigation::{Known, Source};
use crate::model::Incident;
use crate::world::{Inventory, MeasuredNode, Object as _, PersistentVolumeClaim, Volume};

/// Most nodes whose figures of its volume are told: one, unless many share it.
const MOST_NODES: usize = 5;

/// Nothing where the incident is about no claim, or that is not there.
pub(super) fn of(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let Some(claim) = inventory.persistent_volume_claims.get(incident.object.uid()) else {
        return Vec::new();
    };
    let object = claim.object();
    let status = |text: String| Known::new(None, Source::Status, &object, text);
    let managed = |text: String| Known::new(None, Source::ManagedFields, &object, text);
    let mut all = vec![status(figures(claim))];
    for (what, why) in [
        ("it is on its way to another size", &claim.resizing),
        ("its size does not change", &claim.resize_error),
    ] {
        all.extend((!why.is_empty()).then(|| status(format!("{what}: {why}"))));
    }
    all.extend(kept(&claim.manager, &claim.manager_evidence).map(managed));
    if !claim.size_writer.is_empty() {
        all.push(managed(format!(
            "a client that calls itself {} owns how much it asks for, and wrote last of those that do; when is unknown",
            claim.size_writer
        )));
    }
    let read = inventory.measured.of_claim(&claim.meta.namespace, &claim.meta.name);
    all.extend(read.take(MOST_NODES).map(|(node, figures, volume)| {
        Known::new(None, Source::Kubelet, &object, measured(claim, node, figures, volume))
    }));
    all
}

fn figures(claim: &PersistentVolumeClaim) -> String {
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "an unknown amount".to_owned(), quantity::binary);
    let class = match claim.storage_class.as_str() {
        "" => "of no class that is told".to_owned(),
        class => format!("of class {class}"),
    };
    let leaving = if claim.meta.deleting { ", on its way out" } else { "" };
    format!(
        "{}, asks for {} and has {}, {class}{leaving}",
        claim.phase,
        size(claim.requested),
        size(claim.capacity)
    )
}

/// What a kubelet read at one moment: since when it was so it does not say.
fn measured(claim: &PersistentVolumeClaim, node: &str, figures: &MeasuredNode, volume: &Volume) -> String {
    let used = fullness(&volume.filesystem).filter(|_| volume.tells_of(claim, figures.at));
    let used = used.unwrap_or_else(|| "figures that do not say how full it is".to_owned());
    let pace = figures.fill_pace(volume).map_or_else(String::new, |(over, left)| {
        format!("; full in {} min at the pace of the {} min before", left.as_mins(), over.as_mins())
    });
    format!("read at {:.0} on node {node}, where pod {} has it mounted: {used}{pace}", figures.at, volume.pod)
}
