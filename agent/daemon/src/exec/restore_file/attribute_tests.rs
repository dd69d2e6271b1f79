//! Tests of attributes on a real file system that an agent cannot keep as they are: names that are no text, more than is
//! kept, and what cannot be read. Where the file system has none such, a test says by name that it was left out.

use std::fs;
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::super::accept_baseline;
use super::held_tests::{CAPABLE, Site, get, left_out, set};
use super::*;

/// The name of an attribute that is no text.
const ODD: &[u8] = b"user.\xff";

/// The names of the attributes of the state, as they are told.
fn told_names(state: Option<&v1::FileState>) -> Vec<String> {
    let all = state.and_then(|state| state.attributes.as_ref());
    all.map_or_else(Vec::new, |all| all.all.iter().map(|one| one.name.clone()).collect())
}

fn get_odd(path: &Path) -> Option<Vec<u8>> {
    let mut value = [0; 16];
    getxattr(path, ODD, &mut value[..]).ok().map(|length| value[..length].to_vec())
}

/// Gives it attributes whose names alone are more than Linux hands out; `None` where that cannot be done.
fn set_too_many(path: &Path) -> Option<Vec<String>> {
    let names: Vec<String> = (0..300).map(|n| format!("trusted.{n:0>240}")).collect();
    names.iter().all(|name| set(path, name, b"x")).then_some(names)
}

/// As a job does that was planned on what is there now.
fn accept(site: &mut Site, relative: &str) -> Result<(), ActError> {
    let now = nimbus_agent_core::action::file::facts(&site.root.look(relative).entry.to_state());
    let action = v1::AcceptBaseline {
        root: site.root.text().to_owned(),
        path: format!("{}/{relative}", site.root.text()),
        expect_current: Some(now),
    };
    accept_baseline::accept(&mut site.root, &action)
}

#[test]
fn a_capability_is_seen_beside_an_attribute_whose_name_is_no_text() {
    let mut has = false;
    let mut site = Site::new(|at| {
        fs::write(at.join("app"), "good").unwrap();
        fs::write(at.join("odd"), "good").unwrap();
        has = setxattr(at.join("odd"), ODD, b"kept", XattrFlags::empty()).is_ok();
    });
    if !has {
        return left_out("a name that is no text", "this file system has no attributes");
    }
    let path = site.at.join("app");
    setxattr(&path, ODD, b"x", XattrFlags::empty()).unwrap();
    let capable = set(&path, "security.capability", &CAPABLE);
    let told = site.told();
    let names = told_names(told[0].current.as_ref());
    assert!(names.contains(&r"user.\xff".to_owned()), "{names:?}");
    assert_eq!(names.contains(&"security.capability".to_owned()), capable, "{names:?}");
    site.restore("app").unwrap();
    assert!(get_odd(&path).is_none() && site.is_right("app"));
    // As a part of the baseline it comes back.
    let path = site.at.join("odd");
    fs::write(site.at.join("new"), "bad").unwrap();
    fs::rename(site.at.join("new"), &path).unwrap();
    site.told();
    site.restore("odd").unwrap();
    assert_eq!(get_odd(&path).as_deref(), Some(&b"kept"[..]));
    assert!(site.is_right("odd"));
}

#[test]
fn more_attributes_than_are_kept_are_compared_and_what_cannot_be_put_back_is_known() {
    let big = |path: &Path, byte: u8| {
        let value = vec![byte; 40_000];
        ["user.a", "user.b"].into_iter().all(|name| set(path, name, &value))
    };
    let mut has = false;
    let mut site = Site::new(|at| {
        fs::write(at.join("app"), "good").unwrap();
        fs::write(at.join("many"), "good").unwrap();
        has = big(&at.join("many"), 1);
    });
    if !has {
        return left_out("more attributes than are kept", "this file system takes fewer");
    }
    let path = site.at.join("app");
    assert!(big(&path, 1));
    let capable = set(&path, "security.capability", &CAPABLE);
    let told = site.told();
    let names = told_names(told[0].current.as_ref());
    assert_eq!(names.contains(&"security.capability".to_owned()), capable, "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("all extended attributes"));
    site.restore("app").unwrap();
    assert!(site.is_right("app") && get(&path, "security.capability").is_empty());
    let path = site.at.join("many");
    assert!(big(&path, 2));
    let told = site.told();
    let outlook = told.iter().find(|file| file.path.ends_with("/many")).unwrap().restore.clone().unwrap();
    assert_eq!(outlook.obstacle, "not_kept");
    assert!(matches!(site.restore("many"), Err(ActError::Refused(_))));
    assert!(big(&path, 1));
    assert!(site.told().iter().all(|file| file.baseline == file.current), "the same again");
}

#[test]
fn attributes_that_cannot_be_read_any_more_are_drift_and_a_problem() {
    let mut site = Site::new(|at| fs::write(at.join("app"), "good").unwrap());
    let path = site.at.join("app");
    let Some(names) = set_too_many(&path) else {
        return left_out("attributes that cannot be read", "this user or file system may not have so many");
    };
    let told = site.told();
    let (before, after) = (told[0].baseline.as_ref().unwrap(), told[0].current.as_ref().unwrap());
    assert!(before.attributes.is_some() && after.attributes.is_none());
    assert!(after.problem.contains("their names alone are more than 64 KiB"), "{}", after.problem);
    assert_eq!(told[0].restore.as_ref().unwrap().obstacle, "unreadable");
    let problem = site.root.status().problem;
    assert!(problem.contains("1 paths whose attributes") && problem.contains("app"), "{problem}");
    assert!(matches!(site.restore("app"), Err(ActError::Refused(_))));
    assert!(site.root.accept("app", |_| true).is_err(), "nor is it accepted unseen");
    let Err(ActError::Refused(refusal)) = accept(&mut site, "app") else { panic!("not refused") };
    assert!(refusal.reason.contains("expected attributes that can be read"), "{}", refusal.reason);
    assert!(site.told().is_empty(), "told once");
    for name in &names {
        rustix::fs::removexattr(&path, name.as_str()).unwrap();
    }
    assert!(site.told().iter().all(|file| file.baseline == file.current));
    assert_eq!(site.root.status().problem, "");
}

#[test]
fn what_cannot_be_read_keeps_no_directory_from_being_accepted_and_every_file() {
    let mut site = Site::new(|at| fs::create_dir(at.join("known")).unwrap());
    fs::create_dir(site.at.join("new")).unwrap();
    fs::write(site.at.join("added"), "x").unwrap();
    let paths = ["added", "known", "new"];
    if !paths.iter().all(|path| set_too_many(&site.at.join(path)).is_some()) {
        return left_out("accepting what cannot be read", "this user or file system may not have so many");
    }
    let told = site.told();
    assert_eq!(told.len(), paths.len());
    assert!(told.iter().all(|file| file.restore.as_ref().unwrap().obstacle == "unreadable"), "{told:?}");
    assert!(accept(&mut site, "added").is_err());
    fs::remove_file(site.at.join("added")).unwrap();
    for path in ["known", "new"] {
        accept(&mut site, path).unwrap();
        let baseline = site.root.baseline(path);
        assert!(baseline.attributes.is_none() && baseline.problem.is_empty(), "{baseline:?}");
    }
    assert!(site.told().iter().all(|file| file.baseline == file.current));
    let problem = site.root.status().problem;
    assert!(problem.contains("2 paths whose attributes"), "still said: {problem}");
    // Also where nothing else differed there is a decision to withdraw.
    site.root.withdraw("known").unwrap();
    let told = site.told();
    assert!(told.len() == 1 && told[0].path.ends_with("/known"), "{told:?}");
    assert!(told[0].baseline.as_ref().unwrap().attributes.is_some());
}
