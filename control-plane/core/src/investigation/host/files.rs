//! The watched files of a host that differ from their baseline: the incident's own, and the others that began to differ or changed
//! near to it, as what is wrong with a unit is often in a file.

use jiff::SignedDuration;

use crate::investigation::words::{after_colon, some, times};
use crate::investigation::{Investigation, Known, Source, Window};
use crate::model::{FileFacts, ObjectRef};
use crate::world::{FileDrift, HostFacts, RestoreOutlook};

/// Most other files that are told, those that changed nearest to the incident's begin.
const MOST: usize = 20;
/// Most of what a restore would lose that is told.
const MOST_LOSSES: usize = 8;

fn object(drift: &FileDrift) -> ObjectRef {
    ObjectRef::File { path: drift.path.clone() }
}

/// The file that the incident is about.
pub(super) fn own(path: &str, facts: &HostFacts, found: &mut Investigation) -> Vec<Known> {
    let Some(drift) = facts.drift_of(path) else {
        let of = ObjectRef::File { path: path.to_owned() };
        if facts.agrees(path) {
            return vec![Known::new(None, Source::Status, &of, "it is as its baseline says")];
        }
        found.unknown.push(format!("how {path} is, is unknown: its agent does not tell of it (any more)"));
        return Vec::new();
    };
    let of = object(drift);
    let status = |text: String| Known::new(None, Source::Status, &of, text);
    let mut all =
        vec![status(format!("it differs from its baseline since {:.0}: {}", drift.since, what(drift)))];
    let heard = facts.sample.as_ref().map(|sample| sample.at);
    let lives = drift.lives(heard).map(|count| u64::try_from(count).unwrap_or(u64::MAX));
    all.extend(lives.map(|count| status(format!("it is written all the time, of late {}", times(count)))));
    let beside = facts.belonging_to(path).filter(|other| other.path != drift.path).count();
    all.extend((beside > 0).then(|| status(format!("{beside} more files that differ belong to it"))));
    all.extend((!drift.problem.is_empty()).then(|| status(format!("reading it failed: {}", drift.problem))));
    match &drift.restore {
        Some(restore) => all.push(status(outlook(restore))),
        None => found
            .unknown
            .push(format!("whether {path} could be put back is unknown: its agent does not tell")),
    }
    all.extend(moments(drift));
    all
}

/// The others, of which one is told where it began to differ or changed within the window.
pub(super) fn others(
    own: Option<&str>,
    facts: &HostFacts,
    window: Window,
    found: &mut Investigation,
) -> Vec<Known> {
    if facts.files_not_kept > 0 {
        found.unknown.push(format!(
            "{} more files of this host differ from their baseline and are not kept: which, and since when, is unknown",
            facts.files_not_kept
        ));
    }
    let own = own.and_then(|path| facts.drift_of(path)).map(|drift| drift.path.as_str());
    let all = facts.files.values().filter(|drift| own != Some(drift.path.as_str()));
    let mut near: Vec<(SignedDuration, &FileDrift)> =
        all.filter_map(|drift| Some((nearest(drift, window)?, drift))).collect();
    near.sort_by_key(|(distance, drift)| (*distance, drift.path.as_str()));
    found.leave_out(near.len().saturating_sub(MOST), "files of this host that differ from their baseline");
    near.into_iter().take(MOST).flat_map(|(_, drift)| moments(drift)).collect()
}

/// How far from the incident's begin it began to differ or changed; `None` where that is not within the window.
fn nearest(drift: &FileDrift, window: Window) -> Option<SignedDuration> {
    let moments = drift.changes.iter().copied().chain([drift.since]);
    moments.filter(|at| window.has(*at)).map(|at| window.distance(at)).min()
}

/// When it began to differ, and when it became another difference.
fn moments(drift: &FileDrift) -> Vec<Known> {
    let of = object(drift);
    let began = format!("it was first seen to differ from its baseline ({} now)", what(drift));
    let changes = drift.changes.iter();
    let changes =
        changes.map(|at| Known::new(*at, Source::Status, &of, "it changed again, and differs still"));
    std::iter::once(Known::new(drift.since, Source::Status, &of, began)).chain(changes).collect()
}

/// What differs.
fn what(drift: &FileDrift) -> String {
    let (before, now) = (&drift.baseline, &drift.current);
    if before.kind != now.kind {
        return format!("it was {}, and is {}", kind(before), kind(now));
    }
    let mut all = Vec::new();
    if before.sha256 != now.sha256 {
        let moved = drift.lines.and_then(|lines| lines.moved);
        let lines = moved.map(|(added, removed)| format!(" ({added} lines added, {removed} removed)"));
        all.push(format!("content{}", lines.unwrap_or_default()));
    }
    if before.mode != now.mode {
        all.push(format!("mode {:04o} instead of {:04o}", now.mode, before.mode));
    }
    if (before.uid, before.gid) != (now.uid, now.gid) {
        all.push(format!("owner {}:{} instead of {}:{}", now.uid, now.gid, before.uid, before.gid));
    }
    if before.attributes_sha256 != now.attributes_sha256 {
        all.push("attributes".to_owned());
    }
    if all.is_empty() { "in what is not told".to_owned() } else { all.join(", ") }
}

fn kind(facts: &FileFacts) -> &str {
    if facts.kind.is_empty() { "of a kind that is not told" } else { &facts.kind }
}

/// Whether it could be put back.
fn outlook(restore: &RestoreOutlook) -> String {
    if !restore.obstacle.is_empty() {
        return format!("its agent cannot put it back{}", after_colon(&restore.reason));
    }
    let loses = if restore.loses.is_empty() {
        String::new()
    } else {
        format!("; lost with that: {}", some(&restore.loses, MOST_LOSSES))
    };
    format!("its agent can put it back{loses}")
}
