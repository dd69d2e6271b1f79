//! A world for the plans' steps to be done in.

use std::collections::BTreeMap;

use crate::command::{Command, Program};
use crate::drive::{Event, Hands, Stop, apply};
use crate::journal::Journal;
use crate::object::Object;
use crate::operation::Operation;
use crate::plan::Plan;
use crate::step::{Probe, Seen, Step};

/// A world that knows which things are there, by the words that name them, each with the mark that it carries, and that is cut
/// off after some operations: as killed, before or after the operation took effect. It stands for programs that do what they
/// are told or fail.
#[derive(Default)]
pub(super) struct World {
    pub(super) there: BTreeMap<String, String>,
    pub(super) kept: Option<Journal>,
    /// Operations and notes that still succeed.
    pub(super) left: Option<usize>,
    /// Whether the one that is cut off has taken effect.
    pub(super) is_late: bool,
    pub(super) done: Vec<String>,
    pub(super) said: Vec<(Event, String)>,
    /// The cluster that the kubeconfig leads to.
    pub(super) cluster: String,
    pub(super) now: u64,
    /// The object whose values are others than when it was made.
    pub(super) outdated: Option<&'static str>,
    pub(super) marks: usize,
}

/// The word behind this one.
fn after(command: &Command, word: &str) -> Option<String> {
    let at = command.args.iter().position(|it| it == word)?;
    command.args.get(at + 1).cloned()
}

impl World {
    /// The things' names.
    pub(super) fn names(&self) -> Vec<&str> {
        self.there.keys().map(String::as_str).collect()
    }

    /// Something that somebody else made.
    pub(super) fn put(&mut self, name: &str) {
        self.there.insert(name.to_owned(), "theirs".to_owned());
    }

    /// The event of a step in the last run.
    pub(super) fn event(&self, id: &str) -> Option<Event> {
        self.said.iter().rev().find(|(_, step)| step == id).map(|(event, _)| *event)
    }

    fn make(&mut self, name: String, mark: &str) -> Result<(), String> {
        if self.there.contains_key(&name) {
            return Err(format!("{name} is there already"));
        }
        self.there.insert(name, mark.to_owned());
        Ok(())
    }

    fn effect(&mut self, command: &Command) {
        if !command.args.iter().any(|word| word == "delete" || word == "uninstall") {
            return;
        }
        let release = after(command, "uninstall").map(|name| format!("release/{name}"));
        let secret = after(command, "secret").map(|name| format!("secret/{name}"));
        let namespace = after(command, "namespace").map(|name| format!("namespace/{name}"));
        if let Some(name) = release.or(secret).or(namespace) {
            self.there.remove(&name);
        }
    }

    fn is_cut(&mut self) -> bool {
        match &mut self.left {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

impl Hands for World {
    type Error = String;

    fn mark(&mut self) -> String {
        self.marks += 1;
        // Of another run it is another one.
        format!("mark-{}-{}", self.marks, self.done.len())
    }

    fn now(&mut self) -> u64 {
        self.now
    }

    fn ask(&mut self, _: &Command) -> Result<String, String> {
        Ok(self.cluster.clone())
    }

    fn look(&mut self, probe: &Probe, mark: Option<&str>) -> Result<Seen, String> {
        let name = match probe {
            Probe::Nothing => return Ok(Seen::Nothing),
            Probe::File(file) => {
                let is_there = self.there.contains_key(file);
                return Ok(match (is_there, mark) {
                    (false, _) => Seen::Nothing,
                    (true, Some(_)) => Seen::Ours,
                    (true, None) => Seen::Theirs,
                });
            }
            Probe::Object { get, .. } => match after(get, "secret") {
                Some(name) => format!("secret/{name}"),
                None => format!("namespace/{}", after(get, "namespace").unwrap()),
            },
            Probe::Release(list) => {
                let only = after(list, "--filter").unwrap();
                format!("release/{}", only.trim_start_matches('^').trim_end_matches('$'))
            }
            Probe::Keys(directory) => format!("{directory}/ca.pem"),
            Probe::Context(access) => format!("context/{}", access.name),
        };
        let is_current = matches!(probe, Probe::Object { data, .. } if !data.is_empty());
        Ok(match self.there.get(&name) {
            None => Seen::Nothing,
            Some(carried) if Some(carried.as_str()) != mark => Seen::Theirs,
            Some(_) if is_current && self.outdated == Some(name.as_str()) => Seen::Outdated,
            Some(_) => Seen::Ours,
        })
    }

    /// A directory of keys is whole, or not there.
    fn missing(&mut self, files: &[String]) -> Result<Vec<String>, String> {
        let is_there = |file: &&String| {
            let (directory, _) = file.rsplit_once('/').unwrap();
            self.there.contains_key(&format!("{directory}/ca.pem"))
        };
        Ok(files.iter().filter(|file| !is_there(file)).cloned().collect())
    }

    fn carry_out(&mut self, operation: &Operation, mark: &str) -> Result<(), String> {
        let is_cut = self.is_cut();
        if is_cut && !self.is_late {
            return Err("cut off".to_owned());
        }
        self.done.push(operation.shell());
        match operation {
            Operation::Run(command) | Operation::Holds { command, .. } => self.effect(command),
            Operation::Create(Object::Namespace { manifest, .. }) => {
                self.make(format!("namespace/{}", manifest["metadata"]["name"].as_str().unwrap()), mark)?;
            }
            Operation::Create(Object::Secret { name, .. }) => self.make(format!("secret/{name}"), mark)?,
            Operation::Install(command) => {
                assert_eq!(command.program, Program::Helm);
                let name = format!("release/{}", after(command, "--install").unwrap());
                self.there.insert(name, mark.to_owned());
            }
            Operation::MakeKeys(directory) => self.make(format!("{directory}/ca.pem"), mark)?,
            Operation::RemoveKeys(directory) => drop(self.there.remove(&format!("{directory}/ca.pem"))),
            Operation::Apply(_) => {}
            Operation::Keep { file, .. } => drop(self.there.insert(file.clone(), mark.to_owned())),
            Operation::Remove(file) => drop(self.there.remove(file)),
            Operation::Context(access) => {
                drop(self.there.insert(format!("context/{}", access.name), mark.to_owned()));
            }
            Operation::ForgetContext(name) => drop(self.there.remove(&format!("context/{name}"))),
        }
        if is_cut { Err("cut off".to_owned()) } else { Ok(()) }
    }

    fn save(&mut self, journal: &Journal) -> Result<(), String> {
        let is_cut = self.is_cut();
        if !is_cut || self.is_late {
            self.kept = Some(journal.clone());
        }
        if is_cut { Err("cut off".to_owned()) } else { Ok(()) }
    }

    fn say(&mut self, event: Event, step: &Step, _: usize, _: usize) {
        self.said.push((event, step.id.clone()));
    }
}

/// The journal as the next run reads it.
pub(super) fn read(world: &World, plan: &Plan) -> Journal {
    let kept = world.kept.clone().unwrap_or_else(|| Journal::new(&plan.identity));
    Journal::parse(&kept.text().unwrap()).unwrap()
}

/// One run of `--apply`.
pub(super) fn run(world: &mut World, plan: &Plan) -> Result<(), Stop<String>> {
    let mut journal = read(world, plan);
    world.said.clear();
    apply(&plan.identity, &plan.steps, &mut journal, world).map(drop)
}
