//! The steps of an installation, in their order.

mod cloud;
mod cluster;
mod releases;

use serde_json::{Value, json};

use crate::answers::{Answers, Tool};
use crate::command::{Command, Program, Through};
use crate::files::{Charts, File, used};
use crate::step::{Step, Used};

/// All of them.
///
/// `outside` are the files that are not of the plan and that its steps use: a person's values, the charts, a person's
/// Terraform. With other contents a step is another one.
pub fn steps(answers: &Answers, charts: &Charts, files: &[File], outside: &[Used]) -> Vec<Step> {
    let it = Making { answers, charts, files, outside };
    let mut steps = vec![it.tools(), it.reachable()];
    steps.extend(it.infrastructure());
    steps.extend(it.namespaces());
    steps.extend([it.keys(), it.keys_secret()]);
    steps.extend(it.database_secret());
    steps.extend(it.tls_secret());
    steps.push(it.control_plane());
    steps.extend(it.records());
    steps.extend([it.context(), it.answered(), it.join_secret()]);
    steps.extend(it.cluster_uid());
    steps.extend([it.agents(), it.watched()]);
    steps
}

/// The level of Pod Security that the namespaces of a plan enforce.
pub const ENFORCED: &str = "restricted";

/// The manifest of a namespace, which takes only pods of that level.
pub fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": ENFORCED}},
    })
}

/// What the steps are made from.
struct Making<'a> {
    answers: &'a Answers,
    charts: &'a Charts,
    files: &'a [File],
    outside: &'a [Used],
}

impl Making<'_> {
    /// kubectl in the cluster that is meant.
    fn kubectl(&self, args: &[&str]) -> Command {
        let mut words = self.kubectl_words();
        words.extend(args.iter().map(|&arg| arg.to_owned()));
        Command { program: Program::Kubectl, args: words, through: None }
    }

    fn kubectl_words(&self) -> Vec<String> {
        let context = self.answers.kube_context.iter();
        context.flat_map(|context| ["--context".to_owned(), context.clone()]).collect()
    }

    /// helm in the cluster that is meant.
    fn helm(&self, args: &[&str]) -> Command {
        let mut command = Command::new(Program::Helm, args);
        if let Some(context) = &self.answers.kube_context {
            command.args.extend(["--kube-context".to_owned(), context.clone()]);
        }
        command
    }

    /// nimbus with the context of this installation, by the way that it needs.
    fn nimbus(&self, args: &[&str]) -> Command {
        let name = self.answers.control_plane();
        let mut words = vec!["--context".to_owned(), name.clone()];
        words.extend(args.iter().map(|&arg| arg.to_owned()));
        let mut kubectl = self.kubectl_words();
        kubectl.extend(["--namespace".to_owned(), self.answers.namespace.clone()]);
        let pods = match self.answers.direct_name() {
            Some(_) => Vec::new(),
            None => (0..self.answers.replicas).map(|number| format!("{name}-{number}")).collect(),
        };
        let question = vec!["--context".to_owned(), name, "status".to_owned()];
        let through = Some(Through { kubectl, pods, question });
        Command { program: Program::Nimbus, args: words, through }
    }

    /// What applies the Terraform.
    fn terraform(&self) -> Program {
        match self.answers.cloud.as_ref().map(|cloud| cloud.tool) {
            Some(Tool::Terraform) => Program::Terraform,
            Some(Tool::Tofu) | None => Program::Tofu,
        }
    }

    /// It, in its directory.
    fn tofu(&self, args: &[&str]) -> Command {
        Command::new(self.terraform(), &[&["-chdir=terraform"], args].concat())
    }

    /// The files that a step uses, of the plan and from outside.
    fn used(&self, is_used: impl Fn(&str) -> bool) -> Vec<Used> {
        let mut all = used(self.files, &is_used);
        all.extend(self.outside.iter().filter(|used| is_used(&used.file)).cloned());
        all
    }
}
