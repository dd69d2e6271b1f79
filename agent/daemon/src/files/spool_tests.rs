//! The spool over real files: restarts, torn tails, and a directory that cannot be written.

use std::io::Write;

use nimbus_protocol::frame;
use nimbus_protocol::v1::observation::Body;

use super::*;

fn report(job: usize) -> v1::Observation {
    let report = v1::JobReport { job_id: format!("job_{job}"), ..v1::JobReport::default() };
    v1::Observation { body: Some(Body::JobReport(report)), ..v1::Observation::default() }
}

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

fn jobs(observations: &[v1::Observation]) -> Vec<String> {
    let job = |o: &v1::Observation| match &o.body {
        Some(Body::JobReport(report)) => Some(report.job_id.clone()),
        _ => None,
    };
    observations.iter().filter_map(job).collect()
}

fn last_segment(dir: &Path) -> PathBuf {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).max().unwrap()
}

#[test]
fn what_was_queued_is_sent_after_a_restart_and_not_after_it_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    assert!(store.push(report(1)) && store.push(report(2)) && store.push(report(3)));
    store.welcome(0);
    let first = drain(&mut store)[0].sequence;
    store.acknowledge(first);
    drop(store);
    let mut store = open(dir.path());
    // What was acknowledged is known for certain from the control plane.
    store.welcome(first);
    assert_eq!(jobs(&drain(&mut store)), ["job_2", "job_3"]);
    assert_eq!(store.get().next_sequence(), first + 3);
}

#[test]
fn a_torn_tail_costs_only_what_was_not_whole() {
    for torn in [&b"\x00\x00"[..], &[0xff; 40], &[0; 64]] {
        let dir = tempfile::tempdir().unwrap();
        let mut store = open(dir.path());
        assert!(store.push(report(1)) && store.push(report(2)));
        drop(store);
        let path = last_segment(dir.path());
        OpenOptions::new().append(true).open(&path).unwrap().write_all(torn).unwrap();
        let mut store = open(dir.path());
        assert!(store.push(report(3)));
        assert_eq!(jobs(&drain(&mut store)), ["job_1", "job_2", "job_3"]);
        drop(store);
        assert_eq!(jobs(&drain(&mut open(dir.path()))), ["job_1", "job_2", "job_3"]);
    }
}

#[test]
fn a_record_cut_in_half_is_left_out_and_its_sequence_is_not_given_twice_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    assert!(store.push(report(1)) && store.push(report(2)));
    drop(store);
    let path = last_segment(dir.path());
    let length = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 3).unwrap();
    let mut store = open(dir.path());
    assert_eq!(jobs(&drain(&mut store)), ["job_1"]);
    assert!(store.push(report(3)));
    store.get_mut().rewind();
    let sent = drain(&mut store);
    assert_eq!(jobs(&sent), ["job_1", "job_3"]);
    assert!(sent[0].sequence < sent[1].sequence);
}

#[test]
fn while_the_disk_takes_nothing_reports_are_kept_and_the_problem_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    std::fs::create_dir(&spool).unwrap();
    let mut store = open(&spool);
    assert!(store.push(report(1)) && store.push(host("before")));
    // Every write fails from here on: the directory is gone, and a file stands in its place.
    store.open = None;
    let aside = dir.path().join("aside");
    std::fs::rename(&spool, &aside).unwrap();
    std::fs::write(&spool, "").unwrap();
    assert!(!store.push(report(2)));
    assert!(!store.push(host("lost")));
    let problem = store.problem().unwrap().to_owned();
    assert!(problem.contains("expected to write the spool"), "{problem}");
    // It recovers.
    std::fs::remove_file(&spool).unwrap();
    std::fs::rename(&aside, &spool).unwrap();
    store.push(report(3));
    assert_eq!(store.problem(), None);
    store.get_mut().rewind();
    assert_eq!(jobs(&drain(&mut store)), ["job_1", "job_2", "job_3"]);
    drop(store);
    assert_eq!(jobs(&drain(&mut open(&spool))), ["job_1", "job_2", "job_3"]);
}

#[test]
fn the_segments_are_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    assert!(store.push(report(1)));
    let mode = std::fs::metadata(last_segment(dir.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}
