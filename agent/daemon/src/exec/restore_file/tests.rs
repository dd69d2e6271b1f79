//! Tests of restores in a real directory: which files are restored, and which restores are refused with nothing
//! changed.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use nimbus_agent_core::Code;
use nimbus_agent_core::observe::file::MAX_READ;
use std::io;
use std::os::fd::AsFd as _;

use super::super::test_support::JOB;
use super::directories::{make_directory, remove_left_over, temporary};
use super::write::unchanged;
use super::*;
use crate::watch::files::baseline::Baselines;
use crate::watch::files::tree;

/// The temporary name of the job, below this directory.
fn ours(dir: &str) -> String {
    format!("{dir}.nimbus-restore-{JOB}")
}

struct Site {
    _dir: tempfile::TempDir,
    at: PathBuf,
    root: Root,
}

impl Site {
    /// A root with `conf/app.ini`, `run.sh` and a link, whose baseline was just taken.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("root");
        std::fs::create_dir_all(at.join("conf")).unwrap();
        std::fs::write(at.join("conf/app.ini"), "port = 80\n").unwrap();
        std::fs::write(at.join("run.sh"), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(at.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("run.sh", at.join("link")).unwrap();
        let store = Baselines::open(&dir.path().join("baseline")).unwrap();
        let mut root = Root::new(at.clone(), &[], Arc::new(store));
        root.full_pass(0, &mut |file| panic!("told {} on the first pass", file.path));
        Self { _dir: dir, at, root }
    }

    fn action(&self, relative: &str) -> v1::RestoreFile {
        v1::RestoreFile {
            root: self.root.text().to_owned(),
            path: format!("{}/{relative}", self.root.text()),
            expect_current: Some(facts(&self.root.look(relative).entry)),
            restore_to: Some(facts(&self.root.baseline(relative))),
        }
    }

    fn restore(&mut self, relative: &str) -> Result<String, ActError> {
        let action = self.action(relative);
        restore_path(&mut self.root, &action, JOB.parse().unwrap(), &Stop::default())
    }

    fn is_right(&self, relative: &str) -> bool {
        self.root.look(relative).entry.same(&self.root.baseline(relative))
    }

    fn nothing_left_behind(&self) -> bool {
        walk(&self.at).iter().all(|name| !name.contains("nimbus-restore"))
    }
}

fn walk(dir: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        names.push(path.display().to_string());
        if path.is_dir() && !path.is_symlink() {
            names.extend(walk(&path));
        }
    }
    names
}

fn facts(entry: &Entry) -> v1::FileFacts {
    nimbus_agent_core::action::file::facts(&entry.to_state())
}

fn reason(result: Result<String, ActError>) -> String {
    match result {
        Err(ActError::Refused(refusal)) => {
            assert_eq!(refusal.code, Code::PreconditionFailed);
            refusal.reason
        }
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn changed_content_mode_and_a_deleted_file_are_put_back() {
    let mut site = Site::new();
    std::fs::write(site.at.join("conf/app.ini"), "port = 8080\n").unwrap();
    std::fs::set_permissions(site.at.join("conf/app.ini"), PermissionsExt::from_mode(0o666)).unwrap();
    site.restore("conf/app.ini").unwrap();
    assert_eq!(std::fs::read_to_string(site.at.join("conf/app.ini")).unwrap(), "port = 80\n");
    assert!(site.is_right("conf/app.ini"));

    let inode = std::fs::metadata(site.at.join("run.sh")).unwrap().ino();
    std::fs::set_permissions(site.at.join("run.sh"), PermissionsExt::from_mode(0o600)).unwrap();
    site.restore("run.sh").unwrap();
    let now = std::fs::metadata(site.at.join("run.sh")).unwrap();
    assert_eq!((now.mode() & 0o7777, now.ino()), (0o755, inode));

    std::fs::remove_file(site.at.join("run.sh")).unwrap();
    site.restore("run.sh").unwrap();
    assert!(site.is_right("run.sh") && site.nothing_left_behind());
}

#[test]
fn an_added_file_is_removed_and_a_lost_directory_comes_back_with_its_file() {
    let mut site = Site::new();
    std::fs::write(site.at.join("conf/extra"), "x").unwrap();
    site.restore("conf/extra").unwrap();
    assert!(!site.at.join("conf/extra").exists());

    let mode = std::fs::metadata(site.at.join("conf")).unwrap().mode();
    std::fs::remove_dir_all(site.at.join("conf")).unwrap();
    site.restore("conf/app.ini").unwrap();
    assert!(site.is_right("conf/app.ini") && site.is_right("conf"));
    assert_eq!(std::fs::metadata(site.at.join("conf")).unwrap().mode(), mode);
}

#[test]
fn a_directory_that_is_made_again_is_there_as_it_should_be_or_not_at_all() {
    let mut site = Site::new();
    std::fs::set_permissions(site.at.join("conf"), PermissionsExt::from_mode(0o750)).unwrap();
    site.root.accept("conf", |_| true).unwrap();
    std::fs::remove_dir_all(site.at.join("conf")).unwrap();
    let (dir, name) = site.root.open_parent("conf").unwrap();
    let temporary = temporary(JOB.parse().unwrap());
    // Whatever ends it on the way: the next try finds no directory that only looks finished.
    let refused =
        make_directory(dir.as_fd(), &name, &temporary, |_| Err(io::ErrorKind::PermissionDenied.into()));
    assert!(refused.is_err() && !site.at.join("conf").exists() && site.nothing_left_behind());
    let at = site.at.clone();
    let other =
        make_directory(dir.as_fd(), &name, &temporary, |_| std::fs::write(at.join("conf"), "another's"));
    assert!(!other.unwrap() && site.nothing_left_behind());
    assert_eq!(std::fs::read_to_string(site.at.join("conf")).unwrap(), "another's");
    std::fs::remove_file(site.at.join("conf")).unwrap();
    // A crash before the rename leaves the temporary directory alone.
    std::fs::create_dir(site.at.join(&temporary)).unwrap();
    let action = site.action("conf/app.ini");
    restore_path(&mut site.root, &action, JOB.parse().unwrap(), &Stop::default()).unwrap();
    assert!(site.is_right("conf") && site.is_right("conf/app.ini") && site.nothing_left_behind());
}

#[test]
fn a_restore_that_fails_leaves_no_directory_that_it_made() {
    let mut site = Site::new();
    std::fs::create_dir_all(site.at.join("deep/er")).unwrap();
    std::fs::write(site.at.join("deep/er/f"), "x").unwrap();
    // The baseline has the first directory and the file, and not what is between.
    site.root.accept("deep", |_| true).unwrap();
    site.root.accept("deep/er/f", |_| true).unwrap();
    std::fs::remove_dir_all(site.at.join("deep")).unwrap();
    assert!(matches!(site.restore("deep/er/f"), Err(ActError::Failed(_))));
    assert!(!site.at.join("deep").exists() && site.nothing_left_behind());
}

#[test]
fn an_added_file_that_changed_since_it_was_checked_is_not_removed() {
    let site = Site::new();
    std::fs::write(site.at.join("conf/extra"), "x").unwrap();
    let before = site.root.look("conf/extra");
    let (dir, name) = site.root.open_parent("conf/extra").unwrap();
    unchanged(&site.root, "conf/extra", dir.as_fd(), &name, &before).unwrap();
    std::fs::write(site.at.join("conf/extra"), "now it matters").unwrap();
    let changed = unchanged(&site.root, "conf/extra", dir.as_fd(), &name, &before);
    assert!(matches!(changed, Err(ActError::Refused(_))));
}

#[test]
fn a_link_is_put_back_as_a_link() {
    let mut site = Site::new();
    std::fs::remove_file(site.at.join("link")).unwrap();
    symlink("/etc/passwd", site.at.join("link")).unwrap();
    site.restore("link").unwrap();
    assert_eq!(std::fs::read_link(site.at.join("link")).unwrap(), PathBuf::from("run.sh"));
}

#[test]
fn a_file_that_changed_since_the_plan_is_not_touched() {
    let mut site = Site::new();
    std::fs::write(site.at.join("conf/app.ini"), "port = 1\n").unwrap();
    let action = site.action("conf/app.ini");
    std::fs::write(site.at.join("conf/app.ini"), "port = 2\n").unwrap();
    reason(restore_path(&mut site.root, &action, JOB.parse().unwrap(), &Stop::default()));
    assert_eq!(std::fs::read_to_string(site.at.join("conf/app.ini")).unwrap(), "port = 2\n");
}

#[test]
fn a_link_on_the_way_leads_nowhere() {
    let mut site = Site::new();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("app.ini"), "port = 1\n").unwrap();
    std::fs::write(site.at.join("conf/app.ini"), "port = 1\n").unwrap();
    let action = site.action("conf/app.ini");
    std::fs::remove_dir_all(site.at.join("conf")).unwrap();
    symlink(outside.path(), site.at.join("conf")).unwrap();
    assert!(restore_path(&mut site.root, &action, JOB.parse().unwrap(), &Stop::default()).is_err());
    let planned_on_absence = site.action("conf/app.ini");
    assert!(
        restore_path(&mut site.root, &planned_on_absence, JOB.parse().unwrap(), &Stop::default()).is_err()
    );
    assert_eq!(std::fs::read_to_string(outside.path().join("app.ini")).unwrap(), "port = 1\n");
}

#[test]
fn content_that_is_not_kept_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("root");
    std::fs::create_dir(&at).unwrap();
    std::fs::write(at.join("big"), vec![1; usize::try_from(MAX_READ).unwrap() + 1]).unwrap();
    let store = Baselines::open(&dir.path().join("baseline")).unwrap();
    let mut root = Root::new(at.clone(), &[], Arc::new(store));
    root.full_pass(0, &mut |_| {});
    std::fs::write(at.join("big"), "small").unwrap();
    let mut site = Site { _dir: dir, at, root };
    assert!(reason(site.restore("big")).contains("1024 KiB"));
    assert_eq!(std::fs::read_to_string(site.at.join("big")).unwrap(), "small");
}

#[test]
fn a_directory_in_the_place_of_a_file_and_a_path_elsewhere_are_refused() {
    let mut site = Site::new();
    std::fs::remove_file(site.at.join("run.sh")).unwrap();
    std::fs::create_dir(site.at.join("run.sh")).unwrap();
    reason(site.restore("run.sh"));
    assert!(site.at.join("run.sh").is_dir());
    let mut action = site.action("run.sh");
    action.path = "/etc/passwd".to_owned();
    assert!(
        reason(restore_path(&mut site.root, &action, JOB.parse().unwrap(), &Stop::default()))
            .contains("/etc/passwd")
    );
    action.path = format!("{}/../escape", site.root.text());
    assert!(restore_path(&mut site.root, &action, JOB.parse().unwrap(), &Stop::default()).is_err());
}

#[test]
fn once_its_time_is_over_nothing_is_changed() {
    let mut site = Site::new();
    std::fs::write(site.at.join("conf/app.ini"), "port = 1\n").unwrap();
    std::fs::write(site.at.join("conf/extra"), "x").unwrap();
    std::fs::set_permissions(site.at.join("run.sh"), PermissionsExt::from_mode(0o600)).unwrap();
    let stop = Stop::default();
    drop(StopOnDrop(stop.clone()));
    for relative in ["conf/app.ini", "conf/extra", "run.sh"] {
        let before = site.root.look(relative).entry;
        let action = site.action(relative);
        assert!(matches!(
            restore_path(&mut site.root, &action, JOB.parse().unwrap(), &stop),
            Err(ActError::Failed(_))
        ));
        assert!(site.root.look(relative).entry.same(&before) && site.nothing_left_behind());
    }
}

#[test]
fn nothing_is_set_or_written_through_a_name_that_somebody_put_there() {
    let mut site = Site::new();
    let outside = tempfile::tempdir_in(site.at.parent().unwrap()).unwrap();
    let foreign = outside.path().join("foreign");
    std::fs::write(&foreign, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&foreign, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::remove_file(site.at.join("run.sh")).unwrap();
    std::fs::hard_link(&foreign, site.at.join("run.sh")).unwrap();
    let done = site.restore("run.sh").unwrap();
    assert!(done.contains("other name, which keep"), "{done}");
    assert!(site.is_right("run.sh"));
    let now = std::fs::metadata(&foreign).unwrap();
    assert_eq!((now.mode() & 0o7777, now.nlink()), (0o600, 1));
    std::fs::write(&foreign, "another's").unwrap();
    std::fs::remove_file(site.at.join("run.sh")).unwrap();
    std::fs::hard_link(&foreign, site.at.join("run.sh")).unwrap();
    site.restore("run.sh").unwrap();
    assert!(site.is_right("run.sh"));
    assert_eq!(std::fs::read_to_string(&foreign).unwrap(), "another's");
}

#[test]
fn bits_that_lend_rights_are_given_to_a_new_file_alone() {
    let mut site = Site::new();
    std::fs::set_permissions(site.at.join("run.sh"), PermissionsExt::from_mode(0o4755)).unwrap();
    site.root.accept("run.sh", |_| true).unwrap();
    std::fs::set_permissions(site.at.join("run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    let inode = std::fs::metadata(site.at.join("run.sh")).unwrap().ino();
    let open = std::fs::File::open(site.at.join("run.sh")).unwrap();
    site.restore("run.sh").unwrap();
    let now = std::fs::metadata(site.at.join("run.sh")).unwrap();
    assert_eq!(now.mode() & 0o7777, 0o4755);
    assert_ne!(now.ino(), inode);
    assert_eq!(open.metadata().unwrap().mode() & 0o7777, 0o755, "whoever has the old one open gains nothing");
}

#[test]
fn a_long_file_is_never_replaced() {
    let mut site = Site::new();
    std::fs::File::create(site.at.join("conf/app.ini")).unwrap().set_len(MAX_READ + 1).unwrap();
    std::fs::File::create(site.at.join("conf/extra")).unwrap().set_len(MAX_READ + 1).unwrap();
    assert!(reason(site.restore("conf/app.ini")).contains("1024 KiB"));
    assert!(reason(site.restore("conf/extra")).contains("1024 KiB"));
    assert!(site.at.join("conf/extra").exists());
}

#[test]
fn what_a_crash_left_beside_the_file_is_removed() {
    let mut site = Site::new();
    std::fs::write(site.at.join(ours("conf/")), "half").unwrap();
    std::fs::write(site.at.join("conf/.nimbus-restore-job_2"), "another job's").unwrap();
    let action = site.action("conf/app.ini");
    remove_left_over(&site.root, &action.path, JOB.parse().unwrap()).unwrap();
    remove_left_over(&site.root, &action.path, JOB.parse().unwrap()).unwrap();
    assert!(!site.at.join(ours("conf/")).exists());
    assert!(site.at.join("conf/.nimbus-restore-job_2").exists());
    std::fs::remove_dir_all(site.at.join("conf")).unwrap();
    // Beside a parent that was to be made again.
    std::fs::create_dir(site.at.join(ours(""))).unwrap();
    remove_left_over(&site.root, &action.path, JOB.parse().unwrap()).unwrap();
    assert!(!site.at.join(ours("")).exists());
    remove_left_over(&site.root, &action.path, JOB.parse().unwrap()).unwrap();
    site.root.full_pass(0, &mut |_| {});
}

#[test]
fn nothing_is_removed_where_the_baseline_could_not_look() {
    let mut site = Site::new();
    let deep = "d/".repeat(tree::MAX_DEPTH);
    std::fs::create_dir_all(site.at.join(&deep)).unwrap();
    let before = format!("{deep}before");
    std::fs::write(site.at.join(&before), "x").unwrap();
    let store = Baselines::open(&site.at.join("../other")).unwrap();
    site.root = Root::new(site.at.clone(), &[], Arc::new(store));
    site.root.full_pass(0, &mut |file| panic!("told {}", file.path));
    assert!(reason(site.restore(&before)).contains("nothing is removed"));
    assert!(site.at.join(&before).exists());
    // A directory that can be looked into has what was added to it removed as ever.
    std::fs::write(site.at.join("d/extra"), "x").unwrap();
    site.restore("d/extra").unwrap();
    assert!(!site.at.join("d/extra").exists());
}

#[test]
fn a_restore_that_did_not_help_writes_over_nothing_that_came_after_it() {
    let mut site = Site::new();
    std::fs::write(site.at.join("conf/app.ini"), "port = 1\n").unwrap();
    let action = site.action("conf/app.ini");
    let left = |site: &Site| compensation_of(&action, &site.root.look("conf/app.ini").entry.to_state());
    restore_path(&mut site.root, &action, JOB.parse().unwrap(), &Stop::default()).unwrap();
    let Compensation::Failed(reason) = left(&site) else { panic!("it is as in its baseline") };
    assert!(reason.contains("baseline again"), "{reason}");
    std::fs::write(site.at.join("conf/app.ini"), "port = 2\n").unwrap();
    let Compensation::Failed(reason) = left(&site) else { panic!("it is as somebody wrote it") };
    assert!(reason.contains("something else wrote it"), "{reason}");
    std::fs::write(site.at.join("conf/app.ini"), "port = 1\n").unwrap();
    assert!(matches!(left(&site), Compensation::Undone(_)), "whoever wrote it put it back as it was");
}

#[test]
fn a_damaged_copy_is_never_put_back_and_named_by_its_name() {
    let mut site = Site::new();
    std::fs::write(site.at.join("conf/app.ini"), "port = 1\n").unwrap();
    let hash = site.root.baseline("conf/app.ini").sha256.unwrap();
    let copy = site.at.parent().unwrap().join("baseline/blobs").join(crate::identity::hex(&hash));
    let mut content = std::fs::read(&copy).unwrap();
    content[3] ^= 1;
    std::fs::write(&copy, content).unwrap();
    // The first one reads it; from then on it is known before.
    assert!(reason(site.restore("conf/app.ini")).contains("kept copy damaged"));
    assert!(reason(site.restore("conf/app.ini")).contains("kept copy of its baseline is damaged"));
    assert_eq!(std::fs::read_to_string(site.at.join("conf/app.ini")).unwrap(), "port = 1\n");
}
