//! Slim Kubernetes objects.
use nimbus_protocol::v1;
use serde::Deserialize;

/// One page of a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound = "T: Deserialize<'de>")]
pub struct SlimList<T> {
    /// Where to go on, and the version listed.
    #[serde(default)]
    pub metadata: ListMeta,
    /// The objects of this page.
    #[serde(default = "Vec::new")]
    pub items: Vec<T>,
}
/// A list's own metadata.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListMeta {
    /// Watch from here.
    pub resource_version: String,
    /// The next page; empty at the end.
    #[serde(rename = "continue")]
    pub continue_token: String,
}
/// Metadata.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SlimMeta {
    /// UID.
    pub uid: String,
}
/// A kind of object that is watched.
pub trait Slim: serde::de::DeserializeOwned + Clone + Send + Sync + std::fmt::Debug + 'static {
    /// Kind, for example `Pod`.
    const KIND: &'static str;
    /// Collection in all namespaces, for example `/api/v1/pods`.
    const PATH: &'static str;
    /// Metadata.
    fn meta(&self) -> &SlimMeta;
    /// What leaves the cluster of it.
    fn observe(&self) -> v1::observation::Body;
    /// That it is no more.
    fn gone(&self) -> v1::Gone {
        todo!()
    }
}
/// SHA-256 over the canonical JSON of a pod template, without its `pod-template-hash` label.
pub fn template_hash(_template: &serde_json::Value) -> [u8; 32] {
    todo!()
}
