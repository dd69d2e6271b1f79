//! Carries out a step's operations: runs the programs in the installation's directory, and passes on what they print.

use nimbus_deploy::command::{self, Program};
use nimbus_deploy::drive::{Event, Hands};
use nimbus_deploy::journal::Journal;
use nimbus_deploy::object::{Datum, Object, Source};
use nimbus_deploy::operation::{LABEL, Operation};
use nimbus_deploy::step::{Probe, Seen, Step};
use nimbus_platform::{read_regular, write_atomic};

use super::around::Around;
use super::directory::Directory;
use super::program::Programs;
use super::{contexts, keys, look, pods, terraform, way};
use crate::context::{Context, Progress};
use crate::error::Failure;
use crate::files;

/// The most bytes of what a program prints, or a file holds, that are passed on.
const MOST_KEPT: usize = 1 << 20;

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

    fn programs(&self) -> Programs<'_> {
        Programs { directory: self.directory, around: &self.around }
    }

    /// Runs a command that has to succeed, by the way that it needs; what it printed.
    fn run(&self, wanted: &command::Command) -> Result<Vec<u8>, Failure> {
        let programs = self.programs();
        let _way = wanted.through.as_ref().map(|through| way::open(&programs, through)).transpose()?;
        programs.printed(wanted)
    }

    /// What a Secret is to hold: fetched, passed on, and kept nowhere.
    fn values(&self, data: &[Datum]) -> Result<Vec<(String, String)>, Failure> {
        let value = |datum: &Datum| match &datum.from {
            Source::File(file) => {
                let path = self.directory.path().join(file);
                let bytes = read_regular(&path, MOST_KEPT as u64)
                    .map_err(|error| files::unreadable("a value of a Secret", &path, &error))?;
                text_of(&datum.key, None, &bytes)
            }
            Source::Printed { command, field } => text_of(&datum.key, field.as_deref(), &self.run(command)?),
        };
        data.iter().map(|datum| Ok((datum.key.clone(), value(datum)?))).collect()
    }

    /// Makes an object; with its values it goes to kubectl's input alone.
    fn create(&self, object: &Object, mark: &str) -> Result<(), Failure> {
        let values = self.values(object.data())?;
        let manifest = object.manifest(mark, &values).to_string();
        let command = command::Command { program: Program::Kubectl, args: object.create(), through: None };
        self.programs().told(&command, manifest.into_bytes())
    }

    fn install(&self, command: &command::Command, mark: &str) -> Result<(), Failure> {
        let mut command = command.clone();
        command.args.extend(["--labels".to_owned(), format!("{LABEL}={mark}")]);
        let done = self.run(&command).map(drop);
        done.map_err(|failure| pods::explained(&self.programs(), &command, failure))
    }

    fn keep(&self, file: &str, printed: &[u8]) -> Result<(), Failure> {
        let path = self.directory.path().join(file);
        let text = text_of(file, None, printed)?;
        write_atomic(&path, text.as_bytes(), 0o600).map_err(|error| files::unwritable(&path, &error))
    }
}

/// Whether anything was printed.
fn holds(what: &str, printed: &[u8]) -> Result<(), Failure> {
    if printed.trim_ascii().is_empty() {
        return Err(Failure::new("something that you make is not complete")
            .expected(what)
            .found("none")
            .next("make it, and run this again: what is done already stays"));
    }
    Ok(())
}

/// The text that is passed on as `name`. It may be a secret and is never shown.
fn text_of(name: &str, field: Option<&str>, printed: &[u8]) -> Result<String, Failure> {
    let unusable = |found: &str| {
        Failure::new(format!("what is to become {name} cannot be used"))
            .expected(field.map_or("some text".to_owned(), |field| format!("a JSON document with {field}")))
            .found(found)
            .next("run the step's command by hand to see what it prints")
    };
    let text = match field {
        None => std::str::from_utf8(printed).map_err(|_| unusable("no UTF-8"))?.to_owned(),
        Some(field) => {
            let document: serde_json::Value =
                serde_json::from_slice(printed).map_err(|_| unusable("something else"))?;
            document[field].as_str().ok_or_else(|| unusable("none of that name"))?.to_owned()
        }
    };
    if text.trim().is_empty() || text.len() > MOST_KEPT {
        return Err(unusable("nothing, or more than 1 MiB"));
    }
    Ok(text)
}

impl Hands for Shell<'_> {
    type Error = Failure;

    fn mark(&mut self) -> String {
        format!("{:032x}", rand::random::<u128>())
    }

    fn now(&mut self) -> u64 {
        // Before 1970 it is 1970: then everything is as old as can be.
        u64::try_from(nimbus_platform::now().as_second()).unwrap_or(0)
    }

    fn ask(&mut self, command: &command::Command) -> Result<String, Failure> {
        let text = text_of("the cluster's identity", None, &self.run(command)?)?;
        Ok(text.trim().to_owned())
    }

    fn look(&mut self, probe: &Probe, mark: Option<&str>) -> Result<Seen, Failure> {
        look::look(&self.programs(), probe, mark, |data| self.values(data))
    }

    fn missing(&mut self, files: &[String]) -> Result<Vec<String>, Failure> {
        let is_gone = |file: &&String| !self.directory.path().join(file).is_file();
        Ok(files.iter().filter(is_gone).cloned().collect())
    }

    fn carry_out(&mut self, operation: &Operation, mark: &str) -> Result<(), Failure> {
        let programs = self.programs();
        match operation {
            Operation::Run(command) => self.run(command).map(drop),
            Operation::Holds { command, what } => holds(what, &self.run(command)?),
            Operation::Create(object) => self.create(object, mark),
            Operation::Install(command) => self.install(command, mark),
            Operation::Apply(program) => terraform::apply(&programs, *program),
            Operation::Keep { command, file } => self.keep(file, &self.run(command)?),
            Operation::MakeKeys(directory) => keys::make(&programs, directory, mark),
            Operation::RemoveKeys(directory) => keys::remove(&programs, directory, mark),
            Operation::Remove(file) => {
                files::gone(&self.directory.path().join(file), |path| std::fs::remove_file(path))
            }
            Operation::Context(access) => contexts::remember(&programs, access),
            Operation::ForgetContext(name) => contexts::forget(&programs, name),
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
            Event::Renewing => "making anew",
            Event::Already => "done already",
            Event::Taken => "there already, taken as it is",
            Event::Undoing => "undoing",
            Event::Left => "somebody else's, left",
            Event::Holding => "left, as something of somebody else's is in it",
            Event::Kept => "kept",
        };
        self.progress.say(&format!("[{number}/{of}] {what}: {}", step.title));
    }
}
