//! Carries out the leader election: sends the requests that [`nimbus_agent_core::election`] asks for, and publishes who
//! leads.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use nimbus_agent_core::election::{Answer, Election, Lease, Request, Step};
use nimbus_platform::since_boot;
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use nimbus_agent_core::election::Leadership;

use super::request::{self, RequestError};
use crate::config::LeaseSettings;
use crate::status::SharedStatus;

/// Longest wait at the end until the Lease is given back.
const RELEASE: Duration = Duration::from_secs(2);

/// The election of this replica.
pub struct Elector {
    client: Client,
    settings: LeaseSettings,
    election: Election,
    out: Arc<watch::Sender<Leadership>>,
    status: Arc<SharedStatus>,
    /// Where the Lease is, once it is known.
    namespace: Option<String>,
}

impl Elector {
    /// Elects `identity` (unique to a data directory) through the cluster of `client`; publishes to `out`.
    pub fn new(
        client: Client,
        settings: LeaseSettings,
        identity: String,
        out: Arc<watch::Sender<Leadership>>,
        status: Arc<SharedStatus>,
    ) -> Self {
        let election = Election::new(identity, settings.duration);
        Self { client, settings, election, out, status, namespace: None }
    }

    /// Runs until cancelled, then gives the Lease back. An agent that the control plane refuses gives it back too and does
    /// not compete: its observations reach nobody, and another agent's would.
    pub async fn run(mut self, cancel: CancellationToken) {
        tokio::select! {
            () = cancel.cancelled() => {}
            () = self.forever() => {}
        }
        self.election.compete(false);
        self.out.send_replace(Leadership::Unknown);
        let given_back = tokio::time::timeout(RELEASE, self.give_back()).await;
        if !matches!(given_back, Ok(Ok(()))) {
            tracing::info!("the watch Lease was not given back; it runs out by itself");
        }
    }

    /// Gives the Lease back where this agent holds it, also where a request that was on its way changed or took it.
    async fn give_back(&mut self) -> Result<(), RequestError> {
        if let Step::Send(request) = self.election.poll(since_boot(), nimbus_platform::now()) {
            match self.send(request).await {
                Ok(_) => return Ok(()),
                Err(error) if error.code() == 409 => {}
                Err(error) => return Err(error),
            }
        }
        let found = self.send(Request::Get).await?;
        match self.election.give_back(found, nimbus_platform::now()) {
            Some(request) => self.send(request).await.map(drop),
            None => Ok(()),
        }
    }

    async fn forever(&mut self) {
        let mut status = self.status.subscribe();
        let mut stands_back = false;
        loop {
            let (refused, leaving) = {
                let now = status.borrow_and_update();
                (now.rejected, now.leaving)
            };
            if (refused || leaving) != stands_back {
                stands_back = refused || leaving;
                self.election.compete(!stands_back);
                self.publish();
                if refused {
                    tracing::warn!(
                        "the control plane refuses this agent: it leads no cluster until that ends"
                    );
                }
            }
            // The board outlives this loop; any change of the status wakes it, which does no harm.
            match self.election.poll(since_boot(), nimbus_platform::now()) {
                Step::Send(request) => {
                    let answer = self.ask(request).await;
                    self.election.answer(answer, since_boot(), nimbus_platform::now());
                    self.publish();
                }
                Step::WaitUntil(until) => tokio::select! {
                    () = tokio::time::sleep(until.saturating_sub(since_boot())) => {}
                    _ = status.changed() => {}
                },
                Step::Rest => {
                    let _ = status.changed().await;
                }
            }
        }
    }

    fn publish(&self) {
        self.out.send_replace(self.election.leadership());
        let lease = format!("{}/{}", self.namespace.as_deref().unwrap_or("?"), self.settings.name);
        let problem = self.election.problem().map(|found| {
            format!(
                "expected to hold or follow the Lease {lease}, found: {found}; check the API server and that this agent \
                 may get, create and update leases there (the chart gives that right in lease.namespace)"
            )
        });
        self.status.problem("lease", problem);
    }

    async fn ask(&mut self, request: Request) -> Answer {
        let making = matches!(request, Request::Create(_));
        let patience = self.election.patience();
        match tokio::time::timeout(patience, self.send(request)).await {
            Ok(Ok(lease)) => Answer::Lease(lease),
            Ok(Err(error)) => match error.code() {
                404 => {
                    if making {
                        // The namespace is gone; another one may take its place.
                        self.namespace = None;
                    }
                    Answer::Absent
                }
                409 => Answer::Conflict,
                _ => Answer::Failed(error.to_string()),
            },
            Err(_) => Answer::Failed(format!("no answer within {} s", patience.as_secs_f32())),
        }
    }

    async fn send(&mut self, request: Request) -> Result<Lease, RequestError> {
        let leases = self.collection().await?;
        let (name, client) = (&self.settings.name, &self.client);
        let one = format!("{leases}/{name}");
        let object: Value = match request {
            Request::Get => request::get(client, &one).await?,
            Request::Create(lease) => request::post(client, &leases, &lease.write(name)).await?,
            Request::Replace(lease) => request::put(client, &one, &lease.write(name)).await?,
        };
        Lease::read(object).ok_or_else(|| {
            RequestError::Unanswered("an answer that is no Lease with a resourceVersion".to_owned())
        })
    }

    /// Where the Leases are: the namespace that has this one already, otherwise the first that exists.
    async fn collection(&mut self) -> Result<String, RequestError> {
        let leases = |namespace: &str| format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        if let Some(namespace) = &self.namespace {
            return Ok(leases(namespace));
        }
        let lease = |namespace: &str| format!("{}/{}", leases(namespace), self.settings.name);
        let found = match self.first(lease).await? {
            Some(found) => Some(found),
            None => self.first(|namespace| format!("/api/v1/namespaces/{namespace}")).await?,
        };
        let namespace = found.ok_or_else(|| {
            RequestError::Unanswered(format!(
                "none of the namespaces {}; create the first one",
                self.settings.namespaces.join(", ")
            ))
        })?;
        let path = leases(&namespace);
        self.namespace = Some(namespace);
        Ok(path)
    }

    /// The first of the namespaces for which something stands at `path`.
    async fn first(&self, path: impl Fn(&str) -> String) -> Result<Option<String>, RequestError> {
        for namespace in &self.settings.namespaces {
            let found: Option<Value> = request::get_optional(&self.client, &path(namespace)).await?;
            if found.is_some() {
                return Ok(Some(namespace.clone()));
            }
        }
        Ok(None)
    }
}
