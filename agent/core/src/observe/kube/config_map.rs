//! The slim ConfigMap: when its content was last written, and by whom. The content itself is never asked for: only the
//! metadata of ConfigMaps is listed and watched.

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Slim, SlimMeta};
use crate::observe::bounded;

/// A ConfigMap.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimConfigMap {
    metadata: SlimMeta,
}

impl Slim for SlimConfigMap {
    const KIND: ObjectKind = ObjectKind::ConfigMap;
    const PATH: &'static str = "/api/v1/configmaps";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let (writer, written_at_us) = self.metadata.content_writer().unwrap_or_default();
        v1::observation::Body::ConfigMap(v1::ConfigMap {
            meta: Some(self.metadata.observe()),
            written_at_us,
            writer: bounded(writer),
        })
    }
}

#[cfg(test)]
mod tests {
    use nimbus_protocol::v1::observation::Body;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_writer_of_its_content_is_told_and_whoever_only_marks_it_is_not() {
        let object = json!({
            "metadata": {
                "uid": "c", "name": "web-settings", "namespace": "shop",
                "managedFields": [
                    {"manager": "helm", "time": "2026-01-02T03:04:05Z", "fieldsV1": {"f:data": {"f:workers": {}}}},
                    {"manager": "kubectl-edit", "time": "2026-01-02T04:00:00Z", "fieldsV1": {"f:data": {"f:workers": {}}}},
                    {"manager": "leader", "time": "2026-01-02T05:00:00Z", "fieldsV1": {"f:metadata": {"f:annotations": {}}}},
                ],
            },
        });
        let Body::ConfigMap(seen) = serde_json::from_value::<SlimConfigMap>(object).unwrap().observe() else {
            panic!()
        };
        assert_eq!((seen.writer.as_str(), seen.written_at_us), ("kubectl-edit", 1_767_326_400_000_000));
        assert_eq!(seen.meta.unwrap().name, "web-settings");
    }

    #[test]
    fn one_that_nobody_is_recorded_to_have_written_says_so() {
        let object = json!({"metadata": {"uid": "c", "name": "n"}});
        let Body::ConfigMap(seen) = serde_json::from_value::<SlimConfigMap>(object).unwrap().observe() else {
            panic!()
        };
        assert_eq!((seen.writer.as_str(), seen.written_at_us), ("", 0));
    }
}
