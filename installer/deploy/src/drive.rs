//! Goes through a plan's steps, or back through what the journal says was done.
//!
//! A step is noted before it is begun and after it is done. So wherever this ends, killed or refused, the next run knows
//! whether what it finds was made here: only that is changed, and only that is undone.

use crate::command::{Command, Operation};
use crate::journal::{Entry, Journal, State};
use crate::step::{Foreign, Kind, Probe, Retry, Step, Undo};

/// Who does it.
pub trait Hands {
    /// Why something could not be done.
    type Error;

    /// Whether the thing is there.
    fn is_there(&mut self, probe: &Probe) -> Result<bool, Self::Error>;
    /// Does it; nothing but an error means that it was not done.
    fn carry_out(&mut self, operation: &Operation) -> Result<(), Self::Error>;
    /// Keeps the journal: it is on the disk when this returns.
    fn save(&mut self, journal: &Journal) -> Result<(), Self::Error>;
    /// Says how far it is.
    fn say(&mut self, event: Event, step: &Step, number: usize, of: usize);
}

/// What happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It looks.
    Checking,
    /// It is done now.
    Making,
    /// It had been interrupted, and is done again.
    Resuming,
    /// It is done again with other contents.
    Changing,
    /// It was done before.
    Already,
    /// What it would make is there, and somebody else's.
    Taken,
    /// It is undone now.
    Undoing,
    /// It was somebody else's, and is left.
    Left,
    /// It is kept, as nobody said that what cannot be made again goes too.
    Kept,
}

/// Why it ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop<E> {
    /// A step did not succeed.
    Failed {
        /// Its title.
        step: String,
        /// Why.
        error: E,
    },
    /// What a step would make is somebody else's.
    Foreign {
        /// Its title.
        step: String,
        /// What to do.
        next: String,
    },
    /// The directory is another installation's.
    Other {
        /// Of which the plan is.
        expected: String,
        /// Of which the directory is.
        found: String,
    },
    /// The journal could not be kept.
    Unkept(E),
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Done {
    /// Each step's id with what happened to it.
    pub steps: Vec<(String, &'static str)>,
    /// What the journal has and the plan has not: it stays until it is undone.
    pub left_over: Vec<String>,
}

impl Event {
    /// The word in a document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Checking => "checked",
            Self::Making => "made",
            Self::Resuming => "resumed",
            Self::Changing => "changed",
            Self::Already => "already",
            Self::Taken => "found",
            Self::Undoing => "undone",
            Self::Left => "left",
            Self::Kept => "kept",
        }
    }
}

/// Does every step that is not done.
///
/// # Errors
/// Why it ended early; the journal says how far.
pub fn apply<H: Hands>(
    identity: &str,
    steps: &[Step],
    journal: &mut Journal,
    hands: &mut H,
) -> Result<Done, Stop<H::Error>> {
    if journal.identity != identity {
        return Err(Stop::Other { expected: identity.to_owned(), found: journal.identity.clone() });
    }
    let mut done = Done::default();
    for (number, step) in steps.iter().enumerate() {
        let place = (number + 1, steps.len());
        let event = match &step.kind {
            Kind::Check => {
                hands.say(Event::Checking, step, place.0, place.1);
                carry_out(step, &step.operations, hands)?;
                Event::Checking
            }
            Kind::Make { probe, foreign, retry, is_made_once } => {
                let event = decide(step, probe, foreign, *is_made_once, journal, hands)?;
                hands.say(event, step, place.0, place.1);
                make(step, event, retry, probe, journal, hands)?;
                event
            }
        };
        done.steps.push((step.id.clone(), event.as_str()));
    }
    let is_left = |entry: &&Entry| !steps.iter().any(|step| step.id == entry.step.id);
    done.left_over = journal.entries.iter().filter(is_left).map(|entry| entry.step.title.clone()).collect();
    Ok(done)
}

/// What is to be done about a step that makes something.
fn decide<H: Hands>(
    step: &Step,
    probe: &Probe,
    foreign: &Foreign,
    is_made_once: bool,
    journal: &Journal,
    hands: &mut H,
) -> Result<Event, Stop<H::Error>> {
    let entry = journal.entry(&step.id);
    if let Some(Entry { state: State::Begun | State::BegunAgain | State::Undoing, .. }) = entry {
        return Ok(Event::Resuming);
    }
    let is_same = is_made_once || entry.is_some_and(|entry| entry.step == *step);
    if *probe == Probe::Nothing {
        return Ok(match entry {
            None => Event::Making,
            Some(_) if is_same => Event::Already,
            Some(_) => Event::Changing,
        });
    }
    let failed = |error| Stop::Failed { step: step.title.clone(), error };
    let is_there = hands.is_there(probe).map_err(failed)?;
    match (entry.map(|entry| entry.state), is_there) {
        // What was done and is gone is done anew, as is what another one had made.
        (_, false) => Ok(Event::Making),
        (Some(State::Made), true) if is_same => Ok(Event::Already),
        (Some(State::Made), true) => Ok(Event::Changing),
        (Some(State::Begun | State::BegunAgain | State::Undoing), true) => Ok(Event::Resuming),
        (None | Some(State::Found), true) => match foreign {
            Foreign::Take => Ok(Event::Taken),
            Foreign::Refuse(next) => Err(Stop::Foreign { step: step.title.clone(), next: next.clone() }),
        },
    }
}

/// Does it, with a note before and after.
fn make<H: Hands>(
    step: &Step,
    event: Event,
    retry: &Retry,
    probe: &Probe,
    journal: &mut Journal,
    hands: &mut H,
) -> Result<(), Stop<H::Error>> {
    match event {
        Event::Checking | Event::Already | Event::Undoing | Event::Left | Event::Kept => return Ok(()),
        Event::Taken => {
            journal.note(step, State::Found);
            return hands.save(journal).map_err(Stop::Unkept);
        }
        Event::Making => begin(step, State::Begun, journal, hands)?,
        Event::Changing => begin(step, State::BegunAgain, journal, hands)?,
        Event::Resuming => {
            let before = journal.entry(&step.id).map_or(State::Begun, |entry| entry.state);
            let state = if before == State::BegunAgain { State::BegunAgain } else { State::Begun };
            begin(step, state, journal, hands)?;
            match retry {
                Retry::WholeIfThere => {
                    let failed = |error| Stop::Failed { step: step.title.clone(), error };
                    if hands.is_there(probe).map_err(failed)? {
                        return end(step, journal, hands);
                    }
                }
                Retry::After { new, change } => {
                    let first = if state == State::BegunAgain { change } else { new };
                    forgiving(first, hands);
                }
            }
        }
    }
    carry_out(step, &step.operations, hands)?;
    end(step, journal, hands)
}

fn begin<H: Hands>(
    step: &Step,
    state: State,
    journal: &mut Journal,
    hands: &mut H,
) -> Result<(), Stop<H::Error>> {
    journal.note(step, state);
    hands.save(journal).map_err(Stop::Unkept)
}

fn end<H: Hands>(step: &Step, journal: &mut Journal, hands: &mut H) -> Result<(), Stop<H::Error>> {
    begin(step, State::Made, journal, hands)
}

/// Goes back through what was done, the last first.
///
/// # Errors
/// Why it ended early; the journal says how far.
pub fn undo<H: Hands>(journal: &mut Journal, with_data: bool, hands: &mut H) -> Result<Done, Stop<H::Error>> {
    let mut done = Done::default();
    let entries: Vec<Entry> = journal.entries.iter().rev().cloned().collect();
    for (number, entry) in entries.iter().enumerate() {
        let step = &entry.step;
        let (event, operations): (Event, &[Operation]) = match (&step.undo, entry.state) {
            (_, State::Found) => (Event::Left, &[]),
            (Undo::Nothing, _) => (Event::Undoing, &[]),
            (Undo::Run(operations), _) => (Event::Undoing, operations),
            (Undo::Data { operations, .. }, _) if with_data => (Event::Undoing, operations),
            (Undo::Data { .. }, _) => (Event::Kept, &[]),
        };
        hands.say(event, step, number + 1, entries.len());
        done.steps.push((step.id.clone(), event.as_str()));
        if event == Event::Kept {
            continue;
        }
        if !operations.is_empty() {
            begin(step, State::Undoing, journal, hands)?;
            carry_out(step, operations, hands)?;
        }
        journal.forget(&step.id);
        hands.save(journal).map_err(Stop::Unkept)?;
    }
    Ok(done)
}

fn carry_out<H: Hands>(step: &Step, operations: &[Operation], hands: &mut H) -> Result<(), Stop<H::Error>> {
    let failed = |error| Stop::Failed { step: step.title.clone(), error };
    operations.iter().try_for_each(|operation| hands.carry_out(operation)).map_err(failed)
}

/// What comes before an interrupted step is done again. If it fails, the step itself will say what is wrong.
fn forgiving<H: Hands>(commands: &[Command], hands: &mut H) {
    for command in commands {
        let _ = hands.carry_out(&Operation::Run(command.clone()));
    }
}
