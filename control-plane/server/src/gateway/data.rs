//! The data stream of a session: batches in, acknowledgements out, each only after its commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1;
use nimbus_protocol::v1::agent_frame::Body as From;
use nimbus_protocol::v1::server_frame::Body as To;
use nimbus_store::NewBatch;
use quinn::{Connection, SendStream};
use tokio::sync::{mpsc, oneshot};

use super::frames::{self, FrameReader};
use super::ingest_writer::{LogWriter, Stored};
use super::limits::IN_FLIGHT;
use super::marks;
use super::turn_away::{Close, Turned};
use crate::app::App;
use crate::sessions::SessionStats;

/// One session's data stream.
pub struct Data {
    /// Shared state.
    pub app: Arc<App>,
    /// The way to the log.
    pub writer: LogWriter,
    /// Whose observations.
    pub agent: AgentId,
    /// The session's counters.
    pub stats: Arc<SessionStats>,
    /// Where gaps are told; one that waits is enough.
    pub gaps: mpsc::Sender<&'static str>,
}

impl Data {
    /// Serves until the agent leaves or breaks the protocol. At most [`IN_FLIGHT`] batches wait for their commit;
    /// beyond it the stream is not read.
    pub async fn serve(self, connection: Connection) -> Result<Close, Turned> {
        let (send, recv) = connection.accept_bi().await.map_err(|error| Turned::Gone(error.to_string()))?;
        let (waiting_in, waiting) = mpsc::channel(IN_FLIGHT);
        let acks = acknowledge(send, waiting, self.gaps.clone(), self.app.clone());
        tokio::select! {
            ended = self.read(FrameReader::new(recv), waiting_in) => ended,
            ended = acks => ended,
        }
    }

    async fn read(
        &self,
        mut reader: FrameReader,
        waiting: mpsc::Sender<oneshot::Receiver<Stored>>,
    ) -> Result<Close, Turned> {
        let stopped = || Turned::Gone("the control plane stops".to_owned());
        loop {
            // Room first, so that a batch is never held outside the bound.
            let room = waiting.reserve().await.map_err(|_| stopped())?;
            let before = reader.bytes;
            let frame = reader.next::<v1::AgentFrame>().await?;
            let now = self.app.now();
            self.stats.seen(now);
            self.stats.bytes.fetch_add(reader.bytes - before, Ordering::Relaxed);
            let batch = match frame.map(|frame| frame.body) {
                None => return Ok(Close::Bye),
                Some(Some(From::Batch(batch))) => batch,
                Some(Some(From::Heartbeat(_))) => continue,
                Some(_) => return Err(Turned::malformed("a batch on the data stream", "another message")),
            };
            let checked = marks::check(&batch)
                .map_err(|error| Turned::malformed("a batch in order", error.to_string()))?;
            let (first, last, holes) = checked;
            // At most 2,000: checked above.
            let count = u32::try_from(batch.observations.len()).unwrap_or(u32::MAX);
            let payload = marks::payload(&batch);
            drop(batch);
            self.stats.observations.fetch_add(u64::from(count), Ordering::Relaxed);
            if holes {
                let _ = self.gaps.try_send("observations are missing inside a batch");
            }
            let row = NewBatch { agent: self.agent.clone(), first, last, count, received_at: now, payload };
            room.send(self.writer.submit(row).await.map_err(|_| stopped())?);
        }
    }
}

/// Answers in the order of the batches: acknowledgements are cumulative.
async fn acknowledge(
    mut send: SendStream,
    mut waiting: mpsc::Receiver<oneshot::Receiver<Stored>>,
    gaps: mpsc::Sender<&'static str>,
    app: Arc<App>,
) -> Result<Close, Turned> {
    let mut acknowledged = 0;
    while let Some(answer) = waiting.recv().await {
        let stored = answer.await.map_err(|_| Turned::Gone("the control plane stops".to_owned()))?;
        if stored.gap {
            app.metrics.gaps.increment(1);
            // A request that already waits asks for the same.
            let _ = gaps.try_send("observations are missing before a batch");
        }
        acknowledged = stored.mark.max(acknowledged);
        frames::write(&mut send, To::Ack(v1::Ack { sequence: acknowledged })).await?;
    }
    // The reader ended and says why.
    std::future::pending().await
}
