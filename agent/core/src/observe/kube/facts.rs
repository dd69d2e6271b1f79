//! What a pod template says, value by value, as far as it may leave the cluster: so that a person who is asked to go back
//! to another template can read what differs.
//!
//! A number, a switch, or a text that cannot be a secret (an image, a quantity, a reference by name) is shown. Every other
//! text stays: values of environment variables, commands, arguments, annotations. Of those only a digest leaves, made with a
//! key that stays with the agent, so that it tells two values apart and says neither, not even to one who guesses.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use nimbus_protocol::v1;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Most facts of one template; a last one stands for the rest.
const MAX_FACTS: usize = 200;
/// Longest path, bytes; what is below a longer one is part of the rest.
const MAX_PATH: usize = 200;
/// Longest value that is shown, bytes; a longer one is told by its digest.
const MAX_VALUE: usize = 200;
/// Bytes of a digest: enough to tell values apart, with a key that nobody else has.
const DIGEST: usize = 8;
/// The path of the fact that stands for what is beyond the bounds.
const REST: &str = "(everything else)";

static KEY: OnceLock<[u8; 32]> = OnceLock::new();

/// Sets the key of this process, once; a later one is not taken. Without a key a value that stays has no digest, and
/// whether it differs is not known.
pub fn set_redaction_key(key: [u8; 32]) {
    let _ = KEY.set(key);
}

/// The facts of a template, in order of their paths.
pub(super) fn facts(template: &Value) -> Vec<v1::TemplateFact> {
    of(template, KEY.get())
}

fn of(template: &Value, key: Option<&[u8; 32]>) -> Vec<v1::TemplateFact> {
    let mut leaves = BTreeMap::new();
    flatten(template.get("metadata").unwrap_or(&Value::Null), "metadata", &mut leaves);
    flatten(template.get("spec").unwrap_or(&Value::Null), "", &mut leaves);
    let mut facts = Vec::new();
    let mut rest = Vec::new();
    for (path, value) in leaves {
        if facts.len() + 1 >= MAX_FACTS || path.len() > MAX_PATH {
            rest.push((path, value));
        } else {
            facts.push(fact(path, value, key));
        }
    }
    if !rest.is_empty() {
        let whole: Value = rest.into_iter().map(|(path, value)| (path, value.clone())).collect();
        facts.push(hidden(REST.to_owned(), &whole.to_string(), key));
    }
    facts
}

fn fact(path: String, value: &Value, key: Option<&[u8; 32]>) -> v1::TemplateFact {
    let shown = match value {
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::String(text) if is_harmless(&path) => Some(text.clone()),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    match shown {
        Some(value) if !value.is_empty() && value.len() <= MAX_VALUE => {
            v1::TemplateFact { path, value, digest: Vec::new() }
        }
        _ => hidden(path, &value.to_string(), key),
    }
}

fn hidden(path: String, value: &str, key: Option<&[u8; 32]>) -> v1::TemplateFact {
    let digest = key.map(|key| {
        let mut hasher = Sha256::new();
        hasher.update(key);
        hasher.update((path.len() as u64).to_be_bytes());
        hasher.update(path.as_bytes());
        hasher.update(value.as_bytes());
        hasher.finalize()[..DIGEST].to_vec()
    });
    v1::TemplateFact { path, value: String::new(), digest: digest.unwrap_or_default() }
}

/// The values below `value`, by their paths. A list of things with names is keyed by name; a list of plain values is one.
fn flatten<'a>(value: &'a Value, path: &str, leaves: &mut BTreeMap<String, &'a Value>) {
    match value {
        Value::Null => {}
        Value::Object(map) => {
            for (key, below) in map {
                let in_list = path.ends_with(']') && key == "name";
                let below_path = join(path, key);
                if !in_list && !is_default(&below_path, below) {
                    flatten(below, &below_path, leaves);
                }
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            for (number, item) in items.iter().enumerate() {
                let name = item["name"].as_str().map(str::to_owned);
                let port = item["containerPort"].as_u64().map(|port| port.to_string());
                let mount = item["mountPath"].as_str().map(str::to_owned);
                let own = mount.or(name).or(port).unwrap_or_else(|| number.to_string());
                // Two of one name are told apart by their number.
                let mut here = format!("{path}[{own}]");
                if leaves.keys().any(|known| known.starts_with(&here)) {
                    here = format!("{path}[{own}#{number}]");
                }
                flatten(item, &here, leaves);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            leaves.insert(path.to_owned(), value);
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if key.contains(['.', '/', '[']) {
        return format!("{path}[{key}]");
    }
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What the API server fills in by itself, in every template alike, and the label that tells ReplicaSets apart.
fn is_default(path: &str, value: &Value) -> bool {
    const DEFAULTS: [(&str, &str); 7] = [
        ("restartPolicy", "Always"),
        ("dnsPolicy", "ClusterFirst"),
        ("schedulerName", "default-scheduler"),
        ("terminationMessagePath", "/dev/termination-log"),
        ("terminationMessagePolicy", "File"),
        ("protocol", "TCP"),
        ("scheme", "HTTP"),
    ];
    let last = path.rsplit('.').next().unwrap_or_default();
    path == "metadata.labels.pod-template-hash"
        || value.as_str().is_some_and(|text| DEFAULTS.contains(&(last, text)))
}

/// Can the text at this path be no secret? By the path alone: a value is never looked at.
fn is_harmless(path: &str) -> bool {
    const LAST: [&str; 34] = [
        "image",
        "imagePullPolicy",
        "serviceAccountName",
        "serviceAccount",
        "priorityClassName",
        "runtimeClassName",
        "schedulerName",
        "dnsPolicy",
        "restartPolicy",
        "nodeName",
        "terminationMessagePolicy",
        "terminationMessagePath",
        "protocol",
        "scheme",
        "topologyKey",
        "whenUnsatisfiable",
        "operator",
        "effect",
        "mountPath",
        "mountPropagation",
        "subPath",
        "medium",
        "sizeLimit",
        "claimName",
        "secretName",
        "containerPort",
        "port",
        "path",
        "preemptionPolicy",
        "storageClassName",
        "fieldPath",
        "resource",
        "divisor",
        "type",
    ];
    const REFERENCES: [&str; 6] =
        ["configMap", "configMapRef", "configMapKeyRef", "secretRef", "secretKeyRef", "imagePullSecrets"];
    // Maps whose keys are anybody's: a key that sounds harmless says nothing there.
    if path.starts_with("metadata.annotations")
        || path.contains("volumeAttributes")
        || path.contains("options")
    {
        return false;
    }
    let mut parts = path.rsplit('.');
    let (last, before) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let plain = path.rsplit(['.', ']']).next().is_some_and(|last| !last.is_empty());
    if plain && last == "path" {
        // Of a volume or a probe's request; a path in a request may carry a token.
        return !path.contains("httpGet");
    }
    let quantity = |word: &str| path.contains(&format!("resources.{word}"));
    (plain && LAST.contains(&last))
        || (plain && (last == "name" || last == "key") && REFERENCES.contains(&before))
        || quantity("limits")
        || quantity("requests")
        || path.starts_with("nodeSelector")
        || path.starts_with("metadata.labels")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "hunter2-never-leaves";

    fn template(value: &str, image: &str) -> Value {
        json!({
            "metadata": {
                "labels": { "app": "web", "app.kubernetes.io/name": "web", "pod-template-hash": "abc" },
                "annotations": { "checksum/config": value, "note": value, "image": value },
            },
            "spec": {
                "restartPolicy": "Always",
                "containers": [{
                    "name": "web", "image": image, "args": ["--token", value], "command": ["/bin/web", value],
                    "env": [
                        { "name": "TOKEN", "value": value },
                        { "name": "URL", "valueFrom": { "secretKeyRef": { "name": "web-secret", "key": "url" } } },
                    ],
                    "envFrom": [{ "configMapRef": { "name": "web-config" } }],
                    "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                    "resources": { "limits": { "memory": "64Mi", "nvidia.com/gpu": "1" } },
                    "livenessProbe": {
                        "httpGet": {
                            "path": format!("/?key={value}"), "port": 80,
                            "httpHeaders": [{ "name": "Authorization", "value": value }],
                        },
                        "exec": { "command": ["curl", value] },
                    },
                    "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
                }],
                "volumes": [
                    { "name": "data", "configMap": { "name": "files", "items": [{ "key": value, "path": "x" }] } },
                    { "name": "keys", "secret": { "secretName": "keys" } },
                    { "name": "csi", "csi": { "driver": "d", "volumeAttributes": { "password": value } } },
                ],
                "hostAliases": [{ "ip": "10.0.0.1", "hostnames": [value] }],
                "terminationGracePeriodSeconds": 5,
            },
        })
    }

    fn shown(facts: &[v1::TemplateFact]) -> Vec<String> {
        facts.iter().filter(|f| !f.value.is_empty()).map(|f| format!("{} = {}", f.path, f.value)).collect()
    }

    #[test]
    fn what_cannot_be_secret_is_shown_by_its_path() {
        let facts = of(&template(SECRET, "web:1"), Some(&[7; 32]));
        let shown = shown(&facts);
        for line in [
            "containers[web].image = web:1",
            "containers[web].resources.limits.memory = 64Mi",
            "containers[web].resources.limits[nvidia.com/gpu] = 1",
            "containers[web].env[URL].valueFrom.secretKeyRef.name = web-secret",
            "containers[web].envFrom[0].configMapRef.name = web-config",
            "containers[web].ports[80].containerPort = 80",
            "metadata.labels[app.kubernetes.io/name] = web",
            "terminationGracePeriodSeconds = 5",
            "volumes[keys].secret.secretName = keys",
            "volumes[data].configMap.name = files",
        ] {
            assert!(shown.contains(&line.to_owned()), "{line}: {shown:#?}");
        }
        assert!(!shown.iter().any(|line| line.contains("Always") || line.contains("abc")), "{shown:#?}");
    }

    #[test]
    fn a_value_that_may_be_secret_stays_and_only_whether_it_differs_is_told() {
        let (one, other) = (template(SECRET, "web:1"), template("hunter3", "web:1"));
        let (a, b) = (of(&one, Some(&[7; 32])), of(&other, Some(&[7; 32])));
        let differ: Vec<&str> =
            a.iter().zip(&b).filter(|(a, b)| a != b).map(|(a, _)| a.path.as_str()).collect();
        assert_eq!(
            differ,
            [
                "containers[web].args",
                "containers[web].command",
                "containers[web].env[TOKEN].value",
                "containers[web].livenessProbe.exec.command",
                "containers[web].livenessProbe.httpGet.httpHeaders[Authorization].value",
                "containers[web].livenessProbe.httpGet.path",
                "hostAliases[0].hostnames",
                "metadata.annotations.image",
                "metadata.annotations.note",
                "metadata.annotations[checksum/config]",
                "volumes[csi].csi.volumeAttributes.password",
                "volumes[data].configMap.items[0].key",
            ]
        );
        assert!(!format!("{a:?}").contains("hunter2"), "{a:#?}");
        // Another agent's digest of the same value is another one: there is nothing to look a value up in.
        let digest_of = |facts: &[v1::TemplateFact]| {
            facts.iter().find(|f| f.path.ends_with("env[TOKEN].value")).unwrap().digest.clone()
        };
        assert_ne!(digest_of(&a), digest_of(&of(&one, Some(&[8; 32]))));
        assert_eq!(digest_of(&of(&one, None)), [0_u8; 0], "without a key nothing is said");
    }

    #[test]
    fn the_same_template_has_the_same_facts_whatever_the_order_of_its_keys() {
        let text = r#"{"spec":{"containers":[{"image":"a","name":"b"}]},"metadata":{}}"#;
        let other = r#"{"metadata":{},"spec":{"containers":[{"name":"b","image":"a"}]}}"#;
        let (a, b): (Value, Value) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(other).unwrap());
        assert_eq!(of(&a, None), of(&b, None));
    }

    #[test]
    fn a_large_template_is_bounded_and_a_difference_in_the_rest_still_shows() {
        let many = |last: &str| {
            let env: Vec<Value> =
                (0..400).map(|n| json!({ "name": format!("V{n:03}"), "value": last })).collect();
            json!({ "spec": { "containers": [{ "name": "web", "env": env }] } })
        };
        let (a, b) = (of(&many("x"), Some(&[1; 32])), of(&many("y"), Some(&[1; 32])));
        assert_eq!((a.len(), a.last().unwrap().path.as_str()), (MAX_FACTS, REST));
        assert_ne!(a.last(), b.last());
        let long = json!({ "spec": { "nodeSelector": { "k".repeat(300): "v" } } });
        assert_eq!(of(&long, None).len(), 1);
        let value = json!({ "spec": { "nodeSelector": { "zone": "v".repeat(300) } } });
        assert_eq!(of(&value, None)[0].value, "");
    }
}
