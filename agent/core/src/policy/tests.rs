//! Tests of which jobs a policy allows, and of how an invalid policy file is refused.
#![allow(clippy::unnecessary_wraps, reason = "the fields of messages are optional")]

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A policy file without warnings.
fn parse(text: &str) -> Policy {
    let (policy, warnings) = Policy::parse(text).unwrap();
    assert_eq!(warnings, []);
    policy
}

fn policy() -> Policy {
    parse(
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
}

fn target(namespace: &str) -> Option<v1::Target> {
    Some(v1::Target { namespace: namespace.into(), name: "n".into(), uid: "u".into() })
}

type Asked = (v1::Job, Body);

fn restart(cluster: &str, pod: &str, owner: &str) -> Asked {
    let action = v1::RestartPod { pod: target(pod), owner: target(owner), ..Default::default() };
    (v1::Job { cluster_uid: cluster.into(), ..Default::default() }, Body::RestartPod(action))
}

fn restore(root: &str, path: &str) -> Asked {
    let action = v1::RestoreFile { root: root.into(), path: path.into(), ..Default::default() };
    (v1::Job::default(), Body::RestoreFile(action))
}

fn judge(policy: &Policy, (job, action): &Asked, jobs_in_last_hour: usize) -> Result<(), Refusal> {
    policy.judge(job, action, NOW, jobs_in_last_hour)
}

fn refused(policy: &Policy, asked: &Asked) -> String {
    let refusal = judge(policy, asked, 0).unwrap_err();
    assert_eq!(refusal.code, Code::PolicyForbids);
    refusal.reason
}

#[test]
fn an_absent_or_empty_policy_observes_only() {
    for policy in [Policy::default(), parse("")] {
        assert!(policy.allowed_actions().is_empty());
        assert!(refused(&policy, &restart("cluster-1", "default", "default")).contains("observe only"));
        assert!(refused(&policy, &restore("/", "/x")).contains("observe only"));
    }
}

#[test]
fn what_is_named_is_allowed() {
    assert_eq!(judge(&policy(), &restart("cluster-1", "default", "default"), 2), Ok(()));
    assert_eq!(judge(&policy(), &restore("/etc/app", "/etc/app/x.conf"), 0), Ok(()));
    assert_eq!(judge(&policy(), &restore("/srv", "/srv"), 0), Ok(()));
}

#[test]
fn deny_beats_allow() {
    assert!(refused(&policy(), &restart("cluster-1", "bank", "bank")).contains("deny_namespaces"));
    assert!(refused(&policy(), &restart("cluster-1", "default", "bank")).contains("deny_namespaces"));
    assert!(refused(&policy(), &restore("/etc/app", "/etc/app/private/key")).contains("deny_paths"));
    let denied = parse("allow = [\"restart_pod\"]\ndeny = [\"restart_pod\"]");
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
    assert_eq!(judge(&policy(), &job, 2), Ok(()));
    assert!(judge(&policy(), &job, 3).unwrap_err().reason.contains("3 jobs an hour"));
}

#[test]
fn kube_system_is_denied_unless_the_file_says_otherwise() {
    let text = "allow = [\"restart_pod\"]\nclusters = [\"c\"]\nnamespaces = [\"*\"]\n";
    let job = restart("c", "kube-system", "kube-system");
    assert!(refused(&parse(text), &job).contains("kube-system"));
    let open = parse(&format!("{text}deny_namespaces = []\n"));
    assert_eq!(judge(&open, &job, 0), Ok(()));
}

#[test]
fn a_broken_file_names_line_and_field() {
    for (text, line, names) in [
        ("allow = []\nalow = []", 2, "alow"),
        ("\n\njobs_per_hour = \"many\"", 3, "jobs_per_hour"),
        ("jobs_per_hour = -1", 1, "-1"),
        ("deny = [\n  \"restart_pod\",\n  \"restart_pods\",\n]", 3, "restart_pods"),
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

#[test]
fn an_unknown_action_in_allow_allows_nothing_and_is_said_while_the_rest_is_in_force() {
    let text = "paths = [\"/srv\"]\nallow = [\n  \"restore_file\",\n  \"drain_node_2\",\n]\n";
    let (policy, warnings) = Policy::parse(text).unwrap();
    assert_eq!(policy.allowed_actions(), [ActionKind::RestoreFile]);
    assert_eq!(judge(&policy, &restore("/srv", "/srv/a"), 0), Ok(()));
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!((warning.line, warning.word.as_str()), (4, "drain_node_2"));
    assert!(warning.to_string().contains("restart_pod, rollback_deployment"), "{warning}");
    // What an unknown word forbids is not known: nothing of such a file is used.
    assert!(Policy::parse("allow = [\"restore_file\"]\ndeny = [\"drain_node_2\"]").is_err());
}

/// A later version may allow an action on some conditions: without knowing them the action is not allowed.
#[test]
fn an_entry_of_allow_in_a_form_that_is_not_known_allows_nothing_and_the_others_hold() {
    let text = "paths = [\"/srv\"]\nallow = [\n  \"accept_baseline\",\n  { action = \"restore_file\", most = 3 },\n  7,\n]\n";
    let (policy, warnings) = Policy::parse(text).unwrap();
    assert_eq!(policy.allowed_actions(), [ActionKind::AcceptBaseline]);
    assert!(refused(&policy, &restore("/srv", "/srv/a")).contains("found restore_file"));
    let [conditional, number] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!((conditional.line, number.line, number.word.as_str()), (4, 5, "7"));
    assert!(conditional.word.contains("restore_file"), "{conditional}");
}

/// What a field of a later version forbids or limits is not known here, and all that it could do is narrow.
#[test]
fn a_field_that_is_not_known_refuses_the_file_and_is_named_beside_those_that_are() {
    for field in ["deny_nodes = [\"n1\"]", "jobs_per_day = 1", "[blackout]\nfrom = \"22:00\""] {
        let error = Policy::parse(&format!("allow = [\"restart_pod\"]\n{field}\n")).unwrap_err();
        let name = field.trim_start_matches('[').split([' ', ']']).next().unwrap();
        assert_eq!(error.line, 2, "{error}");
        for said in [
            name,
            "allow",
            "deny",
            "clusters",
            "namespaces",
            "deny_namespaces",
            "paths",
            "deny_paths",
            "diff_paths",
            "deny_diff_paths",
            "jobs_per_hour",
        ] {
            assert!(error.message.contains(&format!("`{said}`")), "{said}: {error}");
        }
    }
}

#[test]
fn the_managed_file_adds_to_the_persons_and_deny_beats_allow() {
    let managed = parse(
        "allow = [\"restart_pod\", \"restore_file\"]\nclusters = [\"c\"]\nnamespaces = [\"*\"]\npaths = [\"/srv\"]\n\
         deny_namespaces = [\"bank\"]\ndeny_paths = [\"/etc/app/x\"]\njobs_per_hour = 7\n",
    );
    let both = |person: &str| parse(person).with_managed(managed.clone());
    let alone = both("");
    assert_eq!(judge(&alone, &restart("c", "shop", "shop"), 6), Ok(()));
    assert!(judge(&alone, &restart("c", "shop", "shop"), 7).is_err());
    assert!(refused(&alone, &restart("c", "bank", "bank")).contains("deny_namespaces"));
    assert!(refused(&alone, &restart("c", "kube-system", "kube-system")).contains("deny_namespaces"));

    let person =
        "deny = [\"restart_pod\"]\npaths = [\"/etc/app\"]\ndeny_paths = [\"/srv/b\"]\njobs_per_hour = 9\n";
    let united = both(person);
    assert_eq!(united.allowed_actions(), [ActionKind::RestoreFile]);
    for path in ["/srv/a", "/etc/app/y"] {
        assert_eq!(judge(&united, &restore("/", path), 8), Ok(()), "{path}");
    }
    for path in ["/srv/b", "/etc/app/x"] {
        assert!(refused(&united, &restore("/", path)).contains("deny_paths"), "{path}");
    }
    assert!(judge(&united, &restore("/srv", "/srv/a"), 9).is_err());
}

#[test]
fn a_star_in_deny_stops_everything_whatever_either_file_allows() {
    let everything = parse(&format!("allow = {:?}\npaths = [\"/srv\"]\n", ActionKind::WORDS));
    assert_eq!(everything.allowed_actions(), ActionKind::ALL);
    let stopped = parse("deny = [\"*\"]\n").with_managed(everything.clone());
    assert!(refused(&stopped, &restore("/srv", "/srv/a")).contains("observe only"));
    assert!(everything.with_managed(parse("deny = [\"*\"]\n")).allowed_actions().is_empty());
}

#[test]
fn only_the_persons_file_opens_kube_system() {
    let job = restart("c", "kube-system", "kube-system");
    let text = "allow = [\"restart_pod\"]\nclusters = [\"c\"]\nnamespaces = [\"*\"]\n";
    let (open, silent) = (parse(&format!("{text}deny_namespaces = []\n")), parse(text));
    assert_eq!(judge(&open.clone().with_managed(silent.clone()), &job, 0), Ok(()));
    assert!(refused(&silent.with_managed(open), &job).contains("deny_namespaces"));
}

#[test]
fn a_node_is_touched_in_a_cluster_that_is_named() {
    let (job, action) = restart("cluster-2", "default", "default");
    let Body::RestartPod(mut action) = action else { unreachable!() };
    (action.avoid_node, action.node) = (true, "n1".into());
    let asked = |cluster: &str| {
        (v1::Job { cluster_uid: cluster.into(), ..job.clone() }, Body::RestartPod(action.clone()))
    };
    assert_eq!(judge(&policy(), &asked("cluster-1"), 0), Ok(()));
    assert!(refused(&policy(), &asked("cluster-2")).contains("clusters"));
}

#[test]
fn contents_are_shown_where_diff_paths_names_the_file_or_a_directory_above_it_and_nowhere_else() {
    for policy in [Policy::default(), parse(""), policy()] {
        assert!(!policy.shows("/etc/app/x.conf"), "nothing is shown by default, whatever may be changed");
    }
    let policy = parse(
        "diff_paths = [\"/etc/app\", \"/srv/one.conf\"]\ndeny_paths = [\"/etc/app/private\"]\n\
         deny_diff_paths = [\"/etc/app/users.conf\"]\n",
    );
    for shown in ["/etc/app/x.conf", "/etc/app/d/e", "/etc/app", "/srv/one.conf"] {
        assert!(policy.shows(shown), "{shown}");
    }
    for hidden in [
        "/etc/application.conf",
        "/etc/x",
        "/srv/one.conf.bak",
        "/srv/other",
        "/etc/app/../shadow",
        "/etc/app/private/x",
        "/etc/app/users.conf",
        "etc/app/x",
        "",
    ] {
        assert!(!policy.shows(hidden), "{hidden}");
    }
    assert!(policy.allowed_actions().is_empty(), "what may be shown may not be changed for that");
}

#[test]
fn an_entry_of_diff_paths_that_is_no_plain_path_shows_nothing_and_is_named() {
    let text = "allow = [\"restore_file\"]\ndiff_paths = [\n  \"/etc/app\",\n  \"/srv/*\",\n  \"etc/x\",\n  \
                \"/srv/\",\n  \"~/x\",\n  { path = \"/srv\" },\n  7,\n  true,\n]\n";
    let (policy, warnings) = Policy::parse(text).unwrap();
    assert!(policy.shows("/etc/app/x") && !policy.shows("/srv/x") && !policy.shows("/etc/x"));
    assert_eq!(policy.allowed_actions(), [ActionKind::RestoreFile], "the rest is in force");
    let lines: Vec<usize> = warnings.iter().map(|warning| warning.line).collect();
    assert_eq!(lines, [4, 5, 6, 7, 8, 9, 10]);
    let first = warnings[0].to_string();
    assert!(first.contains("line 4: diff_paths") && first.contains("/srv/*"), "{first}");
    // What a broken entry forbids is not known, and a list that is none is no policy.
    for broken in [
        "deny_diff_paths = [\"/srv/\"]",
        "diff_paths = \"/etc\"",
        "diff_path = [\"/etc\"]",
        "diff_paths = {}",
    ] {
        assert!(Policy::parse(broken).is_err(), "{broken}");
    }
}

#[test]
fn what_either_file_hides_is_hidden() {
    let managed = parse("diff_paths = [\"/srv\"]\n");
    let both = |person: &str| parse(person).with_managed(managed.clone());
    assert!(both("").shows("/srv/a") && !both("").shows("/etc/a"));
    assert!(both("diff_paths = [\"/etc\"]\n").shows("/etc/a"));
    assert!(!both("deny_diff_paths = [\"/srv/a\"]\n").shows("/srv/a"));
    assert!(!both("deny_paths = [\"/srv\"]\n").shows("/srv/a"));
    assert!(!both("deny_diff_paths = [\"/\"]\n").shows("/srv/a"), "the person's word ends it");
    assert!(both("").shows_the_same_as(&managed) && !both("").shows_the_same_as(&Policy::default()));
}

#[test]
fn a_policy_of_another_cluster_is_told_where_it_allows_something() {
    let of = |text: &str| Policy::parse(text).unwrap().0.is_of_another_cluster("here");
    let said = of("allow = [\"restart_pod\"]\nclusters = [\"there\"]\nnamespaces = [\"*\"]\n").unwrap();
    assert!(said.contains("here, found there"), "{said}");
    assert_eq!(
        of("allow = [\"restart_pod\"]\nclusters = [\"there\", \"here\"]\nnamespaces = [\"*\"]\n"),
        None
    );
    assert_eq!(of("clusters = [\"there\"]\n"), None, "it observes only");
    assert_eq!(of("allow = [\"restore_file\"]\npaths = [\"/etc/app\"]\n"), None, "it names no cluster");
}

#[test]
fn units_are_started_again_where_they_are_named_and_nowhere_else() {
    let policy = parse(
        "allow = [\"restart_unit\"]\nunits = [\"web.service\", \"worker@*.service\"]\n\
         deny_units = [\"worker@billing.service\"]\n",
    );
    let restart = |unit: &str| {
        let action = v1::RestartUnit { unit: unit.into(), ..Default::default() };
        judge(&policy, &(v1::Job::default(), Body::RestartUnit(action)), 0)
    };
    assert_eq!((restart("web.service"), restart("worker@a.service")), (Ok(()), Ok(())));
    assert!(restart("other.service").unwrap_err().reason.contains("`units`"));
    assert!(restart("worker@billing.service").unwrap_err().reason.contains("`deny_units`"));
    assert!(restart("").is_err() && restart("worker@.service").is_err());
    assert_eq!(policy.restarts("web.service"), Ok(()));
    assert!(Policy::default().restarts("web.service").unwrap_err().contains("restart_unit"));
    // Naming it does not help where the host stands on it.
    let wide = parse("allow = [\"restart_unit\"]\nunits = [\"dbus.service\", \"nimbus-agent.service\"]\n");
    assert!(wide.restarts("dbus.service").unwrap_err().contains("never"));
    assert!(wide.restarts("nimbus-agent.service").unwrap_err().contains("itself"));
    // Either file names, and either denies.
    let managed = parse("units = [\"b.service\"]\ndeny_units = [\"web.service\"]\n");
    let both = policy.with_managed(managed);
    assert!(both.restarts("b.service").is_ok() && both.restarts("web.service").is_err());
    for broken in
        ["units = [\"*\"]", "units = [\"web\"]", "units = [\"w*.service\"]", "deny_units = [\"web.socket\"]"]
    {
        let error = Policy::parse(broken).unwrap_err().to_string();
        assert!(error.contains("whole name"), "{error}");
    }
}

#[test]
fn auto_lets_a_rule_do_what_allow_has_and_nothing_else() {
    let text =
        "allow = [\"expand_volume\", \"restart_pod\"]\nauto = [\"expand_volume\", \"rollback_deployment\"]\n";
    assert_eq!(
        parse(text).automatic_actions(),
        [ActionKind::ExpandVolume],
        "what is not allowed is not automatic"
    );
    let denied = parse(&format!("{text}deny = [\"expand_volume\"]\n"));
    assert!(denied.automatic_actions().is_empty(), "deny beats it");
    assert!(parse("allow = [\"expand_volume\"]\n").automatic_actions().is_empty(), "none without it");
    let united = parse("allow = [\"expand_volume\"]\n").with_managed(parse("auto = [\"expand_volume\"]\n"));
    assert_eq!(united.automatic_actions(), [ActionKind::ExpandVolume]);
    // A word of a later version is said, and asks for a person.
    let (policy, warnings) =
        Policy::parse("allow = [\"expand_volume\"]\nauto = [\n  \"drain_node_2\",\n]\n").unwrap();
    assert!(policy.automatic_actions().is_empty());
    let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
    assert_eq!((warning.line, warning.list), (3, WarnedList::Auto));
    assert!(warning.to_string().contains("for which a person is asked"), "{warning}");
}
