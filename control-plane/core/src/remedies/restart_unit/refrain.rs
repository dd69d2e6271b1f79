//! When a failed unit is not started again, whatever the agent may do: starting it cannot help, would undo what somebody
//! wanted, or would do its work a second time.

use jiff::SignedDuration;

use crate::causes::ended;
use crate::world::{HostFacts, HostUnits, Unit};

/// So many units of a host that failed within [`AT_ONCE`] have a cause that they share.
const SHARED: usize = 3;
/// See [`SHARED`].
const AT_ONCE: SignedDuration = SignedDuration::from_mins(5);
/// Types of services that run for as long as they are of use.
const LASTING: [&str; 6] = ["simple", "exec", "forking", "notify", "notify-reload", "dbus"];
/// How runs end that a new one may do better than.
const MAY_PASS: [&str; 6] = ["exit-code", "signal", "core-dump", "watchdog", "oom-kill", "start-limit-hit"];
/// Statuses of a process that a signal asked to end, as `systemctl stop` does, and that told so: 128 and the number of SIGHUP,
/// SIGINT or SIGTERM.
const ASKED_TO_END: [i32; 3] = [129, 130, 143];
/// Statuses by which systemd says that it could not begin what the unit file says (systemd.exec(5), "Process exit codes").
const OF_SYSTEMD: std::ops::RangeInclusive<i32> = 200..=245;
/// Of what was failed for longer when it was first heard of, nobody waits for a start.
const LEFT_SO: SignedDuration = SignedDuration::from_hours(24);
/// EX_CONFIG of sysexits.h.
const MISCONFIGURED: i32 = 78;

/// Why it is not started, for the person who is asked instead; `None` where nothing speaks against it.
pub(super) fn why(name: &str, unit: &Unit, facts: &HostFacts) -> Option<String> {
    let look = format!("look at what it wrote (`journalctl -u {name} -e`)");
    if unit.is_started_again() || (unit.restarting && !unit.is_failed()) {
        return Some(format!(
            "systemd starts {name} again and again by itself, and another start changes nothing: {look} and put it right, or \
             stop it"
        ));
    }
    if unit.service_type.is_empty() {
        return Some(format!("{name} is no service: {look}, put it right, and start it"));
    }
    if !LASTING.contains(&unit.service_type.as_str()) {
        return Some(format!(
            "{name} runs once and ends (Type={}): to start it again is to do its work again, and only a person knows whether it \
             may be done twice; {look} and start it",
            unit.service_type
        ));
    }
    if let Some(by) = unit.triggered_by.iter().find(|by| is_its_event(name, by)) {
        return Some(format!(
            "{by} starts {name} when its time or event comes: without that it would do work that nobody asked for; {look}"
        ));
    }
    if unit.failed_before() > LEFT_SO {
        return Some(format!(
            "{name} had been failed for more than a day when Nimbus first heard of it: whoever left it so may have wanted that; {look} \
             and start it if it is to run"
        ));
    }
    configured(name, unit, &look)
        .or_else(|| stopped(name, unit, &look))
        .or_else(|| not_by_itself(name, unit, &look))
        .or_else(|| facts.units.as_ref().and_then(|units| shared(name, unit, units)))
        .or_else(|| full(name, facts))
}

/// Is it started by this for each time or event? A socket starts its service for good, and an instance for one connection.
fn is_its_event(name: &str, by: &str) -> bool {
    match by.rsplit_once('.') {
        Some((_, "socket")) => name.contains('@'),
        Some(_) | None => true,
    }
}

/// What systemd could not begin, or what says itself that it is not configured, is the same the next time.
fn configured(name: &str, unit: &Unit, look: &str) -> Option<String> {
    let (code, status) = unit.main.as_ref()?;
    if code != "exited" {
        return None;
    }
    if OF_SYSTEMD.contains(status) {
        return Some(format!(
            "systemd could not begin {name} as its unit file says (status {status}{}): it will not do so the next time; {look} \
             and put the unit or what it names right",
            meaning(*status).map(|word| format!(", {word}")).unwrap_or_default()
        ));
    }
    (*status == MISCONFIGURED).then(|| {
        format!(
            "{name} says that it is not configured as it has to be (status 78): {look} and put that right"
        )
    })
}

/// The statuses that are met most, in words.
fn meaning(status: i32) -> Option<&'static str> {
    match status {
        200 => Some("its working directory cannot be entered"),
        203 => Some("its program cannot be run"),
        209 => Some("where its output goes cannot be opened"),
        216 => Some("its group is not known"),
        217 => Some("its user is not known"),
        218 => Some("its capabilities cannot be given"),
        226 => Some("its file system cannot be set up"),
        228 => Some("its system calls cannot be filtered"),
        233 | 238..=241 => Some("a directory of its own cannot be made"),
        243 => Some("its credentials cannot be read"),
        _ => None,
    }
}

/// What ended as one that is stopped may have been stopped: nobody starts it behind a person's back.
fn stopped(name: &str, unit: &Unit, look: &str) -> Option<String> {
    let asked =
        unit.main.as_ref().is_some_and(|(code, status)| code == "exited" && ASKED_TO_END.contains(status));
    if asked {
        let status = unit.main.as_ref().map_or(0, |(_, status)| *status);
        return Some(format!(
            "{name} ended as one that was asked to end (status {status}): somebody may have stopped it; {look} and start it if it \
             is to run (`SuccessExitStatus={status}` in its unit file says that this is no failure)"
        ));
    }
    (unit.result == "timeout").then(|| {
        format!("{name} took longer to start or to stop than it may: somebody may have stopped it; {look} and start it if it is to run")
    })
}

/// systemd was told when to start it again, and does not: that is somebody's word. Other ends do not pass by themselves.
fn not_by_itself(name: &str, unit: &Unit, look: &str) -> Option<String> {
    if unit.restart != "no" && !unit.gave_up {
        return Some(format!(
            "the unit file of {name} says when systemd starts it again (Restart={}), and not after this ({}): {look} and start it \
             if it is to run",
            unit.restart,
            ended(unit)
        ));
    }
    let ended_well = unit.main.as_ref().is_none_or(|(code, status)| code == "exited" && *status == 0);
    // systemd itself ended it: how its main process took that says nothing.
    let by_systemd = matches!(unit.result.as_str(), "oom-kill" | "watchdog");
    if ended_well && unit.result == "start-limit-hit" {
        return Some(format!(
            "{name} ended well again and again until systemd started it no more: it finishes, and a start would finish once more; \
             {look} and let it stay, or give it Type=oneshot"
        ));
    }
    if ended_well && !by_systemd {
        return Some(format!(
            "the main process of {name} did not fail, but a command before or after it (ExecStartPre=, ExecStop= and their like): \
             {look} and put that right"
        ));
    }
    (!MAY_PASS.contains(&unit.result.as_str())).then(|| {
        format!("a new start of {name} would end as this one did ({}): {look} and put it right", ended(unit))
    })
}

/// Several units that failed at once share a cause.
fn shared(name: &str, unit: &Unit, units: &HostUnits) -> Option<String> {
    // Both by the host's clock, or both by when they were heard of.
    let near = |other: &Unit| match (other.changed_at, unit.changed_at) {
        (Some(one), Some(other)) => one.duration_since(other).abs() <= AT_ONCE,
        (Some(_), None) | (None, Some(_) | None) => other.since.duration_since(unit.since).abs() <= AT_ONCE,
    };
    let others: Vec<&str> = units
        .units
        .iter()
        .filter(|(other, it)| *other != name && it.is_failed() && near(it))
        .map(|(other, _)| other.as_str())
        .collect();
    if others.len() + 1 < SHARED {
        return None;
    }
    let few: Vec<&str> = others.iter().take(3).copied().collect();
    let more = if others.len() > few.len() { " and others" } else { "" };
    Some(format!(
        "{} units of this host failed within {} min ({name}, {}{more}): look for what they share, such as a disk, the network or a \
         change of configuration, before any of them is started",
        others.len() + 1,
        AT_ONCE.as_mins(),
        few.join(", ")
    ))
}

/// On a full disk nothing begins well.
fn full(name: &str, facts: &HostFacts) -> Option<String> {
    let disk = facts.sample.as_ref()?.disks.iter().find(|disk| {
        let writes = !crate::causes::NEVER_WRITTEN.contains(&disk.filesystem.as_str());
        writes && disk.total > 0 && disk.available < disk.total / 100
    })?;
    Some(format!("the disk at {} is full: make room there before {name} is started", disk.mount))
}
