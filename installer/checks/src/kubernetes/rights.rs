//! What the API server says that this user may do: self-reviews, which create nothing.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::check::{Gathered, Unread};

/// One question: may this user do that?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The verb: `create`.
    pub verb: &'static str,
    /// The API group; empty for the core.
    pub group: &'static str,
    /// The resource in the plural.
    pub resource: &'static str,
    /// Where; empty: in the whole cluster.
    pub namespace: String,
}

impl Ask {
    /// `create secrets in nimbus`, `list nodes`.
    pub fn sentence(&self) -> String {
        let Self { verb, group, resource, namespace } = self;
        let dot = if group.is_empty() { "" } else { "." };
        let place = if namespace.is_empty() { String::new() } else { format!(" in {namespace}") };
        format!("{verb} {resource}{dot}{group}{place}")
    }
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The question.
    pub ask: Ask,
    /// The answer; none where the API server gave none.
    pub allowed: Option<bool>,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    items: Vec<Object>,
    spec: Option<Spec>,
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "resourceAttributes")]
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    verb: String,
    #[serde(default)]
    group: String,
    #[serde(default)]
    resource: String,
    #[serde(default)]
    namespace: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    allowed: bool,
}

/// The list of reviews for `kubectl create -f - -o json`.
pub fn request(asks: &[Ask]) -> Value {
    let items: Vec<Value> = asks
        .iter()
        .map(|ask| {
            let mut attributes = json!({"verb": ask.verb, "group": ask.group, "resource": ask.resource});
            if !ask.namespace.is_empty() {
                attributes["namespace"] = json!(ask.namespace);
            }
            json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            })
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

/// The answers to `asks`: kubectl prints one document for each, one behind the other, or one list.
pub fn reviews(asks: Vec<Ask>, printed: &[u8]) -> Gathered<Vec<Review>> {
    let mut answers = Vec::new();
    for object in serde_json::Deserializer::from_slice(printed).into_iter::<Object>() {
        let object = object.map_err(|error| {
            Unread::new(
                format!("what kubectl printed about this user's rights cannot be read: {error}"),
                "ask by hand: kubectl auth can-i --list",
            )
        })?;
        answers.extend(object.items);
        if let (Some(spec), status) = (object.spec, object.status) {
            answers.push(Object { items: Vec::new(), spec: Some(spec), status });
        }
    }
    let answer = |ask: &Ask| {
        answers.iter().find_map(|object| {
            let Attributes { verb, group, resource, namespace } = &object.spec.as_ref()?.attributes;
            let is_it = (verb.as_str(), group.as_str(), resource.as_str(), namespace)
                == (ask.verb, ask.group, ask.resource, &ask.namespace);
            is_it.then(|| object.status.as_ref().map(|status| status.allowed))?
        })
    };
    Ok(asks.into_iter().map(|ask| Review { allowed: answer(&ask), ask }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_question_gets_its_own_answer_or_none() {
        let ask = |verb, resource, namespace: &str| Ask {
            verb,
            group: "",
            resource,
            namespace: namespace.to_owned(),
        };
        let asks = vec![ask("create", "secrets", "n"), ask("list", "nodes", ""), ask("list", "pods", "")];
        let document = request(&asks);
        assert_eq!(document["items"][0]["spec"]["resourceAttributes"]["namespace"], "n");
        let answer = |resource: &str, namespace: &str, verb: &str, allowed: bool| {
            json!({"spec": {"resourceAttributes": {"verb": verb, "resource": resource, "namespace": namespace}},
                   "status": {"allowed": allowed}})
        };
        let yes = answer("secrets", "n", "create", true);
        let no = answer("nodes", "", "list", false);
        for printed in [format!("{yes}\n{no}\n"), json!({"kind": "List", "items": [yes, no]}).to_string()] {
            let read = reviews(asks.clone(), printed.as_bytes()).unwrap();
            let allowed: Vec<_> = read.iter().map(|review| review.allowed).collect();
            assert_eq!(allowed, [Some(true), Some(false), None], "{printed}");
        }
        assert!(reviews(asks, b"yes").is_err());
        assert_eq!(ask("create", "secrets", "n").sentence(), "create secrets in n");
    }
}
