//! The two ways between agent and control plane, QUIC and TCP, in networks that drop UDP from the start, drop it later, drop
//! only large packets, reset TCP, or have nothing but a proxy. Processes, packets and proxy are real; each test has a network
//! namespace of its own.
//! A long fault test.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::netns::{inside, iptables};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::process::free_port;
use nimbus_tests::proxy::Proxy;
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::{Value, json};

/// Longest wait for one step: a QUIC session is silent for 15 s before the agent gives it up, and QUIC is probed after a minute.
const PATIENCE: Duration = Duration::from_mins(3);

struct Site {
    plane: Plane,
    root: tempfile::TempDir,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let site = Self { plane: Plane::start(None, QUICK).await?, root: tempfile::tempdir()? };
        std::fs::write(site.file(), "workers = 4\n")?;
        Ok(site)
    }

    fn file(&self) -> PathBuf {
        self.root.path().join("app.conf")
    }

    fn options(&self, env: &[(&str, &str)]) -> AgentOptions {
        AgentOptions {
            name: "edge".into(),
            watch: vec![self.root.path().to_owned()],
            policy: format!("allow = [\"restore_file\"]\npaths = [\"{}\"]\n", self.root.path().display()),
            env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            ..AgentOptions::default()
        }
    }

    async fn join(&self, env: &[(&str, &str)]) -> anyhow::Result<AgentProcess> {
        AgentProcess::join(&self.plane, self.options(env)).await
    }

    /// Starts an agent that is not expected to come in.
    async fn launch_only(&self, env: &[(&str, &str)]) -> anyhow::Result<AgentProcess> {
        let options = AgentOptions { name: "outside".into(), ..self.options(env) };
        AgentProcess::launch(&self.plane, options).await
    }

    /// Adds or takes back a rule about packets to and from the port of the agents.
    fn rules(&self, change: &str, what: &str) -> anyhow::Result<()> {
        let port = self.plane.quic().port();
        let words = |direction: &str| {
            let (protocol, rest) = what.split_once(' ').unwrap_or((what, ""));
            format!("{change} INPUT -p {protocol} --{direction} {port} {rest}")
        };
        iptables(&words("dport"))?;
        iptables(&words("sport"))
    }

    /// Waits until the agent is connected on this way.
    async fn is_over(&self, agent: &AgentProcess, transport: &str) -> anyhow::Result<()> {
        wait_for(&format!("a session over {transport}"), PATIENCE, || async {
            let seen = agent.seen_by(&self.plane).await?;
            let it_is = seen["state"] == "connected" && seen["transport"] == transport;
            Ok(Seen::when(it_is.then_some(()), format!("{seen}\n{}", agent.output())))
        })
        .await
    }

    /// Changes the watched file, and waits for its drift, with the plan that repairs it.
    async fn drift(&self, agent: &AgentProcess) -> anyhow::Result<Value> {
        wait_for("the baseline", PATIENCE, || async {
            let me = agent.seen_by(&self.plane).await?;
            Ok(Seen::when((me["roots"][0]["files"].as_u64() >= Some(1)).then_some(()), format!("{me}")))
        })
        .await?;
        std::fs::write(self.file(), "workers = 400\n")?;
        let id = wait_for("the drift", PATIENCE, || async {
            let all = self.plane.items("/drift").await?;
            let mine = all.iter().find(|drift| drift["state"] == "waiting_approval");
            Ok(Seen::when(mine.map(|drift| drift["id"].clone()), format!("{all:?}\n{}", agent.output())))
        })
        .await?;
        self.plane.get(&format!("/drift/{}", id.as_str().context("an id")?)).await
    }

    async fn fix(&self, drift: &Value) -> anyhow::Result<()> {
        let path = format!("/drift/{}/fix", drift["id"].as_str().context("an id")?);
        self.plane.post(&path, json!({"plan_digest": drift["plan_digest"]})).await?;
        Ok(())
    }

    async fn is_resolved(&self, agent: &AgentProcess, drift: &Value) -> anyhow::Result<()> {
        let path = format!("/incidents/{}", drift["id"].as_str().context("an id")?);
        wait_for("the drift to be resolved", PATIENCE, || async {
            let incident = self.plane.get(&path).await?;
            let resolved = incident["state"] == "resolved";
            Ok(Seen::when(resolved.then_some(()), format!("{incident}\n{}", agent.output())))
        })
        .await?;
        assert_eq!(std::fs::read_to_string(self.file())?, "workers = 4\n");
        Ok(())
    }

    /// So many jobs, and each of them succeeded.
    async fn has_jobs(&self, count: usize) -> anyhow::Result<()> {
        let jobs = self.plane.items("/jobs").await?;
        let all_succeeded = jobs.iter().all(|job| job["state"] == "succeeded");
        assert!(jobs.len() == count && all_succeeded, "expected {count} jobs, each once: {jobs:?}");
        Ok(())
    }

    /// Of the observations of this agent none is missing.
    async fn nothing_is_lost(&self) -> anyhow::Result<()> {
        self.shows("nimbus_sequence_gaps_total 0").await
    }

    /// The control plane's metrics have this line.
    async fn shows(&self, line: &str) -> anyhow::Result<()> {
        has_line(&format!("{}/metrics", self.plane.url()), line).await
    }
}

async fn has_line(url: &str, line: &str) -> anyhow::Result<()> {
    let metrics = nimbus_tests::plane::http()?.get(url).send().await?.text().await?;
    assert!(metrics.lines().any(|it| it == line), "expected {line}, found:\n{metrics}");
    Ok(())
}

async fn blocked_from_the_start() -> anyhow::Result<()> {
    let site = Site::start().await?;
    site.rules("-A", "udp -j DROP")?;
    let begun = Instant::now();
    let mut agent = site.join(&[]).await?;
    eprintln!("where UDP is blocked, joining and the first session took {:?}", begun.elapsed());
    site.is_over(&agent, "tcp").await?;
    let drift = site.drift(&agent).await?;
    site.fix(&drift).await?;
    site.is_resolved(&agent, &drift).await?;
    site.has_jobs(1).await?;
    let (_, shown) = site.plane.nimbus(&["agents", "show", "edge"]).await?;
    assert!(shown.lines().any(|line| line.contains("transport") && line.contains("tcp")), "{shown}");
    agent.stop()?;
    let begun = Instant::now();
    agent.restart()?;
    site.is_over(&agent, "tcp").await?;
    eprintln!("where UDP is blocked, a restarted agent had its session after {:?}", begun.elapsed());
    site.nothing_is_lost().await
}

#[test]
fn where_udp_is_blocked_an_agent_joins_observes_and_obeys_over_tcp() {
    inside("where_udp_is_blocked_an_agent_joins_observes_and_obeys_over_tcp", blocked_from_the_start)
        .unwrap();
}

async fn blocked_later() -> anyhow::Result<()> {
    let site = Site::start().await?;
    let telemetry = format!("127.0.0.1:{}", free_port()?);
    let figures = format!("http://{telemetry}/metrics");
    let agent = site.join(&[("NIMBUS_TELEMETRY", &telemetry)]).await?;
    site.is_over(&agent, "quic").await?;
    let drift = site.drift(&agent).await?;
    // The job is under way when its session loses the network.
    site.fix(&drift).await?;
    site.rules("-A", "udp -j DROP")?;
    site.is_over(&agent, "tcp").await?;
    site.is_resolved(&agent, &drift).await?;
    site.has_jobs(1).await?;
    has_line(&figures, "nimbus_agent_session{transport=\"tcp\"} 1").await?;
    has_line(&figures, "nimbus_agent_jobs_total{outcome=\"succeeded\"} 1").await?;
    site.shows("nimbus_agent_sessions{transport=\"tcp\"} 1").await?;
    // And back, with a job under way again.
    let drift = site.drift(&agent).await?;
    site.rules("-D", "udp -j DROP")?;
    wait_for("QUIC to get through again", PATIENCE, || async {
        let said = agent.output();
        Ok(Seen::when(said.contains("QUIC gets through").then_some(()), said))
    })
    .await?;
    site.fix(&drift).await?;
    site.is_over(&agent, "quic").await?;
    site.is_resolved(&agent, &drift).await?;
    site.has_jobs(2).await?;
    has_line(&figures, "nimbus_agent_session{transport=\"quic\"} 1").await?;
    has_line(&figures, "nimbus_agent_jobs_total{outcome=\"succeeded\"} 2").await?;
    site.shows("nimbus_agent_sessions{transport=\"quic\"} 1").await?;
    site.shows("nimbus_agent_sessions{transport=\"tcp\"} 0").await?;
    site.nothing_is_lost().await
}

#[test]
fn a_session_whose_udp_is_dropped_goes_on_over_tcp_and_comes_back() {
    inside("a_session_whose_udp_is_dropped_goes_on_over_tcp_and_comes_back", blocked_later).unwrap();
}

async fn large_packets() -> anyhow::Result<()> {
    let site = Site::start().await?;
    // What QUIC cannot do without: its handshake is padded to 1200 bytes, 1228 with the headers.
    site.rules("-A", "udp -m length --length 1200:65535 -j DROP")?;
    let agent = site.join(&[]).await?;
    site.is_over(&agent, "tcp").await?;
    drop(agent);
    // What it can do without: it finds the largest size that passes.
    let site = Site::start().await?;
    site.rules("-A", "udp -m length --length 1300:65535 -j DROP")?;
    for n in 0..400 {
        std::fs::write(site.root.path().join(format!("{n}.conf")), format!("{n:0500}"))?;
    }
    let agent = site.join(&[]).await?;
    site.is_over(&agent, "quic").await?;
    let drift = site.drift(&agent).await?;
    site.fix(&drift).await?;
    site.is_resolved(&agent, &drift).await?;
    let output = agent.output();
    for line in output.lines().filter(|line| line.contains("QUIC") || line.contains("stands")) {
        eprintln!("{line}");
    }
    site.nothing_is_lost().await
}

#[test]
fn where_large_packets_are_dropped_there_is_a_session_all_the_same() {
    inside("where_large_packets_are_dropped_there_is_a_session_all_the_same", large_packets).unwrap();
}

async fn reset() -> anyhow::Result<()> {
    let site = Site::start().await?;
    site.rules("-A", "udp -j DROP")?;
    let telemetry = format!("127.0.0.1:{}", free_port()?);
    let figures = format!("http://{telemetry}/metrics");
    let agent = site.join(&[("NIMBUS_TELEMETRY", &telemetry)]).await?;
    site.is_over(&agent, "tcp").await?;
    let drift = site.drift(&agent).await?;
    site.fix(&drift).await?;
    site.rules("-A", "tcp -j REJECT --reject-with tcp-reset")?;
    site.rules("-D", "udp -j DROP")?;
    // Long before a probe is due: TCP is refused, and QUIC is tried beside it.
    site.is_over(&agent, "quic").await?;
    site.is_resolved(&agent, &drift).await?;
    site.has_jobs(1).await?;
    // As the agent itself counts: one that it ran twice would be one job here all the same.
    has_line(&figures, "nimbus_agent_jobs_total{outcome=\"succeeded\"} 1").await?;
    site.nothing_is_lost().await
}

#[test]
fn where_tcp_is_reset_quic_takes_over_and_no_job_runs_twice() {
    inside("where_tcp_is_reset_quic_takes_over_and_no_job_runs_twice", reset).unwrap();
}

async fn through_a_proxy() -> anyhow::Result<()> {
    let site = Site::start().await?;
    site.rules("-A", "udp -j DROP")?;
    // ada:s3cret!
    let proxy = Proxy::start("YWRhOnMzY3JldCE=").await?;
    let wrong = format!("http://ada:wr0ng-one@{}", proxy.address);
    let mut agent = site.launch_only(&[("HTTPS_PROXY", &wrong), ("NO_PROXY", "")]).await?;
    wait_for("the agent to say what the proxy wants", PATIENCE, || async {
        let said = agent.output();
        let told = said.contains("407") && said.contains("HTTPS_PROXY");
        Ok(Seen::when(told.then_some(()), said))
    })
    .await?;
    assert!(proxy.refused() > 0 && proxy.tunnels() == 0);
    assert!(!agent.output().contains("wr0ng-one"), "the password is printed:\n{}", agent.output());
    agent.kill9()?;
    drop(agent);
    let right = format!("http://ada:s3cret%21@{}", proxy.address);
    let agent = site.join(&[("HTTPS_PROXY", &right), ("NO_PROXY", "")]).await?;
    site.is_over(&agent, "tcp through proxy").await?;
    assert!(proxy.tunnels() >= 2, "one for joining and one for the session");
    let drift = site.drift(&agent).await?;
    site.fix(&drift).await?;
    site.is_resolved(&agent, &drift).await?;
    drop(agent);
    let before = proxy.tunnels();
    let mut options = site.options(&[("HTTPS_PROXY", &right), ("NO_PROXY", "127.0.0.0/8")]);
    options.name = "direct".into();
    let direct = AgentProcess::join(&site.plane, options).await?;
    site.is_over(&direct, "tcp").await?;
    assert_eq!(proxy.tunnels(), before, "NO_PROXY names the control plane");
    Ok(())
}

#[test]
fn through_a_proxy_with_a_password_an_agent_comes_in_and_without_it_the_error_names_the_variable() {
    inside(
        "through_a_proxy_with_a_password_an_agent_comes_in_and_without_it_the_error_names_the_variable",
        through_a_proxy,
    )
    .unwrap();
}
