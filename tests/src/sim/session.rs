//! A simulated agent's session: hello, batches, acknowledgements and jobs.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nimbus_protocol::{frame, v1, version};
use prost::Message;
use tokio::sync::watch;

use super::identity::{Identity, SERVER_NAME, client_config, endpoint};

/// The control plane turned the peer away.
#[derive(Debug, thiserror::Error)]
#[error("refused ({}): expected {}, found {}; {}", .0.code, .0.expected, .0.found, .0.remedy)]
pub struct Refused(pub v1::Refusal);

/// A raw connection with the control stream open and nothing said yet.
pub struct Connected {
    /// Kept alive for the connection's life.
    pub endpoint: quinn::Endpoint,
    /// The connection.
    pub connection: quinn::Connection,
    /// Control stream.
    pub control: (quinn::SendStream, quinn::RecvStream),
}

impl Connected {
    /// Dials with the identity's certificate, or with what is given in its place.
    pub async fn dial(server: SocketAddr, config: quinn::ClientConfig) -> anyhow::Result<Self> {
        let endpoint = endpoint()?;
        let connection =
            endpoint.connect_with(config, server, SERVER_NAME)?.await.context("session connection")?;
        let control = connection.open_bi().await?;
        Ok(Self { endpoint, connection, control })
    }
}

/// The data stream's two halves.
pub struct Data {
    /// Batches go up.
    pub send: quinn::SendStream,
    /// Acks come down.
    pub receive: quinn::RecvStream,
}

/// A session that was welcomed.
pub struct SimSession {
    /// The connection underneath.
    pub connected: Connected,
    /// Batches and acks.
    pub data: Data,
    /// What the control plane said first.
    pub welcome: v1::Welcome,
}

impl SimSession {
    /// Connects, says hello, opens the data stream. Nothing but the agent's own heartbeats keeps it open: see [`Self::stay`].
    pub async fn start(server: SocketAddr, identity: &Identity, next_sequence: u64) -> anyhow::Result<Self> {
        Self::start_with(server, identity, greeting(identity, next_sequence)).await
    }

    /// Connects and says this hello.
    pub async fn start_with(
        server: SocketAddr,
        identity: &Identity,
        hello: v1::Hello,
    ) -> anyhow::Result<Self> {
        Self::start_as(server, config_of(identity)?, hello).await
    }

    async fn start_as(
        server: SocketAddr,
        config: quinn::ClientConfig,
        hello: v1::Hello,
    ) -> anyhow::Result<Self> {
        let mut connected = Connected::dial(server, config).await?;
        let hello = v1::AgentFrame { body: Some(v1::agent_frame::Body::Hello(hello)) };
        write_frame(&mut connected.control.0, &hello).await?;
        let answer: v1::ServerFrame = read_frame(&mut connected.control.1).await?;
        let welcome = match answer.body {
            Some(v1::server_frame::Body::Welcome(welcome)) => welcome,
            Some(v1::server_frame::Body::Refusal(refusal)) => return Err(Refused(refusal).into()),
            other => bail!("expected a welcome, found {other:?}"),
        };
        let (send, receive) = connected.connection.open_bi().await?;
        Ok(Self { connected, data: Data { send, receive }, welcome })
    }

    /// Sends observations, the first with sequence `first`; numbers the others after it.
    pub async fn send(&mut self, first: u64, mut observations: Vec<v1::Observation>) -> anyhow::Result<()> {
        for (sequence, observation) in (first..).zip(&mut observations) {
            observation.sequence = sequence;
        }
        let batch = v1::ObservationBatch { first_sequence: first, observations };
        write_frame(&mut self.data.send, &v1::AgentFrame { body: Some(v1::agent_frame::Body::Batch(batch)) })
            .await
    }

    /// Says at each heartbeat that it is there, first after `first`, and takes what comes, until the connection ends; nothing is
    /// sent on it but that. A real agent does the same when there is nothing to say. While `hushed` it skips its heartbeats,
    /// which has to end before the control plane takes it for gone.
    pub async fn stay(mut self, first: Duration, hushed: watch::Receiver<bool>) -> anyhow::Error {
        let every = Duration::from_millis(u64::from(self.welcome.heartbeat_ms).max(1_000));
        let beat = v1::AgentFrame { body: Some(v1::agent_frame::Body::Heartbeat(v1::Heartbeat::default())) };
        let (send, receive) = &mut self.connected.control;
        let sending = async {
            tokio::time::sleep(first).await;
            loop {
                if !*hushed.borrow()
                    && let Err(error) = write_frame(send, &beat).await
                {
                    return error;
                }
                tokio::time::sleep(every).await;
            }
        };
        let reading = async {
            loop {
                if let Err(error) = read_frame::<v1::ServerFrame>(receive).await {
                    return error;
                }
            }
        };
        tokio::select! {
            error = sending => error,
            error = reading => error,
        }
    }

    /// Waits for the next ack.
    pub async fn ack(&mut self) -> anyhow::Result<u64> {
        loop {
            let answer: v1::ServerFrame = read_frame(&mut self.data.receive).await?;
            if let Some(v1::server_frame::Body::Ack(ack)) = answer.body {
                return Ok(ack.sequence);
            }
        }
    }

    /// Waits for the next job.
    pub async fn job(&mut self) -> anyhow::Result<v1::Envelope> {
        loop {
            let answer: v1::ServerFrame = read_frame(&mut self.connected.control.1).await?;
            if let Some(v1::server_frame::Body::Job(envelope)) = answer.body {
                return Ok(envelope);
            }
        }
    }
}

/// What an agent of a host says first.
pub fn greeting(identity: &Identity, next_sequence: u64) -> v1::Hello {
    v1::Hello {
        lowest_version: version::LOWEST,
        highest_version: version::HIGHEST,
        agent_id: identity.agent_id.clone(),
        agent_version: "0.0.0-simulated".into(),
        kind: "host".into(),
        hostname: "simulated".into(),
        next_sequence,
        ..Default::default()
    }
}

fn config_of(identity: &Identity) -> anyhow::Result<quinn::ClientConfig> {
    client_config(&identity.ca, Some((identity.chain.clone(), identity.key.clone_key())))
}

/// Writes one message as one frame.
pub async fn write_frame<M: Message>(send: &mut quinn::SendStream, message: &M) -> anyhow::Result<()> {
    send.write_all(&frame::encode(message)?).await?;
    Ok(())
}

/// Reads one frame.
pub async fn read_frame<M: Message + Default>(receive: &mut quinn::RecvStream) -> anyhow::Result<M> {
    let mut head = [0; frame::HEADER];
    receive.read_exact(&mut head).await.context("a frame's header")?;
    let header = frame::Header::parse(&head)?;
    let mut body = vec![0; header.length];
    receive.read_exact(&mut body).await.context("a frame's body")?;
    Ok(header.decode(&body)?)
}
