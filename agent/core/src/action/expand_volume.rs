//! The agent's rules for `expand_volume`, the action that raises how much storage a PersistentVolumeClaim asks for.
//!
//! How full the volume is, each node's own agent measures; the control plane decides by that. What the agent that acts reads
//! again is the claim and its class: that they are what was planned on, that nobody else keeps the claim, that no change of its
//! size is under way, and that Nimbus did not let it grow within the last hour.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{quantity, v1};
use serde_json::Value;

use super::{AgentRules, Permission, Place, Requester, Touched, malformed, object, unexpected};
use crate::refusal::Refusal;

/// What a claim that grew asks for is a whole number of.
const MI: u64 = 1 << 20;
/// However the control plane is set up, a claim grows by this agent no sooner after it grew last.
const LEAST_PAUSE: SignedDuration = SignedDuration::from_hours(1);
/// However the control plane is set up, no claim asks for more by this agent: 64 TiB.
const MOST: u64 = 64 << 40;
/// The annotation that says when Nimbus let a claim grow last, by the clock of the agent that did (RFC 3339).
pub const EXPANDED_AT: &str = "nimbus.dev/expanded-at";

/// What is read again right before acting; `None` for what no longer exists.
#[derive(Debug, Clone, Copy)]
pub struct ClaimNow<'a> {
    /// The claim as it is observed, and as the API server has it.
    pub claim: Option<(&'a v1::PersistentVolumeClaim, &'a Value)>,
    /// Its class.
    pub class: Option<&'a v1::StorageClass>,
    /// The agent's own time: by the control plane's a captured one would say how long an hour is.
    pub now: Timestamp,
}

/// When Nimbus let this claim grow last; `None` where it never did, or where that cannot be read.
fn expanded_at(claim: &Value) -> Option<Timestamp> {
    claim["metadata"]["annotations"][EXPANDED_AT].as_str()?.parse().ok()
}

/// Has the volume of this claim the size that was asked for, file system included?
pub fn has_grown(claim: &v1::PersistentVolumeClaim, to_bytes: u64) -> bool {
    claim.capacity_bytes >= to_bytes && claim.resizing.is_empty()
}

impl AgentRules for v1::ExpandVolume {
    type Found<'a> = ClaimNow<'a>;

    fn place(&self) -> Place {
        Place::Cluster
    }

    /// It costs money for as long as the volume is there, and cannot be taken back.
    fn needs_approval(&self) -> bool {
        true
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        object::named("expand_volume.claim", self.claim.as_ref())?;
        if self.storage_class.is_empty() {
            return malformed("expand_volume.storage_class", "the name of a StorageClass");
        }
        let most = self.from_bytes.saturating_mul(2).min(MOST);
        if self.to_bytes <= self.from_bytes || self.to_bytes > most || !self.to_bytes.is_multiple_of(MI) {
            return malformed(
                "expand_volume.to_bytes",
                "whole MiB, more than from_bytes, at most twice of it and 64 TiB",
            );
        }
        Ok(())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Namespace(object::namespace(self.claim.as_ref()))]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        let wanted = self.claim.as_ref();
        let name = object::name(wanted);
        let Some((claim, value)) = found.claim else {
            return Err(unexpected(format!("expected PersistentVolumeClaim {name}, found none")));
        };
        object::same("PersistentVolumeClaim", wanted, claim.meta.as_ref())?;
        if claim.phase != "Bound" {
            return Err(unexpected(format!("expected {name} to be Bound, found it {:?}", claim.phase)));
        }
        if claim.requested_bytes != self.from_bytes {
            return Err(unexpected(format!(
                "expected {name} to ask for {}, found {}",
                quantity::binary(self.from_bytes),
                quantity::binary(claim.requested_bytes)
            )));
        }
        if !claim.resizing.is_empty() || !claim.resize_error.is_empty() {
            return Err(unexpected(format!(
                "expected {name} without a change of its size under way, found: {}",
                [claim.resizing.as_str(), claim.resize_error.as_str()].join(" ").trim()
            )));
        }
        if claim.capacity_bytes < self.from_bytes {
            return Err(unexpected(format!(
                "expected the volume of {name} to have what the claim asks for, found {} of {}",
                quantity::binary(claim.capacity_bytes),
                quantity::binary(self.from_bytes)
            )));
        }
        if !claim.manager.is_empty() {
            return Err(unexpected(format!(
                "expected a claim that nobody else manages, found {} ({})",
                claim.manager, claim.manager_evidence
            )));
        }
        // The class of the plan: another one of the same name is told by what it allows now.
        let of_that_class = claim.storage_class == self.storage_class;
        let class = found.class.filter(|class| {
            of_that_class && class.meta.as_ref().is_some_and(|meta| meta.name == self.storage_class)
        });
        match class {
            Some(class) if class.allows_expansion => {}
            Some(_) => {
                return Err(unexpected(format!(
                    "expected StorageClass {} to allow expansion, found that it does not",
                    self.storage_class
                )));
            }
            None => {
                return Err(unexpected(format!(
                    "expected {name} to be of StorageClass {}, found {:?}",
                    self.storage_class, claim.storage_class
                )));
            }
        }
        match expanded_at(value) {
            // One that is dated further ahead was dated by a clock that has jumped since, and keeps nothing for years.
            Some(at) if found.now.duration_since(at).abs() < LEAST_PAUSE => Err(unexpected(format!(
                "expected {name} not to have grown within the last hour, found that it did at {at:.0}"
            ))),
            Some(_) | None => Ok(()),
        }
    }

    fn permissions() -> &'static [Permission] {
        // Classes are watched.
        &[Permission { group: "", resource: "persistentvolumeclaims", verbs: &["get", "patch"] }]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::object::tests::{meta, target};
    use super::*;
    use crate::refusal::Code;

    const GI: u64 = 1 << 30;

    fn expand() -> v1::ExpandVolume {
        v1::ExpandVolume {
            claim: target("c1"),
            from_bytes: 8 * GI,
            to_bytes: 12 * GI,
            storage_class: "fast".into(),
        }
    }

    fn claim() -> v1::PersistentVolumeClaim {
        v1::PersistentVolumeClaim {
            meta: meta("c1", ""),
            phase: "Bound".into(),
            storage_class: "fast".into(),
            requested_bytes: 8 * GI,
            capacity_bytes: 8 * GI,
            ..v1::PersistentVolumeClaim::default()
        }
    }

    fn class(allows_expansion: bool) -> v1::StorageClass {
        let meta = v1::ObjectMeta { name: "fast".into(), ..meta("s1", "").unwrap() };
        v1::StorageClass { meta: Some(meta), allows_expansion, ..v1::StorageClass::default() }
    }

    fn now() -> Timestamp {
        "2026-11-30T12:00:00Z".parse().unwrap()
    }

    fn asked(claim: &v1::PersistentVolumeClaim, value: &Value, allows: bool) -> Result<(), Refusal> {
        let class = class(allows);
        expand().preconditions(ClaimNow { claim: Some((claim, value)), class: Some(&class), now: now() })
    }

    #[test]
    fn a_claim_as_it_was_planned_on_may_grow() {
        assert_eq!(asked(&claim(), &json!({}), true), Ok(()));
        // A driver may give more than is asked for.
        let more = v1::PersistentVolumeClaim { capacity_bytes: 9 * GI, ..claim() };
        assert_eq!(asked(&more, &json!({}), true), Ok(()));
    }

    #[test]
    fn whatever_is_not_as_planned_keeps_its_size() {
        type Change = fn(&mut v1::PersistentVolumeClaim);
        let changes: [(&str, Change); 9] = [
            ("another object of that name", |c| c.meta.as_mut().unwrap().uid = "c2".into()),
            ("on its way out", |c| c.meta.as_mut().unwrap().deleting_since_us = 1),
            ("lost", |c| c.phase = "Lost".into()),
            ("grown by somebody else", |c| c.requested_bytes = 12 * GI),
            ("what it asks for is not told", |c| c.requested_bytes = 0),
            ("not as large yet as it asks for", |c| c.capacity_bytes = 4 * GI),
            ("being resized", |c| c.resizing = "Resizing".into()),
            ("a resize that failed", |c| c.resize_error = "ControllerResizeInfeasible".into()),
            ("another class", |c| c.storage_class = "slow".into()),
        ];
        for (what, change) in changes {
            let mut other = claim();
            change(&mut other);
            let refusal = asked(&other, &json!({}), true).expect_err(what);
            assert_eq!(refusal.code, Code::PreconditionFailed, "{what}");
        }
        let managed = v1::PersistentVolumeClaim { manager: "argocd".into(), ..claim() };
        assert!(asked(&managed, &json!({}), true).unwrap_err().to_string().contains("argocd"));
        assert!(asked(&claim(), &json!({}), false).is_err(), "the class allows no expansion");
        let (claim, nothing) = (claim(), json!({}));
        let without = ClaimNow { claim: Some((&claim, &nothing)), class: None, now: now() };
        assert!(expand().preconditions(without).is_err(), "the class is gone");
        assert!(expand().preconditions(ClaimNow { claim: None, class: None, now: now() }).is_err());
    }

    #[test]
    fn it_grows_no_sooner_than_an_hour_after_it_grew_last() {
        let grown = |at: &str| json!({"metadata": {"annotations": {EXPANDED_AT: at}}});
        for (at, may) in [
            ("2026-11-30T10:59:00Z", true),
            ("2026-11-30T11:01:00Z", false),
            ("2026-11-30T12:59:00Z", false),
            ("2028-11-30T12:00:00Z", true),
            ("long ago", true),
        ] {
            assert_eq!(asked(&claim(), &grown(at), true).is_ok(), may, "{at}");
        }
    }

    #[test]
    fn a_step_is_whole_mebibytes_and_at_most_twice() {
        assert_eq!(expand().well_formed(), Ok(()));
        for to_bytes in [0, 8 * GI, 16 * GI + MI, 9 * GI + 1] {
            assert!(v1::ExpandVolume { to_bytes, ..expand() }.well_formed().is_err(), "{to_bytes}");
        }
        let vast = v1::ExpandVolume { from_bytes: 40 << 40, to_bytes: 65 << 40, ..expand() };
        assert!(vast.well_formed().is_err());
        assert!(v1::ExpandVolume { storage_class: String::new(), ..expand() }.well_formed().is_err());
        assert!(v1::ExpandVolume { claim: None, ..expand() }.well_formed().is_err());
    }

    #[test]
    fn a_volume_has_grown_once_its_file_system_has() {
        for (capacity_bytes, resizing, grown) in
            [(12 * GI, "", true), (12 * GI, "FileSystemResizePending", false), (8 * GI, "", false)]
        {
            let now = v1::PersistentVolumeClaim { capacity_bytes, resizing: resizing.into(), ..claim() };
            assert_eq!(has_grown(&now, 12 * GI), grown);
        }
    }
}
