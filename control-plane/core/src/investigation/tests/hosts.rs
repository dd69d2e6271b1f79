//! Of a host: its unit, its file, its disks, and what its agent does not tell.

use nimbus_protocol::v1;

use super::*;

fn unit(name: &str, state: &str, at: Timestamp) -> v1::Unit {
    v1::Unit {
        name: name.into(),
        load_state: "loaded".into(),
        active_state: state.into(),
        sub_state: state.into(),
        result: "exit-code".into(),
        main_code: "exited".into(),
        main_status: Some(3),
        restarts: Some(2),
        changed_us: Some(to_micros(at)),
        ..v1::Unit::default()
    }
}

fn drifted(path: &str) -> Body {
    let (before, now) = (file_state("file", 0o640, 1), file_state("file", 0o666, 2));
    Body::File(v1::File { diff: "-a".into(), ..file(path, before, now) })
}

fn disk(mount: &str, left: u64) -> v1::Disk {
    v1::Disk { mount: mount.into(), filesystem: "ext4".into(), total_bytes: 1_000, available_bytes: left }
}

/// A unit failed ten minutes after one of its host's files began to differ; another one failed as well, and one runs.
fn failed_unit() -> Lab {
    let mut lab = Lab::new();
    lab.see_host(drifted("/srv/etc/web.conf"));
    lab.pass(600);
    lab.see_host(Body::Host(v1::Host {
        hostname: "edge".into(),
        uptime_seconds: 3_600,
        memory_total_bytes: 1_000,
        memory_available_bytes: 250,
        disks: vec![disk("/", 900), disk("/snap", 0), disk("/var", 200)],
        ..v1::Host::default()
    }));
    let at = lab.now - SignedDuration::from_secs(5);
    let units = vec![
        unit("web.service", "failed", at),
        unit("db.service", "failed", at),
        unit("ssh.service", "active", at),
    ];
    lab.see_host(Body::Units(v1::Units { system_state: "degraded".into(), units, not_listed: 4 }));
    lab.settle();
    lab
}

fn about(lab: &Lab, name: &str) -> Investigation {
    let incidents = || lab.incidents.values().map(|it| &it.doc);
    around(lab, incidents().find(|it| it.object.name() == name).unwrap())
}

#[test]
fn a_unit_that_failed_says_how_it_ended_and_what_else_is_wrong_on_its_host() {
    let lab = failed_unit();
    let found = about(&lab, "web.service");
    assert_eq!((found.as_of, found.now[0].of.as_str()), (Some(lab.now), "web.service"));
    let own: Vec<&str> =
        found.now.iter().filter(|one| one.of == "web.service").map(|one| one.text.as_str()).collect();
    assert_eq!(
        own,
        [
            "it is failed (exit-code) since 2027-01-15T08:09:55Z",
            "its main process ended with status 3",
            "how its last run ended, in systemd's word: exit-code",
            "systemd started it again 2 times by itself",
        ]
    );
    let began =
        found.timeline.iter().find(|one| one.of == "web.service" && one.source == Source::Status).unwrap();
    assert_eq!(
        (began.at, began.text.as_str()),
        (Some(lab.now - SignedDuration::from_secs(5)), "it is failed (exit-code) since then")
    );
    assert!(
        found.now.iter().any(|one| one.of == "db.service")
            && !found.now.iter().any(|one| one.of == "ssh.service")
    );
    let (at, what, _) = line(&found.timeline, Source::Status, "first seen to differ from its baseline");
    assert_eq!((at, what), (Some(lab.now - SignedDuration::from_secs(600)), "/srv/etc/web.conf"));
    assert_eq!(
        line(&found.timeline, Source::Status, "the host was started").0,
        Some(lab.now - SignedDuration::from_secs(3_600))
    );
    line(&found.now, Source::Status, "75.0 % of its memory in use");
    let mounts: Vec<&str> =
        found.now.iter().filter_map(|one| one.text.split("the disk at ").nth(1)).collect();
    assert_eq!(
        mounts,
        ["/var (ext4), 80.0 % in use", "/ (ext4), 10.0 % in use", "/snap (ext4), 100.0 % in use"],
        "what has nothing left may be full by its nature"
    );
    gap(&found, "how 4 more units of this host are, is unknown");
    gap(&found, "what the units of a host wrote to its journal is not collected");
}

#[test]
fn a_file_that_drifted_says_what_differs_since_when_and_what_its_agent_does_not_tell() {
    let lab = failed_unit();
    let found = about(&lab, "/srv/etc/web.conf");
    assert_eq!(found.now[0].of, "/srv/etc/web.conf");
    let (_, _, text) =
        line(&found.now, Source::Status, "it differs from its baseline since 2027-01-15T08:00:00Z");
    assert!(text.ends_with(": content, mode 0666 instead of 0640"), "{text}");
    gap(&found, "whether /srv/etc/web.conf could be put back is unknown: its agent does not tell");
    let began = line(&found.timeline, Source::Status, "first seen to differ from its baseline");
    assert_eq!(began.0, Some(lab.now - SignedDuration::from_secs(600)));

    let mut lab = lab;
    lab.pass(60);
    let restore = v1::RestoreOutlook {
        obstacle: "no_space".into(),
        reason: "the disk is full".into(),
        ..Default::default()
    };
    let again = file("/srv/etc/web.conf", file_state("file", 0o640, 1), file_state("file", 0o640, 3));
    lab.see_host(Body::File(v1::File { restore: Some(restore), ..again }));
    let found = about(&lab, "/srv/etc/web.conf");
    line(&found.now, Source::Status, "its agent cannot put it back: the disk is full");
    assert_eq!(line(&found.timeline, Source::Status, "it changed again, and differs still").0, Some(lab.now));
    says_nothing_of(&found, "could be put back");
}

#[test]
fn files_are_bounded_and_what_a_host_no_longer_tells_is_said() {
    let mut lab = failed_unit();
    for n in 0..30 {
        lab.see_host(drifted(&format!("/srv/etc/{n:02}")));
    }
    let found = about(&lab, "web.service");
    let files = found.timeline.iter().filter(|one| one.of.starts_with("/srv/etc/")).count();
    assert_eq!((files, found.left_out), (20, 11));
    gap(&found, "11 more files of this host that differ from their baseline are left out");

    lab.connected = crate::connected_agents::ConnectedAgents::default();
    lab.see_host(Body::Units(v1::Units::default()));
    let found = about(&lab, "web.service");
    gap(&found, "how web.service is, is unknown: its agent does not tell of it");
    gap(&found, "what is said of the host is as it was seen last");
    lab.pass(3_600);
    gap(&about(&lab, "web.service"), "nothing was told of the units of this host since");
}
