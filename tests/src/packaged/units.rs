//! Units that fail on a host: the agent tells of them as an unprivileged user, a right that is missing is said, and once a person
//! gave it a service is started again and lasts. One that runs once is left alone.

use serde_json::Value;

use super::host::Host;
use super::site::{AGENT, CONTROL_PLANE, LIMIT, Operator, property};
use crate::wait::{Seen, wait_for_blocking};

/// The unit files: each for one situation.
const UNITS: [(&str, &str); 7] = [
    // Runs as long as what it needs is there.
    (SHOP, "[Service]\nExecStart=/bin/sh -c 'test -e /run/shop-has-its-database && exec sleep 100000'\n"),
    // Likewise, and systemd tries it three times at once and then gives up.
    (
        QUEUE,
        "[Unit]\nStartLimitIntervalSec=10\nStartLimitBurst=3\n[Service]\nRestart=on-failure\nRestartSec=200ms\n\
         ExecStart=/bin/sh -c 'test -e /run/queue-has-its-disk && exec sleep 100000'\n",
    ),
    // Does a piece of work, and says how often.
    (NIGHTLY, "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo again >> /run/nightly; exit 1'\n"),
    // Ends with an error where it is stopped.
    (CRANKY, "[Service]\nExecStart=/bin/sh -c 'trap \"exit 3\" TERM; sleep 100000 & wait'\n"),
    // Fails, and another one takes its place.
    (FIRST, "[Service]\nExecStart=/bin/false\n"),
    // Tells systemd that it lives, until it hangs.
    (
        HANGS,
        "[Service]\nType=notify\nNotifyAccess=all\nWatchdogSec=2\nExecStart=/bin/sh -c 'systemd-notify --ready; while test ! -e \
         /run/it-hangs; do systemd-notify WATCHDOG=1; sleep 0.5; done; exec sleep 100000'\n",
    ),
    (STAND_IN, "[Unit]\nConflicts=first.service\n[Service]\nExecStart=/bin/sleep 100000\n"),
];
const SHOP: &str = "shop.service";
const QUEUE: &str = "queue.service";
const NIGHTLY: &str = "nightly.service";
const CRANKY: &str = "cranky.service";
const FIRST: &str = "first.service";
const HANGS: &str = "hangs.service";
const STAND_IN: &str = "stand-in.service";
/// Where the unit files are.
const FILES: &str = "/etc/systemd/system";
/// What an administrator allows.
const POLICY: &str = "units = [\"shop.service\", \"queue.service\", \"nightly.service\", \"cranky.service\", \"first.service\", \"hangs.service\"]\n";
/// In the copy of the example, and not on the host.
const FREE: &str = "not-installed.service";
/// The example of a rule for polkit.
const EXAMPLE: &str = "/usr/share/doc/nimbus-agent/units.rules";
/// Where polkit's own rule is, as the example says.
const RULE: &str = "/etc/polkit-1/rules.d/60-nimbus-agent.rules";

/// Tells it; the host is as it was before.
pub fn tell(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    for (name, text) in UNITS {
        host.write(&format!("{FILES}/{name}"), 0o644, text)?;
    }
    host.shell("systemctl daemon-reload; touch /run/shop-has-its-database /run/queue-has-its-disk")?;
    host.shell("systemctl start shop.service queue.service")?;
    let policy = host.run(&["cat", "/etc/nimbus/policy.toml"])?;
    let allowed =
        policy.replace("allow = [\"restore_file\"]", "allow = [\"restore_file\", \"restart_unit\"]");
    anyhow::ensure!(allowed != policy, "the policy allows no restore_file:\n{policy}");
    host.write("/etc/nimbus/policy.toml", 0o644, &format!("{allowed}\n{POLICY}"))?;
    // This host has no libnss-systemd.
    let is_told =
        |agent: &Value| agent["problems"].to_string().contains("lets in only users that this host knows");
    operator.wait_for_agent("its user to be no user of the bus", is_told)?;
    make_the_user(host)?;
    let is_told = |agent: &Value| unit(agent, SHOP).is_some_and(|unit| unit["state"] == "active (running)");
    operator.wait_for_agent("a service that is well, as its policy names it", is_told)?;

    refrains(host, operator)?;
    without_the_right(host, operator)?;
    give_the_right(host)?;
    acts(host, operator)?;
    and_no_more(host)?;
    leave(host, operator, &policy)
}

/// What runs once, what was stopped, and what has a stand-in.
fn refrains(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    host.shell("systemctl start nightly.service || true")?;
    wait_for(operator, NIGHTLY, "do its work again")?;
    host.shell(
        "systemctl reset-failed; systemctl start cranky.service; sleep 0.5; systemctl stop cranky.service",
    )?;
    let result = property(host, CRANKY, "Result")?;
    anyhow::ensure!(result == "exit-code", "{CRANKY} was stopped, and its result is {result}");
    wait_for(operator, CRANKY, "was being stopped when it ended")?;
    host.shell(
        "systemctl reset-failed; systemctl start first.service; sleep 0.5; systemctl start stand-in.service",
    )?;
    wait_for(operator, FIRST, "would stop stand-in.service")?;
    host.shell("systemctl stop stand-in.service; systemctl reset-failed").map(drop)
}

/// Its database goes away, and it with that.
fn without_the_right(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    host.shell("rm /run/shop-has-its-database; systemctl kill -s KILL shop.service")?;
    let shop = wait_for(operator, SHOP, "systemd does not let it")?;
    anyhow::ensure!(shop.to_string().contains("docs/install.md"), "{shop}");
    let state = property(host, SHOP, "ActiveState")?;
    anyhow::ensure!(state == "failed", "without a right {SHOP} is {state}");
    Ok(())
}

/// Two fail anew, one of which systemd gives up on; what they need is there again.
fn acts(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    host.shell("touch /run/shop-has-its-database; systemctl start shop.service; sleep 0.5; systemctl kill -s KILL shop.service")?;
    // It ran, and was counted.
    host.shell("rm /run/queue-has-its-disk; systemctl kill -s KILL queue.service")?;
    wait_for_blocking("systemd to give up", LIMIT, || {
        let state = property(host, QUEUE, "ActiveState")?;
        Ok(Seen::when((state == "failed").then_some(()), state))
    })?;
    host.shell("touch /run/queue-has-its-disk")?;
    for name in [SHOP, QUEUE] {
        wait_for_blocking(&format!("{name} to run again"), LIMIT + LIMIT, || {
            let state = property(host, name, "ActiveState")?;
            Ok(Seen::when((state == "active").then_some(()), state))
        })?;
    }
    wait_for_blocking("both starts to have helped", LIMIT + LIMIT, || {
        let jobs = operator.nimbus(&["jobs", "list"])?;
        let began = |job: &&Value| job["kind"] == "restart_unit" && job["state"] != "refused";
        let mine: Vec<&Value> = jobs["items"].as_array().into_iter().flatten().filter(began).collect();
        anyhow::ensure!(mine.len() <= 2, "expected one start of each, found {jobs}");
        let helped = mine.len() == 2 && mine.iter().all(|job| job["state"] == "succeeded");
        Ok(Seen::when(helped.then_some(()), jobs))
    })?;
    hangs(host, operator)?;
    let runs = host.run(&["cat", "/run/nightly"])?;
    anyhow::ensure!(runs == "again", "what runs once was run so often:\n{runs}");
    Ok(())
}

/// systemd itself ends one that gives no sign of life, and nobody wanted that.
fn hangs(host: &Host, operator: &Operator) -> anyhow::Result<()> {
    host.shell("systemctl start hangs.service; touch /run/it-hangs")?;
    wait_for_blocking("the watchdog to end it", LIMIT, || {
        let result = property(host, HANGS, "Result")?;
        Ok(Seen::when((result == "watchdog").then_some(()), result))
    })?;
    wait_for_blocking("a start of it to be next, or done", LIMIT, || {
        let all = operator.nimbus(&["incidents", "list"])?;
        let mine = |it: &&Value| it["object"]["name"] == HANGS;
        let found = all["items"].as_array().into_iter().flatten().find(mine);
        let waits = found.is_some_and(|it| it["reason"].as_str().is_some_and(|why| why.contains("go first")));
        anyhow::ensure!(found.is_none_or(|it| it["state"] != "escalated"), "a person is asked: {all}");
        Ok(Seen::when(waits.then_some(()), all.clone()))
    })?;
    host.shell("rm /run/it-hangs; systemctl stop hangs.service; systemctl reset-failed").map(drop)
}

/// By the rule the agent's user may start what it names, and nothing else.
fn and_no_more(host: &Host) -> anyhow::Result<()> {
    let ask = |what: &str| {
        host.shell(&format!(
            "runuser -u {AGENT} -- systemctl --no-ask-password {what} 2>&1 && echo done || true"
        ))
    };
    let said = ask("start shop.service")?;
    anyhow::ensure!(said.ends_with("done"), "the agent's user may not start {SHOP}: {said}");
    let plane = format!("start {CONTROL_PLANE}.service");
    for what in
        [&plane, "start stand-in.service", "stop shop.service", "restart shop.service", "daemon-reload"]
    {
        let said = ask(what)?;
        anyhow::ensure!(said.contains("authentication"), "the agent's user may do: systemctl {what}: {said}");
    }
    // How a start is queued systemd does not tell polkit: docs/install.md says what that lets an agent do which somebody took over.
    let said = ask("--job-mode=flush start shop.service")?;
    anyhow::ensure!(
        said.ends_with("done"),
        "polkit is told how a start is queued: docs/install.md says that it is not: {said}"
    );
    // A name of the rule that is not installed: what it runs would be for who asks to say.
    let transient =
        format!("runuser -u {AGENT} -- systemd-run --no-ask-password --unit={FREE} /bin/true 2>&1 || true");
    let said = host.shell(&transient)?;
    anyhow::ensure!(said.contains("authentication"), "the agent's user may start a transient unit: {said}");
    // This host's systemd says nothing of a transient unit to polkit; newer ones (from 257 on) say unit and verb, as for an installed one.
    let polkit_says = |text: &str| {
        host.shell(&format!(
            "pkcheck --process $(systemctl show --property MainPID --value {AGENT}.service) \
             --action-id org.freedesktop.systemd1.manage-units --detail unit {FREE} --detail verb start \
             --detail polkit.message \"{text}\" --detail polkit.gettext_domain systemd >/dev/null 2>&1; echo $?"
        ))
    };
    let installed = polkit_says("Authentication is required to start '\\$(unit)'.")?;
    anyhow::ensure!(installed.trim() == "0", "polkit does not let through an installed unit: {installed}");
    let transient = polkit_says("Authentication is required to start transient unit '\\$(unit)'.")?;
    anyhow::ensure!(transient.trim() != "0", "polkit lets through a transient unit");
    Ok(())
}

/// What the example says beside the copy of it.
fn make_the_user(host: &Host) -> anyhow::Result<()> {
    let example = host.run(&["cat", EXAMPLE])?;
    let commands = example.lines().filter_map(|line| line.strip_prefix("//   "));
    let commands: Vec<&str> = commands.filter(|line| !line.starts_with("install ")).collect();
    anyhow::ensure!(commands.len() == 3, "the example does not say how it is used:\n{example}");
    for line in commands {
        host.shell(line)?;
    }
    Ok(())
}

/// The copy of it, with our units in it.
fn give_the_right(host: &Host) -> anyhow::Result<()> {
    let example = host.run(&["cat", EXAMPLE])?;
    let ours = example.replace(
        "\"nginx.service\"",
        &format!("\"shop.service\", \"queue.service\", \"nightly.service\", \"{FREE}\""),
    );
    anyhow::ensure!(ours != example, "the example names no service:\n{example}");
    host.write(RULE, 0o644, &ours)
}

fn unit<'a>(agent: &'a Value, name: &str) -> Option<&'a Value> {
    agent["units"].as_array()?.iter().find(|unit| unit["name"] == name)
}

/// Waits for the incident of a unit about which a person is asked, for this reason.
fn wait_for(operator: &Operator, name: &str, reason: &str) -> anyhow::Result<Value> {
    wait_for_blocking(&format!("a person to be asked about {name}: {reason}"), LIMIT + LIMIT, || {
        let all = operator.nimbus(&["incidents", "list"])?;
        let is_it = |it: &&Value| {
            let says = it["reason"].as_str().is_some_and(|said| said.contains(reason));
            it["object"]["name"] == name && it["state"] == "escalated" && says
        };
        let found = all["items"].as_array().into_iter().flatten().find(is_it).cloned();
        Ok(Seen::when(found, all))
    })
}

fn leave(host: &Host, operator: &Operator, policy: &str) -> anyhow::Result<()> {
    let names = UNITS.map(|(name, _)| name).join(" ");
    host.shell(&format!(
        "systemctl stop {names}; systemctl reset-failed; cd {FILES} && rm {names} && rm {RULE} /run/nightly /run/*-has-its-*; \
         systemctl daemon-reload; systemctl stop {AGENT} && userdel {AGENT} && systemctl start {AGENT}"
    ))?;
    host.write("/etc/nimbus/policy.toml", 0o644, policy)?;
    let is_told = |agent: &Value| agent["problems"].to_string().contains("lets in only users");
    operator.wait_for_agent("its user to be no user of the bus again", is_told).map(drop)
}
