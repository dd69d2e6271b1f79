//! Pod templates, of which only the hash, the images and redacted facts are kept. The template itself, with its environment
//! and arguments, is in memory only while these are made.

use nimbus_protocol::v1;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What is kept of a `spec.template`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Template {
    /// See [`template_hash`]; `None` when there is no template.
    pub hash: Option<[u8; 32]>,
    /// Images of the containers and, after them, of the init containers.
    pub images: Vec<String>,
    /// What it says, as far as that may leave the cluster.
    pub facts: Vec<v1::TemplateFact>,
}

impl Template {
    /// The digest as it travels; empty when there is no template.
    pub(super) fn digest(&self) -> Vec<u8> {
        self.hash.map(Vec::from).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let template = Value::deserialize(deserializer)?;
        if template.is_null() {
            return Ok(Self::default());
        }
        let images = ["containers", "initContainers"]
            .iter()
            .filter_map(|list| template["spec"][*list].as_array())
            .flatten()
            .filter_map(|container| container["image"].as_str().map(str::to_owned))
            .collect();
        Ok(Self { hash: Some(template_hash(&template)), images, facts: super::facts::facts(&template) })
    }
}

/// SHA-256 over the canonical JSON of a pod template without its `pod-template-hash` label, so that a Deployment's
/// template and its ReplicaSet's have the same digest.
///
/// Canonical: keys sorted by their bytes, no white space, and without `null` values, which mean the same as absent
/// ones.
pub fn template_hash(template: &Value) -> [u8; 32] {
    let mut hasher = Sha256::new();
    write(template, Place::Template, &mut hasher);
    hasher.finalize().into()
}

/// Where in a template we are, as far as it matters.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Template,
    Metadata,
    Labels,
    Elsewhere,
}

impl Place {
    fn below(self, key: &str) -> Self {
        match (self, key) {
            (Self::Template, "metadata") => Self::Metadata,
            (Self::Metadata, "labels") => Self::Labels,
            _ => Self::Elsewhere,
        }
    }

    fn leaves_out(self, key: &str, value: &Value) -> bool {
        value.is_null() || (self == Self::Labels && key == "pod-template-hash")
    }
}

fn write(value: &Value, place: Place, out: &mut Sha256) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().filter(|k| !place.leaves_out(k, &map[*k])).collect();
            keys.sort_unstable();
            out.update(b"{");
            for (number, key) in keys.into_iter().enumerate() {
                if number > 0 {
                    out.update(b",");
                }
                text(key, out);
                out.update(b":");
                write(&map[key], place.below(key), out);
            }
            out.update(b"}");
        }
        Value::Array(items) => {
            out.update(b"[");
            for (number, item) in items.iter().enumerate() {
                if number > 0 {
                    out.update(b",");
                }
                write(item, Place::Elsewhere, out);
            }
            out.update(b"]");
        }
        Value::String(string) => text(string, out),
        // Numbers, booleans and null have one way to be written each.
        Value::Null | Value::Bool(_) | Value::Number(_) => out.update(value.to_string().as_bytes()),
    }
}

/// A JSON string.
fn text(string: &str, out: &mut Sha256) {
    out.update(Value::from(string).to_string().as_bytes());
}
