//! Only what carries the mark of this directory's journal is ours: not what has its name, and not in another cluster.

use super::world::{World, read, run};
use super::{LARGE, SMALL, planned};
use crate::drive::{Event, Stop, is_the_cluster, undo};
use crate::journal::{Journal, State};

/// A world in which the step of this title was begun and refused, before it took effect.
fn refused_at(id: &str) -> World {
    let plan = planned(SMALL);
    for cut in 0..100 {
        let mut world = World { left: Some(cut), ..World::default() };
        let stop = run(&mut world, &plan).unwrap_err();
        let is_begun = world.kept.as_ref().is_some_and(|journal| journal.entry(id).is_some());
        if is_begun && matches!(stop, Stop::Failed { .. }) {
            world.left = None;
            return world;
        }
    }
    panic!("{id} was never begun");
}

#[test]
fn a_step_that_was_begun_and_refused_does_not_own_what_somebody_else_made_since() {
    let plan = planned(SMALL);
    let mut world = refused_at("namespace-nimbus");
    world.put("namespace/nimbus");
    run(&mut world, &plan).unwrap();
    assert_eq!(world.event("namespace-nimbus"), Some(Event::Taken));
    undo(&mut read(&world, &plan), true, &mut world).unwrap();
    assert_eq!(world.names(), ["namespace/nimbus"], "theirs stays");

    for (id, theirs) in
        [("keys-secret", "secret/nimbus-keys"), ("control-plane", "release/nimbus-control-plane")]
    {
        let mut world = refused_at(id);
        world.put(theirs);
        let stop = run(&mut world, &plan).unwrap_err();
        assert!(matches!(stop, Stop::Foreign { .. }), "{id}: {stop:?}");
        assert_eq!(world.there[theirs], "theirs", "{id}");
        undo(&mut read(&world, &plan), true, &mut world).unwrap();
        assert_eq!(
            world.names(),
            ["namespace/nimbus", theirs],
            "{id}: theirs stays, and with it its namespace"
        );
        assert_eq!(world.event(id), Some(Event::Left));
        // The next run still knows; once theirs is gone, all goes.
        undo(&mut read(&world, &plan), true, &mut world).unwrap();
        assert!(world.names().contains(&"namespace/nimbus"), "{id}: {:?}", world.names());
        world.there.remove(theirs);
        undo(&mut read(&world, &plan), true, &mut world).unwrap();
        assert!(world.names().is_empty(), "{id}: {:?}", world.names());
    }

    let mut world = refused_at("keys");
    world.put("keys/ca.pem");
    run(&mut world, &plan).unwrap();
    undo(&mut read(&world, &plan), true, &mut world).unwrap();
    assert_eq!(world.names(), ["keys/ca.pem"], "a person's own keys stay");
}

#[test]
fn what_was_taken_keeps_the_namespace_that_was_made_around_it() {
    let plan = planned(SMALL);
    let (theirs, around) = ("secret/nimbus-join", "namespace/nimbus-system");
    let mut world = refused_at("join-secret");
    world.put(theirs);
    run(&mut world, &plan).unwrap();
    assert_eq!(world.event("join-secret"), Some(Event::Taken));
    for _ in 0..2 {
        undo(&mut read(&world, &plan), true, &mut world).unwrap();
        assert!(world.names().contains(&theirs) && world.names().contains(&around), "{:?}", world.names());
        assert_eq!(world.event("namespace-nimbus-system"), Some(Event::Holding));
    }
    world.there.remove(theirs);
    undo(&mut read(&world, &plan), true, &mut world).unwrap();
    assert!(world.names().is_empty(), "{:?}", world.names());
    assert!(read(&world, &plan).entries.is_empty());

    // Something in one namespace keeps no other one.
    let mut world = World::default();
    world.put(around);
    world.put(theirs);
    run(&mut world, &plan).unwrap();
    undo(&mut read(&world, &plan), true, &mut world).unwrap();
    assert_eq!(world.names(), [around, theirs], "what was there before is all that is left");
    assert!(read(&world, &plan).entries.is_empty());

    // In namespaces that were there before nothing of it is in danger, and nothing is waited for.
    let mut world = World::default();
    for name in ["namespace/nimbus", around, theirs] {
        world.put(name);
    }
    run(&mut world, &plan).unwrap();
    undo(&mut read(&world, &plan), true, &mut world).unwrap();
    assert!(read(&world, &plan).entries.is_empty());
}

#[test]
fn a_namespace_of_somebody_elses_does_not_keep_the_other_one() {
    let plan = planned(SMALL);
    for (theirs, ours) in
        [("namespace/nimbus", "namespace/nimbus-system"), ("namespace/nimbus-system", "namespace/nimbus")]
    {
        let mut world = World::default();
        run(&mut world, &plan).unwrap();
        world.put(theirs);
        undo(&mut read(&world, &plan), true, &mut world).unwrap();
        assert!(world.names().contains(&theirs) && !world.names().contains(&ours), "{:?}", world.names());
    }
}

#[test]
fn what_was_made_here_removed_and_made_by_somebody_else_is_theirs() {
    let plan = planned(SMALL);
    let mut world = World::default();
    run(&mut world, &plan).unwrap();
    world.put("secret/nimbus-keys");
    assert!(matches!(run(&mut world, &plan).unwrap_err(), Stop::Foreign { .. }));
    world.put("release/nimbus-agent");
    undo(&mut read(&world, &plan), true, &mut world).unwrap();
    assert_eq!(
        world.names(),
        ["namespace/nimbus", "namespace/nimbus-system", "release/nimbus-agent", "secret/nimbus-keys"]
    );
}

#[test]
fn in_another_cluster_nothing_is_done_and_nothing_is_undone() {
    let plan = planned(SMALL);
    let mut world = World { cluster: "a".to_owned(), ..World::default() };
    run(&mut world, &plan).unwrap();
    let there = world.there.clone();
    world.cluster = "b".to_owned();
    let other = Stop::Cluster { expected: "a".to_owned(), found: "b".to_owned() };
    assert_eq!(run(&mut world, &plan).unwrap_err(), other);
    // And before anything else is looked at there.
    assert_eq!(is_the_cluster(&plan.steps, &mut read(&world, &plan), &mut world).unwrap_err(), other);
    let mut fresh = Journal::new(&plan.identity);
    is_the_cluster(&plan.steps, &mut fresh, &mut world).unwrap();
    assert_eq!(fresh.cluster, None, "where nothing was done no cluster is another one");
    let changed = planned(&[SMALL, &[("operators.service", "node-port")]].concat());
    assert_eq!(run(&mut world, &changed).unwrap_err(), other);
    world.done.clear();
    for with_data in [false, true] {
        assert_eq!(undo(&mut read(&world, &plan), with_data, &mut world).unwrap_err(), other);
    }
    assert_eq!((&world.there, world.done.len()), (&there, 0));
    world.cluster = "a".to_owned();
    undo(&mut read(&world, &plan), true, &mut world).unwrap();
    assert_eq!(world.names(), [""; 0]);
}

#[test]
fn which_cluster_it_is_is_asked_before_anything_is_made() {
    for answers in [SMALL, LARGE] {
        let steps = planned(answers).steps;
        let first =
            |is: fn(&crate::step::Kind) -> bool| steps.iter().position(|step| is(&step.kind)).unwrap();
        let asked = first(|kind| matches!(kind, crate::step::Kind::Identify { .. }));
        assert!(asked < first(|kind| matches!(kind, crate::step::Kind::Make { .. })));
    }
}

#[test]
fn a_join_token_that_nobody_used_in_half_an_hour_is_made_anew_until_the_agents_are_in() {
    let plan = planned(SMALL);
    for (waited, expected) in [(60, Event::Already), (3600, Event::Renewing)] {
        let mut world = refused_at("agents");
        world.now += waited;
        let before = world.there["secret/nimbus-join"].clone();
        world.done.clear();
        run(&mut world, &plan).unwrap();
        assert_eq!(world.event("join-secret"), Some(expected), "after {waited} s");
        let made = world.done.iter().filter(|line| line.contains("token create")).count();
        assert_eq!(made, usize::from(expected == Event::Renewing));
        assert_eq!(world.there["secret/nimbus-join"], before, "it is known by the same mark");
        // Once the agents are in, it stays: later pods know the control plane by it.
        world.now += 100_000;
        run(&mut world, &plan).unwrap();
        assert_eq!(world.event("join-secret"), Some(Event::Already));
    }
}

#[test]
fn a_database_with_another_address_gets_a_new_secret() {
    let plan = planned(LARGE);
    let mut world = World::default();
    run(&mut world, &plan).unwrap();
    world.outdated = Some("secret/prod-database");
    world.done.clear();
    run(&mut world, &plan).unwrap();
    assert_eq!(world.event("database-secret"), Some(Event::Renewing));
    assert!(world.done.iter().any(|line| line.contains("delete secret prod-database")), "{:?}", world.done);
    assert!(world.there.contains_key("secret/prod-database"));
    assert_eq!(world.event("keys-secret"), Some(Event::Already));
}

#[test]
fn keys_that_are_gone_are_not_made_anew_while_the_cluster_has_them() {
    let plan = planned(SMALL);
    let mut world = World::default();
    run(&mut world, &plan).unwrap();
    let keys = world.there.remove("keys/ca.pem").unwrap();
    world.done.clear();
    let Stop::Lost { files, copy, next, .. } = run(&mut world, &plan).unwrap_err() else {
        panic!("they were made anew: {:?}", world.done)
    };
    assert_eq!(files, ["keys/ca.pem", "keys/ca.key", "keys/job.key", "keys/operator.token"]);
    assert!(copy.contains("nimbus-keys") && next.contains("put them back"), "{copy}: {next}");
    assert!(!world.done.iter().any(|line| line.contains("keys create")), "{:?}", world.done);

    // Where it is only known that the Secret was begun, the cluster says whether it has it.
    for (is_there, is_refused) in [(true, true), (false, false)] {
        let mut world = World { there: world.there.clone(), kept: world.kept.clone(), ..World::default() };
        let entries = &mut world.kept.as_mut().unwrap().entries;
        entries.iter_mut().find(|entry| entry.step.id == "keys-secret").unwrap().state = State::Begun;
        if !is_there {
            world.there.remove("secret/nimbus-keys");
        }
        let ended = run(&mut world, &plan);
        assert_eq!(matches!(ended, Err(Stop::Lost { .. })), is_refused, "{ended:?}");
    }

    // Both ways out.
    let mut back = World { there: world.there.clone(), kept: world.kept.clone(), ..World::default() };
    back.there.insert("keys/ca.pem".to_owned(), keys);
    run(&mut back, &plan).unwrap();
    undo(&mut read(&world, &plan), true, &mut world).unwrap();
    run(&mut world, &plan).unwrap();
    assert_eq!(world.event("keys"), Some(Event::Making));
}

#[test]
fn keys_that_are_not_those_of_the_cluster_are_refused_and_its_secret_stays() {
    let plan = planned(SMALL);
    let mut world = World::default();
    run(&mut world, &plan).unwrap();
    world.outdated = Some("secret/nimbus-keys");
    world.done.clear();
    let stop = run(&mut world, &plan).unwrap_err();
    assert!(matches!(&stop, Stop::Differs { next, .. } if next.contains("--with-data")), "{stop:?}");
    assert!(!world.done.iter().any(|line| line.contains("delete")), "{:?}", world.done);
    undo(&mut read(&world, &plan), true, &mut world).unwrap();
    assert_eq!(world.names(), [""; 0]);
}

#[test]
fn a_context_that_is_gone_is_made_again() {
    let plan = planned(SMALL);
    let mut world = World::default();
    run(&mut world, &plan).unwrap();
    world.there.remove("context/nimbus-control-plane");
    run(&mut world, &plan).unwrap();
    assert_eq!(world.event("context"), Some(Event::Making));
    assert!(world.there.contains_key("context/nimbus-control-plane"));
}
