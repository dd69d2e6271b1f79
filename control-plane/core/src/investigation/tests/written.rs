//! What was written around an incident, what was seen of revisions, and what of both is not known.

use nimbus_protocol::v1;

use super::*;
use crate::model::{Holding, Revision, RevisionHistory, Trouble};

const CONTENT: &str = "a client that calls itself kubectl-edit, which owns a part of its content, last wrote the object then; pods of it \
                       refer to it";

/// The crash loop whose ConfigMap was written so long ago.
fn written(before: SignedDuration) -> Lab {
    let mut lab = crashed();
    lab.see(Body::ConfigMap(config_map("web-env", "kubectl-edit", to_micros(lab.now - before))));
    lab
}

fn writes(found: &Investigation) -> usize {
    found.timeline.iter().filter(|one| one.source == Source::ManagedFields).count()
}

#[test]
fn who_wrote_what_is_told_as_the_client_called_itself_and_for_a_day_before() {
    let lab = written(hours(23));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    let told = line(&found.timeline, Source::ManagedFields, "kubectl-edit");
    assert_eq!(told, (Some(lab.now - hours(23)), "shop/configmap/web-env", CONTENT));
    gap(&found, "the last write alone is kept: who wrote it before, and what was changed, is unknown");
    let found = of(&written(hours(25)), IncidentKind::PodCrashLoop);
    assert_eq!(writes(&found), 0, "{:#?}", found.timeline);
}

#[test]
fn what_was_written_after_the_end_or_by_a_clock_that_is_ahead_is_said_to_hide_who_wrote_before() {
    let lab = written(-hours(1));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    assert_eq!(writes(&found), 0, "{:#?}", found.timeline);
    gap(
        &found,
        "by its cluster's clock the content of shop/configmap/web-env was last written at 2027-01-15T09:00:00Z",
    );
    let mut lab = written(SignedDuration::ZERO);
    let mut over = lab.last(IncidentKind::PodCrashLoop).clone();
    lab.pass(3_600);
    over.resolved_at = Some(lab.now - SignedDuration::from_mins(50));
    lab.see(Body::ConfigMap(config_map("web-env", "kubectl-edit", to_micros(lab.now))));
    let found = around(&lab, &over);
    assert_eq!(writes(&found), 0, "{:#?}", found.timeline);
    gap(&found, "shop/configmap/web-env was written again after the incident, at 2027-01-15T09:00:00Z");
}

#[test]
fn what_pods_refer_to_and_is_not_there_not_listed_or_without_a_recorded_write_is_said() {
    let mut lab = crashed();
    lab.see(Body::ConfigMap(config_map("web-env", "", 0)));
    gap(
        &of(&lab, IncidentKind::PodCrashLoop),
        "when the content of shop/configmap/web-env was last written is unknown: it is not recorded",
    );
    lab.see(gone("ConfigMap", "ConfigMap-web-env"));
    gap(
        &of(&lab, IncidentKind::PodCrashLoop),
        "ConfigMap shop/web-env, to which its pods refer, is not there",
    );
    lab.see(begin("ConfigMap", 1));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    gap(
        &found,
        "whether ConfigMap shop/web-env, to which its pods refer, was written is unknown: not every ConfigMap is listed",
    );
    says_nothing_of(&found, "is not there");
}

#[test]
fn a_secret_is_told_like_a_config_map_and_references_that_are_not_all_told_are_said() {
    let mut lab = crashed();
    lab.see(Body::Secret(secret("web-key", "eso", to_micros(lab.now - hours(1)))));
    let mut refers = pod("web-1", "1", "node-b");
    let facts = refers.facts.as_mut().unwrap();
    (facts.secrets, facts.references_complete) = (vec!["web-key".into()], false);
    lab.see(Body::Pod(refers));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    let (at, what, _) = line(&found.timeline, Source::ManagedFields, "a client that calls itself eso");
    assert_eq!((at, what), (Some(lab.now - hours(1)), "shop/secret/web-key"));
    gap(&found, "not all ConfigMaps and Secrets that its pods refer to are told");
}

#[test]
fn of_a_pod_template_it_is_said_who_owns_a_part_of_it_and_wrote_the_object_last() {
    let mut lab = crashed();
    gap(
        &of(&lab, IncidentKind::PodCrashLoop),
        "when the pod template of shop/deployment/web was last written is unknown: it is not recorded",
    );
    let at = lab.now - hours(3);
    let told = v1::Deployment { template_written_at_us: to_micros(at), ..deployment("web", 2, 1) };
    lab.see(Body::Deployment(told.clone()));
    let found = of(&lab, IncidentKind::PodCrashLoop);
    let told_line = line(&found.timeline, Source::ManagedFields, "pod template");
    let text = "a client that calls itself kubectl-client-side-apply, which owns a part of its pod template, last wrote the object then \
                (its revision is 1 now)";
    assert_eq!(told_line, (Some(at), "shop/deployment/web", text));
    lab.see(Body::Deployment(v1::Deployment { template_writer: String::new(), ..told }));
    gap(
        &of(&lab, IncidentKind::PodCrashLoop),
        "who wrote the pod template of shop/deployment/web is unknown: nobody is recorded",
    );
}

fn revision(
    number: u64,
    came_out_at: Option<Timestamp>,
    longest_ms: u64,
    trouble: Option<Trouble>,
) -> Revision {
    Revision {
        revision: number,
        template_hash: format!("{number:02x}"),
        came_out_at,
        tried: true,
        held_ms: 0,
        longest_ms,
        trouble,
        late_at: None,
    }
}

#[test]
fn the_words_of_a_trouble_are_told_when_they_were_so_and_not_at_its_first_time() {
    let mut lab = crashed();
    let now = lab.now;
    let trouble =
        Trouble { first_at: now - hours(5), at: now - hours(1), what: "its pod web-4-x crash-looped".into() };
    let mut history = RevisionHistory::new(CLUSTER, "dep-web", now);
    history.revisions = vec![
        revision(2, Some(now - hours(30)), 0, None),
        revision(3, Some(now - hours(9)), 7_200_000, None),
        revision(4, Some(now - hours(6)), 90_000, Some(trouble)),
    ];
    history.holding =
        Some(Holding { template_hash: "04".into(), since: now - SignedDuration::from_mins(5), available: 2 });
    lab.world.clusters.get_mut(CLUSTER).unwrap().histories.insert("dep-web".into(), history);
    let found = of(&lab, IncidentKind::PodCrashLoop);
    let told: Vec<(SignedDuration, &str)> = found
        .timeline
        .iter()
        .filter(|one| one.source == Source::Revisions)
        .map(|one| (now.duration_since(one.at.unwrap()), one.text.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (hours(9), "revision 3 came out"),
            (hours(6), "revision 4 came out"),
            (hours(5), "revision 4 was in trouble for the first time"),
            (hours(1), "revision 4 was in trouble: its pod web-4-x crash-looped"),
            (SignedDuration::from_mins(5), "all pods of the present revision are available since then (2)"),
        ],
        "what is of more than a day before is not told"
    );
    let (_, what, text) = line(&found.now, Source::Revisions, "the longest");
    assert_eq!(what, "shop/deployment/web");
    assert!(text.ends_with("revision 2 never, revision 3 for 2 h, revision 4 for 90 s"), "{text}");
}
