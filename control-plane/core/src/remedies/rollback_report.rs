//! Describes what a rollback changes, value by value as far as values may leave the cluster; what does not go back with
//! it; and where the next apply would bring the revision back that is rolled back.

use std::collections::{BTreeMap, BTreeSet};

use crate::drift::short;
use crate::world::{ConfigMap, Deployment, Inventory, Object as _, ReplicaSet, TemplateFact};

/// Most differing values shown; the rest is counted.
const MAX_DIFFERENCES: usize = 40;
/// Most pods that are named as not to be disturbed; the rest is counted.
const MAX_MARKED: usize = 8;

/// What a rollback will change, and what it leaves alone.
pub(super) fn changes(deployment: &Deployment, to: &ReplicaSet, inventory: &Inventory) -> Vec<String> {
    let mut lines = vec![format!("revision: {} -> {}", deployment.revision, to.revision)];
    if deployment.images == to.images {
        lines.push(format!("images: {} (unchanged)", deployment.images.join(", ")));
    } else {
        lines.push(format!("images: {} -> {}", deployment.images.join(", "), to.images.join(", ")));
    }
    lines.push(format!("pod template: {} -> {}", short(&deployment.template_hash), short(&to.template_hash)));
    let now = deployment.more.as_ref().map(|more| more.template.as_slice()).unwrap_or_default();
    lines.extend(differences(now, &to.template));
    lines.push(format!("replicas: {} (unchanged, whatever they are by then)", deployment.desired));
    lines.extend(marked(deployment, inventory));
    lines.extend(stays(&to.template));
    lines.extend(not_known(&to.template, inventory));
    lines.push(comes_back(deployment, &format!("revision {}", deployment.revision)));
    lines
}

/// The pods of the present revision that ask not to be disturbed: a rollout ends them all the same.
pub(super) fn marked(deployment: &Deployment, inventory: &Inventory) -> Vec<String> {
    let set = inventory.present_set(deployment).map_or("", |set| set.meta.uid.as_str());
    let (mut lines, mut unknown) = (Vec::new(), 0);
    for pod in inventory.pods_owned_by(set) {
        let Some(facts) = &pod.facts else {
            unknown += 1;
            continue;
        };
        if facts.do_not_disturb.is_empty() {
            continue;
        }
        let marks = facts.do_not_disturb.join(", ");
        lines.push(format!(
            "ends pod {}/{}, which asks not to be disturbed: {marks}",
            pod.meta.namespace, pod.meta.name
        ));
    }
    // In the order of their names, whatever the order in which they are kept.
    lines.sort_unstable();
    let more = lines.len().saturating_sub(MAX_MARKED);
    if more > 0 {
        lines.truncate(MAX_MARKED);
        lines.push(format!("ends {more} more pods that ask not to be disturbed"));
    }
    if unknown > 0 {
        lines.push(format!(
            "not known: whether {unknown} of the pods that it ends ask not to be disturbed; their agent does not \
             say it"
        ));
    }
    lines
}

/// What differs between two templates, by path.
fn differences(now: &[TemplateFact], to: &[TemplateFact]) -> Vec<String> {
    if now.is_empty() || to.is_empty() {
        return vec![
            "what differs inside the pod template is not known: the agent does not report it".to_owned(),
        ];
    }
    let by_path = |facts: &'_ [TemplateFact]| -> BTreeMap<String, TemplateFact> {
        facts.iter().map(|fact| (fact.path.clone(), fact.clone())).collect()
    };
    let (now, to) = (by_path(now), by_path(to));
    let paths: BTreeSet<&String> = now.keys().chain(to.keys()).collect();
    let mut lines: Vec<String> =
        paths.into_iter().filter_map(|path| difference(path, now.get(path), to.get(path))).collect();
    let more = lines.len().saturating_sub(MAX_DIFFERENCES);
    if more > 0 {
        lines.truncate(MAX_DIFFERENCES);
        lines.push(format!("... and {more} more differences inside the pod template"));
    }
    lines
}

fn difference(path: &str, now: Option<&TemplateFact>, to: Option<&TemplateFact>) -> Option<String> {
    let said = |fact: &TemplateFact| match fact.value.as_str() {
        "" => "(value not shown)".to_owned(),
        value => value.to_owned(),
    };
    match (now, to) {
        (Some(now), Some(to)) if now.value.is_empty() && to.value.is_empty() => {
            if now.digest.is_empty() || to.digest.is_empty() {
                return Some(format!("template {path}: not compared (value not shown)"));
            }
            (now.digest != to.digest).then(|| format!("template {path}: differs (value not shown)"))
        }
        (Some(now), Some(to)) => {
            (now.value != to.value).then(|| format!("template {path}: {} -> {}", said(now), said(to)))
        }
        (Some(now), None) => Some(format!("template {path}: removed, was {}", said(now))),
        (None, Some(to)) => Some(format!("template {path}: added, {}", said(to))),
        (None, None) => None,
    }
}

/// What the older template only refers to: its content stays as it is now.
fn stays(to: &[TemplateFact]) -> Option<String> {
    const REFERENCES: [(&str, &str); 7] = [
        ("configMap.name", "ConfigMap"),
        ("configMapRef.name", "ConfigMap"),
        ("configMapKeyRef.name", "ConfigMap"),
        ("secret.secretName", "Secret"),
        ("secretRef.name", "Secret"),
        ("secretKeyRef.name", "Secret"),
        ("persistentVolumeClaim.claimName", "volume claim"),
    ];
    let reference = |fact: &TemplateFact| {
        let (_, kind) = REFERENCES.iter().find(|(end, _)| fact.path.ends_with(end))?;
        Some(format!("{kind} {}", fact.value))
    };
    let names: BTreeSet<String> =
        to.iter().filter(|fact| !fact.value.is_empty()).filter_map(reference).collect();
    let names: Vec<String> = names.into_iter().collect();
    (!names.is_empty())
        .then(|| format!("not rolled back: the content of {}, which stays as it is now", names.join(", ")))
}

/// The ConfigMaps without which no pod of this template starts, by name: not those that it calls optional.
fn needed_config_maps(to: &[TemplateFact]) -> BTreeSet<&str> {
    const ENDS: [&str; 3] = ["configMap.name", "configMapRef.name", "configMapKeyRef.name"];
    let needed = |fact: &&TemplateFact| {
        let Some(above) =
            ENDS.iter().find(|end| fact.path.ends_with(*end)).and(fact.path.strip_suffix("name"))
        else {
            return false;
        };
        let optional = format!("{above}optional");
        !fact.value.is_empty() && !to.iter().any(|other| other.path == optional && other.value == "true")
    };
    to.iter().filter(needed).map(|fact| fact.value.as_str()).collect()
}

/// A ConfigMap that a template needs and that is not there. Where ConfigMaps are not listed that is not known.
pub(super) fn missing_config_map(
    namespace: &str,
    to: &[TemplateFact],
    inventory: &Inventory,
) -> Option<String> {
    if !inventory.is_listed(ConfigMap::KIND) {
        return None;
    }
    let is_there = |name: &str| {
        inventory.config_maps.values().any(|map| map.meta.name == name && map.meta.namespace == namespace)
    };
    needed_config_maps(to).into_iter().find(|name| !is_there(name)).map(str::to_owned)
}

/// What is not known of what the template needs.
fn not_known(to: &[TemplateFact], inventory: &Inventory) -> Option<String> {
    let needed: Vec<&str> = needed_config_maps(to).into_iter().collect();
    // The agent tells a part of a long template as one.
    if to.iter().any(|fact| fact.path == "(everything else)") {
        return Some(
            "not known: whether all that the older template refers to is still there, as it is too long"
                .to_owned(),
        );
    }
    (!needed.is_empty() && !inventory.is_listed(ConfigMap::KIND)).then(|| {
        format!(
            "not known: whether ConfigMap {} is still there, as ConfigMaps are not listed",
            needed.join(", ")
        )
    })
}

/// Where `what` a change takes away would come from again.
pub(super) fn comes_back(deployment: &Deployment, what: &str) -> String {
    let more = deployment.more.as_ref().filter(|more| !more.template_writer.is_empty());
    match more {
        Some(more) => {
            let at = more.template_written_at.map_or_else(String::new, |at| format!(" at {at:.0}"));
            format!(
                "comes back: the pod template was last written by {}{at}; its next apply or sync of the same source brings \
                 {what} back until it is corrected there",
                more.template_writer
            )
        }
        None => format!(
            "comes back: who wrote the pod template is not known; the next apply of the same source brings {what} back \
             until it is corrected there"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(path: &str, value: &str, digest: &str) -> TemplateFact {
        TemplateFact { path: path.into(), value: value.into(), digest: digest.into() }
    }

    #[test]
    fn each_value_that_differs_is_a_line_and_one_that_stays_in_the_cluster_is_not_shown() {
        let now = [
            fact("containers[web].env[LEVEL].value", "", "aa"),
            fact("containers[web].env[SAME].value", "", "cc"),
            fact("containers[web].env[OLD].value", "", ""),
            fact("containers[web].image", "web:2", ""),
            fact("containers[web].readinessProbe.periodSeconds", "5", ""),
            fact("dnsPolicy", "None", ""),
        ];
        let to = [
            fact("containers[web].env[LEVEL].value", "", "bb"),
            fact("containers[web].env[SAME].value", "", "cc"),
            fact("containers[web].env[OLD].value", "", ""),
            fact("containers[web].image", "web:1", ""),
            fact("containers[web].resources.limits.memory", "64Mi", ""),
            fact("dnsPolicy", "None", ""),
        ];
        assert_eq!(
            differences(&now, &to),
            [
                "template containers[web].env[LEVEL].value: differs (value not shown)",
                "template containers[web].env[OLD].value: not compared (value not shown)",
                "template containers[web].image: web:2 -> web:1",
                "template containers[web].readinessProbe.periodSeconds: removed, was 5",
                "template containers[web].resources.limits.memory: added, 64Mi",
            ]
        );
        assert!(differences(&now, &[])[0].contains("not known"));
    }

    #[test]
    fn what_is_only_referred_to_is_said_to_stay() {
        let to = [
            fact("containers[web].envFrom[0].configMapRef.name", "settings", ""),
            fact("volumes[keys].secret.secretName", "keys", ""),
            fact("volumes[more].configMap.name", "settings", ""),
            fact("containers[web].env[URL].valueFrom.secretKeyRef.key", "url", ""),
        ];
        let line = stays(&to).unwrap();
        assert!(line.contains("ConfigMap settings, Secret keys,"), "{line}");
        assert_eq!(stays(&[]), None);
    }

    #[test]
    fn what_a_template_calls_optional_is_not_needed() {
        let to = [
            fact("containers[web].envFrom[0].configMapRef.name", "settings", ""),
            fact("containers[web].envFrom[1].configMapRef.name", "more", ""),
            fact("containers[web].envFrom[1].configMapRef.optional", "true", ""),
            fact("volumes[keys].secret.secretName", "keys", ""),
        ];
        assert_eq!(needed_config_maps(&to).into_iter().collect::<Vec<_>>(), ["settings"]);
    }

    #[test]
    fn many_differences_are_counted() {
        let facts = |value: &str| -> Vec<TemplateFact> {
            (0..50).map(|n| fact(&format!("a{n:02}"), value, "")).collect()
        };
        let lines = differences(&facts("1"), &facts("2"));
        assert_eq!(
            (lines.len(), lines[40].as_str()),
            (41, "... and 10 more differences inside the pod template")
        );
    }
}
