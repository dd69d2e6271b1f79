//! The model of incidents, of which there is one for each root cause.

use jiff::Timestamp;
use nimbus_protocol::ids::{ApprovalId, IncidentId, JobId, PlanId};
use serde::{Deserialize, Serialize};

use super::{ObjectRef, Scope, Workload, words};

words! {
    /// How bad it is.
    Severity {
        /// Something is down.
        Critical = "critical",
        /// Something will be, or part of it is.
        Warning = "warning",
        /// Worth knowing.
        Info = "info",
    }
}

words! {
    /// Where an incident stands.
    IncidentState {
        /// Found; nothing is under way (its reason says why).
        Open = "open",
        /// A plan waits for a person.
        WaitingApproval = "waiting_approval",
        /// A job is in flight.
        Remediating = "remediating",
        /// Over, with evidence.
        Resolved = "resolved",
        /// Nimbus will not go further by itself; a person is asked.
        Escalated = "escalated",
        /// A person said to leave it.
        Silenced = "silenced",
    }
}

words! {
    /// What kind of root cause it is.
    IncidentKind {
        /// A pod crash-loops.
        PodCrashLoop = "pod_crash_loop",
        /// A Deployment's new revision does not get ready, or its pods crash.
        RolloutStuck = "rollout_stuck",
        /// A watched file differs from its baseline.
        FileDrift = "file_drift",
        /// A container is killed for its memory limit, again and again.
        OutOfMemory = "out_of_memory",
        /// An image cannot be pulled.
        ImagePull = "image_pull",
        /// A node is not ready.
        NodeNotReady = "node_not_ready",
        /// So much is wrong at once that nothing automatic runs.
        Storm = "storm",
        /// The update of a StatefulSet waits for a pod that does not come up.
        StatefulSetStuck = "stateful_set_stuck",
        /// A node still carries a cordon of Nimbus although the job that set it is over.
        StaleCordon = "stale_cordon",
        /// A Job failed for good, or the newest run of a CronJob did.
        JobFailing = "job_failing",
        /// The volume of a claim is nearly full.
        VolumeNearFull = "volume_near_full",
        /// A node runs short of disk, memory or process ids.
        NodePressure = "node_pressure",
        /// A disk of a host is nearly full.
        DiskNearFull = "disk_near_full",
        /// A unit of a host's systemd failed, or is started again and again.
        UnitFailed = "unit_failed",
        /// An autoscaler has made as many replicas as it may for a while, and would make more.
        AutoscalerAtMaximum = "autoscaler_at_maximum",
        /// The pods of a workload that asks to be scaled out use most of the CPU that they ask for.
        LoadHigh = "load_high",
        /// A workload that Nimbus scaled out is busy no more.
        ScaledOut = "scaled_out",
        /// A certificate is due to be renewed for a while, and is not.
        CertificateExpiring = "certificate_expiring",
        /// A certificate file of a host ends soon, or is over.
        CertificateFileExpiring = "certificate_file_expiring",
        /// The certificate in a Secret ends soon, or is over.
        TlsSecretExpiring = "tls_secret_expiring",
    }
}

/// Most history entries kept; the oldest after the first are dropped.
pub const MAX_HISTORY: usize = 100;

/// One line of an incident's story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// When.
    pub at: Timestamp,
    /// What happened, one sentence.
    pub text: String,
}

/// A plan whose job was refused for what may be over any moment. It is asked for again as it is, so that its number and
/// its rows stay the same; until then it is not in force and keeps no other plan from its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPlan {
    /// Which.
    pub plan_id: PlanId,
    /// How often so far.
    pub times: u32,
}

/// An eviction that was refused, and how budgets stood to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedEviction {
    /// When it was refused last.
    pub at: Timestamp,
    /// Did a budget stand in its way, or may one have, when it was refused or later, as far as budgets are known? No longer
    /// once it is asked for again because none does.
    pub budget_stood: bool,
    /// Did the refusal name a budget? What was refused for another reason is not asked for again for a budget's sake.
    #[serde(default)]
    pub by_budget: bool,
    /// How often it was asked for early because none did, and was refused all the same, one after the other.
    #[serde(default)]
    pub in_vain: u32,
}

/// Something is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name.
    pub id: IncidentId,
    /// Same cause, same key, while it is not resolved: see `causes::correlate`.
    pub key: String,
    /// What kind of cause.
    pub kind: IncidentKind,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub state: IncidentState,
    /// Where it is.
    pub scope: Scope,
    /// Name of the cluster or host, to show.
    pub cluster: String,
    /// The cause's object.
    pub object: ObjectRef,
    /// The workload that it belongs to, on which attempts are counted; `None` for a node, a file or a cluster.
    pub workload: Option<Workload>,
    /// One line for tables.
    pub title: String,
    /// Why it stands where it stands: also every refusal.
    pub reason: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// Objects that suffer from the same cause.
    pub symptoms: Vec<ObjectRef>,
    /// First seen.
    pub created_at: Timestamp,
    /// Last changed.
    pub updated_at: Timestamp,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// The plan in force.
    pub plan_id: Option<PlanId>,
    /// The approval in force.
    pub approval_id: Option<ApprovalId>,
    /// The job in force or the last one.
    pub job_id: Option<JobId>,
    /// Jobs that took effect for this incident.
    pub attempts: u32,
    /// Not before this moment is another attempt made.
    pub next_attempt_at: Option<Timestamp>,
    /// For a silence, when it ends.
    pub silenced_until: Option<Timestamp>,
    /// Digest (hex) of a plan that a person denied: the same is not asked again.
    pub denied_digest: Option<String>,
    /// How often it came back after all was well for less than it takes to be over.
    #[serde(default)]
    pub returns: u32,
    /// Since when all is well, while that has not lasted yet.
    #[serde(default)]
    pub well_since: Option<Timestamp>,
    /// When its object was found gone, while it is open.
    #[serde(default)]
    pub object_gone_at: Option<Timestamp>,
    /// Digest (hex) of a plan that could not be carried out for a reason that does not pass by itself: the same is not asked
    /// again.
    #[serde(default)]
    pub failed_digest: Option<String>,
    /// What Nimbus refrained from acting for since the last job, as far as it is in the audit log: a digest of each.
    #[serde(default)]
    pub held: Vec<String>,
    /// Who took the last denial back, and the digest of the plan that was denied: that person's word is none of several that it
    /// needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_again: Option<(String, String)>,
    /// What was refused last and is asked for again, while it waits for that.
    #[serde(default)]
    pub refused: Option<RefusedPlan>,
    /// What is known of the eviction that was refused last.
    #[serde(default)]
    pub refused_eviction: Option<RefusedEviction>,
    /// A file that differed when so many of its host did that a person decides on each of them. It stays so while the incident is open,
    /// however many are dealt with meanwhile.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_many: bool,
    /// Its story, oldest first, at most [`MAX_HISTORY`].
    pub history: Vec<HistoryEntry>,
}

impl Incident {
    /// One that was found just now, without a plan and without a history.
    pub fn found(
        id: IncidentId,
        key: String,
        kind: IncidentKind,
        scope: Scope,
        object: ObjectRef,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            key,
            kind,
            severity: Severity::Warning,
            state: IncidentState::Open,
            scope,
            cluster: String::new(),
            object,
            workload: None,
            title: String::new(),
            reason: String::new(),
            evidence: Vec::new(),
            symptoms: Vec::new(),
            created_at: now,
            updated_at: now,
            resolved_at: None,
            plan_id: None,
            approval_id: None,
            job_id: None,
            attempts: 0,
            next_attempt_at: None,
            silenced_until: None,
            denied_digest: None,
            returns: 0,
            well_since: None,
            object_gone_at: None,
            failed_digest: None,
            held: Vec::new(),
            asked_again: None,
            refused: None,
            refused_eviction: None,
            of_many: false,
            history: Vec::new(),
        }
    }

    /// Not over yet?
    pub fn is_open(&self) -> bool {
        self.state != IncidentState::Resolved
    }

    /// Adds a line to the story, unless it only repeats the last one.
    pub fn note(&mut self, at: Timestamp, text: impl Into<String>) {
        let text = text.into();
        if self.history.last().is_some_and(|last| last.text == text) {
            return;
        }
        if self.history.len() >= MAX_HISTORY {
            self.history.remove(1);
        }
        self.history.push(HistoryEntry { at, text });
        self.updated_at = at;
    }
}
