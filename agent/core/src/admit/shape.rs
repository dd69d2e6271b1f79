//! Is a signed job whole? What an executor relies on is there and within bounds.

use nimbus_protocol::ids::JobId;
use nimbus_protocol::v1::{self, job::Action};

use crate::path;
use crate::refusal::{Code, Refusal};

/// Longest time that a job may act.
const MAX_ACT_MS: u32 = 10 * 60_000;
/// Longest time that a job may watch whether it helped.
const MAX_VERIFY_MS: u32 = 60 * 60_000;

pub(super) fn check(job: &v1::Job) -> Result<(), Refusal> {
    if job.job_id.parse::<JobId>().is_err() {
        return malformed("job_id", "a job id");
    }
    if job.plan_digest.len() != 32 {
        return malformed("plan_digest", "a SHA-256 digest of 32 bytes");
    }
    let Some(limits) = &job.limits else { return malformed("limits", "limits") };
    if !(1..=MAX_ACT_MS).contains(&limits.act_ms) {
        return malformed("limits.act_ms", "1 ms to 10 minutes");
    }
    if limits.verify_ms > limits.verify_timeout_ms || limits.verify_timeout_ms > MAX_VERIFY_MS {
        return malformed("limits.verify_ms", "at most verify_timeout_ms, and that at most an hour");
    }
    match &job.action {
        None => malformed("action", "an action that this version knows"),
        Some(Action::RestartPod(order)) => {
            target("restart_pod.pod", order.pod.as_ref())?;
            target("restart_pod.owner", order.owner.as_ref())?;
            if order.container.is_empty() {
                return malformed("restart_pod.container", "a container's name");
            }
            same_namespace(order.pod.as_ref(), order.owner.as_ref())
        }
        Some(Action::RollbackDeployment(order)) => {
            target("rollback_deployment.deployment", order.deployment.as_ref())?;
            target("rollback_deployment.to_replica_set", order.to_replica_set.as_ref())?;
            let hashes = [&order.current_template_hash, &order.to_template_hash];
            if hashes.iter().any(|h| h.len() != 32) || hashes[0] == hashes[1] {
                return malformed("rollback_deployment", "two different template hashes of 32 bytes");
            }
            same_namespace(order.deployment.as_ref(), order.to_replica_set.as_ref())
        }
        Some(Action::RestoreFile(order)) => {
            place("restore_file", &order.root, &order.path)?;
            facts("restore_file.expect_current", order.expect_current.as_ref())?;
            facts("restore_file.restore_to", order.restore_to.as_ref())
        }
        Some(Action::AcceptBaseline(order)) => {
            place("accept_baseline", &order.root, &order.path)?;
            acceptable("accept_baseline.expect_current", order.expect_current.as_ref())
        }
    }
}

fn target(field: &str, target: Option<&v1::Target>) -> Result<(), Refusal> {
    match target {
        Some(t) if !t.namespace.is_empty() && !t.name.is_empty() && !t.uid.is_empty() => Ok(()),
        _ => malformed(field, "a namespace, a name and a UID"),
    }
}

fn same_namespace(a: Option<&v1::Target>, b: Option<&v1::Target>) -> Result<(), Refusal> {
    if a.map(|t| &t.namespace) == b.map(|t| &t.namespace) {
        Ok(())
    } else {
        malformed("action", "an object and its owner in one namespace")
    }
}

fn place(field: &str, root: &str, file: &str) -> Result<(), Refusal> {
    if path::within(root, file) { Ok(()) } else { malformed(field, "a plain absolute path under its root") }
}

fn facts(field: &str, facts: Option<&v1::FileFacts>) -> Result<(), Refusal> {
    let hashed = |f: &v1::FileFacts| f.sha256.len() == 32;
    match facts {
        Some(f) if f.mode > 0o7777 => malformed(field, "permission bits up to 7777"),
        Some(f) if matches!(f.kind.as_str(), "file" | "symlink") && hashed(f) => Ok(()),
        Some(f) if f.kind == "absent" && f.sha256.is_empty() => Ok(()),
        _ => malformed(field, "the facts of a file, a symlink or an absent one, with its hash"),
    }
}

/// What may become a baseline: also what cannot be put back.
fn acceptable(field: &str, given: Option<&v1::FileFacts>) -> Result<(), Refusal> {
    match given {
        Some(f)
            if matches!(f.kind.as_str(), "directory" | "other")
                && f.sha256.is_empty()
                && f.mode <= 0o7777 =>
        {
            Ok(())
        }
        _ => facts(field, given),
    }
}

fn malformed(field: &str, expected: &str) -> Result<(), Refusal> {
    Err(Refusal::new(Code::Malformed, format!("{field}: expected {expected}, found none such")))
}
