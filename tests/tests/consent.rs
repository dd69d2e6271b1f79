//! Compares who must consent to each action as the agent, the planner and the independent checker decide it, which
//! share no code.
//! Needs no server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use jiff::Timestamp;
use nimbus_agent_core::action::{self as agent, Requester};
use nimbus_control_core::connected_agents::ConnectedAgents;
use nimbus_control_core::model::{Agents, ObjectRef, Plan, PlannedAction};
use nimbus_control_core::remedies::{self, Consent};
use nimbus_control_core::{Settings, Snapshot, World, causes, check, rules};
use nimbus_protocol::action::Body;
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::{ActionKind, Scope, v1};

fn example(kind: ActionKind) -> Body {
    match kind {
        ActionKind::RestartPod => Body::RestartPod(v1::RestartPod::default()),
        ActionKind::RollbackDeployment => Body::RollbackDeployment(v1::RollbackDeployment::default()),
        ActionKind::ExpandVolume => Body::ExpandVolume(v1::ExpandVolume::default()),
        ActionKind::RaiseAutoscalerMaximum => {
            Body::RaiseAutoscalerMaximum(v1::RaiseAutoscalerMaximum::default())
        }
        ActionKind::ScaleWorkload => Body::ScaleWorkload(v1::ScaleWorkload::default()),
        ActionKind::RenewCertificate => Body::RenewCertificate(v1::RenewCertificate::default()),
        ActionKind::RaiseMemoryLimit => Body::RaiseMemoryLimit(v1::RaiseMemoryLimit::default()),
        ActionKind::RestoreFile => Body::RestoreFile(v1::RestoreFile::default()),
        ActionKind::AcceptBaseline => Body::AcceptBaseline(v1::AcceptBaseline::default()),
        ActionKind::UncordonNode => Body::UncordonNode(v1::UncordonNode::default()),
        ActionKind::RestartUnit => Body::RestartUnit(v1::RestartUnit::default()),
        ActionKind::WithdrawBaseline => Body::WithdrawBaseline(v1::WithdrawBaseline::default()),
    }
}

fn plan(kind: ActionKind, scope: Scope, requested_by: &str, needs_approval: bool) -> Plan {
    let mut plan = Plan {
        id: uuid::Uuid::from_u128(1).into(),
        incident_id: uuid::Uuid::from_u128(2).into(),
        created_at: Timestamp::UNIX_EPOCH,
        requested_by: requested_by.into(),
        scope,
        action: PlannedAction::from(example(kind)),
        object: ObjectRef::File { path: "/etc/app.conf".into() },
        workload: None,
        needs_approval,
        rule: None,
        summary: String::new(),
        changes: Vec::new(),
        rationale: String::new(),
        outlook: None,
        considered: Vec::new(),
        evidence: Vec::new(),
        digest: String::new(),
    };
    plan.digest = plan.computed_digest();
    plan
}

/// What the checker says of a plan in a world of which nothing is known: does it lack an approval, may it act there?
fn judged(plan: &Plan) -> (bool, bool) {
    let (world, settings, connected) = (World::default(), Settings::default(), ConnectedAgents::default());
    let snapshot = Snapshot {
        now: Timestamp::UNIX_EPOCH,
        world: &world,
        assessment: &causes::assess(&world, &settings),
        agents: &Agents::default(),
        clusters: &[],
        pauses: &[],
        rules: &nimbus_control_core::rulebook::Book::default(),
        incidents: &[],
        plans: &[],
        approvals: &[],
        jobs: &[],
        unstored_jobs: &[],
        connected: &connected,
        settings: &settings,
    };
    let found = check::of_plan(plan, &snapshot);
    let lacks_a_word = found.iter().any(|violation| violation.invariant == 12);
    (lacks_a_word, !found.iter().any(|violation| violation.text.contains("does not act in")))
}

#[test]
fn the_agent_the_planner_and_the_checker_ask_for_the_same_persons_word() {
    let host = Scope::Host(AgentId::from(uuid::Uuid::from_u128(3)));
    for kind in ActionKind::ALL.iter().copied() {
        let body = example(kind);
        let agent_rules = agent::rules(&body);
        let asked = (agent_rules.needs_approval(), agent_rules.requester());
        let planned = match rules::consent(kind) {
            Consent::Rule => (false, Requester::Anyone),
            Consent::Approval => (true, Requester::Anyone),
            Consent::Command => (false, Requester::Person),
        };
        assert_eq!(planned, asked, "{kind}: the planner and the agent");

        let (agents_scope, elsewhere) = match agent_rules.place() {
            agent::Place::Cluster => (Scope::Cluster("c".into()), host.clone()),
            agent::Place::Host => (host.clone(), Scope::Cluster("c".into())),
        };
        for requested_by in [remedies::NIMBUS, "operator"] {
            for needs_approval in [false, true] {
                let unasked = asked.1 == Requester::Person && requested_by == remedies::NIMBUS;
                let unapproved = asked.0 && !needs_approval;
                let (lacks_a_word, _) =
                    judged(&plan(kind, agents_scope.clone(), requested_by, needs_approval));
                assert_eq!(
                    lacks_a_word,
                    unasked || unapproved,
                    "{kind}: the checker and the agent, of a plan that {requested_by} wants, approval {needs_approval}"
                );
            }
        }
        assert!(
            judged(&plan(kind, agents_scope, "operator", true)).1,
            "{kind}: the checker lets it act where it runs"
        );
        assert!(!judged(&plan(kind, elsewhere, "operator", true)).1, "{kind}: and nowhere else");
        let place = match rules::place(kind) {
            remedies::Place::Cluster => agent::Place::Cluster,
            remedies::Place::Host => agent::Place::Host,
        };
        assert_eq!(place, agent_rules.place(), "{kind}");
    }
}

/// Both sides name the control plane by the same word, or its own plans would count as a person's.
#[test]
fn the_agent_knows_the_control_planes_own_plans_by_their_requester() {
    assert_eq!(nimbus_agent_core::admit::NIMBUS, remedies::NIMBUS);
}
