//! What stands at a root: nothing, a link, another directory, a mount, or one that cannot be listed.

use super::*;

#[test]
fn a_missing_root_is_a_problem_until_it_appears_and_drift_when_it_goes() {
    let mut site = Site::new();
    let kept = site.dir.path().join("kept");
    std::fs::rename(site.dir.path().join("root"), &kept).unwrap();
    assert!(site.pass().is_empty());
    assert!(site.root.waits() && site.root.status().problem.contains("as soon as it appears"));
    std::fs::rename(&kept, site.dir.path().join("root")).unwrap();
    assert!(site.pass().is_empty());
    assert!(!site.root.waits() && site.root.status().problem.is_empty());

    std::fs::rename(site.dir.path().join("root"), &kept).unwrap();
    let told = site.pass();
    assert_eq!(told.len(), 4, "the root, the directory and both files");
    assert!(told.iter().all(|file| file.current.as_ref().unwrap().kind == "absent"));
    assert!(!site.root.status().problem.is_empty());
}

#[test]
fn a_root_that_a_link_leads_to_is_not_watched_and_the_way_without_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().canonicalize().unwrap();
    std::fs::create_dir_all(at.join("real/root")).unwrap();
    std::os::unix::fs::symlink(at.join("real"), at.join("link")).unwrap();
    let store = Arc::new(Baselines::open(&at.join("baseline")).unwrap());
    let mut root = Root::new(at.join("link/root"), &[], store.clone());
    root.full_pass(LATER, &mut |file| panic!("told {}", file.path));
    let problem = root.status().problem;
    assert!(problem.contains(&format!("watch {} instead", at.join("real/root").display())), "{problem}");
    assert!(root.waits() && root.status().baseline_digest.is_empty(), "nothing became a baseline");
    std::fs::remove_file(at.join("link")).unwrap();
    std::fs::rename(at.join("real"), at.join("link")).unwrap();
    root.full_pass(LATER, &mut |file| panic!("told {}", file.path));
    assert_eq!((root.status().problem.as_str(), root.status().baseline_digest.len()), ("", 32));
}

#[test]
fn the_baseline_of_an_older_agent_is_pinned_at_the_next_start_unless_a_link_leads_there() {
    let mut site = Site::new();
    site.pass();
    let store = site.root.baselines.clone();
    let mut index = Whole::load(&store, site.root.text()).unwrap().unwrap();
    assert!(index.head.pin.take().is_some(), "the first pass pins");
    index.save(&store, site.root.text());
    site.restart();
    site.root.read_baseline();
    assert!(site.root.place().is_ok(), "pinned before the first job");
    assert!(site.pass().is_empty());
    assert!(Whole::load(&store, site.root.text()).unwrap().unwrap().head.pin.is_some());

    index.save(&store, site.root.text());
    let away = site.dir.path().join("away");
    std::fs::rename(site.dir.path().join("root"), &away).unwrap();
    std::os::unix::fs::symlink(&away, site.dir.path().join("root")).unwrap();
    site.restart();
    assert!(site.pass().is_empty());
    let problem = site.root.status().problem;
    assert!(problem.contains("a link or a file in its place"), "{problem}");
    assert_eq!(std::fs::read_to_string(away.join("a")).unwrap(), "alpha\n");
}

#[test]
fn a_start_of_the_system_renumbers_its_devices_and_the_pin_follows() {
    let mut site = Site::new();
    site.pass();
    let store = site.root.baselines.clone();
    let mut index = Whole::load(&store, site.root.text()).unwrap().unwrap();
    let pin = index.head.pin.as_mut().unwrap();
    let now = pin.clone();
    pin.boot = "another start".to_owned();
    for identity in [Some(&mut pin.parent), pin.root.as_mut()].into_iter().flatten() {
        identity.device += 1;
    }
    index.save(&store, site.root.text());
    site.restart();
    assert!(site.pass().is_empty());
    assert_eq!(site.root.status().problem, "");
    assert_eq!(Whole::load(&store, site.root.text()).unwrap().unwrap().head.pin, Some(now));
}

#[test]
fn a_root_that_cannot_be_listed_any_more_is_unknown_not_deleted() {
    let mut site = Site::new();
    site.pass();
    assert!(site.pass_with("", Is::Locked).is_empty());
    assert!(!site.root.status().problem.is_empty());
    assert!(site.pass().is_empty());
}

#[test]
fn a_mount_that_comes_is_adopted_and_one_that_goes_is_unknown() {
    let mut site = Site::new();
    std::fs::remove_file(site.file("sub/b")).unwrap();
    site.pass();
    std::fs::write(site.file("sub/on-it"), "x").unwrap();
    assert!(site.pass_with("sub", Is::Mounted).is_empty());
    std::fs::write(site.file("sub/later"), "x").unwrap();
    assert_eq!(names(&site.pass_with("sub", Is::Mounted)), ["sub/later"]);
    site.restart();
    std::fs::remove_file(site.file("sub/on-it")).unwrap();
    std::fs::write(site.file("sub/below-it"), "x").unwrap();
    std::fs::remove_file(site.file("sub/later")).unwrap();
    let mut early = Vec::new();
    site.root.read_baseline();
    site.root.report_all(&mut |file| early.push(file));
    let mut told = site.pass();
    site.root.report_all(&mut |file| told.push(file));
    assert!(!site.root.check("sub/later", LATER, &mut |file| told.push(file)), "a pass asks for the mount");
    for file in early.iter().chain(&told) {
        assert_eq!(names(std::slice::from_ref(file)), ["sub/later"], "{file:?}");
        assert!(!is_right(file), "that it is not seen without its mount is no evidence: {file:?}");
    }
    assert!(site.root.status().problem.contains("sub"));
}

#[test]
fn what_differs_below_a_root_that_became_a_link_cannot_be_put_back_and_that_is_told_once() {
    let mut site = Site::new();
    site.pass();
    std::fs::write(site.file("a"), "changed\n").unwrap();
    let told = site.pass();
    assert_eq!((names(&told), told[0].restore.as_ref().unwrap().obstacle.as_str()), (vec!["a".into()], ""));
    let away = site.dir.path().join("away");
    std::fs::rename(site.dir.path().join("root"), &away).unwrap();
    std::os::unix::fs::symlink(&away, site.dir.path().join("root")).unwrap();
    let told = site.pass();
    assert_eq!(names(&told), ["a"], "whoever was asked for it hears of it");
    assert_eq!(told[0].restore.as_ref().unwrap().obstacle, "changed_root");
    assert!(site.pass().is_empty(), "and once");
    std::fs::remove_file(site.dir.path().join("root")).unwrap();
    std::fs::rename(&away, site.dir.path().join("root")).unwrap();
    let told = site.pass();
    assert_eq!((names(&told), told[0].restore.as_ref().unwrap().obstacle.as_str()), (vec!["a".into()], ""));
}
