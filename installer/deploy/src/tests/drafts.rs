//! What is wrong with answers is said, all of it at once.

use super::{LARGE, SMALL, draft};
use crate::draft::Draft;
use crate::read::read;

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
        ("registry", "registry;rm"),
        ("tag", "a:b"),
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
            ("cloud.clients", "10.0.0.0/8")
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
