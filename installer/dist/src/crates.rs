//! What the programs are made of: the crates that are linked into each, from what cargo says of the tree.
//!
//! `cargo metadata` has the licences and who needs whom, but for all members of the workspace together: features that
//! only a test asks for count there. `cargo tree` says for the three programs what is really linked, so what it does
//! not name is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use crate::bill::{Component, Parts};
use crate::command::{cargo, output};
use crate::program;
use crate::target::Arch;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// `dev`, `build`, or nothing for a normal one.
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The crates of the programs for one processor.
pub struct Crates {
    packages: BTreeMap<String, Package>,
    needs: BTreeMap<String, BTreeSet<String>>,
    sums: BTreeMap<(String, String), String>,
}

impl Crates {
    /// Asks cargo about the tree at `root`.
    pub fn of(root: &Path, arch: Arch) -> anyhow::Result<Self> {
        let triple = arch.triple();
        let mut metadata = cargo(root);
        metadata.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", triple]);
        let mut tree = cargo(root);
        tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--target", triple]);
        tree.args(["--prefix", "none", "--format", "{p}"]);
        for program in program::ALL {
            tree.args(["--package", program.name]);
        }
        let lock = root.join("Cargo.lock");
        let lock =
            std::fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
        Self::read(&output(&mut metadata)?, &output(&mut tree)?, &lock)
    }

    fn read(metadata: &str, tree: &str, lock: &str) -> anyhow::Result<Self> {
        let metadata: Metadata = serde_json::from_str(metadata).context("cargo metadata's answer")?;
        let lock: Lock = toml::from_str(lock).context("Cargo.lock")?;
        // `NAME vVERSION`, and behind it perhaps where it is from.
        let linked: BTreeSet<(&str, &str)> = tree
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                Some((words.next()?, words.next()?.strip_prefix('v')?))
            })
            .collect();
        let is_linked =
            |package: &Package| linked.contains(&(package.name.as_str(), package.version.as_str()));
        let packages: BTreeMap<String, Package> = metadata
            .packages
            .into_iter()
            .filter(is_linked)
            .map(|package| (package.id.clone(), package))
            .collect();
        let mut needs = BTreeMap::new();
        for node in metadata.resolve.nodes {
            let normal =
                |dependency: &Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            let known = node.deps.into_iter().filter(normal).map(|dependency| dependency.pkg);
            let known = known.filter(|id| packages.contains_key(id)).collect::<BTreeSet<String>>();
            needs.insert(node.id, known);
        }
        let sums = lock
            .package
            .into_iter()
            .filter_map(|locked| locked.checksum.map(|checksum| ((locked.name, locked.version), checksum)));
        Ok(Self { packages, needs, sums: sums.collect() })
    }

    /// What the program of this name is made of.
    pub fn parts(&self, program: &str) -> anyhow::Result<Parts> {
        let root = self.packages.values().find(|package| package.name == program);
        let root =
            root.with_context(|| format!("expected a package {program} in the workspace, found none"))?;
        let mut parts = Parts::default();
        let mut seen = BTreeSet::from([root.id.as_str()]);
        let mut open = vec![root];
        while let Some(package) = open.pop() {
            let needs = self.needs.get(&package.id);
            let needs: Vec<&Package> =
                needs.into_iter().flatten().filter_map(|id| self.packages.get(id)).collect();
            let kind = if package.id == root.id { "application" } else { "library" };
            let references = needs.iter().map(|package| self.component("library", package));
            let references: Vec<String> = references.map(|part| part.reference().to_owned()).collect();
            parts.add(self.component(kind, package), references);
            open.extend(needs.into_iter().filter(|package| seen.insert(package.id.as_str())));
        }
        parts.put_first(self.component("application", root).reference());
        Ok(parts)
    }

    fn component(&self, kind: &'static str, package: &Package) -> Component {
        let sum = self.sums.get(&(package.name.clone(), package.version.clone()));
        Component::packaged(kind, "cargo", &package.name, &package.version)
            .with_sum(sum.cloned())
            .with_licence(package.license.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tests::example;

    const METADATA: &str = r#"{
        "packages": [
            {"id": "own#nimbus-agent", "name": "nimbus-agent", "version": "0.1.0", "license": "Apache-2.0"},
            {"id": "far#a", "name": "a", "version": "1.0.0", "license": "MIT/Apache-2.0"},
            {"id": "far#b", "name": "b", "version": "2.0.0", "license": null},
            {"id": "far#build", "name": "build", "version": "1.0.0", "license": "MIT"},
            {"id": "far#unused", "name": "unused", "version": "1.0.0", "license": "MIT"}
        ],
        "resolve": {"nodes": [
            {"id": "own#nimbus-agent", "deps": [
                {"pkg": "far#a", "dep_kinds": [{"kind": null}]},
                {"pkg": "far#build", "dep_kinds": [{"kind": "build"}]},
                {"pkg": "far#unused", "dep_kinds": [{"kind": null}]}
            ]},
            {"id": "far#a", "deps": [{"pkg": "far#b", "dep_kinds": [{"kind": "dev"}, {"kind": null}]}]},
            {"id": "far#b", "deps": [{"pkg": "far#a", "dep_kinds": [{"kind": null}]}]}
        ]}
    }"#;
    const TREE: &str = "nimbus-agent v0.1.0 (/somewhere)\na v1.0.0\nb v2.0.0\na v1.0.0 (*)\n\nbuild v1.0.0\n";
    const LOCK: &str = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"00ff\"\n\
                        [[package]]\nname = \"nimbus-agent\"\nversion = \"0.1.0\"\n";

    #[test]
    fn a_program_is_made_of_what_is_linked_into_it() {
        let crates = Crates::read(METADATA, TREE, LOCK).unwrap();
        let parts = crates.parts("nimbus-agent").unwrap();
        let artefact = Component::named("file", "x".to_owned(), "x", "1");
        let text = crate::bill::write(&artefact, &parts, &example()).unwrap();
        assert_eq!(nimbus_release::bill::read(text.as_bytes(), "x", None), Ok(3));
        let bill: serde_json::Value = serde_json::from_str(&text).unwrap();
        let names: Vec<&str> = bill["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["a", "b", "nimbus-agent"]);
        assert_eq!(bill["components"][0]["hashes"][0]["content"], "00ff");
        assert_eq!(bill["components"][2]["type"], "application");
        assert_eq!(bill["dependencies"][0]["dependsOn"][0], "pkg:cargo/nimbus-agent@0.1.0");
        assert!(crates.parts("nimbus").unwrap_err().to_string().contains("nimbus"));
    }
}
