//! The last health sample of a host: its memory, its load, its last start, and its disks.

use std::cmp::Reverse;

use jiff::SignedDuration;

use crate::investigation::words::{fullness, percent};
use crate::investigation::{Known, Source};
use crate::world::{DiskSample, Filesystem, HostFacts, HostSample};

/// Most disks that are told, the fullest first.
const MOST_DISKS: usize = 10;

/// Nothing where there is no sample.
pub(super) fn of(facts: &HostFacts) -> Vec<Known> {
    let Some(sample) = &facts.sample else { return Vec::new() };
    let object = format!("host/{}", sample.hostname);
    let status = |text: String| Known::new(None, Source::Status, &object, text);
    let mut disks: Vec<&DiskSample> = sample.disks.iter().collect();
    disks.sort_by_key(|disk| order(disk));
    let more = disks.len().saturating_sub(MOST_DISKS);
    let mut all = vec![status(load(sample))];
    all.extend(disks.into_iter().take(MOST_DISKS).map(|disk| status(fill(facts, sample, disk))));
    if more > 0 {
        all.push(status(format!("and {more} more disks, which are not told one by one")));
    }
    let uptime = i64::try_from(sample.uptime_s).ok().filter(|seconds| *seconds > 0);
    let started = uptime.and_then(|uptime| sample.at.checked_sub(SignedDuration::from_secs(uptime)).ok());
    all.extend(started.map(|at| Known::new(at, Source::Status, &object, "the host was started")));
    all
}

/// The fullest first; but what has nothing left at all is last, the largest of it first: a file system that nobody writes to, such
/// as squashfs, is full by its nature.
fn order(disk: &DiskSample) -> (bool, Reverse<u64>, Reverse<u64>) {
    let used = filesystem(disk).used_permille().unwrap_or(0);
    (disk.available == 0, Reverse(used), Reverse(disk.total))
}

fn filesystem(disk: &DiskSample) -> Filesystem {
    Filesystem { capacity: Some(disk.total), available: Some(disk.available), ..Filesystem::default() }
}

fn load(sample: &HostSample) -> String {
    let memory = Filesystem {
        capacity: Some(sample.memory_total),
        available: Some(sample.memory_available),
        ..Filesystem::default()
    };
    let memory = memory.used_permille().map_or_else(|| "an unknown share".to_owned(), percent);
    let [one, five, fifteen] = sample.load_centi.map(|centi| format!("{}.{:02}", centi / 100, centi % 100));
    format!(
        "measured at {:.0}: {memory} of its memory in use, load {one}, {five}, {fifteen} on {} cores, {} processes",
        sample.at, sample.cores, sample.processes
    )
}

fn fill(facts: &HostFacts, sample: &HostSample, disk: &DiskSample) -> String {
    let used = fullness(&filesystem(disk)).unwrap_or_else(|| "how full is unknown".to_owned());
    let pace = facts.fill_pace(disk).map_or_else(String::new, |(over, left)| {
        format!("; full in {} min at the pace of the {} min before", left.as_mins(), over.as_mins())
    });
    format!("measured at {:.0}: the disk at {} ({}), {used}{pace}", sample.at, disk.mount, disk.filesystem)
}
