//! Going through a plan's steps and back, in a world that is cut off.

use super::world::{World, read, run};
use super::{LARGE, SMALL, planned};
use crate::drive::{Event, Stop, undo};
use crate::journal::Journal;

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
                assert_eq!(world.names(), whole.names(), "after {cut}, {is_late}");
                let mut journal = read(&world, &plan);
                undo(&mut journal, true, &mut world).unwrap();
                assert_eq!(world.names(), [""; 0], "after {cut}, {is_late}");
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
            assert_eq!(world.names(), [""; 0], "after {cut}");
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
    world.put("namespace/nimbus");
    run(&mut world, &plan).unwrap();
    let mut journal = read(&world, &plan);
    undo(&mut journal, true, &mut world).unwrap();
    assert_eq!(world.names(), ["namespace/nimbus"]);

    for theirs in ["secret/nimbus-keys", "release/nimbus-control-plane"] {
        let mut world = World::default();
        world.put(theirs);
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
        assert!(world.there.contains_key(kept), "{kept}");
    }
    assert!(!world.done.iter().any(|line| line.contains("destroy")), "{:?}", world.done);
    assert!(!world.names().iter().any(|it| it.starts_with("release/")), "{:?}", world.there);
    // And again, with what was kept.
    run(&mut world, &plan).unwrap();
    assert!(world.there.contains_key("release/prod-control-plane"));
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
        Journal::parse(&text.replace("\"version\": 2", "\"version\": 1")).unwrap_err().contains("version 1")
    );
    assert!(Journal::parse("{").is_err());
}
