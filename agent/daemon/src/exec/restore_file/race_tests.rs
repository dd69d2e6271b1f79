//! A race of thousands of swaps: while passes, acceptances and restores run, a directory above, at or below the root
//! becomes a link to a look-alike outside and back. Nothing outside is ever written, and nothing of it ever read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, openat, renameat_with};

use super::super::test_support::JOB;
use super::*;
use crate::watch::files::baseline::Baselines;
use crate::watch::files::baseline::whole::Whole;

/// Swaps during which the root is worked on, for each of the three places.
const SWAPS: u32 = 4_000;

struct Site {
    _dir: tempfile::TempDir,
    at: PathBuf,
    root: Root,
    store: Arc<Baselines>,
}

/// `top/above/root/conf/{app.ini,...}`, and the same names with other content in `outside`.
fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().canonicalize().unwrap();
    for (place, content) in [("top/above", "inside"), ("outside", "outside, and nobody's business")] {
        let conf = at.join(place).join("root/conf");
        fs::create_dir_all(&conf).unwrap();
        fs::write(conf.join("app.ini"), content).unwrap();
        fs::write(conf.join("only"), content).unwrap();
    }
    fs::write(at.join("outside/root/conf/extra"), "would be removed as added").unwrap();
    let store = Arc::new(Baselines::open(&at.join("baseline")).unwrap());
    let mut root = Root::new(at.join("top/above/root"), &[], store.clone());
    root.full_pass(0, &mut |file| panic!("told {} on the first pass", file.path));
    Site { _dir: dir, at, root, store }
}

/// Content, times and inode.
type Seen = (Vec<u8>, i64, i64, u64);

/// Every path below with its content and the times that a write would change.
fn inventory(dir: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let seen = fs::symlink_metadata(&path).unwrap();
        if seen.is_dir() {
            all.append(&mut inventory(&path));
        }
        let content = if seen.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        all.insert(path, (content, seen.ctime_nsec(), seen.mtime_nsec(), seen.ino()));
    }
    all
}

fn hashes_of(outside: &BTreeMap<PathBuf, Seen>) -> Vec<Vec<u8>> {
    let files = outside.values().map(|(content, ..)| content).filter(|content| !content.is_empty());
    files.map(|content| nimbus_protocol::sha256(content).to_vec()).collect()
}

/// Swaps `swapped` (a directory of the site) with a link to `target` while everything an agent does is done.
fn race(swapped: &str, target: &str) {
    let Site { _dir: _kept, at, mut root, store } = site();
    let (place, spare, target) = (at.join(swapped), at.join("top/spare"), at.join(target));
    symlink(&target, &spare).unwrap();
    let outside = inventory(&at.join("outside"));
    let foreign = hashes_of(&outside);
    // What drifts is the real file, wherever its directory is called by now.
    let conf = File::open(at.join("top/above/root/conf")).unwrap();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let write = |name: &str, content: &str| {
        let mut file = File::from(openat(&conf, name, flags, Mode::RUSR | Mode::WUSR).unwrap());
        file.write_all(content.as_bytes()).unwrap();
    };
    let (over, swaps) = (AtomicBool::new(false), AtomicU32::new(0));
    let (mut restored, mut told) = (0_u32, Vec::new());
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &place, CWD, &spare, RenameFlags::EXCHANGE).unwrap();
                swaps.fetch_add(1, Ordering::Relaxed);
                if swaps.load(Ordering::Relaxed) % 7 == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let mut round = 0_u32;
        while swaps.load(Ordering::Relaxed) < SWAPS || round < 200 {
            round += 1;
            write("app.ini", &format!("drift {round}"));
            write("extra", "added");
            root.full_pass(0, &mut |file| told.push(file));
            for relative in ["conf/app.ini", "conf/only", "conf/extra"] {
                let now = root.look(relative).entry;
                assert!(now.sha256.is_none_or(|hash| !foreign.contains(&hash.to_vec())), "read outside");
                root.check(relative, 0, &mut |file| told.push(file));
                let action = v1::RestoreFile {
                    root: root.text().to_owned(),
                    path: format!("{}/{relative}", root.text()),
                    expect_current: Some(facts(&now)),
                    restore_to: Some(facts(&root.baseline(relative))),
                };
                let done = restore_path(&mut root, &action, JOB.parse().unwrap(), &Stop::default());
                restored += u32::from(done.is_ok());
                let _ = directories::remove_left_over(&root, &action.path, JOB.parse().unwrap());
            }
            if round.is_multiple_of(5) {
                let _ = root.accept("conf/only", |_| true);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(inventory(&at.join("outside")), outside, "nothing outside was written, added or removed");
    let seen = told.iter().flat_map(|file| [&file.baseline, &file.current]).flatten();
    assert!(seen.clone().all(|state| !foreign.contains(&state.sha256)), "nothing outside was told");
    let index = Whole::load(&store, root.text()).unwrap().unwrap();
    let kept = index.entries.values().chain(index.earlier.values()).filter_map(|entry| entry.sha256);
    assert!(kept.into_iter().all(|hash| !foreign.contains(&hash.to_vec())), "nothing outside is a baseline");
    for hash in &foreign {
        assert_eq!(store.blob(hash.as_slice().try_into().unwrap()).unwrap(), None, "no content is kept");
    }
    assert!(swaps.load(Ordering::Relaxed) >= SWAPS, "{swaps:?} swaps");
    assert!(restored > 0, "what is in its place is put back all the same");
}

fn facts(entry: &Entry) -> v1::FileFacts {
    nimbus_agent_core::action::file::facts(&entry.to_state())
}

#[test]
fn a_directory_above_the_root_that_is_swapped_with_a_link_leads_nowhere() {
    race("top/above", "outside");
}

#[test]
fn a_root_that_is_swapped_with_a_link_leads_nowhere() {
    race("top/above/root", "outside/root");
}

#[test]
fn a_directory_below_the_root_that_is_swapped_with_a_link_leads_nowhere() {
    race("top/above/root/conf", "outside/root/conf");
}

#[test]
fn another_directory_in_the_place_of_the_root_or_above_it_is_refused_and_said() {
    for (swapped, by) in [("top/above", "outside"), ("top/above/root", "outside/root")] {
        let Site { _dir: _kept, at, mut root, store } = site();
        let outside = inventory(&at.join("outside"));
        fs::write(at.join("top/above/root/conf/app.ini"), "drift").unwrap();
        let relative = "conf/app.ini";
        let action = v1::RestoreFile {
            root: root.text().to_owned(),
            path: format!("{}/{relative}", root.text()),
            expect_current: Some(facts(&root.look(relative).entry)),
            restore_to: Some(facts(&root.baseline(relative))),
        };
        fs::rename(at.join(swapped), at.join("away")).unwrap();
        fs::rename(at.join(by), at.join(swapped)).unwrap();
        let refused = restore_path(&mut root, &action, JOB.parse().unwrap(), &Stop::default());
        let Err(ActError::Refused(refusal)) = refused else { panic!("{refused:?}") };
        assert!(refusal.reason.contains("directory of its baseline"), "{}", refusal.reason);
        root.full_pass(0, &mut |file| panic!("told {}", file.path));
        assert!(
            root.status().problem.contains("another directory in its place"),
            "{}",
            root.status().problem
        );
        assert!(root.waits() && !root.is_known(), "nothing follows from what is not reported");
        assert!(root.accept(relative, |_| true).is_err());
        fs::rename(at.join(swapped), at.join(by)).unwrap();
        let contents =
            |of: &BTreeMap<PathBuf, Seen>| of.values().map(|seen| seen.0.clone()).collect::<Vec<_>>();
        assert_eq!(contents(&inventory(&at.join("outside"))), contents(&outside));
        // Put back, all goes on as before.
        fs::rename(at.join("away"), at.join(swapped)).unwrap();
        root.full_pass(0, &mut |_| {});
        assert_eq!(root.status().problem, "");
        restore_path(&mut root, &action, JOB.parse().unwrap(), &Stop::default()).unwrap();
        // A person who means the other directory removes the baseline.
        fs::rename(at.join(swapped), at.join("away")).unwrap();
        fs::rename(at.join(by), at.join(swapped)).unwrap();
        fs::remove_file(store.index_path(root.text())).unwrap();
        root.full_pass(0, &mut |file| panic!("told {}", file.path));
        assert_eq!(root.status().problem, "");
        assert_eq!(root.baseline("conf/extra").kind, Kind::File, "what is there now is the baseline");
    }
}
