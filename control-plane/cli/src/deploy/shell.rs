//! Carries out a step's operations: runs the programs in the installation's directory, and keeps what they print.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nimbus_deploy::command::{self, Operation, Program, Through};
use nimbus_deploy::drive::{Event, Hands};
use nimbus_deploy::journal::Journal;
use nimbus_deploy::step::{Probe, Step};
use nimbus_platform::write_atomic;

use super::directory::Directory;
use super::forward::Forward;
use crate::config::{self, Config};
use crate::context::{Context, Progress};
use crate::error::Failure;
use crate::files;

/// The most bytes of what a program prints that become a file.
const MOST_KEPT: usize = 1 << 20;
/// The most characters of a program's complaint that are shown.
const MOST_SHOWN: usize = 1500;
/// How often a control plane that leads is looked for, and the pause between: ten minutes in all.
const ROUNDS: usize = 300;
const PAUSE: Duration = Duration::from_secs(2);

/// What is around this command.
#[derive(Debug, Clone)]
pub struct Around {
    /// The program that is run as `nimbus`.
    pub nimbus: PathBuf,
    /// Where the other programs are looked for; none: on the PATH.
    pub search: Option<OsString>,
    /// The file of the contexts, if there is a place for one.
    pub contexts: Option<PathBuf>,
    /// Between two rounds through the pods, until one of them leads.
    pub pause: Duration,
}

impl Around {
    /// Of the program that runs now, so that its steps are those that it knows.
    pub fn here() -> Result<Self, Failure> {
        let nimbus = std::env::current_exe().map_err(|error| {
            Failure::new("this program does not know where it is").found(files::reason(&error))
        })?;
        Ok(Self { nimbus, search: None, contexts: config::config_path(), pause: PAUSE })
    }
}

/// What carries out.
pub struct Shell<'a> {
    directory: &'a Directory,
    around: Around,
    progress: Progress,
}

impl<'a> Shell<'a> {
    /// In an installation's directory.
    pub fn new(context: &Context, directory: &'a Directory, around: Around) -> Self {
        Self { directory, around, progress: context.progress("") }
    }

    fn command(&self, program: Program, args: &[String]) -> Command {
        let mut command = match program {
            Program::Nimbus => Command::new(&self.around.nimbus),
            Program::Kubectl | Program::Helm | Program::Tofu | Program::Terraform => {
                Command::new(program.as_str())
            }
        };
        command.args(args).current_dir(self.directory.path()).stdin(Stdio::null());
        if let Some(search) = &self.around.search {
            command.env("PATH", search);
        }
        // The context decides where it goes.
        for name in ["NIMBUS_SERVER", "NIMBUS_CONTEXT", "NIMBUS_TOKEN"] {
            command.env_remove(name);
        }
        command
    }

    fn output(&self, program: Program, args: &[String]) -> Result<Output, Failure> {
        self.command(program, args).output().map_err(|error| {
            Failure::new(format!("{} cannot be run", program.as_str()))
                .expected(format!("the program {} on the PATH", program.as_str()))
                .found(files::reason(&error))
                .next("install it")
        })
    }

    /// Runs a command that has to succeed; what it printed.
    fn run(&self, wanted: &command::Command) -> Result<Vec<u8>, Failure> {
        let _way = wanted.through.as_ref().map(|through| self.way(through)).transpose()?;
        let output = self.output(wanted.program, &wanted.args)?;
        if output.status.success() { Ok(output.stdout) } else { Err(complaint(&wanted.shell(), &output)) }
    }

    /// The way to the control plane that leads: another one answers that it stands by.
    fn way(&self, through: &Through) -> Result<Option<Forward>, Failure> {
        let mut last = Failure::new("there is no control plane");
        for round in 0..ROUNDS {
            if round > 0 {
                std::thread::sleep(self.around.pause);
            }
            if through.pods.is_empty() {
                match self.leads(through)? {
                    None => return Ok(None),
                    Some(failure) => last = failure,
                }
            }
            for pod in &through.pods {
                match Forward::open(self.command(Program::Kubectl, &through.kubectl), pod) {
                    Err(failure) => last = failure,
                    Ok(forward) => match self.leads(through)? {
                        None => return Ok(Some(forward)),
                        Some(failure) => last = failure,
                    },
                }
            }
        }
        Err(last)
    }

    /// Nothing, if what is at the end of the way leads; otherwise what it says.
    fn leads(&self, through: &Through) -> Result<Option<Failure>, Failure> {
        let output = self.output(Program::Nimbus, &through.question)?;
        let line = format!("nimbus {}", through.question.join(" "));
        Ok((!output.status.success()).then(|| complaint(&line, &output)))
    }

    fn keep(&self, file: &str, field: Option<&str>, printed: &[u8]) -> Result<(), Failure> {
        let path = self.directory.path().join(file);
        // What was printed may be a secret and is never shown.
        let unusable = |found: &str| {
            Failure::new(format!("what is to become {file} cannot be used"))
                .expected(
                    field.map_or("some text".to_owned(), |field| format!("a JSON document with {field}")),
                )
                .found(found)
                .next("run the step's command by hand to see what it prints")
        };
        let text = match field {
            None => String::from_utf8_lossy(printed).into_owned(),
            Some(field) => {
                let document: serde_json::Value =
                    serde_json::from_slice(printed).map_err(|_| unusable("something else"))?;
                document[field].as_str().ok_or_else(|| unusable("none of that name"))?.to_owned()
            }
        };
        if text.trim().is_empty() || text.len() > MOST_KEPT {
            return Err(unusable("nothing, or more than 1 MiB"));
        }
        write_atomic(&path, text.as_bytes(), 0o600).map_err(|error| files::unwritable(&path, &error))
    }

    fn remember(
        &self,
        name: &str,
        server: &str,
        token_file: &str,
        ca_file: Option<&str>,
    ) -> Result<(), Failure> {
        let path = self.contexts()?;
        let mut config = Config::read(&path)?;
        let within = |file: &str| self.directory.path().join(file);
        let context = config::Context {
            server: server.to_owned(),
            token_file: Some(within(token_file)),
            ca_file: ca_file.map(within),
        };
        if let Some(other) = config.contexts.get(name).filter(|known| !self.is_own(known)) {
            return Err(Failure::new(format!("the context {name} leads to another control plane"))
                .expected("no context of that name, or one of this directory")
                .found(other.server.clone())
                .next(format!(
                    "take it out of {}, or give the installation another `name`",
                    path.display()
                )));
        }
        config.set(name, context);
        config.write(&path)
    }

    fn forget(&self, name: &str) -> Result<(), Failure> {
        let path = self.contexts()?;
        let mut config = Config::read(&path)?;
        if config.contexts.get(name).is_some_and(|known| self.is_own(known)) {
            config.contexts.remove(name);
            if config.current.as_deref() == Some(name) {
                config.current = None;
            }
            config.write(&path)?;
        }
        Ok(())
    }

    fn contexts(&self) -> Result<PathBuf, Failure> {
        self.around.contexts.clone().ok_or_else(|| {
            Failure::new("there is no place for the contexts")
                .expected("HOME or XDG_CONFIG_HOME")
                .found("neither")
                .next("set HOME, then run the same command again")
        })
    }

    fn is_own(&self, context: &config::Context) -> bool {
        context.token_file.as_ref().is_some_and(|file| file.starts_with(self.directory.path()))
    }

    fn remove(&self, file: &str, remove: fn(&Path) -> std::io::Result<()>) -> Result<(), Failure> {
        let path = self.directory.path().join(file);
        match remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(files::unwritable(&path, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl Hands for Shell<'_> {
    type Error = Failure;

    fn is_there(&mut self, probe: &Probe) -> Result<bool, Failure> {
        match probe {
            Probe::Nothing => Ok(false),
            Probe::File(file) => Ok(self.directory.path().join(file).is_file()),
            Probe::Succeeds(command) => {
                let output = self.output(command.program, &command.args)?;
                let said = String::from_utf8_lossy(&output.stderr).to_lowercase();
                // Whatever is not an answer is not taken for a no: what is there already would be taken for ours.
                match (output.status.success(), said.contains("not found")) {
                    (true, _) => Ok(true),
                    (false, true) => Ok(false),
                    (false, false) => Err(complaint(&command.shell(), &output)),
                }
            }
        }
    }

    fn carry_out(&mut self, operation: &Operation) -> Result<(), Failure> {
        match operation {
            Operation::Run(command) => self.run(command).map(drop),
            Operation::Keep { command, field, file } => {
                let printed = self.run(command)?;
                self.keep(file, field.as_deref(), &printed)
            }
            Operation::Remove(file) => self.remove(file, |path| std::fs::remove_file(path)),
            Operation::RemoveEmpty(directory) => self.remove(directory, |path| std::fs::remove_dir(path)),
            Operation::Context { name, server, token_file, ca_file } => {
                self.remember(name, server, token_file, ca_file.as_deref())
            }
            Operation::ForgetContext(name) => self.forget(name),
        }
    }

    fn save(&mut self, journal: &Journal) -> Result<(), Failure> {
        self.directory.save(journal)
    }

    fn say(&mut self, event: Event, step: &Step, number: usize, of: usize) {
        let what = match event {
            Event::Checking => "checking",
            Event::Making => "doing",
            Event::Resuming => "going on with",
            Event::Changing => "changing",
            Event::Already => "done already",
            Event::Taken => "there already, taken as it is",
            Event::Undoing => "undoing",
            Event::Left => "somebody else's, left",
            Event::Kept => "kept",
        };
        self.progress.say(&format!("[{number}/{of}] {what}: {}", step.title));
    }
}

/// What a program that failed said.
fn complaint(line: &str, output: &Output) -> Failure {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    let begin = said.char_indices().rev().nth(MOST_SHOWN - 1).map_or(0, |(at, _)| at);
    let found = if said.is_empty() { output.status.to_string() } else { said[begin..].to_owned() };
    Failure::new("a command failed").expected(format!("`{line}` to succeed")).found(found)
}
