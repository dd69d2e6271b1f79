//! Commands as values, and how a person would type them.

use serde::{Deserialize, Serialize};

/// The local port by which this command reaches a control plane that has no address outside.
pub const FORWARDED: u16 = 17_070;

/// A program that a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    /// Kubernetes' command.
    Kubectl,
    /// The installer of charts.
    Helm,
    /// OpenTofu.
    Tofu,
    /// Terraform.
    Terraform,
    /// This command.
    Nimbus,
}

impl Program {
    /// As it is typed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubectl => "kubectl",
            Self::Helm => "helm",
            Self::Tofu => "tofu",
            Self::Terraform => "terraform",
            Self::Nimbus => "nimbus",
        }
    }
}

/// A way to the control plane while a command runs. It is tried until the one that leads answers: by its own address, or
/// by a port of this machine that is forwarded to one of its pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Through {
    /// `kubectl` with what names the cluster and the namespace.
    pub kubectl: Vec<String>,
    /// The pods; none where it has an address of its own.
    pub pods: Vec<String>,
    /// The words for `nimbus` that only the one that leads answers well.
    pub question: Vec<String>,
}

/// A program with its arguments, run in the installation's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Which one.
    pub program: Program,
    /// Its arguments.
    pub args: Vec<String>,
    /// The way that it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<Through>,
}

impl Command {
    /// One that needs no way.
    pub fn new(program: Program, args: &[&str]) -> Self {
        Self { program, args: args.iter().map(|&arg| arg.to_owned()).collect(), through: None }
    }

    /// As a shell takes it.
    pub fn shell(&self) -> String {
        let words = self.args.iter().map(|arg| quoted(arg));
        std::iter::once(self.program.as_str().to_owned()).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// A word that a shell takes as it is.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_shell_takes_every_word_as_it_is() {
        assert_eq!(quoted("--set-file=a=b/c"), "--set-file=a=b/c");
        assert_eq!(quoted("it's {x}"), r"'it'\''s {x}'");
        assert_eq!(quoted(""), "''");
    }
}
