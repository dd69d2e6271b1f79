//! Is the object still as the plan saw it? Judged on facts that the executor read again just before acting.
//!
//! A refusal here carries no job yet: see [`Refusal::of`].

use nimbus_protocol::v1;

use crate::refusal::{Code, Refusal};

/// May this pod be evicted? `now` is `None` when there is no pod of that name any more.
pub fn restart_pod(order: &v1::RestartPod, now: Option<&v1::Pod>) -> Result<(), Refusal> {
    let wanted = order.pod.as_ref();
    let Some(pod) = now else { return refuse(format!("expected pod {}, found none", name(wanted))) };
    let meta = there("pod", wanted, pod.meta.as_ref())?;
    let owner = order.owner.as_ref().map_or("", |t| t.uid.as_str());
    if owner.is_empty() || meta.owner_uid != owner {
        return refuse(format!(
            "expected a pod of ReplicaSet {}, found owner {:?}",
            name(order.owner.as_ref()),
            meta.owner_name
        ));
    }
    if pod.node != order.node {
        return refuse(format!("expected the pod on node {:?}, found it on {:?}", order.node, pod.node));
    }
    let Some(container) = pod.containers.iter().find(|c| c.name == order.container) else {
        return refuse(format!("expected a container {:?}, found none", order.container));
    };
    if container.state != "waiting" || container.reason != "CrashLoopBackOff" {
        return refuse(format!(
            "expected container {:?} waiting with CrashLoopBackOff, found {:?} {:?}",
            order.container, container.state, container.reason
        ));
    }
    if container.restart_count < order.min_restarts {
        return refuse(format!(
            "expected at least {} restarts of container {:?}, found {}",
            order.min_restarts, order.container, container.restart_count
        ));
    }
    Ok(())
}

/// The Deployment and the ReplicaSet to go back to, as read now; `None` for what is no more.
#[derive(Debug, Clone, Copy)]
pub struct RolloutNow<'a> {
    /// The Deployment.
    pub deployment: Option<&'a v1::Deployment>,
    /// The ReplicaSet of the good revision.
    pub to_replica_set: Option<&'a v1::ReplicaSet>,
}

/// May this Deployment be rolled back?
pub fn rollback_deployment(order: &v1::RollbackDeployment, now: RolloutNow<'_>) -> Result<(), Refusal> {
    let wanted = order.deployment.as_ref();
    let Some(deployment) = now.deployment else {
        return refuse(format!("expected Deployment {}, found none", name(wanted)));
    };
    let meta = there("Deployment", wanted, deployment.meta.as_ref())?;
    if deployment.generation != order.generation {
        return refuse(format!("expected generation {}, found {}", order.generation, deployment.generation));
    }
    if deployment.template_hash != order.current_template_hash {
        return refuse("expected the pod template that was planned on, found another".to_owned());
    }
    if deployment.paused {
        return refuse("expected a Deployment that is not paused, found a paused one".to_owned());
    }
    if !deployment.manager.is_empty() {
        return refuse(format!(
            "expected a Deployment that nobody else manages, found {} ({})",
            deployment.manager, deployment.manager_evidence
        ));
    }
    let wanted = order.to_replica_set.as_ref();
    let Some(good) = now.to_replica_set else {
        return refuse(format!("expected ReplicaSet {}, found none", name(wanted)));
    };
    let good_meta = there("ReplicaSet", wanted, good.meta.as_ref())?;
    if good_meta.owner_uid != meta.uid {
        return refuse(format!(
            "expected a ReplicaSet of this Deployment, found owner {:?}",
            good_meta.owner_name
        ));
    }
    if good.revision != order.to_revision || good.template_hash != order.to_template_hash {
        return refuse(format!(
            "expected revision {} with its pod template, found revision {}",
            order.to_revision, good.revision
        ));
    }
    Ok(())
}

/// Is the file as the plan saw it? What may not be read is not known to be the same.
pub fn file(expect: &v1::FileFacts, now: &v1::FileState) -> Result<(), Refusal> {
    if !now.problem.is_empty() || now.kind == "unreadable" {
        return refuse(format!("expected a file that can be read, found: {}", now.problem));
    }
    if now.kind != expect.kind {
        return refuse(format!("expected kind {:?}, found {:?}", expect.kind, now.kind));
    }
    if now.kind == "absent" {
        return Ok(());
    }
    // A directory and a device have no content that is looked at.
    let hashed = !matches!(now.kind.as_str(), "directory" | "other");
    if (hashed && now.sha256.is_empty()) || now.sha256 != expect.sha256 {
        return refuse("expected the content that was planned on, found other content".to_owned());
    }
    let found = (now.mode, now.uid, now.gid);
    let expected = (expect.mode, expect.uid, expect.gid);
    // A symbolic link's own permission bits mean nothing.
    let same = if now.kind == "symlink" {
        found.1 == expected.1 && found.2 == expected.2
    } else {
        found == expected
    };
    if same {
        return Ok(());
    }
    refuse(format!(
        "expected mode {:o} of {}:{}, found mode {:o} of {}:{}",
        expected.0, expected.1, expected.2, found.0, found.1, found.2
    ))
}

/// The same object (by UID), not being deleted.
fn there<'a>(
    kind: &str,
    wanted: Option<&v1::Target>,
    found: Option<&'a v1::ObjectMeta>,
) -> Result<&'a v1::ObjectMeta, Refusal> {
    let uid = wanted.map_or("", |t| t.uid.as_str());
    match found {
        Some(meta) if !uid.is_empty() && meta.uid == uid && meta.deleting_since_us == 0 => Ok(meta),
        Some(meta) if meta.uid == uid => {
            Err(refusal(format!("expected {kind} {} to stay, found it being deleted", name(wanted))))
        }
        _ => {
            let found = found.map_or("", |m| m.uid.as_str());
            Err(refusal(format!("expected {kind} {} with UID {uid}, found UID {found:?}", name(wanted))))
        }
    }
}

fn name(target: Option<&v1::Target>) -> String {
    target.map_or_else(|| "(none)".to_owned(), |t| format!("{}/{}", t.namespace, t.name))
}

fn refusal(reason: String) -> Refusal {
    Refusal::new(Code::PreconditionFailed, reason)
}

fn refuse(reason: String) -> Result<(), Refusal> {
    Err(refusal(reason))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unnecessary_wraps, reason = "the fields of messages are optional")]
    use super::*;

    fn target(uid: &str) -> Option<v1::Target> {
        Some(v1::Target { namespace: "shop".into(), name: "cart".into(), uid: uid.into() })
    }

    fn meta(uid: &str, owner: &str) -> Option<v1::ObjectMeta> {
        Some(v1::ObjectMeta { uid: uid.into(), owner_uid: owner.into(), ..Default::default() })
    }

    fn restart() -> (v1::RestartPod, v1::Pod) {
        let order = v1::RestartPod {
            pod: target("p1"),
            owner: target("r1"),
            node: "n1".into(),
            avoid_node: true,
            container: "main".into(),
            min_restarts: 3,
        };
        let container = v1::Container {
            name: "main".into(),
            restart_count: 4,
            state: "waiting".into(),
            reason: "CrashLoopBackOff".into(),
            ..Default::default()
        };
        let pod = v1::Pod {
            meta: meta("p1", "r1"),
            node: "n1".into(),
            containers: vec![container],
            ..Default::default()
        };
        (order, pod)
    }

    #[test]
    fn a_pod_that_still_crash_loops_may_be_restarted() {
        let (order, pod) = restart();
        assert_eq!(restart_pod(&order, Some(&pod)), Ok(()));
    }

    #[test]
    fn any_change_of_the_pod_refuses() {
        let (order, pod) = restart();
        let changes: [fn(&mut v1::Pod); 8] = [
            |p| p.meta = meta("p2", "r1"),
            |p| p.meta = meta("p1", "r2"),
            |p| p.meta = None,
            |p| p.meta.as_mut().unwrap().deleting_since_us = 1,
            |p| p.node = "n2".into(),
            |p| p.containers[0].state = "running".into(),
            |p| p.containers[0].restart_count = 2,
            |p| p.containers.clear(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut pod = pod.clone();
            change(&mut pod);
            let refusal = restart_pod(&order, Some(&pod)).expect_err(&number.to_string());
            assert_eq!(refusal.code, Code::PreconditionFailed);
        }
        assert!(restart_pod(&order, None).is_err());
        assert!(restart_pod(&v1::RestartPod::default(), Some(&v1::Pod::default())).is_err());
    }

    fn rollback() -> (v1::RollbackDeployment, v1::Deployment, v1::ReplicaSet) {
        let order = v1::RollbackDeployment {
            deployment: target("d1"),
            generation: 7,
            current_template_hash: vec![1; 32],
            to_replica_set: target("r1"),
            to_revision: 3,
            to_template_hash: vec![2; 32],
        };
        let deployment = v1::Deployment {
            meta: meta("d1", ""),
            generation: 7,
            template_hash: vec![1; 32],
            ..Default::default()
        };
        let good = v1::ReplicaSet {
            meta: meta("r1", "d1"),
            revision: 3,
            template_hash: vec![2; 32],
            ..Default::default()
        };
        (order, deployment, good)
    }

    #[test]
    fn an_unchanged_rollout_may_be_rolled_back() {
        let (order, deployment, good) = rollback();
        let now = RolloutNow { deployment: Some(&deployment), to_replica_set: Some(&good) };
        assert_eq!(rollback_deployment(&order, now), Ok(()));
    }

    #[test]
    fn any_change_of_the_rollout_refuses() {
        let (order, deployment, good) = rollback();
        let changes: [fn(&mut v1::Deployment, &mut v1::ReplicaSet); 10] = [
            |d, _| d.meta = meta("d2", ""),
            |d, _| d.meta.as_mut().unwrap().deleting_since_us = 1,
            |d, _| d.generation = 8,
            |d, _| d.template_hash = vec![9; 32],
            |d, _| d.paused = true,
            |d, _| d.manager = "argocd".into(),
            |_, r| r.meta = meta("r2", "d1"),
            |_, r| r.meta = meta("r1", "d2"),
            |_, r| r.revision = 4,
            |_, r| r.template_hash = vec![9; 32],
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let (mut deployment, mut good) = (deployment.clone(), good.clone());
            change(&mut deployment, &mut good);
            let now = RolloutNow { deployment: Some(&deployment), to_replica_set: Some(&good) };
            rollback_deployment(&order, now).expect_err(&number.to_string());
        }
        for now in [
            RolloutNow { deployment: None, to_replica_set: Some(&good) },
            RolloutNow { deployment: Some(&deployment), to_replica_set: None },
        ] {
            assert_eq!(rollback_deployment(&order, now).unwrap_err().code, Code::PreconditionFailed);
        }
    }

    #[test]
    fn a_file_counts_by_kind_content_mode_and_owner() {
        let expect = v1::FileFacts { kind: "file".into(), mode: 0o644, uid: 1, gid: 2, sha256: vec![1; 32] };
        let now = v1::FileState {
            kind: "file".into(),
            mode: 0o644,
            uid: 1,
            gid: 2,
            size: 5,
            sha256: vec![1; 32],
            problem: String::new(),
        };
        assert_eq!(file(&expect, &now), Ok(()));
        let changes: [fn(&mut v1::FileState); 7] = [
            |f| f.kind = "symlink".into(),
            |f| f.mode = 0o600,
            |f| f.uid = 0,
            |f| f.gid = 0,
            |f| f.sha256 = vec![2; 32],
            |f| f.sha256 = Vec::new(),
            |f| f.problem = "permission denied".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut now = now.clone();
            change(&mut now);
            file(&expect, &now).expect_err(&number.to_string());
        }
        let absent = v1::FileFacts { kind: "absent".into(), ..Default::default() };
        assert_eq!(file(&absent, &v1::FileState { kind: "absent".into(), ..Default::default() }), Ok(()));
        assert!(file(&absent, &now).is_err());
    }
}
