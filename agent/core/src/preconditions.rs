//! Preconditions, judged on facts that were read again at the moment of acting.
use crate::Refusal;
use nimbus_protocol::v1;
/// `now` is `None` when the pod is no more.
pub fn restart_pod(_order: &v1::RestartPod, _now: Option<&v1::Pod>) -> Result<(), Refusal> {
    todo!()
}
/// The Deployment and the ReplicaSet to go back to, as read now.
#[derive(Debug, Clone, Copy)]
pub struct RolloutNow<'a> {
    /** The Deployment. */
    pub deployment: Option<&'a v1::Deployment>,
    /** The good ReplicaSet. */
    pub to_replica_set: Option<&'a v1::ReplicaSet>,
}
/// May the Deployment be rolled back?
pub fn rollback_deployment(_order: &v1::RollbackDeployment, _now: RolloutNow<'_>) -> Result<(), Refusal> {
    todo!()
}
/// Is the file as the plan saw it?
pub fn file(_expect: &v1::FileFacts, _now: &v1::FileState) -> Result<(), Refusal> {
    todo!()
}
