//! Which restraints are decisions, and so have a row in the audit log, and which are only waiting.
//!
//! An incident is looked at again whenever anything changes. That it waits for its turn, for the next attempt or for an
//! agent that is away is said in its reason and is no decision. That Nimbus refrains (the rollout is under way, the
//! cluster is only observed) is one: it has a row when it begins, and none when only its figures and times changed. So has
//! a refusal that may be over any moment, for which the same plan is asked for again and again.

use crate::model::Incident;

/// Most restraints that are put on record between two jobs of an incident. Beyond it the incident's reason still says
/// each, and the log has no further row.
pub(super) const MAX_HELD: usize = 8;

/// Length of a noted restraint, characters of its digest.
const NOTED: usize = 16;

/// Is this restraint news for the audit log? Notes it on the incident.
pub(super) fn begins(incident: &mut Incident, reason: &str) -> bool {
    let news = is_news(incident, reason);
    if news {
        incident.held.push(noted(reason));
    }
    news
}

/// Would it be news?
pub(super) fn is_news(incident: &Incident, reason: &str) -> bool {
    incident.held.len() < MAX_HELD && !incident.held.contains(&noted(reason))
}

fn noted(reason: &str) -> String {
    let digest = nimbus_protocol::sha256(restraint(reason).as_bytes());
    let mut noted = nimbus_protocol::to_hex(&digest);
    noted.truncate(NOTED);
    noted
}

/// The restraint, whatever its figures and times are now: each run of digits is one sign.
fn restraint(reason: &str) -> String {
    let mut text = String::with_capacity(reason.len());
    for c in reason.chars() {
        match c {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{IncidentKind, ObjectRef, Scope};
    use crate::testing::at;

    fn incident() -> Incident {
        let scope = Scope::Cluster("c".into());
        let object = ObjectRef::File { path: "/x".into() };
        let id = format!("inc_{:032x}", 1).parse().unwrap();
        Incident::found(id, "k".into(), IncidentKind::FileDrift, scope, object, at(0))
    }

    #[test]
    fn a_restraint_begins_once_whatever_its_figures_are() {
        let mut incident = incident();
        assert!(begins(&mut incident, "waits: 3 of 10 until 2026-11-26T08:00:00Z"));
        for again in
            ["waits: 3 of 10 until 2026-11-26T08:00:00Z", "waits: 12 of 10 until 2027-01-01T00:00:09Z"]
        {
            assert!(!begins(&mut incident, again), "{again}");
        }
        assert!(begins(&mut incident, "waits for the rollout"));
        assert!(
            !begins(&mut incident, "waits: 4 of 10 until 2026-11-26T08:00:01Z"),
            "back and forth is not news"
        );
    }

    #[test]
    fn what_is_put_on_record_between_two_jobs_is_bounded() {
        let mut incident = incident();
        let words = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let rows = words.iter().filter(|word| begins(&mut incident, word)).count();
        assert_eq!(rows, MAX_HELD);
        incident.held.clear();
        assert!(is_news(&incident, "a"), "asking notes nothing");
        assert!(begins(&mut incident, "a"));
        assert!(!is_news(&incident, "a"));
    }
}
