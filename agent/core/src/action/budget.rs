//! Why the API server does not let a pod be evicted, in words that name the budgets with their figures and what would help.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use nimbus_protocol::eviction::{DID_NOT_ALLOW, DISRUPTION_BUDGET, DOES_NOT_ALLOW, NOT_IN_THE_WAY};
use serde::Deserialize;
use serde_json::Value;

/// A PodDisruptionBudget, as far as it explains a refusal.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Budget {
    metadata: Named,
    spec: Spec,
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    min_available: Option<Value>,
    max_unavailable: Option<Value>,
    selector: Option<Selector>,
    unhealthy_pod_eviction_policy: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Selector {
    match_labels: Option<BTreeMap<String, String>>,
    match_expressions: Option<Vec<Expression>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Expression {
    key: String,
    operator: String,
    values: Option<Vec<String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    current_healthy: i64,
    desired_healthy: i64,
    disruptions_allowed: i64,
    expected_pods: i64,
}

impl Budget {
    /// Does it select a pod with these labels? Without a selector it selects none, with an empty one every pod.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let Some(selector) = &self.spec.selector else { return false };
        let equal = selector.match_labels.iter().flatten().all(|(k, v)| labels.get(k) == Some(v));
        equal && selector.match_expressions.iter().flatten().all(|one| one.holds(labels))
    }

    /// Its name and figures, such as `web (minAvailable 2, 2 of 2 pods healthy, 0 disruptions allowed)`.
    fn figures(&self) -> String {
        let mut text = format!("{} (", self.metadata.name);
        for (word, bound) in
            [("minAvailable", &self.spec.min_available), ("maxUnavailable", &self.spec.max_unavailable)]
        {
            if let Some(bound) = bound {
                let bound = bound.as_str().map_or_else(|| bound.to_string(), str::to_owned);
                // Writing to a string cannot fail.
                let _ = write!(text, "{word} {bound}, ");
            }
        }
        let Status { current_healthy, desired_healthy, disruptions_allowed, expected_pods } = self.status;
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{current_healthy} of {expected_pods} pods healthy, {desired_healthy} needed, {disruptions_allowed} \
             disruptions allowed)"
        );
        text
    }

    /// What a person could change so that it lets the pod go.
    fn remedy(&self) -> String {
        let never = self.status.expected_pods <= self.status.desired_healthy;
        let mut help = if never {
            "it can never allow one: raise the replicas or relax the budget".to_owned()
        } else {
            "it allows one once enough other pods are healthy".to_owned()
        };
        if self.spec.unhealthy_pod_eviction_policy != "AlwaysAllow" {
            help.push_str(
                "; with unhealthyPodEvictionPolicy: AlwaysAllow it lets a pod go that is not ready anyway",
            );
        }
        help
    }
}

impl Expression {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let among = |value: &String| self.values.iter().flatten().any(|one| one == value);
        match self.operator.as_str() {
            "In" => labels.get(&self.key).is_some_and(among),
            "NotIn" => !labels.get(&self.key).is_some_and(among),
            "Exists" => labels.contains_key(&self.key),
            "DoesNotExist" => !labels.contains_key(&self.key),
            // What is not understood may select it.
            _ => true,
        }
    }
}

/// Why the API server answered `code` when asked for the eviction of a pod with these `labels`; `said` is its own sentence,
/// `budgets` those of the pod's namespace, `None` where they could not be read.
pub fn explain(
    code: u16,
    said: &str,
    labels: &BTreeMap<String, String>,
    budgets: Option<&[Budget]>,
) -> String {
    let selecting: Vec<&Budget> =
        budgets.unwrap_or_default().iter().filter(|budget| budget.selects(labels)).collect();
    match (code, selecting.as_slice()) {
        (404, _) => format!("it is gone by now: {said}"),
        (403, _) => {
            format!("it is forbidden: {said}; a namespace that is being deleted, or a right that is missing")
        }
        (_, [_, _, ..]) => {
            let names: Vec<&str> = selecting.iter().map(|b| b.metadata.name.as_str()).collect();
            format!(
                "{} budgets select it ({}), and Kubernetes evicts no such pod; leave it to one of them: {said}",
                names.len(),
                names.join(", ")
            )
        }
        // With 429 the API server also turns away whoever asks too much.
        (429, [budget]) if budget.status.disruptions_allowed > 0 => {
            if names_a_budget(said) {
                format!(
                    "budget {} {DID_NOT_ALLOW} when it was asked, and may allow it by now: {said}",
                    budget.figures()
                )
            } else {
                format!(
                    "the API server takes no more requests at this moment; budget {} {NOT_IN_THE_WAY}: {said}",
                    budget.figures()
                )
            }
        }
        (429, [budget]) => {
            format!("budget {} {DOES_NOT_ALLOW}; {}: {said}", budget.figures(), budget.remedy())
        }
        (429, []) if budgets.is_none() && names_a_budget(said) => {
            format!("a budget {DOES_NOT_ALLOW}; the budgets could not be read: {said}")
        }
        (429, []) if budgets.is_none() => format!(
            "a budget {DOES_NOT_ALLOW}, or the API server takes no more requests; the budgets could not be read: {said}"
        ),
        _ => said.to_owned(),
    }
}

fn names_a_budget(said: &str) -> bool {
    said.to_lowercase().contains(DISRUPTION_BUDGET)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn budget(name: &str, spec: &Value, expected: i64, needed: i64) -> Budget {
        serde_json::from_value(json!({
            "metadata": { "name": name },
            "spec": spec,
            "status": { "currentHealthy": 1, "desiredHealthy": needed, "disruptionsAllowed": 0,
                        "expectedPods": expected },
        }))
        .unwrap()
    }

    fn labels() -> BTreeMap<String, String> {
        BTreeMap::from([("app".to_owned(), "web".to_owned())])
    }

    #[test]
    fn a_budget_is_named_with_its_figures_and_what_would_help() {
        let selector = json!({ "matchLabels": { "app": "web" } });
        let never = budget("web", &json!({ "minAvailable": 1, "selector": selector }), 1, 1);
        let said = explain(429, "Cannot evict pod", &labels(), Some(std::slice::from_ref(&never)));
        for word in
            ["web (minAvailable 1, 1 of 1", "0 disruptions", "can never", "AlwaysAllow", "Cannot evict"]
        {
            assert!(said.contains(word), "{word}: {said}");
        }
        let later = budget("web", &json!({ "maxUnavailable": "25%", "selector": selector }), 4, 3);
        let said = explain(429, "", &labels(), Some(&[later]));
        assert!(said.contains("maxUnavailable 25%") && said.contains("once enough other pods"), "{said}");
        let always = json!({ "selector": selector, "unhealthyPodEvictionPolicy": "AlwaysAllow" });
        assert!(!explain(429, "", &labels(), Some(&[budget("web", &always, 4, 3)])).contains("AlwaysAllow"));
    }

    #[test]
    fn a_budget_that_allows_one_is_not_blamed_for_a_crowded_api_server() {
        let mut allows = budget("web", &json!({ "maxUnavailable": 1, "selector": {} }), 3, 2);
        allows.status.disruptions_allowed = 1;
        let allows = Some(std::slice::from_ref(&allows));
        let said = explain(429, "too many requests, please try again later", &labels(), allows);
        assert!(said.contains("takes no more requests") && said.contains("web (maxUnavailable 1"), "{said}");
        assert!(!said.contains("does not allow") && !said.contains("AlwaysAllow"), "{said}");
        // It refused, and was read a moment later; or its figures are older than its bounds.
        let own = "Cannot evict pod as it would violate the pod's disruption budget.";
        let said = explain(429, own, &labels(), allows);
        assert!(said.contains("did not allow it when it was asked") && said.contains(own), "{said}");
        for (said, crowded) in [(own, false), ("too many requests", true)] {
            let unread = explain(429, said, &labels(), None);
            assert_eq!(unread.contains("takes no more requests"), crowded, "{unread}");
        }
    }

    /// Control planes read it from these words, of agents of any version.
    #[test]
    fn whether_a_budget_refused_is_said_in_the_words_that_control_planes_look_for() {
        let refuses = budget("web", &json!({ "selector": {} }), 1, 1);
        let mut allows = refuses.clone();
        allows.status.disruptions_allowed = 1;
        let own = "Cannot evict pod as it would violate the pod's disruption budget.";
        for (said, budgets, words) in [
            (
                "no",
                Some(vec![refuses]),
                "budget web (1 of 1 pods healthy, 1 needed, 0 disruptions allowed) does not allow it",
            ),
            (own, Some(vec![allows.clone()]), "1 disruptions allowed) did not allow it when it was asked"),
            ("too many requests", Some(vec![allows]), "1 disruptions allowed) is not in the way"),
            (own, None, "a budget does not allow it; the budgets could not be read"),
            ("no", None, "a budget does not allow it, or"),
        ] {
            let found = explain(429, said, &labels(), budgets.as_deref());
            assert!(found.contains(words), "{words}: {found}");
        }
    }

    #[test]
    fn two_budgets_on_one_pod_are_both_named() {
        let one = budget("one", &json!({ "selector": {} }), 2, 1);
        let exists = json!({ "matchExpressions": [{ "key": "app", "operator": "Exists" }] });
        let two = budget("two", &json!({ "selector": exists }), 2, 1);
        let other = budget("other", &json!({ "selector": { "matchLabels": { "app": "db" } } }), 2, 1);
        let said = explain(
            500,
            "This pod has more than one PodDisruptionBudget",
            &labels(),
            Some(&[one, two, other]),
        );
        assert!(said.contains("2 budgets select it (one, two)"), "{said}");
    }

    #[test]
    fn what_is_no_budget_is_said_as_it_is() {
        assert!(
            explain(403, "namespace shop is being terminated", &labels(), Some(&[])).contains("terminated")
        );
        assert!(explain(404, "not found", &labels(), None).contains("gone"));
        assert!(explain(429, "no", &labels(), None).contains("could not be read"));
        assert_eq!(explain(500, "broken", &labels(), Some(&[])), "broken");
    }

    #[test]
    fn selectors_are_read_as_kubernetes_does() {
        let expression = |operator: &str, values: Value| json!({ "selector": { "matchExpressions": [{ "key": "app", "operator": operator, "values": values }] } });
        for (spec, selects) in [
            (json!({}), false),
            (json!({ "selector": {} }), true),
            (expression("In", json!(["web"])), true),
            (expression("In", json!(["db"])), false),
            (expression("NotIn", json!(["web"])), false),
            (expression("NotIn", json!(["db"])), true),
            (expression("DoesNotExist", json!(null)), false),
        ] {
            assert_eq!(budget("b", &spec, 1, 1).selects(&labels()), selects, "{spec}");
        }
    }
}
