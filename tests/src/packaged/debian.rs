//! Control plane and agent from the Debian packages, on SQLite: installed, hung, rebooted, upgraded, rolled back, let act
//! on files and on units, removed and purged.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

use super::host::Host;
use super::listing::Listing;
use super::packages::{Kind, Packages, Version};
use super::site::{
    AGENT, BOTH, COMMAND, CONTROL_PLANE, FILE, Identity, LIMIT, Operator, WATCHED, configuration_is_kept,
    figure, join, pid, property,
};
use super::{Clock, hardened, units};
use crate::wait::{Seen, wait_for_blocking};

/// Within what time a program that does not move is started again: its unit's `WatchdogSec=` of a minute, and the stop.
const HUNG_LIMIT: Duration = Duration::from_mins(2);

/// The drop-in that lets the agent act, as its first lines say.
const DROP_IN: &str = "/etc/systemd/system/nimbus-agent.service.d";

/// The exposure that an agent stays below which acts on files.
const ACTING: f64 = 2.6;

/// Tells it.
pub fn tell(host: &mut Host, packages: &Packages, before: &Listing) -> anyhow::Result<()> {
    let mut clock = Clock::start();
    let [plane, agent] = packages.both(Version::Older, Kind::Deb)?;
    host.run(&["dpkg", "-i", &plane])?;
    host.run(&["systemctl", "enable", "--now", CONTROL_PLANE])?;
    let operator = Operator::of(host)?;
    host.run(&["dpkg", "-i", &agent])?;
    join(host, &operator)?;
    clock.say("dpkg -i of control plane and agent, until the agent's baseline is known");
    let identity = Identity::of(host)?;
    hardened::check(host)?;
    operate(host, &packages.path(COMMAND, Version::Older, Kind::Deb)?)?;
    pause(host, &operator).context("the switch on the agent's own side")?;
    clock = Clock::start();

    hang(host, &operator).context("the watchdog")?;
    identity.is_kept(host, "the watchdog's kill")?;
    clock.say("both programs are stopped (SIGSTOP), until the watchdog has started them again and they are connected");

    away(host, &operator).context("a reboot without the control plane")?;
    clock.say("a reboot while the control plane is away, until the drift of before it is known");
    host.reboot()?;
    operator.wait_for_agent("nothing else", |_| true)?;
    clock.say("a reboot, until both serve again and are connected");
    identity.is_kept(host, "two reboots")?;

    copied_by_root(host).context("state that root put there")?;
    operator.wait_for_agent("nothing else", |_| true)?;
    identity.is_kept(host, "a copy by root")?;
    clock.say("the control plane's state is replaced by root's copy of it, until the agent is connected");

    change_version(host, packages, &operator, Version::Newer)?;
    identity.is_kept(host, "the upgrade")?;
    clock.say("dpkg -i of newer packages, until the agent is connected");
    change_version(host, packages, &operator, Version::Older)?;
    identity.is_kept(host, "going back")?;
    hardened::check(host)?;
    clock.say("dpkg -i of the older packages, until the agent is connected");

    read(host, &operator).context("the drop-in that lets the agent read")?;
    act(host, &operator).context("the drop-in that lets the agent act")?;
    identity.is_kept(host, "acting and going back")?;
    clock.say("the agent is let act, restores a file by a signed job, and is closed again");

    units::tell(host, &operator).context("units that fail")?;
    clock.say("a service that fails is said, and started again once polkit lets the agent; one that runs once is not");

    remove(host, before)?;
    clock.say("dpkg --remove and --purge; the host is as it was before");
    Ok(())
}

/// The command's package, and the command as docs/install.md has it.
fn operate(host: &Host, package: &str) -> anyhow::Result<()> {
    host.run(&["dpkg", "-i", package])?;
    let token = "NIMBUS_TOKEN=$(cat /var/lib/nimbus/control-plane/operator.token)";
    let agents = host.shell(&format!("{token} nimbus agents list -o json"))?;
    let agents: serde_json::Value = serde_json::from_str(&agents).with_context(|| agents.clone())?;
    let connected = agents["items"][0]["state"] == "connected";
    anyhow::ensure!(connected, "expected the agent of this host, found {agents}");
    let refused = host.shell("NIMBUS_TOKEN=none nimbus agents list 2>&1 || echo ended with $?")?;
    anyhow::ensure!(refused.contains("ended with 5"), "expected a refusal of another token, found {refused}");
    Ok(())
}

/// As docs/operations.md has it, by root, who has not the unit's environment.
fn pause(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    let said = host.run(&["nimbus-agent", "pause", "--reason", "disks are moved"])?;
    anyhow::ensure!(said.contains("from now on"), "{said}");
    let is_told = |agent: &serde_json::Value| {
        agent["paused"].as_str().is_some_and(|paused| paused.contains("disks are moved"))
    };
    operator.wait_for_agent("its pause to be told", is_told)?;
    let said = host.run(&["nimbus-agent", "resume"])?;
    anyhow::ensure!(said.contains("goes on"), "{said}");
    operator.wait_for_agent("its pause to be over", |agent| agent["paused"].is_null()).map(drop)
}

/// Neither program moves any more, and nobody but systemd does something about it.
fn hang(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    let mut old = BTreeMap::new();
    for unit in BOTH {
        let pid = pid(host, unit)?;
        host.shell(&format!("kill -STOP {pid}"))?;
        old.insert(unit, pid);
    }
    for unit in BOTH {
        wait_for_blocking(&format!("{unit} to be started again"), HUNG_LIMIT, || {
            let (state, now) = (property(host, unit, "ActiveState")?, property(host, unit, "MainPID")?);
            let again = state == "active" && now != "0" && old.get(unit) != Some(&now);
            Ok(Seen::when(again.then_some(()), format!("{state}, process {now}")))
        })?;
        let log = host.run(&["journalctl", "--no-pager", "-u", unit])?;
        anyhow::ensure!(log.contains("Watchdog timeout"), "it was not the watchdog of {unit}:\n{log}");
        let restarts = property(host, unit, "NRestarts")?;
        anyhow::ensure!(restarts == "1", "{unit} was started again {restarts} times, not once");
    }
    let cores =
        host.shell("find / -xdev -name 'core*' -size +1M -newer /etc/nimbus/join-token -path '*nimbus*'")?;
    anyhow::ensure!(
        cores.is_empty(),
        "the watchdog's kill left a copy of the memory, which has keys: {cores}"
    );
    operator.wait_for_agent("nothing else", |_| true).map(drop)
}

/// A file changes while the control plane is away, the host is rebooted, and the control plane comes back later.
fn away(host: &mut Host, operator: &Operator) -> anyhow::Result<()> {
    host.run(&["systemctl", "disable", "--now", CONTROL_PLANE])?;
    let waiting = figure("nimbus_agent_spool_observations")?;
    host.write(FILE.0, 0o644, "workers = 400\n")?;
    wait_for_blocking("the change to be in the spool", LIMIT, || {
        let now = figure("nimbus_agent_spool_observations")?;
        Ok(Seen::when((now > waiting).then_some(()), format!("{now} observations, {waiting} before")))
    })?;
    let spool = spool(host)?;
    anyhow::ensure!(!spool.is_empty(), "there is no file in the spool");

    host.reboot()?;
    pid(host, AGENT).context("the agent serves by itself without its control plane")?;
    let after = self::spool(host)?;
    for (file, bytes) in &spool {
        let kept = after.get(file).is_some_and(|now| now.starts_with(bytes));
        anyhow::ensure!(kept, "the reboot changed the spool's {file}: {bytes}\n{:?}", after.get(file));
    }
    host.run(&["systemctl", "enable", "--now", CONTROL_PLANE])?;
    operator.wait_for_agent("nothing dropped", |agent| agent["dropped"] == 0)?;
    operator.wait_for_drift(&["open", "waiting_approval", "escalated"])?;
    let dropped = figure("nimbus_agent_spool_dropped_total")?;
    anyhow::ensure!(dropped == 0, "{dropped} observations were dropped");
    wait_for_blocking("the spool to be empty", LIMIT, || {
        let left = figure("nimbus_agent_spool_observations")?;
        Ok(Seen::when((left == 0).then_some(()), format!("{left} observations")))
    })
}

/// The files of the agent's spool with their bytes, in hexadecimal digits.
fn spool(host: &Host) -> anyhow::Result<BTreeMap<String, String>> {
    let line = "cd /var/lib/nimbus/agent/spool && for f in *.seg; do echo \"$f $(od -An -v -tx1 \"$f\" | tr -d ' \\n')\"; done";
    let said = host.shell(line)?;
    let pairs = said.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs.map(|(file, bytes)| (file.to_owned(), bytes.to_owned())).collect())
}

/// State that root put there, as a restored backup is, becomes the unit's user's when the unit starts.
fn copied_by_root(host: &Host) -> anyhow::Result<()> {
    host.shell(&format!(
        "systemctl stop {CONTROL_PLANE} && cd /var/lib/private/nimbus && mv control-plane old && cp -R old control-plane \
         && rm -r old && systemctl start {CONTROL_PLANE}"
    ))?;
    let roots = host.shell("find /var/lib/private/nimbus/control-plane -user root")?;
    anyhow::ensure!(roots.is_empty(), "these are root's still: {roots}");
    Ok(())
}

/// Upgrades both, or goes back: whoever changed a file of configuration keeps it, and both go on as who they are.
fn change_version(host: &Host, packages: &Packages, operator: &Operator, to: Version) -> anyhow::Result<()> {
    let [plane, mut agent] = packages.both(to, Kind::Deb)?;
    if to == Version::Newer {
        agent = with_another_policy(host, &agent)?;
    }
    let mut old = BTreeMap::new();
    for unit in BOTH {
        old.insert(unit, pid(host, unit)?);
    }
    // Without this answer dpkg asks a person, who is not there, which of the two policies is to stand.
    host.run(&["dpkg", "--force-confold", "-i", &plane, &agent])?;
    for unit in BOTH {
        let version = host.run(&["dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", unit])?;
        let is_newer = version.ends_with("-2 installed");
        anyhow::ensure!(is_newer == (to == Version::Newer), "{unit} is {version} after going to {to:?}");
        anyhow::ensure!(old.get(unit) != Some(&pid(host, unit)?), "{unit} still runs the program of before");
    }
    configuration_is_kept(host, "another version")?;
    let offered = host.run(&["ls", "-A", "/etc/nimbus"])?.contains("policy.toml.dpkg-dist");
    anyhow::ensure!(offered, "the newer package's own policy is not beside the one that was kept");
    operator.wait_for_agent("nothing dropped", |agent| agent["dropped"] == 0).map(drop)
}

/// The same package with another text of the policy, so that dpkg finds it changed on both sides.
fn with_another_policy(host: &Host, package: &str) -> anyhow::Result<String> {
    host.shell(&format!(
        "dpkg-deb -R {package} /tmp/agent && echo '# The newer version says more.' >> /tmp/agent/etc/nimbus/policy.toml \
         && dpkg-deb -Zgzip -z1 -b /tmp/agent /tmp/agent.deb"
    ))?;
    Ok("/tmp/agent.deb".to_owned())
}

/// A watched file that only root may read is said not to be readable, until the agent is let read it.
fn read(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    let closed = format!("{WATCHED}/closed.conf");
    host.write(&closed, 0o600, "port = 8080\n")?;
    let says = |words: &str| {
        wait_for_blocking(&format!("an incident of {closed} that says {words}"), LIMIT, || {
            let all = operator.nimbus(&["incidents", "list"])?;
            let mine = |it: &&serde_json::Value| it["object"]["name"] == closed.as_str();
            let found = all["items"].as_array().into_iter().flatten().find(mine);
            let said = found.is_some_and(|it| it.to_string().contains(words));
            Ok(Seen::when(said.then_some(()), all.clone()))
        })
    };
    says("cannot be read")?;
    let example = host.run(&["cat", "/usr/share/doc/nimbus-agent/reading.conf"])?;
    let commands: Vec<&str> = example.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    anyhow::ensure!(commands.len() == 2, "the drop-in does not say how it is used:\n{example}");
    for line in commands {
        host.shell(line)?;
    }
    operator.wait_for_agent("nothing else", |_| true)?;
    let found = hardened::effective_capabilities(host, AGENT)?;
    anyhow::ensure!(found == hardened::READS_ALL, "the agent that may read has the capabilities {found:#x}");
    says("was added")?;
    host.shell(&format!(
        "rm {closed} && rm -r {DROP_IN} && systemctl daemon-reload && systemctl restart {AGENT}"
    ))?;
    operator.wait_for_agent("nothing else", |_| true).map(drop)
}

/// The agent is let act as the drop-in's first lines say, a person orders the drift put right, and the agent is closed again.
fn act(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    let example = host.run(&["cat", "/usr/share/doc/nimbus-agent/acting.conf"])?;
    host.write(&format!("{DROP_IN}/acting.conf"), 0o644, &example.replace("/etc/nginx", WATCHED))?;
    host.append("/etc/nimbus/policy.toml", "allow = [\"restore_file\"]\npaths = [\"/etc/app\"]\n")?;
    // All but the first one, which copies it as it is.
    let commands = example.lines().filter_map(|line| line.strip_prefix("#   "));
    let commands: Vec<&str> = commands.filter(|line| !line.starts_with("install ")).collect();
    anyhow::ensure!(commands.len() >= 3, "the drop-in does not say how it is used:\n{example}");
    host.shell(
        "mkdir -p /var/lib/lxd /var/lib/kubelet/plugins/driver /var/lib/kubelet/pki /var/lib/rancher/k3s/server /root/.kube \
         && touch /var/lib/lxd/unix.socket /var/lib/kubelet/plugins/driver/csi.sock /var/lib/kubelet/pki/kubelet.key \
         /var/lib/rancher/k3s/server/node-token /root/.kube/admin-config",
    )?;
    for line in commands {
        host.shell(line)?;
    }
    operator.wait_for_agent("what it may do", |agent| agent["allowed_actions"][0] == "restore_file")?;
    // The socket of a container runtime, as one that is installed later makes it, and of a kubelet's driver, and keys of a cluster: by them
    // whoever reaches them is root.
    let pid = host.run(&["systemctl", "show", "--property", "MainPID", "--value", AGENT])?;
    let seen = host.shell(&format!(
        "touch /run/docker.sock; cd /proc/{pid}/root; ls run run/dbus run/credentials/* var/lib/lxd var/lib/kubelet/plugins \
         var/lib/kubelet/pki var/lib/rancher/k3s/server root/.kube; \
         rm -r /run/docker.sock /var/lib/lxd /var/lib/kubelet /var/lib/rancher /root/.kube"
    ))?;
    let hidden = ["docker", "unix.socket", "driver", "kubelet.key", "node-token", "admin-config"];
    anyhow::ensure!(hidden.iter().all(|name| !seen.contains(name)), "of sockets and keys it sees: {seen}");
    // Names, and the join token that systemd hands over.
    for needed in ["system_bus_socket", "nimbus-join-token"] {
        anyhow::ensure!(seen.contains(needed), "it does not see {needed}: {seen}");
    }
    let exposure = hardened::exposure(host, AGENT)?;
    println!("          exposure of {AGENT} where it acts: {exposure} (below {ACTING} is required)");
    anyhow::ensure!(exposure < ACTING, "the exposure of {AGENT} where it acts is {exposure}");
    let drift = operator.wait_for_drift(&["waiting_approval"])?;
    let id = drift["id"].as_str().context("an id")?;
    operator.nimbus(&["drift", "fix", id])?;
    wait_for_blocking(&format!("{} to be restored", FILE.0), LIMIT, || {
        let text = host.run(&["cat", FILE.0])?;
        Ok(Seen::when((text == FILE.1.trim()).then_some(()), text))
    })?;
    operator.wait_until_resolved(id)?;
    let owner = host.run(&["stat", "-c", "%U %a", FILE.0])?;
    anyhow::ensure!(owner == "root 644", "the restored file is {owner}");
    // A host that lost what it watches needs its agent all the more.
    host.shell(&format!(
        "mv {WATCHED} /aside && systemctl restart {AGENT}; ended=$?; mv /aside {WATCHED}; exit $ended"
    ))
    .context("an agent that may write to a directory starts without it")?;

    host.shell(&format!(
        "systemctl stop {AGENT} && rm -r {DROP_IN} && userdel {AGENT} && systemctl daemon-reload && systemctl start {AGENT}"
    ))?;
    hardened::is_dynamic(host, AGENT, "agent")?;
    operator.wait_for_agent("nothing else", |_| true).map(drop)
}

/// Removing keeps configuration and state; purging leaves nothing.
fn remove(host: &Host, before: &Listing) -> anyhow::Result<()> {
    host.run(&["dpkg", "--remove", AGENT, CONTROL_PLANE, COMMAND])?;
    nothing_runs(host)?;
    configuration_is_kept(host, "the removal")?;
    Identity::of(host).context("state is kept when a package is removed")?;
    let left = Listing::of(host)?.since(before);
    let is_more = |line: &&String| {
        let kept = ["/etc/nimbus", "/var/lib/nimbus", "/var/lib/private/nimbus", WATCHED];
        !kept.iter().any(|place| line.starts_with(place))
    };
    let more: Vec<&String> = left.iter().filter(is_more).collect();
    anyhow::ensure!(more.is_empty(), "the removal left more than configuration and state: {more:#?}");

    host.run(&["dpkg", "--purge", AGENT, CONTROL_PLANE])?;
    nothing_runs(host)?;
    let known = host.shell("dpkg-query -W 'nimbus*' 2>/dev/null || true")?;
    anyhow::ensure!(known.is_empty(), "dpkg still knows {known}");
    host.run(&["rm", "-r", WATCHED])?;
    Listing::of(host)?.is(before)
}

/// Requires that systemd knows no unit, and no process runs.
pub fn nothing_runs(host: &Host) -> anyhow::Result<()> {
    let units = host.run(&["systemctl", "list-units", "--all", "--plain", "--no-legend", "nimbus*"])?;
    let files = host.shell("systemctl list-unit-files --no-legend 'nimbus*' || true")?;
    let processes = host.shell("grep -l nimbus- /proc/[0-9]*/comm || true")?;
    let left = format!("{units}{files}{processes}");
    anyhow::ensure!(left.is_empty(), "expected no unit and no process of Nimbus, found {left}");
    let run = host.shell("find /run -name '*nimbus*'")?;
    anyhow::ensure!(run.is_empty(), "expected nothing of Nimbus in /run, found {run}");
    Ok(())
}
