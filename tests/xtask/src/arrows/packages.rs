//! Dependencies between crates, from the manifests and Cargo.lock alone: nothing is downloaded, so the answer is the
//! same on a machine that has built nothing yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

/// A member of the workspace and what its manifest declares.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    /// `dev`, `build`, or nothing for a normal one.
    kind: Option<String>,
}

impl Package {
    /// The crates that it is built from: its dependencies without those of its tests.
    fn built_from(&self) -> impl Iterator<Item = &str> {
        let built = |dependency: &&Dependency| dependency.kind.as_deref() != Some("dev");
        self.dependencies.iter().filter(built).map(|dependency| dependency.name.as_str())
    }
}

/// The members of the workspace, as their manifests are.
pub fn members(mut cargo: Command) -> anyhow::Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let output = cargo.output().context("cannot run cargo metadata")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "cargo metadata failed: {}", said.trim());
    let metadata: Metadata = serde_json::from_slice(&output.stdout).context("cargo metadata's answer")?;
    Ok(metadata.packages)
}

/// The members that depend on another one without being allowed to, and those that have no line.
pub fn against_table(members: &[Package], table: &[(&str, &[&str])]) -> Vec<String> {
    let names: BTreeSet<&str> = members.iter().map(|package| package.name.as_str()).collect();
    let mut wrong = Vec::new();
    for package in members {
        let Some((_, may)) = table.iter().find(|(name, _)| *name == package.name) else {
            wrong.push(format!(
                "the crate {} has no line in the table: write down what it may know",
                package.name
            ));
            continue;
        };
        let known = package.built_from().filter(|name| names.contains(name) && !may.contains(name));
        wrong.extend(known.map(|name| format!("{} must not know {name}; it may know {may:?}", package.name)));
    }
    let gone = table.iter().filter(|(name, _)| !names.contains(name));
    wrong.extend(
        gone.map(|(name, _)| format!("the table has a line for {name}, which is no member: remove it")),
    );
    wrong
}

/// The names in Cargo.lock, each with those that it depends on. Versions of one name are taken together, and so are
/// platforms and features: a path that is found may be longer than any real one, and none is missed.
pub fn locked(repository: &Path) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    let path = repository.join("Cargo.lock");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    graph(&text)
}

fn graph(lock: &str) -> anyhow::Result<BTreeMap<String, BTreeSet<String>>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Locked>,
    }
    #[derive(Deserialize)]
    struct Locked {
        name: String,
        #[serde(default)]
        dependencies: Vec<String>,
    }
    let lock: Lock = toml::from_str(lock).context("Cargo.lock")?;
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock.package {
        // `name`, `name version` or `name version (source)`.
        let names = package.dependencies.iter().filter_map(|text| text.split(' ').next()).map(str::to_owned);
        graph.entry(package.name).or_default().extend(names);
    }
    Ok(graph)
}

/// Which crates of `banned` each of `pure` reaches, with the way there.
pub fn impure(
    members: &[Package],
    graph: &BTreeMap<String, BTreeSet<String>>,
    pure: &[&str],
    banned: &[&str],
) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in members.iter().filter(|package| pure.contains(&package.name.as_str())) {
        let mut way: BTreeMap<&str, String> =
            package.built_from().map(|name| (name, format!("{} -> {name}", package.name))).collect();
        let mut queue: VecDeque<&str> = way.keys().copied().collect();
        while let Some(name) = queue.pop_front() {
            if banned.contains(&name) {
                wrong.push(format!("{} is pure and must not reach {name}: {}", package.name, way[name]));
                continue;
            }
            for to in graph.get(name).into_iter().flatten() {
                // A member's own line in Cargo.lock also holds its tests' dependencies.
                let tests_alone = members
                    .iter()
                    .any(|member| member.name == name && !member.built_from().any(|known| known == to));
                if !tests_alone && !way.contains_key(to.as_str()) {
                    way.insert(to, format!("{} -> {to}", way[name]));
                    queue.push_back(to);
                }
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, normal: &[&str], dev: &[&str]) -> Package {
        let one = |kind: Option<&str>| {
            let kind = kind.map(str::to_owned);
            move |name: &&str| Dependency { name: (*name).to_owned(), kind: kind.clone() }
        };
        let dependencies = normal.iter().map(one(None)).chain(dev.iter().map(one(Some("dev")))).collect();
        Package { name: name.to_owned(), dependencies }
    }

    #[test]
    fn a_crate_may_know_what_its_line_says_and_its_tests_may_know_more() {
        let members = [package("low", &["serde"], &["high"]), package("high", &["low"], &[])];
        assert_eq!(against_table(&members, &[("low", &[]), ("high", &["low"])]), Vec::<String>::new());
        let wrong = against_table(&members, &[("high", &[]), ("gone", &[])]);
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert_eq!(wrong[1], "high must not know low; it may know []");
    }

    #[test]
    fn a_runtime_is_found_behind_other_crates_and_not_behind_tests() {
        let lock = r#"
            [[package]]
            name = "low"
            version = "0.1.0"
            dependencies = ["a 1.0.0", "tester"]
            [[package]]
            name = "a"
            version = "1.0.0"
            dependencies = ["b"]
            [[package]]
            name = "tester"
            version = "1.0.0"
            dependencies = ["tokio"]
            [[package]]
            name = "b"
            version = "1.0.0"
            dependencies = ["tokio 1.0.0 (registry)"]
        "#;
        let graph = graph(lock).unwrap();
        let members = [package("low", &["a"], &["tester"]), package("top", &["low"], &[])];
        let found = impure(&members, &graph, &["low", "top"], &["tokio"]);
        assert_eq!(found[0], "low is pure and must not reach tokio: low -> a -> b -> tokio");
        assert_eq!(found[1], "top is pure and must not reach tokio: top -> low -> a -> b -> tokio");
        assert_eq!(impure(&members, &graph, &["low"], &["quinn"]), Vec::<String>::new());
        let without = [package("low", &["serde"], &["tester"])];
        assert_eq!(impure(&without, &graph, &["low"], &["tokio"]), Vec::<String>::new());
    }
}
