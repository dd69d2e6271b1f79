//! The only writer of the observation log: groups many batches into one commit, then acknowledges each.
//!
//! It alone moves the high-water marks, so a batch that comes twice (also over two connections) is stored once.
//! While the store does not take the commit, the same group waits and nothing is acknowledged; the queue in front
//! fills up, and connections stop reading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_control_core::gateway::Stored;
use nimbus_platform::DoublingWait;
use nimbus_store::{NewBatch, StoreError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::limits::{GROUP_BATCHES, QUEUED_KIB};
use super::marks::{self, Marks};
use super::pace::Pace;
use crate::app::App;
use crate::health::Part;

/// A batch on its way to the log. Its permit is given back when it is stored or dropped.
struct Submission {
    batch: NewBatch,
    answer: oneshot::Sender<Stored>,
    _permit: OwnedSemaphorePermit,
}

/// The way to the writer; cheap to clone.
#[derive(Clone)]
pub struct LogWriter {
    queue: mpsc::Sender<Submission>,
    budget: Arc<Semaphore>,
    marks: Arc<Marks>,
}

/// The writer stopped.
#[derive(Debug, thiserror::Error)]
#[error("the control plane stops")]
pub struct Stopped;

impl LogWriter {
    /// Starts the writer with the store's marks. It ends when `stop` is cancelled: what was not committed by then
    /// is not acknowledged and comes again.
    pub async fn start(
        app: Arc<App>,
        stop: CancellationToken,
    ) -> Result<(Self, tokio::task::JoinHandle<()>), StoreError> {
        let marks = Arc::new(Marks::new(app.store().high_water_marks().await?));
        let (queue, submissions) = mpsc::channel(GROUP_BATCHES);
        let writer = Writer { app, marks: Arc::clone(&marks), stop, pace: Pace::default() };
        let task = tokio::spawn(writer.run(submissions));
        Ok((Self { queue, budget: Arc::new(Semaphore::new(QUEUED_KIB)), marks }, task))
    }

    /// The marks of all agents.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Hands a batch to the writer; waits while the queue is full. The answer comes after the commit; it never
    /// comes when the process stops before.
    pub async fn submit(&self, batch: NewBatch) -> Result<oneshot::Receiver<Stored>, Stopped> {
        let kib = u32::try_from(batch.payload.len() / 1024 + 1).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.budget).acquire_many_owned(kib).await.map_err(|_| Stopped)?;
        let (answer, answered) = oneshot::channel();
        let submission = Submission { batch, answer, _permit: permit };
        self.queue.send(submission).await.map_err(|_| Stopped)?;
        Ok(answered)
    }
}

struct Writer {
    app: Arc<App>,
    marks: Arc<Marks>,
    stop: CancellationToken,
    pace: Pace,
}

impl Writer {
    async fn run(mut self, mut submissions: mpsc::Receiver<Submission>) {
        loop {
            let first = tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.app.alive.asked() => {
                    self.app.alive.log().beat();
                    continue;
                }
                first = submissions.recv() => first,
            };
            let Some(first) = first else { return };
            let mut bytes = first.batch.payload.len();
            let mut group = vec![first];
            while group.len() < GROUP_BATCHES && bytes < self.pace.bytes() {
                let Ok(next) = submissions.try_recv() else { break };
                bytes += next.batch.payload.len();
                group.push(next);
            }
            if !self.store(group).await {
                return;
            }
        }
    }

    /// Stores a group and answers each of it; false when the process stops first.
    async fn store(&mut self, group: Vec<Submission>) -> bool {
        let mut wait = DoublingWait::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            self.app.alive.log().beat();
            let (rows, answers) = self.plan(&group);
            let started = Instant::now();
            let appended =
                if rows.is_empty() { Ok(None) } else { self.app.store().append(&rows).await.map(Some) };
            match appended {
                Ok(position) => {
                    let took = started.elapsed();
                    let bytes: usize = rows.iter().map(|row| row.payload.len()).sum();
                    self.pace.took(bytes, took);
                    self.stored(&rows, position, took);
                    let came: u64 = group.iter().map(|one| u64::from(one.batch.count)).sum();
                    let kept: u64 = rows.iter().map(|row| u64::from(row.count)).sum();
                    self.app.metrics.duplicates.increment(came - kept);
                    for (submission, answer) in group.into_iter().zip(answers) {
                        // A connection that is gone does not need its answer.
                        let _ = submission.answer.send(answer);
                    }
                    return true;
                }
                Err(error) => {
                    if self.app.health.failed(Part::Log, error.to_string()) {
                        tracing::error!(%error, "observations are not stored and not acknowledged; retrying");
                    }
                    self.reread().await;
                }
            }
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(wait.next()) => {}
            }
        }
    }

    fn stored(&self, rows: &[NewBatch], position: Option<i64>, took: Duration) {
        if self.app.health.works(Part::Log) {
            tracing::info!("observations are stored again");
        }
        let Some(position) = position else { return };
        for row in rows {
            self.marks.advance(row.agent, row.last);
        }
        let metrics = &self.app.metrics;
        metrics.batches.increment(rows.len() as u64);
        metrics.observations.increment(rows.iter().map(|row| u64::from(row.count)).sum());
        metrics.log_commits.increment(1);
        metrics.log_commit_seconds.record(took.as_secs_f64());
        nimbus_platform::reached("cp::stored");
        self.app.log_moved(position);
    }

    /// The rows to append: what is new of each batch, in order, and the answer to each submission.
    fn plan(&self, group: &[Submission]) -> (Vec<NewBatch>, Vec<Stored>) {
        let mut ahead = std::collections::HashMap::new();
        let mut rows = Vec::with_capacity(group.len());
        let mut answers = Vec::with_capacity(group.len());
        for Submission { batch, .. } in group {
            let mark = *ahead.entry(batch.agent).or_insert_with(|| self.marks.get(batch.agent));
            let gap = batch.first > mark + 1;
            let new = match marks::trim(batch.clone(), mark) {
                Ok(new) => new,
                Err(error) => {
                    // The payload was packed here a moment ago.
                    tracing::error!(%error, agent = %batch.agent, "a packed batch does not unpack");
                    None
                }
            };
            let mark = new.as_ref().map_or(mark, |new| new.last);
            ahead.insert(batch.agent, mark);
            rows.extend(new);
            answers.push(Stored { mark, gap });
        }
        (rows, answers)
    }

    /// After an error it is not known what was committed: the store's marks decide what comes again, and rows whose
    /// commit was not answered are in the log all the same. A store that does not answer is asked again after the
    /// next error: an append below its marks is refused.
    async fn reread(&self) {
        if let Ok(stored) = self.app.store().high_water_marks().await {
            self.marks.replace(stored);
        }
        if let Ok(span) = self.app.store().log_span().await {
            self.app.log_moved(span.last);
        }
    }
}
