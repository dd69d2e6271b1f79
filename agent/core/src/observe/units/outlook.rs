//! Whether a unit that is not well could be started again as things are, before anybody is asked.

use super::{MayStart, UnitFacts};
use crate::unit;

/// Why it could not: one word and a sentence; `None` where nothing is in the way, and of a unit that is well.
pub(super) fn obstacle(
    facts: &UnitFacts,
    system_state: &str,
    may_start: MayStart<'_>,
) -> Option<(&'static str, String)> {
    if !facts.is_unwell() {
        return None;
    }
    of_the_unit(facts).or_else(|| of_others(facts)).or_else(|| {
        if facts.has_job {
            let reason =
                format!("a job of systemd is queued for {}: somebody starts or stops it", facts.name);
            return Some(("job", reason));
        }
        if let Some(why) = host_is_busy(system_state) {
            return Some(("host", why));
        }
        may_start(&facts.name).err().map(|why| ("policy", why))
    })
}

/// What the unit itself, or its file, says against it.
fn of_the_unit(facts: &UnitFacts) -> Option<(&'static str, String)> {
    let (name, more) = (&facts.name, &facts.more);
    if !unit::is_service(name) {
        return Some(("no_service", format!("{name} is no service, and only services are started again")));
    }
    if let Some(why) = unit::never(name) {
        return Some(("never", format!("{name} is never started again by an agent: {why}")));
    }
    if facts.load_state != "loaded" {
        return Some(("not_loaded", format!("the unit file of {name} is {}", facts.load_state)));
    }
    if !more.can_start {
        return Some(("refuses_start", format!("{name} may not be started by hand, as its unit file says")));
    }
    if more.needs_reload {
        let reason = format!(
            "the unit file of {name} was changed and systemd has not read it: `systemctl daemon-reload`"
        );
        return Some(("reload", reason));
    }
    more.may_have_been_stopped().then(|| {
        let reason =
            format!("{name} was being stopped when it ended, or may have been: somebody wanted it to end");
        ("stopped", reason)
    })
}

/// What a start would do to others. What was wanted of the one unit is no word for them, whatever a policy names.
fn of_others(facts: &UnitFacts) -> Option<(&'static str, String)> {
    let (name, more) = (&facts.name, &facts.more);
    if let Some(other) = more.would_stop.first() {
        return Some((
            "conflict",
            format!("a start of {name} would stop {other}, which is in conflict with it"),
        ));
    }
    let other = more.would_start.first()?;
    Some(("starts_others", format!("a start of {name} would start {other} too, which does not run")))
}

/// Whether nothing is to be begun on the host now, by systemd's word for all of it. Only a host that is up by a word
/// known here is started on: `offline`, `unknown` and whatever a later systemd says are no leave.
fn host_is_busy(system_state: &str) -> Option<String> {
    match system_state {
        "initializing" | "starting" => Some("the host is starting, and systemd goes on with it".to_owned()),
        "stopping" => Some("the host is going down".to_owned()),
        "maintenance" => Some("the host is in maintenance: a person is at its console".to_owned()),
        "running" | "degraded" => None,
        other => Some(format!(
            "expected a host that is up, `running` or `degraded` by systemd's word, found: {other:?}"
        )),
    }
}
