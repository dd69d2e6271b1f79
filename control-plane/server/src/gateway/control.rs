//! The control stream of a session: heartbeats, jobs, requests to list again, renewals. It never waits for data.

use std::time::Instant;

use nimbus_protocol::ids::AgentId;
use nimbus_protocol::v1::agent_frame::Body as From;
use nimbus_protocol::v1::server_frame::Body as To;
use nimbus_protocol::{to_micros, v1};
use quinn::SendStream;
use tokio::sync::{mpsc, watch};

use super::frames::{self, FrameReader};
use super::turn_away::{Close, Turned};
use super::{limits, renew};
use crate::app::App;
use crate::claims;
use crate::sessions::{Cut, Registration};

/// One session's control stream.
pub struct Control<'a> {
    /// Shared state.
    pub app: &'a App,
    /// Whose session.
    pub agent: &'a AgentId,
    /// Its place in the registry.
    pub registration: Registration,
    /// Gaps that the data stream found: why to list again.
    pub gaps: mpsc::Receiver<&'static str>,
}

impl Control<'_> {
    /// Serves until the agent leaves, breaks the protocol, or this side ends the session.
    pub async fn serve(mut self, send: &mut SendStream, reader: &mut FrameReader) -> Result<Close, Turned> {
        let mut last_renewal: Option<Instant> = None;
        let mut last_resync: Option<Instant> = None;
        let mut pending: Option<&'static str> = None;
        loop {
            let resync_in = pending.map(|_| {
                last_resync
                    .map_or(std::time::Duration::ZERO, |at| limits::RESYNC_EVERY.saturating_sub(at.elapsed()))
            });
            tokio::select! {
                biased;
                why = cut(&mut self.registration.cut) => return ended(why),
                job = self.registration.jobs.recv() => {
                    let Some(job) = job else { return ended(Some(Cut::Replaced)) };
                    frames::write(send, To::Job(job)).await?;
                }
                frame = reader.next::<v1::AgentFrame>() => {
                    self.registration.stats.seen(self.app.now());
                    match frame?.map(|frame| frame.body) {
                        None => return Ok(Close::Bye),
                        Some(Some(From::Heartbeat(_))) => {
                            let at_us = to_micros(self.app.now());
                            frames::write(send, To::Heartbeat(v1::Heartbeat { at_us })).await?;
                        }
                        Some(Some(From::Renew(request))) => {
                            if last_renewal.is_some_and(|at| at.elapsed() < limits::RENEWAL_EVERY) {
                                return Err(Turned::malformed("a renewal now and then", "one right after another"));
                            }
                            last_renewal = Some(Instant::now());
                            let renewed = renew::renew(self.app, self.agent, &request).await?;
                            frames::write(send, To::Renewed(renewed)).await?;
                        }
                        Some(_) => {
                            let expected = "a heartbeat or a renewal on the control stream";
                            return Err(Turned::malformed(expected, "another message"));
                        }
                    }
                }
                Some(reason) = self.gaps.recv() => pending = Some(reason),
                () = tokio::time::sleep(resync_in.unwrap_or_default()), if resync_in.is_some() => {
                    let reason = pending.take().unwrap_or_default().to_owned();
                    last_resync = Some(Instant::now());
                    tracing::info!(agent = %self.agent, reason, "asked to list everything again");
                    frames::write(send, To::Resync(v1::ResyncRequest { reason })).await?;
                }
            }
        }
    }
}

/// Waits until the session is to end. The sender lives in the registry until the session is removed.
pub async fn cut(why: &mut watch::Receiver<Option<Cut>>) -> Option<Cut> {
    why.wait_for(Option::is_some).await.ok().and_then(|why| *why)
}

/// What is told to the agent of a session that was cut.
pub fn ended(why: Option<Cut>) -> Result<Close, Turned> {
    match why {
        Some(Cut::Replaced) => Ok(Close::Replaced),
        Some(Cut::ShuttingDown) | None => Ok(Close::ShuttingDown),
        Some(Cut::WrongCluster) => Err(Turned::refused(
            "wrong_cluster",
            claims::EXPECTED,
            "one that watches a cluster for which it may not speak",
            claims::REMEDY,
        )),
        Some(Cut::Revoked) => Err(Turned::refused(
            "revoked",
            "an agent that is not revoked",
            "it was revoked just now",
            "join it again: `nimbus agents token create`, then start the agent with --join",
        )),
    }
}
