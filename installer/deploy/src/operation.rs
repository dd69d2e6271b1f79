//! The things that a step does, as values; and how a person would do them.

use serde::{Deserialize, Serialize};

use crate::command::{Command, Program, Through, quoted};
use crate::object::Object;

/// The label of a release, with the mark of the directory that made it.
pub const LABEL: &str = "nimbus-deploy-mark";
/// The file beside the keys with the mark of the run that made them.
pub const KEYS_MARK: &str = ".deploy-mark";
/// The files of a directory of keys.
pub const KEY_FILES: [&str; 4] = ["ca.pem", "ca.key", "job.key", "operator.token"];
/// The file in the directory terraform with the plan that is looked at before it is applied.
pub const TERRAFORM_PLAN: &str = "nimbus.tfplan";

/// How the operator's command reaches the control plane: one of its contexts. Files are relative to the installation's
/// directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The context's name.
    pub name: String,
    /// The address.
    pub server: String,
    /// The file with the operator's token.
    pub token_file: String,
    /// The file with the CA, where it is the control plane's own.
    pub ca_file: Option<String>,
}

/// One thing that a step does. File names are relative to the installation's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A command that has to succeed.
    Run(Command),
    /// A command that has to print something, of which nothing is shown.
    Holds {
        /// The command.
        command: Command,
        /// What it prints if it is there, such as `the key url of the Secret db`.
        what: String,
    },
    /// An object is made in the cluster, with the step's mark.
    Create(Object),
    /// `helm upgrade --install`, with the step's mark as a label of the release.
    Install(Command),
    /// Terraform makes a plan, which is looked at: one that deletes or replaces anything but DNS records is applied only where
    /// that was said.
    Apply(Program),
    /// A command whose output becomes a file that its owner alone may read; never for a secret.
    Keep {
        /// The command.
        command: Command,
        /// The file.
        file: String,
    },
    /// Keys are made in a new directory, or in an empty one, with the step's mark beside them.
    MakeKeys(String),
    /// The files that [`Operation::MakeKeys`] made go away, and the directory if nothing else is in it.
    RemoveKeys(String),
    /// A file goes away, if it is there.
    Remove(String),
    /// The operator's command is told of the control plane.
    Context(Access),
    /// The operator's command is told no longer.
    ForgetContext(String),
}

impl Operation {
    /// As a person would do it in a shell, in the installation's directory.
    pub fn shell(&self) -> String {
        match self {
            Self::Run(command) | Self::Install(command) => command.shell(),
            Self::Holds { command, .. } => format!("{} | grep -q .", command.shell()),
            Self::Create(object) => object.shell(),
            Self::Apply(program) => {
                let name = program.as_str();
                format!(
                    "(umask 077; {name} -chdir=terraform plan -input=false -out={TERRAFORM_PLAN})     # look at what it deletes\n{name} -chdir=terraform apply -input=false {TERRAFORM_PLAN}\nrm -f terraform/{TERRAFORM_PLAN}"
                )
            }
            Self::Keep { command, file } => {
                format!("(umask 077; {} > {})", command.shell(), quoted(file))
            }
            Self::MakeKeys(directory) => {
                Command::new(Program::Nimbus, &["keys", "create", directory]).shell()
            }
            Self::RemoveKeys(directory) => {
                let files: Vec<String> =
                    KEY_FILES.iter().map(|file| quoted(&format!("{directory}/{file}"))).collect();
                format!("rm -f {}\nrmdir {}", files.join(" "), quoted(directory))
            }
            Self::Remove(file) => format!("rm -f {}", quoted(file)),
            Self::Context(Access { name, server, token_file, ca_file }) => {
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
            Self::Run(command) | Self::Keep { command, .. } | Self::Holds { command, .. } => {
                command.through.as_ref()
            }
            Self::Create(object) => object.through(),
            Self::Install(_)
            | Self::Apply(_)
            | Self::MakeKeys(_)
            | Self::RemoveKeys(_)
            | Self::Remove(_)
            | Self::Context(_)
            | Self::ForgetContext(_) => None,
        }
    }
}
