//! Carries out what `nimbus_control_core::leadership` decides: asks the database for the lease, and says when it is lost.

use std::time::Duration;

use nimbus_control_core::leadership::{Answer, BELIEF, Leadership, Lost, PATIENCE, Request, Step};
use nimbus_platform::since_boot;
use nimbus_store::{Store, StoreError};

use crate::belief::Belief;

/// This control plane's part in the lease of its database.
pub struct Lease {
    store: Store,
    machine: Leadership,
    /// The highest epoch that this control plane knows of from elsewhere.
    noted: u64,
    epoch: u64,
    belief: Belief,
    /// What the database said last against it.
    said: Option<StoreError>,
}

impl Lease {
    /// Waits until the lease is won, for as long as it takes. A database that does not answer is a line in the log, said
    /// once until it answers again.
    pub async fn win(store: Store, noted: u64) -> Self {
        let machine = Leadership::new(since_boot());
        let mut lease = Self { store, machine, noted, epoch: 0, belief: Belief::default(), said: None };
        loop {
            // Whoever only stands by cannot lose anything.
            if let Some(epoch) = lease.machine.epoch(since_boot()) {
                lease.epoch = epoch;
                lease.tell();
                return lease;
            }
            if let Some(why) = lease.step().await {
                tracing::warn!(?why, "the lease was won too late to be used; competing again");
                lease.machine = Leadership::new(since_boot());
            }
        }
    }

    /// The epoch under which this one leads.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Until when this one believes that it leads, as it is now and after each renewal.
    pub fn belief(&self) -> Belief {
        self.belief.clone()
    }

    fn tell(&self) {
        self.belief.until(self.machine.believes_until());
    }

    /// Renews the lease until it is lost, and says how. May be dropped at any point.
    pub async fn hold(mut self) -> StoreError {
        loop {
            let ended = self.step().await;
            self.tell();
            let Some(why) = ended else { continue };
            let lapsed = StoreError::Lapsed {
                at: self.store.address(),
                epoch: self.epoch,
                within_s: BELIEF.as_secs(),
            };
            return match why {
                Lost::Superseded => self.said.unwrap_or(lapsed),
                Lost::Lapsed => lapsed,
            };
        }
    }

    async fn step(&mut self) -> Option<Lost> {
        match self.machine.step(since_boot()) {
            Step::End(why) => return Some(why),
            Step::WaitUntil(at) => {
                tokio::time::sleep(at.saturating_sub(since_boot()).max(Duration::from_millis(1))).await;
            }
            Step::Send(request) => {
                let asked = tokio::time::timeout(PATIENCE, self.ask(request)).await;
                let answer = asked.unwrap_or(Answer::Failed);
                self.machine.answer(answer, since_boot());
            }
        }
        None
    }

    async fn ask(&mut self, request: Request) -> Answer {
        let asked = match request {
            Request::Take => {
                self.store.take_lease(self.noted).await.map(|won| won.map_or(Answer::Held, Answer::Taken))
            }
            Request::Renew => self.store.renew_lease().await.map(|()| Answer::Renewed),
        };
        match asked {
            Ok(answer) => {
                if self.said.take().is_some() {
                    tracing::info!("the database answers about the lease again");
                }
                answer
            }
            Err(error) => {
                let superseded = error.is_superseded();
                if self.said.is_none() {
                    tracing::warn!(%error, "the database does not say who leads");
                }
                self.said = Some(error);
                if superseded { Answer::Superseded } else { Answer::Failed }
            }
        }
    }
}
