//! One host as its agent reports it: the last health sample, and the watched files that differ from their baseline.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::kind::FILES;
use nimbus_protocol::{from_micros, v1};
use serde::{Deserialize, Serialize};

use super::certificate_files::{self, HostCertificates};
use super::disk_trend::DiskTrend;
use super::listing::Listing;
use super::units::{self, HostUnits};
use crate::living::{self, About, Nature};
use crate::model::{Attribute, FileFacts};

/// Most drifted files kept for one agent; further ones are counted in [`HostFacts::files_not_kept`].
pub const MAX_FILES: usize = 10_000;

/// A watched file that is not what was accepted as true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDrift {
    /// The watched root it is under.
    pub root: String,
    /// Absolute path.
    pub path: String,
    /// What was accepted as true.
    pub baseline: FileFacts,
    /// What is there now.
    pub current: FileFacts,
    /// Bytes then and now.
    pub sizes: (u64, u64),
    /// Unified diff from baseline to current; empty when withheld.
    pub diff: String,
    /// Why there is no diff: `policy`, `binary`, `secret`, `too large`, `attributes only`; empty when there is one.
    pub diff_withheld: String,
    /// How many lines differ; `None` where an older agent says nothing of it, and where a side is no text.
    #[serde(default)]
    pub lines: Option<Lines>,
    /// What went wrong reading it; empty when nothing did.
    pub problem: String,
    /// When the agent first saw this difference.
    pub since: Timestamp,
    /// When it last said something else of it: another state, or another answer whether it could be put back.
    #[serde(default)]
    pub said_at: Timestamp,
    /// What each side has beside content, mode and owner, as far as it is known of both.
    #[serde(default)]
    pub attributes: (Vec<Attribute>, Vec<Attribute>),
    /// Whether the agent could put it back; `None` where it does not say.
    #[serde(default)]
    pub restore: Option<RestoreOutlook>,
    /// Lines that a restore would lose; 0 also where that is not known.
    #[serde(default)]
    pub lines_lost: u64,
    /// When it was seen to become another difference, oldest first; at most [`MAX_CHANGES`], the newest.
    #[serde(default)]
    pub changes: Vec<Timestamp>,
}

/// Most changes of one drifted file that are remembered.
const MAX_CHANGES: usize = 8;
/// A file that changed so often within [`LIVES_WITHIN`] is written all the time.
const LIVES: usize = 3;
/// See [`LIVES`]; after as long without a change it is at rest again.
const LIVES_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Whether a drifted file could be put back, as its agent sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RestoreOutlook {
    /// What stands in the way, in one word; empty: nothing does.
    pub obstacle: String,
    /// The same as a sentence.
    pub reason: String,
    /// How it would be done: `replace`, `in_place`, `attributes`, `remove`.
    pub way: String,
    /// What it would lose or leave as it is, one each.
    pub loses: Vec<String>,
}

impl RestoreOutlook {
    /// Is it the same answer, whatever the figures in its words?
    fn says_the_same(&self, other: &Self) -> bool {
        (&self.obstacle, &self.way, &self.loses) == (&other.obstacle, &other.way, &other.loses)
    }
}

/// Numbers of lines, which are said also where no content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// Of the baseline.
    pub before: u64,
    /// Of what is there now.
    pub after: u64,
    /// How many were added and removed; `None` where the sides are too long to be compared.
    pub moved: Option<(u64, u64)>,
}

/// What a host's agent last said.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostFacts {
    /// The last health sample.
    pub sample: Option<HostSample>,
    /// Drifted files by path.
    pub files: BTreeMap<String, FileDrift>,
    /// By path, when a file was last seen to be what was accepted: the evidence that a drift is over. At most
    /// [`MAX_FILES`]; beyond that the oldest is forgotten.
    pub matched: BTreeMap<String, Timestamp>,
    /// Drifted files that were not kept since the last full pass, because there are more than [`MAX_FILES`].
    pub files_not_kept: u64,
    /// Where the pass over the watched files stands, if the agent brackets it with marks of kind `File`.
    pub pass: Listing,
    /// Its units, if its agent asks a systemd.
    #[serde(default)]
    pub units: Option<HostUnits>,
    /// Its certificate files, if its agent watches some.
    #[serde(default)]
    pub certificates: Option<HostCertificates>,
    /// How fast its disks fill.
    #[serde(default)]
    pub(super) disk_trend: DiskTrend,
    /// When the newest observation reached the control plane.
    pub heard_at: Option<Timestamp>,
}

/// A host's health at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSample {
    /// When the agent took it.
    pub at: Timestamp,
    /// Host name.
    pub hostname: String,
    /// Operating system.
    pub os: String,
    /// Kernel.
    pub kernel: String,
    /// Cores.
    pub cores: u32,
    /// Hundredths of a percent of all cores.
    pub cpu_centipercent: u32,
    /// Memory, bytes.
    pub memory_total: u64,
    /// Memory that can still be had, bytes.
    pub memory_available: u64,
    /// Swap, bytes.
    pub swap_total: u64,
    /// Swap in use, bytes.
    pub swap_used: u64,
    /// Load averages over 1, 5 and 15 minutes, times 100.
    pub load_centi: [u32; 3],
    /// Processes.
    pub processes: u32,
    /// Disks.
    pub disks: Vec<DiskSample>,
    /// Seconds since it started.
    pub uptime_s: u64,
}

/// A disk at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSample {
    /// Where it is mounted.
    pub mount: String,
    /// File system.
    pub filesystem: String,
    /// Bytes.
    pub total: u64,
    /// Bytes that can still be had.
    pub available: u64,
}

impl HostFacts {
    /// Over how long a disk of the last sample was seen to fill, and in how long it is full at that pace.
    pub fn fill_pace(&self, disk: &DiskSample) -> Option<(SignedDuration, SignedDuration)> {
        self.disk_trend.pace(&disk.mount, disk.available, self.sample.as_ref()?.at)
    }

    /// Takes one observation; true when the picture changed.
    pub(super) fn apply(&mut self, observed_at: Timestamp, body: &v1::observation::Body) -> bool {
        use v1::observation::Body;
        match body {
            Body::Host(host) => {
                let sample = sample(observed_at, host);
                let disks: Vec<(&str, u64)> =
                    sample.disks.iter().map(|disk| (disk.mount.as_str(), disk.available)).collect();
                self.disk_trend.take(observed_at, &disks);
                self.sample = Some(sample);
                true
            }
            Body::File(file) => self.file(observed_at, file),
            // By the control plane's clock: of a host whose clock is behind, nothing is taken for older than it is.
            Body::Units(told) => {
                units::take(&mut self.units, told, self.heard_at.unwrap_or(observed_at));
                // That it was told once more is news, too: what lasted may be over.
                true
            }
            Body::CertificateFiles(told) => {
                let heard_at = self.heard_at.unwrap_or(observed_at);
                certificate_files::take(&mut self.certificates, told, heard_at);
                true
            }
            Body::Sync(mark) if mark.kind == FILES => self.mark(mark.phase()),
            // What is not of a host: an object that an agent reports without naming its cluster is not kept.
            Body::Sync(_)
            | Body::Gone(_)
            | Body::AgentStatus(_)
            | Body::NodeMeasured(_)
            | Body::WorkloadLoad(_)
            | Body::Pod(_)
            | Body::ReplicaSet(_)
            | Body::Deployment(_)
            | Body::Node(_)
            | Body::StatefulSet(_)
            | Body::DaemonSet(_)
            | Body::BatchJob(_)
            | Body::PodEvent(_)
            | Body::ConfigMap(_)
            | Body::Secret(_)
            | Body::PersistentVolumeClaim(_)
            | Body::PersistentVolume(_)
            | Body::PodDisruptionBudget(_)
            | Body::StorageClass(_)
            | Body::HorizontalPodAutoscaler(_)
            | Body::Certificate(_)
            | Body::Issuer(_)
            | Body::ClusterIssuer(_)
            | Body::TlsSecret(_) => false,
        }
    }

    fn file(&mut self, observed_at: Timestamp, file: &v1::File) -> bool {
        self.pass.see(&file.path);
        // What is not said is not known: two sides that are both left out agree on nothing.
        let (Some(baseline_state), Some(current_state)) = (&file.baseline, &file.current) else {
            return false;
        };
        let (baseline, current) = (facts(baseline_state), facts(current_state));
        if baseline == current {
            if !file.first_pass {
                self.record_match(observed_at, &file.path);
            }
            return self.files.remove(&file.path).is_some();
        }
        self.matched.remove(&file.path);
        let old = self.files.get(&file.path);
        if old.is_none() && self.files.len() >= MAX_FILES {
            self.files_not_kept += 1;
            return true;
        }
        // What cannot be read of a file is not known to be gone from it.
        let unread = current_state.attributes.is_none() && current_state.kind == baseline_state.kind;
        let attributes = if unread {
            (Vec::new(), Vec::new())
        } else {
            (attributes(baseline_state), attributes(current_state))
        };
        let mut drift = FileDrift {
            root: file.root.clone(),
            path: file.path.clone(),
            sizes: (baseline_state.size, current_state.size),
            diff: file.diff.clone(),
            diff_withheld: file.diff_withheld.clone(),
            lines: file.lines.as_ref().map(lines),
            problem: current_state.problem.clone(),
            since: old.map_or(observed_at, |old| old.since),
            said_at: observed_at,
            attributes,
            restore: file.restore.as_ref().map(outlook),
            lines_lost: file.lines_lost,
            changes: old.map(|old| old.changes.clone()).unwrap_or_default(),
            baseline,
            current,
        };
        if let Some(old) = old.filter(|old| old.says_the_same(&drift)) {
            drift.said_at = old.said_at;
        }
        if old.is_some_and(|old| old.current != drift.current) {
            drift.changes.push(observed_at);
            drift.changes.drain(..drift.changes.len().saturating_sub(MAX_CHANGES));
        }
        if old == Some(&drift) {
            return false;
        }
        self.files.insert(file.path.clone(), drift);
        true
    }

    fn record_match(&mut self, observed_at: Timestamp, path: &str) {
        self.matched.insert(path.to_owned(), observed_at);
        if self.matched.len() > MAX_FILES {
            let oldest = self.matched.iter().min_by_key(|(_, at)| **at).map(|(path, _)| path.clone());
            oldest.and_then(|path| self.matched.remove(&path));
        }
    }

    /// The drift that is told of `subject`: its own, or that of something that belongs to it.
    pub fn drift_of(&self, subject: &str) -> Option<&FileDrift> {
        self.files.get(subject).or_else(|| self.belonging_to(subject).next())
    }

    /// What drifts and belongs to `subject`, beside itself.
    pub fn belonging_to<'a>(&'a self, subject: &str) -> impl Iterator<Item = &'a FileDrift> {
        below(&self.files, subject).map(|(_, drift)| drift).filter(move |drift| drift.subject() == subject)
    }

    /// Is there evidence that a file, and what belongs to it, is what was accepted? That nothing was heard of it is none.
    pub fn agrees(&self, path: &str) -> bool {
        let belongs = |other: &String| living::subject(other, About::default()) == path;
        let matched =
            || self.matched.contains_key(path) || below(&self.matched, path).any(|(other, _)| belongs(other));
        self.drift_of(path).is_none() && (self.pass.complete || matched())
    }

    fn mark(&mut self, phase: v1::sync_mark::Phase) -> bool {
        match phase {
            v1::sync_mark::Phase::Begin => {
                self.pass.begin();
                self.files_not_kept = 0;
                true
            }
            v1::sync_mark::Phase::End => {
                let Some(seen) = self.pass.end() else { return false };
                self.files.retain(|path, _| seen.contains(path));
                true
            }
            v1::sync_mark::Phase::Unspecified => false,
        }
    }
}

impl FileDrift {
    /// What it is by its name, and by what is there and was there.
    pub fn nature(&self) -> Nature {
        living::nature(&self.path, self.about())
    }

    /// The path that it is told of, by its name and by what is there and was there.
    pub fn subject(&self) -> Cow<'_, str> {
        living::subject(&self.path, self.about())
    }

    fn about(&self) -> About {
        let runs = |side: &FileFacts| side.kind == "file" && side.mode & 0o111 != 0;
        About {
            added: self.baseline.kind == "absent",
            executable: runs(&self.baseline) || runs(&self.current),
        }
    }

    /// How often it changed of late, if it is written all the time; `heard` is when its host was last heard of, by that
    /// host's own clock.
    pub fn lives(&self, heard: Option<Timestamp>) -> Option<usize> {
        let now = self.changes.last().copied().max(heard)?;
        let late = self.changes.iter().filter(|at| now.duration_since(**at) < LIVES_WITHIN).count();
        (late >= LIVES).then_some(late)
    }

    /// Is it the same difference, with the same answer whether it could be put back?
    fn says_the_same(&self, other: &Self) -> bool {
        let outlook = match (&self.restore, &other.restore) {
            (Some(one), Some(other)) => one.says_the_same(other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        outlook && (&self.baseline, &self.current) == (&other.baseline, &other.current)
    }
}

fn attributes(state: &v1::FileState) -> Vec<Attribute> {
    let all = state.attributes.iter().flat_map(|attributes| &attributes.all);
    all.map(|one| Attribute { name: one.name.clone(), shown: one.shown.clone() }).collect()
}

fn outlook(said: &v1::RestoreOutlook) -> RestoreOutlook {
    RestoreOutlook {
        obstacle: said.obstacle.clone(),
        reason: said.reason.clone(),
        way: said.way.clone(),
        loses: said.loses.clone(),
    }
}

fn facts(state: &v1::FileState) -> FileFacts {
    FileFacts {
        kind: state.kind.clone(),
        mode: state.mode,
        uid: state.uid,
        gid: state.gid,
        sha256: state.sha256.clone(),
        attributes_sha256: state.attributes.as_ref().map(|all| all.sha256.clone()).unwrap_or_default(),
    }
}

fn sample(at: Timestamp, host: &v1::Host) -> HostSample {
    let disk = |d: &v1::Disk| DiskSample {
        mount: d.mount.clone(),
        filesystem: d.filesystem.clone(),
        total: d.total_bytes,
        available: d.available_bytes,
    };
    HostSample {
        at,
        hostname: host.hostname.clone(),
        os: host.os.clone(),
        kernel: host.kernel.clone(),
        cores: host.cores,
        cpu_centipercent: host.cpu_centipercent,
        memory_total: host.memory_total_bytes,
        memory_available: host.memory_available_bytes,
        swap_total: host.swap_total_bytes,
        swap_used: host.swap_used_bytes,
        load_centi: [host.load1_centi, host.load5_centi, host.load15_centi],
        processes: host.processes,
        disks: host.disks.iter().map(disk).collect(),
        uptime_s: host.uptime_seconds,
    }
}

/// What may belong to `subject` by its path, but not itself. All of it begins alike.
fn below<'a, T>(all: &'a BTreeMap<String, T>, subject: &str) -> impl Iterator<Item = (&'a String, &'a T)> {
    let start = subject.strip_suffix("data").filter(|start| start.ends_with("/..")).unwrap_or(subject);
    all.range(start.to_owned()..)
        .take_while(move |(path, _)| path.starts_with(start))
        .filter(move |(path, _)| *path != subject)
}

fn lines(counts: &v1::LineCounts) -> Lines {
    Lines { before: counts.before, after: counts.after, moved: counts.added.zip(counts.removed) }
}

/// The time of an observation.
pub(super) fn observed_at(observation: &v1::Observation) -> Timestamp {
    from_micros(observation.observed_at_us)
}
