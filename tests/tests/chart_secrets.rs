//! Tests of both charts with secrets in fields that are for something else, with the real helm: each is refused by the name
//! of its value, and what was written there is not shown. Nothing is installed.

use std::collections::BTreeSet;

use nimbus_tests::helm::{AGENT, CONTROL_PLANE as PLANE, Chart, documents, paths};
use nimbus_tests::rig::repository;
use serde_json::Value;

/// What must not be read in any message.
const HUSH: &str = "hush";

/// Values of both charts that are no names of yours, and whose place is taken for another's just as easily.
const OTHERS: [&str; 4] = ["serviceAccount.name", "priorityClassName", "image.tag", "image.digest"];

/// A private key, as a file has it.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n";

/// The last names of more values that may be a secret by mistake.
const HIDDEN: [&str; 12] = [
    "certificateAuthority",
    "advertise",
    "server",
    "url",
    "name",
    "names",
    "nameOverride",
    "fullnameOverride",
    "priorityClassName",
    "tag",
    "digest",
    "clusterUid",
];

/// Is this value, by its path, the name of an object of yours or of a key in it?
fn names_something(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or_default();
    last.starts_with("existing") || last.ends_with("Secret") || last.ends_with("SecretKey")
}

/// All values of a chart that name something.
fn names(chart: Chart) -> anyhow::Result<BTreeSet<String>> {
    let values = repository()?.join(chart.folder).join("values.yaml");
    let mut found = BTreeSet::new();
    for values in documents(&std::fs::read_to_string(values)?)? {
        paths(&values, "", &mut found);
    }
    found.retain(|path| names_something(path));
    Ok(found)
}

/// The value is refused by its name, once helm has looked at all of them, without a word of what is in it.
fn is_hidden(chart: Chart, path: &str, text: &str) -> anyhow::Result<()> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    let given = format!("{path}={}", file.path().display());
    let said = chart.refusal(&["--set-file", &given, "--set", "image.digest=0123"])?;
    let line = said.lines().find(|line| line.starts_with(&format!("  - {path}: expected")));
    let is_hidden = line.is_some_and(|line| line.contains("which is not shown")) && !said.contains(HUSH);
    anyhow::ensure!(
        is_hidden && said.contains("  - image.digest: expected"),
        "{chart}: {path}: {text}: {said}"
    );
    Ok(())
}

#[test]
fn a_secret_in_the_place_of_a_name_is_refused_and_not_shown() {
    for (chart, number) in [(PLANE, 12), (AGENT, 4)] {
        let names = names(chart).unwrap();
        assert_eq!(names.len(), number, "{names:?}");
        for path in names {
            for text in [KEY, "postgres://nimbus:hush@db:5432/nimbus", "hush and more", &HUSH.repeat(64)] {
                is_hidden(chart, &path, text).unwrap();
            }
        }
        for text in [KEY, "postgres://nimbus:hush@db:5432/nimbus", "hush and more", &HUSH.repeat(64)] {
            for path in OTHERS {
                is_hidden(chart, path, text).unwrap();
            }
        }
        for text in [KEY, "postgres://nimbus:hush@db:5432/nimbus", "hush and more"] {
            is_hidden(chart, "nameOverride", text).unwrap();
            is_hidden(chart, "fullnameOverride", text).unwrap();
        }
        is_hidden(chart, "image.registry", "https://somebody:hush@registry.example.com").unwrap();
        is_hidden(chart, "image.repository", "somebody:hush@registry.example.com/nimbus").unwrap();
        let given = ["--set-json", "image.pullSecrets=[\"{hush}\"]"];
        assert!(!chart.refusal(&given).unwrap().contains(HUSH));
    }
    is_hidden(AGENT, "join.existingSecretKey", "nimbus1.tok_1.hush.ab").unwrap();
    is_hidden(AGENT, "server", "nimbus1.tok_1.hush.ab").unwrap();
    for address in ["http://somebody:hush@nimbus.example.com:7071", "somebody:hush@nimbus.example.com:7071"] {
        is_hidden(AGENT, "server", address).unwrap();
        is_hidden(PLANE, "services.advertise", address).unwrap();
    }
    for text in [KEY, "postgres://nimbus:hush@db:5432/nimbus", "hush and more", &HUSH.repeat(64)] {
        is_hidden(AGENT, "acting.clusterUid", text).unwrap();
        is_hidden(PLANE, "names[0]", text).unwrap();
        is_hidden(PLANE, "tls.certManager.issuerRef.name", text).unwrap();
    }
    let both = format!("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n{KEY}");
    for text in [KEY, &both, HUSH] {
        is_hidden(AGENT, "kubelet.certificateAuthority", text).unwrap();
    }
}

/// Helm prints the value that does not match a pattern.
#[test]
fn the_schemas_have_no_pattern_for_what_may_be_a_secret() {
    fn walk(value: &Value, name: &str, of: &mut Vec<String>) {
        for (key, below) in value.as_object().into_iter().flatten() {
            let hidden = names_something(name) || HIDDEN.contains(&name);
            if hidden && ["pattern", "enum", "const"].contains(&key.as_str()) {
                of.push(name.to_owned());
            }
            walk(below, key, of);
        }
    }
    for chart in [PLANE, AGENT] {
        let schema = repository().unwrap().join(chart.folder).join("values.schema.json");
        let schema: Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
        let mut found = Vec::new();
        walk(&schema, "", &mut found);
        assert!(found.is_empty(), "{chart}: {found:?}");
    }
}

/// What is right is taken as before, and what names something where it means nothing is shown as a name.
#[test]
fn names_of_other_objects_are_taken() {
    let longest = format!("a{}", ".b".repeat(126));
    for name in ["a", "0", "a.b-c.d", &longest] {
        for chart in [PLANE, AGENT] {
            for path in ["serviceAccount.name", "priorityClassName"] {
                let text = chart.template(&["--set-string", &format!("{path}={name}")]).unwrap();
                assert!(text.contains(&format!("\"{name}\"")), "{chart}: {path}: {name}");
            }
        }
        let issuer = format!("tls.certManager.issuerRef.name={name}");
        PLANE.template(&["--set", "tls.certManager.enabled=true", "--set-string", &issuer]).unwrap();
        let said = PLANE.refusal(&["--set-string", &issuer]).unwrap();
        assert!(said.contains(&format!("found \"{name}\"")), "{said}");
    }
}

/// A name stays a name: what every object of Kubernetes may be called is taken.
#[test]
fn names_of_every_form_are_taken() {
    let longest = format!("a{}", ".b".repeat(126));
    for name in ["a", "0", "nimbus-join", "a.b-c.d", &longest] {
        AGENT.template(&["--set-string", &format!("join.existingSecret={name}")]).unwrap();
        PLANE.template(&["--set-string", &format!("database.existingSecret={name}")]).unwrap();
    }
    for key in ["a", "ca.crt", "A_b-c.d", ".hidden", &longest] {
        AGENT.template(&["--set-string", &format!("join.existingSecretKey={key}")]).unwrap();
        PLANE
            .template(&[
                "--set-string",
                &format!("database.existingSecret=a,database.existingSecretKey={key}"),
            ])
            .unwrap();
    }
}
