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
            beneath: None,
        }
    }

    fn in_force<'p>(&self, pauses: &'p [Versioned<Pause>]) -> Option<&'p Versioned<Pause>> {
        let uid = self.cluster.map(|cluster| &cluster.uid);
        pauses.iter().find(|pause| pause.doc.cluster_uid.as_ref() == uid)
    }
}

/// Pauses it: no job is decided there any more. What is paused already, and for as long, stays as it is, with who paused it first and
/// why. An order that lasts longer takes the place of one that ends sooner: who pulls the kill switch in the middle of a maintenance
/// is not let down by its end.
pub fn pause(pauses: &[Versioned<Pause>], order: PauseOrder<'_>, now: Timestamp) -> ChangeSet {
    let mut record = Record::new(now);
    let mut pause = order.pause(now);
    let found = order.in_force(pauses);
    let before = match found {
        Some(found) if !found.doc.ends_before(order.until) || is_same(&found.doc, &pause) => {
            return record.changes;
        }
        Some(found) => {
            pause.beneath = Some(Box::new(Pause { beneath: None, ..found.doc.clone() }));
            format!(", which {} had paused{}", found.doc.by, until(found.doc.until))
        }
        None => String::new(),
    };
    let text = format!("paused {}{}{before}{}", pause.what(), until(pause.until), because(&pause.reason));
    record.audit_by(order.by, "autonomous.paused", &subject(&pause), &pause.cluster, text);
    let version = found.map_or(0, |found| found.version);
    record.changes.pauses.push(Versioned { version, doc: pause });
    record.changes
}

/// How much later the same order of the same person may end to be the same one, sent again.
const SENT_AGAIN: SignedDuration = SignedDuration::from_mins(1);

/// Is it the order that is in force, sent again?
fn is_same(before: &Pause, order: &Pause) -> bool {
    let ends = before.until.zip(order.until);
    before.by == order.by
        && before.reason == order.reason
        && ends.is_some_and(|(before, order)| order.duration_since(before) < SENT_AGAIN)
}

/// Ends those whose time is over.
pub(super) fn ended<'a>(
    pauses: impl Iterator<Item = &'a Versioned<Pause>>,
    record: &mut Record,
    now: Timestamp,
) {
    for found in pauses.filter(|pause| pause.doc.until.is_some_and(|until| until <= now)) {
        let pause = &found.doc;
        let text = format!("resumed {}, which {} had paused{}", pause.what(), pause.by, until(pause.until));
        record.audit("autonomous.resumed", &subject(pause), &pause.cluster, text);
        record.changes.removed.push(Removed::of(found));
    }
}

/// Lets it go on. What is not paused stays as it is; so does the fleet's pause when a cluster may go on, and a cluster's when the
/// fleet may.
pub fn resume(pauses: &[Versioned<Pause>], order: PauseOrder<'_>, now: Timestamp) -> ChangeSet {
    let mut record = Record::new(now);
    if let Some(found) = order.in_force(pauses) {
        let pause = &found.doc;
        let beneath = pause.beneath.as_deref().filter(|it| it.until.is_some_and(|until| now < until));
        let still = beneath.map(|it| format!("; {} has paused it{} still", it.by, until(it.until)));
        let text = format!(
            "resumed {}, which {} paused at {:.0}{}{}",
            pause.what(),
            pause.by,
            pause.since,
            because(order.reason),
            still.unwrap_or_default()
        );
        record.audit_by(order.by, "autonomous.resumed", &subject(pause), &pause.cluster, text);
        match beneath {
            None => record.changes.removed.push(Removed::of(found)),
            Some(beneath) => {
                record.changes.pauses.push(Versioned { version: found.version, doc: beneath.clone() });
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
