//! What is accepted as the baseline, and taken back.

use super::*;

#[test]
fn what_is_accepted_is_right_from_then_on() {
    let mut site = Site::new();
    site.pass();
    let before = site.root.status().baseline_digest;
    std::fs::write(site.file("a"), "ALPHA\n").unwrap();
    std::fs::remove_file(site.file("sub/b")).unwrap();
    assert_eq!(site.pass().len(), 2);
    assert!(site.root.accept("a", |_| false).is_err(), "something else than what was decided on");
    site.root.accept("a", |_| true).unwrap();
    site.root.accept("sub/b", |_| true).unwrap();
    let told = site.pass();
    assert!(told.len() == 2 && told.iter().all(is_right));
    assert_ne!(site.root.status().baseline_digest, before);
    site.restart();
    assert!(site.pass().is_empty());
    assert_eq!(site.root.status().files, 1);
}

#[test]
fn an_acceptance_can_be_withdrawn_once_and_the_baseline_before_counts_again() {
    let mut site = Site::new();
    site.pass();
    assert!(site.root.earlier("a").is_none() && site.root.withdraw("a").is_err(), "nobody accepted anything");
    std::fs::write(site.file("a"), "ALPHA\n").unwrap();
    std::fs::write(site.file("new"), "x").unwrap();
    site.pass();
    for path in ["a", "new", "a"] {
        site.root.accept(path, |_| true).unwrap();
    }
    assert_eq!(site.root.earlier("new").unwrap().kind, Kind::Absent, "it was not there before");
    assert!(site.pass().iter().all(is_right));
    site.restart();
    site.root.read_baseline();
    site.root.withdraw("a").unwrap();
    site.root.withdraw("new").unwrap();
    let mut told = site.pass();
    told.sort_by(|a, b| a.path.cmp(&b.path));
    assert_eq!(names(&told), ["a", "new"]);
    assert!(told[0].diff.contains("-alpha"), "also after it was accepted twice: {}", told[0].diff);
    assert!(site.root.withdraw("a").is_err(), "there is nothing before that");
    site.restart();
    std::fs::write(site.file("a"), "alpha\n").unwrap();
    std::fs::remove_file(site.file("new")).unwrap();
    assert!(site.pass().iter().all(is_right), "the withdrawal is durable");
}

#[test]
fn what_was_not_read_since_a_withdrawal_is_read_when_everything_is_reported_again() {
    let mut site = Site::new();
    site.pass();
    std::fs::write(site.file("a"), "ALPHA\n").unwrap();
    site.pass();
    site.root.accept("a", |_| true).unwrap();
    site.pass();
    site.root.withdraw("a").unwrap();
    let mut told = Vec::new();
    site.root.report_all(&mut |file| told.push(file));
    assert_eq!(names(&told), ["a"]);
    assert!(told[0].diff.contains("-alpha") && told[0].diff.contains("+ALPHA"), "{told:?}");
}

#[test]
fn a_difference_that_stays_is_reported_beside_the_baseline_that_counts_again() {
    let mut site = Site::new();
    site.pass();
    std::fs::write(site.file("a"), "ALPHA\n").unwrap();
    site.pass();
    site.root.accept("a", |_| true).unwrap();
    site.pass();
    std::fs::write(site.file("a"), "Alpha\n").unwrap();
    assert!(site.pass()[0].diff.contains("-ALPHA"));
    site.root.withdraw("a").unwrap();
    let told = site.pass();
    assert_eq!(names(&told), ["a"]);
    assert!(told[0].diff.contains("-alpha") && told[0].diff.contains("+Alpha"), "{}", told[0].diff);
}

#[test]
fn a_decision_before_the_baseline_was_read_does_not_replace_it() {
    let mut site = Site::new();
    site.pass();
    site.restart();
    let problem = site.root.accept("a", |_| true).unwrap_err();
    assert!(problem.contains("to be known"), "{problem}");
    site.root.read_baseline();
    assert!(!site.root.is_known(), "that nothing differs is not known before it was looked at");
    site.pass();
    assert!(site.root.is_known());
    assert_eq!(site.root.status().files, 2);
    let store = Arc::new(Baselines::open(&site.dir.path().join("other")).unwrap());
    let mut absent = Root::new("/nonexistent/root".into(), &[], store);
    assert!(!absent.is_known());
    absent.full_pass(LATER, &mut |_| panic!("nothing is there"));
    assert!(absent.is_known(), "without a baseline there is nothing to differ from");
}

#[test]
fn a_baseline_keeps_its_date_through_restarts_and_later_acceptances() {
    let mut site = Site::new();
    assert_eq!(site.root.status().baseline_taken_micros, 0, "none was taken yet");
    site.root.full_pass(1_000, &mut |_| {});
    std::fs::write(site.file("a"), "ALPHA\n").unwrap();
    site.root.accept("a", |_| true).unwrap();
    site.restart();
    site.root.full_pass(2_000, &mut |_| {});
    assert_eq!(site.root.status().baseline_taken_micros, 1_000_000_000);
}
