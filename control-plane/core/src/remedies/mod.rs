//! The remedies, one file each: which causes a remedy answers, when it is proposed, who consents to it, and how it is
//! verified.
//!
//! A remedy says what it answers, what it needs to know, who has to agree, and whether it can help in the case at hand:
//! act, wait, recommend, or why it does not apply. [`propose`] asks every remedy; what was considered is put together
//! from their own answers. Whether a plan may go out now (enabled, caps, back-off, storm) is `safety`'s, and an
//! independent checker is in `check`. All remedies are named in [`of`].

mod accept_baseline;
mod earlier;
mod expand_volume;
mod more_pods;
mod raise_autoscaler_maximum;
mod raise_memory_limit;
mod renew_certificate;
pub mod report;
mod restart_pod;
mod restart_unit;
mod restore_file;
mod rollback_deployment;
mod rollback_report;
mod scale_workload;
mod uncordon_node;
mod withdraw_baseline;

use jiff::Timestamp;
use nimbus_protocol::ObjectKind;
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::PlanId;

use crate::causes;
use crate::model::{
    ActionKind, Alternative, Incident, IncidentKind, Intended, ObjectRef, Outlook, Plan, PlannedAction,
    RuleRef, Workload,
};
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::verdict::{Verdict, verdict};

pub use crate::model::Consent;
pub(crate) use accept_baseline::accept;
pub(crate) use restart_pod::LOST;
pub(crate) use withdraw_baseline::withdraw;

/// The requester of every plan that no person asked for.
pub const NIMBUS: &str = "nimbus";

/// Where a remedy acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a cluster, which has to be enabled for it.
    Cluster,
    /// On a host.
    Host,
}

/// What a remedy occupies while its job is in flight, beyond its object and workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint<'a> {
    /// The node whose pods it disturbs; `None` for one that disturbs no node.
    pub node: Option<&'a str>,
    /// Does it hold that node back, so that no new pod comes to it while it is in flight?
    pub holds: bool,
}

/// What a remedy says of an incident.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// This can help.
    Act(Box<Draft>),
    /// Nothing now; why.
    Wait(String),
    /// Nothing by Nimbus; what a person should look at.
    Recommend(String),
    /// It is not the remedy for this case; why not, for the person who asks.
    NotApplicable(String),
}

/// A plan without its name.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What will be done.
    pub action: Body,
    /// The object acted on.
    pub object: ObjectRef,
    /// The workload on which attempts are counted, if any.
    pub workload: Option<Workload>,
    /// One line.
    pub summary: String,
    /// What will change.
    pub changes: Vec<String>,
    /// Why it may help.
    pub rationale: String,
    /// What happens if it fails, and whether it can be undone.
    pub outlook: Outlook,
    /// The ways to carry it out that were weighed, the chosen one among them.
    pub ways: Vec<Alternative>,
}

/// What a remedy has to answer. No method has a default: a new remedy answers everything itself.
pub(crate) trait Remedy: Sync {
    /// The kinds of incidents it is for, or is often asked about.
    fn answers(&self) -> &'static [IncidentKind];
    /// The kinds of objects without which it is not planned for `incident`; empty on a host.
    fn needs(&self, incident: &Incident) -> &'static [ObjectKind];
    /// Who has to agree.
    fn consent(&self) -> Consent;
    /// Where it acts.
    fn place(&self) -> Place;
    /// What it does, for the list of rules.
    fn sentence(&self) -> &'static str;
    /// What it does, as an alternative beside others.
    fn name(&self) -> &'static str;
    /// Can it help with `incident`?
    fn propose(&self, incident: &Incident, s: &Snapshot<'_>) -> Answer;
    /// What `action` occupies while it is in flight; `None` for another remedy's action.
    fn footprint<'a>(&self, action: &'a Body) -> Option<Footprint<'a>>;
    /// How long its result must hold to count as helped, milliseconds.
    fn verify_ms(&self, settings: &Settings) -> u32;
    /// Within which time it has to be reached and to hold, milliseconds; an hour at most.
    fn verify_timeout_ms(&self, settings: &Settings) -> u32;
}

/// The remedy behind an action.
pub(crate) fn of(kind: ActionKind) -> &'static dyn Remedy {
    match kind {
        ActionKind::RestartPod => &restart_pod::RestartPod,
        ActionKind::RollbackDeployment => &rollback_deployment::RollbackDeployment,
        ActionKind::RestoreFile => &restore_file::RestoreFile,
        ActionKind::AcceptBaseline => &accept_baseline::AcceptBaseline,
        ActionKind::UncordonNode => &uncordon_node::UncordonNode,
        ActionKind::WithdrawBaseline => &withdraw_baseline::WithdrawBaseline,
        ActionKind::RaiseMemoryLimit => &raise_memory_limit::RaiseMemoryLimit,
        ActionKind::RestartUnit => &restart_unit::RestartUnit,
        ActionKind::ExpandVolume => &expand_volume::ExpandVolume,
        ActionKind::RaiseAutoscalerMaximum => &raise_autoscaler_maximum::RaiseAutoscalerMaximum,
        ActionKind::ScaleWorkload => &scale_workload::ScaleWorkload,
        ActionKind::RenewCertificate => &renew_certificate::RenewCertificate,
    }
}

/// Which remedies are asked about a kind of incident, in order of [`ActionKind::ALL`].
pub(crate) fn for_incident(kind: IncidentKind) -> impl Iterator<Item = ActionKind> {
    ActionKind::ALL.iter().copied().filter(move |action| of(*action).answers().contains(&kind))
}

/// What is to be done about an incident, and what was considered.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// This can help, and a rule is for it.
    Act(ActionKind, Box<Draft>, Said),
    /// Nothing now; why.
    Wait(String),
    /// Nothing by Nimbus; what a person should look at.
    Recommend(String),
}

/// What the rules say of a remedy that can help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// On whose word.
    pub rule: RuleRef,
    /// Is a person asked?
    pub asks: bool,
}

/// What to do about `incident`, as the world is: the first remedy that can help and that a rule is for, otherwise what most concerns a
/// person.
///
/// A remedy whose kinds of objects are not known is not asked: it waits, and the others are asked all the same.
pub fn propose(incident: &Incident, s: &Snapshot<'_>) -> Proposal {
    let mut answers: Vec<(ActionKind, Answer)> = Vec::new();
    let mut said = None;
    for kind in for_incident(incident.kind) {
        let remedy = of(kind);
        let answer = match s.known(&incident.scope, remedy.needs(incident)) {
            Ok(()) => by_the_rules(remedy.propose(incident, s), incident, s, &mut said),
            Err(unknown) => Answer::Wait(format!("{unknown}; nothing is planned or resolved from it")),
        };
        answers.push((kind, answer));
    }
    if let Some(at) = answers.iter().position(|(_, answer)| matches!(answer, Answer::Act(_)))
        && let (kind, Answer::Act(mut draft)) = answers.remove(at)
        && let Some(said) = said
    {
        draft.ways.extend(answers.iter().map(|(kind, answer)| not_chosen(*kind, answer)));
        return Proposal::Act(kind, draft, said);
    }
    let recommended = answers.iter().find_map(|(_, answer)| match answer {
        Answer::Recommend(why) => Some(why.clone()),
        Answer::Act(_) | Answer::Wait(_) | Answer::NotApplicable(_) => None,
    });
    let waiting = answers.iter().find_map(|(_, answer)| match answer {
        Answer::Wait(why) => Some(why.clone()),
        Answer::Act(_) | Answer::Recommend(_) | Answer::NotApplicable(_) => None,
    });
    match (waiting, recommended) {
        (Some(why), _) => Proposal::Wait(why),
        (None, Some(why)) => Proposal::Recommend(why),
        (None, None) => Proposal::Recommend(causes::of(incident.kind).recommendation(s, incident)),
    }
}

/// The answer as the rules let it stand. What they say of the first one that can help is noted in `said`.
fn by_the_rules(answer: Answer, incident: &Incident, s: &Snapshot<'_>, said: &mut Option<Said>) -> Answer {
    let Answer::Act(mut draft) = answer else { return answer };
    let consent = of(draft.action.kind()).consent();
    match verdict(&draft.intended(), consent, incident, s) {
        Verdict::Leave(why) => Answer::Recommend(format!("{}: {why}", draft.summary)),
        Verdict::Begin(rule, _) => {
            said.get_or_insert(Said { rule, asks: false });
            Answer::Act(draft)
        }
        Verdict::Ask(rule, why) => {
            if let Some(why) = why {
                draft.ways.push(Alternative::new(
                    format!("Begin it by rule {rule} without asking"),
                    false,
                    why,
                ));
            }
            said.get_or_insert(Said { rule, asks: true });
            Answer::Act(draft)
        }
    }
}

fn not_chosen(kind: ActionKind, answer: &Answer) -> Alternative {
    let why = match answer {
        Answer::Act(_) => "another remedy is less intrusive",
        Answer::Wait(why) | Answer::Recommend(why) | Answer::NotApplicable(why) => why,
    };
    Alternative::new(of(kind).name(), false, why)
}

impl Draft {
    /// What it would do.
    pub(crate) fn intended(&self) -> Intended<'_> {
        Intended { action: &self.action, object: &self.object, workload: self.workload.as_ref() }
    }

    /// The plan that carries it out for `incident`.
    pub fn into_plan(
        self,
        id: PlanId,
        incident: &Incident,
        needs_approval: bool,
        requested_by: &str,
        now: Timestamp,
    ) -> Plan {
        let mut plan = Plan {
            id,
            incident_id: incident.id,
            created_at: now,
            requested_by: requested_by.to_owned(),
            scope: incident.scope.clone(),
            action: PlannedAction::from(self.action),
            object: self.object,
            workload: self.workload,
            needs_approval,
            rule: None,
            summary: self.summary,
            changes: self.changes,
            rationale: self.rationale,
            outlook: Some(self.outlook),
            considered: self.ways,
            evidence: incident.evidence.clone(),
            digest: String::new(),
        };
        plan.digest = plan.computed_digest();
        plan
    }
}

/// What is said where a remedy is asked about a cluster of which nothing is known.
const NOTHING_REPORTED: &str = "unknown: nothing has been reported of this cluster";
