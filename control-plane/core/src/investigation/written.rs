//! What was written in the cluster around the incident's begin: the pod template of its workload, and the ConfigMaps and Secrets that
//! its pods refer to. Who wrote is what a client calls itself; the API server records for each client the parts of an object that it
//! owns, and one time, that of its last write of any of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::{Investigation, Known, Source, Window, pods};
use crate::model::{Incident, ObjectRef, Workload};
use crate::world::{Inventory, Meta, Object as _};

/// Most writes that are told, those nearest to the incident's begin.
const MOST: usize = 20;

/// The last write of something.
struct Write {
    object: ObjectRef,
    /// What the writer owns a part of.
    part: &'static str,
    writer: String,
    at: Option<Timestamp>,
    /// What else there is to say of it.
    more: String,
}

impl Write {
    fn text(&self) -> String {
        let Self { part, writer, more, .. } = self;
        if writer.is_empty() {
            format!("a client that is not recorded last wrote its {part}{more}")
        } else {
            format!(
                "a client that calls itself {writer}, which owns a part of its {part}, last wrote the object then{more}"
            )
        }
    }

    /// Why its time says nothing of the incident.
    fn gap(&self, incident: &Incident, window: Window) -> Option<String> {
        let Self { object, part, .. } = self;
        match self.at {
            None => {
                Some(format!("when the {part} of {object} was last written is unknown: it is not recorded"))
            }
            Some(at) if at <= window.until => None,
            Some(at) if incident.resolved_at.is_some() => Some(format!(
                "the {part} of {object} was written again after the incident, at {at:.0}: who wrote it before is unknown"
            )),
            Some(at) => Some(format!(
                "by its cluster's clock the {part} of {object} was last written at {at:.0}, which has not been yet: when it was, is \
                 unknown"
            )),
        }
    }
}

/// All of it since a day before the incident and until its end, and what of it is not known.
pub(super) fn tell(incident: &Incident, inventory: &Inventory, window: Window, found: &mut Investigation) {
    let mut writes = referred(incident, inventory, found);
    writes.extend(template(incident, inventory, found));
    if !writes.is_empty() {
        found.unknown.push(
            "of a pod template, a ConfigMap or a Secret the last write alone is kept: who wrote it before, and what was changed, is \
             unknown"
                .to_owned(),
        );
    }
    found.not_known(writes.iter().filter_map(|write| write.gap(incident, window)).collect());
    let lines = writes
        .into_iter()
        .map(|write| Known::new(write.at, Source::ManagedFields, &write.object, write.text()))
        .collect();
    found.tell_nearest(lines, MOST, window, "writes of what its pods refer to");
}

fn template(incident: &Incident, inventory: &Inventory, found: &mut Investigation) -> Option<Write> {
    let deployment = match incident.workload.as_ref()? {
        Workload::Deployment(reference) => inventory.deployments.get(&reference.uid)?,
        other @ (Workload::StatefulSet(_) | Workload::DaemonSet(_)) => {
            found.unknown.push(format!(
                "who wrote the pod template of {other}, and when, is unknown: agents do not tell it"
            ));
            return None;
        }
        Workload::Job(_) | Workload::CronJob(_) | Workload::Bare(_) | Workload::Other(_) => return None,
    };
    let Some(more) = deployment.more.as_ref().filter(|more| !more.template_writer.is_empty()) else {
        found.unknown.push(format!(
            "who wrote the pod template of {} is unknown: nobody is recorded",
            deployment.object()
        ));
        return None;
    };
    Some(Write {
        object: deployment.object(),
        part: "pod template",
        writer: more.template_writer.clone(),
        at: more.template_written_at,
        more: format!(" (its revision is {} now)", deployment.revision),
    })
}

/// Kind, namespace and name of what pods refer to.
type Name<'a> = (ObjectKind, &'a str, &'a str);

fn name(kind: ObjectKind, meta: &Meta) -> Name<'_> {
    (kind, meta.namespace.as_str(), meta.name.as_str())
}

/// The ConfigMaps and Secrets that any of its pods names, each once; those that are not there are said to be not known.
fn referred(incident: &Incident, inventory: &Inventory, found: &mut Investigation) -> Vec<Write> {
    let (names, complete) = named(incident, inventory);
    if !complete {
        found
            .unknown
            .push("not all ConfigMaps and Secrets that its pods refer to are told by their agent".to_owned());
    }
    let content = |object: ObjectRef, at: Option<Timestamp>, writer: &str| Write {
        object,
        part: "content",
        writer: writer.to_owned(),
        at,
        more: "; pods of it refer to it".to_owned(),
    };
    let maps =
        inventory.config_maps.values().filter(|map| names.contains(&name(ObjectKind::ConfigMap, &map.meta)));
    let maps = maps.map(|map| {
        (name(ObjectKind::ConfigMap, &map.meta), content(map.object(), map.written_at, &map.writer))
    });
    let secrets =
        inventory.secrets.values().filter(|secret| names.contains(&name(ObjectKind::Secret, &secret.meta)));
    let secrets = secrets.map(|secret| {
        (name(ObjectKind::Secret, &secret.meta), content(secret.object(), secret.written_at, &secret.writer))
    });
    let there: BTreeMap<Name<'_>, Write> = maps.chain(secrets).collect();
    let absent = names.iter().filter(|name| !there.contains_key(*name));
    let gaps = absent.map(|(kind, namespace, name)| {
        if inventory.has_every(*kind) {
            format!(
                "{kind} {namespace}/{name}, to which its pods refer, is not there: whether it ever was, and who removed it, is unknown"
            )
        } else {
            format!(
                "whether {kind} {namespace}/{name}, to which its pods refer, was written is unknown: not every {kind} is listed"
            )
        }
    });
    found.not_known(gaps.collect());
    there.into_values().collect()
}

/// What its pods refer to, and whether that is all.
fn named<'a>(incident: &'a Incident, inventory: &'a Inventory) -> (BTreeSet<Name<'a>>, bool) {
    let (mut names, mut complete) = (BTreeSet::new(), true);
    for pod in pods::of(incident, inventory) {
        let Some(facts) = &pod.facts else {
            complete = false;
            continue;
        };
        complete &= facts.references_complete;
        let namespace = pod.meta.namespace.as_str();
        let of = |kind, all: &'a [String]| all.iter().map(move |name| (kind, namespace, name.as_str()));
        names.extend(of(ObjectKind::ConfigMap, &facts.config_maps));
        names.extend(of(ObjectKind::Secret, &facts.secrets));
    }
    (names, complete)
}
