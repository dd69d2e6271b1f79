//! Which charts helm is to install: the directories of a source tree or the packages of a release.

use std::path::Path;

use nimbus_deploy::plan::Charts;

use crate::error::Failure;

/// The most entries of a directory that are looked at.
const MOST_ENTRIES: usize = 10_000;

/// Both charts in this directory, and whether they are there.
pub fn find(directory: &Path) -> (Charts, bool) {
    let (control_plane, first) = one(directory, "nimbus-control-plane");
    let (agent, second) = one(directory, "nimbus-agent");
    (Charts { control_plane, agent }, first && second)
}

fn one(directory: &Path, name: &str) -> (String, bool) {
    let folder = directory.join(name);
    if folder.join("Chart.yaml").is_file() {
        return (folder.display().to_string(), true);
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().take(MOST_ENTRIES).flatten();
    // A release holds one version; of several the one whose name is last.
    let package = entries
        .filter(|entry| is_package(&entry.file_name().to_string_lossy(), name))
        .map(|entry| entry.path())
        .max();
    match package {
        Some(path) => (path.display().to_string(), true),
        None => (folder.display().to_string(), false),
    }
}

fn is_package(file: &str, name: &str) -> bool {
    let version = file.strip_suffix(".tgz").and_then(|file| file.strip_prefix(name)?.strip_prefix('-'));
    version.is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

/// What to say when they are not there.
pub fn missing(directory: &str) -> Failure {
    Failure::not_found("the charts are not there")
        .expected(format!("nimbus-control-plane and nimbus-agent in {directory}, as directories or packages"))
        .found("not both of them")
        .next("name the directory of the release's charts with --answer charts=DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_packages_are_found_and_a_longer_name_is_another_chart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!find(dir.path()).1);
        std::fs::create_dir(dir.path().join("nimbus-agent")).unwrap();
        std::fs::write(dir.path().join("nimbus-agent/Chart.yaml"), "").unwrap();
        std::fs::write(dir.path().join("nimbus-control-plane-more-1.0.0.tgz"), "").unwrap();
        assert!(!find(dir.path()).1);
        std::fs::write(dir.path().join("nimbus-control-plane-0.1.0.tgz"), "").unwrap();
        let (charts, are_there) = find(dir.path());
        assert!(are_there && charts.control_plane.ends_with("nimbus-control-plane-0.1.0.tgz"), "{charts:?}");
    }
}
