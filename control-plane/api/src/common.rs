//! The types that all responses share: object references and pages of a list.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What something is about. (Not called `Object`: the schema generator takes that name for a JSON object of any kind.)
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"kind": "Pod", "namespace": "shop", "name": "web-7c9d-x2x8q", "uid": "5c0f2b7e"}))]
pub struct ObjectRef {
    /// Kubernetes kind, or `File`, `Unit`, `Host`, `Cluster`.
    pub kind: String,
    /// Empty for what has no namespace.
    pub namespace: String,
    /// Name, or the absolute path of a file.
    pub name: String,
    /// Kubernetes UID; empty for a file, unit or host.
    pub uid: String,
}

impl std::fmt::Display for ObjectRef {
    /// `namespace/kind/name`, `kind/name`, the path or the unit, as an operator would type it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.kind.as_str(), self.namespace.as_str()) {
            ("File" | "Unit", _) => f.write_str(&self.name),
            (kind, "") => write!(f, "{}/{}", kind.to_lowercase(), self.name),
            (kind, namespace) => write!(f, "{namespace}/{}/{}", kind.to_lowercase(), self.name),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// The page's items.
    pub items: Vec<T>,
    /// Pass it as `after` to get the following page; `null` on the last one.
    pub next: Option<String>,
}

impl<T> List<T> {
    /// A list that fits one page.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}
