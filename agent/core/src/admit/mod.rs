//! The only way from an envelope to an order that may be acted on.
//!
//! It decides whether an order is genuine, meant for this agent, in time, new, approved where its action needs
//! that, and allowed by the agent's own policy. It reads nothing of an envelope before a signature holds, and it
//! writes nothing: [`Journal::begin`] comes next, durably, before anything is done. Whether the object is still as
//! the plan saw it is [`crate::preconditions`]' question, asked again at the moment of acting.

mod shape;
#[cfg(test)]
pub(crate) mod tests;

use ed25519_dalek::VerifyingKey;
use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::signed::{Signed, Verified, VerifyError};
use nimbus_protocol::v1::{self, job::Action};
use nimbus_protocol::{from_micros, ids::JobId};
use prost::Message as _;

use crate::journal::{Journal, Owed};
use crate::policy::{Policy, action_name};
use crate::refusal::{Code, Refusal};

/// Longest time between an order's not-before and its expiry.
pub const MAX_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// An order may begin so far ahead of this agent's clock: clocks differ.
pub const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);
/// Longest encoded envelope of an order.
pub const MAX_ENVELOPE: usize = 64 << 10;

/// Who this agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// From its certificate, `agt_...`.
    pub agent_id: String,
    /// UID of the kube-system namespace of the cluster it watches; empty when it watches none.
    pub cluster_uid: String,
}

/// A document that may be acted on. Only this module makes one; executors take nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted<T> {
    value: T,
    envelope: v1::Envelope,
    envelope_sha256: [u8; 32],
}

impl<T> Admitted<T> {
    /// The document.
    pub fn get(&self) -> &T {
        &self.value
    }

    /// The envelope it came in.
    pub fn envelope(&self) -> &v1::Envelope {
        &self.envelope
    }

    /// SHA-256 of that envelope.
    pub fn envelope_sha256(&self) -> [u8; 32] {
        self.envelope_sha256
    }
}

/// Admits an order or refuses it with its reason. Give a refusal to [`Journal::refuse`] before reporting it.
pub fn admit(
    envelope: v1::Envelope,
    trusted: &[VerifyingKey],
    me: &Identity,
    policy: &Policy,
    journal: &Journal,
    now: Timestamp,
) -> Result<Admitted<v1::Job>, Refusal> {
    let verified = believe(&envelope, trusted)?;
    let job = verified.get();
    let judged = is_for(job, me)
        .and_then(|()| is_new(job, journal))
        .and_then(|()| shape::check(job))
        .and_then(|()| is_in_time(job, journal, now))
        .and_then(|()| is_approved(job))
        .and_then(|()| policy.judge(job, now, journal.jobs_in_last_hour(now)))
        .and_then(|()| has_room(journal, now));
    match judged {
        Ok(()) => Ok(admitted(verified, envelope)),
        Err(refusal) => Err(tied(refusal, &verified)),
    }
}

/// May an admitted job still begin? Asked again right before it acts, however long it waited, also across a restart:
/// its time, the epoch and the policy as they are now. What has begun is not asked: it has to be finished or undone.
pub fn may_begin(
    admitted: &Admitted<v1::Job>,
    policy: &Policy,
    journal: &Journal,
    now: Timestamp,
) -> Result<(), Refusal> {
    let job = admitted.get();
    // The job itself is in the journal and counts there already.
    let others = journal.jobs_in_last_hour(now).saturating_sub(1);
    is_not_over(job, journal, now)
        .and_then(|()| is_of_this_epoch(job, journal))
        .and_then(|()| policy.judge(job, now, others))
        .map_err(|refusal| refusal.of(&job.job_id, admitted.envelope_sha256()))
}

/// Admits once more what the journal owes after a restart: the signature and the target are checked again. Its time
/// and the policy are not: what it began has to be finished or undone. One that had not begun is asked [`may_begin`].
pub fn resume(owed: &Owed, trusted: &[VerifyingKey], me: &Identity) -> Result<Admitted<v1::Job>, Refusal> {
    let verified = believe(&owed.envelope, trusted)?;
    let job = verified.get();
    let same = if job.job_id == owed.job_id {
        Ok(())
    } else {
        Err(Refusal::new(
            Code::Malformed,
            format!("expected the order of job {}, found {}", owed.job_id, job.job_id),
        ))
    };
    match same.and_then(|()| is_for(job, me)).and_then(|()| shape::check(job)) {
        Ok(()) => Ok(admitted(verified, owed.envelope.clone())),
        Err(refusal) => Err(tied(refusal, &verified)),
    }
}

fn admitted(verified: Verified<v1::Job>, envelope: v1::Envelope) -> Admitted<v1::Job> {
    let envelope_sha256 = verified.envelope_sha256();
    Admitted { value: verified.into_inner(), envelope, envelope_sha256 }
}

/// A refusal of a job whose signature held: it names the job, and is remembered until the job expires.
fn tied(refusal: Refusal, verified: &Verified<v1::Job>) -> Refusal {
    let job = verified.get();
    let replay = refusal.code == Code::Replayed;
    // An id that is none is not repeated into reports and journals.
    let id = if job.job_id.parse::<JobId>().is_ok() { job.job_id.as_str() } else { "" };
    let mut refusal = refusal.of(id, verified.envelope_sha256());
    refusal.expires_at = (!replay && !id.is_empty()).then(|| from_micros(job.expires_at_us));
    refusal
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

fn is_for(job: &v1::Job, me: &Identity) -> Result<(), Refusal> {
    if job.agent_id != me.agent_id {
        let reason =
            format!("expected a job for agent {}, found one for {:?}", me.agent_id, short(&job.agent_id));
        return Err(Refusal::new(Code::WrongAgent, reason));
    }
    let on_host = matches!(job.action, Some(Action::RestoreFile(_) | Action::AcceptBaseline(_)));
    let expected = if on_host { "" } else { me.cluster_uid.as_str() };
    if job.action.is_some() && (job.cluster_uid != expected || (!on_host && expected.is_empty())) {
        let expected = if on_host {
            "no cluster (a file is on the host)".to_owned()
        } else if expected.is_empty() {
            "no such job: this agent watches no cluster".to_owned()
        } else {
            format!("cluster {expected}")
        };
        let reason = format!("expected {expected}, found cluster {:?}", short(&job.cluster_uid));
        return Err(Refusal::new(Code::WrongCluster, reason));
    }
    Ok(())
}

fn is_new(job: &v1::Job, journal: &Journal) -> Result<(), Refusal> {
    match journal.phase(&job.job_id) {
        None => Ok(()),
        Some(phase) => Err(Refusal::new(
            Code::Replayed,
            format!("expected a new job, found one that is already {phase:?}; it is not run a second time"),
        )),
    }
}

fn is_in_time(job: &v1::Job, journal: &Journal, clock: Timestamp) -> Result<(), Refusal> {
    let (from, until) = (from_micros(job.not_before_us), from_micros(job.expires_at_us));
    if from >= until || until.duration_since(from) > MAX_LIFETIME {
        let reason = format!("expected a lifetime of at most {MAX_LIFETIME:#}, found {from} to {until}");
        return Err(Refusal::new(Code::Malformed, reason));
    }
    is_not_over(job, journal, clock)?;
    if from.duration_since(clock) > CLOCK_TOLERANCE {
        let reason = format!("expected a job that is valid at {clock}, found one for {from} and later");
        return Err(Refusal::new(Code::NotYetValid, reason));
    }
    is_of_this_epoch(job, journal)
}

fn is_not_over(job: &v1::Job, journal: &Journal, clock: Timestamp) -> Result<(), Refusal> {
    let (until, now) = (from_micros(job.expires_at_us), journal.floor(clock));
    if until <= now {
        let back = if now > clock {
            format!(" (the clock says {clock}, but it was {now} before)")
        } else {
            String::new()
        };
        let reason =
            format!("expected a job that is valid at {now}, found one that expired at {until}{back}");
        return Err(Refusal::new(Code::Expired, reason));
    }
    Ok(())
}

fn is_of_this_epoch(job: &v1::Job, journal: &Journal) -> Result<(), Refusal> {
    if job.epoch < journal.epoch() {
        let reason = format!(
            "expected a job of epoch {} or later, found epoch {}: a newer control plane has taken over",
            journal.epoch(),
            job.epoch
        );
        return Err(Refusal::new(Code::StaleEpoch, reason));
    }
    Ok(())
}

/// Every approval must be of this very plan; what goes beyond a restart needs one.
fn is_approved(job: &v1::Job) -> Result<(), Refusal> {
    if let Some(other) = job.approvals.iter().find(|a| a.plan_digest != job.plan_digest || a.by.is_empty()) {
        let reason =
            format!("expected approvals of this plan, found one by {:?} of another", short(&other.by));
        return Err(Refusal::new(Code::PolicyForbids, reason));
    }
    let needs = matches!(job.action, Some(Action::RollbackDeployment(_) | Action::RestoreFile(_)));
    if needs && job.approvals.is_empty() {
        let name = job.action.as_ref().map_or("an action", action_name);
        let reason = format!("expected at least one approval of this plan, found none; {name} needs one");
        return Err(Refusal::new(Code::PolicyForbids, reason));
    }
    Ok(())
}

fn has_room(journal: &Journal, now: Timestamp) -> Result<(), Refusal> {
    if journal.has_room(now) {
        return Ok(());
    }
    let reason = format!("the journal holds {} jobs that may not be forgotten yet", crate::journal::MAX_JOBS);
    Err(Refusal::new(Code::PolicyForbids, reason))
}

/// A foreign text, cut to 64 characters.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
