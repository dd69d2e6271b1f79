//! Tests of both charts with sections of their values, and with single values, that are null, with the real helm: such a one
//! counts as empty or switched off where that is its default, and is refused by its name otherwise. Nothing is installed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use nimbus_tests::helm::{AGENT, CONTROL_PLANE, Chart, documents, files};
use nimbus_tests::rig::repository;
use serde_json::{Value, json};

/// The control plane's, without a `helm test`.
const PLANE: Chart = Chart { due: ["--set", "image.registry=r.example.internal"], ..CONTROL_PLANE };

/// Values for which nearly all others are looked into, by chart.
const MUCH: [(Chart, &[&str]); 2] = [
    (PLANE, &["backup", "monitoring", "cert-manager", "network-policy"]),
    (AGENT, &["acting", "monitoring", "network-policy"]),
];
/// What a template says, or renders, where it takes a null for a text, a number or a list.
const SLIPS: [&str; 6] = ["%!", "<nil>", "= null", "nil pointer", "error calling", "YAML parse error"];
/// Ends of lines that a null leaves behind where it is rendered as nothing or as 0.
const EMPTY: [&str; 7] = [": ", "=", " null", " 0", "=0", "\"0\"", "\"\""];
/// Fields of Kubernetes' own, of which each may be left out.
const OF_KUBERNETES: [&str; 3] = ["podSecurityContext.", "securityContext.", "resources."];

/// The arguments for `MUCH`.
fn much(chart: Chart) -> Vec<String> {
    let names = MUCH.iter().filter(|(name, _)| *name == chart).flat_map(|(_, names)| *names);
    names.flat_map(|name| ["--values".to_owned(), format!("{}/{name}.yaml", chart.variants)]).collect()
}

/// What a chart renders and tells, but for the time.
fn with_notes(chart: Chart, arguments: &[&str]) -> anyhow::Result<String> {
    let text = chart.with_notes(arguments)?;
    let lines = text.lines().filter(|line| !line.starts_with("LAST DEPLOYED"));
    Ok(lines.fold(String::new(), |all, line| all + line + "\n"))
}

/// The refusal of a section.
fn refusal(path: &str) -> String {
    format!("value `{path}` is null: expected a mapping; remove the key or give its fields")
}

/// The paths of all mappings, also of empty ones: `a`, `a.b`.
fn mappings(values: &Value, above: &str, into: &mut BTreeSet<String>) {
    for (name, value) in values.as_object().into_iter().flatten() {
        if value.is_object() {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            mappings(value, &path, into);
            into.insert(path);
        }
    }
}

/// The paths of all values that are no mappings, and whether they say something: are neither empty nor 0 nor false.
fn leaves(values: &Value, above: &str, into: &mut BTreeMap<String, bool>) {
    for (name, value) in values.as_object().into_iter().flatten() {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        leaves(value, &path, into);
        if !value.is_object() {
            let empty = [json!(false), json!(0), json!(""), json!([]), Value::Null];
            into.insert(path, !empty.contains(value));
        }
    }
}

/// The values of a chart as they are without any of one's own.
fn defaults(chart: Chart) -> anyhow::Result<Value> {
    let values = repository()?.join(chart.folder).join("values.yaml");
    documents(&std::fs::read_to_string(values)?)?.into_iter().next().context("values")
}

/// Every section of a chart's values.
fn sections(chart: Chart) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    mappings(&defaults(chart)?, "", &mut found);
    anyhow::ensure!(found.len() > 25, "{found:?}");
    Ok(found)
}

/// Beside nothing else, and beside values for which nearly all sections are looked into.
#[test]
fn a_section_that_is_null_counts_as_left_out_or_is_refused_by_its_name() {
    for chart in [PLANE, AGENT] {
        let much = much(chart);
        for values in [vec![], much.iter().map(String::as_str).collect()] {
            chart.template(&values).unwrap();
            for path in sections(chart).unwrap() {
                let null = format!("{path}=null");
                let Err(said) = chart.template(&[&values[..], &["--set", &null]].concat()) else { continue };
                let said = said.to_string();
                let of = format!("{chart}: {null} with {values:?}: {said}");
                assert!(!said.contains("nil pointer") && !said.contains("error calling"), "{of}");
                // Where what the section turns on needs its fields, these are named one by one.
                assert!(said.contains(&refusal(&path)) || said.contains(&format!("{path}.")), "{of}");
                assert!(!values.is_empty() || said.contains(&refusal(&path)), "{of}");
            }
        }
    }
}

/// Does this message say that the value at `path` is missing or wrong? The schema writes `/a/b` and then the last name.
fn names_value(message: &str, path: &str) -> bool {
    let (above, last) = path
        .rsplit_once('.')
        .map_or((String::new(), path), |(above, last)| (format!("/{}", above.replace('.', "/")), last));
    let missing = format!("- at '{above}': missing property '{last}'");
    // A name without a dot may stand in any sentence as a word.
    let names =
        |line: &str| line.starts_with(&format!("{path}:")) || (path.contains('.') && line.contains(path));
    message.lines().any(|line| line == missing || line.strip_prefix("  - ").is_some_and(names))
}

/// Each single value of a chart as null, alone and beside much else, in objects and notes.
fn assert_no_value_slips_through(chart: Chart) -> anyhow::Result<()> {
    let mut paths = BTreeMap::new();
    leaves(&defaults(chart)?, "", &mut paths);
    assert!(paths.len() > 70, "{paths:?}");
    let much = much(chart);
    for values in [vec![], much.iter().map(String::as_str).collect()] {
        let before = with_notes(chart, &values)?;
        let known: BTreeSet<&str> = before.lines().collect();
        let mut refused = 0;
        for (path, says_something) in &paths {
            let null = format!("{path}=null");
            let result = with_notes(chart, &[&values[..], &["--set", &null]].concat());
            let text = result.as_ref().map_or_else(ToString::to_string, String::clone);
            let of = format!("{chart}: {null} with {values:?}: {text}");
            assert!(!SLIPS.iter().any(|slip| text.contains(slip)), "{of}");
            if result.is_err() {
                assert!(names_value(&text, path), "{of}");
                refused += 1;
                continue;
            }
            let mut new = text.lines().filter(|line| !known.contains(line));
            if OF_KUBERNETES.iter().any(|section| path.contains(section)) {
                assert!(new.all(|line| line.ends_with(": {}")), "{of}");
            } else if values.is_empty() || (*says_something && !path.contains(".labels.")) {
                assert_eq!(text, before, "{of}");
            } else {
                assert!(!new.any(|line| EMPTY.iter().any(|end| line.ends_with(end))), "{of}");
            }
        }
        assert!(refused > 20 && refused < paths.len(), "{chart}: {refused} of {} are refused", paths.len());
    }
    Ok(())
}

#[test]
fn a_value_of_the_control_plane_that_is_null_counts_as_left_out_or_is_refused_by_its_name() {
    assert_no_value_slips_through(PLANE).unwrap();
}

#[test]
fn a_value_of_the_agents_that_is_null_counts_as_left_out_or_is_refused_by_its_name() {
    assert_no_value_slips_through(AGENT).unwrap();
}

#[test]
fn what_is_empty_or_off_by_default_may_be_null_and_what_is_needed_may_not() {
    let accepted = [
        (
            PLANE,
            "backup=null,services.agentsOverTcp=null,metrics=null,networkPolicy=null,podDisruptionBudget=null",
        ),
        (PLANE, "commonLabels=null,podLabels=null,services.agents.labels=null,persistence.annotations=null"),
        (PLANE, "tls.certManager=null,test=null,config.settings=null,nodeSelector=null,affinity=null"),
        (AGENT, "commonLabels=null,podLabels=null,metrics=null,networkPolicy=null,join.token=null"),
    ];
    for (chart, set) in accepted {
        assert_eq!(chart.template(&["--set", set]).unwrap(), chart.template(&[]).unwrap(), "{chart}: {set}");
    }
    for (chart, set) in [
        (PLANE, "resources=null"),
        (PLANE, "resources.limits=null"),
        (AGENT, "podSecurityContext.runAsUser=null"),
    ] {
        assert!(chart.template(&["--set", set]).is_ok(), "{chart}: {set}");
    }
    for (chart, path) in [
        (PLANE, "image"),
        (PLANE, "services"),
        (PLANE, "services.agents"),
        (PLANE, "database"),
        (PLANE, "podSecurityContext"),
        (AGENT, "kubelet"),
        (AGENT, "acting"),
        (AGENT, "probes"),
        (AGENT, "securityContext"),
    ] {
        let said = chart.template(&["--set", &format!("{path}=null")]).unwrap_err().to_string();
        assert!(said.contains(&refusal(path)), "{chart}: {said}");
    }
}

/// As an editor leaves it: a key with nothing after it.
#[test]
fn all_sections_that_are_null_in_a_file_are_named_at_once() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "image:\n  registry: r.example.internal\nlog:\nservices:\n  agents:\nkeys:\n",
    )
    .unwrap();
    let said = PLANE.template(&["--values", &file.path().display().to_string()]).unwrap_err().to_string();
    for path in ["log", "services.agents", "keys"] {
        assert!(said.contains(&refusal(path)), "{path}: {said}");
    }
    assert!(said.contains("nothing was installed") && said.contains("--reset-then-reuse-values"), "{said}");
    // The section above is enough.
    let said = PLANE.template(&["--set", "services=null"]).unwrap_err().to_string();
    assert!(!said.contains("services.agents"), "{said}");
}

/// Helm renders the templates in an order of its own: the first one, whichever it is, has to have looked.
#[test]
fn every_template_begins_with_the_look_at_the_sections() {
    fn below(folder: &Path, into: &mut BTreeSet<PathBuf>) {
        for path in files(folder.to_str().unwrap()).unwrap() {
            if path.is_dir() {
                below(&path, into);
            } else {
                into.insert(path);
            }
        }
    }
    for chart in [PLANE, AGENT] {
        let mut templates = BTreeSet::new();
        below(&repository().unwrap().join(chart.folder).join("templates"), &mut templates);
        templates.retain(|path| path.extension().is_some_and(|end| end != "tpl"));
        assert!(templates.len() > 10, "{templates:?}");
        for path in templates {
            let text = std::fs::read_to_string(&path).unwrap();
            let first = format!("{{{{- include \"{chart}.sections\" . -}}}}\n");
            assert!(text.starts_with(&first), "{}", path.display());
        }
    }
}

/// Each chart has to be whole by itself, so both have what both need: the same text, but for the chart's name.
#[test]
fn what_both_charts_have_is_the_same_in_both() {
    let text = |chart: Chart, file: &str| {
        std::fs::read_to_string(repository().unwrap().join(chart.folder).join(file)).unwrap()
    };
    for name in [
        "cidr",
        "figures",
        "forms",
        "image",
        "labels",
        "mounts",
        "placement",
        "pod_security",
        "release",
        "rules",
        "yours",
    ] {
        let file = format!("templates/_check_{name}.tpl");
        let of = |chart: Chart| text(chart, &file).replace(&format!("\"{chart}."), "\"");
        let (plane, agent) = (of(PLANE), of(AGENT));
        assert!(plane.contains("{{- define \""), "{file}: {plane}");
        let other = plane.lines().zip(agent.lines()).find(|(plane, agent)| plane != agent);
        assert!(plane == agent, "{file}: change both charts; the first lines that differ: {other:?}");
    }
    let definitions = |chart: Chart| {
        let schema: Value = serde_json::from_str(&text(chart, "values.schema.json")).unwrap();
        schema["definitions"].as_object().unwrap().clone()
    };
    let (plane, agent) = (definitions(PLANE), definitions(AGENT));
    let both: Vec<&String> = plane.keys().filter(|name| agent.contains_key(*name)).collect();
    assert!(both.len() > 5, "{both:?}");
    for name in both {
        assert_eq!(plane[name], agent[name], "values.schema.json: {name}: change both charts");
    }
}
