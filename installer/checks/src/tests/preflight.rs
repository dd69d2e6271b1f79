//! The checks before an installation.

use jiff::{SignedDuration, Timestamp};

use super::{text, verdict};
use crate::check::Unread;
use crate::check::Verdict::{Failure, Pass, Unknown, Warning};
use crate::clock::Reading;
use crate::excess::Excess;
use crate::kubernetes::{
    AGENT, ApiServer, Ask, Balancers, CONTROL_PLANE, Namespace, Node, Release, Review, StorageClass,
};
use crate::needs::{Class, Needs, Request};
use crate::preflight::{
    CHECKS, Database, NoDatabase, Place, Server, Snapshot, Values, asks, judge, judge_without_cluster,
};
use crate::report::Report;
use crate::version::Version;

pub(super) fn at() -> Timestamp {
    "2026-11-27T08:00:00Z".parse().unwrap()
}

pub(super) fn unread<T>() -> Result<T, Unread> {
    Err(Unread::new("it was not read", "read it"))
}

fn node(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        architecture: "amd64".to_owned(),
        system: "linux".to_owned(),
        is_ready: true,
        is_closed: false,
        milli_cpu: Some(4000),
        memory: Some(8 << 30),
    }
}

fn class(name: &str, is_default: bool) -> StorageClass {
    StorageClass { name: name.to_owned(), is_default, provisions: true }
}

pub(super) fn place(name: &str, found: Option<Namespace>) -> Place {
    Place { name: name.to_owned(), found: Ok(found), made_as: None }
}

pub(super) fn enforcing(level: &str) -> Namespace {
    Namespace { enforced: Some(level.to_owned()), enforced_version: None }
}

/// An API server of this version that behaves as no other one.
pub(super) fn serving(version: Version) -> Server {
    Server::Version(ApiServer { version, emulated_minor: None })
}

fn database() -> Database {
    Database {
        at: "postgres://nimbus@db:5432/nimbus".to_owned(),
        version_number: 160_004,
        version: "16.4".to_owned(),
        encoding: "UTF8".to_owned(),
        may_create: true,
        is_read_only: false,
        free_connections: 90,
        schema: 0,
        known_schema: 5,
    }
}

fn release(version: Version, state: &str) -> Release {
    Release {
        name: "nimbus".to_owned(),
        namespace: "nimbus".to_owned(),
        chart: CONTROL_PLANE,
        version,
        state: state.to_owned(),
    }
}

/// A cluster on which everything is as it has to be.
fn good() -> Snapshot {
    let reviews = asks("nimbus", "nimbus", &Needs::default()).into_iter();
    Snapshot {
        build: Version::new(0, 3, 0),
        kubectl: Ok(Version::new(1, 33, 0)),
        server: Ok(serving(Version::new(1, 33, 2))),
        helm: Ok(Version::new(3, 18, 0)),
        control_plane: place("nimbus", Some(Namespace::default())),
        agents: place("nimbus", Some(Namespace::default())),
        rights: Ok(reviews.map(|ask| Review { ask, allowed: Some(true) }).collect()),
        classes: Ok(vec![class("fast", true)]),
        nodes: Ok(vec![node("a"), node("b")]),
        balancers: Ok(Balancers::default()),
        releases: Ok(Vec::new()),
        values: Ok(Values::NotGiven),
        secrets: Some(Vec::new()),
        database: Some(Ok(database())),
        clock: Ok(Reading { before: at(), shown: at(), grain: SignedDuration::from_secs(1), after: at() }),
    }
}

/// The report on a good cluster with one thing changed.
pub(super) fn report(change: impl FnOnce(&mut Snapshot)) -> Report {
    let mut snapshot = good();
    change(&mut snapshot);
    judge(&snapshot, at())
}

#[test]
fn a_good_cluster_passes_every_check_that_was_asked_for() {
    let report = report(|_| {});
    assert!(report.passed && !report.is_doubtful(), "{report:?}");
    let open: Vec<&str> = report.not_asked.iter().map(|one| one.name).collect();
    assert_eq!(open, ["load-balancer", "values", "secrets"]);
}

#[test]
fn what_could_not_be_read_is_unknown_and_never_a_pass() {
    let report = report(|snapshot| {
        snapshot.kubectl = unread();
        snapshot.server = unread();
        snapshot.helm = unread();
        snapshot.control_plane.found = unread();
        snapshot.rights = unread();
        snapshot.classes = unread();
        snapshot.nodes = unread();
        snapshot.releases = unread();
        snapshot.values = unread();
        snapshot.clock = unread();
        snapshot.database = None;
    });
    assert_eq!(report.counts.pass, 0, "{report:?}");
    assert!(!report.passed && report.is_doubtful(), "nothing is as it has to be where nothing is known");
    assert_eq!(report.counts.unknown, 14, "{report:?}");
}

#[test]
fn programs_and_versions() {
    for (kubectl, server, kubectl_is, version_is) in [
        ((1, 33), (1, 33), Pass, Pass),
        ((1, 32), (1, 33), Pass, Pass),
        ((1, 36), (1, 33), Warning, Pass),
        ((1, 24), (1, 24), Pass, Failure),
        ((1, 25), (1, 25), Pass, Pass),
        ((1, 37), (1, 37), Pass, Pass),
        ((1, 38), (1, 38), Pass, Warning),
    ] {
        let report = report(|snapshot| {
            snapshot.kubectl = Ok(Version::new(kubectl.0, kubectl.1, 0));
            snapshot.server = Ok(serving(Version::new(server.0, server.1, 9)));
        });
        assert_eq!(verdict(&report, "kubectl"), Some(kubectl_is), "{kubectl:?} {server:?}");
        assert_eq!(verdict(&report, "kubernetes-version"), Some(version_is), "{kubectl:?} {server:?}");
        assert_eq!(verdict(&report, "cluster"), Some(Pass));
    }
    let silent = report(|snapshot| snapshot.server = Ok(Server::Silent("connection refused".to_owned())));
    assert_eq!(verdict(&silent, "cluster"), Some(Failure));
    assert_eq!(verdict(&silent, "kubernetes-version"), Some(Unknown));
    assert!(text(&silent, "cluster").contains("connection refused"));
    for (helm, expected) in [
        (Version::new(3, 7, 2), Failure),
        (Version::new(3, 8, 0), Warning),
        (Version::new(3, 14, 0), Pass),
        (Version::new(4, 3, 0), Pass),
    ] {
        assert_eq!(verdict(&report(|snapshot| snapshot.helm = Ok(helm)), "helm"), Some(expected), "{helm}");
    }
}

/// What values ask for is asked, where it is made; the roles of the election are where the agents' release says.
#[test]
fn rights_for_what_values_ask_for() {
    let rendered = "kind: NetworkPolicy\nmetadata:\n  namespace: default\n  labels:\n    app.kubernetes.io/component: agent\n---\n\
        kind: NetworkPolicy\nmetadata:\n  namespace: default\n---\nkind: CronJob\nmetadata:\n  namespace: default\n---\n\
        kind: Role\nmetadata:\n  name: a-act\n  namespace: shop\n---\nkind: Role\nmetadata:\n  name: a-lease\n  namespace: kube-system\n";
    let needs = Needs::read(rendered).unwrap();
    for (agents, leases) in [("watchers", "kube-system"), ("nimbus-system", "nimbus-system")] {
        let said: Vec<String> = asks("nimbus", agents, &needs).iter().map(Ask::sentence).collect();
        for wanted in [
            "create networkpolicies.networking.k8s.io in nimbus".to_owned(),
            format!("create networkpolicies.networking.k8s.io in {agents}"),
            "create cronjobs.batch in nimbus".to_owned(),
            "create roles.rbac.authorization.k8s.io in shop".to_owned(),
            format!("create roles.rbac.authorization.k8s.io in {leases}"),
        ] {
            assert!(said.contains(&wanted), "{wanted} in {said:?}");
        }
        assert!(!said.iter().any(|one| one.contains("poddisruptionbudgets")), "{said:?}");
    }
    let usual: Vec<String> = asks("nimbus", "nimbus", &Needs::default()).iter().map(Ask::sentence).collect();
    assert!(usual.contains(&"create roles.rbac.authorization.k8s.io in kube-system".to_owned()), "{usual:?}");
}

#[test]
fn values_of_one_chart() {
    let one = report(|snapshot| {
        let needs = Needs { left_out: Some("nimbus-agent"), ..Needs::default() };
        snapshot.values = Ok(Values::Taken(needs));
    });
    assert_eq!(verdict(&one, "values"), Some(Pass));
    assert!(text(&one, "values").contains("nimbus-agent was not looked at"));
}

#[test]
fn rights() {
    let answered = |change: fn(&mut Review)| {
        report(|snapshot| {
            if let Ok(reviews) = &mut snapshot.rights {
                reviews.iter_mut().for_each(change);
            }
        })
    };
    let denied = answered(|review| {
        if review.ask.resource == "statefulsets" || review.ask.resource == "clusterroles" {
            review.allowed = Some(false);
        }
    });
    assert_eq!(verdict(&denied, "rights"), Some(Failure));
    let said = text(&denied, "rights");
    assert!(said.contains("create statefulsets.apps in nimbus"), "{said}");
    assert!(said.contains("create clusterroles.rbac.authorization.k8s.io"), "{said}");
    // The namespaces are there already, and who may escalate need not hold what is granted.
    let beside = answered(|review| {
        if review.ask.resource == "namespaces" || review.ask.verb == "watch" {
            review.allowed = Some(false);
        }
    });
    assert_eq!(verdict(&beside, "rights"), Some(Pass), "{}", text(&beside, "rights"));
    let bounded = answered(|review| {
        review.allowed = Some(!(review.ask.verb == "escalate" || review.ask.resource == "nodes"));
    });
    assert_eq!(verdict(&bounded, "rights"), Some(Failure));
    assert!(text(&bounded, "rights").contains("watch nodes"));
    let silent = answered(|review| review.allowed = None);
    assert_eq!(verdict(&silent, "rights"), Some(Unknown));
    let none = report(|snapshot| snapshot.rights = Ok(Vec::new()));
    assert_eq!(verdict(&none, "rights"), Some(Unknown));
    let no_namespace = report(|snapshot| {
        snapshot.control_plane = place("nimbus", None);
        if let Ok(reviews) = &mut snapshot.rights {
            reviews[0].allowed = Some(false);
        }
    });
    assert_eq!(verdict(&no_namespace, "rights"), Some(Failure));
    assert!(text(&no_namespace, "rights").contains("create namespaces"));
    // Only where agents may act does helm look at namespaces.
    for (acts, expected) in [(false, Pass), (true, Warning)] {
        let unseen = report(|snapshot| {
            snapshot.values = Ok(Values::Taken(Needs { acts, ..Needs::default() }));
            for review in snapshot.rights.iter_mut().flatten() {
                review.allowed = Some((review.ask.verb, review.ask.resource) != ("get", "namespaces"));
            }
        });
        let said = text(&unseen, "rights");
        assert_eq!(verdict(&unseen, "rights"), Some(expected), "{said}");
        assert_eq!(said.contains("acting.checkCluster"), acts, "{said}");
    }
    // Values that ask for more than `restricted` takes make the charts look, too.
    let excess = || vec![Excess { what: "runAsUser 0".to_owned(), is_baseline: true, taken_since: None }];
    for (control_plane, agents) in [(true, false), (false, true), (true, true)] {
        let unseen = report(|snapshot| {
            for review in snapshot.rights.iter_mut().flatten() {
                review.allowed = Some((review.ask.verb, review.ask.resource) != ("get", "namespaces"));
            }
            let mut needs = Needs::default();
            if control_plane {
                needs.control_plane_excess = excess();
            }
            if agents {
                needs.agent_excess = excess();
            }
            snapshot.values = Ok(Values::Taken(needs));
        });
        let said = text(&unseen, "rights");
        assert_eq!(verdict(&unseen, "rights"), Some(Warning), "{said}");
        let named = [said.contains("checkNamespace to false"), said.contains("acting.checkCluster to false")];
        assert_eq!(named, [control_plane, agents], "{said}");
    }
    let unasked = report(|snapshot| {
        for review in snapshot.rights.iter_mut().flatten() {
            review.allowed = Some((review.ask.verb, review.ask.resource) != ("get", "namespaces"));
        }
        let mut needs = Needs { acts: true, ..Needs::default() };
        (needs.control_plane_excess, needs.control_plane_unasked) = (excess(), true);
        needs.agents_unasked = true;
        snapshot.values = Ok(Values::Taken(needs));
    });
    assert_eq!(verdict(&unasked, "rights"), Some(Pass), "where values say so nobody looks");
}

/// A Role in another namespace is that of the lease, or of a namespace in which agents act: helm looks at both.
#[test]
fn rights_to_look_at_the_namespaces_of_roles() {
    for (name, acts, why) in [
        ("nimbus-system", false, Some("the namespace of the lease")),
        ("shop", true, Some("let agents act")),
        ("agents", false, None),
    ] {
        let looked = report(|snapshot| {
            snapshot.agents = place("agents", Some(enforcing("restricted")));
            for review in snapshot.rights.iter_mut().flatten() {
                review.allowed = Some((review.ask.verb, review.ask.resource) != ("get", "namespaces"));
            }
            let role = crate::needs::Made {
                group: "rbac.authorization.k8s.io",
                resource: "roles",
                place: crate::needs::Place::Named(name.to_owned()),
            };
            snapshot.values = Ok(Values::Taken(Needs { acts, makes: vec![role], ..Needs::default() }));
        });
        let said = text(&looked, "rights");
        assert_eq!(why.is_some_and(|why| said.contains(why)), why.is_some(), "{name}: {said}");
        assert_eq!(
            verdict(&looked, "rights"),
            Some(if why.is_some() { Warning } else { Pass }),
            "{name}: {said}"
        );
    }
}

#[test]
fn storage() {
    let by_hand = StorageClass { provisions: false, ..class("local", true) };
    let named = |name: &str| vec![Class::Named(name.to_owned())];
    for (volumes, classes, expected) in [
        (vec![Class::Default], vec![class("fast", true), class("slow", false)], Pass),
        (vec![Class::Default], vec![class("fast", false)], Failure),
        (vec![Class::Default], vec![], Failure),
        (vec![Class::Default], vec![class("a", true), class("b", true)], Warning),
        (vec![Class::Default], vec![by_hand.clone()], Warning),
        (named("slow"), vec![class("fast", true), class("slow", false)], Pass),
        (named("slwo"), vec![class("slow", false)], Failure),
        (vec![Class::None], vec![class("fast", true)], Warning),
        (vec![], vec![], Pass),
    ] {
        let needs = Needs { volumes: volumes.clone(), ..Needs::default() };
        let report = report(|snapshot| {
            snapshot.classes = Ok(classes.clone());
            snapshot.values = Ok(Values::Taken(needs));
        });
        assert_eq!(verdict(&report, "storage"), Some(expected), "{volumes:?} {classes:?}");
        if volumes == named("slwo") {
            let said = text(&report, "storage");
            assert!(said.contains("slwo") && said.contains("there are slow"), "{said}");
        }
    }
}

#[test]
fn nodes_and_their_room() {
    let with = |name: &str, change: fn(&mut Node)| {
        let mut node = node(name);
        change(&mut node);
        node
    };
    let arm = with("arm", |node| node.architecture = "arm64".to_owned());
    let odd = with("odd", |node| node.architecture = "riscv64".to_owned());
    let windows = with("win", |node| node.system = "windows".to_owned());
    let away = with("away", |node| node.is_ready = false);
    let small = with("small", |node| node.memory = Some(16 << 20));
    let closed = with("closed", |node| node.is_closed = true);
    let mute = with("mute", |node| (node.milli_cpu, node.memory) = (None, None));
    for (nodes, nodes_are, room_is) in [
        (vec![], Failure, Unknown),
        (vec![node("a"), arm], Pass, Pass),
        (vec![node("a"), odd.clone()], Warning, Pass),
        (vec![node("a"), windows.clone()], Warning, Pass),
        (vec![odd, windows], Failure, Pass),
        (vec![node("a"), away.clone()], Warning, Pass),
        (vec![away], Failure, Failure),
        (vec![node("a"), small.clone()], Pass, Warning),
        (vec![small], Pass, Failure),
        (vec![closed], Pass, Failure),
        (vec![node("a"), mute.clone()], Pass, Unknown),
        (vec![mute], Pass, Unknown),
    ] {
        let report = report(|snapshot| snapshot.nodes = Ok(nodes.clone()));
        assert_eq!(verdict(&report, "nodes"), Some(nodes_are), "{nodes:?}");
        assert_eq!(verdict(&report, "resources"), Some(room_is), "{nodes:?}");
    }
    let large = Needs { control_plane: Request { milli_cpu: 64_000, memory: 1 << 40 }, ..Needs::default() };
    let report = report(|snapshot| snapshot.values = Ok(Values::Taken(large)));
    assert_eq!(verdict(&report, "resources"), Some(Failure));
}

#[test]
fn load_balancers() {
    let balancers = |served, waiting: &[&str]| Balancers {
        served,
        waiting: waiting.iter().map(|name| (*name).to_owned()).collect(),
    };
    let needs = Needs { balanced: vec!["nimbus-agents".to_owned()], ..Needs::default() };
    for (found, expected) in [
        (balancers(0, &[]), Unknown),
        (balancers(0, &["web/a"]), Failure),
        (balancers(2, &[]), Pass),
        (balancers(2, &["web/a"]), Warning),
    ] {
        let report = report(|snapshot| {
            snapshot.values = Ok(Values::Taken(needs.clone()));
            snapshot.balancers = Ok(found.clone());
        });
        assert_eq!(verdict(&report, "load-balancer"), Some(expected), "{found:?}");
    }
    let unread = report(|snapshot| {
        snapshot.values = Ok(Values::Taken(needs));
        snapshot.balancers = unread();
    });
    assert_eq!(verdict(&unread, "load-balancer"), Some(Unknown));
}

#[test]
fn values_and_releases() {
    let taken = report(|snapshot| snapshot.values = Ok(Values::Taken(Needs::default())));
    assert_eq!(verdict(&taken, "values"), Some(Pass));
    let refused = report(|snapshot| {
        snapshot.values = Ok(Values::Refused {
            chart: "nimbus-control-plane".to_owned(),
            why: "replicas: expected 1 on SQLite,\n  found 3".to_owned(),
        });
    });
    assert_eq!(verdict(&refused, "values"), Some(Failure));
    assert!(text(&refused, "values").contains("replicas: expected 1 on SQLite, found 3"));
    let unreadable = report(|snapshot| snapshot.values = unread());
    assert_eq!(verdict(&unreadable, "values"), Some(Unknown));
    // What they ask for is not what the charts ask for by themselves.
    for name in ["pod-security", "storage", "resources", "load-balancer", "secrets"] {
        assert_eq!(verdict(&refused, name), Some(Unknown), "{name}");
        assert_eq!(verdict(&unreadable, name), Some(Unknown), "{name}");
        assert!(text(&refused, name).contains("nimbus-control-plane does not take them"), "{name}");
    }
    for (release, expected) in [
        (release(Version::new(0, 3, 0), "deployed"), Pass),
        (release(Version::new(0, 2, 7), "deployed"), Pass),
        (release(Version::new(0, 1, 0), "deployed"), Failure),
        // Back by one minor version works unless the database has another schema, and agents have none.
        (release(Version::new(0, 4, 0), "deployed"), Warning),
        (release(Version::new(0, 3, 1), "deployed"), Warning),
        (Release { chart: AGENT, ..release(Version::new(0, 4, 0), "deployed") }, Pass),
        (Release { chart: AGENT, ..release(Version::new(0, 5, 0), "deployed") }, Failure),
        (release(Version::new(0, 5, 0), "deployed"), Failure),
        (release(Version::new(1, 0, 0), "deployed"), Failure),
        (release(Version::new(0, 2, 7), "failed"), Warning),
        (release(Version::new(0, 3, 0), "uninstalling"), Warning),
        (release(Version::new(0, 1, 0), "uninstalled"), Warning),
    ] {
        let report = report(|snapshot| snapshot.releases = Ok(vec![release.clone()]));
        assert_eq!(verdict(&report, "release"), Some(expected), "{release:?}");
        assert!(text(&report, "release").contains("nimbus/nimbus"));
    }
}

#[test]
fn databases() {
    let with = |change: fn(&mut Database)| {
        let mut database = database();
        change(&mut database);
        Ok(database)
    };
    let absent = || "postgres://nimbus@db:5432/nim: database \"nim\" does not exist, code 3D000".to_owned();
    let said = || "password authentication failed for user \"nimbus\"".to_owned();
    for (found, expected, word) in [
        (with(|_| {}), Pass, "16.4"),
        (with(|it| (it.version_number, it.version) = (130_012, "13.12".to_owned())), Failure, "13.12"),
        (with(|it| it.encoding = "SQL_ASCII".to_owned()), Failure, "SQL_ASCII"),
        (with(|it| it.may_create = false), Failure, "may not create"),
        (with(|it| it.is_read_only = true), Failure, "no writes"),
        (with(|it| it.schema = 6), Failure, "schema 6"),
        (with(|it| it.free_connections = 3), Warning, "3 connections"),
        (Err(NoDatabase::Unreachable("connection refused".to_owned())), Failure, "connection refused"),
        (Err(NoDatabase::Refused(said())), Failure, "refuses this user: password"),
        (Err(NoDatabase::Refused(absent())), Failure, "the database is not there: "),
        (Err(NoDatabase::Refused(absent())), Failure, "CREATE DATABASE"),
        (Err(NoDatabase::Other("expected a sound database".to_owned())), Failure, "sound"),
    ] {
        let report = report(|snapshot| snapshot.database = Some(found.clone()));
        assert_eq!(verdict(&report, "database"), Some(expected), "{found:?}");
        assert!(text(&report, "database").contains(word), "{found:?}");
    }
    assert_eq!(verdict(&report(|snapshot| snapshot.database = None), "database"), None);
}

#[test]
fn clocks() {
    for (seconds, expected) in [(0, Pass), (30, Warning), (-30, Warning), (600, Failure), (-600, Failure)] {
        let report = report(|snapshot| {
            if let Ok(reading) = &mut snapshot.clock {
                reading.shown = at() + SignedDuration::from_secs(seconds);
            }
        });
        assert_eq!(verdict(&report, "clock"), Some(expected), "{seconds}");
    }
}

#[test]
fn without_a_cluster_that_answered_nothing_is_passed() {
    let report = report(|snapshot| snapshot.server = unread());
    assert!(report.counts.failure == 0 && report.counts.pass > 1, "{report:?}");
    assert!(!report.passed, "what passed is of this machine: {report:?}");
}

#[test]
fn on_a_server_the_database_is_judged_and_nothing_else_is_asked_for() {
    let build = Version::new(0, 3, 0);
    let report = judge_without_cluster(Ok(database()), build, at());
    assert!(report.passed, "{report:?}");
    assert_eq!(report.checks.iter().map(|check| check.name).collect::<Vec<_>>(), ["database"]);
    assert_eq!(report.not_asked.len(), CHECKS.len() - 1);
    assert!(report.not_asked.iter().all(|check| check.how == "leave out --no-cluster"));
    let away = judge_without_cluster(Err(NoDatabase::Unreachable("no".to_owned())), build, at());
    assert_eq!((away.passed, away.counts.failure), (false, 1));
}
