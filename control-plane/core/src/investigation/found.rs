//! What an investigation finds, and how much of it is kept.

use jiff::Timestamp;

use super::Window;

/// Most sentences of one sort about what is not known; how many more there are is said.
const MOST_GAPS: usize = 20;

nimbus_protocol::words! {
    /// Where something is known from.
    Source {
        /// The incident's own story, as Nimbus wrote it.
        Incident = "incident",
        /// A job of Nimbus, and what its agent reported.
        Job = "job",
        /// Another incident.
        OtherIncident = "other_incident",
        /// `managedFields` of an object: who wrote a part of it last.
        ManagedFields = "managed_fields",
        /// What Nimbus saw of a workload's revisions.
        Revisions = "revisions",
        /// How an object of a cluster or of a host is, as its agent saw it last.
        Status = "status",
        /// An Event of the cluster.
        Event = "event",
        /// What a kubelet measured.
        Kubelet = "kubelet",
    }
}

/// One thing that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// When it was so; `None` where that is not recorded.
    pub at: Option<Timestamp>,
    /// In words.
    pub text: String,
    /// Where it is known from.
    pub source: Source,
    /// Which one: an id of Nimbus, or an object.
    pub of: String,
}

impl Known {
    pub(super) fn new(
        at: impl Into<Option<Timestamp>>,
        source: Source,
        of: &impl ToString,
        text: impl Into<String>,
    ) -> Self {
        Self { at: at.into(), text: text.into(), source, of: of.to_string() }
    }
}

/// What is known around an incident.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Investigation {
    /// What happened, the oldest first; what has no time is in `now`.
    pub timeline: Vec<Known>,
    /// How many jobs, incidents and other moments were left out of it; of which, is said in `unknown`.
    pub left_out: usize,
    /// When the place was last heard of: `now` is how it was then. `None` where it was not, or that is not known.
    pub as_of: Option<Timestamp>,
    /// How what it is about is now.
    pub now: Vec<Known>,
    /// What is not known, and why.
    pub unknown: Vec<String>,
}

impl Investigation {
    /// Of these lines those within the window, at most so many, the nearest to the incident's begin.
    pub(super) fn tell_nearest(&mut self, mut lines: Vec<Known>, most: usize, window: Window, what: &str) {
        lines.retain(|one| one.at.is_some_and(|at| window.has(at)));
        lines.sort_by_key(|one| one.at.map(|at| window.distance(at)));
        self.leave_out(lines.len().saturating_sub(most), what);
        lines.truncate(most);
        self.timeline.extend(lines);
    }

    /// So many more of these are not told.
    pub(super) fn leave_out(&mut self, count: usize, what: &str) {
        if count > 0 {
            self.left_out += count;
            self.unknown.push(format!("{count} more {what} are left out of what happened"));
        }
    }

    /// Sentences of one sort about what is not known.
    pub(super) fn not_known(&mut self, gaps: Vec<String>) {
        let more = gaps.len().saturating_sub(MOST_GAPS);
        self.unknown.extend(gaps.into_iter().take(MOST_GAPS));
        if more > 0 {
            self.unknown.push(format!("{more} more of the same sort as the line before"));
        }
    }

    /// The oldest first; of what happened at one moment the incident's own story comes first.
    pub(super) fn in_order(&mut self) {
        self.timeline.sort_by(|a, b| (a.at, a.source, &a.of).cmp(&(b.at, b.source, &b.of)));
    }
}
