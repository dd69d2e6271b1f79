//! The agent's rules for `raise_memory_limit`, the action that raises the memory limit of one container in a Deployment's
//! pod template.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::action::NO_ROOM;
use nimbus_protocol::{quantity, v1};
use serde_json::Value;

use super::memory_pod::MemoryPod;
use super::memory_room::{self, Sums, Wanted};
use super::{AgentRules, Permission, Place, Requester, Touched, malformed, object, unexpected};
use crate::refusal::Refusal;

/// What a raised limit is a whole number of.
const MI: u64 = 1 << 20;
/// A kill of longer ago than this shows nothing of now: one that is killed again and again is started every five minutes.
const LATELY: SignedDuration = SignedDuration::from_hours(1);

/// What is read again right before acting; `None` for what no longer exists.
#[derive(Debug, Clone, Copy)]
pub struct MemoryNow<'a> {
    /// The Deployment as it is observed, and as the API server has it.
    pub deployment: Option<(&'a v1::Deployment, &'a Value)>,
    /// The LimitRanges and ResourceQuotas of its namespace.
    pub limit_ranges: &'a [Value],
    /// See `limit_ranges`.
    pub quotas: &'a [Value],
    /// The pods that were made from its present template, and are not on their way out.
    pub pods: &'a [&'a MemoryPod],
    /// The control plane's time.
    pub now: Timestamp,
}

/// Where a container stands in a Deployment's pod template, and what that says of its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stated {
    /// Its place among the containers.
    pub at: usize,
    /// Its limit, in bytes.
    pub limit: u64,
    /// Its request, in bytes, where it states one.
    pub request: Option<u64>,
}

/// What the template of this Deployment states of the container; why not, where it does not.
pub fn stated(deployment: &Value, container: &str) -> Result<Stated, String> {
    let all = containers(deployment);
    let Some(at) = all.iter().position(|one| one["name"] == container) else {
        return Err(format!("expected a container {container:?} in the pod template, found none"));
    };
    let resources = &all[at]["resources"];
    let Some(limit) = memory_room::bytes(&resources["limits"]["memory"]) else {
        return Err(format!(
            "expected a memory limit of container {container:?}, found none that can be read"
        ));
    };
    let request = &resources["requests"]["memory"];
    match (request.is_null(), memory_room::bytes(request)) {
        (true, _) => Ok(Stated { at, limit, request: None }),
        (false, Some(request)) => Ok(Stated { at, limit, request: Some(request) }),
        (false, None) => {
            Err(format!("expected a memory request of container {container:?}, found {request}"))
        }
    }
}

fn containers(deployment: &Value) -> &[Value] {
    deployment["spec"]["template"]["spec"]["containers"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// How many pods a rollout may make beside those that are wanted; a share is rounded up, as its controller does.
fn surge(deployment: &Value, pods: u64) -> u64 {
    if deployment["spec"]["strategy"]["type"] == "Recreate" {
        return 0;
    }
    let share = |percent: u64| pods.saturating_mul(percent).div_ceil(100);
    match &deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"] {
        Value::Number(number) => number.as_u64().unwrap_or(pods),
        Value::String(text) => match text.strip_suffix('%').unwrap_or(text).parse() {
            Ok(percent) if text.ends_with('%') => share(percent),
            Ok(number) => number,
            // As many as could be.
            Err(_) => pods,
        },
        // Kubernetes' own default.
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => share(25),
    }
}

/// The pods whose container was killed lately, each with the limit that its template says.
///
/// Where a pod has another limit, somebody else sets it: a VerticalPodAutoscaler, a webhook, or a person who resized it in
/// place. What the template says is not what it is killed for then.
fn shown<'a>(
    pods: &[&'a MemoryPod],
    container: &str,
    limit: u64,
    now: Timestamp,
) -> Result<Vec<&'a MemoryPod>, Refusal> {
    let lately = |pod: &&MemoryPod| {
        let at = pod.kill(container).and_then(|kill| kill.at);
        at.is_some_and(|at| now.duration_since(at) <= LATELY)
    };
    let killed: Vec<&MemoryPod> = pods.iter().copied().filter(lately).collect();
    if killed.is_empty() {
        return Err(unexpected(format!(
            "expected a pod of the present template whose container {container:?} was killed for its memory within the last hour, \
             found none"
        )));
    }
    for pod in &killed {
        if let Some(other) = pod.limits(container).find(|found| *found != limit) {
            return Err(unexpected(format!(
                "expected pod {} with the limit of its template ({}), found {}: somebody else sets it, such as a \
                 VerticalPodAutoscaler or a webhook",
                pod.name(),
                quantity::binary(limit),
                quantity::binary(other)
            )));
        }
    }
    Ok(killed)
}

impl AgentRules for v1::RaiseMemoryLimit {
    type Found<'a> = MemoryNow<'a>;

    fn place(&self) -> Place {
        Place::Cluster
    }

    /// It spends the cluster's memory, and ends every pod of the Deployment once.
    fn needs_approval(&self) -> bool {
        true
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        object::named("raise_memory_limit.deployment", self.deployment.as_ref())?;
        if self.current_template_hash.len() != 32 {
            return malformed("raise_memory_limit.current_template_hash", "a hash of 32 bytes");
        }
        if self.container.is_empty() {
            return malformed("raise_memory_limit.container", "the name of a container");
        }
        let most = self.from_bytes.saturating_mul(2);
        if self.to_bytes <= self.from_bytes || self.to_bytes > most || !self.to_bytes.is_multiple_of(MI) {
            return malformed(
                "raise_memory_limit.to_bytes",
                "whole MiB, more than from_bytes and at most twice of it",
            );
        }
        Ok(())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Namespace(object::namespace(self.deployment.as_ref()))]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        let wanted = self.deployment.as_ref();
        let Some((deployment, value)) = found.deployment else {
            return Err(unexpected(format!("expected Deployment {}, found none", object::name(wanted))));
        };
        object::same("Deployment", wanted, deployment.meta.as_ref())?;
        if deployment.template_hash != self.current_template_hash {
            return Err(unexpected(
                "expected the pod template that was planned on, found another".to_owned(),
            ));
        }
        if deployment.observed_generation < deployment.generation {
            return Err(unexpected(
                "expected a Deployment whose status is about it as it is, found an older one".to_owned(),
            ));
        }
        if deployment.paused {
            return Err(unexpected(
                "expected a Deployment that is not paused, found a paused one".to_owned(),
            ));
        }
        if !deployment.manager.is_empty() {
            return Err(unexpected(format!(
                "expected a Deployment that nobody else manages, found {} ({})",
                deployment.manager, deployment.manager_evidence
            )));
        }
        let stated = stated(value, &self.container).map_err(unexpected)?;
        if stated.limit != self.from_bytes {
            return Err(unexpected(format!(
                "expected a limit of {}, found {}",
                quantity::binary(self.from_bytes),
                quantity::binary(stated.limit)
            )));
        }
        if (stated.request == Some(stated.limit)) != self.request_too {
            return Err(unexpected("expected the request as it was planned on, found another".to_owned()));
        }
        let spec = &value["spec"]["template"]["spec"];
        if !spec["resources"].is_null() {
            return Err(unexpected(format!(
                "expected limits of containers alone, found resources of the whole pod: {}",
                spec["resources"]
            )));
        }
        let killed = shown(found.pods, &self.container, self.from_bytes, found.now)?;
        let overhead = killed.iter().map(|pod| pod.overhead()).max().unwrap_or(0);
        let defaults = memory_room::defaults(found.limit_ranges);
        let mut raised = spec.clone();
        raised["containers"][stated.at]["resources"]["limits"]["memory"] =
            quantity::binary(self.to_bytes).into();
        if self.request_too {
            raised["containers"][stated.at]["resources"]["requests"]["memory"] =
                quantity::binary(self.to_bytes).into();
        }
        let pods = u64::from(deployment.desired);
        let request = if self.request_too { self.to_bytes } else { stated.request.unwrap_or(self.to_bytes) };
        let wanted = Wanted {
            container: Sums { limit: self.to_bytes, request },
            before: memory_room::of_pod(spec, defaults, overhead),
            after: memory_room::of_pod(&raised, defaults, overhead),
            pods,
            surge: surge(value, pods),
        };
        match memory_room::obstacle(wanted, found.limit_ranges, found.quotas) {
            Some(why) => Err(unexpected(format!("{NO_ROOM}, found that {why}"))),
            None => Ok(()),
        }
    }

    fn permissions() -> &'static [Permission] {
        &[
            Permission { group: "", resource: "limitranges", verbs: &["list"] },
            Permission { group: "", resource: "pods", verbs: &["list"] },
            Permission { group: "", resource: "resourcequotas", verbs: &["list"] },
            Permission { group: "apps", resource: "deployments", verbs: &["get", "patch"] },
            Permission { group: "apps", resource: "replicasets", verbs: &["list"] },
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::object::tests::{meta, target};
    use super::*;
    use crate::refusal::Code;

    fn raise() -> v1::RaiseMemoryLimit {
        v1::RaiseMemoryLimit {
            deployment: target("d1"),
            current_template_hash: vec![1; 32],
            container: "app".into(),
            from_bytes: 64 * MI,
            to_bytes: 96 * MI,
            request_too: false,
        }
    }

    fn observed() -> v1::Deployment {
        v1::Deployment {
            meta: meta("d1", ""),
            template_hash: vec![1; 32],
            desired: 4,
            ..v1::Deployment::default()
        }
    }

    fn value(resources: &Value) -> Value {
        json!({ "spec": { "template": { "spec": { "containers": [
            { "name": "side", "resources": { "limits": { "memory": "16Mi" } } },
            { "name": "app", "resources": resources },
        ] } } } })
    }

    const NOW: &str = "2026-11-22T08:00:00Z";

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    fn killed(limit: &str, reason: &str, at: &str) -> MemoryPod {
        let ended = json!({ "terminated": { "reason": reason, "finishedAt": at, "startedAt": at } });
        serde_json::from_value(json!({
            "metadata": { "name": "web-1" },
            "spec": { "containers": [{ "name": "app", "resources": { "limits": { "memory": limit } } }] },
            "status": { "containerStatuses": [{ "name": "app", "lastState": ended }] },
        }))
        .unwrap()
    }

    fn with<'a>(seen: &'a v1::Deployment, value: &'a Value, pods: &'a [&'a MemoryPod]) -> MemoryNow<'a> {
        MemoryNow { deployment: Some((seen, value)), limit_ranges: &[], quotas: &[], pods, now: now() }
    }

    /// What nobody sees killed is not raised, whoever asks for it: so a second raise in a row is none.
    #[test]
    fn a_container_that_is_not_killed_lately_keeps_its_limit() {
        let (seen, value) = (observed(), plain());
        let of = |pod: &MemoryPod| raise().preconditions(with(&seen, &value, &[pod]));
        assert_eq!(of(&killed("64Mi", "OOMKilled", "2026-11-22T07:30:00Z")), Ok(()));
        for pod in [killed("64Mi", "Error", NOW), killed("64Mi", "OOMKilled", "2026-11-22T06:59:59Z")] {
            assert_eq!(of(&pod).unwrap_err().code, Code::PreconditionFailed);
        }
        assert!(raise().preconditions(with(&seen, &value, &[])).is_err());
        let other = v1::RaiseMemoryLimit {
            container: "side".into(),
            from_bytes: 16 * MI,
            to_bytes: 32 * MI,
            ..raise()
        };
        assert!(other.preconditions(with(&seen, &value, &[&killed("64Mi", "OOMKilled", NOW)])).is_err());
    }

    /// A VerticalPodAutoscaler or a webhook has the say then.
    #[test]
    fn a_pod_with_another_limit_than_its_template_keeps_it() {
        let (seen, value) = (observed(), plain());
        let refusal =
            raise().preconditions(with(&seen, &value, &[&killed("512Mi", "OOMKilled", NOW)])).unwrap_err();
        assert!(refusal.to_string().contains("found 512Mi"), "{refusal}");
        let mut whole = plain();
        whole["spec"]["template"]["spec"]["resources"] = json!({ "limits": { "memory": "1Gi" } });
        let refusal =
            raise().preconditions(with(&seen, &whole, &[&killed("64Mi", "OOMKilled", NOW)])).unwrap_err();
        assert!(refusal.to_string().contains("the whole pod"), "{refusal}");
    }

    fn plain() -> Value {
        value(&json!({ "limits": { "memory": "64Mi" }, "requests": { "memory": "32Mi" } }))
    }

    fn check(action: &v1::RaiseMemoryLimit, seen: &v1::Deployment, value: &Value) -> Result<(), Refusal> {
        action.preconditions(with(seen, value, &[&killed("64Mi", "OOMKilled", NOW)]))
    }

    #[test]
    fn a_limit_that_is_as_it_was_planned_on_may_be_raised() {
        assert_eq!(raise().well_formed(), Ok(()));
        assert_eq!(check(&raise(), &observed(), &plain()), Ok(()));
        let both = value(&json!({ "limits": { "memory": 67_108_864 }, "requests": { "memory": "64Mi" } }));
        assert_eq!(check(&v1::RaiseMemoryLimit { request_too: true, ..raise() }, &observed(), &both), Ok(()));
        let none = value(&json!({ "limits": { "memory": "65536Ki" } }));
        assert_eq!(check(&raise(), &observed(), &none), Ok(()));
    }

    #[test]
    fn a_step_that_is_too_great_too_small_or_no_whole_mebibyte_is_none() {
        for to_bytes in [0, 64 * MI, 63 * MI, 129 * MI, 96 * MI + 1] {
            let action = v1::RaiseMemoryLimit { to_bytes, ..raise() };
            assert_eq!(action.well_formed().unwrap_err().code, Code::Malformed, "{to_bytes}");
        }
        assert_eq!(v1::RaiseMemoryLimit { to_bytes: 128 * MI, ..raise() }.well_formed(), Ok(()));
        assert!(v1::RaiseMemoryLimit { from_bytes: 0, ..raise() }.well_formed().is_err());
        assert!(v1::RaiseMemoryLimit { container: String::new(), ..raise() }.well_formed().is_err());
    }

    #[test]
    fn any_change_since_the_plan_refuses() {
        let changes: [fn(&mut v1::Deployment); 6] = [
            |d| d.generation = 2,
            |d| d.meta = meta("d2", ""),
            |d| d.meta.as_mut().unwrap().deleting_since_us = 1,
            |d| d.template_hash = vec![9; 32],
            |d| d.paused = true,
            |d| d.manager = "argocd".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut seen = observed();
            change(&mut seen);
            check(&raise(), &seen, &plain()).expect_err(&number.to_string());
        }
        for (resources, words) in [
            (json!({}), "memory limit"),
            (json!({ "limits": { "memory": "96Mi" } }), "found 96Mi"),
            (json!({ "limits": { "memory": "64Mi" }, "requests": { "memory": "64Mi" } }), "the request"),
            (json!({ "limits": { "memory": "64Mi" }, "requests": { "memory": "some" } }), "memory request"),
        ] {
            let refusal = check(&raise(), &observed(), &value(&resources)).unwrap_err();
            assert!(refusal.to_string().contains(words), "{refusal}");
        }
        let gone = MemoryNow { deployment: None, limit_ranges: &[], quotas: &[], pods: &[], now: now() };
        assert_eq!(raise().preconditions(gone).unwrap_err().code, Code::PreconditionFailed);
    }

    /// Four pods of 32Mi more, and a quarter of four beside them: 4 x 32 + 96 + 16 = 240.
    #[test]
    fn a_quota_without_room_for_the_rollout_refuses_with_its_figures() {
        let quota = |hard: &str| {
            json!({ "metadata": { "name": "team" }, "spec": { "hard": { "limits.memory": hard } },
                    "status": { "hard": { "limits.memory": hard }, "used": { "limits.memory": "320Mi" } } })
        };
        let (seen, value) = (observed(), plain());
        let pod = killed("64Mi", "OOMKilled", NOW);
        let under = |value: &Value, hard: &str| {
            raise().preconditions(MemoryNow { quotas: &[quota(hard)], ..with(&seen, value, &[&pod]) })
        };
        assert_eq!(under(&value, "560Mi"), Ok(()));
        let refusal = under(&value, "559Mi").unwrap_err();
        assert!(refusal.to_string().contains("needs 240Mi more"), "{refusal}");
        let mut recreated = value.clone();
        recreated["spec"]["strategy"] = json!({ "type": "Recreate" });
        assert_eq!(under(&recreated, "448Mi"), Ok(()));
        recreated["spec"]["strategy"] =
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "50%" } });
        assert!(under(&recreated, "671Mi").is_err() && under(&recreated, "672Mi").is_ok());
    }
}
