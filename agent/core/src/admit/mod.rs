//! The only way from an envelope to a job that may be acted on.
//!
//! It decides whether a job is genuine, meant for this agent, in time, new, the plan that was approved, and allowed by
//! the agent's own policy. It reads nothing of an envelope before a signature holds, and it writes nothing:
//! [`crate::journal::Journal::begin`] comes next, durably, before anything is done. Whether the object is still as
//! the plan saw it is asked again at the moment of acting, see [`crate::action::AgentRules::preconditions`].

mod approval;
mod limits;
#[cfg(test)]
mod skew_tests;
#[cfg(test)]
pub(crate) mod tests;
mod time;
mod understood;
#[cfg(test)]
mod waiting_tests;

use ed25519_dalek::VerifyingKey;
use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::{AgentId, JobId};
use nimbus_protocol::signed::{Signed, Verified, VerifyError};
use nimbus_protocol::{from_micros, v1};
use prost::Message as _;

use crate::action::{Place, rules};
use crate::policy::Policy;
use crate::refusal::{Code, Refusal};

pub use approval::NIMBUS;

/// Longest time between a job's not-before and its expiry.
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// A job may begin so far ahead of this agent's clock: clocks differ.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);
/// Longest encoded envelope of a job.
pub const MAX_ENVELOPE: usize = 64 << 10;

/// Who this agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// From its certificate.
    pub agent_id: AgentId,
    /// UID of the kube-system namespace of the cluster it watches; empty when it watches none.
    pub cluster_uid: String,
}

/// What admission asks about jobs that this agent has seen; the journal answers.
pub trait JobHistory {
    /// Was this job seen? A word for how far it came; `None` when it was not.
    fn seen(&self, job: JobId) -> Option<&'static str>;
    /// May a job of the present epoch with this expiry have been seen and forgotten?
    fn may_have_forgotten(&self, expires: Timestamp) -> bool;
    /// Highest epoch of a control plane seen so far.
    fn epoch(&self) -> u64;
    /// Jobs begun within the hour before `now`.
    fn jobs_in_last_hour(&self, now: Timestamp) -> usize;
    /// Can one more job be remembered? The refusal says why not.
    fn has_room(&self, now: Timestamp) -> Result<(), String>;
}

/// A job that may be acted on. Only this module makes one; executors take nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmittedJob {
    id: JobId,
    job: v1::Job,
    action: Body,
    envelope: v1::Envelope,
    envelope_sha256: [u8; 32],
}

impl AdmittedJob {
    /// Its id.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// The job as it was signed.
    pub fn job(&self) -> &v1::Job {
        &self.job
    }

    /// What it does, parsed.
    pub fn action(&self) -> &Body {
        &self.action
    }

    /// The envelope it came in.
    pub fn envelope(&self) -> &v1::Envelope {
        &self.envelope
    }

    /// SHA-256 of that envelope.
    pub fn envelope_sha256(&self) -> [u8; 32] {
        self.envelope_sha256
    }

    /// The refusal of this job after all, which is remembered as [`admit`]'s own are.
    pub fn refused(&self, refusal: Refusal, now: Timestamp) -> Refusal {
        let until = Some(until(&self.job, now));
        Refusal { remember_until: until, ..refusal.of(self.id, self.envelope_sha256) }
    }
}

/// Admits a job or refuses it with its reason. Give a refusal to the journal before reporting it.
pub fn admit(
    envelope: v1::Envelope,
    trusted: &[VerifyingKey],
    me: &Identity,
    policy: &Policy,
    history: &dyn JobHistory,
    now: Timestamp,
) -> Result<AdmittedJob, Refusal> {
    let verified = believe(&envelope, trusted)?;
    let judged = read(&verified, &envelope, me, |id| is_new(id, history)).and_then(|(id, action)| {
        let job = verified.get();
        time::is_in_time(job, history, now)?;
        approval::is_approved(job, &action)?;
        policy.judge_consent(job, &action)?;
        policy.judge(job, &action, now, history.jobs_in_last_hour(now))?;
        history.has_room(now).map_err(|full| Refusal::new(Code::PolicyForbids, full))?;
        Ok((id, action))
    });
    match judged {
        Ok((id, action)) => Ok(admitted(verified, id, action, envelope)),
        Err(refusal) => Err(remembered(refusal, &verified, now)),
    }
}

/// May an admitted job still begin? Asked again right before it acts, however long it waited, also across a restart:
/// its time, the epoch and the policy as they are now. What has begun is not asked: it has to be finished or undone.
pub fn may_begin(
    admitted: &AdmittedJob,
    policy: &Policy,
    history: &dyn JobHistory,
    now: Timestamp,
) -> Result<(), Refusal> {
    let job = admitted.job();
    // The job itself is in the journal and counts there already.
    let others = history.jobs_in_last_hour(now).saturating_sub(1);
    time::is_not_over(job, history, now)
        .and_then(|()| time::is_of_this_epoch(job, history))
        .and_then(|()| policy.judge_consent(job, admitted.action()))
        .and_then(|()| policy.judge(job, admitted.action(), now, others))
        .map_err(|refusal| refusal.of(admitted.id, admitted.envelope_sha256))
}

/// Admits once more a job that was interrupted by a restart: the signature, the target and the plan are checked again.
/// Its time and the policy are not: what it began has to be finished or undone. One that had not begun is asked
/// [`may_begin`].
pub fn resume(
    envelope: v1::Envelope,
    interrupted: JobId,
    trusted: &[VerifyingKey],
    me: &Identity,
) -> Result<AdmittedJob, Refusal> {
    let verified = believe(&envelope, trusted)?;
    let is_it = |id| {
        if id == interrupted {
            return Ok(());
        }
        Err(Refusal::new(Code::Malformed, format!("expected the envelope of job {interrupted}, found {id}")))
    };
    match read(&verified, &envelope, me, is_it) {
        Ok((id, action)) => Ok(admitted(verified, id, action, envelope)),
        Err(refusal) => Err(refusal.of(interrupted, verified.envelope_sha256())),
    }
}

fn admitted(verified: Verified<v1::Job>, id: JobId, action: Body, envelope: v1::Envelope) -> AdmittedJob {
    let envelope_sha256 = verified.envelope_sha256();
    AdmittedJob { id, job: verified.into_inner(), action, envelope, envelope_sha256 }
}

/// A refusal of a job whose signature held: it names the job, and is remembered until the job expires, or until the
/// longest time for which a job is admitted has passed, so that refusals of a far expiry do not fill the journal.
fn remembered(refusal: Refusal, verified: &Verified<v1::Job>, now: Timestamp) -> Refusal {
    let job = verified.get();
    // An id that is none is not repeated into reports and journals.
    let Ok(id) = job.job_id.parse::<JobId>() else {
        return Refusal { envelope_sha256: verified.envelope_sha256(), ..refusal };
    };
    let until = (refusal.code != Code::Replayed).then(|| until(job, now));
    Refusal { remember_until: until, ..refusal.of(id, verified.envelope_sha256()) }
}

fn until(job: &v1::Job, now: Timestamp) -> Timestamp {
    let latest = now.checked_add(MAX_LIFETIME + CLOCK_TOLERANCE).unwrap_or(Timestamp::MAX);
    from_micros(job.expires_at_us).min(latest)
}

fn believe(envelope: &v1::Envelope, trusted: &[VerifyingKey]) -> Result<Verified<v1::Job>, Refusal> {
    let signed = Signed::<v1::Job>::from_envelope(envelope.clone());
    let digest = signed.digest();
    let refuse = |code, reason: String| {
        let mut refusal = Refusal::new(code, reason);
        refusal.envelope_sha256 = digest;
        Err(refusal)
    };
    let length = envelope.encoded_len();
    if length > MAX_ENVELOPE {
        return refuse(
            Code::Malformed,
            format!("expected an envelope of at most {MAX_ENVELOPE} bytes, found {length}"),
        );
    }
    match signed.verify(trusted) {
        // The key id decides nothing, but one that does not fit shows that the envelope was changed on its way.
        Ok(verified) if !envelope.signatures.iter().any(|s| s.key_id == verified.key_id()) => refuse(
            Code::BadSignature,
            format!("expected an envelope that names key {}, found another key id", verified.key_id()),
        ),
        Ok(verified) => Ok(verified),
        Err(error @ VerifyError::Malformed(_)) => refuse(Code::Malformed, error.to_string()),
        Err(error) => refuse(Code::BadSignature, error.to_string()),
    }
}

/// The id and the action of a believed job, if it is for this agent, complete, and the plan that it names.
fn read(
    verified: &Verified<v1::Job>,
    envelope: &v1::Envelope,
    me: &Identity,
    is_it: impl FnOnce(JobId) -> Result<(), Refusal>,
) -> Result<(JobId, Body), Refusal> {
    let job = verified.get();
    if job.agent_id.parse() != Ok(me.agent_id) {
        let reason =
            format!("expected a job for agent {}, found one for {:?}", me.agent_id, short(&job.agent_id));
        return Err(Refusal::new(Code::WrongAgent, reason));
    }
    let Ok(id) = job.job_id.parse::<JobId>() else {
        return Err(Refusal::new(Code::Malformed, "job_id: expected a job's id, found something else"));
    };
    is_it(id)?;
    let body = understood::whole(job, &envelope.payload)?;
    is_of_this_cluster(job, &body, me)?;
    limits::check(job)?;
    rules(&body).well_formed()?;
    approval::is_the_plan(job, &body, me.agent_id)?;
    Ok((id, body))
}

fn is_of_this_cluster(job: &v1::Job, action: &Body, me: &Identity) -> Result<(), Refusal> {
    let (fits, expected) = match rules(action).place() {
        Place::Host => (job.cluster_uid.is_empty(), "no cluster (it runs on the host)".to_owned()),
        // An agent without a cluster never takes an empty UID for its own.
        Place::Cluster if me.cluster_uid.is_empty() => {
            (false, "no such job: this agent watches no cluster".to_owned())
        }
        Place::Cluster => (job.cluster_uid == me.cluster_uid, format!("cluster {}", me.cluster_uid)),
    };
    if fits {
        return Ok(());
    }
    let reason = format!("expected {expected}, found cluster {:?}", short(&job.cluster_uid));
    Err(Refusal::new(Code::WrongCluster, reason))
}

fn is_new(job: JobId, history: &dyn JobHistory) -> Result<(), Refusal> {
    match history.seen(job) {
        None => Ok(()),
        Some(phase) => Err(Refusal::new(
            Code::Replayed,
            format!("expected a new job, found one that is already {phase}; it is not run a second time"),
        )),
    }
}

/// A foreign text, cut to 64 characters.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
