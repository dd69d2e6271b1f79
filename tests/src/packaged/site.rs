//! What both stories share: the services and their programs, the operator's command, and what an agent knows of itself.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::host::Host;
use crate::process::binary;
use crate::wait::{Seen, wait_for_blocking};

/// The agent's program, unit and package.
pub const AGENT: &str = "nimbus-agent";
/// The package and the program of the operator's command.
pub const COMMAND: &str = "nimbus";
/// The control plane's.
pub const CONTROL_PLANE: &str = "nimbus-control-plane";
/// Both units.
pub const BOTH: [&str; 2] = [CONTROL_PLANE, AGENT];

/// The agent's name.
pub const NAME: &str = "db-1";
/// What the agent watches, which belongs to no package.
pub const WATCHED: &str = "/etc/app";
/// A file there, and what is in it at first.
pub const FILE: (&str, &str) = ("/etc/app/app.conf", "workers = 4\n");
/// What an administrator adds to the agent's policy, and no upgrade may lose.
pub const LOCAL: &str = "# Ours: what app.conf says may be shown.\ndiff_paths = [\"/etc/app\"]\n";

/// How long a thing may take that takes a few seconds on an idle machine.
pub const LIMIT: Duration = Duration::from_mins(1);

/// The operator, with the address of the control plane and its first token.
pub struct Operator {
    home: PathBuf,
    token: String,
}

impl Operator {
    /// Waits for the control plane's token, and takes it, as the documentation says.
    pub fn of(host: &Host) -> anyhow::Result<Self> {
        let token = host.run(&["cat", "/var/lib/nimbus/control-plane/operator.token"])?;
        Ok(Self { home: host.dir().to_owned(), token })
    }

    /// The operator's command; its answer for a program.
    pub fn nimbus(&self, words: &[&str]) -> anyhow::Result<Value> {
        let mut command = Command::new(binary("nimbus")?);
        command.args(["-o", "json", "--yes"]).args(words).env_clear().env("HOME", &self.home);
        command.env("NIMBUS_SERVER", "http://127.0.0.1:7070").env("NIMBUS_TOKEN", &self.token);
        let output = command.stdin(Stdio::null()).output().context("cannot run nimbus")?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "nimbus {} failed: {said}", words.join(" "));
        serde_json::from_slice(&output.stdout).with_context(|| format!("nimbus {}", words.join(" ")))
    }

    /// What the control plane knows of the agent.
    pub fn agent(&self) -> anyhow::Result<Value> {
        self.nimbus(&["agents", "show", NAME])
    }

    /// Waits until the agent is connected and `more` holds of what the control plane knows of it.
    pub fn wait_for_agent(&self, what: &str, more: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        wait_for_blocking(&format!("agent {NAME} to be connected, and {what}"), LIMIT, || {
            let agent = self.agent()?;
            let is_it = agent["state"] == "connected" && more(&agent);
            Ok(Seen::when(is_it.then(|| agent.clone()), agent))
        })
    }

    /// Waits for the drift of [`FILE`], in one of these states.
    pub fn wait_for_drift(&self, states: &[&str]) -> anyhow::Result<Value> {
        wait_for_blocking(&format!("a drift of {} that is {}", FILE.0, states.join(" or ")), LIMIT, || {
            let all = self.nimbus(&["drift", "list"])?;
            let items = all["items"].as_array().cloned().unwrap_or_default();
            let is_it = |it: &Value| {
                it["object"]["name"] == FILE.0 && states.iter().any(|state| it["state"] == *state)
            };
            Ok(Seen::when(items.into_iter().find(is_it), all))
        })
    }

    /// Waits until an incident is resolved.
    pub fn wait_until_resolved(&self, id: &str) -> anyhow::Result<()> {
        wait_for_blocking(&format!("incident {id} to be resolved"), LIMIT, || {
            let incident = self.nimbus(&["incidents", "show", id])?;
            Ok(Seen::when((incident["state"] == "resolved").then_some(()), incident))
        })
    }
}

/// Configures a new agent as the documentation says, and starts it: its join token is in a file of root's, which systemd hands
/// over as a credential.
pub fn join(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    let made = operator.nimbus(&["agents", "token", "create", "--name", NAME, "--kind", "host"])?;
    let token = made["token"].as_str().context("the join token")?;
    host.write("/etc/nimbus/join-token", 0o600, token)?;
    host.write(FILE.0, 0o644, FILE.1)?;
    host.append(
        "/etc/nimbus/agent.env",
        &format!("NIMBUS_SERVER=127.0.0.1:7071\nNIMBUS_WATCH={WATCHED}\nNIMBUS_TELEMETRY=127.0.0.1:7072\n"),
    )?;
    host.append("/etc/nimbus/policy.toml", LOCAL)?;
    host.run(&["systemctl", "enable", "--now", AGENT])?;
    operator.wait_for_agent("its baseline to be known", |agent| agent["roots"][0]["files"] == 1)?;
    for unit in BOTH {
        anyhow::ensure!(
            !environment(host, unit)?.contains(token),
            "the environment of {unit} has the join token"
        );
    }
    Ok(())
}

fn environment(host: &Host, unit: &str) -> anyhow::Result<String> {
    host.run(&["cat", &format!("/proc/{}/environ", pid(host, unit)?)])
}

/// Who both are: what must be the same after whatever happens to them.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity(String);

impl Identity {
    /// Reads it, with the root's rights: the agent's name and key, the control plane's CA and key for jobs.
    pub fn of(host: &Host) -> anyhow::Result<Self> {
        let (agent, plane) = ("/var/lib/nimbus/agent/identity", "/var/lib/nimbus/control-plane");
        let files = format!("{agent}/agent.json {agent}/key.pem {plane}/ca.pem {plane}/job.key");
        Ok(Self(host.shell(&format!("sha256sum {files}"))?))
    }

    /// Requires that it is still the same.
    pub fn is_kept(&self, host: &Host, after: &str) -> anyhow::Result<()> {
        let now = Self::of(host)?;
        anyhow::ensure!(now == *self, "after {after} the identity is {now:?}, and was {self:?}");
        Ok(())
    }
}

/// The main process of a unit that runs.
pub fn pid(host: &Host, unit: &str) -> anyhow::Result<String> {
    let pid = property(host, unit, "MainPID")?;
    anyhow::ensure!(pid != "0", "{unit} does not run");
    Ok(pid)
}

/// What systemd says of a unit.
pub fn property(host: &Host, unit: &str, name: &str) -> anyhow::Result<String> {
    host.run(&["systemctl", "show", "--value", "-p", name, unit])
}

/// Requires that the configuration which an administrator changed is as it was left.
pub fn configuration_is_kept(host: &Host, after: &str) -> anyhow::Result<()> {
    for (file, ours) in [("policy.toml", "# Ours: "), ("agent.env", "NIMBUS_WATCH=/etc/app")] {
        let text = host.run(&["cat", &format!("/etc/nimbus/{file}")])?;
        let is_kept = text.lines().any(|line| line.starts_with(ours));
        anyhow::ensure!(is_kept, "after {after} /etc/nimbus/{file} has lost our line {ours:?}:\n{text}");
    }
    Ok(())
}

/// One of the agent's figures.
pub fn figure(name: &str) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], 7072)))?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|figure| figure.parse().ok()).with_context(|| format!("no figure {name} in {text}"))
}

/// What a person would look at when something is wrong.
pub fn state(host: &Host) -> String {
    let mut text = String::new();
    for line in [
        "systemctl --no-pager status 'nimbus*'",
        "journalctl --no-pager -o short-iso -n 60 -u 'nimbus*'",
        "ls -lAR /etc/nimbus /var/lib/nimbus /var/lib/private",
    ] {
        let said = host.output(&["sh", "-c", line]);
        let said = said
            .map_or_else(|error| format!("{error:#}"), |it| String::from_utf8_lossy(&it.stdout).into_owned());
        // Writing to a string cannot fail.
        let _ = writeln!(text, "$ {line}\n{said}");
    }
    text
}
