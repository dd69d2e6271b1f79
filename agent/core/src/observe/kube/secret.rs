//! The slim Secret: when its content was last written, and by whom. The content itself is never asked for: only the
//! metadata of Secrets is listed and watched, and only where the agent was given the right to it. (Of one that was made with
//! `kubectl apply` the metadata has an annotation with the content: it is read past, and neither kept nor sent.)

use nimbus_protocol::{ObjectKind, v1};
use serde::Deserialize;

use super::{Slim, SlimMeta};
use crate::observe::bounded;

/// A Secret.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SlimSecret {
    metadata: SlimMeta,
}

impl Slim for SlimSecret {
    const KIND: ObjectKind = ObjectKind::Secret;
    const PATH: &'static str = "/api/v1/secrets";

    fn meta(&self) -> &SlimMeta {
        &self.metadata
    }

    fn observe(&self) -> v1::observation::Body {
        let (writer, written_at_us) = self.metadata.content_writer().unwrap_or_default();
        v1::observation::Body::Secret(v1::Secret {
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
    fn the_last_writer_of_its_content_is_told_and_no_content_even_where_it_comes() {
        let object = json!({
            "metadata": {
                "uid": "s", "name": "keys", "namespace": "shop",
                "managedFields": [
                    {"manager": "vault", "time": "2026-01-02T04:00:00Z", "fieldsV1": {"f:data": {"f:password": {}}}},
                    {"manager": "leader", "time": "2026-01-02T05:00:00Z", "fieldsV1": {"f:metadata": {"f:annotations": {}}}},
                ],
            },
            "data": {"password": "bWFkZS11cC03eA=="},
        });
        let body = serde_json::from_value::<SlimSecret>(object).unwrap().observe();
        assert!(!format!("{body:?}").contains("bWFkZS11cC03eA"));
        let Body::Secret(seen) = body else { panic!() };
        assert_eq!((seen.writer.as_str(), seen.written_at_us), ("vault", 1_767_326_400_000_000));
        // What is applied as text is content, too.
        let object = json!({"metadata": {"uid": "s", "name": "keys", "managedFields": [
            {"manager": "ci", "time": "2026-01-02T04:00:00Z", "fieldsV1": {"f:stringData": {"f:password": {}}}},
        ]}});
        let Body::Secret(seen) = serde_json::from_value::<SlimSecret>(object).unwrap().observe() else {
            panic!()
        };
        assert_eq!((seen.writer.as_str(), seen.written_at_us), ("ci", 1_767_326_400_000_000));
    }
}
