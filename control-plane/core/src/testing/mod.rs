//! Fixtures for tests: Kubernetes objects and files as literals, and a simulated control plane (`lab`).

pub(crate) mod lab;
pub(crate) mod objects;

use jiff::Timestamp;
use nimbus_protocol::v1;

pub(crate) use nimbus_protocol::action::Body as Order;

/// What a job orders.
pub(crate) fn order_of(job: &v1::Job) -> Option<Order> {
    nimbus_protocol::action::decode(&job.action).ok()
}

/// Seconds after an arbitrary start.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

/// An order of each kind, with the texts set that the planner and the checker look at.
pub(crate) fn example_of(kind: nimbus_protocol::ActionKind) -> Order {
    use nimbus_protocol::ActionKind;
    match kind {
        ActionKind::RestartPod => {
            Order::RestartPod(v1::RestartPod { node: "node-a".into(), ..Default::default() })
        }
        ActionKind::RollbackDeployment => Order::RollbackDeployment(v1::RollbackDeployment::default()),
        ActionKind::RestoreFile => Order::RestoreFile(v1::RestoreFile::default()),
        ActionKind::UncordonNode => {
            let node = v1::Target { name: "node-a".into(), ..Default::default() };
            Order::UncordonNode(v1::UncordonNode { node: Some(node), ..Default::default() })
        }
        ActionKind::AcceptBaseline => Order::AcceptBaseline(v1::AcceptBaseline::default()),
        ActionKind::WithdrawBaseline => Order::WithdrawBaseline(v1::WithdrawBaseline::default()),
    }
}
