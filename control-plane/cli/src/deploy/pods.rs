//! What keeps the pods of a release from being ready: helm only says that they are not.

use nimbus_checks::doctor::told;
use nimbus_checks::kubernetes;
use nimbus_deploy::command::{Command, Program};
use nimbus_redaction::Redactor;

use super::program::Programs;
use crate::error::Failure;

/// Most pods that are told.
const MOST_PODS: usize = 5;

/// The failure of the helm command `install`, with what is known of the pods in its namespace. What cannot be asked is left out.
pub(super) fn explained(programs: &Programs<'_>, install: &Command, mut failure: Failure) -> Failure {
    let Some(namespace) = after(install, "--namespace") else { return failure };
    let mut args = after(install, "--kube-context")
        .map_or_else(Vec::new, |context| vec!["--context".to_owned(), context.to_owned()]);
    let words =
        ["--namespace", namespace, "get", "pods", "-l", "app.kubernetes.io/part-of=nimbus", "-o", "json"];
    args.extend(words.map(str::to_owned));
    let Ok(output) = programs.output(Program::Kubectl, &args) else { return failure };
    let Ok(pods) = kubernetes::pods(&output.stdout) else { return failure };
    let Ok(mut redactor) = Redactor::new(&[]) else { return failure };
    let troubles = pods.iter().filter_map(|pod| Some((&pod.name, told(pod.trouble.as_ref()?))));
    let troubles: Vec<String> = troubles
        .take(MOST_PODS)
        .map(|(name, (found, remedy))| format!("pod {name}: {}: {remedy}", redactor.text(&found).text))
        .collect();
    if !troubles.is_empty() {
        failure.next = format!("`nimbus doctor --namespace {namespace}` says more of the pods");
        failure.found = format!("{}; {}", failure.found, troubles.join("; "));
    }
    failure
}

/// The word after this one.
fn after<'a>(command: &'a Command, word: &str) -> Option<&'a str> {
    let at = command.args.iter().position(|arg| arg == word)?;
    command.args.get(at + 1).map(String::as_str)
}
