//! The two parts of `nimbus up`, a control plane and an agent, started in this order and stopped in reverse.

use std::net::SocketAddr;
use std::time::Duration;

use nimbus_agent::identity::Identity;
use nimbus_agent::{Agent, ClusterSource};
use nimbus_api::OPERATOR;
use nimbus_cli::error::Failure;
use nimbus_cli::files;
use nimbus_control_plane::tokens::NewAgent;
use nimbus_control_plane::{AgentKind, ControlPlane};
use tokio::time::timeout;

use crate::cluster::Found;
use crate::settings::Settings;
use crate::{failure, follow, policy};

/// Longest wait for everything to stop.
const STOP: Duration = Duration::from_secs(10);
/// How long the token is accepted with which this machine's agent joins.
const JOIN: Duration = Duration::from_mins(1);

/// What runs.
pub(super) struct Parts {
    pub control_plane: ControlPlane,
    pub agent: Agent,
    pub agent_name: String,
    pub policy: policy::Policy,
    followers: Vec<tokio::task::JoinHandle<()>>,
}

impl Parts {
    /// The agent first, so that its last reports are stored; everything within ten seconds.
    pub async fn stop(self) -> Result<(), Failure> {
        for follower in &self.followers {
            follower.abort();
        }
        let stopping = async {
            self.agent.stop().await;
            self.control_plane.stop().await;
        };
        timeout(STOP, stopping).await.map_err(|_| {
            Failure::new(format!("not everything stopped within {} s", STOP.as_secs()))
                .found("something is still being written")
                .next("start it again: it continues from what was stored")
        })
    }
}

/// Starts both; when the agent does not start, the control plane is stopped again.
pub(super) async fn start(settings: &Settings, found: &Found) -> Result<Parts, Failure> {
    let control_plane = ControlPlane::start(settings.control_plane())
        .await
        .map_err(|error| failure::control_plane(&error))?;
    match start_agent(settings, found, &control_plane).await {
        Ok((agent, agent_name, policy)) => {
            let mut followers = vec![follow::enabled(
                control_plane.enabled_clusters(),
                agent.status(),
                found.uid.clone(),
                policy.clone(),
            )];
            if found.awaited() {
                followers.push(follow::named(control_plane.app().clone(), &agent));
            }
            Ok(Parts { control_plane, agent, agent_name, policy, followers })
        }
        Err(failure) => {
            control_plane.stop().await;
            Err(failure)
        }
    }
}

async fn start_agent(
    settings: &Settings,
    found: &Found,
    control_plane: &ControlPlane,
) -> Result<(Agent, String, policy::Policy), Failure> {
    let data_dir = settings.data_dir.join("agent");
    let server = loopback(control_plane.quic_addr());
    let mut config = nimbus_agent::Config::new(&data_dir, server.to_string());
    config.cluster = found.source.clone();
    config.watch.clone_from(&settings.watch);
    // The control plane's own database below a watched path would always be drift.
    config.exclude = settings.exclude.iter().chain([&settings.data_dir]).cloned().collect();
    let hostname = config.hostname();
    let policy = policy::Policy::open(&config.policy, &settings.watch)?;
    policy.write(&control_plane.enabled_clusters().borrow(), found.uid.as_deref())?;
    let name = agent_name(&hostname);
    // Whoever runs this owns both sides: the agent may report for the cluster that it is pointed at.
    let identity = data_dir.join("identity");
    let mut joined = Identity::load(&identity)
        .map_err(|error| failure::identity(&error, &identity, &settings.data_dir, &name))?;
    let kind = if found.source == ClusterSource::None { AgentKind::Host } else { AgentKind::Cluster };
    if let Some(agent) = &joined
        && !control_plane.knows(agent.agent_id).await.map_err(|error| unknown(&error))?
    {
        // The history that it joined in is gone, or is an older one again; this machine's own agent joins once more.
        tracing::warn!(agent = %agent.agent_id, "this machine's agent is not in the database; it joins anew");
        std::fs::remove_dir_all(&identity).map_err(|error| files::unwritable(&identity, &error))?;
        joined = None;
    }
    if let Some(agent) = &joined {
        let revoked = control_plane.is_revoked(agent.agent_id).await;
        if revoked.map_err(|error| unknown(&error))? {
            return Err(Failure::new("this machine's agent was revoked")
                .expected("an agent that is not revoked")
                .found(agent.agent_id.to_string())
                .next(format!("to let it join again, remove {} and start again", identity.display())));
        }
    }
    // It joined when there was no cluster. Now there is one, and the control plane makes it an agent of a cluster as it
    // grants the cluster below.
    if let Some(agent) =
        joined.as_mut().filter(|agent| kind == AgentKind::Cluster && agent.kind != kind.as_str())
    {
        kind.as_str().clone_into(&mut agent.kind);
        agent.save(&identity).map_err(|error| {
            Failure::new("this machine's agent cannot become an agent of the cluster")
                .detail(error.to_string())
        })?;
    }
    match (joined, &found.uid) {
        (None, uid) => {
            let new_agent = NewAgent { name: &name, kind, cluster: uid.as_deref(), uses: 1 };
            let token =
                control_plane.create_join_token(new_agent, JOIN, OPERATOR).await.map_err(|error| {
                    Failure::new("this machine's agent got no join token").detail(error.to_string())
                })?;
            config.join = Some(token.to_string());
        }
        (Some(agent), Some(uid)) => {
            let granted = control_plane.grant_cluster(agent.agent_id, uid, OPERATOR).await;
            granted.map_err(|error| {
                Failure::new("this machine's agent may not watch the cluster").detail(error.to_string())
            })?;
        }
        // Of a cluster that does not answer yet the UID is not known: see `follow::named`.
        (Some(_), None) => {}
    }
    let agent = Agent::start(config).await.map_err(|error| failure::agent(&error))?;
    Ok((agent, name, policy))
}

fn unknown(error: &impl std::fmt::Display) -> Failure {
    Failure::new("it is not known whether this machine's agent has joined").detail(error.to_string())
}

/// Where this machine's agent dials: an unspecified address is reached over loopback.
fn loopback(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// The host's name as an agent's: letters, digits, `-`, `_` and `.`, at most 63.
fn agent_name(hostname: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = hostname.chars().take(63).map(plain).collect();
    if name.is_empty() { "this-host".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_host_has_a_name_that_an_agent_may_have() {
        assert_eq!(agent_name("build-host.example"), "build-host.example");
        assert_eq!(agent_name("größe 1"), "gr--e-1");
        assert_eq!(agent_name(""), "this-host");
        assert_eq!(agent_name(&"a".repeat(200)).len(), 63);
    }

    #[test]
    fn the_agent_beside_it_dials_loopback() {
        let at = |text: &str| loopback(text.parse().unwrap()).to_string();
        assert_eq!(at("0.0.0.0:7071"), "127.0.0.1:7071");
        assert_eq!(at("[::]:7071"), "[::1]:7071");
        assert_eq!(at("10.0.0.5:7071"), "10.0.0.5:7071");
    }
}
