//! Ends a restore that nobody waits for any more, and says what failed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::remedy::ActError;

/// Set when nobody waits for the change any more: the flow has given the job up, so it must not come later.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn check(&self) -> Result<(), ActError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(ActError::Failed("expected to act in time, found the time over".to_owned()));
        }
        Ok(())
    }
}

/// Stops the work when the future that waits for it is dropped.
pub(super) struct StopOnDrop(pub(super) Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::SeqCst);
    }
}

pub(super) fn failed(what: &str, error: &io::Error) -> ActError {
    ActError::Failed(format!("expected to {what}, found: {error}"))
}
