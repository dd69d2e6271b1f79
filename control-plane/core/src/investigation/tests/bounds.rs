//! What is left out where there is too much, and that it is said.

use super::*;
use crate::model::{HistoryEntry, MAX_HISTORY, ObjectRef};

#[test]
fn a_storm_of_others_hides_neither_the_story_nor_the_same_workload() {
    let mut lab = crashed();
    let own = lab.last(IncidentKind::PodCrashLoop).clone();
    lab.pass(3_600);
    let near = |n: u32| Incident {
        id: format!("inc_{n:032x}").parse().unwrap(),
        title: format!("storm {n}"),
        object: ObjectRef::File { path: format!("/x/{n}") },
        workload: None,
        symptoms: Vec::new(),
        created_at: own.created_at + SignedDuration::from_secs(n.into()),
        ..own.clone()
    };
    let mut others: Vec<Incident> = (1..=400).map(near).collect();
    others.push(Incident {
        title: "the same yesterday".into(),
        workload: own.workload.clone(),
        created_at: own.created_at - hours(20),
        ..near(401)
    });
    let found = investigate(&own, &others.iter().collect::<Vec<_>>(), &[], &lab.snapshot());
    let stories = found.timeline.iter().filter(|one| one.source == Source::Incident).count();
    assert_eq!(stories, own.history.len(), "its own story is whole");
    line(&found.timeline, Source::OtherIncident, "the same yesterday");
    let is_storm = |one: &&Known| one.source == Source::OtherIncident && one.text.contains("now: storm");
    let storm = found.timeline.iter().filter(is_storm).count();
    assert_eq!((storm, found.left_out), (19, 381));
    assert!(found.timeline.iter().any(|one| one.text.ends_with("storm 19")), "the nearest are kept");
    gap(&found, "381 more incidents on the same workload or object, or of about the same time, are left out");
}

#[test]
fn writes_are_bounded_by_themselves_and_what_is_not_known_as_well() {
    let mut lab = crashed();
    let names: Vec<String> = (0..30).map(|n| format!("m-{n:02}")).collect();
    for (n, name) in (0..).zip(&names) {
        let at = lab.now - SignedDuration::from_mins(n);
        lab.see(Body::ConfigMap(config_map(name, "ci", to_micros(at))));
    }
    let mut refers = pod("web-1", "1", "node-b");
    let facts = refers.facts.as_mut().unwrap();
    facts.config_maps.clone_from(&names);
    facts.secrets.clone_from(&names);
    lab.see(Body::Pod(refers));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    let writes: Vec<&str> = found
        .timeline
        .iter()
        .filter(|one| one.source == Source::ManagedFields)
        .map(|one| one.of.as_str())
        .collect();
    assert_eq!(writes.len(), 20);
    assert!(
        writes.contains(&"shop/configmap/m-00") && !writes.contains(&"shop/configmap/m-20"),
        "{writes:?}"
    );
    gap(&found, "11 more writes of what its pods refer to are left out");
    let absent = found.unknown.iter().filter(|why| why.contains("is not there")).count();
    assert_eq!(absent, 20, "{:#?}", found.unknown);
    gap(&found, "10 more of the same sort");
}

#[test]
fn of_many_pods_those_that_are_not_well_are_told_and_the_rest_is_counted_last() {
    let mut lab = crashed();
    let own = lab.last(IncidentKind::PodCrashLoop).clone();
    for n in 10..70 {
        let mut sick = crashing(pod("web-1", &n.to_string(), "node-b"), 2);
        let one = sick.containers[0].clone();
        sick.containers = vec![one; 9];
        lab.see(Body::Pod(sick));
    }
    let found = around(&lab, &own);
    assert!(found.now.len() <= MOST_FACTS, "{}", found.now.len());
    let pods: Vec<&str> =
        found.now.iter().filter(|one| one.text.starts_with("Running")).map(|one| one.of.as_str()).collect();
    assert_eq!(pods.first(), Some(&"shop/pod/web-1-0"), "its own one first: {pods:?}");
    assert!(!pods.contains(&"shop/pod/web-1-1"), "the one that is well has no room: {pods:?}");
    let last = &found.now.last().unwrap().text;
    assert_eq!(*last, format!("and {} more pods, which are not told one by one", 62 - pods.len()));
    let more = found.now.iter().filter(|one| one.text.starts_with("and 5 more containers")).count();
    assert_eq!(more, pods.len() - 1, "nine containers each, and four of them are told");
}

#[test]
fn what_was_dropped_before_is_said() {
    let mut lab = crashed();
    let mut own = lab.last(IncidentKind::PodCrashLoop).clone();
    says_nothing_of(&around(&lab, &own), "lines of its story");
    let at = own.created_at;
    own.history = (0..MAX_HISTORY).map(|n| HistoryEntry { at, text: format!("line {n}") }).collect();
    gap(&around(&lab, &own), "keeps 100 lines of its story, and this one has as many");
    says_nothing_of(&around(&lab, &own), "of jobs of other incidents");
    lab.now += hours(24 * 7);
    gap(&around(&lab, &own), "of jobs of other incidents those that ended before 2027-01-15T08:00:00Z");
}
