//! Whether files are gone of which a copy is in use: others in their place would be another thing than the copy.

use super::{Hands, Stop};
use crate::journal::{Journal, State};
use crate::step::{Copied, Kind, Probe, Seen, Step};

/// Stops where files of a step's thing are gone and what was made from them is, or may be, there.
pub(super) fn refuse_where_lost<H: Hands>(
    step: &Step,
    copied: &Copied,
    journal: &Journal,
    hands: &mut H,
) -> Result<(), Stop<H::Error>> {
    let failed = |error| Stop::Failed { step: step.title.clone(), error };
    let missing = hands.missing(&copied.files).map_err(failed)?;
    if missing.is_empty() || !is_there(step, &copied.by, journal, hands)? {
        return Ok(());
    }
    let (step, copy, next) = (step.title.clone(), copied.what.clone(), copied.next.clone());
    Err(Stop::Lost { step, files: missing, copy, next })
}

/// Whether what the step of this id made, or began to make, is there: by a look.
fn is_there<H: Hands>(
    step: &Step,
    by: &str,
    journal: &Journal,
    hands: &mut H,
) -> Result<bool, Stop<H::Error>> {
    let Some(entry) = journal.entry(by) else { return Ok(false) };
    match entry.state {
        State::Found => return Ok(false),
        State::Made | State::Begun | State::BegunAgain | State::Undoing => {}
    }
    let probe = match &entry.step.kind {
        // What is in it makes no difference, and the files that would say it are gone.
        Kind::Make { probe: Probe::Object { get, .. }, .. } => {
            Probe::Object { get: get.clone(), data: Vec::new() }
        }
        Kind::Make { probe, .. } => probe.clone(),
        Kind::Check | Kind::Identify { .. } => return Ok(false),
    };
    let seen = hands
        .look(&probe, entry.mark.as_deref())
        .map_err(|error| Stop::Failed { step: step.title.clone(), error })?;
    Ok(match seen {
        Seen::Ours | Seen::Outdated => true,
        Seen::Nothing | Seen::Theirs => false,
    })
}
