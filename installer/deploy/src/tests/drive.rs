//! Interrupted anywhere, it goes on; it undoes what it did and nothing else.

use std::collections::BTreeSet;

use super::{LARGE, SMALL, planned};
use crate::command::{Command, Operation, Program};
use crate::drive::{Event, Hands, Stop, apply, undo};
use crate::journal::Journal;
use crate::plan::Plan;
use crate::step::{Probe, Step};

/// A world that knows which things are there, by the words that name them, and that is cut off after some operations: as
/// killed, before or after the operation took effect. It stands for programs that do what they are told or fail.
#[derive(Default)]
struct World {
    there: BTreeSet<String>,
    kept: Option<Journal>,
    /// Operations and notes that still succeed.
    left: Option<usize>,
    /// Whether the one that is cut off has taken effect.
    is_late: bool,
    done: Vec<String>,
    said: Vec<(Event, String)>,
}

impl World {
    /// What a command is about, and whether it makes or removes it.
    fn effect(&mut self, command: &Command) -> Result<(), String> {
        let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
        let has = |word: &str| words.contains(&word);
        let secret = words
            .iter()
            .position(|&word| word == "secret")
            .map(|at| if has("create") { at + 2 } else { at + 1 });
        let name = match (command.program, secret) {
            (Program::Kubectl, Some(at)) if has("create") || has("delete") => format!("secret/{}", words[at]),
            (Program::Kubectl, _) if has("apply") => {
                words[words.len() - 1].replace("namespace-", "namespace/").replace(".yaml", "")
            }
            (Program::Kubectl, _) if has("delete") => format!(
                "namespace/{}",
                words[words.iter().position(|&word| word == "namespace").unwrap() + 1]
            ),
            (Program::Helm, _) if has("upgrade") => format!("release/{}", words[2]),
            (Program::Helm, _) if has("uninstall") => format!("release/{}", words[1]),
            (Program::Nimbus, _) if has("keys") => "keys/ca.pem".to_owned(),
            _ => return Ok(()),
        };
        if has("delete") || has("uninstall") {
            self.there.remove(&name);
        } else if has("create") && !self.there.insert(name.clone()) {
            return Err(format!("{name} is there already"));
        } else {
            self.there.insert(name);
        }
        Ok(())
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

    fn is_there(&mut self, probe: &Probe) -> Result<bool, String> {
        Ok(match probe {
            Probe::Nothing => false,
            Probe::File(file) => self.there.contains(file),
            Probe::Succeeds(command) => {
                let words = &command.args;
                let after =
                    |word: &str| words.iter().position(|it| it == word).map(|at| words[at + 1].clone());
                let name = match command.program {
                    Program::Helm => format!("release/{}", after("status").unwrap()),
                    Program::Kubectl | Program::Tofu | Program::Terraform | Program::Nimbus => {
                        match after("secret") {
                            Some(name) => format!("secret/{name}"),
                            None => format!("namespace/{}", words[words.len() - 1]),
                        }
                    }
                };
                self.there.contains(&name)
            }
        })
    }

    fn carry_out(&mut self, operation: &Operation) -> Result<(), String> {
        let is_cut = self.is_cut();
        if is_cut && !self.is_late {
            return Err("cut off".to_owned());
        }
        self.done.push(operation.shell());
        match operation {
            Operation::Run(command) => self.effect(command)?,
            Operation::Keep { file, .. } => drop(self.there.insert(file.clone())),
            Operation::Remove(file) => drop(self.there.remove(file)),
            Operation::RemoveEmpty(_) => {}
            Operation::Context { name, .. } => drop(self.there.insert(format!("context/{name}"))),
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
fn read(world: &World, plan: &Plan) -> Journal {
    let kept = world.kept.clone().unwrap_or_else(|| Journal::new(&plan.identity));
    Journal::parse(&kept.text().unwrap()).unwrap()
}

fn run(world: &mut World, plan: &Plan) -> Result<(), Stop<String>> {
    let mut journal = read(world, plan);
    apply(&plan.identity, &plan.steps, &mut journal, world).map(drop)
}

#[test]
fn cut_off_anywhere_it_goes_on_to_the_same_end_and_undoes_everything() {
    for answers in [SMALL, LARGE] {
        let plan = planned(answers);
        let mut whole = World::default();
        run(&mut whole, &plan).unwrap();
        let all = whole.done.len() * 3;
        let mut cuts = 0;
        for cut in 0..all {
            for is_late in [false, true] {
                let mut world = World { left: Some(cut), is_late, ..World::default() };
                if run(&mut world, &plan).is_ok() {
                    continue;
                }
                cuts += 1;
                world.left = None;
                run(&mut world, &plan).unwrap_or_else(|stop| panic!("after {cut}, {is_late}: {stop:?}"));
                assert_eq!(world.there, whole.there, "after {cut}, {is_late}");
                let mut journal = read(&world, &plan);
                undo(&mut journal, true, &mut world).unwrap();
                assert_eq!(world.there, BTreeSet::new(), "after {cut}, {is_late}");
                assert_eq!(world.kept.unwrap().entries, []);
            }
        }
        assert!(cuts > 40, "{cuts}");
    }
}

#[test]
fn an_undo_that_was_cut_off_goes_on() {
    let plan = planned(LARGE);
    let mut done = World::default();
    run(&mut done, &plan).unwrap();
    for cut in 0..30 {
        for is_late in [false, true] {
            let mut world = World {
                there: done.there.clone(),
                kept: done.kept.clone(),
                left: Some(cut),
                is_late,
                ..World::default()
            };
            let mut journal = read(&world, &plan);
            if undo(&mut journal, true, &mut world).is_err() {
                world.left = None;
                let mut journal = read(&world, &plan);
                undo(&mut journal, true, &mut world).unwrap();
            }
            assert_eq!(world.there, BTreeSet::new(), "after {cut}");
        }
    }
}

#[test]
fn done_twice_nothing_is_done_but_the_looks() {
    let plan = planned(LARGE);
    let mut world = World::default();
    run(&mut world, &plan).unwrap();
    world.said.clear();
    run(&mut world, &plan).unwrap();
    assert!(
        world.said.iter().all(|(event, _)| matches!(event, Event::Checking | Event::Already)),
        "{:?}",
        world.said
    );
}

#[test]
fn other_answers_change_what_differs_and_nothing_else() {
    let mut world = World::default();
    run(&mut world, &planned(SMALL)).unwrap();
    world.said.clear();
    run(&mut world, &planned(&[SMALL, &[("operators.service", "node-port")]].concat())).unwrap();
    let changed: Vec<&str> =
        world.said.iter().filter(|(event, _)| *event == Event::Changing).map(|(_, id)| id.as_str()).collect();
    assert_eq!(changed, ["control-plane"]);

    // The way to more pods is another one; the Secret that was made by the old way is not made again.
    let mut world = World::default();
    run(&mut world, &planned(LARGE)).unwrap();
    run(&mut world, &planned(&[LARGE, &[("replicas", "4"), ("cloud.tool", "terraform")]].concat())).unwrap();
}

#[test]
fn what_was_there_before_is_taken_or_refused_and_never_undone() {
    let plan = planned(SMALL);
    let mut world = World::default();
    world.there.insert("namespace/nimbus".to_owned());
    run(&mut world, &plan).unwrap();
    let mut journal = read(&world, &plan);
    undo(&mut journal, true, &mut world).unwrap();
    assert_eq!(world.there, BTreeSet::from(["namespace/nimbus".to_owned()]));

    for theirs in ["secret/nimbus-keys", "release/nimbus-control-plane"] {
        let mut world = World::default();
        world.there.insert(theirs.to_owned());
        let stop = run(&mut world, &plan).unwrap_err();
        assert!(matches!(&stop, Stop::Foreign { next, .. } if next.contains("another")), "{stop:?}");
    }
}

#[test]
fn keys_secrets_and_data_are_kept_unless_that_is_said() {
    let plan = planned(LARGE);
    let mut world = World::default();
    run(&mut world, &plan).unwrap();
    world.done.clear();
    let mut journal = read(&world, &plan);
    undo(&mut journal, false, &mut world).unwrap();
    for kept in ["keys/ca.pem", "secret/prod-keys", "secret/prod-database", "namespace/nimbus"] {
        assert!(world.there.contains(kept), "{kept}");
    }
    assert!(!world.done.iter().any(|line| line.contains("destroy")), "{:?}", world.done);
    assert!(!world.there.iter().any(|it| it.starts_with("release/")), "{:?}", world.there);
    // And again, with what was kept.
    run(&mut world, &plan).unwrap();
    assert!(world.there.contains("release/prod-control-plane"));
}

#[test]
fn a_directory_of_another_installation_is_refused() {
    let mut world = World::default();
    run(&mut world, &planned(SMALL)).unwrap();
    let other = planned(&[SMALL, &[("namespace", "elsewhere")]].concat());
    let stop = run(&mut world, &other).unwrap_err();
    assert!(matches!(stop, Stop::Other { .. }), "{stop:?}");
}

#[test]
fn a_journal_of_another_version_is_not_guessed_at() {
    let text = Journal::new("x").text().unwrap();
    assert!(
        Journal::parse(&text.replace("\"version\": 1", "\"version\": 2")).unwrap_err().contains("version 2")
    );
    assert!(Journal::parse("{").is_err());
}
