//! What is to be done about a step that makes something: from what the journal says and what a look found.

use super::{Event, Hands, Stop};
use crate::journal::{Entry, Journal, State};
use crate::step::{Foreign, Lasts, Outdated, Probe, Seen, Step};

/// What a step says about its thing.
pub(super) struct Known<'a> {
    pub(super) probe: &'a Probe,
    pub(super) foreign: &'a Foreign,
    pub(super) is_made_once: bool,
    pub(super) lasts: Option<&'a Lasts>,
    pub(super) outdated: &'a Outdated,
}

/// Looks and decides.
pub(super) fn decide<H: Hands>(
    step: &Step,
    known: &Known<'_>,
    journal: &Journal,
    hands: &mut H,
) -> Result<(Event, Seen), Stop<H::Error>> {
    let entry = journal.entry(&step.id);
    let is_same = known.is_made_once || entry.is_some_and(|entry| entry.step == *step);
    let unfinished =
        matches!(entry.map(|entry| entry.state), Some(State::Begun | State::BegunAgain | State::Undoing));
    if *known.probe == Probe::Nothing {
        let event = match entry {
            None => Event::Making,
            Some(_) if unfinished => Event::Resuming,
            Some(_) if is_same => Event::Already,
            Some(_) => Event::Changing,
        };
        // What may be done again at any time has nothing of somebody else's in its way.
        return Ok((event, Seen::Nothing));
    }
    let mark = entry.and_then(|entry| entry.mark.as_deref());
    let seen =
        hands.look(known.probe, mark).map_err(|error| Stop::Failed { step: step.title.clone(), error })?;
    if let (Seen::Outdated, Outdated::Refuse(next)) = (seen, known.outdated) {
        return Err(Stop::Differs { step: step.title.clone(), next: next.clone() });
    }
    let event = match (entry.map(|entry| entry.state), seen) {
        // What was done and is gone is done anew, as is what another one had made. And what is ours by its contents, though
        // nothing was noted, is noted now.
        (None | Some(State::Found | State::Made), Seen::Nothing)
        | (None | Some(State::Found), Seen::Ours | Seen::Outdated) => Event::Making,
        // Also where it was begun: it may have been refused then, and made by somebody else since.
        (_, Seen::Theirs) => match known.foreign {
            Foreign::Take => Event::Taken,
            Foreign::Refuse(next) => {
                return Err(Stop::Foreign { step: step.title.clone(), next: next.clone() });
            }
        },
        (Some(State::Begun | State::BegunAgain | State::Undoing), _) => Event::Resuming,
        (Some(State::Made), Seen::Outdated) => Event::Renewing,
        (Some(State::Made), Seen::Ours) if is_spent(known.lasts, entry, journal, hands.now()) => {
            Event::Renewing
        }
        (Some(State::Made), Seen::Ours) if is_same => Event::Already,
        (Some(State::Made), Seen::Ours) => Event::Changing,
    };
    Ok((event, seen))
}

/// Whether it is too old for the step that still needs it.
fn is_spent(lasts: Option<&Lasts>, entry: Option<&Entry>, journal: &Journal, now: u64) -> bool {
    let (Some(lasts), Some(entry)) = (lasts, entry) else { return false };
    let needed = match journal.entry(&lasts.until).map(|entry| entry.state) {
        Some(State::Made | State::BegunAgain | State::Found) => false,
        None | Some(State::Begun | State::Undoing) => true,
    };
    // A clock that was set back says nothing about its age.
    let is_old = now.checked_sub(entry.at).is_none_or(|age| age > lasts.seconds);
    needed && is_old
}
