//! Other incidents that may have to do with one.

use nimbus_protocol::ids::AgentId;

use super::*;
use crate::model::{IncidentState, ObjectRef, Versioned};
use crate::testing::lab::{agent, agent_id};

/// Another incident about a file, opened so long after `own`.
fn other(own: &Incident, number: u32, after: SignedDuration) -> Incident {
    Incident {
        id: format!("inc_{number:032x}").parse().unwrap(),
        title: format!("title {number}"),
        object: ObjectRef::File { path: format!("/x/{number}") },
        workload: None,
        symptoms: Vec::new(),
        created_at: own.created_at + after,
        resolved_at: None,
        ..own.clone()
    }
}

fn told(lab: &Lab, own: &Incident, others: &[Incident]) -> Investigation {
    investigate(own, &others.iter().collect::<Vec<_>>(), &[], &lab.snapshot())
}

#[test]
fn each_says_why_it_is_told_and_that_its_title_is_of_now() {
    let mut lab = crashed();
    let mut own = lab.last(IncidentKind::PodCrashLoop).clone();
    let symptom = ObjectRef::File { path: "/symptom".into() };
    own.symptoms = vec![symptom.clone()];
    let same = Incident {
        workload: own.workload.clone(),
        resolved_at: Some(own.created_at - hours(19)),
        state: IncidentState::Resolved,
        reason: "it was ready again".into(),
        ..other(&own, 1, -hours(20))
    };
    let same_object = Incident { object: own.object.clone(), ..other(&own, 2, -hours(3)) };
    let explains = Incident { symptoms: vec![own.object.clone()], ..other(&own, 3, -hours(2)) };
    let explained = Incident { object: symptom, ..other(&own, 4, -hours(1)) };
    let all = [
        same,
        same_object,
        explains,
        explained,
        other(&own, 5, NEAR),
        other(&own, 6, NEAR + SignedDuration::from_secs(1)),
        other(&own, 7, -hours(30)),
        Incident {
            workload: own.workload.clone(),
            resolved_at: Some(own.created_at - hours(25)),
            ..other(&own, 8, -hours(26))
        },
        own.clone(),
    ];
    lab.pass(3_600);
    let found = told(&lab, &own, &all);
    for (number, why) in [
        (1, "on the same workload"),
        (2, "on the same object"),
        (3, "among whose symptoms is the object of this one"),
        (4, "on a symptom of this one"),
        (5, "at about the same time"),
    ] {
        let (at, id, text) = line(&found.timeline, Source::OtherIncident, &format!("title {number}"));
        assert_eq!(text, format!("pod crash loop was opened, {why}; its title is now: title {number}"));
        assert_eq!((at, id), (Some(all[number - 1].created_at), all[number - 1].id.to_string().as_str()));
    }
    let (at, _, text) = line(&found.timeline, Source::OtherIncident, "was resolved");
    assert_eq!((at, text), (all[0].resolved_at, "pod crash loop was resolved: it was ready again"));
    assert_eq!(
        found.timeline.iter().filter(|one| one.source == Source::OtherIncident).count(),
        6,
        "{found:#?}"
    );
}

#[test]
fn of_an_incident_that_is_over_nothing_later_is_told() {
    let mut lab = crashed();
    let mut own = lab.last(IncidentKind::PodCrashLoop).clone();
    own.resolved_at = Some(own.created_at + SignedDuration::from_mins(5));
    let later = Incident { workload: own.workload.clone(), ..other(&own, 1, hours(1)) };
    lab.pass(7_200);
    let found = told(&lab, &own, &[later]);
    assert!(!has(&found.timeline, "title 1"), "{:#?}", found.timeline);
}

#[test]
fn the_hosts_of_a_cluster_are_places_of_it_and_other_hosts_are_not() {
    let mut lab = crashed();
    let own = lab.last(IncidentKind::PodCrashLoop).clone();
    let stranger: AgentId = format!("agt_{:032x}", 9).parse().unwrap();
    let mut unbound = agent(stranger);
    (unbound.cluster_uid, unbound.bound_cluster) = (None, None);
    lab.agents.insert(stranger.to_string(), Versioned { version: 1, doc: unbound });
    let of_node = Incident {
        scope: Scope::Host(agent_id()),
        cluster: "edge".into(),
        kind: IncidentKind::DiskNearFull,
        ..other(&own, 1, SignedDuration::ZERO)
    };
    let of_stranger = Incident { scope: Scope::Host(stranger), ..other(&own, 2, SignedDuration::ZERO) };
    let elsewhere =
        Incident { scope: Scope::Cluster("cluster-2".into()), ..other(&own, 3, SignedDuration::ZERO) };
    let found = told(&lab, &own, &[of_node.clone(), of_stranger, elsewhere]);
    line(
        &found.timeline,
        Source::OtherIncident,
        "disk near full on host edge was opened, at about the same time",
    );
    assert!(!has(&found.timeline, "title 2") && !has(&found.timeline, "title 3"), "{:#?}", found.timeline);
    let found = told(&lab, &of_node, &[own]);
    assert!(
        !found.timeline.iter().any(|one| one.source == Source::OtherIncident),
        "a host has no other place"
    );
}
