//! Commands and the other things that a step does, as values; and how a person would type them.

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

/// One thing that a step does. File names are relative to the installation's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A command that has to succeed.
    Run(Command),
    /// A command whose output becomes a file that its owner alone may read.
    Keep {
        /// The command.
        command: Command,
        /// Only this field of the JSON document that it prints.
        field: Option<String>,
        /// The file.
        file: String,
    },
    /// A file goes away, if it is there.
    Remove(String),
    /// A directory goes away, if it is there and nothing is in it.
    RemoveEmpty(String),
    /// The operator's command is told of the control plane.
    Context {
        /// The context's name.
        name: String,
        /// The address.
        server: String,
        /// The file with the operator's token.
        token_file: String,
        /// The file with the CA, where it is the control plane's own.
        ca_file: Option<String>,
    },
    /// The operator's command is told no longer.
    ForgetContext(String),
}

impl Operation {
    /// As a person would do it in a shell, in the installation's directory.
    pub fn shell(&self) -> String {
        match self {
            Self::Run(command) => command.shell(),
            Self::Keep { command, field: None, file } => {
                format!("(umask 077; {} > {})", command.shell(), quoted(file))
            }
            Self::Keep { command, field: Some(field), file } => {
                format!("(umask 077; {} | jq -j .{field} > {})", command.shell(), quoted(file))
            }
            Self::Remove(file) => format!("rm -f {}", quoted(file)),
            Self::RemoveEmpty(directory) => format!("rmdir {}", quoted(directory)),
            Self::Context { name, server, token_file, ca_file } => {
                let mut text = format!(
                    "# In ~/.config/nimbus/config.toml, with whole paths:\n# [contexts.{name}]\n# server = \"{server}\"\n# token_file = \"…/{token_file}\""
                );
                if let Some(file) = ca_file {
                    text.push_str("\n# ca_file = \"…/");
                    text.push_str(file);
                    text.push('"');
                }
                text
            }
            Self::ForgetContext(name) => {
                format!("# Take [contexts.{name}] out of ~/.config/nimbus/config.toml.")
            }
        }
    }

    /// The way that its command needs.
    pub fn through(&self) -> Option<&Through> {
        match self {
            Self::Run(command) | Self::Keep { command, .. } => command.through.as_ref(),
            Self::Remove(_) | Self::RemoveEmpty(_) | Self::Context { .. } | Self::ForgetContext(_) => None,
        }
    }
}

/// A word that a shell takes as it is.
fn quoted(word: &str) -> String {
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
