//! Decides what is written when a person pauses Nimbus in a cluster or the whole fleet, and when one lets it go on.

use jiff::{SignedDuration, Timestamp};

use super::record::Record;
use crate::model::{ChangeSet, Cluster, Pause, Removed, Versioned};

/// Longest reason of a pause that is kept, bytes; the rest is cut off. The API takes no longer one.
pub const MAX_PAUSE_REASON: usize = 4_000;

/// What a person says of a pause, or of its end.
#[derive(Debug, Clone, Copy)]
pub struct PauseOrder<'a> {
    /// The cluster; `None`: the fleet, which is every cluster and every host.
    pub cluster: Option<&'a Cluster>,
    /// Who says it.
    pub by: &'a str,
    /// Why; may be empty.
    pub reason: &'a str,
    /// When it ends by itself; `None`: when somebody lets it go on.
    pub until: Option<Timestamp>,
}

impl PauseOrder<'_> {
    /// The pause that this is about, as it would begin now.
    fn pause(&self, now: Timestamp) -> Pause {
        let reason = &self.reason[..self.reason.floor_char_boundary(MAX_PAUSE_REASON)];
        Pause {
            cluster_uid: self.cluster.map(|cluster| cluster.uid.clone()),
            cluster: self.cluster.map(|cluster| cluster.name.clone()).unwrap_or_default(),
            by: self.by.to_owned(),
            reason: reason.to_owned(),
            since: now,
            until: self.until,
            beneath: Vec::new(),
        }
    }

    fn in_force<'p>(&self, pauses: &'p [Versioned<Pause>]) -> Option<&'p Versioned<Pause>> {
        let uid = self.cluster.map(|cluster| &cluster.uid);
        pauses.iter().find(|pause| pause.doc.cluster_uid.as_ref() == uid)
    }
}

/// Pauses it: no job is decided there any more. What is paused already, and for as long, stays as it is, with who paused it first and
/// why. An order that lasts longer takes the place of one that ends sooner: who pulls the kill switch in the middle of a maintenance
/// is not let down by its end. Somebody else's that ends no later stays beneath, and holds when the longer one is resumed.
pub fn pause(pauses: &[Versioned<Pause>], order: PauseOrder<'_>, now: Timestamp) -> ChangeSet {
    let mut record = Record::new(now);
    let ordered = order.pause(now);
    let (mut pause, mut before, mut version) = (ordered.clone(), String::new(), 0);
    if let Some(found) = order.in_force(pauses) {
        version = found.version;
        before = format!(", which {} had paused{}", found.doc.by, until(found.doc.until));
        match put_together(&found.doc, ordered.clone(), now) {
            None => return record.changes,
            Some(together) => pause = together,
        }
    }
    let text = format!("paused {}{}{before}{}", pause.what(), until(ordered.until), because(&ordered.reason));
    record.audit_by(order.by, "autonomous.paused", &subject(&pause), &pause.cluster, text);
    record.changes.pauses.push(Versioned { version, doc: pause });
    record.changes
}

/// Most pauses that are kept beneath one; of more, those that end first are left out.
const MAX_BENEATH: usize = 8;
/// So long after an order the same one is that order, sent again.
const SENT_AGAIN: SignedDuration = SignedDuration::from_secs(10);

/// Both of them; `None`: the order changes nothing.
fn put_together(found: &Pause, order: Pause, now: Timestamp) -> Option<Pause> {
    let length = |pause: &Pause| pause.until.map(|until| until.duration_since(pause.since));
    let is_again = found.by == order.by
        && found.reason == order.reason
        && length(found) == length(&order)
        && now.duration_since(found.since) < SENT_AGAIN;
    if is_again {
        return None;
    }
    // A person has one pause: a later order of the same one takes the place of what is beneath, too.
    let mut beneath: Vec<Pause> = found.beneath.iter().filter(|it| it.by != order.by).cloned().collect();
    if found.ends_before(order.until) {
        if found.by != order.by {
            beneath.push(Pause { beneath: Vec::new(), ..found.clone() });
        }
        return Some(Pause { beneath: kept(beneath), ..order });
    }
    // A second one of the same person changes nothing beside one that lasts as long.
    if order.by == found.by {
        return None;
    }
    let own = found.beneath.iter().find(|it| it.by == order.by);
    if own.is_some_and(|own| !own.ends_before(order.until)) {
        return None;
    }
    beneath.push(order.clone());
    let beneath = kept(beneath);
    // One that is not among them is not said to hold.
    beneath.contains(&order).then(|| Pause { beneath, ..found.clone() })
}

/// Those that last longest, the longest first.
fn kept(mut beneath: Vec<Pause>) -> Vec<Pause> {
    beneath.sort_by_key(|it| std::cmp::Reverse(it.until.unwrap_or(Timestamp::MAX)));
    beneath.truncate(MAX_BENEATH);
    beneath
}

/// Ends those whose time is over, also those beneath one that lasts.
pub(super) fn ended<'a>(
    pauses: impl Iterator<Item = &'a Versioned<Pause>>,
    record: &mut Record,
    now: Timestamp,
) {
    let is_over = |pause: &Pause| pause.until.is_some_and(|until| until <= now);
    for found in pauses {
        let top = &found.doc;
        let over = top.beneath.iter().chain([top]).filter(|pause| is_over(pause));
        for pause in over {
            let rest = if is_over(top) { "" } else { "; it stays paused" };
            let text =
                format!("resumed {}, which {} had paused{}{rest}", top.what(), pause.by, until(pause.until));
            record.audit("autonomous.resumed", &subject(top), &top.cluster, text);
        }
        if is_over(top) {
            record.changes.removed.push(Removed::of(found));
        } else if top.beneath.iter().any(is_over) {
            let beneath = top.beneath.iter().filter(|pause| !is_over(pause)).cloned().collect();
            let doc = Pause { beneath, ..top.clone() };
            record.changes.pauses.push(Versioned { version: found.version, doc });
        }
    }
}

/// Lets it go on. What is not paused stays as it is; so does the fleet's pause when a cluster may go on, and a cluster's when the
/// fleet may. Whoever has a pause beneath another person's ends that one first: only a second order ends the other person's.
pub fn resume(pauses: &[Versioned<Pause>], order: PauseOrder<'_>, now: Timestamp) -> ChangeSet {
    let mut record = Record::new(now);
    if let Some(found) = order.in_force(pauses) {
        let pause = &found.doc;
        let running = |it: &&Pause| it.until.is_none_or(|until| now < until);
        if let Some(own) = pause.beneath.iter().filter(running).find(|it| it.by == order.by) {
            let text = format!(
                "ended the own pause{} of {}{}; {} has paused it{} still",
                until(own.until),
                pause.what(),
                because(order.reason),
                pause.by,
                until(pause.until)
            );
            record.audit_by(order.by, "autonomous.resumed", &subject(pause), &pause.cluster, text);
            let beneath = pause.beneath.iter().filter(|it| it.by != order.by).cloned().collect();
            let doc = Pause { beneath, ..pause.clone() };
            record.changes.pauses.push(Versioned { version: found.version, doc });
            return record.changes;
        }
        let mut beneath = pause.beneath.iter().filter(running).cloned();
        let next = beneath.next();
        let still = next.as_ref().map(|it| format!("; {} has paused it{} still", it.by, until(it.until)));
        let text = format!(
            "resumed {}, which {} paused at {:.0}{}{}",
            pause.what(),
            pause.by,
            pause.since,
            because(order.reason),
            still.unwrap_or_default()
        );
        record.audit_by(order.by, "autonomous.resumed", &subject(pause), &pause.cluster, text);
        match next {
            None => record.changes.removed.push(Removed::of(found)),
            Some(next) => {
                let doc = Pause { beneath: beneath.collect(), ..next };
                record.changes.pauses.push(Versioned { version: found.version, doc });
            }
        }
    }
    record.changes
}

fn until(until: Option<Timestamp>) -> String {
    until.map_or_else(String::new, |until| format!(" until {until:.0}"))
}

fn subject(pause: &Pause) -> String {
    pause.cluster_uid.clone().unwrap_or_else(|| "fleet".to_owned())
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}
