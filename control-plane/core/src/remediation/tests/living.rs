//! Scenes of files that live: logs, editors' and package managers' own files, volumes that the kubelet swaps. One change is
//! one incident, and nobody is asked to undo a part of it.

use nimbus_protocol::v1::{self, observation::Body};

use super::*;
use crate::model::*;
use crate::remediation;

fn added(lab: &mut Lab, path: &str) {
    see(lab, path, file_state("absent", 0, 0), file_state("file", 0o644, 9));
}

fn changed(lab: &mut Lab, path: &str) {
    see(lab, path, file_state("file", 0o644, 1), file_state("file", 0o644, 2));
}

fn right(lab: &mut Lab, path: &str) {
    see(lab, path, file_state("absent", 0, 0), file_state("absent", 0, 0));
}

fn see(lab: &mut Lab, path: &str, baseline: v1::FileState, current: v1::FileState) {
    lab.see_host(Body::File(file(path, baseline, current)));
}

fn open(lab: &Lab) -> Vec<&Incident> {
    lab.incidents.values().map(|incident| &incident.doc).filter(|incident| incident.is_open()).collect()
}

#[test]
fn nobody_is_asked_to_remove_what_an_editor_has_open() {
    let mut lab = Lab::new();
    added(&mut lab, "/srv/etc/.app.conf.swp");
    added(&mut lab, "/srv/etc/4913");
    for _ in 0..50 {
        assert!(lab.settle().is_empty());
        lab.pass(60);
    }
    assert_eq!((lab.incidents.len(), lab.approvals.len()), (0, 0), "somebody edits a file");
    right(&mut lab, "/srv/etc/4913");
    // A session that was forgotten, or a name that somebody hides behind, is seen in the end.
    lab.pass(1_200);
    lab.settle();
    let all = open(&lab);
    assert_eq!((all.len(), lab.approvals.len()), (1, 0));
    assert_eq!(all[0].state, IncidentState::Escalated);
    assert!(all[0].reason.contains("an editor's own file"), "{}", all[0].reason);
    right(&mut lab, "/srv/etc/.app.conf.swp");
    lab.settle();
    assert!(open(&lab).is_empty());
}

#[test]
fn a_log_and_what_was_rotated_from_it_are_one_incident_with_the_advice() {
    let mut lab = Lab::new();
    let (before, after) = (file_state("file", 0o644, 1), file_state("file", 0o644, 2));
    lab.see_host(Body::File(v1::File { lines_lost: 120, ..file("/srv/etc/app.log", before, after) }));
    added(&mut lab, "/srv/etc/app.log.1");
    added(&mut lab, "/srv/etc/app.log.2.gz");
    lab.settle();
    let all = open(&lab);
    assert_eq!((all.len(), lab.approvals.len()), (1, 0));
    assert_eq!(all[0].object.name(), "/srv/etc/app.log");
    assert!(all[0].reason.contains("--exclude /srv/etc/app.log"), "{}", all[0].reason);
    assert!(all[0].reason.contains("would lose 120 lines"), "{}", all[0].reason);
    assert!(
        all[0].evidence.iter().any(|line| line.contains("app.log.2.gz was added")),
        "{:?}",
        all[0].evidence
    );
    // The log itself is as it was: what was rotated is told of it all the same, and ends with it.
    see(&mut lab, "/srv/etc/app.log", file_state("file", 0o644, 1), file_state("file", 0o644, 1));
    lab.settle();
    assert_eq!(open(&lab).len(), 1);
    for path in ["/srv/etc/app.log.1", "/srv/etc/app.log.2.gz"] {
        right(&mut lab, path);
    }
    lab.settle();
    assert!(open(&lab).is_empty());
}

#[test]
fn what_is_only_called_like_a_log_is_asked_for() {
    let mut lab = Lab::new();
    for path in ["/srv/etc/logrotate.d/syslog", "/srv/etc/logrotate.d/wtmp", "/srv/etc/init.d/syslog"] {
        changed(&mut lab, path);
    }
    let program = || file_state("file", 0o755, 9);
    for path in ["/srv/etc/log/lastlog", "/srv/etc/log/syslog.1"] {
        see(&mut lab, path, file_state("absent", 0, 0), program());
    }
    lab.settle();
    assert_eq!((open(&lab).len(), lab.live_approvals()), (5, 5));
    // What is a log by its place: nobody is asked.
    let mut lab = Lab::new();
    changed(&mut lab, "/srv/etc/log/wtmp");
    added(&mut lab, "/srv/etc/log/wtmp.1");
    lab.settle();
    let all = open(&lab);
    assert_eq!((all.len(), lab.approvals.len(), all[0].object.name()), (1, 0, "/srv/etc/log/wtmp"));
}

#[test]
fn thirty_upgraded_configuration_files_are_thirty_incidents_and_no_temporary_one() {
    let mut lab = Lab::new();
    for n in 0..30 {
        let path = format!("/srv/etc/app{n}.conf");
        added(&mut lab, &format!("{path}.dpkg-new"));
        lab.settle();
        right(&mut lab, &format!("{path}.dpkg-new"));
        changed(&mut lab, &path);
    }
    lab.settle();
    assert_eq!((lab.incidents.len(), lab.live_approvals()), (30, 30));
}

#[test]
fn what_a_package_manager_left_is_told_of_the_file_it_belongs_to_and_nobody_is_asked() {
    let mut lab = Lab::new();
    changed(&mut lab, "/srv/etc/app.conf");
    added(&mut lab, "/srv/etc/app.conf.dpkg-old");
    added(&mut lab, "/srv/etc/other.conf.dpkg-dist");
    lab.settle();
    let all = open(&lab);
    let names: Vec<&str> = all.iter().map(|incident| incident.object.name()).collect();
    assert_eq!(names, ["/srv/etc/app.conf", "/srv/etc/other.conf"]);
    assert_eq!(lab.approvals.len(), 0);
    assert!(all.iter().all(|incident| incident.reason.contains("look at both")), "{}", all[0].reason);
    // A person may accept what is there, one after the other.
    let id = all[1].id;
    let mut ids = lab.ids.clone();
    let changes = remediation::accept_baseline(&lab.snapshot(), id, "operator", lab.now, &mut ids).unwrap();
    let plan = &changes.plans[0].doc;
    assert!(plan.summary.contains("/srv/etc/other.conf.dpkg-dist"), "{}", plan.summary);
}

#[test]
fn a_volume_that_the_kubelet_swapped_is_one_incident_and_no_part_of_it_is_put_back() {
    let mut lab = Lab::new();
    let link = |content| v1::FileState { sha256: vec![content; 32], ..file_state("symlink", 0o777, 0) };
    see(&mut lab, "/srv/etc/vol/..data", link(1), link(2));
    for file in ["", "/a.conf", "/b.conf"] {
        let kind = if file.is_empty() { "directory" } else { "file" };
        let state = || file_state(kind, 0o644, 1);
        see(
            &mut lab,
            &format!("/srv/etc/vol/..2026_11_26_08_00_00.111{file}"),
            state(),
            file_state("absent", 0, 0),
        );
        see(
            &mut lab,
            &format!("/srv/etc/vol/..2026_11_26_09_00_00.222{file}"),
            file_state("absent", 0, 0),
            state(),
        );
    }
    lab.settle();
    let all = open(&lab);
    assert_eq!((all.len(), lab.approvals.len()), (1, 0), "{all:#?}");
    assert_eq!(all[0].object.name(), "/srv/etc/vol/..data");
    assert!(all[0].reason.contains("would break the rest"), "{}", all[0].reason);
    assert!(all[0].reason.contains("leave /srv/etc/vol out"), "{}", all[0].reason);
}

#[test]
fn a_plain_file_is_asked_for_as_ever_beside_all_of_them() {
    let mut lab = Lab::new();
    changed(&mut lab, "/srv/etc/logrotate.conf");
    changed(&mut lab, "/srv/etc/app.log.conf");
    added(&mut lab, "/srv/etc/backdoor.sh");
    lab.settle();
    assert_eq!((lab.incidents.len(), lab.live_approvals()), (3, 3));
}

#[test]
fn what_is_left_out_for_an_hour_is_told_in_the_status() {
    let mut lab = Lab::new();
    for name in [".app.conf.swp", "4913", "sedXy3kQ1", ".app.conf.k3Jd9Q"] {
        added(&mut lab, &format!("/srv/etc/{name}"));
    }
    lab.settle();
    assert!(lab.incidents.is_empty());
    let told = remediation::bounds(&lab.snapshot(), lab.now);
    assert_eq!((told.len(), told[0].kind, told[0].left_out), (1, remediation::BoundKind::PassingFiles, 4));
    assert!(
        told[0].text.contains("/srv/etc/.app.conf.k3Jd9Q") && told[0].text.contains("..."),
        "{}",
        told[0].text
    );
}

#[test]
fn directories_that_were_added_below_each_other_are_one_incident() {
    let mut lab = Lab::new();
    let directory = |lab: &mut Lab, path: &str| {
        see(lab, path, file_state("absent", 0, 0), file_state("directory", 0o755, 0));
    };
    for path in ["/srv/etc/n1", "/srv/etc/n1/n2", "/srv/etc/n1/n2/n3", "/srv/etc/other"] {
        directory(&mut lab, path);
    }
    added(&mut lab, "/srv/etc/n1/n2/app.conf");
    lab.settle();
    let all = open(&lab);
    let mut paths: Vec<&str> = all.iter().map(|incident| incident.object.name()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        ["/srv/etc/n1", "/srv/etc/n1/n2/app.conf", "/srv/etc/other"],
        "a file is asked for by itself"
    );
    let top = all.iter().find(|incident| incident.object.name() == "/srv/etc/n1").unwrap();
    assert!(
        top.evidence.iter().any(|line| line == "belongs to it: /srv/etc/n1/n2/n3 was added"),
        "{:?}",
        top.evidence
    );
}
