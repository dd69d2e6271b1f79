//! What a policy lets through, and how a broken one is refused.
#![allow(clippy::unnecessary_wraps, reason = "the fields of messages are optional")]

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn policy() -> Policy {
    Policy::parse(
        r#"
        allow = ["restart_pod", "rollback_deployment", "restore_file", "accept_baseline"]
        clusters = ["cluster-1"]
        namespaces = ["*"]
        deny_namespaces = ["kube-system", "bank"]
        paths = ["/etc/app", "/srv"]
        deny_paths = ["/etc/app/private"]
        jobs_per_hour = 3
        "#,
    )
    .unwrap()
}

fn target(namespace: &str) -> Option<v1::Target> {
    Some(v1::Target { namespace: namespace.into(), name: "n".into(), uid: "u".into() })
}

fn restart(cluster: &str, pod: &str, owner: &str) -> v1::Job {
    let action = v1::RestartPod { pod: target(pod), owner: target(owner), ..Default::default() };
    v1::Job { cluster_uid: cluster.into(), action: Some(Action::RestartPod(action)), ..Default::default() }
}

fn restore(root: &str, path: &str) -> v1::Job {
    let action = v1::RestoreFile { root: root.into(), path: path.into(), ..Default::default() };
    v1::Job { action: Some(Action::RestoreFile(action)), ..Default::default() }
}

fn refused(policy: &Policy, job: &v1::Job) -> String {
    let refusal = policy.judge(job, NOW, 0).unwrap_err();
    assert_eq!(refusal.code, Code::PolicyForbids);
    refusal.reason
}

#[test]
fn an_absent_or_empty_policy_observes_only() {
    for policy in [Policy::default(), Policy::parse("").unwrap()] {
        assert!(policy.allowed_actions().is_empty());
        assert!(refused(&policy, &restart("cluster-1", "default", "default")).contains("observe only"));
        assert!(refused(&policy, &restore("/", "/x")).contains("observe only"));
    }
}

#[test]
fn what_is_named_is_allowed() {
    assert_eq!(policy().judge(&restart("cluster-1", "default", "default"), NOW, 2), Ok(()));
    assert_eq!(policy().judge(&restore("/etc/app", "/etc/app/x.conf"), NOW, 0), Ok(()));
    assert_eq!(policy().judge(&restore("/srv", "/srv"), NOW, 0), Ok(()));
}

#[test]
fn deny_beats_allow() {
    assert!(refused(&policy(), &restart("cluster-1", "bank", "bank")).contains("deny_namespaces"));
    assert!(refused(&policy(), &restart("cluster-1", "default", "bank")).contains("deny_namespaces"));
    assert!(refused(&policy(), &restore("/etc/app", "/etc/app/private/key")).contains("deny_paths"));
    let denied = Policy::parse("allow = [\"restart_pod\"]\ndeny = [\"restart_pod\"]").unwrap();
    assert!(denied.allowed_actions().is_empty());
    assert!(refused(&denied, &restart("cluster-1", "default", "default")).contains("observe only"));
}

#[test]
fn other_clusters_namespaces_and_paths_are_out() {
    assert!(refused(&policy(), &restart("cluster-2", "default", "default")).contains("clusters"));
    assert!(refused(&policy(), &restart("", "default", "default")).contains("clusters"));
    assert!(refused(&policy(), &restart("cluster-1", "", "default")).contains("namespaces"));
    for path in ["/etc/app/../shadow", "/etc/application", "/etc/app//x", "etc/app/x", "/etc/shadow"] {
        refused(&policy(), &restore("/etc/app", path));
    }
    assert!(refused(&policy(), &restore("/var", "/var/x")).contains("`paths`"));
}

#[test]
fn so_many_an_hour_and_no_more() {
    let job = restore("/srv", "/srv/a");
    assert_eq!(policy().judge(&job, NOW, 2), Ok(()));
    assert!(policy().judge(&job, NOW, 3).unwrap_err().reason.contains("3 jobs an hour"));
}

#[test]
fn kube_system_is_denied_unless_the_file_says_otherwise() {
    let text = "allow = [\"restart_pod\"]\nclusters = [\"c\"]\nnamespaces = [\"*\"]\n";
    let job = restart("c", "kube-system", "kube-system");
    assert!(refused(&Policy::parse(text).unwrap(), &job).contains("kube-system"));
    let open = Policy::parse(&format!("{text}deny_namespaces = []\n")).unwrap();
    assert_eq!(open.judge(&job, NOW, 0), Ok(()));
}

#[test]
fn a_broken_file_names_line_and_field() {
    for (text, line, names) in [
        ("allow = []\nalow = []", 2, "alow"),
        ("\n\njobs_per_hour = \"many\"", 3, "jobs_per_hour"),
        ("jobs_per_hour = -1", 1, "-1"),
        ("allow = [\n  \"restart_pod\",\n  \"restart_pods\",\n]", 3, "restart_pods"),
        ("paths = [\"/ok\", \"/not/../ok\"]", 1, "paths"),
        ("paths = [\"relative\"]", 1, "relative"),
        ("deny_namespaces = [\"team-*\"]", 1, "deny_namespaces"),
        ("clusters = [\"*\"]", 1, "clusters"),
        ("allow = [", 1, "allow"),
    ] {
        let error = Policy::parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.to_string().contains(names), "{text}: {error}");
    }
}
