//! An OCI image layout on the disk: the one image that it has, and its blobs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// What skopeo and containerd call a tag in a layout.
const TAG: &str = "org.opencontainers.image.ref.name";

/// A layout with one image.
#[derive(Debug)]
pub struct Layout(PathBuf);

/// What a layout calls its image.
#[derive(Debug)]
pub struct Name {
    /// The digest of its index.
    pub digest: String,
    /// Its tag.
    pub tag: String,
}

impl Layout {
    /// The layout in this folder.
    pub fn at(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What its image is called.
    ///
    /// # Errors
    /// When it is no layout, or one with another number of images.
    pub fn name(&self) -> anyhow::Result<Name> {
        let top: Value = serde_json::from_slice(&read(&self.0.join("index.json"))?)?;
        let images = top["manifests"].as_array().context("index.json names no images")?;
        let [image] = images.as_slice() else {
            anyhow::bail!("expected one image in {}, found {}", self.0.display(), images.len())
        };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Ok(Name {
            digest: text(&image["digest"]).context("the image has no digest")?,
            tag: text(&image["annotations"][TAG]).context("the image has no tag")?,
        })
    }

    /// The blob of a digest.
    ///
    /// # Errors
    /// When there is none.
    pub fn blob(&self, digest: &str) -> anyhow::Result<Vec<u8>> {
        read(&self.0.join("blobs").join(digest.replace(':', "/")))
    }

    /// Every blob by its digest: indexes, manifests, configurations and layers.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn blobs(&self) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
        let folder = self.0.join("blobs/sha256");
        let mut blobs = BTreeMap::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let digest = format!("sha256:{}", entry.file_name().to_string_lossy());
            blobs.insert(digest, read(&entry.path())?);
        }
        Ok(blobs)
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
