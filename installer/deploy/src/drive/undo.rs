//! Back through what was done, the last first.

use super::{Done, Event, Hands, Stop, carry_out, note};
use crate::journal::{Entry, Journal, State};
use crate::operation::Operation;
use crate::step::{Kind, Probe, Seen, Step, Undo};

/// Goes back through what was done, the last first. It begins only in the cluster that the journal knows.
///
/// # Errors
/// Why it ended early; the journal says how far.
pub fn undo<H: Hands>(journal: &mut Journal, with_data: bool, hands: &mut H) -> Result<Done, Stop<H::Error>> {
    if let Some(known) = journal.cluster.as_ref().filter(|_| !journal.entries.is_empty()) {
        let step = || "The cluster is the one of the installation".to_owned();
        let found = hands.ask(&known.ask).map_err(|error| Stop::Failed { step: step(), error })?;
        if found != known.uid {
            return Err(Stop::Cluster { expected: known.uid.clone(), found });
        }
    }
    let mut done = Done::default();
    // Something of somebody else's is in the cluster in place of what was made: it is looked at again by the next run.
    let mut keeps_theirs = false;
    let entries: Vec<Entry> = journal.entries.iter().rev().cloned().collect();
    // What was there before it was looked for, and stands in a namespace of this run's, would go with that.
    let made_a_namespace =
        entries.iter().any(|entry| entry.step.is_namespace() && entry.state != State::Found);
    for (number, entry) in entries.iter().enumerate() {
        let step = &entry.step;
        let mut is_there = false;
        let (event, operations): (Event, &[Operation]) = match (&step.undo, entry.state) {
            (_, State::Found) => {
                is_there = made_a_namespace && is_in_a_namespace(step) && is_theirs(step, entry, hands)?;
                keeps_theirs |= is_there;
                (Event::Left, &[])
            }
            (Undo::Nothing, _) => (Event::Undoing, &[]),
            (Undo::Data { .. }, _) if !with_data => (Event::Kept, &[]),
            (Undo::Run(operations) | Undo::Data { operations, .. }, _) => {
                let theirs = is_theirs(step, entry, hands)?;
                keeps_theirs |= theirs && is_in_a_namespace(step);
                if theirs {
                    (Event::Left, &[])
                } else if keeps_theirs && step.is_namespace() {
                    // A namespace goes with everything in it.
                    (Event::Holding, &[])
                } else {
                    (Event::Undoing, operations)
                }
            }
        };
        hands.say(event, step, number + 1, entries.len());
        done.steps.push((step.id.clone(), event.as_str()));
        let is_looked_at_again = is_there
            || (event == Event::Left
                && entry.state != State::Found
                && (step.is_namespace() || is_in_a_namespace(step)));
        if matches!(event, Event::Kept | Event::Holding) || is_looked_at_again {
            continue;
        }
        if !operations.is_empty() {
            let mark = entry.mark.as_deref();
            note(step, State::Undoing, mark, journal, hands)?;
            carry_out(step, operations, mark.unwrap_or_default(), hands)?;
        }
        journal.forget(&step.id);
        hands.save(journal).map_err(Stop::Unkept)?;
    }
    Ok(done)
}

/// Whether the step's thing would go with its namespace; a namespace is in no other.
fn is_in_a_namespace(step: &Step) -> bool {
    match &step.kind {
        Kind::Make { probe: Probe::Object { .. } | Probe::Release(_), .. } => !step.is_namespace(),
        Kind::Make {
            probe: Probe::Keys(_) | Probe::Context(_) | Probe::File(_) | Probe::Nothing, ..
        }
        | Kind::Check
        | Kind::Identify { .. } => false,
    }
}

/// Whether what has the name of the step's thing now is somebody else's, who made it after ours was gone.
fn is_theirs<H: Hands>(step: &Step, entry: &Entry, hands: &mut H) -> Result<bool, Stop<H::Error>> {
    let probe = match &step.kind {
        Kind::Check | Kind::Identify { .. } => &Probe::Nothing,
        Kind::Make { probe, .. } => probe,
    };
    if *probe == Probe::Nothing {
        return Ok(false);
    }
    // What is in it makes no difference any more, and whatever would say so may be gone.
    let probe = if let Probe::Object { get, .. } = probe {
        Probe::Object { get: get.clone(), data: Vec::new() }
    } else {
        probe.clone()
    };
    let seen = hands
        .look(&probe, entry.mark.as_deref())
        .map_err(|error| Stop::Failed { step: step.title.clone(), error })?;
    Ok(match seen {
        Seen::Theirs => true,
        Seen::Nothing | Seen::Ours | Seen::Outdated => false,
    })
}
