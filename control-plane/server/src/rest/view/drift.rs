//! Drifted files as the API shows them, from the incident, the world and the plan, whichever still has the data.

use nimbus_api as api;
use nimbus_control_core::drift::{AttributeChange, attribute_changes};
use nimbus_control_core::model::{FileFacts, Incident, Job, Plan};
use nimbus_control_core::world::{FileDrift, Lines};
use nimbus_protocol::action::Body;
use nimbus_protocol::{to_hex, v1};

/// A drifted file. `seen` is what the agent says now; where it says nothing any more, the plan's preconditions
/// tell what was there, and where there is no plan either it is unknown.
pub fn drift(
    incident: &Incident,
    seen: Option<&FileDrift>,
    plan: Option<&Plan>,
    agent: Option<&str>,
) -> api::Drift {
    let planned = plan.and_then(planned);
    let (before, after) = match (seen, &planned) {
        (Some(seen), _) => (Some(state(&seen.baseline, Some(seen.sizes.0))), Some(now(seen))),
        (None, Some(planned)) => {
            (planned.before.map(|f| state(f, None)), planned.after.map(|f| state(f, None)))
        }
        (None, None) => (None, None),
    };
    let diff = seen.map(|seen| seen.diff.clone()).filter(|diff| !diff.is_empty());
    let withheld = match seen {
        Some(seen) if diff.is_none() && !seen.diff_withheld.is_empty() => Some(seen.diff_withheld.clone()),
        _ if diff.is_none() => Some("unknown".to_owned()),
        _ => None,
    };
    let root = seen.map(|seen| seen.root.as_str()).or(planned.as_ref().map(|planned| planned.root));
    let item = super::incident(incident);
    api::Drift {
        change: change(before.as_ref(), after.as_ref()).to_owned(),
        root: root.unwrap_or_default().to_owned(),
        path: incident.object.name().to_owned(),
        before,
        after,
        diff,
        diff_withheld: withheld,
        lines: seen.and_then(|seen| seen.lines).map(lines),
        attributes: seen.map(attributes),
        agent: agent.map(ToOwned::to_owned),
        plan_digest: plan.map(|plan| plan.digest.clone()),
        plan_summary: plan.map(|plan| plan.summary.clone()),
        id: item.id,
        created_at: item.created_at,
        updated_at: item.updated_at,
        resolved_at: item.resolved_at,
        cluster: item.cluster,
        kind: item.kind,
        severity: item.severity,
        state: item.state,
        object: item.object,
        reason: item.reason,
        agent_id: item.agent_id,
        plan_id: item.plan_id,
        approval_id: item.approval_id,
        job_id: item.job_id,
        history: Vec::new(),
    }
}

/// A state that was accepted as a baseline by `job`, or taken back; `None` for the plan of another action.
pub fn baseline(plan: &Plan, job: &Job) -> Option<api::Baseline> {
    let (change, root, path, facts) = match plan.action.body()? {
        Body::AcceptBaseline(v1::AcceptBaseline { root, path, expect_current }) => {
            ("accepted", root, path, expect_current)
        }
        Body::WithdrawBaseline(v1::WithdrawBaseline { root, path, expect_baseline }) => {
            ("withdrawn", root, path, expect_baseline)
        }
        Body::RestoreFile(_)
        | Body::RestartPod(_)
        | Body::RollbackDeployment(_)
        | Body::RaiseMemoryLimit(_)
        | Body::RestartUnit(_)
        | Body::ExpandVolume(_)
        | Body::RaiseAutoscalerMaximum(_)
        | Body::ScaleWorkload(_)
        | Body::RenewCertificate(_)
        | Body::UncordonNode(_) => return None,
    };
    Some(api::Baseline {
        change: change.to_owned(),
        id: job.id.to_string(),
        created_at: plan.created_at,
        cluster: job.cluster.clone(),
        state: job.state.to_string(),
        object: super::object(&plan.object),
        reason: job.reason.clone(),
        root: root.clone(),
        path: path.clone(),
        accepted: facts.as_ref().map(|facts| state(facts, None)),
        decided_by: plan.requested_by.clone(),
        agent_id: job.agent_id.to_string(),
        incident_id: plan.incident_id.to_string(),
    })
}

/// What is there now, as a drifted file shows it.
pub fn now(seen: &FileDrift) -> api::FileState {
    state(&seen.current, Some(seen.sizes.1))
}

fn lines(counts: Lines) -> api::LineCounts {
    api::LineCounts {
        before: counts.before,
        after: counts.after,
        added: counts.moved.map(|(added, _)| added),
        removed: counts.moved.map(|(_, removed)| removed),
    }
}

/// What differs beside content, mode and owner, as far as the agent says.
fn attributes(seen: &FileDrift) -> Vec<api::AttributeChange> {
    let (before, now) = &seen.attributes;
    attribute_changes(before, now).into_iter().map(attribute).collect()
}

fn attribute(change: AttributeChange<'_>) -> api::AttributeChange {
    api::AttributeChange {
        name: change.name.to_owned(),
        kind: kind_of(change.name).to_owned(),
        before: change.expected.map(ToOwned::to_owned),
        after: change.actual.map(ToOwned::to_owned),
    }
}

/// What the attribute of this name is.
fn kind_of(name: &str) -> &'static str {
    match name {
        "security.capability" => "capability",
        "system.posix_acl_access" | "system.posix_acl_default" | "system.nfs4_acl" | "system.richacl" => {
            "access_list"
        }
        _ if name.starts_with("security.") => "label",
        // As agents write it: the name of an extended attribute begins with its namespace and a dot.
        _ if name.starts_with("flag ") => "flag",
        _ => "extended_attribute",
    }
}

/// Is there a difference of attributes, named or not?
pub fn attributes_differ(seen: &FileDrift) -> bool {
    let (then, now) = (&seen.baseline, &seen.current);
    // Of another kind, such as a link, they are not known.
    let unnamed = then.kind == now.kind && then.attributes_sha256 != now.attributes_sha256;
    unnamed || !attributes(seen).is_empty()
}

struct Planned<'a> {
    root: &'a str,
    before: Option<&'a FileFacts>,
    after: Option<&'a FileFacts>,
}

fn planned(plan: &Plan) -> Option<Planned<'_>> {
    match plan.action.body()? {
        Body::RestoreFile(v1::RestoreFile { root, expect_current, restore_to, .. }) => {
            Some(Planned { root, before: restore_to.as_ref(), after: expect_current.as_ref() })
        }
        Body::AcceptBaseline(v1::AcceptBaseline { root, expect_current, .. }) => {
            Some(Planned { root, before: None, after: expect_current.as_ref() })
        }
        Body::WithdrawBaseline(v1::WithdrawBaseline { root, .. }) => {
            Some(Planned { root, before: None, after: None })
        }
        Body::RestartPod(_)
        | Body::RollbackDeployment(_)
        | Body::RaiseMemoryLimit(_)
        | Body::RestartUnit(_)
        | Body::ExpandVolume(_)
        | Body::RaiseAutoscalerMaximum(_)
        | Body::ScaleWorkload(_)
        | Body::RenewCertificate(_)
        | Body::UncordonNode(_) => None,
    }
}

fn state(facts: &FileFacts, size: Option<u64>) -> api::FileState {
    api::FileState {
        kind: facts.kind.clone(),
        mode: format!("{:04o}", facts.mode),
        uid: facts.uid,
        gid: facts.gid,
        size,
        sha256: to_hex(&facts.sha256),
        attributes_sha256: to_hex(&facts.attributes_sha256),
    }
}

fn change(before: Option<&api::FileState>, after: Option<&api::FileState>) -> &'static str {
    let (Some(before), Some(after)) = (before, after) else { return "unknown" };
    match (before.kind.as_str(), after.kind.as_str()) {
        (_, "unreadable") | ("unreadable", _) => "unknown",
        ("absent", _) => "added",
        (_, "absent") => "deleted",
        (then, now) if then != now || before.sha256 != after.sha256 => "modified",
        _ => "attributes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(kind: &str, mode: u32, sha256: &str) -> api::FileState {
        let sha256 = nimbus_protocol::from_hex(sha256).unwrap();
        let facts = FileFacts { kind: kind.into(), mode, sha256, ..FileFacts::default() };
        state(&facts, None)
    }

    #[test]
    fn each_change_has_its_word_and_what_is_not_known_is_said() {
        let (a, b) = (file("file", 0o644, "aa"), file("file", 0o644, "bb"));
        let (absent, dark) = (file("absent", 0, ""), file("unreadable", 0, ""));
        let word = |before: &_, after: &_| change(Some(before), Some(after));
        assert_eq!(word(&a, &b), "modified");
        assert_eq!(word(&a, &file("symlink", 0o644, "aa")), "modified");
        assert_eq!(word(&a, &file("file", 0o600, "aa")), "attributes");
        assert_eq!(word(&a, &absent), "deleted");
        assert_eq!(word(&absent, &a), "added");
        assert_eq!(word(&a, &dark), "unknown");
        assert_eq!(change(None, Some(&a)), "unknown");
        assert_eq!(file("file", 0o4755, "").mode, "4755");
    }

    #[test]
    fn each_attribute_is_called_what_it_is() {
        let names = [
            ("security.capability", "capability"),
            ("system.posix_acl_access", "access_list"),
            ("system.nfs4_acl", "access_list"),
            ("security.selinux", "label"),
            ("flag immutable", "flag"),
            ("user.flag immutable", "extended_attribute"),
            ("trusted.note", "extended_attribute"),
        ];
        for (name, kind) in names {
            assert_eq!(kind_of(name), kind, "{name}");
            assert!(api::words::AttributeKind::WORDS.contains(&kind), "{kind} is not documented");
        }
    }
}
