//! Admission.
use crate::{
    Refusal,
    journal::{Journal, Owed},
    policy::Policy,
};
use ed25519_dalek::VerifyingKey;
use jiff::Timestamp;
use nimbus_protocol::v1;
/// Who this agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /** `agt_...` */
    pub agent_id: String,
    /** Empty when no cluster is watched. */
    pub cluster_uid: String,
}
/// A document that may be acted on. Only this module makes one.
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
    /// Its SHA-256.
    pub fn envelope_sha256(&self) -> [u8; 32] {
        self.envelope_sha256
    }
}
/// Admits or refuses an order. Does not write: `journal.begin(&admitted, now)` is next, durably, before anything else.
pub fn admit(
    _envelope: v1::Envelope,
    _trusted: &[VerifyingKey],
    _me: &Identity,
    _policy: &Policy,
    _journal: &Journal,
    _now: Timestamp,
) -> Result<Admitted<v1::Job>, Refusal> {
    todo!()
}
/// Admits again what the journal owes: signature and target are checked once more, not its time.
pub fn resume(_owed: &Owed, _trusted: &[VerifyingKey], _me: &Identity) -> Result<Admitted<v1::Job>, Refusal> {
    todo!()
}
