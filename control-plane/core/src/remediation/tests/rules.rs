//! Scenes of the rules that people set: what is begun by their word, what a person is asked for, and what is left.
//!
//! | situation | right |
//! |---|---|
//! | a rule lets volumes of a namespace grow, and the agent's policy names the action in `auto` | begun; the job names the rule |
//! | the policy does not name it | a person is asked, and the plan says why |
//! | the step is larger than the rule's condition allows | a person is asked, by the built-in rule |
//! | the cluster only recommends; a quorum is needed; a storm rages | asked; asked; nothing |
//! | the built-in rule is set as not enabled | nothing; the incident names the rule |
//! | a second rule for the case asks | a person is asked: all have to agree |
//! | whether a rule is for the case is not known (labels, a fact, its condition is of a newer version) | a person is asked |
//! | outside the rule's window, then inside | asked; begun, and the request is void |
//! | the rule goes, or the policy narrows, after the plan was made | the job is not sent |
//! | a person denied it, and a rule came later | left alone until a person asks again |
//! | a person denied it, and the object changed after that | a person is asked, not the rule |
//! | the pod that is replaced is another one than the incident names | its labels count |
//! | pods of a workload differ in what people label them | their labels are not known: a person is asked |
//! | ten files of a host differ at once | a person is asked for each |
//! | a person approved, and then a rule would do | the approval is what it is done by |
//! | a rule's window ends soon | the job ends with it |

use nimbus_protocol::v1;
use proptest::prelude::*;

use super::expanded::{expansion, full};
use super::*;
use crate::approval::Decision;
use crate::check;
use crate::model::*;
use crate::remediation;
use crate::rulebook::{Book, Rule, RuleText};
use crate::rules::{self, built_in};
use crate::settings::calendar::Period;
use crate::settings::quorum::Quorum;
use crate::testing::lab::agent_id;
use crate::verdict::{Fit, Verdict, verdict};

/// A rule by whose word volumes grow.
fn grow() -> RuleText {
    RuleText {
        name: "grow".into(),
        condition: String::new(),
        auto_approve: true,
        ..built_in::of(ActionKind::ExpandVolume).unwrap()
    }
}

/// A person sets a rule.
pub(super) fn set(lab: &mut Lab, text: RuleText) -> Rule {
    let book = Book::of(lab.rules.values().cloned().collect());
    let (rule, changes) = remediation::set_rule(&book, text, "ann", lab.now).unwrap();
    lab.commit(changes);
    rule
}

fn delete(lab: &mut Lab, name: &str) {
    let changes = remediation::delete_rule(&lab.rules[name].clone(), "ann", lab.now);
    lab.commit(changes);
}

/// The agent's own policy takes a rule's word for these.
fn takes(lab: &mut Lab, actions: &[ActionKind]) {
    let agent = lab.agents.get_mut(&agent_id().to_string()).unwrap();
    agent.doc.automatic_actions = actions.iter().map(ToString::to_string).collect();
}

/// A volume that is nearly full, where the agent takes a rule's word.
fn taken() -> Lab {
    let mut lab = full();
    takes(&mut lab, &[ActionKind::ExpandVolume]);
    lab
}

/// The reason of the incident, for which a person is asked.
fn asks(lab: &mut Lab) -> Incident {
    assert!(lab.settle().is_empty(), "nothing without a person");
    let incident = lab.open(IncidentKind::VolumeNearFull).clone();
    assert_eq!(incident.state, IncidentState::WaitingApproval, "{}", incident.reason);
    incident
}

fn considered(lab: &Lab, incident: &Incident) -> String {
    let plan = &lab.plans[&incident.plan_id.unwrap().to_string()].doc;
    let lines: Vec<String> = plan.considered.iter().map(|way| format!("{}: {}", way.what, way.why)).collect();
    lines.join("\n")
}

fn window(from: &str, to: &str) -> Period {
    let window = serde_json::json!({"name": "nights", "zone": "UTC", "from": from, "to": to});
    serde_json::from_value(window).unwrap()
}

#[test]
fn a_volume_grows_by_a_rules_word_where_the_agent_takes_it() {
    let mut lab = taken();
    set(&mut lab, RuleText { namespaces: vec!["shop".into()], ..grow() });
    let jobs = lab.settle();
    assert_eq!(jobs.len(), 1);
    assert!(!jobs[0].needs_approval);
    assert_eq!(
        (jobs[0].approvals[0].by.as_str(), jobs[0].approvals[0].approval_id.as_str()),
        ("rule:grow@1", "")
    );
    assert_eq!(expansion(&jobs[0]).from_bytes, 100 << 30);
    assert_eq!((lab.audited("approval.requested"), lab.audited("autonomous.rule_set")), (0, 1));
    let signed = lab.audit.iter().find(|row| row.draft.action == "job.signed").unwrap();
    assert!(signed.draft.detail.contains("authorized by rule:grow@1"), "{}", signed.draft.detail);
}

#[test]
fn a_rules_word_is_not_enough_where_the_agents_own_policy_wants_a_persons() {
    let mut lab = full();
    set(&mut lab, grow());
    let incident = asks(&mut lab);
    let considered = considered(&lab, &incident);
    assert!(considered.contains("by rule grow@1 without asking"), "{considered}");
    assert!(considered.contains("does not name expand_volume in `auto`"), "{considered}");
    // The policy is widened while the person reads.
    takes(&mut lab, &[ActionKind::ExpandVolume]);
    assert_eq!((lab.settle().len(), lab.live_approvals()), (1, 0));
}

#[test]
fn a_step_that_the_condition_does_not_cover_is_asked_for() {
    let mut lab = taken();
    set(&mut lab, RuleText { condition: "action.to_mib <= 149 * 1024".into(), ..grow() });
    asks(&mut lab);
    set(&mut lab, RuleText { condition: "action.to_mib <= 150 * 1024".into(), ..grow() });
    let jobs = lab.settle();
    assert_eq!(jobs[0].approvals[0].by, "rule:grow@2");
}

#[test]
fn a_rule_for_another_place_says_nothing() {
    for other in [
        RuleText { clusters: vec!["lab".into()], ..grow() },
        RuleText { namespaces: vec!["bank".into()], ..grow() },
        RuleText { enabled: false, ..grow() },
        RuleText { condition: "finding.kind == 'pod_crash_loop'".into(), ..grow() },
    ] {
        let mut lab = taken();
        set(&mut lab, other);
        asks(&mut lab);
    }
    for here in [vec!["prod".to_owned()], vec![CLUSTER.to_owned(), "lab".to_owned()]] {
        let mut lab = taken();
        set(&mut lab, RuleText { clusters: here, ..grow() });
        assert_eq!(lab.settle().len(), 1);
    }
}

#[test]
fn modes_quorums_and_storms_hold_whatever_a_rule_says() {
    let mut lab = taken();
    set(&mut lab, grow());
    lab.clusters.get_mut(CLUSTER).unwrap().doc.mode = Mode::Recommend;
    asks(&mut lab);

    let mut lab = taken();
    set(&mut lab, grow());
    let groups = vec![vec!["oncall".to_owned()]];
    lab.settings.quorum = vec![Quorum { actions: Vec::new(), clusters: Vec::new(), groups }];
    asks(&mut lab);

    let mut lab = taken();
    set(&mut lab, grow());
    for name in ["node-a", "node-b"] {
        lab.see(Body::Node(v1::Node { ready: "False".into(), ..node(name) }));
    }
    assert!(lab.settle().is_empty(), "nothing automatic in a storm");
    assert_eq!(lab.open(IncidentKind::VolumeNearFull).approval_id, None);
}

#[test]
fn a_built_in_rule_that_is_switched_off_leaves_the_incident_to_a_person() {
    let mut lab = crash_loop();
    set(&mut lab, RuleText { enabled: false, ..built_in::of(ActionKind::RestartPod).unwrap() });
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert_eq!((incident.state, incident.approval_id), (IncidentState::Escalated, None));
    assert!(incident.reason.contains("rule restart-pod@1 is not enabled"), "{}", incident.reason);
    // Given back, it goes on.
    delete(&mut lab, "restart-pod");
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn a_rule_in_the_place_of_a_built_in_one_says_for_what_it_is() {
    let mut lab = crash_loop();
    let elsewhere = vec!["bank".to_owned()];
    set(&mut lab, RuleText { namespaces: elsewhere, ..built_in::of(ActionKind::RestartPod).unwrap() });
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::PodCrashLoop);
    assert!(incident.reason.contains("its namespaces are bank"), "{}", incident.reason);
    // A rule beside it is for it.
    set(&mut lab, RuleText { name: "shop".into(), ..built_in::of(ActionKind::RestartPod).unwrap() });
    assert_eq!(lab.settle()[0].approvals[0].by, "rule:shop@1");
}

#[test]
fn of_several_rules_all_have_to_say_that_nobody_is_asked() {
    let mut lab = taken();
    set(&mut lab, grow());
    set(&mut lab, RuleText { name: "ask".into(), auto_approve: false, ..grow() });
    asks(&mut lab);
    delete(&mut lab, "ask");
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn what_goes_by_itself_asks_where_a_rule_says_so() {
    let mut lab = crash_loop();
    let ask =
        RuleText { name: "ask".into(), auto_approve: false, ..built_in::of(ActionKind::RestartPod).unwrap() };
    set(&mut lab, RuleText { namespaces: vec!["shop".into()], ..ask });
    assert!(lab.settle().is_empty());
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::WaitingApproval);
    lab.decide("operator", Decision::Approve, "").unwrap();
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn where_a_rule_may_be_for_it_a_person_is_asked() {
    for unknown in [
        // Claims have no labels that are told, and no workload.
        RuleText { labels: [("team".to_owned(), "data".to_owned())].into(), ..grow() },
        RuleText { condition: "workload.kind == 'StatefulSet'".into(), ..grow() },
        RuleText { condition: "object.labels.team == 'data'".into(), ..grow() },
    ] {
        let mut lab = taken();
        set(&mut lab, unknown);
        let incident = asks(&mut lab);
        let considered = considered(&lab, &incident);
        assert!(considered.contains("whether rule grow@1 is for it is unknown"), "{considered}");
    }
    // What a later version wrote.
    let mut lab = crash_loop();
    let rule =
        set(&mut lab, RuleText { name: "new".into(), ..built_in::of(ActionKind::RestartPod).unwrap() });
    lab.rules.get_mut("new").unwrap().doc.text.condition = "finding.colour == 'red'".into();
    assert!(lab.settle().is_empty(), "{rule:?}");
    assert_eq!(lab.open(IncidentKind::PodCrashLoop).state, IncidentState::WaitingApproval);
}

/// `web` crash-loops on node-a; its pods have these labels, one of them `odd` more.
fn labelled(complete: bool) -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    let with = |mut pod: v1::Pod, labels: &[(&str, &str)]| {
        let facts = pod.facts.as_mut().unwrap();
        let label = |(key, value): &(&str, &str)| v1::Label { key: (*key).into(), value: (*value).into() };
        facts.labels = labels.iter().map(label).collect();
        facts.labels_complete = complete;
        pod
    };
    lab.see(Body::Pod(with(pod("web-1", "1", "node-b"), &[("app", "web"), ("odd", "yes")])));
    lab.see(Body::Pod(with(crashing(pod("web-1", "0", "node-a"), 4), &[("app", "web")])));
    lab
}

#[test]
fn a_rule_can_be_for_pods_of_some_labels() {
    let rule = |key: &str, value: &str| RuleText {
        name: "labelled".into(),
        labels: [(key.to_owned(), value.to_owned())].into(),
        auto_approve: false,
        ..built_in::of(ActionKind::RestartPod).unwrap()
    };
    for (complete, rule, asked) in [
        (true, rule("app", "web"), true),
        (true, rule("app", "db"), false),
        (true, rule("odd", "yes"), false),
        (false, rule("app", "db"), true),
    ] {
        let mut lab = labelled(complete);
        set(&mut lab, rule.clone());
        assert_eq!(lab.settle().is_empty(), asked, "{complete} {rule:?}");
    }
}

#[test]
fn a_rules_word_counts_in_its_windows_and_a_person_is_asked_outside() {
    let mut lab = taken();
    let hour = |lab: &Lab, more: i64| {
        let then = lab.now + jiff::SignedDuration::from_hours(more);
        then.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:00").to_string()
    };
    let (from, to) = (hour(&lab, 2), hour(&lab, 4));
    set(&mut lab, RuleText { windows: vec![window(&from, &to)], ..grow() });
    let incident = asks(&mut lab);
    assert!(considered(&lab, &incident).contains("outside the windows of rule grow"));
    for _ in 0..36 {
        // The kubelet goes on saying how full it is.
        lab.pass(300);
        lab.see(super::expanded::figures(100, 5));
        let jobs = lab.settle();
        if let Some(job) = jobs.first() {
            assert_eq!((job.approvals[0].by.as_str(), lab.live_approvals()), ("rule:grow@1", 0));
            assert!(lab.now.duration_since(incident.created_at).as_secs() > 3_600);
            return;
        }
    }
    panic!("{}", lab.open(IncidentKind::VolumeNearFull).reason);
}

#[test]
fn what_was_planned_by_a_rule_is_not_sent_once_the_rule_is_gone_or_the_policy_narrower() {
    type Change = fn(&mut Lab);
    let changes: [Change; 4] = [
        |lab| delete(lab, "grow"),
        |lab| takes(lab, &[]),
        |lab| drop(set(lab, RuleText { enabled: false, ..grow() })),
        |lab| drop(set(lab, RuleText { name: "ask".into(), auto_approve: false, ..grow() })),
    ];
    for change in changes {
        let mut lab = taken();
        set(&mut lab, grow());
        lab.diagnose();
        lab.plan();
        let plan = lab.plans.values().next().unwrap().doc.clone();
        assert!(!plan.needs_approval);
        assert_eq!(check::check(&plan, &lab.snapshot(), lab.now), []);
        change(&mut lab);
        assert!(lab.dispatch().is_empty());
        assert!(check::check(&plan, &lab.snapshot(), lab.now).iter().any(|it| it.invariant == 12));
        asks(&mut lab);
    }
}

#[test]
fn what_a_person_denied_no_rule_begins_until_a_person_asks_again() {
    let mut lab = taken();
    asks(&mut lab);
    lab.decide("operator", Decision::Deny, "not this one").unwrap();
    set(&mut lab, grow());
    assert!(lab.settle().is_empty());
    let incident = lab.open(IncidentKind::VolumeNearFull).clone();
    assert_eq!(incident.state, IncidentState::Escalated);
    let changes = remediation::ask_again(&lab.incidents[&incident.id.to_string()], "ann", lab.now).unwrap();
    lab.commit(changes);
    assert_eq!(lab.settle().len(), 1);
}

#[test]
fn what_is_planned_anew_after_a_denial_is_a_persons_too() {
    let mut lab = taken();
    asks(&mut lab);
    lab.decide("operator", Decision::Deny, "I do it myself").unwrap();
    set(&mut lab, grow());
    // Somebody does, and it is not enough: another plan.
    lab.see(Body::PersistentVolumeClaim(v1::PersistentVolumeClaim {
        requested_bytes: 110 << 30,
        capacity_bytes: 110 << 30,
        ..super::expanded::data()
    }));
    lab.see(super::expanded::figures(110, 5));
    let incident = asks(&mut lab);
    assert!(considered(&lab, &incident).contains("a person denied"), "{}", considered(&lab, &incident));
    let plan = lab.plans[&incident.plan_id.unwrap().to_string()].doc.clone();
    let mut unasked = Plan { needs_approval: false, ..plan };
    unasked.digest = unasked.computed_digest();
    let found = check::check(&unasked, &lab.snapshot(), lab.now);
    assert!(found.iter().any(|it| it.text.contains("denied what was planned")), "{found:?}");
}

#[test]
fn the_labels_of_what_is_acted_on_count_and_not_those_of_what_the_incident_names() {
    let mut lab = crash_loop();
    lab.diagnose();
    let incident = lab.open(IncidentKind::PodCrashLoop).clone();
    let with = |mut pod: v1::Pod, role: &str| {
        let facts = pod.facts.as_mut().unwrap();
        facts.labels = vec![v1::Label { key: "role".into(), value: role.into() }];
        facts.labels_complete = true;
        pod
    };
    lab.see(Body::Pod(with(crashing(pod("web-1", "0", "node-a"), 4), "replica")));
    lab.see(Body::Pod(with(crashing(pod("web-1", "1", "node-b"), 4), "primary")));
    let role = |role: &str| RuleText {
        name: "ask".into(),
        labels: [("role".to_owned(), role.to_owned())].into(),
        auto_approve: false,
        ..built_in::of(ActionKind::RestartPod).unwrap()
    };
    set(&mut lab, role("primary"));
    let (first, other) = (incident.object.clone(), pod("web-1", "1", "node-b").meta.unwrap());
    let other = ObjectRef::Kubernetes(KubeRef::new("v1", "Pod", "shop", &other.name, &other.uid));
    let body = crate::testing::example_of(ActionKind::RestartPod);
    for (object, asked) in [(&first, false), (&other, true)] {
        let intended = Intended { action: &body, object, workload: incident.workload.as_ref() };
        let verdict = lab.look(|s| verdict(&intended, Consent::Rule, &incident, s));
        assert_eq!(matches!(verdict, Verdict::Ask(..)), asked, "{object}: {verdict:?}");
    }
}

#[test]
fn labels_of_a_workload_are_known_only_where_its_pods_agree_in_what_people_gave_them() {
    let with = |suffix: &str, labels: &[(&str, &str)]| {
        let mut pod = pod("web-6", suffix, "node-a");
        let facts = pod.facts.as_mut().unwrap();
        let label = |(key, value): &(&str, &str)| v1::Label { key: (*key).into(), value: (*value).into() };
        facts.labels = labels.iter().map(label).collect();
        facts.labels_complete = true;
        pod
    };
    let deployment = deployment("web", 2, 6).meta.unwrap();
    let object = KubeRef::new("apps/v1", "Deployment", "shop", "web", &deployment.uid);
    let workload = Workload::of(object.clone());
    let object = ObjectRef::Kubernetes(object);
    let body = crate::testing::example_of(ActionKind::RollbackDeployment);
    let known = |second: &[(&str, &str)]| {
        let mut lab = Lab::new();
        lab.deploy("web", 2, 6);
        lab.see(Body::Pod(with("0", &[("tier", "critical"), ("pod-template-hash", "a")])));
        lab.see(Body::Pod(with("1", second)));
        let incident = Incident::found(
            "inc_00000000000000000000000000000001".parse().unwrap(),
            "k".into(),
            IncidentKind::RolloutStuck,
            Scope::Cluster(CLUSTER.into()),
            object.clone(),
            lab.now,
        );
        let intended = Intended { action: &body, object: &object, workload: Some(&workload) };
        lab.look(|s| {
            let facts = s.facts(&incident, &intended);
            ["tier", "canary", "none"].map(|key| facts.label(key).map(|value| value.map(str::to_owned)))
        })
    };
    let critical = Some(Some("critical".to_owned()));
    assert_eq!(
        known(&[("tier", "critical"), ("pod-template-hash", "b")]),
        [critical.clone(), Some(None), Some(None)]
    );
    assert_eq!(
        known(&[("pod-template-hash", "b")]),
        [None, Some(None), Some(None)],
        "a revision that omits it"
    );
    assert_eq!(known(&[("tier", "critical"), ("canary", "yes")]), [critical, None, Some(None)]);
}

#[test]
fn many_files_that_differ_at_once_are_asked_for_one_by_one() {
    let files = |number: u32| {
        let mut lab = Lab::new();
        takes(&mut lab, &[ActionKind::RestoreFile]);
        set(
            &mut lab,
            RuleText {
                name: "files".into(),
                auto_approve: true,
                ..built_in::of(ActionKind::RestoreFile).unwrap()
            },
        );
        for file_number in 0..number {
            let path = format!("/srv/etc/{file_number}.conf");
            lab.see_host(Body::File(file(&path, file_state("file", 0o640, 1), file_state("file", 0o640, 2))));
        }
        lab
    };
    let most = Lab::new().settings.storm.incidents;
    let mut lab = files(most - 1);
    assert!(!lab.settle().is_empty());
    let mut lab = files(most);
    assert!(lab.settle().is_empty());
    assert_eq!(lab.live_approvals(), usize::try_from(most).unwrap());
    let plan = lab.plans.values().next().unwrap().doc.clone();
    let mut unasked = Plan { needs_approval: false, ..plan };
    unasked.digest = unasked.computed_digest();
    let found = check::check(&unasked, &lab.snapshot(), lab.now);
    assert!(found.iter().any(|it| it.invariant == 6), "{found:?}");
    // One of them is dealt with: the others stay a person's.
    let good = file_state("file", 0o640, 1);
    lab.see_host(Body::File(file("/srv/etc/0.conf", good.clone(), good)));
    lab.settle();
    lab.pass(60);
    assert!(lab.settle().is_empty());
    assert_eq!(lab.live_approvals(), usize::try_from(most - 1).unwrap());
    let found = check::check(&unasked_of(&lab, "/srv/etc/5.conf"), &lab.snapshot(), lab.now);
    assert!(found.iter().any(|it| it.invariant == 6), "{found:?}");
}

/// The plan for a file, as if nobody were asked.
fn unasked_of(lab: &Lab, path: &str) -> Plan {
    let plan = lab.plans.values().map(|plan| &plan.doc).find(|plan| plan.object.name() == path).unwrap();
    let mut unasked = Plan { needs_approval: false, ..plan.clone() };
    unasked.digest = unasked.computed_digest();
    unasked
}

#[test]
fn the_checker_refuses_a_plan_that_is_about_another_object_than_its_action() {
    let mut lab = crash_loop();
    lab.diagnose();
    lab.plan();
    let mut plan = lab.plans.values().next().unwrap().doc.clone();
    assert_eq!(check::check(&plan, &lab.snapshot(), lab.now), []);
    let other = pod("web-1", "1", "node-b").meta.unwrap();
    plan.object = ObjectRef::Kubernetes(KubeRef::new("v1", "Pod", "shop", &other.name, &other.uid));
    let found = check::check(&plan, &lab.snapshot(), lab.now);
    assert!(found.iter().any(|it| it.text.contains("its action about another object")), "{found:?}");
}

/// Denied; then the object changes and another plan is asked for; then it is as it was when it was denied.
#[test]
fn what_was_denied_is_left_alone_again_when_the_object_is_as_it_was_then() {
    let of = |gib: u64| {
        let bytes = gib << 30;
        Body::PersistentVolumeClaim(v1::PersistentVolumeClaim {
            requested_bytes: bytes,
            capacity_bytes: bytes,
            ..super::expanded::data()
        })
    };
    let mut lab = taken();
    asks(&mut lab);
    lab.decide("operator", Decision::Deny, "").unwrap();
    lab.see(of(110));
    lab.see(super::expanded::figures(110, 5));
    asks(&mut lab);
    lab.see(of(100));
    lab.see(super::expanded::figures(100, 5));
    lab.settle();
    let incident = lab.open(IncidentKind::VolumeNearFull);
    assert_eq!(
        (incident.state, incident.approval_id, lab.live_approvals()),
        (IncidentState::Escalated, None, 0)
    );
}

#[test]
fn an_approval_that_was_given_is_what_it_is_done_by_when_a_rule_would_do_meanwhile() {
    let mut lab = taken();
    asks(&mut lab);
    lab.decide("operator", Decision::Approve, "").unwrap();
    set(&mut lab, grow());
    let jobs = lab.settle();
    assert_eq!((jobs.len(), jobs[0].needs_approval, jobs[0].approvals[0].by.as_str()), (1, true, "operator"));
    // One that waits for a word is void then, and says the true reason.
    let mut lab = taken();
    let before = asks(&mut lab);
    set(&mut lab, grow());
    assert_eq!(lab.settle().len(), 1);
    let reason = lab.approvals[&before.approval_id.unwrap().to_string()].doc.reason.clone();
    assert!(reason.contains("say otherwise now who is asked"), "{reason}");
}

#[test]
fn a_job_ends_with_the_window_of_its_rule_and_none_begins_in_its_last_moments() {
    let clock = |lab: &Lab, seconds: i64| {
        let then = lab.now + jiff::SignedDuration::from_secs(seconds);
        then.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M").to_string()
    };
    for (before_the_end, begun) in [(30, true), (8, false)] {
        let mut lab = taken();
        // The window ends at a whole minute.
        let to_the_minute = 60 - lab.now.as_second().rem_euclid(60);
        lab.pass(to_the_minute + 60 - before_the_end);
        lab.see(super::expanded::figures(100, 5));
        let ends = lab.now + jiff::SignedDuration::from_secs(before_the_end);
        let nights = window(&clock(&lab, -3_600), &clock(&lab, before_the_end));
        set(&mut lab, RuleText { windows: vec![nights], ..grow() });
        let jobs = lab.settle();
        assert_eq!(jobs.len() == 1, begun, "{before_the_end}");
        if let Some(job) = jobs.first() {
            assert_eq!(job.expires_at_us, nimbus_protocol::to_micros(ends));
        }
    }
}

#[test]
fn a_rule_is_tried_without_anything_being_written() {
    let mut lab = taken();
    asks(&mut lab);
    let before = lab.audit.len();
    let tried = |text: &RuleText| {
        lab.look(|s| {
            let (tried, left_out) = rules::tried(text, s);
            assert_eq!(left_out, 0);
            tried.into_iter().map(|it| (it.fit, it.now, it.then)).next()
        })
    };
    let asks = rules::Outcome::Asks(ActionKind::ExpandVolume);
    let begins = rules::Outcome::Begins(ActionKind::ExpandVolume);
    assert_eq!(tried(&grow()), Some((Some(Fit::Yes), asks.clone(), begins)));
    let other = RuleText { namespaces: vec!["bank".into()], ..grow() };
    let no = Fit::No("its namespaces are bank".into());
    assert_eq!(tried(&other), Some((Some(no), asks.clone(), asks.clone())));
    let off = RuleText { enabled: false, ..built_in::of(ActionKind::ExpandVolume).unwrap() };
    let (_, now, then) = tried(&off).unwrap();
    assert_eq!(now, asks);
    assert!(matches!(then, rules::Outcome::Nothing(why) if why.contains("not enabled")));
    assert_eq!(tried(&built_in::of(ActionKind::RestartPod).unwrap()), None, "no such incident is open");
    assert_eq!(lab.audit.len(), before);
}

#[test]
fn a_rule_that_is_wider_than_every_agents_policy_is_refused_with_the_place() {
    let mut lab = full();
    let narrower = |lab: &Lab, text: &RuleText| lab.look(|s| rules::narrower(text, s));
    let refused = narrower(&lab, &grow()).unwrap_err();
    assert_eq!(refused.field, "auto_approve");
    assert!(refused.found.contains("cluster prod: true, and agent edge"), "{}", refused.found);
    let files = RuleText {
        name: "files".into(),
        auto_approve: true,
        ..built_in::of(ActionKind::RestoreFile).unwrap()
    };
    assert!(narrower(&lab, &files).unwrap_err().found.contains("host edge"));
    let host = RuleText { clusters: vec!["edge".into()], ..files };
    assert!(narrower(&lab, &host).unwrap_err().found.contains("(host edge)"));
    let named = RuleText { clusters: vec!["prod".into()], ..grow() };
    assert!(narrower(&lab, &named).unwrap_err().found.contains("(cluster prod)"));
    let asking = RuleText { auto_approve: false, ..named.clone() };
    assert_eq!(narrower(&lab, &asking), Ok(Vec::new()));
    lab.agents.get_mut(&agent_id().to_string()).unwrap().doc.allowed_actions.clear();
    assert_eq!(narrower(&lab, &asking).unwrap_err().field, "action");
    let mut lab = taken();
    assert_eq!(narrower(&lab, &named), Ok(Vec::new()));
    // What cannot be asked now refuses nothing.
    lab.connected.clear();
    takes(&mut lab, &[]);
    assert_eq!(narrower(&lab, &named), Ok(Vec::new()));
}

#[test]
fn a_rule_that_says_the_same_again_stays_as_it_is() {
    let mut lab = taken();
    let first = set(&mut lab, grow());
    lab.pass(60);
    assert_eq!(set(&mut lab, grow()), first);
    let second = set(&mut lab, RuleText { enabled: false, ..grow() });
    assert_eq!(
        (second.version, second.created_at, lab.audited("autonomous.rule_set")),
        (2, first.created_at, 2)
    );
}

fn any_rule() -> impl Strategy<Value = RuleText> {
    let name = proptest::sample::select(&["expand-volume", "a", "b"][..]);
    let places = proptest::sample::select(&["", "", "prod", "lab"][..]);
    let namespaces = proptest::sample::select(&["", "", "shop", "bank"][..]);
    let conditions = proptest::sample::select(
        &[
            "",
            "",
            "true",
            "false",
            "workload.kind == 'x'",
            "action.to_mib > 1",
            "object.labels.x == 'y'",
            "odd",
        ][..],
    );
    let labels = proptest::sample::select(&["", "", "", "team"][..]);
    let windows = proptest::option::weighted(0.2, any::<bool>());
    let flags =
        (prop_oneof![4 => Just(true), 1 => Just(false)], prop_oneof![2 => Just(true), 1 => Just(false)]);
    let texts = (name, places, namespaces, conditions, labels);
    (texts, windows, flags).prop_map(
        |((name, place, namespace, condition, label), window_now, (enabled, auto))| {
            let some = |word: &str| if word.is_empty() { Vec::new() } else { vec![word.to_owned()] };
            RuleText {
                name: name.into(),
                enabled,
                clusters: some(place),
                namespaces: some(namespace),
                labels: some(label).into_iter().map(|key| (key, "x".to_owned())).collect(),
                condition: condition.into(),
                auto_approve: auto,
                windows: window_now
                    .map(|now| if now { window("00:00", "00:00") } else { never() })
                    .into_iter()
                    .collect(),
                ..grow()
            }
        },
    )
}

fn never() -> Period {
    let window = serde_json::json!({
        "name": "once", "zone": "UTC", "starts": "2001-01-01T00:00", "ends": "2001-01-02T00:00"
    });
    serde_json::from_value(window).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// The planner and the checker read the same rules in the same way, each by code of its own.
    #[test]
    fn planner_and_checker_agree_on_what_the_rules_say(
        texts in proptest::collection::vec(any_rule(), 0..4),
        named in any::<bool>(),
    ) {
        let mut lab = full();
        asks(&mut lab);
        takes(&mut lab, if named { &[ActionKind::ExpandVolume] } else { &[] });
        for (at, text) in texts.iter().enumerate() {
            let rule = Rule {
                text: text.clone(),
                version: u32::try_from(at).unwrap() + 1,
                created_at: lab.now,
                set_by: "ann".into(),
                set_at: lab.now,
                problem: None,
            };
            lab.rules.insert(text.name.clone(), Versioned { version: 1, doc: rule });
        }
        let incident = lab.open(IncidentKind::VolumeNearFull).clone();
        let asked = lab.plans[&incident.plan_id.unwrap().to_string()].doc.clone();
        let verdict = lab.look(|s| verdict(&asked.intended().unwrap(), Consent::Approval, &incident, s));
        let mut unasked = Plan { needs_approval: false, ..asked.clone() };
        unasked.digest = unasked.computed_digest();
        let rule = |plan: &Plan| {
            let found = lab.look(|s| check::check(plan, s, lab.now));
            let of_rules = ["no rule that is in force", "the rules want", "takes a rule's word"];
            found.into_iter().filter(|it| of_rules.iter().any(|word| it.text.contains(word))).count()
        };
        let (unasked, asked) = (rule(&unasked), rule(&asked));
        match verdict {
            Verdict::Begin(..) => prop_assert_eq!((unasked, asked), (0, 0)),
            Verdict::Ask(..) => prop_assert!(unasked > 0 && asked == 0, "{unasked} {asked}"),
            Verdict::Leave(_) => prop_assert!(unasked > 0 && asked > 0, "{unasked} {asked}"),
        }
    }
}
