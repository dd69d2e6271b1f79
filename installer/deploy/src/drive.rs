//! Goes through a plan's steps, or back through what the journal says was done.
//!
//! A step is noted before it is begun and after it is done, and what it makes carries the mark that was noted. So wherever
//! this ends, killed or refused, the next run knows whether what it finds was made here: only that is changed, and only that
//! is undone. Whatever else has the name is somebody else's, also where the step had been begun.

mod decide;
mod lost;
mod undo;

use crate::command::Command;
use crate::journal::{Entry, Journal, Known, State};
use crate::operation::Operation;
use crate::step::{Kind, Probe, Retry, Seen, Step};

pub use self::undo::undo;

/// Who does it.
pub trait Hands {
    /// Why something could not be done.
    type Error;

    /// A new mark, random: nobody else's thing carries it.
    fn mark(&mut self) -> String;
    /// The time, in seconds since 1970.
    fn now(&mut self) -> u64;
    /// What a command prints that says which cluster this is.
    fn ask(&mut self, command: &Command) -> Result<String, Self::Error>;
    /// Whether the thing is there, and whether it carries this mark.
    fn look(&mut self, probe: &Probe, mark: Option<&str>) -> Result<Seen, Self::Error>;
    /// Those of these files that are not there.
    fn missing(&mut self, files: &[String]) -> Result<Vec<String>, Self::Error>;
    /// Does it, with the mark; nothing but an error means that it was not done.
    fn carry_out(&mut self, operation: &Operation, mark: &str) -> Result<(), Self::Error>;
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
    /// It is of no use any more, and is made anew.
    Renewing,
    /// It was done before.
    Already,
    /// What it would make is there, and somebody else's.
    Taken,
    /// It is undone now.
    Undoing,
    /// It was somebody else's, and is left.
    Left,
    /// It is left, as it would go with something of somebody else's that is in it.
    Holding,
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
    /// The cluster is not the one in which the steps were done.
    Cluster {
        /// The UID of the namespace kube-system of that one.
        expected: String,
        /// Of this one.
        found: String,
    },
    /// An answer is another one that cannot change any more.
    Moved {
        /// Its key.
        answer: String,
        /// What it was when the step was begun.
        expected: String,
        /// What it is now.
        found: String,
    },
    /// Files of a step's thing are gone, and what was made from them is there.
    Lost {
        /// Its title.
        step: String,
        /// The files.
        files: Vec<String>,
        /// What was made from them.
        copy: String,
        /// What to do.
        next: String,
    },
    /// What a step made is there, and is no longer what belongs there.
    Differs {
        /// Its title.
        step: String,
        /// What to do.
        next: String,
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
            Self::Renewing => "renewed",
            Self::Already => "already",
            Self::Taken => "found",
            Self::Undoing => "undone",
            Self::Left | Self::Holding => "left",
            Self::Kept => "kept",
        }
    }
}

/// Whether a plan is of the installation that the journal is of, before anything is written or done.
///
/// # Errors
/// What is another one.
pub fn fits<E>(identity: &str, steps: &[Step], journal: &Journal) -> Result<(), Stop<E>> {
    if journal.identity != identity {
        return Err(Stop::Other { expected: identity.to_owned(), found: journal.identity.clone() });
    }
    for step in steps {
        let Some(entry) = journal.entry(&step.id) else { continue };
        match entry.state {
            // A first try may have been refused because of such an answer. What it made nevertheless is not deleted either:
            // the plan of Terraform is looked at.
            State::Begun | State::Found => continue,
            State::BegunAgain | State::Made | State::Undoing => {}
        }
        for (answer, was) in &entry.step.place {
            if let Some(is) = step.place.get(answer).filter(|&is| is != was) {
                let (answer, expected, found) = (answer.clone(), was.clone(), is.clone());
                return Err(Stop::Moved { answer, expected, found });
            }
        }
    }
    Ok(())
}

/// Is the cluster that would be reached the one in which steps were done? Nothing is asked where none was.
///
/// # Errors
/// When it is another one, or does not answer.
pub fn is_the_cluster<H: Hands>(
    steps: &[Step],
    journal: &mut Journal,
    hands: &mut H,
) -> Result<(), Stop<H::Error>> {
    if journal.cluster.is_none() {
        return Ok(());
    }
    for step in steps {
        if let Kind::Identify { ask } = &step.kind {
            identify(step, ask, journal, hands)?;
        }
    }
    Ok(())
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
    fits(identity, steps, journal)?;
    let mut done = Done::default();
    for (number, step) in steps.iter().enumerate() {
        let place = (number + 1, steps.len());
        let event = match &step.kind {
            Kind::Check => {
                hands.say(Event::Checking, step, place.0, place.1);
                carry_out(step, &step.operations, "", hands)?;
                Event::Checking
            }
            Kind::Identify { ask } => {
                hands.say(Event::Checking, step, place.0, place.1);
                carry_out(step, &step.operations, "", hands)?;
                identify(step, ask, journal, hands)?;
                Event::Checking
            }
            Kind::Make { probe, foreign, retry, is_made_once, lasts, copied, outdated } => {
                let known = decide::Known {
                    probe,
                    foreign,
                    is_made_once: *is_made_once,
                    lasts: lasts.as_ref(),
                    outdated,
                };
                if let Some(copied) = copied {
                    lost::refuse_where_lost(step, copied, journal, hands)?;
                }
                let (event, seen) = decide::decide(step, &known, journal, hands)?;
                hands.say(event, step, place.0, place.1);
                make(step, event, seen, retry, journal, hands)?;
                event
            }
        };
        done.steps.push((step.id.clone(), event.as_str()));
    }
    let is_left = |entry: &&Entry| !steps.iter().any(|step| step.id == entry.step.id);
    done.left_over = journal.entries.iter().filter(is_left).map(|entry| entry.step.title.clone()).collect();
    Ok(done)
}

/// Compares the cluster with the one that the journal knows, or notes it where it knows none yet.
fn identify<H: Hands>(
    step: &Step,
    ask: &Command,
    journal: &mut Journal,
    hands: &mut H,
) -> Result<(), Stop<H::Error>> {
    let uid = hands.ask(ask).map_err(|error| Stop::Failed { step: step.title.clone(), error })?;
    match &journal.cluster {
        Some(known) if known.uid != uid => {
            return Err(Stop::Cluster { expected: known.uid.clone(), found: uid });
        }
        Some(known) if known.ask == *ask => return Ok(()),
        Some(_) | None => journal.cluster = Some(Known { uid, ask: ask.clone() }),
    }
    hands.save(journal).map_err(Stop::Unkept)
}

/// Does it, with a note before and after.
fn make<H: Hands>(
    step: &Step,
    event: Event,
    seen: Seen,
    retry: &Retry,
    journal: &mut Journal,
    hands: &mut H,
) -> Result<(), Stop<H::Error>> {
    let before = journal.entry(&step.id).map(|entry| entry.state);
    let known = journal.entry(&step.id).and_then(|entry| entry.mark.clone());
    let state = match (event, before) {
        (
            Event::Checking | Event::Already | Event::Undoing | Event::Left | Event::Holding | Event::Kept,
            _,
        ) => return Ok(()),
        (Event::Taken, _) => return note(step, State::Found, None, journal, hands),
        (Event::Changing, _) | (Event::Resuming, Some(State::BegunAgain)) => State::BegunAgain,
        (Event::Making | Event::Renewing | Event::Resuming, _) => State::Begun,
    };
    // What is made for the first time, or anew in the place of what is gone, is known by a mark of its own.
    let mark = match (event, known) {
        (Event::Making, _) | (_, None) => hands.mark(),
        (_, Some(mark)) => mark,
    };
    note(step, state, Some(&mark), journal, hands)?;
    let is_again = matches!(event, Event::Resuming | Event::Renewing);
    match (retry, seen) {
        (Retry::WholeIfThere, Seen::Ours) => return note(step, State::Made, Some(&mark), journal, hands),
        (Retry::After { new, change }, Seen::Ours | Seen::Outdated) if is_again => {
            let first = if state == State::BegunAgain { change } else { new };
            forgiving(first, &mark, hands);
        }
        (Retry::WholeIfThere | Retry::After { .. }, _) => {}
    }
    carry_out(step, &step.operations, &mark, hands)?;
    note(step, State::Made, Some(&mark), journal, hands)
}

/// Notes how far a step is, on the disk.
fn note<H: Hands>(
    step: &Step,
    state: State,
    mark: Option<&str>,
    journal: &mut Journal,
    hands: &mut H,
) -> Result<(), Stop<H::Error>> {
    let at = hands.now();
    journal.note(Entry { state, mark: mark.map(str::to_owned), at, step: step.clone() });
    hands.save(journal).map_err(Stop::Unkept)
}

fn carry_out<H: Hands>(
    step: &Step,
    operations: &[Operation],
    mark: &str,
    hands: &mut H,
) -> Result<(), Stop<H::Error>> {
    let failed = |error| Stop::Failed { step: step.title.clone(), error };
    operations.iter().try_for_each(|operation| hands.carry_out(operation, mark)).map_err(failed)
}

/// What comes before an interrupted step is done again. If it fails, the step itself will say what is wrong.
fn forgiving<H: Hands>(commands: &[Command], mark: &str, hands: &mut H) {
    for command in commands {
        let _ = hands.carry_out(&Operation::Run(command.clone()), mark);
    }
}
