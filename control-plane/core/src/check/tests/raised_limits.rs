//! The checker against plans that raise a memory limit: each that is not what is there, or too much, is refused by itself.

use nimbus_protocol::v1::{self, observation::Body};

use crate::check;
use crate::model::Plan;
use crate::testing::ActionBody;
use crate::testing::lab::Lab;
use crate::testing::objects::*;

const LIMIT: &str = "containers[app].resources.limits.memory";

fn killed() -> Lab {
    let mut lab = Lab::new();
    lab.deploy("web", 2, 1);
    lab.see(Body::Deployment(limited("64Mi")));
    lab.see(Body::Pod(out_of_memory(pod("web-1", "0", "node-a"), 5)));
    lab.diagnose();
    lab.plan();
    lab
}

fn limited(limit: &str) -> v1::Deployment {
    let mut seen = deployment("web", 2, 1);
    seen.template.push(v1::TemplateFact { path: LIMIT.into(), value: limit.into(), digest: Vec::new() });
    seen
}

/// The numbers of the invariants that the plan would break, with its action changed so.
fn broken(lab: &Lab, change: impl FnOnce(&mut v1::RaiseMemoryLimit)) -> Vec<u8> {
    let mut plan: Plan = lab.plans.values().next().unwrap().doc.clone();
    let Some(ActionBody::RaiseMemoryLimit(mut action)) = plan.action.body().cloned() else { panic!() };
    change(&mut action);
    plan.action = ActionBody::RaiseMemoryLimit(action).into();
    plan.digest = plan.computed_digest();
    check::of_plan(&plan, &lab.snapshot()).iter().map(|violation| violation.invariant).collect()
}

#[test]
fn a_plan_that_says_something_else_than_what_is_there_is_refused() {
    let lab = killed();
    assert!(broken(&lab, |_| {}).is_empty());
    let changes: [fn(&mut v1::RaiseMemoryLimit); 8] = [
        |a| a.deployment.as_mut().unwrap().uid.push('x'),
        |a| a.current_template_hash[0] ^= 1,
        |a| a.container = "side".into(),
        |a| a.from_bytes += 1,
        |a| a.to_bytes = a.from_bytes,
        |a| a.to_bytes = 2 * a.from_bytes + 1,
        |a| a.to_bytes = 9 << 30,
        |a| a.request_too = true,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        assert!(broken(&lab, change).contains(&3), "{number}");
    }
}

#[test]
fn what_somebody_else_keeps_and_what_is_not_killed_any_more_is_refused() {
    for (seen, invariant) in [
        (v1::Deployment { manager: "argocd".into(), ..limited("64Mi") }, 9),
        (v1::Deployment { paused: true, ..limited("64Mi") }, 9),
        (limited("80Mi"), 3),
    ] {
        let mut lab = killed();
        lab.see(Body::Deployment(seen));
        assert!(broken(&lab, |_| {}).contains(&invariant), "{invariant}");
    }
    let mut lab = killed();
    lab.see(Body::Pod(crashing(pod("web-1", "0", "node-a"), 5)));
    assert_eq!(broken(&lab, |_| {}), [3]);
    let mut lab = killed();
    lab.see(Body::Pod(out_of_memory(pod("web-1", "0", "node-a"), 1)));
    assert_eq!(broken(&lab, |_| {}), [3], "once is not again and again");
}
