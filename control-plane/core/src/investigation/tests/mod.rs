//! What is known around incidents of the simulated control plane, line by line.

mod bounds;
mod clusters;
mod hosts;
mod others;
mod volumes;
mod written;

use nimbus_protocol::to_micros;
use nimbus_protocol::v1::{job_report::Phase, observation::Body};

use super::*;
use crate::model::IncidentKind;
use crate::testing::lab::Lab;
use crate::testing::objects::*;

/// What is known around this incident, with all that the control plane has.
fn around(lab: &Lab, incident: &Incident) -> Investigation {
    let others: Vec<&Incident> = lab.incidents.values().map(|it| &it.doc).collect();
    let jobs: Vec<&Job> = lab.jobs.values().map(|it| &it.doc).collect();
    investigate(incident, &others, &jobs, &lab.snapshot())
}

fn of(lab: &Lab, kind: IncidentKind) -> Investigation {
    around(lab, lab.last(kind))
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// A pod that crash-loops after a ConfigMap was edited, and is replaced in vain.
fn crashed() -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(Body::ConfigMap(config_map("web-env", "kubectl-edit", to_micros(lab.now - hours(2)))));
    lab.see(Body::Pod(pod("web-1", "1", "node-b")));
    let mut looping = crashing(pod("web-1", "0", "node-a"), 4);
    looping.containers[0].last_finished_at_us = to_micros(lab.now);
    looping.facts.as_mut().unwrap().config_maps = vec!["web-env".into()];
    lab.see(Body::Pod(looping));
    for job in lab.settle() {
        lab.apply(&job);
        lab.report(&job, Phase::Failed, "", "the replacement crashes as well");
    }
    lab
}

/// The one line from this source that contains this, as when, of what, and its words.
fn line<'a>(all: &'a [Known], source: Source, part: &str) -> (Option<Timestamp>, &'a str, &'a str) {
    let mut found = all.iter().filter(|one| one.source == source && one.text.contains(part));
    let one = found.next().unwrap_or_else(|| panic!("no {source} {part:?}: {all:#?}"));
    assert!(found.next().is_none(), "more than one {source} {part:?}: {all:#?}");
    (one.at, one.of.as_str(), one.text.as_str())
}

fn has(all: &[Known], part: &str) -> bool {
    all.iter().any(|one| one.text.contains(part))
}

/// The one sentence about what is not known that contains this.
fn gap<'a>(found: &'a Investigation, part: &str) -> &'a str {
    let all: Vec<&String> = found.unknown.iter().filter(|why| why.contains(part)).collect();
    let [one] = all.as_slice() else { panic!("{part:?} is said {} times: {:#?}", all.len(), found.unknown) };
    one
}

fn says_nothing_of(found: &Investigation, part: &str) {
    assert!(!found.unknown.iter().any(|why| why.contains(part)), "{part:?}: {:#?}", found.unknown);
}
