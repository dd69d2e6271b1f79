//! What people's answers teach: where they approved the same again and again and it helped, a rule is proposed by which it is begun
//! without asking, and where they denied it again and again, one by which they are not asked any more. A person decides on either: a
//! proposal is the text of a rule and changes nothing.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::ApprovalId;
use nimbus_protocol::to_hex;
use sha2::{Digest as _, Sha256};

use super::{built_in, validate};
use crate::model::{ActionKind, Approval, ApprovalState, Job, JobState, Plan};
use crate::remedies::{self, Consent};
use crate::rulebook::{Book, RuleText, name_of};

/// So many answers of one kind, with none of another kind after or between them, are enough for a proposal.
pub const LEAST_ANSWERS: usize = 3;
/// Answers that are older teach nothing any more.
pub const MEMORY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Most proposals; those with the most answers are kept.
pub const MOST_PROPOSALS: usize = 50;
/// Most answers that a proposal names, the newest.
const MOST_EVIDENCE: usize = 10;

/// A person's answer, what it was about, and what became of it.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// The answer.
    pub approval: &'a Approval,
    /// The plan.
    pub plan: &'a Plan,
    /// The job that it was used for.
    pub job: Option<&'a Job>,
}

/// What is proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposed {
    /// To begin it without asking.
    Begin,
    /// To leave it, and to ask nobody.
    Leave,
}

/// An answer that speaks for a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Which approval.
    pub approval: ApprovalId,
    /// Who answered.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// What the answer was about, and what became of it.
    pub what: String,
}

/// A rule that is proposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleProposal {
    /// The same while it is proposed for the same.
    pub id: String,
    /// What it would do.
    pub proposed: Proposed,
    /// Why, in a sentence.
    pub why: String,
    /// The rule; one that is set is never changed by it unless a person sets this.
    pub rule: RuleText,
    /// What speaks for it, the newest first.
    pub evidence: Vec<Evidence>,
}

/// What the answers of one group are about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Subject {
    action: ActionKind,
    cluster: String,
    namespace: String,
    /// `workload` or `object`, as conditions name it.
    of: &'static str,
    kind: String,
    name: String,
}

impl Subject {
    fn of(answered: &Answered<'_>) -> Option<Self> {
        let plan = answered.plan;
        let (of, kind, name) = match &plan.workload {
            Some(workload) => ("workload", workload.object().kind.as_str(), workload.object().name.as_str()),
            None => ("object", plan.object.kind(), plan.object.name()),
        };
        Some(Self {
            action: plan.action.kind()?,
            cluster: answered.approval.cluster.clone(),
            namespace: plan.object.namespace().to_owned(),
            of,
            kind: kind.to_owned(),
            name: name.to_owned(),
        })
    }

    fn words(&self) -> String {
        let place = if self.namespace.is_empty() { String::new() } else { format!("{}/", self.namespace) };
        format!("{} on {} {place}{} in {}", self.action, self.kind, self.name, self.cluster)
    }

    fn condition(&self) -> String {
        format!("{0}.kind == {1} && {0}.name == {2}", self.of, quoted(&self.kind), quoted(&self.name))
    }

    fn id(&self, proposed: Proposed) -> String {
        let what = match proposed {
            Proposed::Begin => "begin",
            Proposed::Leave => "leave",
        };
        let parts = [&self.cluster, &self.namespace, &self.kind, &self.name];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part.as_bytes());
        }
        format!("{what}-{}-{}", name_of(self.action), &to_hex(&hash.finalize())[..12])
    }
}

/// A text as CEL has it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// What is proposed from these answers, those with the most of them first.
pub fn proposals(answers: &[Answered<'_>], rules: &Book, now: Timestamp) -> Vec<RuleProposal> {
    let mut groups: BTreeMap<Subject, Vec<(Timestamp, Answered<'_>)>> = BTreeMap::new();
    for answered in answers {
        let at = answered.approval.decided_at.filter(|at| now.duration_since(*at) < MEMORY);
        if let (Some(at), Some(subject)) = (at, Subject::of(answered)) {
            groups.entry(subject).or_default().push((at, *answered));
        }
    }
    let mut found: Vec<(usize, RuleProposal)> = Vec::new();
    for (subject, mut group) in groups {
        group.sort_by_key(|(at, answered)| (std::cmp::Reverse(*at), answered.approval.id));
        let proposal = begin(&subject, &group, rules).or_else(|| leave(&subject, &group, rules));
        found.extend(proposal.filter(|it| validate(&it.rule).is_ok()).map(|it| (group.len(), it)));
    }
    found.sort_by(|(a, one), (b, other)| b.cmp(a).then_with(|| one.id.cmp(&other.id)));
    found.into_iter().take(MOST_PROPOSALS).map(|(_, proposal)| proposal).collect()
}

type Group<'a> = [(Timestamp, Answered<'a>)];

/// Every answer was a yes, by those whose word it needed, and what was done on it helped.
fn begin(subject: &Subject, group: &Group<'_>, rules: &Book) -> Option<RuleProposal> {
    match remedies::of(subject.action).consent() {
        Consent::Approval => {}
        // Of the first a person is asked because of the cluster's mode, a quorum or a rule, which a rule does not change.
        Consent::Rule | Consent::Command => return None,
    }
    let helped = group.iter().all(|(_, answered)| {
        answered.approval.state == ApprovalState::Approved
            && answered.approval.broken_glass.is_none()
            && answered.job.is_some_and(|job| job.state == JobState::Succeeded)
    });
    let id = subject.id(Proposed::Begin);
    if group.len() < LEAST_ANSWERS || !helped || rules.named(&id).is_some() {
        return None;
    }
    let mut condition = subject.condition();
    if let Some((figure, most)) = group.iter().filter_map(|(_, answered)| reached(answered.plan)).max() {
        condition = format!("{condition} && {figure} <= {}", most.saturating_mul(2));
    }
    let rule = RuleText {
        name: id.clone(),
        action: subject.action.as_str().to_owned(),
        enabled: true,
        clusters: vec![subject.cluster.clone()],
        namespaces: Some(subject.namespace.clone()).filter(|name| !name.is_empty()).into_iter().collect(),
        labels: BTreeMap::new(),
        condition,
        auto_approve: true,
        windows: Vec::new(),
    };
    let why = format!(
        "{} was approved {} times within 30 days and helped each time; nobody denied it",
        subject.words(),
        group.len()
    );
    Some(RuleProposal { id, proposed: Proposed::Begin, why, rule, evidence: evidence(group) })
}

/// The last answers were all a no.
fn leave(subject: &Subject, group: &Group<'_>, rules: &Book) -> Option<RuleProposal> {
    let is_no = |(_, answered): &&(Timestamp, Answered<'_>)| answered.approval.state == ApprovalState::Denied;
    let denied = group.iter().take_while(is_no).count();
    let name = name_of(subject.action);
    // A rule that this build does not understand is not written anew by it.
    let own = rules.named(name).filter(|entry| entry.rule.doc.problem.is_none());
    if denied < LEAST_ANSWERS || (own.is_none() && rules.named(name).is_some()) {
        return None;
    }
    let base = match own {
        Some(entry) => entry.rule.doc.text.clone(),
        None => built_in::of(subject.action)?,
    };
    let here = format!(
        "!(cluster.name == {} && object.namespace == {} && {})",
        quoted(&subject.cluster),
        quoted(&subject.namespace),
        subject.condition()
    );
    if !base.enabled || base.condition.contains(&here) {
        return None;
    }
    let condition = if base.condition.is_empty() { here } else { format!("({}) && {here}", base.condition) };
    let why = format!("{} was denied {denied} times within 30 days, and not approved since", subject.words());
    let rule = RuleText { condition, ..base };
    let id = subject.id(Proposed::Leave);
    Some(RuleProposal { id, proposed: Proposed::Leave, why, rule, evidence: evidence(&group[..denied]) })
}

/// The figure that a plan raises, as conditions name it, and what it becomes.
fn reached(plan: &Plan) -> Option<(&'static str, u64)> {
    const MI: u64 = 1 << 20;
    match plan.action.body()? {
        Body::ExpandVolume(action) => Some(("action.to_mib", action.to_bytes.div_ceil(MI))),
        Body::RaiseMemoryLimit(action) => Some(("action.to_mib", action.to_bytes.div_ceil(MI))),
        Body::RaiseAutoscalerMaximum(action) => Some(("action.to_replicas", action.to_replicas.into())),
        // Its own label bounds it.
        Body::ScaleWorkload(_)
        | Body::RestartPod(_)
        | Body::RollbackDeployment(_)
        | Body::RestoreFile(_)
        | Body::AcceptBaseline(_)
        | Body::UncordonNode(_)
        | Body::WithdrawBaseline(_)
        | Body::RestartUnit(_)
        | Body::RenewCertificate(_) => None,
    }
}

fn evidence(group: &Group<'_>) -> Vec<Evidence> {
    let one = |(at, answered): &(Timestamp, Answered<'_>)| {
        let approval = answered.approval;
        let end = answered.job.map_or_else(String::new, |job| format!("; its job {}", job.state));
        Evidence {
            approval: approval.id,
            by: approval.decided_by.clone().unwrap_or_default(),
            at: *at,
            what: format!("{}: {}{end}", approval.state, answered.plan.summary),
        }
    };
    group.iter().take(MOST_EVIDENCE).map(one).collect()
}
