//! How long a decision takes over a cluster of ten thousand pods, and how much memory the picture of it needs.
//!
//! Everything is in this process: observations of a made-up cluster go into the control plane's picture of the world,
//! and one pass of diagnose, plan and dispatch is timed. No store, no socket.

use std::time::Instant;

use nimbus_protocol::v1::Observation;
use nimbus_tests::bench::{Report, observed, percentile, usage};

const PODS: usize = 10_000;
const FAILING: usize = 1_000;
/// Passes that are timed: with one change each, and with [`FAILING`] each.
const SMALL: usize = 500;
const LARGE: usize = 20;

/// The control plane's side of it.
struct Subject {}

// This block is the only place that calls nimbus-control-core.
impl Subject {
    /// An empty picture, a connected agent that leads the cluster [`observed::CLUSTER`], everything allowed.
    fn new() -> anyhow::Result<Self> {
        anyhow::bail!(
            "this benchmark does not call nimbus-control-core yet: complete `impl Subject` in bench-decision.rs"
        )
    }

    /// Takes an observation into the picture.
    fn apply(&mut self, _observation: &Observation) {}

    /// Diagnoses, plans and dispatches once over all of it, without keeping what comes out, so that the next pass
    /// finds the same. Returns how many documents would change.
    fn pass(&mut self) -> usize {
        0
    }
}

fn listed() -> anyhow::Result<Subject> {
    let mut subject = Subject::new()?;
    observed::listing(PODS).for_each(|observation| subject.apply(&observation));
    Ok(subject)
}

/// One pass in milliseconds. Fails unless it changes something exactly when it should.
fn timed(subject: &mut Subject, changes: bool) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let changed = subject.pass();
    let took = begun.elapsed().as_secs_f64() * 1e3;
    anyhow::ensure!((changed > 0) == changes, "a pass changed {changed} documents, expected some: {changes}");
    Ok(took)
}

fn one_change() -> anyhow::Result<Vec<f64>> {
    let mut subject = listed()?;
    subject.pass();
    let times = i64::try_from(SMALL)?;
    (0..times)
        .map(|n| {
            subject.apply(&observed::touched(usize::try_from(n)? % PODS, n));
            timed(&mut subject, false)
        })
        .collect()
}

fn many_failing() -> anyhow::Result<Vec<f64>> {
    (0..LARGE)
        .map(|_| {
            let mut subject = listed()?;
            subject.pass();
            // Every tenth pod: one of each Deployment, on all nodes.
            (0..FAILING).for_each(|n| subject.apply(&observed::crashing(n * (PODS / FAILING))));
            timed(&mut subject, true)
        })
        .collect()
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
fn memory() -> anyhow::Result<f64> {
    let own = std::process::id();
    let before = usage::resident_bytes(own)?;
    let subject = listed()?;
    let after = usage::resident_bytes(own)?;
    drop(subject);
    Ok(after.saturating_sub(before) as f64 / 1e6)
}

fn main() -> anyhow::Result<()> {
    let mut report = Report::new("A decision pass", "cargo xtask bench decision");
    // First, while nothing was freed that could be used again.
    report.row(format!("picture of {PODS} pods: resident memory"), memory()?, "MB", None, None);
    let mut small = one_change()?;
    report.row("one change: p50", percentile(&mut small, 50.0), "ms", Some("1"), None);
    report.row("one change: p99", percentile(&mut small, 99.0), "ms", None, None);
    let mut large = many_failing()?;
    report.row(
        format!("{FAILING} pods fail at once: p50"),
        percentile(&mut large, 50.0),
        "ms",
        Some("100"),
        None,
    );
    report.row(
        format!("{FAILING} pods fail at once: longest"),
        percentile(&mut large, 100.0),
        "ms",
        None,
        None,
    );
    report.note(format!(
        "{PODS} pods of {} Deployments on 100 nodes, in this process alone. A pass is diagnose, plan and dispatch over \
         the whole picture after the change was taken in; storing what it decides is not in it.",
        PODS / 10
    ));
    report.print()
}
