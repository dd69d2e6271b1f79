//! The PodDisruptionBudget of the inventory: which pods it guards, and what the eviction API would answer for one of them.

use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use super::selector::{self, Selector};
use crate::world::bounds::{WORD, cut, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// A PodDisruptionBudget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodDisruptionBudget {
    /// Who it is.
    pub meta: Meta,
    /// Counts changes of the specification.
    pub generation: i64,
    /// Up to which of them its controller has seen it.
    pub observed_generation: i64,
    /// Which pods of its namespace it guards; `None`: no pod.
    pub selector: Option<Selector>,
    /// Whether the selector is told in full; false where that is not known.
    pub selector_complete: bool,
    /// `minAvailable` as it is written; empty when not set.
    pub min_available: String,
    /// `maxUnavailable` as it is written; empty when not set.
    pub max_unavailable: String,
    /// May a pod that is not ready always go (`AlwaysAllow`)?
    pub lets_unready_go: bool,
    /// How many healthy pods may go now.
    pub disruptions_allowed: i32,
    /// Pods that are healthy.
    pub current_healthy: i32,
    /// Pods that have to be.
    pub desired_healthy: i32,
    /// Pods that it counts in all.
    pub expected_pods: i32,
}

impl PodDisruptionBudget {
    /// What the eviction API answers now for a running pod that this budget alone guards; `None` while the budget's controller
    /// has not seen its newest specification, which the API answers with 429 for a moment.
    ///
    /// As the API does, a pod that is not ready is looked at first: it may go whatever the controller has seen.
    pub fn would_allow(&self, ready: bool) -> Option<bool> {
        let healthy = self.current_healthy >= self.desired_healthy && self.desired_healthy > 0;
        if !ready && (self.lets_unready_go || healthy) {
            return Some(true);
        }
        (self.observed_generation >= self.generation).then_some(self.disruptions_allowed > 0)
    }

    /// Does it guard a pod of its namespace with these labels, `None` where not all of them are told? `None` where that cannot
    /// be said.
    pub fn guards(&self, labels: Option<&[(String, String)]>) -> Option<bool> {
        let Some(selector) = &self.selector else { return Some(false) };
        // Labels or values that are left out may make it select a pod, or not.
        labels.filter(|_| self.selector_complete).map(|labels| selector.selects(labels))
    }

    /// Its name and figures, such as `web (minAvailable 2, 2 of 2 pods healthy, 2 needed, 0 disruptions allowed)`.
    pub fn figures(&self) -> String {
        let bounds = [("minAvailable", &self.min_available), ("maxUnavailable", &self.max_unavailable)];
        let mut set = String::new();
        for (word, bound) in bounds.iter().filter(|(_, bound)| !bound.is_empty()) {
            set.extend([*word, " ", bound, ", "]);
        }
        format!(
            "{} ({set}{} of {} pods healthy, {} needed, {} disruptions allowed)",
            self.meta.name,
            self.current_healthy,
            self.expected_pods,
            self.desired_healthy,
            self.disruptions_allowed
        )
    }
}

impl Object for PodDisruptionBudget {
    const KIND: ObjectKind = ObjectKind::PodDisruptionBudget;
    const API_VERSION: &'static str = "policy/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::PodDisruptionBudget> for PodDisruptionBudget {
    fn from(b: v1::PodDisruptionBudget) -> Self {
        Self {
            meta: b.meta.unwrap_or_default().into(),
            generation: b.generation,
            observed_generation: b.observed_generation,
            selector: b.selector.map(Selector::from),
            selector_complete: b.selector_complete,
            min_available: b.min_available,
            max_unavailable: b.max_unavailable,
            lets_unready_go: b.unhealthy_pod_eviction_policy == "AlwaysAllow",
            disruptions_allowed: b.disruptions_allowed,
            current_healthy: b.current_healthy,
            desired_healthy: b.desired_healthy,
            expected_pods: b.expected_pods,
        }
    }
}

/// Cuts what is too long; false where the budget cannot be kept.
pub(super) fn bound(budget: &mut v1::PodDisruptionBudget) -> bool {
    for text in
        [&mut budget.min_available, &mut budget.max_unavailable, &mut budget.unhealthy_pod_eviction_policy]
    {
        cut(text, WORD);
    }
    if let Some(selector) = &mut budget.selector {
        budget.selector_complete &= selector::bound(selector);
    }
    is_meta_kept(budget.meta.as_mut())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With its generations, whether it lets unready pods go, and its figures: disruptions allowed, healthy, needed.
    fn budget(
        (generation, observed): (i64, i64),
        lets_go: bool,
        (allowed, healthy, needed): (i32, i32, i32),
    ) -> PodDisruptionBudget {
        PodDisruptionBudget::from(v1::PodDisruptionBudget {
            meta: Some(v1::ObjectMeta { name: "web".into(), ..Default::default() }),
            generation,
            observed_generation: observed,
            min_available: "2".into(),
            unhealthy_pod_eviction_policy: if lets_go { "AlwaysAllow".into() } else { String::new() },
            disruptions_allowed: allowed,
            current_healthy: healthy,
            desired_healthy: needed,
            expected_pods: 3,
            ..Default::default()
        })
    }

    #[test]
    fn it_answers_as_the_eviction_api_does() {
        let (seen, unseen) = ((3, 3), (4, 3));
        for (generations, lets_go, figures, ready, answer) in [
            // A ready pod: what may go, may.
            (seen, false, (1, 3, 2), true, Some(true)),
            (seen, false, (0, 2, 2), true, Some(false)),
            (seen, true, (0, 2, 2), true, Some(false)),
            (seen, false, (-1, 2, 2), true, Some(false)),
            // One that is not: where enough others are healthy, and always with AlwaysAllow.
            (seen, false, (0, 2, 2), false, Some(true)),
            (seen, false, (0, 1, 2), false, Some(false)),
            (seen, true, (0, 1, 2), false, Some(true)),
            // Nothing is needed: the figure of what may go decides.
            (seen, false, (0, 0, 0), false, Some(false)),
            (seen, false, (1, 0, 0), false, Some(true)),
            // Its controller has not seen its newest specification.
            (unseen, false, (1, 3, 2), true, None),
            (unseen, false, (0, 1, 2), false, None),
            (unseen, false, (0, 2, 2), false, Some(true)),
            (unseen, true, (0, 1, 2), false, Some(true)),
        ] {
            let found = budget(generations, lets_go, figures).would_allow(ready);
            assert_eq!(found, answer, "{generations:?} {lets_go} {figures:?} ready {ready}");
        }
    }

    #[test]
    fn whom_it_guards_is_known_only_where_both_sides_are_told() {
        let labels = vec![("app".to_owned(), "web".to_owned())];
        let with = |app: Option<&str>, selector_complete| PodDisruptionBudget {
            selector: app
                .map(|app| Selector { labels: vec![("app".into(), app.into())], ..Selector::default() }),
            selector_complete,
            ..budget((1, 1), false, (0, 0, 0))
        };
        for (app, whole, complete, guards) in [
            (Some("web"), true, true, Some(true)),
            (Some("api"), true, true, Some(false)),
            (Some("web"), false, true, None),
            (Some("api"), false, true, None),
            (Some("api"), true, false, None),
            (None, true, false, Some(false)),
        ] {
            let told = complete.then_some(labels.as_slice());
            assert_eq!(with(app, whole).guards(told), guards, "{app:?} {whole} {complete}");
        }
        let every = PodDisruptionBudget { selector: Some(Selector::default()), ..with(None, true) };
        assert_eq!(every.guards(Some(&[])), Some(true));
    }

    #[test]
    fn its_figures_are_read_in_one_line() {
        assert_eq!(
            budget((1, 1), false, (0, 2, 2)).figures(),
            "web (minAvailable 2, 2 of 3 pods healthy, 2 needed, 0 disruptions allowed)"
        );
    }
}
