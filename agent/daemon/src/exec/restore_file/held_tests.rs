//! Tests of restores on a real file system: what a restore keeps (access lists, attributes, capabilities, names, the file
//! that others hold) and what is known to be in its way before anybody is asked.
//!
//! Mounts and flags need root and a file system that has them; without, a test says by name that it was left out.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nimbus_agent_core::observe::file::attributes::{APPEND_ONLY, IMMUTABLE};
use nimbus_agent_core::observe::file::outlook::{Obstacle, Way};
use rustix::fs::{IFlags, XattrFlags, getxattr, ioctl_getflags, ioctl_setflags, setxattr};

use super::super::test_support::JOB;
use super::*;
use crate::watch::files::baseline::Baselines;
use crate::watch::files::baseline::whole::Whole;

pub(super) struct Site {
    _dir: tempfile::TempDir,
    pub(super) at: PathBuf,
    pub(super) root: Root,
}

impl Site {
    /// A root that `prepare` fills before its baseline is taken.
    pub(super) fn new(prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().canonicalize().unwrap().join("root");
        fs::create_dir(&at).unwrap();
        prepare(&at);
        let store = Baselines::open(&dir.path().join("baseline")).unwrap();
        let mut root = Root::new(at.clone(), &[], Arc::new(store));
        root.full_pass(0, &mut |file| panic!("told {} on the first pass", file.path));
        Self { _dir: dir, at, root }
    }

    pub(super) fn told(&mut self) -> Vec<v1::File> {
        let mut told = Vec::new();
        self.root.full_pass(0, &mut |file| told.push(file));
        told
    }

    fn action(&self, relative: &str) -> v1::RestoreFile {
        v1::RestoreFile {
            root: self.root.text().to_owned(),
            path: format!("{}/{relative}", self.root.text()),
            expect_current: Some(facts(&self.root.look(relative).entry)),
            restore_to: Some(facts(&self.root.baseline(relative))),
        }
    }

    pub(super) fn restore(&mut self, relative: &str) -> Result<String, ActError> {
        let action = self.action(relative);
        restore_path(&mut self.root, &action, JOB.parse().unwrap(), &Stop::default())
    }

    fn outlook(&self, relative: &str) -> Result<Way, Obstacle> {
        let now = self.root.look(relative).entry;
        self.root.outlook(relative, &now).way.map_err(|(obstacle, _)| obstacle)
    }

    pub(super) fn is_right(&self, relative: &str) -> bool {
        self.root.look(relative).entry.same(&self.root.baseline(relative))
    }
}

fn facts(entry: &Entry) -> v1::FileFacts {
    nimbus_agent_core::action::file::facts(&entry.to_state())
}

pub(super) fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    setxattr(path, name, value, XattrFlags::empty()).is_ok()
}

pub(super) fn get(path: &Path, name: &str) -> Vec<u8> {
    let mut value = [0; 256];
    getxattr(path, name, &mut value[..]).map(|length| value[..length].to_vec()).unwrap_or_default()
}

/// user::rw-, user:33:rw-, group::r--, mask::rw-, other::---
const LIST: [u8; 44] = [
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 33, 0, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16,
    0, 6, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
];
/// cap_net_bind_service, effective and permitted.
pub(super) const CAPABLE: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub(super) fn left_out(test: &str, why: &str) {
    eprintln!("{test}: left out, {why}");
}

#[test]
fn an_access_list_an_attribute_and_a_capability_come_back_with_the_file() {
    let mut has = (false, false, false);
    let mut site = Site::new(|at| {
        let path = at.join("app");
        fs::write(&path, "good").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o750)).unwrap();
        has.0 = set(&path, "user.note", b"kept");
        has.1 = set(&path, "system.posix_acl_access", &LIST);
        has.2 = set(&path, "security.capability", &CAPABLE);
    });
    if !has.0 {
        return left_out("attributes", "this file system has none");
    }
    let path = site.at.join("app");
    let mode = fs::metadata(&path).unwrap().mode();
    // As an editor does: a new file under the old name, with nothing of what the old one had.
    fs::write(site.at.join("new"), "bad").unwrap();
    fs::rename(site.at.join("new"), &path).unwrap();
    let told = site.told();
    let (before, after) = (told[0].baseline.as_ref().unwrap(), told[0].current.as_ref().unwrap());
    let names = |state: &v1::FileState| state.attributes.as_ref().map_or(0, |all| all.all.len());
    assert_eq!((names(before), names(after)), (1 + usize::from(has.1) + usize::from(has.2), 0));
    assert_eq!(told[0].restore.as_ref().unwrap().way, "replace");
    site.restore("app").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "good");
    assert_eq!(get(&path, "user.note"), b"kept");
    assert_eq!(fs::metadata(&path).unwrap().mode(), mode);
    for (had, name, value) in
        [(has.1, "system.posix_acl_access", &LIST[..]), (has.2, "security.capability", &CAPABLE[..])]
    {
        assert!(!had || get(&path, name) == value, "{name}");
    }
    assert!(site.is_right("app"));
    assert!(site.told().iter().all(|file| file.baseline == file.current));
}

#[test]
fn attributes_alone_are_drift_and_are_set_on_the_file_that_is_there() {
    let mut has = false;
    let mut site = Site::new(|at| {
        fs::write(at.join("app"), "good").unwrap();
        has = set(&at.join("app"), "user.note", b"kept");
    });
    if !has {
        return left_out("attributes alone", "this file system has none");
    }
    let path = site.at.join("app");
    let inode = fs::metadata(&path).unwrap().ino();
    set(&path, "user.note", b"changed");
    set(&path, "user.added", b"x");
    let acl = set(&path, "system.posix_acl_access", &LIST);
    let told = site.told();
    assert_eq!((told.len(), told[0].restore.as_ref().unwrap().way.as_str()), (1, "attributes"));
    assert_eq!(told[0].diff_withheld, "attributes only");
    site.restore("app").unwrap();
    assert_eq!((get(&path, "user.note"), get(&path, "user.added")), (b"kept".to_vec(), Vec::new()));
    assert!(!acl || get(&path, "system.posix_acl_access").is_empty());
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    assert!(site.is_right("app"));
}

#[test]
fn attributes_that_an_older_baseline_does_not_know_are_kept_as_they_are() {
    let mut site = Site::new(|at| fs::write(at.join("app"), "good").unwrap());
    let path = site.at.join("app");
    if !set(&path, "user.note", b"kept") {
        return left_out("attributes of an older baseline", "this file system has none");
    }
    let store = Baselines::open(&site.at.join("../baseline")).unwrap();
    let mut index = Whole::load(&store, site.root.text()).unwrap().unwrap();
    index.entries.values_mut().for_each(|entry| (entry.attributes, entry.held) = (None, None));
    index.save(&store, site.root.text());
    site.root = Root::new(site.at.clone(), &[], Arc::new(store));
    site.root.read_baseline();
    fs::write(&path, "bad").unwrap();
    let told = site.told();
    assert_eq!(
        told[0].current.as_ref().unwrap().attributes,
        None,
        "what one side alone knows is no difference"
    );
    site.restore("app").unwrap();
    assert_eq!(
        (fs::read_to_string(&path).unwrap(), get(&path, "user.note")),
        ("good".into(), b"kept".to_vec())
    );
    // Seen to be right, the file says what the older agent did not note.
    site.told();
    set(&path, "user.note", b"changed");
    assert_eq!(site.told().len(), 1);
}

#[test]
fn the_names_of_a_file_stay_together() {
    let mut site = Site::new(|at| {
        fs::write(at.join("one"), "good").unwrap();
        fs::hard_link(at.join("one"), at.join("two")).unwrap();
    });
    let inode = fs::metadata(site.at.join("one")).unwrap().ino();
    fs::write(site.at.join("one"), "bad, and longer").unwrap();
    assert_eq!(site.told().len(), 2, "it is seen under both names");
    assert_eq!(site.outlook("two"), Ok(Way::InPlace));
    let done = site.restore("one").unwrap();
    assert!(done.contains("in place, as it has 2 names"), "{done}");
    for name in ["one", "two"] {
        let now = fs::metadata(site.at.join(name)).unwrap();
        assert_eq!((now.ino(), now.nlink()), (inode, 2));
        assert_eq!(fs::read_to_string(site.at.join(name)).unwrap(), "good");
    }
    assert!(fs::read_dir(site.at.join("../baseline/copies")).unwrap().next().is_none(), "the copy is gone");
}

struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_that_has_the_file_open_sees_it_put_back() {
    let mut site = Site::new(|at| fs::write(at.join("app"), "good").unwrap());
    let path = site.at.join("app");
    let inode = fs::metadata(&path).unwrap().ino();
    let open = Stdio::from(fs::File::open(&path).unwrap());
    let _reader = Reader(Command::new("sleep").arg("600").stdin(open).spawn().unwrap());
    fs::write(&path, "bad").unwrap();
    let done = site.restore("app").unwrap();
    assert!(done.contains("in place, as 1 process has it open"), "{done}");
    assert_eq!(
        (fs::metadata(&path).unwrap().ino(), fs::read_to_string(&path).unwrap()),
        (inode, "good".into())
    );
}

/// A mount that ends with the test.
struct Mount(PathBuf);

impl Mount {
    fn new(what: &Path, at: &Path, options: &[&str]) -> Option<Self> {
        let done = Command::new("mount").args(options).arg(what).arg(at).stderr(Stdio::null()).status();
        done.is_ok_and(|status| status.success()).then(|| Self(at.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_mounted_file_is_written_in_place_and_one_that_was_mounted_later_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    fs::write(dir.join("source"), "good").unwrap();
    fs::write(dir.join("another"), "another's").unwrap();
    let mut mount = None;
    let mut site = Site::new(|at| {
        fs::write(at.join("hosts"), "covered").unwrap();
        fs::write(at.join("plain"), "good").unwrap();
        mount = Mount::new(&dir.join("source"), &at.join("hosts"), &["--bind"]);
    });
    if mount.is_none() {
        return left_out("a mounted file", "this user may not mount");
    }
    fs::write(dir.join("source"), "bad").unwrap();
    assert_eq!(site.outlook("hosts"), Ok(Way::InPlace));
    let done = site.restore("hosts").unwrap();
    assert!(done.contains("in place, as it is mounted there"), "{done}");
    assert_eq!(fs::read_to_string(dir.join("source")).unwrap(), "good");

    let _later = Mount::new(&dir.join("another"), &site.at.join("plain"), &["--bind"]).unwrap();
    let told = site.told();
    let outlook = told.iter().find(|file| file.path.ends_with("/plain")).unwrap().restore.clone().unwrap();
    assert_eq!(outlook.obstacle, "mount_point");
    assert!(outlook.reason.contains("not the file of the baseline"), "{}", outlook.reason);
    assert!(matches!(site.restore("plain"), Err(ActError::Refused(_))));
    assert_eq!(fs::read_to_string(dir.join("another")).unwrap(), "another's");
}

fn flag(path: &Path, flag: u32, on: bool) -> bool {
    let file = fs::File::open(path).unwrap();
    let Ok(now) = ioctl_getflags(file.as_fd()) else { return false };
    let wanted = if on { now.bits() | flag } else { now.bits() & !flag };
    ioctl_setflags(file.as_fd(), IFlags::from_bits_retain(wanted)).is_ok()
}

/// Takes the flags away again, so that the directory can be removed.
struct Flagged(PathBuf, u32);

impl Drop for Flagged {
    fn drop(&mut self) {
        flag(&self.0, self.1, false);
    }
}

#[test]
fn an_immutable_and_an_append_only_file_are_named_and_told_again_when_that_ends() {
    for (bit, obstacle) in [(IMMUTABLE, Obstacle::Immutable), (APPEND_ONLY, Obstacle::AppendOnly)] {
        let mut site = Site::new(|at| {
            fs::create_dir(at.join("sub")).unwrap();
            fs::write(at.join("app"), "good").unwrap();
            fs::write(at.join("sub/app"), "good").unwrap();
        });
        for path in ["app", "sub/app"] {
            fs::write(site.at.join(path), "bad").unwrap();
        }
        site.told();
        let (file, dir) = (site.at.join("app"), site.at.join("sub"));
        if !flag(&file, bit, true) || !flag(&dir, bit, true) {
            return left_out("flags", "this file system or user may not set them");
        }
        let (_one, _two) = (Flagged(file.clone(), bit), Flagged(dir.clone(), bit));
        let told = site.told();
        let said = |name: &str| {
            let file = told.iter().find(|file| file.path.ends_with(name)).unwrap();
            file.restore.as_ref().unwrap().obstacle.clone()
        };
        assert_eq!(
            (said("root/app").as_str(), said("sub/app").as_str()),
            (obstacle.as_str(), obstacle.as_str())
        );
        for path in ["app", "sub/app"] {
            assert_eq!(site.outlook(path), Err(obstacle));
            assert!(matches!(site.restore(path), Err(ActError::Refused(_))));
            assert_eq!(fs::read_to_string(site.at.join(path)).unwrap(), "bad");
        }
        assert!(site.told().is_empty(), "said once");
        assert!(flag(&file, bit, false) && flag(&dir, bit, false));
        let told = site.told();
        assert!(told.iter().any(|file| file.path.ends_with("sub/app")), "that it ended is told too");
        for path in ["app", "sub/app"] {
            site.restore(path).unwrap();
            assert!(site.is_right(path));
        }
    }
}

#[test]
fn an_immutable_baseline_is_put_back_with_its_flag() {
    let mut flagged = None;
    let mut site = Site::new(|at| {
        fs::write(at.join("app"), "good").unwrap();
        flagged = flag(&at.join("app"), IMMUTABLE, true).then(|| Flagged(at.join("app"), IMMUTABLE));
    });
    let path = site.at.join("app");
    if flagged.is_none() {
        return left_out("an immutable baseline", "this file system or user may not set flags");
    }
    assert!(flag(&path, IMMUTABLE, false));
    fs::write(site.at.join("new"), "bad").unwrap();
    fs::rename(site.at.join("new"), &path).unwrap();
    site.restore("app").unwrap();
    assert!(fs::write(&path, "again").is_err() && site.is_right("app"));
}

#[test]
fn a_read_only_and_a_full_file_system_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().canonicalize().unwrap().join("volume");
    fs::create_dir(&at).unwrap();
    let Some(_mount) = Mount::new(Path::new("tmpfs"), &at, &["-t", "tmpfs", "-o", "size=256k"]) else {
        return left_out("a full file system", "this user may not mount");
    };
    fs::create_dir(at.join("root")).unwrap();
    let root = at.join("root");
    fs::write(root.join("app"), vec![b'g'; 50_000]).unwrap();
    let store = Baselines::open(&dir.path().join("baseline")).unwrap();
    let mut root = Root::new(root, &[], Arc::new(store));
    root.full_pass(0, &mut |_| panic!("first pass"));
    let mut site = Site { at: at.join("root"), root, _dir: dir };
    fs::write(site.at.join("app"), "bad").unwrap();
    fs::write(at.join("filler"), vec![b'x'; 300_000]).unwrap_err();
    assert_eq!(site.outlook("app"), Err(Obstacle::NoSpace));
    assert!(matches!(site.restore("app"), Err(ActError::Refused(_))));
    assert_eq!(fs::read_to_string(site.at.join("app")).unwrap(), "bad");
    fs::remove_file(at.join("filler")).unwrap();
    let remount = |how: &str| {
        let options = ["-o", how];
        assert!(Command::new("mount").args(options).arg(&at).status().unwrap().success());
    };
    remount("remount,ro");
    assert_eq!(site.outlook("app"), Err(Obstacle::ReadOnly));
    remount("remount,rw");
    site.restore("app").unwrap();
    assert!(site.is_right("app"));
}

#[test]
fn what_a_crash_left_half_written_is_put_back_and_what_somebody_wrote_stays() {
    let mut site = Site::new(|at| fs::write(at.join("app"), "good, and this long\n").unwrap());
    let path = site.at.join("app");
    let job: JobId = JOB.parse().unwrap();
    let should = site.root.baseline("app");
    for (left, comes_to) in [
        // The first bytes are the baseline's, the rest is what was there.
        ("good, and thbad\n", "bad and this long bad\n"),
        ("somebody else's\n", "somebody else's\n"),
    ] {
        let old = "bad and this long bad\n";
        fs::write(
            &path,
            if left.starts_with("good") { format!("good, a{}", &old[7..]) } else { left.into() },
        )
        .unwrap();
        site.root.baselines().keep_copy(job, old.as_bytes()).unwrap();
        in_place::recover(&site.root, "app", &should, job).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), comes_to);
        in_place::recover(&site.root, "app", &should, job).unwrap();
        assert_eq!(site.root.baselines().copy(job).unwrap(), None);
    }
    site.restore("app").unwrap();
    assert!(site.is_right("app"));
}
