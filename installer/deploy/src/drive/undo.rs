//! Back through what was done, the last first.

use std::collections::BTreeSet;

use super::{Done, Event, Hands, Stop, carry_out, note};
use crate::journal::{Entry, Journal, State};
use crate::operation::Operation;
use crate::step::{Kind, NAMESPACE, Probe, Seen, Step, Undo};

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
    // The namespaces with something of somebody else's in place of what was made: it is looked at again by the next run.
    let mut keep: BTreeSet<String> = BTreeSet::new();
    let entries: Vec<Entry> = journal.entries.iter().rev().cloned().collect();
    // What was there before it was looked for, and stands in a namespace that was made here, would go with that.
    let made = |entry: &&Entry| entry.step.is_namespace() && entry.state != State::Found;
    let made: BTreeSet<&str> =
        entries.iter().filter(made).filter_map(|entry| namespace(&entry.step)).collect();
    for (number, entry) in entries.iter().enumerate() {
        let step = &entry.step;
        let mut is_there = false;
        let (event, operations): (Event, &[Operation]) = match (&step.undo, entry.state) {
            (_, State::Found) => {
                let around = namespace(step).filter(|name| !step.is_namespace() && made.contains(name));
                is_there = around.is_some() && is_theirs(step, entry, hands)?;
                keep.extend(around.filter(|_| is_there).map(str::to_owned));
                (Event::Left, &[])
            }
            (Undo::Nothing, _) => (Event::Undoing, &[]),
            (Undo::Data { .. }, _) if !with_data => (Event::Kept, &[]),
            (Undo::Run(operations) | Undo::Data { operations, .. }, _) => {
                let theirs = is_theirs(step, entry, hands)?;
                let name = namespace(step);
                if theirs {
                    keep.extend(name.filter(|_| !step.is_namespace()).map(str::to_owned));
                    (Event::Left, &[])
                } else if step.is_namespace() && name.is_some_and(|name| keep.contains(name)) {
                    // A namespace goes with everything in it.
                    (Event::Holding, &[])
                } else {
                    (Event::Undoing, operations)
                }
            }
        };
        hands.say(event, step, number + 1, entries.len());
        done.steps.push((step.id.clone(), event.as_str()));
        let is_looked_at_again =
            is_there || (event == Event::Left && entry.state != State::Found && namespace(step).is_some());
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

/// The namespace that the step's thing is in, or is.
fn namespace(step: &Step) -> Option<&str> {
    if step.is_namespace() {
        return step.id.strip_prefix(NAMESPACE);
    }
    let asked = match &step.kind {
        Kind::Make { probe: Probe::Object { get: asked, .. } | Probe::Release(asked), .. } => asked,
        Kind::Make {
            probe: Probe::Keys(_) | Probe::Context(_) | Probe::File(_) | Probe::Nothing, ..
        }
        | Kind::Check
        | Kind::Identify { .. } => return None,
    };
    asked.args.windows(2).find(|words| words[0] == "--namespace").map(|words| words[1].as_str())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{LARGE, SMALL, planned};

    #[test]
    fn of_everything_in_the_cluster_it_is_known_in_which_namespace_it_is() {
        for step in [SMALL, LARGE].into_iter().flat_map(|answers| planned(answers).steps) {
            let is_there =
                matches!(&step.kind, Kind::Make { probe: Probe::Object { .. } | Probe::Release(_), .. });
            assert_eq!(namespace(&step).is_some(), is_there, "{}", step.id);
        }
    }
}
