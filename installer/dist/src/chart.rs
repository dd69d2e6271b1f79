//! Charts as packages: each folder of `charts/` that has a `Chart.yaml`, packed as `helm package` packs it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::archive;
use crate::bill::{Component, Parts};
use crate::program;
use crate::source::Source;
use crate::stage::Stage;

/// A packed chart.
pub struct Packed {
    /// The name of its file.
    pub file_name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it is made of: its files, and the image that it runs.
    pub parts: Parts,
}

/// The head of a chart.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    name: String,
    version: String,
    app_version: String,
}

/// The folders of the charts below `root`, in order; none where there is no chart.
pub fn folders(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let charts = root.join("charts");
    if !charts.is_dir() {
        return Ok(Vec::new());
    }
    let names = names(&charts)?.into_iter().map(|name| charts.join(name));
    Ok(names.filter(|folder| folder.join("Chart.yaml").is_file()).collect())
}

/// Packs the chart in `folder`.
pub fn pack(folder: &Path, source: &Source) -> anyhow::Result<Packed> {
    let path = folder.join("Chart.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let head: Head = serde_saphyr::from_str(&text).map_err(|error| {
        anyhow::anyhow!("{}: expected a chart's name, version and appVersion: {error}", path.display())
    })?;
    for (field, found) in [("version", &head.version), ("appVersion", &head.app_version)] {
        anyhow::ensure!(
            *found == source.version,
            "{}: expected {field} {}, the version of the programs, found {found}; change it there",
            path.display(),
            source.version
        );
    }
    let mut files = Vec::new();
    list(folder, "", &mut files)?;
    let mut stage = Stage::default();
    let mut parts = Parts::default();
    for (inside, path) in files {
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let sum = hex::encode(Sha256::digest(&bytes));
        let part = Component::named("file", format!("file:{inside}"), &inside, &source.version);
        parts.put_first(part.reference());
        parts.add(part.with_sum(Some(sum)), []);
        stage.file(&format!("{}/{inside}", head.name), 0o644, &path);
    }
    if program::ALL.iter().any(|program| program.name == head.name) {
        let image = Component::packaged("container", "oci", &head.name, &source.tag());
        parts.put_first(image.reference());
        parts.add(image.with_licence(Some(source.licence)), []);
    }
    Ok(Packed {
        file_name: format!("{}-{}.tgz", head.name, head.version),
        bytes: archive::gzip(&archive::tar(&stage, "", source.date)?)?,
        parts,
    })
}

/// How the names of files end that an editor or a merge leaves beside the author's own.
const LEFT_OVER: [&str; 3] = ["~", ".swp", ".orig"];

/// Every file below `folder` with its path inside the chart. What begins with a dot is the author's and stays out, and so
/// does what is left over.
fn list(folder: &Path, inside: &str, files: &mut Vec<(String, PathBuf)>) -> anyhow::Result<()> {
    for name in names(folder)? {
        if name.starts_with('.') || LEFT_OVER.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let path = folder.join(&name);
        let inside = if inside.is_empty() { name } else { format!("{inside}/{name}") };
        if path.is_dir() {
            list(&path, &inside, files)?;
        } else {
            files.push((inside, path));
        }
    }
    Ok(())
}

fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let unreadable = || format!("cannot read {}", folder.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let name = entry.with_context(unreadable)?.file_name();
        let name = name.into_string().map_err(|name| {
            anyhow::anyhow!(
                "{}: expected names in UTF-8, found {}; rename it",
                folder.display(),
                name.display()
            )
        })?;
        names.push(name);
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::example;

    fn chart(version: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("charts/nimbus-agent");
        std::fs::create_dir_all(folder.join("templates")).unwrap();
        let head =
            format!("apiVersion: v2\nname: nimbus-agent\nversion: {version}\nappVersion: \"{version}\"\n");
        std::fs::write(folder.join("Chart.yaml"), head).unwrap();
        std::fs::write(folder.join("templates/daemonset.yaml"), "kind: DaemonSet\n").unwrap();
        std::fs::write(folder.join(".helmignore"), "*.swp\n").unwrap();
        for left_over in ["Chart.yaml~", "templates/daemonset.yaml.orig", "templates/daemonset.swp"] {
            std::fs::write(folder.join(left_over), "old\n").unwrap();
        }
        std::fs::create_dir_all(dir.path().join("charts/no-chart")).unwrap();
        dir
    }

    #[test]
    fn a_folder_with_a_chart_is_packed_the_same_twice() {
        let dir = chart("1.2.3-rc.1+x");
        let folders = folders(dir.path()).unwrap();
        assert_eq!(folders, [dir.path().join("charts/nimbus-agent")]);
        let packed = pack(&folders[0], &example()).unwrap();
        assert_eq!(packed.file_name, "nimbus-agent-1.2.3-rc.1+x.tgz");
        assert_eq!(packed.bytes, pack(&folders[0], &example()).unwrap().bytes);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.bytes.as_slice()));
        let paths: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
            .filter(|path| !path.ends_with('/'))
            .collect();
        assert_eq!(paths, ["nimbus-agent/Chart.yaml", "nimbus-agent/templates/daemonset.yaml"]);
    }

    #[test]
    fn a_chart_of_another_version_is_refused_and_no_chart_is_none() {
        let dir = chart("0.9.0");
        let wrong = pack(&dir.path().join("charts/nimbus-agent"), &example()).err().unwrap().to_string();
        assert!(wrong.contains("expected version 1.2.3-rc.1+x"), "{wrong}");
        assert!(folders(&dir.path().join("charts")).unwrap().is_empty());
    }
}
