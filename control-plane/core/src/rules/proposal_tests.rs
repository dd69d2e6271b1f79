//! Tests of what people's answers teach.
//!
//! | answers | proposed |
//! |---|---|
//! | three approvals that helped | to begin it without asking, up to twice the largest step that was approved |
//! | two; three of which one failed, is not over, was by a broken glass, or is older than 30 days | nothing |
//! | three approvals and a denial between them | nothing |
//! | three denials, also after approvals | to leave it and to ask nobody |
//! | three denials and an approval after them | nothing |
//! | the same for several workloads | each by itself |
//! | it was accepted already | nothing |

use super::proposals::*;
use super::{built_in, validate};
use crate::model::*;
use crate::remediation;
use crate::rulebook::{Book, RuleText};
use crate::testing::lab::{Lab, agent_id};
use crate::testing::{at, example_of};

struct Told {
    approval: Approval,
    plan: Plan,
    job: Option<Job>,
}

/// An answer of so many days ago about a claim.
fn told(number: u32, claim: &str, days: i64, state: ApprovalState, job: Option<JobState>) -> Told {
    let object = ObjectRef::Kubernetes(KubeRef::new("v1", "PersistentVolumeClaim", "shop", claim, "u"));
    let mut body = example_of(ActionKind::ExpandVolume);
    if let crate::testing::ActionBody::ExpandVolume(action) = &mut body {
        action.to_bytes = u64::from(number) << 30;
    }
    let id = |prefix: &str| format!("{prefix}_{number:032x}");
    let plan = Plan {
        id: id("pln").parse().unwrap(),
        incident_id: id("inc").parse().unwrap(),
        created_at: at(0),
        requested_by: "nimbus".into(),
        scope: Scope::Cluster("uid".into()),
        action: body.into(),
        object,
        workload: None,
        needs_approval: true,
        rule: None,
        summary: format!("expand {claim}"),
        changes: Vec::new(),
        rationale: String::new(),
        outlook: None,
        considered: Vec::new(),
        evidence: Vec::new(),
        digest: String::new(),
    };
    let mut used = crate::testing::job(agent_id());
    let job = job.map(|state| {
        used.state = state;
        used
    });
    let approval = Approval {
        id: id("apr").parse().unwrap(),
        plan_id: plan.id,
        incident_id: plan.incident_id,
        plan_digest: String::new(),
        state,
        cluster: "prod".into(),
        requested_by: "nimbus".into(),
        created_at: at(0),
        expires_at: at(0),
        decided_by: Some("ann".into()),
        decided_at: Some(at(0) - jiff::SignedDuration::from_hours(24 * days)),
        reason: String::new(),
        used_by: None,
        needs: Vec::new(),
        given: Vec::new(),
        broken_glass: None,
    };
    Told { approval, plan, job }
}

fn yes(number: u32, days: i64) -> Told {
    told(number, "data-0", days, ApprovalState::Approved, Some(JobState::Succeeded))
}

fn no(number: u32, days: i64) -> Told {
    told(number, "data-0", days, ApprovalState::Denied, None)
}

fn of(told: &[Told], rules: &Book) -> Vec<RuleProposal> {
    let answers: Vec<Answered<'_>> = told
        .iter()
        .map(|it| Answered { approval: &it.approval, plan: &it.plan, job: it.job.as_ref() })
        .collect();
    let found = proposals(&answers, rules, at(0));
    assert!(found.iter().all(|it| validate(&it.rule).is_ok()));
    found
}

fn proposed(told: &[Told]) -> Vec<Proposed> {
    of(told, &Book::default()).into_iter().map(|it| it.proposed).collect()
}

#[test]
fn three_approvals_that_helped_speak_for_beginning_it_within_bounds() {
    let found = of(&[yes(10, 20), yes(12, 9), yes(11, 1)], &Book::default());
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.proposed, Proposed::Begin);
    assert_eq!(
        one.rule.condition,
        "object.kind == 'PersistentVolumeClaim' && object.name == 'data-0' && action.to_mib <= 24576"
    );
    assert_eq!(
        (one.rule.clusters.as_slice(), one.rule.namespaces.as_slice()),
        (&["prod".to_owned()][..], &["shop".to_owned()][..])
    );
    assert!(one.rule.auto_approve && one.why.contains("approved 3 times"), "{one:?}");
    let newest: Vec<&str> = one.evidence.iter().map(|it| it.what.as_str()).collect();
    assert_eq!(newest, ["approved: expand data-0; its job succeeded"; 3]);
    assert!(one.evidence[0].at > one.evidence[1].at);
}

#[test]
fn what_does_not_speak_for_it_proposes_nothing() {
    let with = |last: Told| vec![yes(10, 3), yes(11, 2), last];
    assert_eq!(proposed(&with(yes(12, 1))), [Proposed::Begin]);
    assert_eq!(proposed(&[yes(10, 3), yes(11, 2)]), []);
    for state in
        [JobState::Failed, JobState::Unknown, JobState::Running, JobState::Refused, JobState::Compensated]
    {
        let last = told(12, "data-0", 1, ApprovalState::Approved, Some(state));
        assert_eq!(proposed(&with(last)), [], "{state}");
    }
    assert_eq!(proposed(&with(told(12, "data-0", 1, ApprovalState::Approved, None))), [], "not used");
    assert_eq!(proposed(&with(yes(12, 31))), [], "too long ago");
    assert_eq!(
        proposed(&with(told(12, "data-1", 1, ApprovalState::Approved, Some(JobState::Succeeded)))),
        []
    );
    let mut glass = yes(12, 1);
    let broken =
        serde_json::json!({"by": "ann", "reason": "x", "at": "2026-11-22T08:00:00Z", "review": null});
    glass.approval.broken_glass = serde_json::from_value(broken).ok();
    assert!(glass.approval.broken_glass.is_some());
    assert_eq!(proposed(&with(glass)), []);
    let mut denied = with(yes(12, 1));
    denied.push(no(13, 4));
    assert_eq!(proposed(&denied), [], "one was denied");
    assert_eq!(proposed(&[no(10, 3), no(11, 2)]), []);
    assert_eq!(proposed(&[no(10, 4), no(11, 3), no(12, 2), yes(13, 1)]), [], "approved since");
}

#[test]
fn three_denials_speak_for_asking_nobody_any_more() {
    let told = [yes(9, 9), no(10, 3), no(11, 2), no(12, 1)];
    let found = of(&told, &Book::default());
    let [one] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (one.proposed, one.rule.name.as_str(), one.evidence.len()),
        (Proposed::Leave, "expand-volume", 3)
    );
    let built_in = built_in::of(ActionKind::ExpandVolume).unwrap();
    assert!(
        one.rule.condition.starts_with(&format!("({}) && !(", built_in.condition)),
        "{}",
        one.rule.condition
    );
    assert!(!one.rule.auto_approve, "the rest stays as it is");
    // Accepted, it is proposed no more.
    let mut lab = Lab::new();
    let (_, changes) = remediation::set_rule(&Book::default(), one.rule.clone(), "ann", lab.now).unwrap();
    lab.commit(changes);
    let book = Book::of(lab.rules.values().cloned().collect());
    assert_eq!(of(&told, &book), []);
}

#[test]
fn names_are_quoted_and_each_subject_is_by_itself() {
    let odd =
        |name: &str, number: u32| told(number, name, 1, ApprovalState::Approved, Some(JobState::Succeeded));
    let mut all = Vec::new();
    for name in ["it's", "b\\s", "data-0"] {
        all.extend((0..3).map(|number| odd(name, number + 1)));
    }
    let found = of(&all, &Book::default());
    assert_eq!(found.len(), 3);
    assert!(found.iter().any(|it| it.rule.condition.contains("object.name == 'it\\'s'")), "{found:?}");
    let taken = Book::of(vec![Versioned::new(crate::rulebook::Rule {
        text: RuleText { enabled: false, ..found[0].rule.clone() },
        version: 1,
        created_at: at(0),
        set_by: "ann".into(),
        set_at: at(0),
        problem: None,
    })]);
    assert_eq!(of(&all, &taken).len(), 2, "what somebody accepted, or switched off since, is not proposed");
}

#[test]
fn what_goes_by_itself_where_a_cluster_acts_needs_no_rule() {
    let mut all = vec![yes(1, 3), yes(2, 2), yes(3, 1)];
    for told in &mut all {
        told.plan.action = example_of(ActionKind::RestartPod).into();
    }
    assert_eq!(proposed(&all), []);
}
