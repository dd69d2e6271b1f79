//! The bounds that are reached, and what is not shown because of them.
//!
//! Everything is bounded, and at a bound something is left out. What is left out is told where people look, so that a list
//! that ends at a round figure is not taken for the whole.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;

use super::incidents::{MAX_OPEN, MAX_OPEN_PER_SCOPE, due};
use crate::causes;
use crate::model::Scope;
use crate::snapshot::Snapshot;
use crate::world::{MAX_FILES, MAX_OBJECTS};

/// What a bound is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundKind {
    /// Incidents of one cluster or host, or of all.
    Incidents,
    /// Drifted files of one host.
    DriftedFiles,
    /// Objects of one kind in one cluster.
    Objects,
    /// Drifted files of one host whose names say that they are there for a moment only.
    PassingFiles,
}

impl BoundKind {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Incidents => "incidents",
            Self::DriftedFiles => "drifted_files",
            Self::Objects => "objects",
            Self::PassingFiles => "passing_files",
        }
    }
}

/// A bound that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundReached {
    /// What it is about.
    pub kind: BoundKind,
    /// Name of the cluster or host.
    pub place: String,
    /// The bound.
    pub bound: u64,
    /// How many are left out.
    pub left_out: u64,
    /// What that means, one sentence.
    pub text: String,
}

/// Every bound that is reached now.
pub fn bounds(s: &Snapshot<'_>, now: Timestamp) -> Vec<BoundReached> {
    let mut reached = incidents(s, now);
    for (agent, facts) in s.world.hosts.iter() {
        if facts.files_not_kept > 0 {
            reached.push(files(&s.name_of(&Scope::Host(*agent)), facts.files_not_kept));
        }
        reached.extend(passing(&s.name_of(&Scope::Host(*agent)), &causes::passing_files(facts, now)));
    }
    for (uid, inventory) in &s.world.clusters {
        let name = s.name_of(&Scope::Cluster(uid.clone()));
        let cut = ObjectKind::ALL.iter().map(|kind| (*kind, inventory.not_kept(*kind)));
        reached.extend(cut.filter(|(_, left_out)| *left_out > 0).map(|(kind, n)| objects(&name, kind, n)));
    }
    reached
}

/// Files that are no incident yet for the name they have. Most that are named.
const NAMED: usize = 3;

fn passing(place: &str, paths: &[&str]) -> Option<BoundReached> {
    let hours = u64::try_from(causes::PASSES.as_hours()).unwrap_or(0);
    let named = paths.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    let more = if paths.len() > NAMED { ", ..." } else { "" };
    let files = if paths.len() == 1 { "1 file" } else { &format!("{} files", paths.len()) };
    (!paths.is_empty()).then(|| BoundReached {
        kind: BoundKind::PassingFiles,
        place: place.to_owned(),
        bound: hours,
        left_out: paths.len() as u64,
        text: format!(
            "{files} of {place} differ and have names of editors' and package managers' own files ({named}{more}): an \
             incident only after {hours} h"
        ),
    })
}

/// What was found and is no incident, because there are as many as may be.
fn incidents(s: &Snapshot<'_>, now: Timestamp) -> Vec<BoundReached> {
    let open: BTreeSet<&str> =
        s.incidents.iter().filter(|i| i.doc.is_open()).map(|i| i.doc.key.as_str()).collect();
    let mut crowd: BTreeMap<&Scope, usize> = BTreeMap::new();
    for incident in s.incidents.iter().filter(|i| i.doc.is_open()) {
        *crowd.entry(&incident.doc.scope).or_default() += 1;
    }
    let mut left_out: BTreeMap<Scope, u64> = BTreeMap::new();
    for diagnosis in due(s, now).into_iter().filter(|diagnosis| !open.contains(diagnosis.key.as_str())) {
        let crowded = crowd.get(&diagnosis.scope).is_some_and(|here| *here >= MAX_OPEN_PER_SCOPE);
        if crowded || open.len() >= MAX_OPEN {
            *left_out.entry(diagnosis.scope).or_default() += 1;
        }
    }
    let reached = |(scope, left_out): (Scope, u64)| {
        let place = s.name_of(&scope);
        let everywhere = open.len() >= MAX_OPEN;
        let (bound, of) =
            if everywhere { (MAX_OPEN, "in all") } else { (MAX_OPEN_PER_SCOPE, "of one cluster or host") };
        let text = format!(
            "{place}: {bound} incidents are open, the most {of}; {left_out} more findings are in no list, and nothing is \
             planned for them until others end"
        );
        BoundReached { kind: BoundKind::Incidents, place, bound: bound as u64, left_out, text }
    };
    left_out.into_iter().map(reached).collect()
}

fn files(place: &str, left_out: u64) -> BoundReached {
    let text = format!(
        "{place}: {MAX_FILES} drifted files are kept, the most of one host; {left_out} more were reported since the last full \
         pass and are in no list"
    );
    BoundReached {
        kind: BoundKind::DriftedFiles,
        place: place.to_owned(),
        bound: MAX_FILES as u64,
        left_out,
        text,
    }
}

fn objects(place: &str, kind: ObjectKind, left_out: u64) -> BoundReached {
    let text = format!(
        "{place}: {MAX_OBJECTS} objects of kind {kind} are kept, the most of one cluster; {left_out} more are not, and what \
         depends on that kind is unknown"
    );
    BoundReached {
        kind: BoundKind::Objects,
        place: place.to_owned(),
        bound: MAX_OBJECTS as u64,
        left_out,
        text,
    }
}
