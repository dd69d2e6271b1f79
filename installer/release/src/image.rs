//! Whether the files of an OCI image layout are what its index says: every blob that is named is there with the size and
//! digest that were said, and nothing else is there.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::MOST_BYTES;
use crate::sums::{Sum, read_sum};

/// An index that names others: its platforms' manifests.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A manifest: one platform's configuration and layers.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// What is known of a file of the layout without reading it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its SHA-256.
    pub sum: Sum,
    /// Its length in bytes.
    pub size: u64,
}

#[derive(Deserialize)]
struct Layout {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
struct Descriptor {
    #[serde(rename = "mediaType")]
    media_type: String,
    digest: String,
    size: u64,
}

/// What is wrong with a layout; nothing where it is whole. `files` are its files by their names inside it, and `read`
/// gives the bytes of one of them that is at most [`MOST_BYTES`] long.
pub fn check(
    files: &BTreeMap<String, Known>,
    mut read: impl FnMut(&str) -> Result<Vec<u8>, String>,
) -> Vec<String> {
    let mut look = Look {
        files,
        named: BTreeSet::from(["oci-layout".to_owned(), "index.json".to_owned()]),
        wrong: Vec::new(),
    };
    match look.json::<Layout>("oci-layout", &mut read) {
        Some(layout) if layout.version != "1.0.0" => {
            look.wrong.push(format!("oci-layout: expected version 1.0.0, found {:?}", layout.version));
        }
        Some(_) | None => {}
    }
    let mut manifests = 0_usize;
    // An index may name an index, which names manifests, and no deeper.
    let mut open = look.json::<Index>("index.json", &mut read).map_or_else(Vec::new, |index| index.manifests);
    for depth in 0..2 {
        for descriptor in std::mem::take(&mut open) {
            let Some(blob) = look.blob(&descriptor) else { continue };
            match descriptor.media_type.as_str() {
                INDEX if depth == 0 => {
                    open.extend(
                        look.json::<Index>(&blob, &mut read).map_or_else(Vec::new, |index| index.manifests),
                    );
                }
                MANIFEST => {
                    manifests += 1;
                    let Some(manifest) = look.json::<Manifest>(&blob, &mut read) else { continue };
                    look.blob(&manifest.config);
                    for layer in &manifest.layers {
                        look.blob(layer);
                    }
                }
                other => look
                    .wrong
                    .push(format!("{blob}: expected a manifest or one index of them, found {other:?}")),
            }
        }
    }
    if manifests == 0 && look.wrong.is_empty() {
        look.wrong.push("index.json: expected at least one manifest, found none".to_owned());
    }
    look.extra();
    look.wrong
}

struct Look<'a> {
    files: &'a BTreeMap<String, Known>,
    named: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Look<'_> {
    /// Reads and understands a file, or says why not.
    fn json<T: for<'de> Deserialize<'de>>(
        &mut self,
        name: &str,
        read: &mut impl FnMut(&str) -> Result<Vec<u8>, String>,
    ) -> Option<T> {
        let size = match self.files.get(name) {
            None => {
                self.wrong.push(format!("expected {name}, found none"));
                return None;
            }
            Some(known) => known.size,
        };
        if size > MOST_BYTES {
            self.wrong.push(format!("{name}: expected at most {MOST_BYTES} bytes, found {size}"));
            return None;
        }
        let parsed =
            read(name).and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()));
        parsed.map_err(|error| self.wrong.push(format!("{name}: {error}"))).ok()
    }

    /// The file of a blob that is there as it was described.
    fn blob(&mut self, descriptor: &Descriptor) -> Option<String> {
        let Some(sum) = descriptor.digest.strip_prefix("sha256:").and_then(read_sum) else {
            self.wrong.push(format!("expected a digest sha256:..., found {:?}", descriptor.digest));
            return None;
        };
        let name = format!("blobs/sha256/{}", hex::encode(sum));
        self.named.insert(name.clone());
        match self.files.get(&name) {
            None => self.wrong.push(format!("expected {name}, found none")),
            Some(known) if known.sum != sum => {
                self.wrong.push(format!(
                    "{name}: expected content with that digest, found {}",
                    hex::encode(known.sum)
                ));
            }
            Some(known) if known.size != descriptor.size => self.wrong.push(format!(
                "{name}: expected {} bytes as it is described, found {}",
                descriptor.size, known.size
            )),
            Some(_) => return Some(name),
        }
        None
    }

    fn extra(&mut self) {
        let extra = self.files.keys().filter(|name| !self.named.contains(*name));
        self.wrong
            .extend(extra.map(|name| format!("{name}: expected what the index names, found a file more")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// A layout in memory.
    #[derive(Clone, Default)]
    struct Made(BTreeMap<String, Vec<u8>>);

    impl Made {
        fn blob(&mut self, media_type: &str, bytes: &[u8]) -> Value {
            let digest = hex::encode(Sha256::digest(bytes));
            self.0.insert(format!("blobs/sha256/{digest}"), bytes.to_vec());
            json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
        }

        fn whole() -> Self {
            let mut made = Self::default();
            let layer = made.blob("application/vnd.oci.image.layer.v1.tar+gzip", b"layer");
            let config = made.blob("application/vnd.oci.image.config.v1+json", b"{}");
            let manifest = json!({"config": config, "layers": [layer]}).to_string();
            let manifest = made.blob(MANIFEST, manifest.as_bytes());
            let index = made.blob(INDEX, json!({"manifests": [manifest]}).to_string().as_bytes());
            made.0.insert("index.json".to_owned(), json!({"manifests": [index]}).to_string().into_bytes());
            made.0.insert("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec());
            made
        }

        fn check(&self) -> Vec<String> {
            let known =
                |bytes: &Vec<u8>| Known { sum: Sha256::digest(bytes).into(), size: bytes.len() as u64 };
            let files = self.0.iter().map(|(name, bytes)| (name.clone(), known(bytes))).collect();
            check(&files, |name| self.0.get(name).cloned().ok_or_else(|| "gone".to_owned()))
        }
    }

    #[test]
    fn a_whole_layout_is_whole() {
        assert_eq!(Made::whole().check(), Vec::<String>::new());
    }

    #[test]
    fn a_file_less_a_file_more_and_a_changed_file_are_each_named() {
        let whole = Made::whole();
        for name in whole.0.keys() {
            let mut less = whole.clone();
            less.0.remove(name);
            assert!(!less.check().is_empty(), "{name}");
            let mut changed = whole.clone();
            changed.0.get_mut(name).unwrap().push(b'x');
            assert!(!changed.check().is_empty(), "{name}");
        }
        let mut more = whole;
        more.0.insert("blobs/sha256/extra".to_owned(), Vec::new());
        assert_eq!(more.check(), ["blobs/sha256/extra: expected what the index names, found a file more"]);
    }

    #[test]
    fn an_index_that_names_nothing_or_itself_too_deep_is_refused() {
        let mut made = Made::whole();
        made.0.retain(|name, _| !name.starts_with("blobs/"));
        made.0.insert("index.json".to_owned(), br#"{"manifests":[]}"#.to_vec());
        assert_eq!(made.check(), ["index.json: expected at least one manifest, found none"]);
        let mut deep = Made::whole();
        let top: Value = serde_json::from_slice(&deep.0["index.json"]).unwrap();
        let outer = deep.blob(INDEX, json!({"manifests": [top["manifests"][0]]}).to_string().as_bytes());
        deep.0.insert("index.json".to_owned(), json!({"manifests": [outer]}).to_string().into_bytes());
        assert!(deep.check().iter().any(|wrong| wrong.contains("expected a manifest")), "{:?}", deep.check());
    }
}
