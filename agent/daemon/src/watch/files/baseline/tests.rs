use std::sync::Arc;
use std::sync::atomic::Ordering;

use nimbus_agent_core::observe::file::attributes::Attributes;
use nimbus_agent_core::observe::file::identity::{Identity, Pin};
use nimbus_agent_core::observe::file::{Held, Kind};

use super::content::SYNC_ONE_BY_ONE;
use super::whole::Whole;
use super::*;

const MAGIC: usize = 8;

fn entry(hash: u8) -> Entry {
    Entry {
        kind: Kind::File,
        mode: 0o640,
        uid: 1,
        gid: 2,
        size: 3,
        sha256: Some([hash; 32]),
        problem: String::new(),
        attributes: Some(Arc::new(Attributes {
            flags: 0x10,
            extended: vec![("user.note".into(), b"why\0so".to_vec())],
            all: None,
        })),
        held: Some(Held { identity: Identity { device: 1, inode: 9, born_ns: 2 }, names: 2 }),
    }
}

fn index() -> Whole {
    let entries = [("".into(), entry(1)), ("a/b".into(), entry(2))].into();
    let head = Head {
        reported: vec!["a/b".into()],
        incomplete: vec!["c".into()],
        mounts: vec!["d".into()],
        taken_at: 7,
        pin: Some(Pin {
            boot: "b".into(),
            parent: Identity { device: 1, inode: 2, born_ns: 3 },
            root: Some(Identity { device: 1, inode: 4, born_ns: 5 }),
        }),
    };
    Whole { entries, earlier: [("a/b".into(), entry(4)), ("e".into(), Entry::absent())].into(), head }
}

#[test]
fn an_index_survives_a_restart_and_belongs_to_its_root() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    assert_eq!(Whole::load(&store, "/etc/app").unwrap(), None);
    index().save(&store, "/etc/app");
    let again = Baselines::open(dir.path()).unwrap();
    assert_eq!(Whole::load(&again, "/etc/app").unwrap(), Some(index()));
    assert!(again.has_baseline("/etc/app") && !again.has_baseline("/etc/other"));
    assert_eq!(Whole::load(&store, "/etc/other").unwrap(), None);
}

#[test]
fn a_damaged_index_is_never_taken_for_a_baseline() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    index().save(&store, "/r");
    let path = store.index_path("/r");
    let good = std::fs::read(&path).unwrap();
    for at in [0, MAGIC, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&path, bad).unwrap();
        assert!(matches!(Whole::load(&store, "/r"), Err(BaselineError::Damaged { .. })), "byte {at}");
    }
    std::fs::write(&path, &good[..good.len() - 7]).unwrap();
    assert!(Whole::load(&store, "/r").is_err());
}

#[test]
fn an_index_of_an_older_agent_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    index().save_as_an_older_agent(&store, "/r");
    assert_eq!(Whole::load(&store, "/r").unwrap(), Some(index()));
}

#[test]
fn where_it_is_damaged_what_was_reported_is_not_known_and_the_baseline_is() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    index().save(&store, "/r");
    let known = |store: &Baselines| store.load("/r", &mut |_, _, _| {}).unwrap().unwrap();
    let loaded = known(&store);
    assert!(loaded.reported_is_known && loaded.head.reported == ["a/b"]);
    std::fs::write(store.reported_path("/r"), b"short").unwrap();
    let loaded = known(&store);
    assert!(!loaded.reported_is_known && loaded.head.reported.is_empty() && loaded.head.taken_at == 7);
}

#[test]
fn its_digest_is_the_same_however_it_is_come_by() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    let whole = index();
    let items = whole.entries.iter().map(|(path, entry)| (Part::Baseline, &**path, entry));
    let saved = store.save("/r", &whole.head, items).unwrap();
    assert_eq!(store.load("/r", &mut |_, _, _| {}).unwrap().unwrap().digest, saved);
}

#[test]
fn content_is_kept_once_checked_when_read_and_swept_when_unused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    let hash = sha256(b"hello");
    assert!(store.keep_content(&hash, b"hello").unwrap() && store.keep_content(&hash, b"hello").unwrap());
    assert_eq!(store.blob_bytes.load(Ordering::Relaxed), 5);
    assert_eq!(store.blob(&hash).unwrap().unwrap(), b"hello");
    std::fs::write(store.blob_path(&hash), b"HELLO").unwrap();
    assert_eq!(store.blob(&hash).unwrap(), None);
    let used = sha256(b"used");
    assert!(store.keep_content(&used, b"used").unwrap());
    let earlier = sha256(b"earlier");
    assert!(store.keep_content(&earlier, b"earlier").unwrap());
    let file = |hash| [("f".into(), Entry { sha256: Some(hash), ..entry(1) })].into();
    Whole { entries: file(used), earlier: file(earlier), ..Whole::default() }.save(&store, "/r");
    store.sweep().unwrap();
    assert!(!store.blob_path(&hash).exists());
    assert_eq!(store.blob(&used).unwrap().unwrap(), b"used");
    assert_eq!(store.blob(&earlier).unwrap().unwrap(), b"earlier", "an acceptance may be withdrawn");
}

#[test]
fn only_what_was_written_since_the_last_save_waits_for_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    let waits = || match &*store.unsynced.lock().unwrap() {
        Unsynced::Some(paths) => Some(paths.len()),
        Unsynced::Many => None,
    };
    let keep = |content: &[u8]| assert!(store.keep_content(&sha256(content), content).unwrap());
    assert_eq!(waits(), Some(0));
    keep(b"a");
    keep(b"a");
    assert_eq!(waits(), Some(1));
    index().save(&store, "/r");
    keep(b"a");
    assert_eq!(waits(), Some(0), "a save that brings no content asks nothing of the file system");
    (0..=SYNC_ONE_BY_ONE).for_each(|n| keep(n.to_string().as_bytes()));
    assert_eq!(waits(), None);
    index().save(&store, "/r");
    assert_eq!(waits(), Some(0));
    assert_eq!(*Baselines::open(dir.path()).unwrap().unsynced.lock().unwrap(), Unsynced::Many);
}

#[test]
fn content_beyond_the_bound_is_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    store.blob_bytes.store(MAX_BLOBS - 2, Ordering::Relaxed);
    assert!(!store.keep_content(&sha256(b"abc"), b"abc").unwrap());
    assert!(store.keep_content(&sha256(b"ab"), b"ab").unwrap());
}

fn look(store: &Baselines, all: bool) -> CopyCheck {
    let mut check = store.check_copies(all).unwrap();
    while !check.ended {
        store.check_on(&mut check);
    }
    check
}

#[test]
fn a_flipped_bit_in_a_kept_copy_is_found_and_remembered_until_the_content_is_kept_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    let content = b"hello".repeat(1_000);
    let hash = sha256(&content);
    assert!(store.keep_content(&hash, &content).unwrap());
    let mut damaged = content.clone();
    damaged[2_345] ^= 4;
    let check = |store: &Baselines, all| look(store, all).damaged.len();
    assert_eq!(check(&store, true), 0);
    std::fs::write(store.blob_path(&hash), &damaged).unwrap();
    assert!(store.has(&hash, 5_000), "its length is right");
    assert_eq!(check(&store, false), 0, "only what was set aside is looked at");
    assert_eq!(check(&store, true), 1);
    assert!(!store.has(&hash, 5_000) && store.is_damaged(&hash));
    let file = [("f".into(), Entry { sha256: Some(hash), ..entry(1) })].into();
    Whole { entries: file, ..Whole::default() }.save(&store, "/r");
    let again = Baselines::open(dir.path()).unwrap();
    again.sweep().unwrap();
    assert!(again.is_damaged(&hash), "also after a restart");
    assert_eq!(check(&again, false), 1);
    assert!(again.keep_content(&hash, &content).unwrap());
    assert_eq!((check(&again, true), again.is_damaged(&hash)), (0, false));
    assert_eq!(again.blob_bytes.load(Ordering::Relaxed), 5_000, "the damaged one is gone");
    // What somebody wants is looked at then, and what reads whole after all comes back.
    std::fs::write(again.blob_path(&hash), &damaged).unwrap();
    assert_eq!(again.blob(&hash).unwrap(), None);
    assert!(again.is_damaged(&hash));
    std::fs::write(again.aside_path(&hash), &content).unwrap();
    assert_eq!(check(&again, false), 0);
    assert_eq!(again.blob(&hash).unwrap().unwrap(), content);
}

#[test]
fn a_copy_that_cannot_be_looked_at_does_not_end_the_look() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    let hashes: Vec<_> = (0..20_u8).map(|n| sha256(&[n])).collect();
    for (n, hash) in (0..).zip(&hashes) {
        assert!(store.keep_content(hash, &[n]).unwrap());
        std::fs::write(store.blob_path(hash), "other").unwrap();
    }
    for hash in &hashes[..2] {
        std::fs::remove_file(store.blob_path(hash)).unwrap();
        std::fs::create_dir(store.blob_path(hash)).unwrap();
    }
    let check = look(&store, true);
    assert_eq!((check.damaged.len(), check.unread), (18, 2), "{check:?}");
    let first = &check.first_unread;
    assert!(
        hashes[..2].iter().any(|hash| first.contains(&hex(hash))) && first.contains("directory"),
        "{first}"
    );
}

#[test]
fn a_damaged_copy_that_cannot_be_set_aside_stays_known() {
    let dir = tempfile::tempdir().unwrap();
    let store = Baselines::open(dir.path()).unwrap();
    let hash = sha256(b"hello");
    assert!(store.keep_content(&hash, b"hello").unwrap());
    std::fs::write(store.blob_path(&hash), "hallo").unwrap();
    // Nothing can be renamed to where a directory is.
    std::fs::create_dir(store.aside_path(&hash)).unwrap();
    assert!(!store.is_damaged(&hash) && look(&store, false).damaged.is_empty(), "nobody looked at it yet");
    for all in [true, false, false] {
        assert_eq!(look(&store, all).damaged, [hash].into());
        assert_eq!(store.blob(&hash).unwrap(), None);
        assert!(store.is_damaged(&hash));
    }
    // Kept anew as `keep_content` does it: another file takes its place.
    std::fs::write(dir.path().join("new"), "hello").unwrap();
    std::fs::rename(dir.path().join("new"), store.blob_path(&hash)).unwrap();
    assert!(!store.is_damaged(&hash));
    // It reads whole after all, in the same place.
    std::fs::write(store.blob_path(&hash), "hallo").unwrap();
    assert_eq!(store.blob(&hash).unwrap(), None);
    assert!(store.is_damaged(&hash));
    std::fs::write(store.blob_path(&hash), "hello").unwrap();
    assert!(look(&store, false).damaged.is_empty() && !store.is_damaged(&hash));
}
