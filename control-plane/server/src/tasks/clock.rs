//! Notices when the clock jumps, moves every deadline with it before anything else is decided, and says so.

use std::time::Instant;

use jiff::SignedDuration;
use nimbus_control_core::remediation;
use nimbus_platform::{ClockWatch, monotonic};
use nimbus_store::StoreError;

use super::pass::decide;
use crate::app::App;

/// What is told, and asked for, under this name.
pub const CLOCK: &str = "clock";

/// The clock as it was seen last.
#[derive(Debug)]
pub struct Clock {
    watch: ClockWatch,
    /// A jump that is not written down yet.
    pending: SignedDuration,
}

impl Default for Clock {
    fn default() -> Self {
        Self { watch: ClockWatch::new(nimbus_platform::now(), monotonic()), pending: SignedDuration::ZERO }
    }
}

impl Clock {
    /// One look. While the store does not answer, the jump waits, and so does every decision.
    pub async fn pass(&mut self, app: &App) -> Result<(), StoreError> {
        let now = app.now();
        if let Some(by) = self.watch.look(now, monotonic()) {
            let text = format!(
                "the clock of this host jumped by {by:#} and says {now:.0}; deadlines moved with it; look whether its time \
                 service works"
            );
            tracing::warn!("{text}");
            app.notices.happened(CLOCK, text, Instant::now());
            self.pending = self.pending.saturating_add(by);
        }
        if !self.pending.is_zero() {
            let by = self.pending;
            decide(app, "clock", |s, now, _| remediation::jumped(s, by, now)).await?;
            app.world_clock_jumped(by);
            self.pending = SignedDuration::ZERO;
        }
        Ok(())
    }
}
