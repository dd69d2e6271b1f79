//! What is wrong with answers is said, all of it at once.

use super::{LARGE, SMALL, draft};
use crate::draft::Draft;
use crate::read::{answer, read};

/// Where something is wrong, with these answers over good ones.
fn wrong(over: &[(&str, &str)]) -> Vec<String> {
    let answers = [SMALL, over].concat();
    let wrong = read(&draft(&answers)).expect_err("expected to be refused");
    for one in &wrong {
        assert!(!one.expected.is_empty() && !one.found.is_empty() && !one.next.is_empty(), "{one}");
    }
    wrong.into_iter().map(|one| one.at).collect()
}

#[test]
fn all_that_is_missing_is_named_at_once() {
    let said = read(&draft(&[])).unwrap_err();
    assert_eq!(said.iter().map(|one| one.at.as_str()).collect::<Vec<_>>(), ["registry", "database.kind"]);
    let needed = wrong(&[("database.kind", "terraform"), ("cloud.kind", "azure")]);
    assert_eq!(
        needed,
        ["cloud.region", "cloud.resource_group", "cloud.network", "cloud.cidr", "cloud.clients"]
    );
}

#[test]
fn an_answer_that_cannot_be_used_is_refused_where_it_stands() {
    for (key, value) in [
        ("name", "Prod"),
        ("name", "1st"),
        ("name", "a-name-that-is-longer-than-it-may-be"),
        ("namespace", "a.b"),
        ("namespace", "kube-system"),
        ("agents.namespace", "default"),
        ("registry", "registry;rm"),
        ("registry", "https://x/"),
        ("registry", "r:::"),
        ("registry", ".."),
        ("tag", "a:b"),
        ("tag", "1.0~rc1"),
        ("registry", "registry.example.internal/a..b"),
        ("database.size", "10"),
        ("operators.name", "localhost"),
        ("kube_context", "$(x)"),
    ] {
        assert_eq!(wrong(&[(key, value)]), [key], "{value}");
    }
}

#[test]
fn answers_that_contradict_each_other_are_refused() {
    assert_eq!(
        wrong(&[("acting.actions", "restore_file"), ("acting.namespaces", "shop")]),
        ["acting.actions"]
    );
    assert_eq!(wrong(&[("replicas", "2")]), ["replicas"]);
    assert_eq!(wrong(&[("acting.actions", "restart_pod")]), ["acting.namespaces"]);
    assert_eq!(wrong(&[("tls.kind", "secret"), ("tls.secret", "tls")]), ["tls.kind"]);
    assert_eq!(
        wrong(&[
            ("database.kind", "terraform"),
            ("cloud.network", "n"),
            ("cloud.cidr", "10.0.0.0/24"),
            ("cloud.clients", "10.1.0.0/16")
        ]),
        ["cloud.kind"]
    );
    let large = |over: (&'static str, &'static str)| {
        let said = read(&draft(&[LARGE, &[over]].concat())).unwrap_err();
        said.into_iter().map(|one| one.at).collect::<Vec<_>>()
    };
    assert_eq!(large(("operators.name", "nimbus.example.org")), ["operators.name"]);
    assert_eq!(large(("agents.service", "node-port")), ["agents.service"]);
    assert_eq!(large(("cloud.cidr", "10.20.0.1/26")), ["cloud.cidr"]);
    assert_eq!(large(("cloud.cidr", "10.20.0.0/28")), ["cloud.cidr"]);
    assert_eq!(large(("cloud.cidr", "10.20.0.0/+26")), ["cloud.cidr"]);
    assert_eq!(large(("cloud.clients", "0.0.0.0/0")), ["cloud.clients"]);
    assert_eq!(large(("cloud.clients", "10.20.0.0/27")), ["cloud.clients"], "within the database's own");
}

#[test]
fn a_file_is_read_and_every_key_that_nobody_knows_is_named() {
    let said = Draft::parse(
        "nmae = 'x'\nreplicas = 'two'\n[database]\nkind = 'oracle'\nsise = 1\n[cloud.aws]\nx = 1\n",
    )
    .unwrap_err();
    let at: Vec<&str> = said.iter().map(|one| one.at.as_str()).collect();
    assert_eq!(at, ["cloud.aws", "database.kind", "database.sise", "nmae", "replicas"]);
    assert!(Draft::parse("a = ").unwrap_err()[0].found.contains("line 1"));
    assert!(Draft::parse(&" ".repeat(crate::draft::MOST_BYTES + 1)).is_err());
}

#[test]
fn what_is_asked_follows_from_what_was_answered() {
    let mut given = draft(&[]);
    let mut asked = Vec::new();
    while let Some(key) = given.next_question() {
        asked.push(key.path);
        let answer = match key.path {
            "database.kind" => "terraform",
            "cloud.kind" => "gcp",
            "replicas" => "2",
            "acting.actions" => "",
            path => match key.form {
                crate::draft::keys::Form::Word(words) => words[0],
                crate::draft::keys::Form::Switch => "yes",
                crate::draft::keys::Form::Text
                | crate::draft::keys::Form::List
                | crate::draft::keys::Form::Number => match path {
                    "cloud.cidr" => "10.0.0.0/24",
                    _ => "some",
                },
            },
        };
        given.set(key.path, answer).unwrap();
    }
    assert!(asked.contains(&"cloud.project") && asked.contains(&"cloud.cidr"), "{asked:?}");
    for unneeded in
        ["cloud.clients", "cloud.resource_group", "database.secret", "acting.namespaces", "tls.issuer"]
    {
        assert!(!asked.contains(&unneeded), "{unneeded}");
    }
}

#[test]
fn what_the_agents_chart_refuses_is_refused_here() {
    let acting =
        |actions, namespaces| wrong(&[("acting.actions", actions), ("acting.namespaces", namespaces)]);
    assert_eq!(acting("uncordon_node", "shop"), ["acting.namespaces"]);
    assert_eq!(acting("restart_pod", "shop,kube-system"), ["acting.namespaces"]);
    assert_eq!(acting("restart_pod,restart_pod", "shop"), ["acting.actions"]);
    assert_eq!(acting("restart_pod", "shop,web,shop"), ["acting.namespaces"]);
}

#[test]
fn an_answer_that_means_nothing_beside_the_others_is_named() {
    for (key, value) in [
        ("database.secret", "x"),
        ("tls.secret", "mycert"),
        ("cloud.region", "eu"),
        ("cloud.backups", "false"),
        ("cloud.network", "vpc"),
        ("acting.namespaces", "prod"),
    ] {
        assert_eq!(wrong(&[(key, value)]), [key]);
    }
    // What says no more than what holds without it takes nothing away.
    read(&draft(&[SMALL, &[("tls.secret", ""), ("cloud.backups", "true"), ("replicas", "1")]].concat()))
        .unwrap();
}

#[test]
fn what_another_answer_left_behind_is_named_and_what_was_idle_before_is_still_wrong() {
    let file = draft(&[SMALL, &[("database.size", "50Gi"), ("tls.secret", "mycert")]].concat());
    let mut now = file.clone();
    now.set("database.kind", "secret").unwrap();
    now.set("database.secret", "company").unwrap();
    assert_eq!(now.leave_behind(&file), ["database.size"]);
    let said: Vec<String> = read(&now).unwrap_err().into_iter().map(|one| one.at).collect();
    assert_eq!(said, ["tls.secret"]);
}

#[test]
fn each_answer_is_checked_when_it_is_given() {
    let at = |draft: &Draft, key: &str, typed: &str| -> Vec<String> {
        answer(draft, key, typed).expect_err("expected to be refused").into_iter().map(|one| one.at).collect()
    };
    let begun = draft(&[("name", "prod")]);
    assert_eq!(at(&begun, "name", "bad_Name!"), ["name"]);
    assert_eq!(at(&begun, "database.kind", "oracle"), ["database.kind"]);
    let begun = answer(&begun, "database.kind", "terraform").unwrap();
    assert_eq!(at(&begun, "cloud.kind", "none"), ["cloud.kind"]);
    let begun = answer(&begun, "cloud.kind", "gcp").unwrap();
    // What contradicts an answer that was given before is said at once.
    let begun = answer(&begun, "operators.service", "cluster-ip").unwrap();
    let named = answer(&begun, "operators.name", "nimbus.example.com").unwrap();
    assert_eq!(at(&named, "cloud.dns_zone", "zone"), ["operators.service"]);
}
