//! Do both charts take the values? Each chart refuses values that contradict each other, and says which.

use super::{Snapshot, Values};
use crate::check::{Check, Judged, Open, Outcome};
use crate::words::start;

/// The most characters of a chart's refusal that are shown.
const MOST_SHOWN: usize = 1500;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "values", what: "both charts take the values", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    match snapshot.values.as_ref()? {
        Values::NotGiven => {
            Err(Open::NotAsked("--charts DIR --control-plane-values FILE --agent-values FILE"))
        }
        Values::Taken(needs) => Ok(match needs.left_out {
            None => Outcome::pass("both charts take the values"),
            Some(chart) => Outcome::pass(format!(
                "the chart of the values that were given takes them; {chart} was not looked at, as none were given for it"
            )),
        }),
        Values::Refused { chart, why } => Ok(Outcome::failure(
            format!("{chart} does not take the values: {}", start(why, MOST_SHOWN)),
            "correct the values that it names; the chart's README.md lists every value",
        )),
    }
}
