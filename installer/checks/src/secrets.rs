//! Which Secrets an installation takes that a person makes, read from what helm renders of both charts.

use serde_json::Value;

/// What names the Secrets for pulling images.
pub const PULL: &str = "image.pullSecrets";
/// What names the Secret with the join token, which comes from a control plane that runs.
pub const JOIN: &str = "join.existingSecret";
/// What names the Secret with the certificate that operators see.
pub const TLS: &str = "tls.existingSecret";
/// How the control plane is told where the token for its metrics is.
const METRICS_TOKEN: &str = "--metrics-token-file=/etc/nimbus-metrics/";

/// A Secret that values name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// The value that names it.
    pub value: &'static str,
    /// The keys that it has to have.
    pub keys: Vec<String>,
    /// Is it to be in the agents' namespace, and not in the control plane's?
    pub is_of_agents: bool,
}

/// Adds what a document that helm rendered names.
pub(crate) fn add(secrets: &mut Vec<Named>, document: &Value) {
    let spec = &document["spec"];
    let (pod, is_of_agents) = match document["kind"].as_str().unwrap_or_default() {
        "StatefulSet" => (&spec["template"]["spec"], false),
        "CronJob" => (&spec["jobTemplate"]["spec"]["template"]["spec"], false),
        "DaemonSet" => (&spec["template"]["spec"], true),
        "ServiceMonitor" => {
            for endpoint in items(&spec["endpoints"]) {
                let ca = &endpoint["tlsConfig"]["ca"]["secret"];
                let keys = text(&ca["key"]).map(str::to_owned).into_iter().collect();
                name(secrets, false, &ca["name"], "metrics.serviceMonitor.caSecret", keys);
            }
            return;
        }
        _ => return,
    };
    of_pod(secrets, pod, is_of_agents);
}

/// The Secrets that a chart, or cert-manager for it, makes: no person has to.
pub(crate) fn made(document: &Value) -> Option<String> {
    let name = match document["kind"].as_str()? {
        "Secret" => &document["metadata"]["name"],
        "Certificate" => &document["spec"]["secretName"],
        _ => return None,
    };
    text(name).map(str::to_owned)
}

fn of_pod(secrets: &mut Vec<Named>, pod: &Value, is_of_agents: bool) {
    let containers = || items(&pod["initContainers"]).chain(items(&pod["containers"]));
    for container in containers() {
        for variable in items(&container["env"]) {
            let from = &variable["valueFrom"]["secretKeyRef"];
            let value = match variable["name"].as_str().unwrap_or_default() {
                "NIMBUS_DATABASE_URL" => "database.existingSecret",
                "NIMBUS_JOIN_TOKEN" => JOIN,
                _ => "extraEnv",
            };
            if is_needed(from) {
                let keys = text(&from["key"]).map(str::to_owned).into_iter().collect();
                name(secrets, is_of_agents, &from["name"], value, keys);
            }
        }
        for from in items(&container["envFrom"]).map(|from| &from["secretRef"]).filter(|from| is_needed(from))
        {
            name(secrets, is_of_agents, &from["name"], "extraEnvFrom", Vec::new());
        }
    }
    let metrics_key = containers()
        .flat_map(|container| items(&container["args"]))
        .find_map(|arg| arg.as_str()?.strip_prefix(METRICS_TOKEN));
    for volume in items(&pod["volumes"]) {
        let secret = &volume["secret"];
        // The charts refuse these names for volumes of a person's own.
        let (value, keys) = match (is_of_agents, volume["name"].as_str().unwrap_or_default()) {
            (false, "tls") => (TLS, vec!["tls.crt", "tls.key"]),
            (false, "keys") => ("keys.existingSecret", vec!["ca.pem", "ca.key", "job.key", "operator.token"]),
            (false, "metrics") => ("metrics.serviceMonitor.tokenSecret", metrics_key.into_iter().collect()),
            _ => ("extraVolumes", paths(secret)),
        };
        if is_needed(secret) {
            name(secrets, is_of_agents, &secret["secretName"], value, owned(&keys));
        }
        for source in
            items(&volume["projected"]["sources"]).map(|source| &source["secret"]).filter(|it| is_needed(it))
        {
            name(secrets, is_of_agents, &source["name"], "extraVolumes", owned(&paths(source)));
        }
    }
    for pull in items(&pod["imagePullSecrets"]) {
        name(secrets, is_of_agents, &pull["name"], PULL, vec![".dockerconfigjson".to_owned()]);
    }
}

/// Adds one, or its keys to the one that is named already.
fn name(secrets: &mut Vec<Named>, is_of_agents: bool, name: &Value, value: &'static str, keys: Vec<String>) {
    let Some(name) = text(name) else { return };
    let is_it = |one: &&mut Named| one.is_of_agents == is_of_agents && one.name == name && one.value == value;
    match secrets.iter_mut().find(is_it) {
        Some(known) => {
            let more: Vec<String> = keys.into_iter().filter(|key| !known.keys.contains(key)).collect();
            known.keys.extend(more);
        }
        None => secrets.push(Named { name: name.to_owned(), value, keys, is_of_agents }),
    }
}

/// A pod starts without one that is optional.
fn is_needed(from: &Value) -> bool {
    from.is_object() && from["optional"] != true
}

/// The keys that a volume mounts, where it names them.
fn paths(secret: &Value) -> Vec<&str> {
    items(&secret["items"]).filter_map(|item| text(&item["key"])).collect()
}

fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(documents: &[Value]) -> Vec<String> {
        let mut secrets = Vec::new();
        for document in documents {
            add(&mut secrets, document);
        }
        let place = |one: &Named| if one.is_of_agents { "agents" } else { "control plane" };
        secrets
            .iter()
            .map(|one| format!("{} {} {} {}", place(one), one.value, one.name, one.keys.join(",")))
            .collect()
    }

    #[test]
    fn every_way_in_which_a_pod_takes_a_secret_is_read() {
        let database = json!({"name": "NIMBUS_DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}});
        let pod = json!({
            "imagePullSecrets": [{"name": "pull"}],
            "containers": [{
                "args": ["--data-dir=/x", "--metrics-token-file=/etc/nimbus-metrics/token"],
                "env": [
                    {"name": "RUST_LOG", "value": "info"}, database,
                    {"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {"name": "pg", "key": "password"}}},
                    {"name": "MORE", "valueFrom": {"secretKeyRef": {"name": "maybe", "key": "x", "optional": true}}},
                ],
                "envFrom": [{"secretRef": {"name": "environment"}}, {"configMapRef": {"name": "map"}}],
            }],
            "volumes": [
                {"name": "data", "emptyDir": {}},
                {"name": "tls", "secret": {"secretName": "web", "defaultMode": 288}},
                {"name": "keys", "secret": {"secretName": "own"}},
                {"name": "metrics", "secret": {"secretName": "scrape"}},
                {"name": "more", "secret": {"secretName": "extra", "items": [{"key": "k", "path": "p"}]}},
                {"name": "both", "projected": {"sources": [{"secret": {"name": "part", "items": [{"key": "q"}]}}]}},
            ],
        });
        let set = json!({"kind": "StatefulSet", "spec": {"template": {"spec": pod}}});
        let backup = json!({"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": {
            "containers": [{"env": [database]}], "imagePullSecrets": [{"name": "pull"}]}}}}}});
        let monitor = json!({"kind": "ServiceMonitor", "spec": {"endpoints": [
            {"tlsConfig": {"ca": {"secret": {"name": "ca", "key": "ca.crt"}}}}]}});
        assert_eq!(
            read(&[set, backup, monitor]),
            [
                "control plane database.existingSecret db url",
                "control plane extraEnv pg password",
                "control plane extraEnvFrom environment ",
                "control plane tls.existingSecret web tls.crt,tls.key",
                "control plane keys.existingSecret own ca.pem,ca.key,job.key,operator.token",
                "control plane metrics.serviceMonitor.tokenSecret scrape token",
                "control plane extraVolumes extra k",
                "control plane extraVolumes part q",
                "control plane image.pullSecrets pull .dockerconfigjson",
                "control plane metrics.serviceMonitor.caSecret ca ca.crt",
            ]
        );
    }

    #[test]
    fn the_agents_take_theirs_from_their_own_namespace_and_what_is_made_is_told() {
        let token = json!({"name": "NIMBUS_JOIN_TOKEN", "valueFrom": {"secretKeyRef": {"name": "join", "key": "token"}}});
        let set =
            json!({"kind": "DaemonSet", "spec": {"template": {"spec": {"containers": [{"env": [token]}]}}}});
        assert_eq!(read(&[set]), ["agents join.existingSecret join token"]);
        assert_eq!(made(&json!({"kind": "Secret", "metadata": {"name": "join"}})).as_deref(), Some("join"));
        assert_eq!(
            made(&json!({"kind": "Certificate", "spec": {"secretName": "web"}})).as_deref(),
            Some("web")
        );
        assert_eq!(made(&json!({"kind": "Service", "metadata": {"name": "web"}})), None);
    }
}
