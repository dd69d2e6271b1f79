//! The independent check of when a plan may go out (invariant 10): by what the clocks of the zone show at this moment, and by nothing
//! that was worked out before.

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::meant::is_meant;
use super::{Violations, require};
use crate::model::{Approval, ApprovalState, Passed, Plan};
use crate::settings::calendar::{Day, Period};
use crate::snapshot::Snapshot;

/// In no blackout, and where there are windows for it in one of them, but for what somebody broke the glass for and said why.
pub(super) fn require_time(
    found: &mut Violations,
    plan: &Plan,
    places: &[String],
    snapshot: &Snapshot<'_>,
    now: Timestamp,
) {
    let settings = snapshot.settings;
    if settings.window.is_empty() && settings.blackout.is_empty() {
        return;
    }
    let passed: Vec<&Passed> = if plan.needs_approval {
        let broken = snapshot.approvals.iter().filter(|it| passes(&it.doc, plan, now));
        broken.filter_map(|it| it.doc.broken_glass.as_ref()).flat_map(|it| &it.past).collect()
    } else {
        Vec::new()
    };
    let meant = |period: &&Period| is_meant(plan, places, &period.actions, &period.clusters);
    for period in settings.blackout.iter().filter(meant) {
        let name = format!("blackout {}", period.name);
        let is_passed = passed.iter().any(|it| it.what == name && it.until.is_none_or(|until| until > now));
        require(found, 10, is_passed || !shows(period, now), || format!("{name} is now"));
    }
    let mut windows = settings.window.iter().filter(meant).peekable();
    let outside = |it: &&Passed| it.what == "outside its windows" && it.until.is_none_or(|until| until > now);
    if windows.peek().is_some() && !passed.iter().any(outside) {
        require(found, 10, windows.any(|period| shows(period, now)), || {
            "none of its windows is now".to_owned()
        });
    }
}

/// A broken glass of another person, for this very plan, that can be used.
fn passes(approval: &Approval, plan: &Plan, now: Timestamp) -> bool {
    let broken = approval.broken_glass.as_ref();
    broken.is_some_and(|it| it.by != plan.requested_by && !it.reason.trim().is_empty())
        && approval.incident_id == plan.incident_id
        && approval.plan_digest == plan.digest
        && approval.state == ApprovalState::Approved
        && approval.used_by.is_none()
        && now < approval.expires_at
}

/// Do the clocks of its zone show a time of it?
pub(super) fn shows(period: &Period, now: Timestamp) -> bool {
    let shown: DateTime = now.to_zoned(period.zone.rules().clone()).datetime();
    if let (Some(starts), Some(ends)) = (period.starts, period.ends) {
        return starts <= shown && shown < ends;
    }
    let is_of = |date: jiff::civil::Date| {
        let name = date.strftime("%a").to_string().to_lowercase();
        period.days.is_empty() || period.days.iter().copied().map(Day::as_str).any(|day| day == name)
    };
    let midnight = jiff::civil::Time::midnight();
    let (from, to) = (period.from.unwrap_or(midnight), period.to.unwrap_or(midnight));
    let (today, time) = (shown.date(), shown.time());
    if from < to {
        return is_of(today) && from <= time && time < to;
    }
    // It goes on over midnight: that of today, or the rest of yesterday's.
    let yesterday = today.yesterday().is_ok_and(is_of);
    is_of(today) && from <= time || yesterday && time < to
}
