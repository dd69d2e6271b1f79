//! Notices when this host's clock jumps, and says so. Nothing depends on it: jobs are judged by the control plane's time, and
//! what waits is measured by the clock that cannot jump.

use std::time::{Duration, Instant};

use nimbus_platform::{ClockWatch, monotonic};

use crate::status::SharedStatus;

/// For how long a jump is told.
const TOLD: Duration = Duration::from_hours(24);

/// The clock as it was seen last.
#[derive(Debug)]
pub(super) struct Clock {
    watch: ClockWatch,
    told: Option<Instant>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { watch: ClockWatch::new(nimbus_platform::now(), monotonic()), told: None }
    }
}

impl Clock {
    /// Looks; call it every few seconds.
    pub(super) fn look(&mut self, status: &SharedStatus) {
        let now = nimbus_platform::now();
        if let Some(by) = self.watch.look(now, monotonic()) {
            let text = format!(
                "expected a clock that goes on evenly, found that this host's jumped by {by:#} and says {now:.0}; look whether \
                 its time service works; no job is lost by it"
            );
            status.problem("clock", Some(text));
            self.told = Some(Instant::now());
        } else if self.told.is_some_and(|told| told.elapsed() >= TOLD) {
            status.problem("clock", None);
            self.told = None;
        }
    }
}
