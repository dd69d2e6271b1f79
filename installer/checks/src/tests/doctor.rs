//! The checks after an installation.

use jiff::{SignedDuration, Timestamp};

use super::{text, verdict};
use crate::check::Unread;
use crate::check::Verdict::{Failure, Pass, Unknown, Warning};
use crate::clock::Reading;
use crate::doctor::{Agent, Disk, Installed, Life, Plane, Silence, Snapshot, judge};
use crate::kubernetes::{Pod, Trouble, Workload};
use crate::listener::{Listener, Tcp, Udp};
use crate::report::Report;

fn now() -> Timestamp {
    "2026-11-27T08:00:00Z".parse().unwrap()
}

fn agent(name: &str) -> Agent {
    Agent {
        name: name.to_owned(),
        version: "0.3.0".to_owned(),
        is_connected: true,
        transport: Some("quic".to_owned()),
        ..Agent::default()
    }
}

fn days(days: i64) -> Timestamp {
    now() + SignedDuration::from_hours(days * 24)
}

fn certificate(until: i64) -> Life {
    Life { of: "the certificate of https://plane:7070".to_owned(), from: days(-30), until: days(until) }
}

fn plane() -> Plane {
    Plane {
        server: "https://plane:7070".to_owned(),
        version: "0.3.0".to_owned(),
        waiting_for: Vec::new(),
        notices: Vec::new(),
        storage: "sqlite".to_owned(),
        stored: 20_000,
        applied: 20_000,
        checked_at: Some(days(-1)),
        damage: Vec::new(),
        bounds: Vec::new(),
        clock: Reading { before: now(), shown: now(), grain: SignedDuration::ZERO, after: now() },
        agents: vec![agent("a"), agent("b")],
        has_more_agents: false,
    }
}

/// An installation where everything is as it has to be.
fn good() -> Snapshot {
    let listener = Listener { at: "plane:7071".to_owned(), udp: Udp::Answered, tcp: Tcp::Answered };
    let disk =
        Disk { path: "/data".to_owned(), total: 100 << 30, available: 50 << 30, is_out_of_files: false };
    Snapshot {
        now: now(),
        build: "0.3.0".to_owned(),
        plane: Some(Ok(plane())),
        certificate: Some(Ok(certificate(60))),
        authority: Some(Ok(certificate(3000))),
        listener: Some(Ok(listener)),
        disk: Some(Ok(disk)),
        pods: Some(Ok(installed(vec![pod(None)], vec![set(1, 1, 1)]))),
    }
}

fn pod(trouble: Option<Trouble>) -> Pod {
    Pod { name: "nimbus-0".to_owned(), trouble, said: String::new() }
}

/// The control plane's StatefulSet.
fn set(wanted: u64, made: u64, ready: u64) -> Workload {
    Workload {
        kind: "StatefulSet".to_owned(),
        name: "nimbus".to_owned(),
        is_seen: true,
        wanted,
        made,
        ready,
        why: String::new(),
    }
}

/// The agents' DaemonSet, of which these pods are ready.
fn daemons(wanted: u64, made: u64, why: &str) -> Workload {
    let (kind, name) = ("DaemonSet".to_owned(), "nimbus-agent".to_owned());
    Workload { kind, name, why: why.to_owned(), ..set(wanted, made, made) }
}

fn installed(pods: Vec<Pod>, workloads: Vec<Workload>) -> Installed {
    Installed { pods, workloads: Ok(workloads) }
}

fn report(change: impl FnOnce(&mut Snapshot)) -> Report {
    let mut snapshot = good();
    change(&mut snapshot);
    judge(&snapshot)
}

fn on_plane(change: impl FnOnce(&mut Plane)) -> Report {
    report(|snapshot| {
        if let Some(Ok(plane)) = &mut snapshot.plane {
            change(plane);
        }
    })
}

#[test]
fn a_good_installation_passes_every_check() {
    let report = report(|_| {});
    assert!(report.passed && !report.is_doubtful() && report.not_asked.is_empty(), "{report:?}");
}

#[test]
fn the_network_alone_needs_no_control_plane() {
    let report = report(|snapshot| {
        let listener = snapshot.listener.take();
        *snapshot = Snapshot {
            plane: None,
            certificate: None,
            authority: None,
            listener,
            disk: None,
            pods: None,
            ..snapshot.clone()
        };
    });
    assert_eq!(report.checks.len(), 1, "{report:?}");
    assert_eq!(verdict(&report, "listener"), Some(Pass));
}

#[test]
fn a_silent_control_plane_fails_and_leaves_the_rest_unknown() {
    let report = report(|snapshot| {
        snapshot.plane = Some(Err(Silence {
            found: "nothing listens at https://plane:7070".to_owned(),
            remedy: "start it".to_owned(),
        }));
        let unread = || Unread::new("no certificate was shown", "see `control-plane`");
        snapshot.certificate = Some(Err(unread()));
        snapshot.authority = Some(Err(unread()));
        snapshot.listener = Some(Err(unread()));
        snapshot.disk = Some(Err(unread()));
        snapshot.pods = Some(Err(unread()));
    });
    assert_eq!(verdict(&report, "control-plane"), Some(Failure));
    assert_eq!((report.counts.pass, report.counts.failure, report.counts.unknown), (0, 1, 13), "{report:?}");
}

#[test]
fn what_the_control_plane_says_of_itself() {
    let ready = on_plane(|plane| plane.waiting_for = vec!["cluster edge: no agent".to_owned()]);
    assert_eq!(verdict(&ready, "control-plane"), Some(Warning));
    assert!(text(&ready, "control-plane").contains("cluster edge"));
    let noted = on_plane(|plane| plane.notices = vec!["the disk is nearly full".to_owned()]);
    assert_eq!(verdict(&noted, "control-plane"), Some(Warning));
    let damaged = on_plane(|plane| plane.damage = vec!["incidents row inc_1".to_owned()]);
    assert_eq!(verdict(&damaged, "database"), Some(Failure));
    assert_eq!(verdict(&on_plane(|plane| plane.checked_at = None), "database"), Some(Unknown));
    for (days_ago, expected) in [(1, Pass), (3, Warning), (2_500, Warning)] {
        let checked = on_plane(|plane| plane.checked_at = Some(days(-days_ago)));
        assert_eq!(verdict(&checked, "database"), Some(expected), "{days_ago}");
    }
    for (applied, expected) in [
        (20_000, Pass),
        (19_001, Pass),
        (19_000, Warning),
        (10_000, Failure),
        (i64::MIN, Failure),
        (20_001, Unknown),
        (i64::MAX, Unknown),
    ] {
        let behind = on_plane(|plane| plane.applied = applied);
        assert_eq!(verdict(&behind, "backlog"), Some(expected), "{applied}");
    }
    let bound = on_plane(|plane| plane.bounds = vec!["10 files are left out".to_owned()]);
    assert_eq!(verdict(&bound, "bounds"), Some(Warning));
    for (seconds, expected) in [(1, Pass), (20, Warning), (120, Failure)] {
        let late = on_plane(|plane| plane.clock.shown = now() + SignedDuration::from_secs(seconds));
        assert_eq!(verdict(&late, "clock"), Some(expected), "{seconds}");
    }
}

#[test]
fn versions() {
    for (build, plane_is, agent_is, expected) in [
        ("0.3.0", "0.3.4", "0.2.0", Pass),
        ("0.3.0", "0.3.0", "0.1.0", Warning),
        ("0.1.0", "0.3.0", "0.3.0", Warning),
        ("1.0.0", "0.3.0", "0.3.0", Warning),
        ("0.3.0", "0.3.0", "", Unknown),
        ("0.3.0", "next", "0.3.0", Unknown),
    ] {
        let report = report(|snapshot| {
            snapshot.build = build.to_owned();
            if let Some(Ok(plane)) = &mut snapshot.plane {
                plane.version = plane_is.to_owned();
                plane.agents[0].version = agent_is.to_owned();
            }
        });
        assert_eq!(verdict(&report, "versions"), Some(expected), "{build} {plane_is} {agent_is}");
    }
    for (agents, word) in [
        (0, "no agent has joined"),
        (1, "1 agent is of this version or a neigh"),
        (2, "2 agents are of this version or neighbouring ones"),
    ] {
        let said = text(&on_plane(|plane| plane.agents.truncate(agents)), "versions");
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn agents() {
    let away = |agent: &mut Agent| {
        (agent.is_connected, agent.transport) = (false, None);
        agent.reason = "last heard of 3 h ago".to_owned();
    };
    let one = on_plane(|plane| away(&mut plane.agents[0]));
    assert_eq!(verdict(&one, "agents"), Some(Warning));
    assert!(text(&one, "agents").contains("a: last heard of 3 h ago"));
    assert_eq!(verdict(&one, "transport"), Some(Pass));
    let all = on_plane(|plane| plane.agents.iter_mut().for_each(away));
    assert_eq!(verdict(&all, "agents"), Some(Failure));
    assert_eq!(verdict(&all, "transport"), Some(Unknown));
    assert_eq!(verdict(&on_plane(|plane| plane.agents.clear()), "agents"), Some(Warning));
    assert_eq!(verdict(&on_plane(|plane| plane.has_more_agents = true), "agents"), Some(Unknown));
    let troubled = on_plane(|plane| {
        plane.agents[1].problems = vec!["pods may not be listed".to_owned(), "another".to_owned()];
    });
    assert_eq!(verdict(&troubled, "agent-problems"), Some(Warning));
    assert!(text(&troubled, "agent-problems").contains("b: pods may not be listed and 1 more"));
    let dropped = on_plane(|plane| plane.agents[1].dropped = 3);
    assert_eq!(verdict(&dropped, "agent-problems"), Some(Warning));
    let tcp = on_plane(|plane| plane.agents[1].transport = Some("tcp through proxy".to_owned()));
    assert_eq!(verdict(&tcp, "transport"), Some(Warning));
    assert!(text(&tcp, "transport").contains("b (tcp through proxy)"));
    assert_eq!(verdict(&on_plane(|plane| plane.agents[1].transport = None), "transport"), Some(Unknown));
}

#[test]
fn certificates() {
    for (until, certificate_is, authority_is) in [
        (3000, Pass, Pass),
        (60, Pass, Warning),
        (6, Warning, Warning),
        (0, Failure, Failure),
        (-1, Failure, Failure),
    ] {
        let report = report(|snapshot| {
            snapshot.certificate = Some(Ok(certificate(until)));
            snapshot.authority = Some(Ok(certificate(until)));
        });
        assert_eq!(verdict(&report, "certificate"), Some(certificate_is), "{until}");
        assert_eq!(verdict(&report, "authority"), Some(authority_is), "{until}");
    }
    let early = report(|snapshot| {
        snapshot.certificate = Some(Ok(Life { from: days(1), ..certificate(60) }));
        snapshot.authority = None;
    });
    assert_eq!(verdict(&early, "certificate"), Some(Failure));
    assert_eq!(verdict(&early, "authority"), None);
}

#[test]
fn disks() {
    let disk = |total: u64, available: u64| Disk {
        path: "/data".to_owned(),
        total,
        available,
        is_out_of_files: false,
    };
    for (found, expected) in [
        (disk(10 << 30, 5 << 30), Pass),
        (disk(2 << 30, 512 << 20), Pass),
        (disk(100 << 30, 512 << 20), Warning),
        (disk(100 << 30, 63 << 20), Failure),
        (disk(0, 0), Failure),
        (Disk { is_out_of_files: true, ..disk(10 << 30, 5 << 30) }, Failure),
    ] {
        let report = report(|snapshot| snapshot.disk = Some(Ok(found.clone())));
        assert_eq!(verdict(&report, "disk"), Some(expected), "{found:?}");
    }
}

#[test]
fn pods() {
    let why = || "no such host".to_owned();
    let image = Trouble::Image { image: "r.example/a:1".to_owned(), why: why() };
    for (trouble, expected, word) in [
        (image, Failure, "r.example/a:1"),
        (Trouble::Unscheduled("unbound PersistentVolumeClaims".to_owned()), Failure, "unbound"),
        (Trouble::NotStarted("secret \"x\" not found".to_owned()), Failure, "secret"),
        (Trouble::Crashing("the join token is used up".to_owned()), Failure, "used up"),
        (Trouble::NotReady, Warning, "not ready"),
        (Trouble::Ended("Failed: Evicted: The node was low on memory".to_owned()), Warning, "Evicted"),
        (Trouble::Test("Failed: Error".to_owned()), Warning, "give helm test again"),
    ] {
        let pods = vec![pod(None), pod(Some(trouble.clone()))];
        let report = report(|snapshot| snapshot.pods = Some(Ok(installed(pods, vec![set(2, 2, 1)]))));
        assert_eq!(verdict(&report, "pods"), Some(expected), "{trouble:?}");
        assert!(text(&report, "pods").contains(word), "{trouble:?}");
    }
    let none = report(|snapshot| snapshot.pods = Some(Ok(installed(Vec::new(), Vec::new()))));
    assert_eq!(verdict(&none, "pods"), Some(Failure));
    let said = report(|snapshot| {
        let pod = Pod { said: "the proxy wants a password".to_owned(), ..pod(Some(Trouble::NotReady)) };
        snapshot.pods = Some(Ok(installed(vec![pod], vec![set(1, 1, 0)])));
    });
    assert!(text(&said, "pods").contains("the proxy wants a password"));
    assert!(!text(&said, "pods").contains("StatefulSet"), "it is told once");
}

/// Of pods that were never made no list of pods says anything.
#[test]
fn pods_that_are_missing() {
    let with = |workloads: Vec<Workload>| {
        report(|snapshot| snapshot.pods = Some(Ok(installed(vec![pod(None)], workloads))))
    };
    let refused =
        "pods \"nimbus-agent-\" is forbidden: violates PodSecurity \"restricted:latest\": hostPath volumes";
    for (workload, expected, word) in [
        (daemons(3, 3, ""), Pass, "none is missing"),
        (daemons(3, 0, ""), Failure, "DaemonSet nimbus-agent has 0 of 3 pods"),
        (daemons(3, 0, refused), Failure, "`nimbus preflight` with the values says which level"),
        (
            Workload { why: refused.to_owned(), ..set(1, 0, 0) },
            Failure,
            "`nimbus preflight` with the values says which level",
        ),
        (daemons(3, 2, refused), Failure, "violates PodSecurity"),
        (daemons(3, 2, "exceeded quota: small"), Failure, "exceeded quota: small / do what it says"),
        (daemons(3, 2, ""), Warning, "has 2 of 3 pods"),
        (daemons(0, 0, ""), Warning, "wants no pod / see which nodes"),
        (set(0, 0, 0), Warning, "scaled to 0"),
        (set(3, 3, 2), Warning, "2 of 3 pods are ready"),
        (Workload { is_seen: false, ..daemons(0, 0, "") }, Warning, "was not looked at yet"),
    ] {
        let report = with(vec![set(1, 1, 1), workload.clone()]);
        assert_eq!(verdict(&report, "pods"), Some(expected), "{workload:?}");
        assert!(text(&report, "pods").contains(word), "{word}: {}", text(&report, "pods"));
    }
    let none = report(|snapshot| {
        snapshot.pods = Some(Ok(installed(Vec::new(), vec![daemons(3, 0, refused)])));
    });
    assert!(text(&none, "pods").contains("violates PodSecurity"), "{}", text(&none, "pods"));
    let gone = report(|snapshot| snapshot.pods = Some(Ok(installed(Vec::new(), vec![set(1, 1, 1)]))));
    assert_eq!(verdict(&gone, "pods"), Some(Failure), "figures alone are no pod");
    let unknown = report(|snapshot| {
        let workloads = Err(Unread::new("daemonsets is forbidden", "ask for that right"));
        snapshot.pods = Some(Ok(Installed { pods: vec![pod(None)], workloads }));
    });
    assert_eq!(verdict(&unknown, "pods"), Some(Unknown));
    assert!(text(&unknown, "pods").contains("daemonsets is forbidden"));
}
