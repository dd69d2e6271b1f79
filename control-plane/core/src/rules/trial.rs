//! What a rule would change, tried on the incidents that are open now. Nothing is written.

use crate::model::{ActionKind, Incident, IncidentKind, Versioned};
use crate::remedies::{self, Answer, Proposal};
use crate::rulebook::{Book, Rule, RuleText};
use crate::snapshot::Snapshot;
use crate::verdict::{Case, Fit};

/// Most incidents that a rule is tried on: the newest of those that its remedy is for.
pub const MOST_TRIED: usize = 200;

/// What becomes of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This remedy is begun without asking.
    Begins(ActionKind),
    /// A person is asked for it.
    Asks(ActionKind),
    /// Nothing is done; why.
    Nothing(String),
}

/// A rule, tried on one incident.
#[derive(Debug)]
pub struct Tried<'a> {
    /// The incident.
    pub incident: &'a Incident,
    /// Is the rule for it? `None` where its remedy cannot help there, so that no rule is asked.
    pub fit: Option<Fit>,
    /// What becomes of it by the rules that are in force.
    pub now: Outcome,
    /// What would, with this one.
    pub then: Outcome,
}

/// Tries a rule, which was validated, and says how many incidents were left out. Modes, quorums, windows of the settings, caps and what
/// else holds a plan back are not asked: they hold whatever the rules say.
pub fn tried<'a>(text: &RuleText, s: &Snapshot<'a>) -> (Vec<Tried<'a>>, usize) {
    let Some(action) = text.kind() else { return (Vec::new(), 0) };
    let rule = Rule {
        text: text.clone(),
        version: 0,
        created_at: s.now,
        set_by: String::new(),
        set_at: s.now,
        problem: None,
    };
    let others = s.rules.documents().filter(|other| other.doc.text.name != text.name).cloned();
    let with = Book::of(others.chain([Versioned::new(rule)]).collect());
    let then = Snapshot { rules: &with, ..*s };
    let remedy = remedies::of(action);
    let mut incidents: Vec<&Incident> = s.incidents.iter().map(|incident| &incident.doc).collect();
    incidents
        .retain(|it| it.is_open() && it.kind != IncidentKind::Storm && remedy.answers().contains(&it.kind));
    incidents.sort_by_key(|incident| (std::cmp::Reverse(incident.created_at), incident.id));
    let left_out = incidents.len().saturating_sub(MOST_TRIED);
    incidents.truncate(MOST_TRIED);
    let of_one = |incident: &'a Incident| {
        let known = s.known(&incident.scope, remedy.needs(incident)).is_ok();
        let answer = known.then(|| remedy.propose(incident, s));
        let fit = answer.and_then(|answer| match answer {
            Answer::Act(draft) => {
                with.named(&text.name).map(|entry| Case::of(&draft.intended(), incident, s).fit(entry))
            }
            Answer::Wait(_) | Answer::Recommend(_) | Answer::NotApplicable(_) => None,
        });
        Tried { incident, fit, now: outcome(incident, s), then: outcome(incident, &then) }
    };
    (incidents.into_iter().map(of_one).collect(), left_out)
}

fn outcome(incident: &Incident, s: &Snapshot<'_>) -> Outcome {
    match remedies::propose(incident, s) {
        Proposal::Act(kind, _, said) if said.asks => Outcome::Asks(kind),
        Proposal::Act(kind, ..) => Outcome::Begins(kind),
        Proposal::Wait(why) | Proposal::Recommend(why) => Outcome::Nothing(why),
    }
}
