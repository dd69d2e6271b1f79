//! Opens a data directory that an earlier build wrote, and reads everything in it.
//!
//! `layout-N` is the directory of an agent that watched three files, put one back and accepted another; its identity,
//! which holds a key, is left out. It is never written again: a new layout brings its own record beside it.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else")]

use std::fs;
use std::path::Path;

use nimbus_agent::datadir::DataDir;
use nimbus_agent::files::{journal::JournalStore, spool::SpoolStore};
use nimbus_agent::watch::files::baseline::{Baselines, Part};
use nimbus_agent_core::journal::Phase;
use nimbus_agent_core::spool::Limits;

/// The root that was watched.
const ROOT: &str = "/tmp/nimbus-recorded";
/// A minute after the last job ended.
const NOW: &str = "2026-11-26T03:11:30Z";

#[test]
fn a_data_directory_of_layout_2_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/layout-2"), &path);
    let dir = DataDir::open(&path).unwrap();

    let journal = JournalStore::open(&dir.journal(), NOW.parse().unwrap()).unwrap();
    assert_eq!(journal.get().damaged(), 0);
    assert!(journal.get().interrupted().is_empty());
    for job in ["job_01a215d4cbc1772d8bb332fc46367d61", "job_01a215d4cd157a22bb1a8261a3a61f0e"] {
        assert_eq!(journal.get().phase(job.parse().unwrap()), Some(Phase::Done), "{job}");
    }

    let spool = SpoolStore::open(&dir.spool(), Limits::default()).unwrap();
    assert_eq!((spool.get().dropped(), spool.problem()), (0, None));
    assert!(spool.get().next_sequence() > 1, "the sequence goes on where it was");

    let baselines = Baselines::open(&dir.baseline()).unwrap();
    let mut entries = std::collections::BTreeMap::new();
    let mut take = |part, path, entry| {
        assert_eq!(part, Part::Baseline);
        entries.insert(path, entry);
    };
    let index = baselines.load(ROOT, &mut take).unwrap().unwrap().head;
    let names: Vec<&str> = entries.keys().map(AsRef::as_ref).collect();
    assert_eq!(names, ["", "app.conf", "kept.conf", "log.conf"]);
    assert_eq!((index.reported, index.taken_at > 0), (vec!["kept.conf".to_owned()], true));
    let accepted = nimbus_protocol::sha256(b"port = 81\n");
    assert_eq!(baselines.blob(&accepted).unwrap().as_deref(), Some(&b"port = 81\n"[..]));
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, to) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if entry.is_dir() {
            copy(&entry, &to);
        } else {
            fs::copy(&entry, &to).unwrap();
        }
    }
}
