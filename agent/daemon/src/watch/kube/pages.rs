//! Lists of a namespace's objects, page by page, up to a bound.

use kube::Client;
use nimbus_agent_core::observe::kube::SlimList;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::request::{self, RequestError};

/// Objects in one page of a list.
pub(crate) const PAGE: usize = 500;
/// Most pages that are read of one list: 10,000 pods of a ReplicaSet's labels. With more, nothing is done by them.
pub(crate) const MAX_PAGES: usize = 20;

/// All objects of a namespace with the labels of a [`label_selector`]; an error where they have more than [`MAX_PAGES`] pages.
pub(crate) async fn all<T: DeserializeOwned>(
    client: &Client,
    collection: &str,
    namespace: &str,
    resource: &str,
    selector: &str,
) -> Result<Vec<T>, RequestError> {
    let segment = request::segment(namespace).ok_or_else(|| {
        RequestError::Unanswered("expected a namespace's name, found something else".to_owned())
    })?;
    let (mut objects, mut more) = (Vec::new(), String::new());
    for _ in 0..MAX_PAGES {
        let path = format!("{collection}/namespaces/{segment}/{resource}?limit={PAGE}{selector}{more}");
        let found: SlimList<T> = request::get(client, &path).await?;
        objects.extend(found.items);
        if found.metadata.continue_token.is_empty() {
            return Ok(objects);
        }
        more = format!("&continue={}", request::escaped(&found.metadata.continue_token));
    }
    let most = PAGE * MAX_PAGES;
    let found = format!("expected at most {most} {resource} of {namespace} with these labels, found more");
    Err(RequestError::Unanswered(found))
}

/// `&labelSelector=a%3Db%2Cc%3Dd`; label keys and values hold only characters that need no other escape than `/`.
pub(crate) fn label_selector(labels: &Value) -> String {
    let Some(labels) = labels.as_object().filter(|labels| !labels.is_empty()) else { return String::new() };
    let pair = |(key, value): (&String, &Value)| {
        format!("{}%3D{}", key.replace('/', "%2F"), value.as_str().unwrap_or_default())
    };
    let pairs: Vec<_> = labels.iter().map(pair).collect();
    format!("&labelSelector={}", pairs.join("%2C"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_for_a_query() {
        let labels = serde_json::json!({ "app.kubernetes.io/name": "web", "pod-template-hash": "7d4" });
        assert_eq!(
            label_selector(&labels),
            "&labelSelector=app.kubernetes.io%2Fname%3Dweb%2Cpod-template-hash%3D7d4"
        );
        assert_eq!(label_selector(&Value::Null), "");
    }
}
