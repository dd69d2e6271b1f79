//! Tests of the agent's chart, with the real helm: what it renders for the values of `tests/charts/nimbus-agent`, and with
//! which words it refuses values that contradict each other. Nothing is installed.

use std::collections::BTreeSet;

use anyhow::Context as _;
use nimbus_agent::LeaseSettings;
use nimbus_agent_core::policy::Policy;
use nimbus_protocol::ActionKind;
use nimbus_protocol::ids::TokenId;
use nimbus_protocol::join::JoinToken;
use nimbus_tests::helm::{AGENT as CHART, documents, files, only, paths, printed, series};
use nimbus_tests::rig::repository;
use serde_json::{Value, json};

mod wrong;

/// The pod of an agent.
fn pod(objects: &[Value]) -> anyhow::Result<&Value> {
    Ok(&only(objects, "DaemonSet", "")?["spec"]["template"]["spec"])
}

fn variable<'a>(objects: &'a [Value], name: &str) -> anyhow::Result<&'a Value> {
    let variables = pod(objects)?["containers"][0]["env"].as_array().context("variables")?;
    variables.iter().find(|variable| variable["name"] == name).with_context(|| format!("no {name}"))
}

/// The volume of this name.
fn volume<'a>(objects: &'a [Value], name: &str) -> anyhow::Result<&'a Value> {
    let volumes = pod(objects)?["volumes"].as_array().context("volumes")?;
    volumes.iter().find(|volume| volume["name"] == name).with_context(|| format!("no volume {name}"))
}

/// The policy that the chart makes, as an agent understands it.
fn policy(objects: &[Value]) -> anyhow::Result<(String, Policy)> {
    let text = only(objects, "ConfigMap", "-policy")?["data"]["policy.toml"].as_str().context("a policy")?;
    let (policy, warnings) = Policy::parse(text)?;
    anyhow::ensure!(warnings.is_empty(), "{warnings:?} in {text}");
    Ok((text.to_owned(), policy))
}

/// Every `verb group/resource` that the rules of a role give.
fn rights(role: &Value) -> BTreeSet<String> {
    let list = |rule: &Value, field: &str| -> Vec<String> {
        let found = rule[field].as_array().map_or(&[][..], Vec::as_slice);
        found.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in role["rules"].as_array().map_or(&[][..], Vec::as_slice) {
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                rights.extend(list(rule, "verbs").iter().map(|verb| format!("{verb} {group}/{resource}")));
            }
        }
    }
    rights
}

/// The namespaces of the objects of a kind whose names end so.
fn namespaces<'a>(objects: &'a [Value], kind: &str, end: &str) -> Vec<&'a str> {
    let found = objects.iter().filter(|object| {
        object["kind"] == kind && object["metadata"]["name"].as_str().is_some_and(|name| name.ends_with(end))
    });
    found.filter_map(|object| object["metadata"]["namespace"].as_str()).collect()
}

/// Is the pod what Pod Security calls restricted? Only the files of the nodes go beyond it, where they are asked for.
fn assert_restricted(spec: &Value, of: &str) {
    let pod = &spec["securityContext"];
    assert_eq!(pod["runAsNonRoot"], true, "{of}");
    assert_eq!((&pod["runAsUser"], &pod["runAsGroup"]), (&json!(65_532), &json!(65_532)), "{of}");
    assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault", "{of}");
    for shared in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
        assert!(spec[shared].is_null(), "{of}: {shared}");
    }
    let container = &spec["containers"][0];
    let security = &container["securityContext"];
    assert_eq!(security["allowPrivilegeEscalation"], false, "{of}");
    assert_eq!(security["readOnlyRootFilesystem"], true, "{of}");
    assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{of}");
    assert!(!container["resources"]["limits"]["memory"].is_null(), "{of}");
    for volume in spec["volumes"].as_array().map_or(&[][..], Vec::as_slice) {
        let asked_for =
            of.starts_with("host-") && volume["name"].as_str().is_some_and(|name| name.starts_with("host-"));
        assert_eq!(volume["hostPath"].is_object(), asked_for, "{of}: {volume}");
        let without_bound = volume["emptyDir"].is_object() && volume["emptyDir"]["sizeLimit"].is_null();
        assert!(!without_bound, "{of}: {volume}");
    }
}

#[test]
fn every_variant_is_linted_and_rendered_twice_the_same_and_every_pod_is_restricted() {
    let variants = files(CHART.variants).unwrap();
    assert!(variants.len() >= 12, "{variants:?}");
    for path in &variants {
        let values = ["--values", path.to_str().unwrap()];
        let of = path.file_stem().unwrap().to_str().unwrap();
        printed(&[&["lint", "--strict", CHART.folder][..], &CHART.due, &values[..]].concat()).unwrap();
        let text = CHART.template(&values).unwrap();
        assert_eq!(text, CHART.template(&values).unwrap(), "{of}: something is made anew");
        let objects = documents(&text).unwrap();
        assert_restricted(pod(&objects).unwrap(), of);
        let account = only(&objects, "ServiceAccount", "").unwrap();
        assert_eq!(account["automountServiceAccountToken"], false, "{of}");
        assert_eq!(pod(&objects).unwrap()["automountServiceAccountToken"], true, "{of}");
        let secrets = objects.iter().filter(|object| object["kind"] == "Secret").count();
        assert_eq!(secrets, usize::from(of == "join-token"), "{of}");
    }
}

#[test]
fn by_default_an_agent_on_every_node_reads_and_may_change_nothing() {
    let objects = CHART.objects(&[]).unwrap();
    let kinds: BTreeSet<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    let expected = [
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "DaemonSet",
        "Role",
        "RoleBinding",
        "ServiceAccount",
    ];
    assert_eq!(kinds, BTreeSet::from(expected));
    let read = rights(only(&objects, "ClusterRole", "").unwrap());
    let changing = |right: &&String| !["get ", "list ", "watch "].iter().any(|verb| right.starts_with(verb));
    // The one Lease, by its name.
    assert_eq!(read.iter().filter(changing).collect::<Vec<_>>(), ["update coordination.k8s.io/leases"]);
    assert!(read.contains("get /nodes/stats"), "{read:?}");
    assert!(!read.iter().any(|right| right.ends_with("/secrets")), "{read:?}");
    let (_, policy) = policy(&objects).unwrap();
    assert!(policy.allowed_actions().is_empty());
    let tolerations = &pod(&objects).unwrap()["tolerations"];
    for effect in ["NoSchedule", "NoExecute"] {
        let all = json!({"operator": "Exists", "effect": effect});
        assert!(tolerations.as_array().unwrap().contains(&all), "{tolerations}");
    }
    let state = volume(&objects, "state").unwrap();
    assert_eq!(state["emptyDir"]["sizeLimit"], "256Mi");
    let with_secrets = CHART.variant("secrets").unwrap();
    assert!(rights(only(&with_secrets, "ClusterRole", "-read").unwrap()).contains("watch /secrets"));
}

#[test]
fn the_agents_elect_where_the_program_looks_for_the_lease() {
    let known = LeaseSettings::default();
    for (namespace, values, expected) in [
        ("ops", "", "kube-system"),
        ("nimbus-system", "", "nimbus-system"),
        ("ops", "lease.namespace=nimbus-system", "nimbus-system"),
    ] {
        let objects = CHART.objects(&["--namespace", namespace, "--set", values]).unwrap();
        let read = only(&objects, "ClusterRole", "-read").unwrap();
        let rules = read["rules"].as_array().unwrap();
        let lease = rules.iter().find(|rule| rule["resources"] == json!(["leases"])).unwrap();
        assert_eq!(lease["resourceNames"], json!([known.name]));
        assert_eq!(namespaces(&objects, "Role", "-lease"), [expected]);
        assert_eq!(namespaces(&objects, "RoleBinding", "-lease"), [expected]);
        assert!(known.namespaces.iter().any(|one| one == expected), "{known:?}");
        let making = rights(only(&objects, "Role", "-lease").unwrap());
        assert_eq!(making, BTreeSet::from(["create coordination.k8s.io/leases".to_owned()]));
    }
}

#[test]
fn rights_and_policy_are_of_the_named_actions_and_namespaces_alone() {
    let objects = CHART.variant("acting").unwrap();
    for kind in ["Role", "RoleBinding"] {
        assert_eq!(namespaces(&objects, kind, "-act"), ["shop", "web"], "{kind}");
    }
    let nodes = rights(only(&objects, "ClusterRole", "-act").unwrap());
    assert!(nodes.contains("patch /nodes") && !nodes.iter().any(|right| right.contains("pods")), "{nodes:?}");
    let roles = objects.iter().filter(|object| object["kind"] == "Role");
    for role in roles.filter(|role| role["metadata"]["name"] == "nimbus-agent-act") {
        let rights = rights(role);
        for expected in ["create /pods/eviction", "patch apps/deployments"] {
            assert!(rights.contains(expected), "{expected} in {rights:?}");
        }
        assert!(!rights.iter().any(|right| right.ends_with("/nodes")), "{rights:?}");
    }
    let (text, allowed) = policy(&objects).unwrap();
    let expected = BTreeSet::from([ActionKind::RestartPod, ActionKind::RollbackDeployment]);
    assert_eq!(BTreeSet::from_iter(allowed.allowed_actions()), expected);
    assert_eq!(allowed.jobs_per_hour(), 30);
    for line in [
        "clusters = [\"1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed\"]",
        "namespaces = [\"shop\",\"web\"]",
        "deny_namespaces = [\"kube-system\"]",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }

    assert!(allowed.automatic_actions().is_empty() && !text.contains("auto"), "{text}");
    let by_rule =
        ["--values", "tests/charts/nimbus-agent/acting.yaml", "--set", "policy.auto={rollback_deployment}"];
    let (_, allowed) = policy(&CHART.objects(&by_rule).unwrap()).unwrap();
    assert_eq!(allowed.automatic_actions(), [ActionKind::RollbackDeployment]);

    let only_rollback = CHART.variant("acting-rollback").unwrap();
    assert!(only(&only_rollback, "ClusterRole", "-act").is_err(), "a rollback needs no right on nodes");
    let only_nodes = CHART.variant("acting-nodes").unwrap();
    assert!(namespaces(&only_nodes, "Role", "-act").is_empty());
    let nodes = rights(only(&only_nodes, "ClusterRole", "-act").unwrap());
    assert_eq!(nodes, BTreeSet::from(["get /nodes".to_owned(), "patch /nodes".to_owned()]));
}

#[test]
fn the_schema_has_the_word_of_every_action() {
    let schema = repository().unwrap().join(CHART.folder).join("values.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    let known: Vec<&str> = ActionKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(schema["definitions"]["action"]["enum"], json!(known));
    let denied: Vec<&str> = ["*"].into_iter().chain(known).collect();
    assert_eq!(schema["properties"]["policy"]["properties"]["deny"]["items"]["enum"], json!(denied));
}

#[test]
fn a_kubelet_is_verified_unless_a_value_says_otherwise() {
    let of = |values: &[&str], name: &str| {
        variable(&CHART.objects(values).unwrap(), name).ok().map(|it| it["value"].clone())
    };
    let (ca, insecure) = ("NIMBUS_KUBELET_CA", "NIMBUS_KUBELET_INSECURE_SKIP_VERIFY");
    assert_eq!(of(&[], "NIMBUS_KUBELET_PORT"), Some(json!("10250")));
    assert_eq!((of(&[], ca), of(&[], insecure)), (None, None));
    let pem = "-----BEGIN CERTIFICATE-----";
    assert_eq!(of(&["--set", &format!("kubelet.certificateAuthority={pem}")], ca), Some(json!(pem)));
    assert_eq!(of(&["--set", "kubelet.insecureSkipVerify=true"], insecure), Some(json!("true")));
    let policy = ["--set", "networkPolicy.enabled=true,kubelet.port=10999"];
    assert!(
        CHART
            .objects(&policy)
            .unwrap()
            .iter()
            .any(|it| it["kind"] == "NetworkPolicy" && it.to_string().contains("10999"))
    );
}

#[test]
fn an_agent_knows_its_pod_its_node_and_its_control_plane() {
    let objects = CHART.objects(&[]).unwrap();
    for (name, field) in [
        ("NIMBUS_AGENT_NAME", "spec.nodeName"),
        ("NIMBUS_NODE", "spec.nodeName"),
        ("NIMBUS_NODE_IP", "status.hostIP"),
        ("NIMBUS_POD_NAME", "metadata.name"),
        ("NIMBUS_POD_NAMESPACE", "metadata.namespace"),
        ("NIMBUS_POD_UID", "metadata.uid"),
    ] {
        let from = &variable(&objects, name).unwrap()["valueFrom"]["fieldRef"]["fieldPath"];
        assert_eq!(from, field, "{name}");
    }
    for (name, value) in [
        ("NIMBUS_SERVER", "nimbus-control-plane-agents.ops.svc:7071"),
        ("NIMBUS_IN_CLUSTER", "true"),
        // The image of a release names another place, which is read-only here.
        ("NIMBUS_DATA_DIR", "/var/lib/nimbus-agent"),
        ("NIMBUS_POLICY", "/etc/nimbus/policy.toml"),
        ("NIMBUS_SERVICE_ACCOUNT_TOKEN", "/var/run/secrets/nimbus/token"),
        ("NIMBUS_TELEMETRY", "0.0.0.0:7072"),
    ] {
        assert_eq!(variable(&objects, name).unwrap()["value"], value, "{name}");
    }
    let container = &pod(&objects).unwrap()["containers"][0];
    for (probe, path) in
        [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        let expected = json!({"path": path, "port": "telemetry", "scheme": "HTTP"});
        assert_eq!(container[probe]["httpGet"], expected, "{probe}");
    }
    assert_eq!(container["ports"][0]["containerPort"], 7072);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(container["image"], json!(format!("registry.example.internal/nimbus-agent:{version}")));
    let everything = CHART.variant("everything-else").unwrap();
    assert_eq!(variable(&everything, "NIMBUS_TELEMETRY").unwrap()["value"], "[::]:9000");
    let digest = CHART.variant("digest").unwrap();
    let expected =
        format!("registry.example.internal/mirror/nimbus-agent@sha256:{}", "0123456789abcdef".repeat(4));
    assert_eq!(pod(&digest).unwrap()["containers"][0]["image"], json!(expected));
    assert_eq!(pod(&digest).unwrap()["imagePullSecrets"], json!([{"name": "registry-login"}]));
}

#[test]
fn the_join_token_is_in_a_secret_and_the_proof_is_for_the_control_plane() {
    let objects = CHART.objects(&[]).unwrap();
    let from = json!({"secretKeyRef": {"name": "nimbus-join", "key": "token"}});
    assert_eq!(variable(&objects, "NIMBUS_JOIN_TOKEN").unwrap()["valueFrom"], from);
    let proof = |objects: &[Value]| volume(objects, "proof").unwrap()["projected"]["sources"].clone();
    let token = json!([{"serviceAccountToken": {
        "audience": "nimbus-control-plane", "expirationSeconds": 3600, "path": "token",
    }}]);
    assert_eq!(proof(&objects), token);
    let given = CHART.variant("join-token").unwrap();
    let secret = only(&given, "Secret", "-join").unwrap();
    // A program would take it.
    let token_given: JoinToken = secret["stringData"]["token"].as_str().unwrap().parse().unwrap();
    assert!(token_given.to_string().ends_with("0123456789abcdef"));
    let from = json!({"secretKeyRef": {"name": "nimbus-agent-join", "key": "token"}});
    assert_eq!(variable(&given, "NIMBUS_JOIN_TOKEN").unwrap()["valueFrom"], from);
    assert_eq!(proof(&given), token);
    // In no other object, and in no refusal.
    for object in given.iter().filter(|object| object["kind"] != "Secret") {
        assert!(!object.to_string().contains("0123456789abcdef"), "{object}");
    }
    let said = CHART.refusal(&["--set", "join.token=hush"]).unwrap();
    assert!(said.contains("existingSecret or token") && !said.contains("hush"), "{said}");
}

/// With another one no agent would start, and the release would stand there all the same.
#[test]
fn a_join_token_that_no_agent_would_take_is_refused_and_not_shown() {
    let good =
        JoinToken { id: TokenId::of_bytes([7; 16]), secret: [7; 32], ca_sha256: [0xab; 32] }.to_string();
    let given = |token: &str| CHART.template(&["--set", &format!("join.existingSecret=,join.token={token}")]);
    let parts: Vec<&str> = good.split('.').collect();
    for wrong in [
        "nimbus1.xx".to_owned(),
        "hush".to_owned(),
        good.replace("tok_", "job_"),
        good.replace("nimbus1", "nimbus2"),
        good[..good.len() - 1].to_owned(),
        format!("{good}.ab"),
        good.replace(parts[2], &parts[2][1..]),
        // Bits beyond the 32 bytes.
        good.replace(parts[2], &format!("{}d", &parts[2][..42])),
    ] {
        assert!(wrong.parse::<JoinToken>().is_err(), "{wrong}");
        let said = given(&wrong).unwrap_err().to_string();
        assert!(said.contains("  - join.token: expected a join token, nimbus1.tok_…"), "{wrong}: {said}");
        let hidden = format!("found something else ({} characters), which is not shown;", wrong.len());
        assert!(said.contains(&hidden) && !said.contains(&wrong), "{wrong}: {said}");
    }
    for right in [good.clone(), good.replace("abab", "ABAB")] {
        assert!(right.parse::<JoinToken>().is_ok(), "{right}");
        given(&right).unwrap();
    }
}

#[test]
fn files_of_the_nodes_are_mounted_read_only_where_they_are_named() {
    let objects = CHART.variant("host-files").unwrap();
    let watched = &variable(&objects, "NIMBUS_WATCH").unwrap()["value"];
    assert_eq!(watched, "/etc/kubernetes/manifests:/etc/ssh/sshd_config");
    let mounts = pod(&objects).unwrap()["containers"][0]["volumeMounts"].as_array().unwrap();
    for (name, path, kind) in
        [("host-0", "/etc/kubernetes/manifests", "Directory"), ("host-1", "/etc/ssh/sshd_config", "File")]
    {
        let mount = json!({"name": name, "mountPath": path, "readOnly": true});
        assert!(mounts.contains(&mount), "{mount} in {mounts:?}");
        let host = json!({"path": path, "type": kind});
        assert_eq!(volume(&objects, name).unwrap()["hostPath"], host);
    }
    let (_, policy) = policy(&objects).unwrap();
    assert!(policy.shows("/etc/ssh/sshd_config") && !policy.shows("/etc/kubernetes/manifests/x.yaml"));
}

#[test]
fn a_policy_of_ones_own_is_mounted_in_the_place_of_the_charts() {
    let objects = CHART.variant("own-policy").unwrap();
    let mounted = json!({"name": "agents-policy", "items": [{"key": "agents.toml", "path": "policy.toml"}]});
    assert_eq!(volume(&objects, "policy").unwrap()["configMap"], mounted);
    assert!(only(&objects, "ConfigMap", "").is_err());
    assert_eq!(namespaces(&objects, "Role", "-act"), ["shop"]);
}

/// What stops the agents has to outlive an upgrade, so it is in no object of the release: the pods mount it where it is there.
#[test]
fn a_config_map_that_the_chart_never_makes_is_mounted_where_the_agent_looks_for_what_stops_it() {
    for (variant, stop, made) in [
        ("acting", "nimbus-agent-stop", 1),
        ("own-policy", "nimbus-agent-stop", 0),
        ("everything-else", "watcher-stop", 1),
    ] {
        let objects = CHART.variant(variant).unwrap();
        let policy = &volume(&objects, "policy").unwrap()["configMap"];
        assert!(policy["optional"].is_null(), "{variant}: without a policy no pod starts");
        let mounted = &volume(&objects, "stop").unwrap()["configMap"];
        assert_eq!(mounted, &json!({"name": stop, "optional": true}), "{variant}: whatever is in it");
        let container = &pod(&objects).unwrap()["containers"][0];
        let mounts = container["volumeMounts"].as_array().unwrap();
        let path = &mounts.iter().find(|mount| mount["name"] == "stop").unwrap()["mountPath"];
        let told = json!({"name": "NIMBUS_STOP_DIR", "value": path});
        assert!(container["env"].as_array().unwrap().contains(&told), "{variant}: {container}");
        let maps: Vec<_> = objects.iter().filter(|object| object["kind"] == "ConfigMap").collect();
        assert_eq!(maps.len(), made, "{variant}: {maps:?}");
        assert!(maps.iter().all(|map| map["metadata"]["name"] != stop), "{variant}: {maps:?}");
    }
    let notes = CHART.with_notes(&["--values", "tests/charts/nimbus-agent/acting.yaml"]).unwrap();
    for command in [
        "kubectl -n ops create configmap nimbus-agent-stop --from-literal=why=",
        "kubectl -n ops delete configmap nimbus-agent-stop",
    ] {
        assert!(notes.contains(command), "{command} in {notes}");
    }
}

#[test]
fn alerts_name_only_series_that_there_are() {
    let telemetry = repository().unwrap().join("agent/daemon/src/telemetry.rs");
    let telemetry = std::fs::read_to_string(telemetry).unwrap();
    let there = series(&telemetry);
    let objects = CHART.variant("monitoring").unwrap();
    let rules = only(&objects, "PrometheusRule", "").unwrap()["spec"].to_string();
    let named = series(&rules);
    assert!(!named.is_empty() && named.is_subset(&there), "{:?}", named.difference(&there));
    let monitor = &only(&objects, "PodMonitor", "").unwrap()["spec"];
    let selector = &only(&objects, "DaemonSet", "").unwrap()["spec"]["selector"]["matchLabels"];
    assert_eq!(&monitor["selector"]["matchLabels"], selector);
    let port = &pod(&objects).unwrap()["containers"][0]["ports"][0]["name"];
    assert_eq!(&monitor["podMetricsEndpoints"][0]["port"], port);
    // As the Prometheus operator names the job of a PodMonitor.
    assert!(rules.contains("ops/nimbus-agent"), "{rules}");
}

#[test]
fn a_network_policy_opens_the_control_plane_the_api_server_and_the_kubelets() {
    let objects = CHART.variant("network-policy").unwrap();
    let policy = &only(&objects, "NetworkPolicy", "").unwrap()["spec"];
    let egress = policy["egress"].as_array().unwrap();
    let ports: Vec<Vec<&Value>> = egress
        .iter()
        .map(|rule| rule["ports"].as_array().unwrap().iter().map(|port| &port["port"]).collect())
        .collect();
    assert_eq!(json!(ports), json!([[53, 53], [7071, 7071], [443, 6443], [10250], [8080]]));
    assert_eq!(egress[1]["ports"][0]["protocol"], "UDP");
    assert_eq!(egress[1]["ports"][1]["protocol"], "TCP");
    assert_eq!(egress[2]["to"], json!([{"ipBlock": {"cidr": "10.96.0.1/32"}}]));
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
}

#[test]
fn the_system_bus_of_the_nodes_is_mounted_read_only_where_units_are_asked_for() {
    let bus = |objects: &[Value]| variable(objects, "NIMBUS_SYSTEM_BUS").unwrap()["value"].clone();
    let objects = CHART.variant("host-units").unwrap();
    assert_eq!(bus(&objects), "/host/run/dbus/system_bus_socket");
    let mounts = pod(&objects).unwrap()["containers"][0]["volumeMounts"].as_array().unwrap();
    let mount = json!({"name": "host-bus", "mountPath": "/host/run/dbus", "readOnly": true});
    assert!(mounts.contains(&mount), "{mounts:?}");
    let host = json!({"path": "/run/dbus", "type": "Directory"});
    assert_eq!(volume(&objects, "host-bus").unwrap()["hostPath"], host);
    // As a user that every node knows; what values say goes before that.
    let user =
        |objects: &[Value]| pod(objects).unwrap()["containers"][0]["securityContext"]["runAsUser"].clone();
    assert_eq!(user(&objects), 65_534);
    let given = |value: &str| {
        let values = ["--set", "hostAccess.units=true", "--set", value];
        user(&documents(&CHART.template(&values).unwrap()).unwrap())
    };
    assert_eq!(given("securityContext.runAsUser=1000"), 1_000);
    assert!(given("podSecurityContext.runAsUser=1000").is_null());
    // No other pod looks for a bus at all.
    assert_eq!(bus(&CHART.variant("base").unwrap()), "");
}

#[test]
fn the_notes_name_the_next_commands_and_the_readme_every_value() {
    let plain = CHART.with_notes(&[]).unwrap();
    for command in [
        "kubectl -n ops rollout status daemonset/nimbus-agent",
        "kubectl -n ops create secret generic nimbus-join --from-file=token=/dev/stdin",
        "nimbus agents list",
        "acting.clusterUid=",
    ] {
        assert!(plain.contains(command), "{command} in {plain}");
    }
    assert!(!plain.contains("no longer holds"), "{plain}");
    let with_files = CHART.with_notes(&["--values", "tests/charts/nimbus-agent/host-files.yaml"]).unwrap();
    assert!(with_files.contains("\"restricted\" no longer holds"), "{with_files}");
    let with_units = CHART.with_notes(&["--values", "tests/charts/nimbus-agent/host-units.yaml"]).unwrap();
    for words in ["mount the system bus of the nodes", "which units failed", "SELinux"] {
        assert!(with_units.contains(words), "{words} in {with_units}");
    }

    let chart = repository().unwrap().join(CHART.folder);
    let values = documents(&std::fs::read_to_string(chart.join("values.yaml")).unwrap()).unwrap();
    let readme = std::fs::read_to_string(chart.join("README.md")).unwrap();
    let mut named = BTreeSet::new();
    paths(&values[0], "", &mut named);
    assert!(named.len() > 60, "{named:?}");
    for path in named {
        // What Kubernetes defines is named as a whole.
        let mut ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
        let is_named = ends.any(|end| readme.contains(&format!("| `{}` |", &path[..end])));
        assert!(is_named, "README.md does not name `{path}`");
    }
}
