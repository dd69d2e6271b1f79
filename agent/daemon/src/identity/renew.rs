//! Renewal of the agent's certificate for the same key, over the live session, once two thirds of its lifetime are
//! over.

use std::path::PathBuf;
use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::v1;
use tokio::sync::watch;

use super::Identity;
use crate::status::SharedStatus;

/// Between two requests, when the first is not answered.
const AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// The identity, and when to renew it.
#[derive(Debug)]
pub struct Renewal {
    identity: Identity,
    dir: PathBuf,
    asked: Option<Timestamp>,
    keys: Arc<watch::Sender<Vec<VerifyingKey>>>,
}

impl Renewal {
    /// Renews `identity`, which is kept in `dir`; `keys` tells the executors whose jobs are trusted.
    pub fn new(identity: Identity, dir: PathBuf) -> Self {
        let keys = Arc::new(watch::Sender::new(identity.job_keys.clone()));
        Self { identity, dir, asked: None, keys }
    }

    /// The identity now.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The keys whose jobs are trusted, now and after each renewal.
    pub fn keys(&self) -> watch::Receiver<Vec<VerifyingKey>> {
        self.keys.subscribe()
    }

    /// The request to send now, if one is due.
    pub fn due(&mut self, now: Timestamp) -> Option<v1::RenewRequest> {
        // Asked later than now, by a clock that was ahead, nothing is waited for.
        let waiting = self
            .asked
            .is_some_and(|asked| asked <= now && now < asked.saturating_add(AGAIN).unwrap_or(asked));
        if waiting || now.as_second() < self.identity.renew_at() {
            return None;
        }
        self.asked = Some(now);
        match self.identity.key.certificate_request(&self.identity.agent_id.to_string()) {
            Ok(csr_der) => Some(v1::RenewRequest { csr_der }),
            Err(error) => {
                tracing::error!(%error, "no certificate request could be made");
                None
            }
        }
    }

    /// Takes the answer. What cannot be used or kept is a problem; the old certificate goes on until it ends.
    pub fn take(&mut self, response: &v1::RenewResponse, status: &SharedStatus) {
        let taken = self
            .identity
            .renewed(&response.certificate_chain_der, &response.job_keys)
            .and_then(|()| self.identity.save_certificates(&self.dir));
        match taken {
            Ok(()) => {
                self.asked = None;
                self.keys.send_replace(self.identity.job_keys.clone());
                tracing::info!(until = self.identity.expires_at(), "certificate renewed");
                status.problem("renewal", None);
            }
            Err(error) => {
                status.problem("renewal", Some(format!("the certificate was not renewed: {error}")));
            }
        }
    }
}
