//! The check of Pod Security, and what it says to do.

use super::preflight::{enforcing, place, report, serving, unread};
use super::{text, verdict};
use crate::check::Verdict::{Failure, Pass, Unknown, Warning};
use crate::excess::Excess;
use crate::kubernetes::{ApiServer, Namespace};
use crate::needs::Needs;
use crate::preflight::{Place, Server, Values};
use crate::report::Report;
use crate::version::Version;

fn pinning(level: &str, version: Option<&str>) -> Namespace {
    Namespace { enforced_version: version.map(str::to_owned), ..enforcing(level) }
}

fn excess(what: &str, is_baseline: bool) -> Excess {
    Excess { what: what.to_owned(), is_baseline, taken_since: None }
}

/// What no level takes before this minor release, and every one since.
fn excess_until(what: &str, since: u32) -> Excess {
    Excess { taken_since: Some(since), ..excess(what, false) }
}

#[test]
fn pod_security() {
    let mounting =
        Needs { agent_excess: vec![excess("the host path /etc/kubernetes", false)], ..Needs::default() };
    let as_root = Needs { agent_excess: vec![excess("runAsUser 0", true)], ..Needs::default() };
    for (found, needs, expected) in [
        (None, Needs::default(), Pass),
        (None, mounting.clone(), Unknown),
        (Some(Namespace::default()), Needs::default(), Pass),
        (Some(Namespace::default()), mounting.clone(), Unknown),
        (Some(enforcing("restricted")), Needs::default(), Pass),
        (Some(enforcing("privileged")), mounting.clone(), Pass),
        (Some(enforcing("baseline")), mounting.clone(), Failure),
        (Some(enforcing("restricted")), mounting.clone(), Failure),
        (Some(enforcing("baseline")), as_root.clone(), Pass),
        (Some(enforcing("restricted")), as_root.clone(), Failure),
        (Some(enforcing("strict")), Needs::default(), Warning),
        (Some(enforcing("strict")), as_root, Failure),
        (Some(enforcing("")), mounting.clone(), Failure),
    ] {
        let report = report(|snapshot| {
            snapshot.agents = place("agents", found.clone());
            snapshot.values = Ok(Values::Taken(needs.clone()));
        });
        assert_eq!(verdict(&report, "pod-security"), Some(expected), "{found:?}");
        if expected == Failure || expected == Unknown {
            let said = text(&report, "pod-security");
            assert!(said.contains("agents") && said.contains(&needs.agent_excess[0].what), "{said}");
        }
    }
    let elsewhere = report(|snapshot| {
        snapshot.control_plane = place("nimbus", Some(enforcing("restricted")));
        snapshot.agents = place("agents", Some(enforcing("privileged")));
        snapshot.values = Ok(Values::Taken(mounting));
    });
    assert_eq!(verdict(&elsewhere, "pod-security"), Some(Pass), "the control plane mounts nothing of a node");
    let own = report(|snapshot| {
        snapshot.control_plane = place("nimbus", Some(enforcing("restricted")));
        snapshot.agents = place("agents", Some(enforcing("privileged")));
        let control_plane_excess = vec![excess("the host path /srv", false)];
        snapshot.values = Ok(Values::Taken(Needs { control_plane_excess, ..Needs::default() }));
    });
    assert_eq!(verdict(&own, "pod-security"), Some(Failure));
    assert!(text(&own, "pod-security").contains("namespace nimbus enforces restricted"));
    // The weakest level that suffices, and never for the namespace that has the control plane's keys.
    for (what, is_baseline, level) in
        [("runAsUser 0", true, "enforce=baseline"), ("hostPort", false, "enforce=privileged")]
    {
        let shared = report(|snapshot| {
            snapshot.control_plane = place("nimbus", Some(enforcing("restricted")));
            snapshot.agents = place("nimbus", Some(enforcing("restricted")));
            let agent_excess = vec![excess(what, is_baseline)];
            snapshot.values = Ok(Values::Taken(Needs { agent_excess, ..Needs::default() }));
        });
        let said = text(&shared, "pod-security");
        assert!(said.contains(level) && said.contains("--agents-namespace"), "{said}");
        assert!(!said.contains("namespace nimbus pod-security"), "{said}");
    }
    // A plan that makes the namespace knows how.
    let made = report(|snapshot| {
        snapshot.control_plane = place("nimbus", Some(enforcing("restricted")));
        snapshot.agents = Place { made_as: Some("restricted"), ..place("agents", None) };
        let agent_excess = vec![excess("the host path /run/dbus", false)];
        snapshot.values = Ok(Values::Taken(Needs { agent_excess, ..Needs::default() }));
    });
    assert_eq!(verdict(&made, "pod-security"), Some(Failure));
    let said = text(&made, "pod-security");
    assert!(
        said.contains("agents is made so that it enforces restricted") && said.contains("--overwrite"),
        "{said}"
    );
    let partly = report(|snapshot| {
        snapshot.agents = Place { name: "agents".to_owned(), found: unread(), made_as: None }
    });
    assert_eq!(verdict(&partly, "pod-security"), Some(Unknown));
}

/// Those of the server's release, of an older one that it behaves as, or of an older one that the namespace names.
#[test]
fn the_rules_are_those_of_a_release() {
    let later = excess_until("the sysctl net.ipv4.tcp_rmem", 32);
    for (server, emulated_minor, pinned, expected) in [
        (31, None, None, Failure),
        (32, None, None, Pass),
        (32, Some(31), None, Failure),
        (37, None, Some("latest"), Pass),
        (37, Some(31), Some("latest"), Failure),
        (37, None, Some("v1.31"), Failure),
        (37, None, Some("v1.32"), Pass),
        (31, None, Some("v1.37"), Failure),
        // What it cannot read is for the API server its own release.
        (37, None, Some("newest"), Warning),
        (37, None, Some("v1.031"), Warning),
        (37, None, Some("1.31"), Warning),
        (31, None, Some("newest"), Failure),
    ] {
        let judged = report(|snapshot| {
            let version = Version::new(1, server, 0);
            snapshot.server = Ok(Server::Version(ApiServer { version, emulated_minor }));
            snapshot.agents = place("agents", Some(pinning("baseline", pinned)));
            let agent_excess = vec![later.clone()];
            snapshot.values = Ok(Values::Taken(Needs { agent_excess, ..Needs::default() }));
        });
        assert_eq!(verdict(&judged, "pod-security"), Some(expected), "{server} {pinned:?}");
    }
}

/// What `pod-security` says where both are in the namespace `nimbus` of Kubernetes 1.37.
fn in_one_namespace(namespace: Namespace, control_plane: &[Excess], agents: &[Excess]) -> Report {
    report(|snapshot| {
        snapshot.server = Ok(serving(Version::new(1, 37, 0)));
        snapshot.control_plane = place("nimbus", Some(namespace.clone()));
        snapshot.agents = place("nimbus", Some(namespace));
        let (control_plane_excess, agent_excess) = (control_plane.to_vec(), agents.to_vec());
        let needs = Needs { control_plane_excess, agent_excess, ..Needs::default() };
        snapshot.values = Ok(Values::Taken(needs));
    })
}

/// What is to be done is reckoned by the server's release, each label only where it is another one than now, and leaves nothing refused.
#[test]
fn labels_that_make_one_namespace_of_both_charts_take_the_pods() {
    const LEVEL: &str = "pod-security.kubernetes.io/enforce=";
    const LATEST: &str = "pod-security.kubernetes.io/enforce-version=latest";
    let none: &[Excess] = &[];
    let root: &[Excess] = &[excess("runAsUser 0", true)];
    let path: &[Excess] = &[excess("the host path /etc", false)];
    let later: &[Excess] = &[excess_until("the sysctl net.ipv4.tcp_rmem", 32)];
    let both: &[Excess] = &[root, later].concat();
    for (level, version, control_plane, agents, own, apart) in [
        // Each chart by itself.
        ("restricted", None, root, none, Some(("baseline", false)), None),
        ("restricted", None, none, path, None, Some("privileged")),
        // Both, and a release that takes less than the server's own.
        ("restricted", Some("v1.31"), both, path, Some(("baseline", true)), Some("privileged")),
        ("restricted", Some("v1.31"), root, path, Some(("baseline", false)), Some("privileged")),
        ("baseline", Some("v1.31"), later, path, Some(("", true)), Some("privileged")),
        ("baseline", Some("v1.31"), later, later, Some(("", true)), None),
        ("baseline", Some("v1.31"), none, later, Some(("", true)), None),
        ("baseline", Some("v1.31"), root, path, None, Some("privileged")),
        // What is opened for the control plane takes the agents too.
        ("restricted", None, root, root, Some(("baseline", false)), None),
        ("restricted", Some("v1.31"), root, later, Some(("baseline", true)), None),
        ("restricted", Some("v1.31"), path, later, Some(("privileged", false)), None),
        ("strict", None, root, path, Some(("baseline", false)), Some("privileged")),
    ] {
        let report = in_one_namespace(pinning(level, version), control_plane, agents);
        assert_eq!(verdict(&report, "pod-security"), Some(Failure));
        let said = text(&report, "pod-security");
        let case = format!("{level} {version:?} {control_plane:?} {agents:?}: {said}");
        let labels = match own {
            None => None,
            Some(("", _)) => Some(LATEST.to_owned()),
            Some((level, false)) => Some(format!("{LEVEL}{level}")),
            Some((level, true)) => Some(format!("{LEVEL}{level} {LATEST}")),
        };
        let asked = |name: &str| {
            let start = format!("kubectl label --overwrite namespace {name} ");
            said.split(&start).nth(1).map(|rest| rest.split([';', ',']).next().unwrap_or_default().to_owned())
        };
        assert_eq!(asked("nimbus"), labels, "{case}");
        let apart = apart.map(|level| format!("{LEVEL}{level} for the agents alone"));
        assert_eq!(asked("AGENTS"), apart, "{case}");
        // As told: then nothing is refused any more.
        let level = own.map_or(level, |(new, _)| if new.is_empty() { level } else { new });
        let version = if own.is_some_and(|(_, latest)| latest) { Some("latest") } else { version };
        let agents = if apart.is_some() { none } else { agents };
        let after = in_one_namespace(pinning(level, version), control_plane, agents);
        assert_eq!(verdict(&after, "pod-security"), Some(Pass), "{case}");
    }
}

/// Backups have pods of their own, and both charts often ask for the same.
#[test]
fn pod_security_names_each_thing_once_and_says_which_labels_cannot_be_read() {
    let root = || excess("runAsUser 0", true);
    let report = in_one_namespace(pinning("strict", Some("newest")), &[root(), root()], &[root()]);
    assert_eq!(verdict(&report, "pod-security"), Some(Failure));
    let said = text(&report, "pod-security");
    assert_eq!(said.matches("runAsUser 0").count(), 1, "{said}");
    for odd in ["enforce=strict, which the API server", "enforce-version=newest, which the API server"] {
        assert!(said.contains(odd), "{odd}: {said}");
    }
    // Without a level, what an older release refuses is unknown until the label names the newest.
    let none = Namespace { enforced: None, enforced_version: Some("v1.31".to_owned()) };
    let report = in_one_namespace(none, &[excess_until("the sysctl net.ipv4.tcp_rmem", 32)], &[]);
    assert_eq!(verdict(&report, "pod-security"), Some(Unknown));
    let said = text(&report, "pod-security");
    assert!(said.contains("namespace nimbus pod-security.kubernetes.io/enforce-version=latest"), "{said}");
}
