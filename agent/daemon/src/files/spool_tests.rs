//! Tests of the spool over real files: restarts, torn tails, and a directory that cannot be written.

use std::io::Write;

use nimbus_protocol::frame;
use nimbus_protocol::v1::observation::Body;

use super::*;

fn host(name: &str) -> v1::Observation {
    let host = v1::Host { hostname: name.into(), ..v1::Host::default() };
    v1::Observation { body: Some(Body::Host(host)), ..v1::Observation::default() }
}

fn open(dir: &Path) -> SpoolStore {
    SpoolStore::open(dir, Limits::default()).unwrap()
}

fn drain(store: &mut SpoolStore) -> Vec<v1::Observation> {
    let mut all = Vec::new();
    while let Some(batch) = store.next_frame(100, 100_000) {
        let (frame, _) = frame::decode::<v1::AgentFrame>(&batch.frame).unwrap().unwrap();
        let Some(v1::agent_frame::Body::Batch(batch)) = frame.body else { panic!("not a batch") };
        all.extend(batch.observations);
    }
    all
}

fn names(observations: &[v1::Observation]) -> Vec<String> {
    let name = |o: &v1::Observation| match &o.body {
        Some(Body::Host(host)) => Some(host.hostname.clone()),
        _ => None,
    };
    observations.iter().filter_map(name).collect()
}

fn push(store: &mut SpoolStore, hosts: &[&str]) {
    for name in hosts {
        store.push(host(name));
    }
}

fn last_segment(dir: &Path) -> PathBuf {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).max().unwrap()
}

#[test]
fn what_was_queued_is_sent_after_a_restart_and_not_after_it_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    push(&mut store, &["1", "2", "3"]);
    store.welcome(0);
    let first = drain(&mut store)[0].sequence;
    store.acknowledge(first);
    drop(store);
    let mut store = open(dir.path());
    // What was acknowledged is known for certain from the control plane.
    store.welcome(first);
    assert_eq!(names(&drain(&mut store)), ["2", "3"]);
    assert_eq!(store.get().next_sequence(), first + 3);
}

#[test]
fn a_torn_tail_costs_only_what_was_not_whole() {
    for torn in [&b"\x00\x00"[..], &[0xff; 40], &[0; 64]] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        push(&mut store, &["1", "2"]);
        drop(store);
        let path = last_segment(dir.path());
        OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();
        let mut store = open(dir.path());
        push(&mut store, &["3"]);
        assert_eq!(names(&drain(&mut store)), ["1", "2", "3"]);
        drop(store);
        assert_eq!(names(&drain(&mut open(dir.path()))), ["1", "2", "3"]);
    }
}

#[test]
fn a_record_cut_in_half_is_left_out_and_its_sequence_is_not_given_twice_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    push(&mut store, &["1", "2"]);
    drop(store);
    let path = last_segment(dir.path());
    let length = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 3).unwrap();
    let mut store = open(dir.path());
    assert_eq!(names(&drain(&mut store)), ["1"]);
    push(&mut store, &["3"]);
    store.get_mut().rewind();
    let sent = drain(&mut store);
    assert_eq!(names(&sent), ["1", "3"]);
    assert!(sent[0].sequence < sent[1].sequence);
}

#[test]
fn what_the_disk_does_not_take_is_listed_again_and_the_problem_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    std::fs::create_dir(&spool).unwrap();
    let mut store = open(&spool);
    push(&mut store, &["before"]);
    // Every write fails from here on: the directory is gone, and a file stands in its place.
    store.open = None;
    let aside = dir.path().join("aside");
    std::fs::rename(&spool, &aside).unwrap();
    std::fs::write(&spool, "").unwrap();
    push(&mut store, &["lost"]);
    let problem = store.problem().unwrap().to_owned();
    assert!(problem.contains("expected to write the spool"), "{problem}");
    // It recovers.
    std::fs::remove_file(&spool).unwrap();
    std::fs::rename(&aside, &spool).unwrap();
    push(&mut store, &["after"]);
    assert_eq!(store.problem(), None);
    assert!(store.get_mut().take_needs_resync(), "what was lost is listed again");
    store.get_mut().rewind();
    assert_eq!(names(&drain(&mut store)), ["before", "after"]);
    drop(store);
    assert_eq!(names(&drain(&mut open(&spool))), ["before", "after"]);
}

#[test]
fn the_segments_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    push(&mut store, &["1"]);
    let mode = std::fs::metadata(last_segment(dir.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}
