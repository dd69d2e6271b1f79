//! Runs the programs of the steps in the installation's directory.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nimbus_deploy::command::{self, Program};

use super::around::Around;
use super::directory::Directory;
use crate::error::Failure;
use crate::files;

/// The most characters of a program's complaint that are shown.
const MOST_SHOWN: usize = 1500;

/// Where and how programs are run.
pub(super) struct Programs<'a> {
    pub(super) directory: &'a Directory,
    pub(super) around: &'a Around,
}

impl Programs<'_> {
    /// The program with its arguments, in the installation's directory; what it reads is to be said.
    pub(super) fn command(&self, program: Program, args: &[String]) -> Command {
        let mut command = match program {
            Program::Nimbus => Command::new(&self.around.nimbus),
            Program::Kubectl | Program::Helm | Program::Tofu | Program::Terraform => {
                Command::new(program.as_str())
            }
        };
        command.args(args).current_dir(self.directory.path());
        if let Some(search) = &self.around.search {
            command.env("PATH", search);
        }
        // It runs in another directory than this command: what is named from here has to lead to the same file there.
        if let (Some(list), Ok(here)) = (std::env::var_os("KUBECONFIG"), std::env::current_dir()) {
            command.env("KUBECONFIG", absolute(&list, &here));
        }
        // The context decides where it goes.
        for name in ["NIMBUS_SERVER", "NIMBUS_CONTEXT", "NIMBUS_TOKEN"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs it to its end.
    pub(super) fn output(&self, program: Program, args: &[String]) -> Result<Output, Failure> {
        let cannot = |error| cannot(program, &error);
        let input = self.directory.input(program).map_err(cannot)?;
        self.command(program, args).stdin(input).output().map_err(cannot)
    }

    /// Runs a command that has to succeed and needs no way; what it printed.
    pub(super) fn printed(&self, wanted: &command::Command) -> Result<Vec<u8>, Failure> {
        let output = self.output(wanted.program, &wanted.args)?;
        if output.status.success() { Ok(output.stdout) } else { Err(complaint(&wanted.shell(), &output)) }
    }

    /// Runs one that has to succeed, with this on its input, which may be a secret and is never shown.
    pub(super) fn told(&self, wanted: &command::Command, input: Vec<u8>) -> Result<(), Failure> {
        let mut command = self.command(wanted.program, &wanted.args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let held = self.directory.held().map_err(|error| cannot(wanted.program, &error))?;
        let mut child = command.spawn().map_err(|error| cannot(wanted.program, &error))?;
        drop(held);
        let pipe = child.stdin.take();
        // It may complain before it has read everything: then the pipe breaks, and what it says is the reason.
        let writer = std::thread::spawn(move || pipe.map(|mut pipe| pipe.write_all(&input)));
        let output = child.wait_with_output().map_err(|error| cannot(wanted.program, &error))?;
        drop(writer.join());
        if output.status.success() { Ok(()) } else { Err(complaint(&wanted.shell(), &output)) }
    }
}

fn cannot(program: Program, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be run", program.as_str()))
        .expected(format!("the program {} on the PATH", program.as_str()))
        .found(files::reason(error))
        .next("install it")
}

/// What a program that failed said.
pub(super) fn complaint(line: &str, output: &Output) -> Failure {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let begin = said.char_indices().rev().nth(MOST_SHOWN - 1).map_or(0, |(at, _)| at);
    let found = if said.is_empty() { output.status.to_string() } else { said[begin..].to_owned() };
    Failure::new("a command failed").expected(format!("`{line}` to succeed")).found(found)
}

/// A list of files as in `KUBECONFIG`, each as it is named from the directory `here`.
fn absolute(list: &OsStr, here: &Path) -> OsString {
    let each = std::env::split_paths(list).map(|path| {
        // An empty one names no file, and is left for kubectl to pass over.
        if path.as_os_str().is_empty() { path } else { here.join(path) }
    });
    // Of parts of a list a list can be made again.
    std::env::join_paths(each).unwrap_or_else(|_| list.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_of_a_list_leads_to_where_it_led_from_here() {
        let from = |list: &str| absolute(OsStr::new(list), Path::new("/home/op"));
        assert_eq!(from("./kc"), "/home/op/./kc");
        assert_eq!(from("kc:/etc/kc::../x"), "/home/op/kc:/etc/kc::/home/op/../x");
        assert_eq!(from(""), "");
    }
}
