//! Fixtures for tests: Kubernetes objects and files as literals, and a simulated control plane (`lab`).

pub(crate) mod lab;
pub(crate) mod objects;

use jiff::Timestamp;
use nimbus_protocol::v1;

pub(crate) use nimbus_protocol::action::Body as ActionBody;

/// What a job orders.
pub(crate) fn action_of(job: &v1::Job) -> Option<ActionBody> {
    nimbus_protocol::action::decode(&job.action).ok()
}

/// Seconds after an arbitrary start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// A pending job of `agent` on a file of its host.
pub(crate) fn job(agent: nimbus_protocol::ids::AgentId) -> crate::model::Job {
    use crate::model::{ActionKind, Job, JobState, ObjectRef, Scope};
    Job {
        id: format!("job_{:032x}", 1).parse().unwrap(),
        incident_id: format!("inc_{:032x}", 1).parse().unwrap(),
        plan_id: format!("pln_{:032x}", 1).parse().unwrap(),
        plan_digest: String::new(),
        approval_id: None,
        agent_id: agent,
        scope: Scope::Host(agent),
        cluster: "edge".into(),
        action: ActionKind::RestoreFile,
        object: ObjectRef::File { path: "/srv/etc/app.conf".into() },
        workload: None,
        state: JobState::Pending,
        reason: String::new(),
        evidence: Vec::new(),
        created_at: at(0),
        expires_at: at(60),
        dispatched_at: None,
        applied_at: None,
        finished_at: None,
        verify_ms: 5_000,
        verify_timeout_ms: 180_000,
        envelope: String::new(),
        replacement_uid: None,
        attempts_reset_at: None,
        again: 0,
        raised: None,
        scales_in: None,
    }
}

/// An action of each kind, with the texts set that the planner and the checker look at.
pub(crate) fn example_of(kind: nimbus_protocol::ActionKind) -> ActionBody {
    use nimbus_protocol::ActionKind;
    match kind {
        ActionKind::RestartPod => {
            ActionBody::RestartPod(v1::RestartPod { node: "node-a".into(), ..Default::default() })
        }
        ActionKind::RollbackDeployment => ActionBody::RollbackDeployment(v1::RollbackDeployment::default()),
        ActionKind::RaiseMemoryLimit => ActionBody::RaiseMemoryLimit(v1::RaiseMemoryLimit::default()),
        ActionKind::RestartUnit => ActionBody::RestartUnit(v1::RestartUnit::default()),
        ActionKind::ExpandVolume => ActionBody::ExpandVolume(v1::ExpandVolume::default()),
        ActionKind::RaiseAutoscalerMaximum => {
            ActionBody::RaiseAutoscalerMaximum(v1::RaiseAutoscalerMaximum::default())
        }
        ActionKind::ScaleWorkload => ActionBody::ScaleWorkload(v1::ScaleWorkload::default()),
        ActionKind::RenewCertificate => ActionBody::RenewCertificate(v1::RenewCertificate::default()),
        ActionKind::RestoreFile => ActionBody::RestoreFile(v1::RestoreFile::default()),
        ActionKind::UncordonNode => {
            let node = v1::Target { name: "node-a".into(), ..Default::default() };
            ActionBody::UncordonNode(v1::UncordonNode { node: Some(node), ..Default::default() })
        }
        ActionKind::AcceptBaseline => ActionBody::AcceptBaseline(v1::AcceptBaseline::default()),
        ActionKind::WithdrawBaseline => ActionBody::WithdrawBaseline(v1::WithdrawBaseline::default()),
    }
}
