//! Gathers what `nimbus doctor` judges.

use std::path::PathBuf;

use jiff::SignedDuration;
use nimbus_api::client::{Client, collect};
use nimbus_api::{AgentQuery, MAX_LIMIT, Status};
use nimbus_checks::check::{Gathered, Unread};
use nimbus_checks::clock::Reading;
use nimbus_checks::doctor::{Agent, Installed, Life, Plane, Silence, Snapshot};
use nimbus_checks::kubernetes::{Pod, Trouble, Workload, pods, warnings, workloads};

use super::kubectl::Kubectl;
use super::{certificate, disk, listener};
use crate::connect::{self, Destination};
use crate::context::Context;
use crate::error::Failure;

/// The most agents that are looked at.
const MOST_AGENTS: usize = 10_000;
/// The most pods whose last words are read.
const MOST_HEARD: usize = 3;

/// What is asked about.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The agents' listener, HOST:PORT.
    pub agents: Option<String>,
    /// The control plane's data directory.
    pub data_dir: Option<PathBuf>,
    /// The namespace of the installation in a cluster.
    pub namespace: Option<String>,
    /// That cluster.
    pub kubectl: Kubectl,
}

/// All of it. With a listener alone, and no control plane that anybody named, only the network is looked at.
pub async fn gather(context: &Context, asked: &Asked) -> Result<Snapshot, Failure> {
    let looks_at_plane = asked.agents.is_none() || connect::is_named(context)?;
    let to = if looks_at_plane { Some(connect::resolve(context)?) } else { None };
    let (plane, listener, pods) = tokio::join!(
        async { if looks_at_plane { Some(plane(context).await) } else { None } },
        async {
            match &asked.agents {
                Some(at) => Some(listener::probe(at).await),
                None => None,
            }
        },
        async {
            match &asked.namespace {
                Some(namespace) => Some(installed(&asked.kubectl, namespace).await),
                None => None,
            }
        },
    );
    let (plane, certificate) = match plane {
        None => (None, None),
        Some(Err(silence)) => {
            let unread =
                || Unread::new("the control plane showed no certificate", "see the check `control-plane`");
            let is_tls = to.as_ref().is_some_and(|to| to.server.starts_with("https:"));
            (Some(Err(silence)), is_tls.then(|| Err(unread())))
        }
        Some(Ok((plane, certificate))) => (Some(Ok(plane)), certificate),
    };
    Ok(Snapshot {
        now: nimbus_platform::now(),
        build: env!("CARGO_PKG_VERSION").to_owned(),
        plane,
        certificate,
        authority: authority(to.as_ref(), asked).map(|path| certificate::of_file(&path)),
        listener,
        disk: asked.data_dir.as_deref().map(disk::look),
        pods,
    })
}

/// The file with the CA: the context's, or that of the data directory.
fn authority(to: Option<&Destination>, asked: &Asked) -> Option<PathBuf> {
    let own = || asked.data_dir.as_ref().map(|directory| directory.join("ca.pem"));
    to.and_then(|to| to.ca_file.clone()).or_else(own)
}

type Found = (Plane, Option<Gathered<Life>>);

async fn plane(context: &Context) -> Result<Found, Silence> {
    ask(context).await.map_err(|failure| {
        let parts = [&failure.title, &failure.detail, &failure.found];
        let said: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        let expected = if failure.expected.is_empty() {
            String::new()
        } else {
            format!(" (expected {})", failure.expected)
        };
        // Not with a colon: behind `token:` everything would be taken for one, and redacted.
        Silence { found: format!("{}{expected}", said.join("; ")), remedy: remedy(&failure) }
    })
}

fn remedy(failure: &Failure) -> String {
    if failure.next.is_empty() { "look at the control plane's log".to_owned() } else { failure.next.clone() }
}

async fn ask(context: &Context) -> Result<Found, Failure> {
    let client = connect::open(context)?;
    let before = nimbus_platform::now();
    let status = client.status().await?.typed;
    let after = nimbus_platform::now();
    let clock = Reading { before, shown: status.now, grain: SignedDuration::ZERO, after };
    let page = async |after| {
        client.agents(&AgentQuery { limit: Some(MAX_LIMIT), after, ..AgentQuery::default() }).await
    };
    let listed = collect(MOST_AGENTS, page).await?;
    let has_more_agents = listed.next.is_some();
    let agents = listed.items.into_iter().filter(|agent| agent.state != "revoked").map(agent).collect();
    let certificate = shown(&client).await;
    Ok((read(status, client.server(), clock, agents, has_more_agents), certificate))
}

/// The certificate that it shows; none over plain HTTP.
async fn shown(client: &Client) -> Option<Gathered<Life>> {
    match client.certificate().await {
        Ok(der) => der.map(|der| certificate::life(&der, &format!("the certificate of {}", client.server()))),
        Err(error) => {
            let remedy = "run this again; if it stays so, look at the control plane's log";
            Some(Err(Unread::new(error.to_string(), remedy)))
        }
    }
}

fn read(status: Status, server: String, clock: Reading, agents: Vec<Agent>, has_more_agents: bool) -> Plane {
    let storage = status.storage;
    Plane {
        server,
        version: status.version,
        waiting_for: status.waiting_for,
        notices: status.notices,
        stored: storage.log_position,
        applied: storage.log_applied,
        storage: storage.kind,
        checked_at: storage.checked_at,
        damage: storage.damage,
        bounds: status.bounds.into_iter().map(|bound| bound.text).collect(),
        clock,
        agents,
        has_more_agents,
    }
}

fn agent(agent: nimbus_api::Agent) -> Agent {
    Agent {
        name: agent.name,
        version: agent.version,
        is_connected: agent.state == "connected",
        reason: agent.reason,
        transport: agent.transport,
        problems: agent.problems,
        dropped: agent.dropped,
    }
}

/// What of Nimbus is in a namespace; of what lacks pods, and of pods that are not started, also why.
async fn installed(kubectl: &Kubectl, namespace: &str) -> Gathered<Installed> {
    let words = ["get", "deployments,statefulsets,daemonsets", "-o", "json", "--namespace", namespace];
    let (pods, mut workloads) = tokio::join!(running(kubectl, namespace), kubectl.read(&words, workloads));
    let mut pods = pods?;
    let lacks_pods = workloads.as_deref().is_ok_and(|all| all.iter().any(Workload::is_unexplained));
    if lacks_pods || pods.iter().any(Pod::is_unexplained) {
        let words =
            ["get", "events", "--field-selector=type=Warning", "-o", "json", "--namespace", namespace];
        // What they tell helps; without it the pods are as little there.
        if let Ok(warnings) = kubectl.read(&words, warnings).await {
            workloads.iter_mut().flatten().for_each(|workload| workload.explain(&warnings));
            for pod in &mut pods {
                pod.explain(&warnings);
            }
        }
    }
    Ok(Installed { pods, workloads })
}

/// The pods of a namespace; of the first that are not ready, or ended, also the last that they said.
async fn running(kubectl: &Kubectl, namespace: &str) -> Gathered<Vec<Pod>> {
    let words = ["get", "pods", "-o", "json", "--namespace", namespace];
    let mut found = kubectl.read(&words, pods).await?;
    // A name that is none of a pod would be an option of kubectl's.
    let is_name = |name: &str| name.starts_with(|first: char| first.is_ascii_alphanumeric());
    let says_nothing =
        |pod: &Pod| matches!(pod.trouble, Some(Trouble::NotReady | Trouble::Ended(_) | Trouble::Test(_)));
    let silent = found.iter_mut().filter(|pod| says_nothing(pod) && is_name(&pod.name));
    for pod in silent.take(MOST_HEARD) {
        let words = ["logs", pod.name.as_str(), "--namespace", namespace, "--tail=1"];
        // What it said helps; without it the pod is as little ready.
        if let Ok(ran) = kubectl.run(&words, None).await
            && ran.is_well
        {
            String::from_utf8_lossy(&ran.printed).trim().clone_into(&mut pod.said);
        }
    }
    Ok(found)
}
