//! What is known around incidents of the simulated control plane.

use jiff::SignedDuration;
use nimbus_protocol::v1::{self, job_report::Phase, observation::Body};

use super::*;
use crate::model::{IncidentKind, ObjectRef};
use crate::testing::lab::Lab;
use crate::testing::objects::*;

fn of(lab: &Lab, kind: IncidentKind) -> Investigation {
    let incident = lab.last(kind).clone();
    let others: Vec<Incident> = lab.incidents.values().map(|it| it.doc.clone()).collect();
    let jobs: Vec<Job> = lab.jobs.values().map(|it| it.doc.clone()).collect();
    investigate(&incident, &others, &jobs, &lab.snapshot())
}

/// A pod that crash-loops after a ConfigMap was edited, and is replaced in vain.
fn crashed() -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    let edited = nimbus_protocol::to_micros(lab.now - SignedDuration::from_hours(2));
    lab.see(Body::ConfigMap(config_map("web-env", "kubectl-edit", edited)));
    lab.see(Body::Pod(pod("web-1", "1", "node-b")));
    let mut looping = crashing(pod("web-1", "0", "node-a"), 4);
    looping.containers[0].last_finished_at_us = nimbus_protocol::to_micros(lab.now);
    let mut facts = looping.facts.take().unwrap_or_default();
    facts.config_maps = vec!["web-env".into()];
    looping.facts = Some(facts);
    lab.see(Body::Pod(looping));
    for job in lab.settle() {
        lab.apply(&job);
        lab.report(&job, Phase::Failed, "", "the replacement crashes as well");
    }
    lab
}

fn has(all: &[Known], source: Source, part: &str) -> bool {
    all.iter().any(|one| one.source == source && one.text.contains(part))
}

#[test]
fn what_was_written_what_was_tried_and_how_it_is_now_is_told_with_its_source() {
    let lab = crashed();
    let found = of(&lab, IncidentKind::PodCrashLoop);
    for (source, part) in [
        (Source::ManagedFields, "last written by kubectl-edit"),
        (Source::Job, "was signed for agent"),
        (Source::Job, "took effect"),
        (Source::Job, "ended as"),
        (Source::Incident, ""),
        (Source::Status, "ended: "),
    ] {
        assert!(has(&found.timeline, source, part), "{source} {part}: {:#?}", found.timeline);
    }
    for part in ["2 pods wanted", "not ready, on node-a", "Ready is True", "started again 4 times"] {
        assert!(has(&found.now, Source::Status, part), "{part}: {:#?}", found.now);
    }
    assert!(
        found.timeline.is_sorted_by_key(|one| one.at) && found.timeline.iter().all(|one| one.at.is_some())
    );
    assert!(found.now.iter().all(|one| one.at.is_none()));
    assert!(found.unknown.iter().any(|why| why.contains("logs of containers are not collected")));
    assert_eq!(of(&lab, IncidentKind::PodCrashLoop), found, "the same input gives the same answer");
}

#[test]
fn another_incident_of_the_same_time_is_told_and_an_old_one_of_another_object_is_not() {
    let lab = crashed();
    let own = lab.last(IncidentKind::PodCrashLoop).clone();
    let mut near = own.clone();
    (near.id, near.title) = (format!("inc_{:032x}", 77).parse().unwrap(), "another at once".to_owned());
    near.workload = None;
    near.object = ObjectRef::File { path: "/x".into() };
    let mut old = near.clone();
    (old.id, old.title) = (format!("inc_{:032x}", 78).parse().unwrap(), "long ago".to_owned());
    old.created_at = own.created_at - SignedDuration::from_hours(30);
    let mut same = own.clone();
    (same.id, same.title) = (format!("inc_{:032x}", 79).parse().unwrap(), "the same yesterday".to_owned());
    same.created_at = own.created_at - SignedDuration::from_hours(20);
    same.resolved_at = Some(own.created_at - SignedDuration::from_hours(19));
    let found = investigate(&own, &[near, old, same, own.clone()], &[], &lab.snapshot());
    assert!(has(&found.timeline, Source::OtherIncident, "another at once"));
    assert!(has(&found.timeline, Source::OtherIncident, "resolved, the same yesterday"));
    assert!(!has(&found.timeline, Source::OtherIncident, "long ago"));
}

#[test]
fn the_newest_lines_are_kept_and_the_rest_is_counted() {
    let lab = crashed();
    let mut own = lab.last(IncidentKind::PodCrashLoop).clone();
    let line = |n: i64| crate::model::HistoryEntry {
        at: own.created_at + SignedDuration::from_secs(n),
        text: format!("line {n}"),
    };
    own.history = (0..300).map(line).collect();
    let found = investigate(&own, &[], &[], &lab.snapshot());
    assert_eq!(found.timeline.len(), MOST_LINES);
    assert!(found.left_out >= 100 && has(&found.timeline, Source::Incident, "line 299"));
    assert!(!found.timeline.iter().any(|one| one.text == "line 0"));
}

#[test]
fn of_a_host_and_of_a_cluster_that_nobody_watches_it_is_said_what_is_not_known() {
    let mut lab = crashed();
    lab.connected = crate::connected_agents::ConnectedAgents::default();
    let found = of(&lab, IncidentKind::PodCrashLoop);
    assert!(found.unknown.iter().any(|why| why.contains("as it was seen last")), "{:?}", found.unknown);
    let mut host = Lab::new();
    let drift = file("/srv/app.conf", file_state("file", 0o640, 1), file_state("file", 0o666, 2));
    host.see_host(Body::File(v1::File { diff: "-a".into(), ..drift }));
    host.settle();
    let found = of(&host, IncidentKind::FileDrift);
    assert!(found.now.is_empty() && found.unknown.iter().any(|why| why.contains("of a host")), "{found:?}");
}
