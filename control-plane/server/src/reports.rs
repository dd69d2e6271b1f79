//! The queue of job reports between the sessions, which receive them, and the tasks, which commit them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::JobReport;
use tokio::sync::oneshot;

/// Reports of all agents that may wait. At it a session is ended as overloaded; its agent sends them again later.
const MOST: usize = 4_096;

/// A report, and where to say that it is committed.
#[derive(Debug)]
pub struct Submitted {
    /// Who reports.
    pub agent: AgentId,
    /// What it says.
    pub report: JobReport,
    committed: oneshot::Sender<()>,
}

impl Submitted {
    /// The report is committed, or nothing of it has to be.
    pub fn acknowledge(self) {
        // A session that is gone does not need the answer.
        let _ = self.committed.send(());
    }
}

/// [`MOST`] reports wait already.
#[derive(Debug, thiserror::Error)]
#[error("{MOST} reports that wait for their commit")]
pub struct QueueFull;

/// The reports that wait, oldest first.
#[derive(Debug, Default)]
pub struct ReportQueue(Mutex<VecDeque<Submitted>>);

impl ReportQueue {
    /// Adds a report. The answer comes after its commit; it never comes when the process stops before.
    pub fn submit(&self, agent: AgentId, report: JobReport) -> Result<oneshot::Receiver<()>, QueueFull> {
        let mut waiting = self.lock();
        if waiting.len() >= MOST {
            return Err(QueueFull);
        }
        let (committed, answer) = oneshot::channel();
        waiting.push_back(Submitted { agent, report, committed });
        Ok(answer)
    }

    /// The oldest one.
    pub(crate) fn next(&self) -> Option<Submitted> {
        self.lock().pop_front()
    }

    /// Puts the oldest one back: it was not taken.
    pub(crate) fn requeue(&self, submitted: Submitted) {
        self.lock().push_front(submitted);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Submitted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reports_are_taken_in_order_and_a_full_queue_says_so() {
        let queue = ReportQueue::default();
        let agent = AgentId::from(uuid::Uuid::from_u128(1));
        let report = |n: usize| JobReport { job_id: n.to_string(), ..Default::default() };
        let first = queue.submit(agent, report(0)).unwrap();
        for n in 1..MOST {
            drop(queue.submit(agent, report(n)).unwrap());
        }
        assert!(queue.submit(agent, report(MOST)).is_err());
        let taken = queue.next().unwrap();
        assert_eq!(taken.report, report(0));
        queue.requeue(taken);
        queue.next().unwrap().acknowledge();
        first.await.unwrap();
        assert_eq!(queue.next().unwrap().report, report(1));
    }
}
