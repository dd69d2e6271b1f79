//! The server's own TLS certificate. It is kept in memory only and issued anew at each start and whenever a third of
//! its lifetime is left, so that a process that runs for years never presents an expired one.

use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{Authority, CaError, SERVER_LIFETIME};

/// Presents the server's certificate in handshakes.
pub struct Leaf {
    authority: Arc<Authority>,
    provider: Arc<CryptoProvider>,
    names: Vec<String>,
    clock: fn() -> Timestamp,
    current: RwLock<(Range<Timestamp>, Arc<CertifiedKey>)>,
}

impl Leaf {
    /// Issues the first certificate for `names`; `clock` tells when it is time for the next one.
    pub fn new(
        authority: Arc<Authority>,
        provider: Arc<CryptoProvider>,
        names: Vec<String>,
        clock: fn() -> Timestamp,
    ) -> Result<Self, CaError> {
        let first = issue(&authority, &provider, &names, clock())?;
        Ok(Self { authority, provider, names, clock, current: RwLock::new(first) })
    }

    /// Moves the clock.
    #[cfg(test)]
    pub fn clock_at(&mut self, clock: fn() -> Timestamp) {
        self.clock = clock;
    }

    /// The certificate to present now.
    pub fn current(&self) -> Arc<CertifiedKey> {
        let now = (self.clock)();
        {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            if current.0.contains(&now) {
                return Arc::clone(&current.1);
            }
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if !current.0.contains(&now) {
            match issue(&self.authority, &self.provider, &self.names, now) {
                Ok(next) => *current = next,
                Err(error) => tracing::error!(%error, "the server certificate could not be renewed"),
            }
        }
        Arc::clone(&current.1)
    }
}

/// The certificate, and when it is the one to present: from when it was made, so that one that was made while the clock
/// was ahead is replaced when that is put right, until it is time for the next one.
fn issue(
    authority: &Authority,
    provider: &CryptoProvider,
    names: &[String],
    now: Timestamp,
) -> Result<(Range<Timestamp>, Arc<CertifiedKey>), CaError> {
    let (chain, key) = authority.issue_server(names, now)?;
    let certified =
        CertifiedKey::from_der(chain, key, provider).map_err(|error| CaError::Issue(error.to_string()))?;
    let renew_at = now.checked_add(SERVER_LIFETIME * 2 / 3).unwrap_or(Timestamp::MAX);
    Ok((now..renew_at, Arc::new(certified)))
}

impl ResolvesServerCert for Leaf {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl std::fmt::Debug for Leaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Leaf({})", self.names.join(", "))
    }
}
