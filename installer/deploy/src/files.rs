//! The files of an installation's directory by their names, and what a step uses of them.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::answers::Answers;
use crate::step::Used;

/// The file from which the same plan is made again.
pub const ANSWERS: &str = "answers.toml";
/// What is in the first lines of every file that this command writes and may replace.
pub const WRITER: &str = "nimbus enterprise deploy";
/// The values of the control plane's chart.
pub const CONTROL_PLANE_VALUES: &str = "values-control-plane.yaml";
/// The values of the agents' chart.
pub const AGENT_VALUES: &str = "values-agent.yaml";

/// What helm is to install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charts {
    /// The chart of the control plane: a directory or a package.
    pub control_plane: String,
    /// The chart of the agents.
    pub agent: String,
}

/// A file of the installation's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Relative to the directory.
    pub path: String,
    /// Its text, without any secret.
    pub text: String,
}

/// The namespaces that are needed, each once.
pub fn namespaces(answers: &Answers) -> Vec<&str> {
    let mut names = vec![answers.namespace.as_str()];
    if answers.agents_namespace != answers.namespace {
        names.push(&answers.agents_namespace);
    }
    names
}

/// The manifest of a namespace.
pub fn namespace_file(namespace: &str) -> String {
    format!("namespace-{namespace}.yaml")
}

/// The files of these that a step uses.
pub fn used(files: &[File], is_used: impl Fn(&str) -> bool) -> Vec<Used> {
    let of = |file: &File| used_text(&file.path, file.text.as_bytes());
    files.iter().filter(|file| is_used(&file.path)).map(of).collect()
}

/// One file with the digest of its contents.
pub fn used_text(file: &str, contents: &[u8]) -> Used {
    Used { file: file.to_owned(), sha256: hex::encode(Sha256::digest(contents)) }
}

/// A directory with the digest of all that is in it: its files by their names within it, in the order of these names.
pub fn used_tree(directory: &str, files: &BTreeMap<String, Vec<u8>>) -> Used {
    let mut all = Sha256::new();
    for (name, contents) in files {
        for part in [name.as_bytes(), contents] {
            // With its length before it, no name can be taken for another file's end.
            all.update(part.len().to_be_bytes());
            all.update(part);
        }
    }
    Used { file: directory.to_owned(), sha256: hex::encode(all.finalize()) }
}

/// Whether Terraform reads a file of this name, and neither this command nor Terraform wrote it: a person's own.
pub fn is_own_terraform(name: &str) -> bool {
    const READ: [&str; 7] =
        [".tf", ".tofu", ".tf.json", ".tofu.json", ".auto.tfvars", ".auto.tfvars.json", "terraform.tfvars"];
    const WRITTEN: [&str; 3] =
        ["terraform.tfvars.json", "operators.auto.tfvars.json", "agents.auto.tfvars.json"];
    !name.starts_with('.') && !WRITTEN.contains(&name) && READ.iter().any(|end| name.ends_with(end))
}
