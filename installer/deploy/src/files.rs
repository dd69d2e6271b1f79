//! The files of an installation's directory by their names, and what a step uses of them.

use sha2::{Digest as _, Sha256};

use crate::answers::Answers;
use crate::step::Used;

/// The file from which the same plan is made again.
pub const ANSWERS: &str = "answers.toml";
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
    let of = |file: &File| Used { file: file.path.clone(), sha256: hex::encode(Sha256::digest(&file.text)) };
    files.iter().filter(|file| is_used(&file.path)).map(of).collect()
}
