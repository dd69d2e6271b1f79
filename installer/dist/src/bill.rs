//! Bills of materials in the form of CycloneDX 1.6: what an artefact is made of.
//!
//! There is no serial number, which would have to differ each time, and the time is the source's date: the same tree
//! has the same bills.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde::Serialize;

use crate::source::Source;

/// A thing that an artefact is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    reference: String,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<Licence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Hash {
    alg: &'static str,
    content: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Licence {
    expression: String,
}

impl Component {
    /// A thing that a package URL names: `kind` is CycloneDX's, `system` the URL's (`cargo`, `generic`, `oci`).
    pub fn packaged(kind: &'static str, system: &str, name: &str, version: &str) -> Self {
        let purl = format!("pkg:{system}/{name}@{}", version.replace('+', "%2B"));
        Self { purl: Some(purl.clone()), ..Self::named(kind, purl, name, version) }
    }

    /// A thing without a package URL.
    pub fn named(kind: &'static str, reference: String, name: &str, version: &str) -> Self {
        Self {
            kind,
            reference,
            name: name.to_owned(),
            version: version.to_owned(),
            hashes: Vec::new(),
            licenses: Vec::new(),
            purl: None,
        }
    }

    /// The same with its SHA-256, where that is known.
    #[must_use]
    pub fn with_sum(mut self, sum: Option<String>) -> Self {
        self.hashes = sum.into_iter().map(|content| Hash { alg: "SHA-256", content }).collect();
        self
    }

    /// The same with its licence, where it says one.
    #[must_use]
    pub fn with_licence(mut self, licence: Option<&str>) -> Self {
        // `MIT/Apache-2.0` is how older crates write `MIT OR Apache-2.0`.
        let expression = |text: &str| text.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ");
        self.licenses =
            licence.map(expression).map(|expression| Licence { expression }).into_iter().collect();
        self
    }

    /// How a bill refers to it.
    pub fn reference(&self) -> &str {
        &self.reference
    }
}

/// What something is made of, and what of that needs what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// Everything, by its reference.
    components: BTreeMap<String, Component>,
    needs: BTreeMap<String, BTreeSet<String>>,
    /// What it is made of directly.
    direct: BTreeSet<String>,
}

impl Parts {
    /// Adds a part that needs others, which are named by their references.
    pub fn add(&mut self, component: Component, needs: impl IntoIterator<Item = String>) {
        let reference = component.reference.clone();
        self.needs.entry(reference.clone()).or_default().extend(needs);
        self.components.insert(reference, component);
    }

    /// Says that the part of this reference is in it directly.
    pub fn put_first(&mut self, reference: &str) {
        self.direct.insert(reference.to_owned());
    }

    /// Adds everything that something else is made of.
    pub fn merge(&mut self, other: &Self) {
        self.components.extend(other.components.iter().map(|(name, part)| (name.clone(), part.clone())));
        for (name, needs) in &other.needs {
            self.needs.entry(name.clone()).or_default().extend(needs.iter().cloned());
        }
        self.direct.extend(other.direct.iter().cloned());
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    bom_format: &'static str,
    spec_version: &'static str,
    version: u8,
    metadata: Metadata<'a>,
    components: Vec<&'a Component>,
    dependencies: Vec<Needs<'a>>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    timestamp: String,
    tools: Tools,
    component: &'a Component,
}

#[derive(Serialize)]
struct Tools {
    components: [Component; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Needs<'a> {
    r#ref: &'a str,
    depends_on: Vec<&'a str>,
}

/// The bill of `artefact`, which is made of `parts`.
pub fn write(artefact: &Component, parts: &Parts, source: &Source) -> anyhow::Result<String> {
    let tool = Component::packaged("application", "cargo", env!("CARGO_PKG_NAME"), &source.version);
    let direct = Needs { r#ref: artefact.reference(), depends_on: texts(&parts.direct) };
    let needs = parts.needs.iter().map(|(of, needs)| Needs { r#ref: of, depends_on: texts(needs) });
    let document = Document {
        bom_format: "CycloneDX",
        spec_version: "1.6",
        version: 1,
        metadata: Metadata {
            timestamp: source.date.text(),
            tools: Tools { components: [tool] },
            component: artefact,
        },
        components: parts.components.values().collect(),
        dependencies: std::iter::once(direct).chain(needs).collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).context("cannot write a bill as JSON")?;
    text.push('\n');
    Ok(text)
}

fn texts(set: &BTreeSet<String>) -> Vec<&str> {
    set.iter().map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::source::tests::example;

    fn parts(order: [&str; 2]) -> Parts {
        let mut parts = Parts::default();
        for name in order {
            let component = Component::packaged("library", "cargo", name, "1.0.0+x")
                .with_sum(Some("00".to_owned()))
                .with_licence(Some("MIT/Apache-2.0"));
            let needs = if name == "a" { vec!["pkg:cargo/b@1.0.0%2Bx".to_owned()] } else { Vec::new() };
            parts.add(component, needs);
        }
        parts.put_first("pkg:cargo/a@1.0.0%2Bx");
        parts
    }

    #[test]
    fn it_says_what_is_in_it_and_what_needs_what() {
        let artefact = Component::named("file", "archives/x.tar.gz".to_owned(), "x.tar.gz", "1");
        let text = write(&artefact, &parts(["a", "b"]), &example()).unwrap();
        assert_eq!(nimbus_release::bill::read(text.as_bytes(), "archives/x.tar.gz", None), Ok(2));
        let bill: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(bill["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
        assert_eq!(bill["metadata"]["component"]["bom-ref"], "archives/x.tar.gz");
        let first = json!({
            "type": "library",
            "bom-ref": "pkg:cargo/a@1.0.0%2Bx",
            "name": "a",
            "version": "1.0.0+x",
            "hashes": [{"alg": "SHA-256", "content": "00"}],
            "licenses": [{"expression": "MIT OR Apache-2.0"}],
            "purl": "pkg:cargo/a@1.0.0%2Bx",
        });
        assert_eq!(bill["components"][0], first);
        let needs = json!([
            {"ref": "archives/x.tar.gz", "dependsOn": ["pkg:cargo/a@1.0.0%2Bx"]},
            {"ref": "pkg:cargo/a@1.0.0%2Bx", "dependsOn": ["pkg:cargo/b@1.0.0%2Bx"]},
            {"ref": "pkg:cargo/b@1.0.0%2Bx", "dependsOn": []},
        ]);
        assert_eq!(bill["dependencies"], needs);
    }

    #[test]
    fn it_is_the_same_in_any_order_and_when_it_is_merged_with_itself() {
        let mut merged = parts(["a", "b"]);
        merged.merge(&parts(["b", "a"]));
        assert_eq!(merged, parts(["b", "a"]));
    }
}
