//! The watcher of files and directories: takes their baseline and reports what differs from it.
//!
//! The system notifies of changed paths; after a short quiet time those are looked at. A periodic pass looks at
//! everything, so that a lost notification only delays an observation. Roots are looked at one after the other.
//!
//! Waiting for a root takes no thread: a pass and the jobs of one root take one blocking thread together, in turn.

pub mod around;
pub mod baseline;
mod dirs;
pub mod extended;
mod kept;
mod known;
pub mod notice;
mod pace;
pub mod place;
mod problems;
mod report;
pub mod restores;
pub mod root;
mod scan;
mod standing;
mod tracked;
pub mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use nimbus_agent_core::observe::file::name;
use nimbus_agent_core::policy::Policy;
use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1::{self, observation, sync_mark};
use tokio::sync::{Mutex, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;
use crate::observation_queue::ObservationQueue;
use crate::policy_files::PolicyNow;
use crate::status::SharedStatus;
use baseline::Baselines;
use notice::Notices;
use restores::UnderWay;
use root::Root;
use tracked::MAX_PATHS;

/// Time without a notification before changed paths are looked at, so that a burst of writes is looked at once.
const QUIET: Duration = Duration::from_millis(100);
/// Longest wait while notifications keep coming.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks for a root that is not there, or may not be read.
const RETRY: Duration = Duration::from_secs(5);
/// After so many of them, what the system would not notify of is tried again: a limit may have been raised.
const AWAKE: u32 = 6;

/// The watched roots, shared with the executors.
#[derive(Debug, Clone)]
pub struct Files {
    roots: Vec<(String, Arc<Mutex<Root>>)>,
    /// How many paths each root tracks, as of its last pass: together they are bounded.
    tracked: Arc<std::sync::Mutex<BTreeMap<String, usize>>>,
    /// The person's policy file: whose contents may be shown is asked anew each time.
    policy: PathBuf,
    baselines: Arc<Baselines>,
    observations: ObservationQueue,
    status: Arc<SharedStatus>,
    counters: Arc<Counters>,
}

impl Files {
    /// The roots at `paths` (absolute), without what is below `exclude`, with their baselines in `baselines`. Contents are
    /// shown as the policy at `policy` says.
    pub fn new(
        paths: &[PathBuf],
        exclude: &[PathBuf],
        baselines: &Arc<Baselines>,
        policy: PathBuf,
        observations: ObservationQueue,
        status: Arc<SharedStatus>,
        counters: Arc<Counters>,
    ) -> Self {
        let root = |path: &PathBuf| {
            let root = Root::new(path.clone(), exclude, baselines.clone());
            (root.text().to_owned(), Arc::new(Mutex::new(root)))
        };
        let unique: BTreeSet<&PathBuf> = paths.iter().collect();
        let roots = unique.into_iter().map(root).collect();
        let baselines = baselines.clone();
        Self { roots, tracked: Arc::default(), policy, baselines, observations, status, counters }
    }

    /// A restore is under way until what this returns is dropped: its temporary file is not watched.
    pub fn under_way(&self, job: JobId) -> UnderWay {
        self.baselines.restores().begin(job)
    }

    /// Room for paths below one root beside what the others track.
    fn room(&self, root: &str) -> usize {
        let tracked = self.tracked.lock().unwrap_or_else(PoisonError::into_inner);
        let others: usize = tracked.iter().filter(|(text, _)| *text != root).map(|(_, paths)| paths).sum();
        MAX_PATHS.saturating_sub(others)
    }

    /// Works on a root on a blocking thread, once it is free and its stored baseline was read. `None` when it is not watched.
    pub async fn with<T: Send + 'static>(
        &self,
        root: &str,
        work: impl FnOnce(&mut Root) -> T + Send + 'static,
    ) -> Option<T> {
        let (_, root) = self.roots.iter().find(|(text, _)| text == root)?;
        let mut root = root.clone().lock_owned().await;
        let policy = self.policy.clone();
        let work = move || {
            root.show_by(PolicyNow::read(&policy).policy);
            // A job may come before the first pass after a start.
            root.read_baseline();
            work(&mut root)
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    /// Looks at one path (absolute) again and reports what changed, before it returns.
    pub async fn observe_again(&self, root: &str, path: String) {
        let observations = self.observations.clone();
        self.with(root, move |root| {
            let now = nimbus_platform::now().as_second();
            let mut emit = |file| observations.observe_now_blocking("", observation::Body::File(file));
            let relative = root.relative(&path).unwrap_or_default().to_owned();
            if !root.check(&relative, now, &mut emit) {
                root.full_pass(now, &mut emit);
            }
        })
        .await;
        self.report_status().await;
    }

    /// Looks at these roots wholly. True where a baseline was taken.
    async fn pass_over(&self, which: impl Fn(&Root) -> bool + Send + Clone + 'static) -> bool {
        let mut taken = false;
        for (text, _) in &self.roots {
            let observations = self.observations.clone();
            let which = which.clone();
            let room = self.room(text);
            let took = self.with(text, move |root| {
                if which(root) {
                    root.track_at_most(room);
                    let mut emit =
                        |file| observations.observe_now_blocking("", observation::Body::File(file));
                    root.full_pass(nimbus_platform::now().as_second(), &mut emit);
                }
                (root.was_taken(), root.tracked_paths())
            });
            let Some((took, paths)) = took.await else { continue };
            taken |= took;
            self.tracked.lock().unwrap_or_else(PoisonError::into_inner).insert(text.clone(), paths);
        }
        self.report_status().await;
        taken
    }

    /// Reports everything that differs, again, between two marks: what is not reported in between is as it should be. While
    /// one root's stored baseline cannot be read the marks are owed, and nothing follows from what is not reported. True when
    /// they were sent.
    async fn report_all(&self) -> bool {
        let known = self.are_known().await;
        if known {
            self.mark(sync_mark::Phase::Begin).await;
        }
        for (text, _) in &self.roots {
            let observations = self.observations.clone();
            self.with(text, move |root| {
                root.report_all(&mut |file| {
                    observations.observe_now_blocking("", observation::Body::File(file));
                });
            })
            .await;
        }
        if known {
            self.mark(sync_mark::Phase::End).await;
        }
        known
    }

    /// The policy as its files say now.
    async fn policy(&self) -> Policy {
        let path = self.policy.clone();
        // Where it cannot be read nothing is shown.
        tokio::task::spawn_blocking(move || PolicyNow::read(&path).policy).await.unwrap_or_default()
    }

    async fn are_known(&self) -> bool {
        for (text, _) in &self.roots {
            if self.with(text, |root| root.is_known()).await != Some(true) {
                return false;
            }
        }
        true
    }

    async fn mark(&self, phase: sync_mark::Phase) {
        let mark = v1::SyncMark {
            kind: nimbus_protocol::kind::FILES.to_owned(),
            phase: phase.into(),
            lease_term: 0,
        };
        self.observations.observe("", observation::Body::Sync(mark)).await;
    }

    async fn report_status(&self) {
        let mut statuses = Vec::new();
        for (text, _) in &self.roots {
            let Some(status) = self.with(text, |root| root.status()).await else { continue };
            let problem = (!status.problem.is_empty()).then(|| status.problem.clone());
            self.status.problem(&format!("root {text}"), problem);
            statuses.push(status);
        }
        self.counters.watched_files.set(statuses.iter().map(|status| status.files).sum());
        if self.status.status().roots != statuses {
            self.status.update(|status| status.roots = statuses);
        }
    }
}

/// Watches until cancelled.
pub async fn run(
    files: Files,
    interval: Duration,
    mut resync: watch::Receiver<u64>,
    cancel: CancellationToken,
) {
    if files.roots.is_empty() {
        return;
    }
    let (looked, first_pass) = oneshot::channel();
    tokio::select! {
        () = cancel.cancelled() => {}
        () = forever(&files, interval, &mut resync, looked) => {}
        () = kept::forever(&files, first_pass) => {}
    }
}

async fn forever(
    files: &Files,
    interval: Duration,
    resync: &mut watch::Receiver<u64>,
    looked: oneshot::Sender<()>,
) {
    files.status.problem("rules for secrets", nimbus_agent_core::observe::secret::check().err());
    let mut notices = Notices::start();
    let touched = notices.touched.clone();
    listen(files, &mut notices);
    let mut shown = files.policy().await;
    // A full report between marks.
    let mut owed = files.pass_over(|_| true).await;
    // Nobody else waits for it.
    let _ = looked.send(());
    let mut passes = tokio::time::interval_at((Instant::now() + interval).into(), interval);
    passes.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut ticks = 0_u32;
    let mut retries = tokio::time::interval_at((Instant::now() + RETRY).into(), RETRY);
    retries.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = touched.wait() => {
                wait_until_quiet(&touched).await;
                match touched.take() {
                    Some(paths) => check_paths(files, paths).await,
                    None => owed |= files.pass_over(|_| true).await,
                }
            }
            _ = passes.tick() => {
                notices.try_again();
                listen(files, &mut notices);
                owed |= files.pass_over(|_| true).await;
            }
            _ = retries.tick() => {
                // A root that came or went is looked at soon, not at the next pass only.
                ticks = ticks.wrapping_add(1);
                let awake = ticks.is_multiple_of(AWAKE) && notices.try_again();
                owed |= if listen(files, &mut notices) || awake {
                    files.pass_over(|_| true).await
                } else {
                    files.pass_over(Root::waits).await
                };
                let policy = files.policy().await;
                if !policy.shows_the_same_as(&shown) {
                    // What differs is reported anew, with its contents or without.
                    shown = policy;
                    owed = true;
                }
                if owed && files.are_known().await {
                    owed = !files.report_all().await;
                }
            }
            changed = resync.changed() => {
                if changed.is_err() { return }
                owed = !files.report_all().await;
            }
        }
    }
}

/// Waits until nothing was notified for [`QUIET`], at most for [`PATIENCE`].
async fn wait_until_quiet(touched: &notice::Touched) {
    let started = Instant::now();
    while started.elapsed() < PATIENCE && tokio::time::timeout(QUIET, touched.wait()).await.is_ok() {}
}

/// Has the system notify for every root that is there; true when one came, went or was replaced since the last call.
fn listen(files: &Files, notices: &mut Notices) -> bool {
    let mut moved = false;
    for (text, _) in &files.roots {
        let path = std::path::Path::new(text);
        moved |= if path.symlink_metadata().is_err() { notices.forget(path) } else { notices.watch(path) };
    }
    files.status.problem("notices", notices.problem());
    moved
}

async fn check_paths(files: &Files, paths: BTreeSet<PathBuf>) {
    for (text, _) in &files.roots {
        let below: Vec<String> = paths
            .iter()
            .filter_map(|path| path.strip_prefix(text).ok())
            .map(|below| name::escape(below.as_os_str().as_bytes()).into_owned())
            .collect();
        if below.is_empty() {
            continue;
        }
        let observations = files.observations.clone();
        files
            .with(text, move |root| {
                let now = nimbus_platform::now().as_second();
                let mut emit = |file| observations.observe_now_blocking("", observation::Body::File(file));
                let alone = below.iter().all(|relative| root.check(relative, now, &mut emit));
                if !alone {
                    root.full_pass(now, &mut emit);
                }
            })
            .await;
    }
    files.report_status().await;
}
