//! Tests of the control plane's chart, with the real helm: what it renders for the values of
//! `tests/charts/nimbus-control-plane`. Values that contradict each other are in `chart_contradictions.rs`.
//! Nothing is installed.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use nimbus_control_core::Settings;
use nimbus_tests::helm::{CONTROL_PLANE as CHART, documents, files, only, paths, printed, series};
use nimbus_tests::rig::repository;
use serde_json::{Value, json};

/// The pod of the control plane.
fn pod(objects: &[Value]) -> anyhow::Result<&Value> {
    Ok(&only(objects, "StatefulSet", "")?["spec"]["template"]["spec"])
}

/// The container of the control plane.
fn container(objects: &[Value]) -> anyhow::Result<&Value> {
    Ok(&pod(objects)?["containers"][0])
}

fn arguments_of(objects: &[Value]) -> anyhow::Result<Vec<&str>> {
    let arguments = container(objects)?["args"].as_array().context("arguments")?;
    Ok(arguments.iter().filter_map(Value::as_str).collect())
}

fn variable<'a>(objects: &'a [Value], name: &str) -> anyhow::Result<&'a Value> {
    let variables = container(objects)?["env"].as_array().context("variables")?;
    variables.iter().find(|variable| variable["name"] == name).with_context(|| format!("no {name}"))
}

/// Is the pod what Pod Security calls restricted, and a little more?
fn assert_restricted(spec: &Value, of: &str) {
    let pod = &spec["securityContext"];
    assert_eq!(pod["runAsNonRoot"], true, "{of}");
    assert_eq!((&pod["runAsUser"], &pod["runAsGroup"]), (&json!(65_532), &json!(65_532)), "{of}");
    assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault", "{of}");
    assert_eq!(spec["automountServiceAccountToken"], false, "{of}");
    for shared in ["hostNetwork", "hostPID", "hostIPC", "initContainers"] {
        assert!(spec[shared].is_null(), "{of}: {shared}");
    }
    for container in spec["containers"].as_array().unwrap_or(&Vec::new()) {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false, "{of}");
        assert_eq!(security["readOnlyRootFilesystem"], true, "{of}");
        assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{of}");
        assert!(!container["resources"]["limits"]["memory"].is_null(), "{of}");
    }
    for volume in spec["volumes"].as_array().unwrap_or(&Vec::new()) {
        assert!(volume["hostPath"].is_null(), "{of}: {volume}");
    }
}

#[test]
fn every_variant_is_linted_and_rendered_twice_the_same_and_every_pod_is_restricted() {
    printed(&[&["lint", "--strict", CHART.folder][..], &CHART.due].concat()).unwrap();
    let variants = files(CHART.variants).unwrap();
    assert!(variants.len() >= 12, "{variants:?}");
    for path in &variants {
        let values = ["--values", path.to_str().unwrap()];
        let of = path.file_stem().unwrap().to_str().unwrap();
        printed(&[&["lint", "--strict", CHART.folder][..], &CHART.due, &values[..]].concat()).unwrap();
        let text = CHART.template(&values).unwrap();
        assert_eq!(text, CHART.template(&values).unwrap(), "{of}: something is made anew");
        let objects = documents(&text).unwrap();
        for object in &objects {
            assert_eq!(object["metadata"]["namespace"], "ops", "{of}: {object}");
            // What is secret is the user's own: a chart that made it would make it anew.
            assert_ne!(object["kind"], "Secret", "{of}");
        }
        assert_restricted(pod(&objects).unwrap(), of);
        assert_restricted(&only(&objects, "Pod", "-test").unwrap()["spec"], of);
        for account in objects.iter().filter(|object| object["kind"] == "ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false, "{of}");
        }
    }
}

#[test]
fn by_default_one_control_plane_keeps_sqlite_on_a_volume_that_outlives_the_release() {
    let objects = CHART.objects(&[]).unwrap();
    let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    let expected = ["ServiceAccount", "PersistentVolumeClaim", "Service", "Service", "StatefulSet", "Pod"];
    assert_eq!(kinds, expected);
    let set = only(&objects, "StatefulSet", "").unwrap();
    assert_eq!(set["spec"]["replicas"], 1);
    assert_eq!(set["metadata"]["name"], "nimbus-control-plane");
    let claim = only(&objects, "PersistentVolumeClaim", "").unwrap();
    assert_eq!(claim["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
    assert!(claim["spec"]["storageClassName"].is_null());
    let volume = &pod(&objects).unwrap()["volumes"][0];
    assert_eq!(volume["persistentVolumeClaim"]["claimName"], claim["metadata"]["name"]);
    // Always would open the keys to the group, and the control plane would refuse them.
    let change = &pod(&objects).unwrap()["securityContext"]["fsGroupChangePolicy"];
    assert_eq!(change, "OnRootMismatch");
    let arguments = arguments_of(&objects).unwrap();
    for expected in [
        "--data-dir=/var/lib/nimbus/data",
        "--listen=0.0.0.0:7070",
        "--quic=0.0.0.0:7071",
        "--advertise=nimbus-control-plane-agents.ops.svc:7071",
        "--name=nimbus-control-plane.ops.svc",
        "--log-format=json",
    ] {
        assert!(arguments.contains(&expected), "{expected} in {arguments:?}");
    }
    assert!(variable(&objects, "NIMBUS_DATABASE_URL").is_err());
    let image = &container(&objects).unwrap()["image"];
    assert_eq!(
        image,
        &json!(format!("registry.example.internal/nimbus-control-plane:{}", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn the_probes_speak_tls_as_the_listener_does_and_agents_come_by_udp_or_tcp() {
    let objects = CHART.objects(&[]).unwrap();
    let container = container(&objects).unwrap();
    let paths = [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")];
    for (probe, path) in paths {
        let expected = json!({"path": path, "port": "rest", "scheme": "HTTPS"});
        assert_eq!(container[probe]["httpGet"], expected, "{probe}");
    }
    let selector = &only(&objects, "StatefulSet", "").unwrap()["spec"]["selector"]["matchLabels"];
    for (end, name, protocol) in [("control-plane", "rest", "TCP"), ("-agents", "quic", "UDP")] {
        let service = &only(&objects, "Service", end).unwrap()["spec"];
        assert_eq!(service["ports"][0]["targetPort"], name);
        assert_eq!(service["ports"][0]["protocol"], protocol);
        assert_eq!(&service["selector"], selector);
        let ports = container["ports"].as_array().unwrap();
        assert!(ports.iter().any(|port| port["name"] == name && port["protocol"] == protocol), "{ports:?}");
    }
    let agents = &only(&objects, "Service", "-agents").unwrap()["spec"]["ports"];
    assert_eq!(agents[1]["protocol"], "TCP", "where UDP is blocked");
    assert_eq!(agents[0]["port"], agents[1]["port"], "one address for both");
    // No Service may lead to the pod of `helm test`.
    let test = &only(&objects, "Pod", "-test").unwrap()["metadata"];
    assert_ne!(test["labels"]["app.kubernetes.io/component"], selector["app.kubernetes.io/component"]);
    // Where one that succeeded is deleted, Helm 3 and 4.0 do so before `helm test --logs` reads its log.
    assert_eq!(test["annotations"]["helm.sh/hook-delete-policy"], "before-hook-creation");
}

#[test]
fn agents_come_by_udp_alone_where_tcp_is_switched_off() {
    let objects = CHART.objects(&["--set", "services.agentsOverTcp=false"]).unwrap();
    let agents = &only(&objects, "Service", "-agents").unwrap()["spec"]["ports"];
    assert_eq!(agents.as_array().unwrap().len(), 1);
    let container = container(&objects).unwrap();
    assert!(container["args"].as_array().unwrap().contains(&json!("--no-tcp")));
    assert!(!container["ports"].as_array().unwrap().iter().any(|port| port["name"] == "agents-tcp"));
}

/// What a container runtime would take by default is somebody else's image.
#[test]
fn an_image_without_a_registry_is_refused_unless_the_nodes_have_it() {
    let none = "image.registry=";
    let said = CHART.refusal(&["--set", none]).unwrap();
    assert!(said.contains("image.registry") && said.contains("pullPolicy"), "{said}");
    for allowed in ["image.pullPolicy=Never", "image.repository=registry.test:5000/nimbus-control-plane"] {
        CHART.template(&["--set", none, "--set", allowed]).unwrap();
    }
    assert!(CHART.refusal(&["--set", "test.image.registry="]).unwrap().contains("test.image.registry"));
    let untested = CHART.objects(&["--set", "test.image.repository="]).unwrap();
    assert!(only(&untested, "Pod", "-test").is_err(), "there is no test without an image for it");
}

#[test]
fn the_digest_wins_over_the_tag() {
    let objects = CHART.variant("digest").unwrap();
    let image = container(&objects).unwrap()["image"].as_str().unwrap();
    let expected = format!(
        "registry.example.internal/mirror/nimbus-control-plane@sha256:{}",
        "0123456789abcdef".repeat(4)
    );
    assert_eq!(image, expected);
    assert_eq!(pod(&objects).unwrap()["imagePullSecrets"], json!([{"name": "registry-login"}]));
}

#[test]
fn an_address_of_postgresql_comes_from_a_secret_and_its_password_is_in_no_object() {
    let objects = CHART.variant("postgres").unwrap();
    let from = json!({"secretKeyRef": {"name": "nimbus-database", "key": "uri"}});
    let address = variable(&objects, "NIMBUS_DATABASE_URL").unwrap();
    assert_eq!((&address["valueFrom"], &address["value"]), (&from, &Value::Null));
    let objects = CHART.variant("postgres-url").unwrap();
    assert!(variable(&objects, "NIMBUS_DATABASE_URL").unwrap()["value"].is_string());
    assert!(variable(&objects, "PGPASSWORD").unwrap()["value"].is_null());
    for url in ["postgres://nimbus:hush@db/nimbus", "postgres://nimbus@db/nimbus?password=hush"] {
        let said = CHART.refusal(&["--set", &format!("database.url={url}")]).unwrap();
        assert!(said.contains("database.existingSecret") && !said.contains("hush"), "{said}");
    }
}

#[test]
fn a_certificate_comes_from_a_secret_or_from_cert_manager_for_every_name() {
    for (name, secret) in
        [("tls-secret", "nimbus-operators-tls"), ("cert-manager", "nimbus-control-plane-tls")]
    {
        let objects = CHART.variant(name).unwrap();
        let arguments = arguments_of(&objects).unwrap();
        assert!(arguments.contains(&"--tls-cert=/etc/nimbus-tls/tls.crt"), "{arguments:?}");
        assert!(arguments.contains(&"--tls-key=/etc/nimbus-tls/tls.key"), "{arguments:?}");
        let volumes = pod(&objects).unwrap()["volumes"].as_array().unwrap();
        assert!(volumes.iter().any(|volume| volume["secret"]["secretName"] == secret), "{volumes:?}");
    }
    let objects = CHART.variant("cert-manager").unwrap();
    let certificate = &only(&objects, "Certificate", "").unwrap()["spec"];
    assert_eq!(certificate["ipAddresses"], json!(["192.0.2.7", "2001:db8::7"]));
    let names = certificate["dnsNames"].as_array().unwrap();
    assert!(names.contains(&json!("nimbus.example.com")), "{names:?}");
    assert!(names.contains(&json!("nimbus-control-plane.ops.svc.cluster.local")), "{names:?}");
    let public = CHART.variant("cert-manager-public").unwrap();
    let names = &only(&public, "Certificate", "").unwrap()["spec"]["dnsNames"];
    assert_eq!(names, &json!(["nimbus.example.com"]));
}

#[test]
fn the_settings_are_whole_numbers_and_the_schema_has_each_of_them() {
    let objects = CHART.variant("settings").unwrap();
    let text = &only(&objects, "ConfigMap", "").unwrap()["data"]["control-plane.toml"];
    let expected = "[settings]\napproval_ttl_s = 604800\ncrash_loop_restarts = 5\n\n\
                    [settings.caps]\nfleet = 100\nper_node = 1\n\n[settings.storm]\npod_percent = 25\n";
    assert_eq!(text, expected);
    assert!(arguments_of(&objects).unwrap().contains(&"--config=/etc/nimbus/control-plane.toml"));
    let own = CHART.variant("own-config").unwrap();
    assert!(arguments_of(&own).unwrap().contains(&"--config=/etc/nimbus/nimbus.toml"));
    assert!(only(&own, "ConfigMap", "").is_err());

    let schema = repository().unwrap().join(CHART.folder).join("values.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(schema).unwrap()).unwrap();
    let settings = &schema["properties"]["config"]["properties"]["settings"];
    let known = serde_json::to_value(Settings::default()).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&settings["properties"]), names(&known));
    for table in ["caps", "storm"] {
        assert_eq!(names(&settings["properties"][table]["properties"]), names(&known[table]), "{table}");
    }
}

/// A setting by its path, as the chart and the program take it: both do, or neither does.
fn is_taken(path: &str, figure: u32) -> anyhow::Result<bool> {
    let settings = match path.split_once('.') {
        Some((table, name)) => json!({table: {name: figure}}),
        None => json!({path: figure}),
    };
    let by_program = serde_json::from_value::<Settings>(settings)?.validate().is_ok();
    let said = CHART.template(&["--set", &format!("config.settings.{path}={figure}")]).err();
    let of = format!("{path} = {figure}: the program takes it: {by_program}; the chart: {said:?}");
    anyhow::ensure!(said.is_none() == by_program, "{of}");
    let last = path.rsplit('.').next().unwrap_or_default();
    anyhow::ensure!(said.is_none_or(|said| said.to_string().contains(last)), "{of}");
    Ok(by_program)
}

/// Otherwise helm installs what ends at its start.
#[test]
fn the_chart_takes_the_settings_that_the_program_takes() {
    let known = serde_json::to_value(Settings::default()).unwrap();
    let mut names = BTreeSet::new();
    paths(&known, "", &mut names);
    // No figures; below.
    for list in ["quorum", "window", "blackout"] {
        assert!(names.remove(list), "{list}: {names:?}");
    }
    assert!(names.len() > 25, "{names:?}");
    let mut refused = 0;
    for name in &names {
        for figure in [0, 1, u32::MAX] {
            refused += usize::from(!is_taken(name, figure).unwrap());
        }
    }
    assert!(refused > 15 && refused < names.len() * 2, "{refused}");
    let Settings { verify_ms, verify_timeout_ms, backoff_base_ms, backoff_max_ms, clock_skew_ms, .. } =
        Settings::default();
    for (name, wrong, right) in [
        ("attempts_memory_s", 604_799, 604_800),
        ("job_ttl_ms", 999, 1_000),
        ("job_ttl_ms", 3_600_001 - clock_skew_ms, 3_600_000 - clock_skew_ms),
        ("act_ms", 99, 100),
        ("act_ms", 600_001, 600_000),
        ("eviction_retry_ms", 999, 1_000),
        ("verify_timeout_ms", verify_ms - 1, verify_ms),
        ("verify_timeout_ms", 3_600_001, 3_600_000),
        ("verify_ms", verify_timeout_ms + 1, verify_timeout_ms),
        ("backoff_max_ms", backoff_base_ms - 1, backoff_base_ms),
        ("backoff_base_ms", backoff_max_ms + 1, backoff_max_ms),
    ] {
        assert!(!is_taken(name, wrong).unwrap() && is_taken(name, right).unwrap(), "{name}");
    }
}

/// Whose words plans need is taken by both, or by neither, and the program reads what the chart writes.
#[test]
fn the_chart_takes_the_quorums_that_the_program_takes() {
    let groups = json!([["oncall"], ["payments", "platform"]]);
    let good = json!([
        {"actions": ["rollback_deployment"], "clusters": ["prod"], "groups": groups},
        {"groups": [["oncall"]]},
    ]);
    let many = json!([["a"], ["a"], ["a"], ["a"], ["a"], ["a"]]);
    for (quorum, is_right) in [
        (good.clone(), true),
        (json!([{"groups": []}]), false),
        (json!([{"groups": [[]]}]), false),
        (json!([{"groups": many}]), false),
        (json!([{"groups": [["On call"]]}]), false),
        (json!([{"clusters": [""], "groups": groups}]), false),
        (json!([{"actions": ["reboot"], "groups": groups}]), false),
        (json!([{"actions": ["restart_pod"]}]), false),
    ] {
        let program = serde_json::from_value::<Settings>(json!({"quorum": quorum}));
        let by_program = program.is_ok_and(|settings| settings.validate().is_ok());
        let said = CHART.template(&["--set-json", &format!("config.settings.quorum={quorum}")]).err();
        assert_eq!((by_program, said.is_none()), (is_right, is_right), "{quorum}: {said:?}");
    }
    let objects = CHART.objects(&["--set-json", &format!("config.settings.quorum={good}")]).unwrap();
    let config = &only(&objects, "ConfigMap", "").unwrap()["data"]["control-plane.toml"];
    let config = config.as_str().unwrap();
    for line in [
        "[[settings.quorum]]\nactions = [\"rollback_deployment\"]\nclusters = [\"prod\"]",
        "groups = [[\"oncall\"],[\"payments\",\"platform\"]]",
        "[[settings.quorum]]\nactions = []\nclusters = []\ngroups = [[\"oncall\"]]",
    ] {
        assert!(config.contains(line), "expected {line} in {config}");
    }
}

#[test]
fn alerts_and_dashboard_name_only_series_that_there_are() {
    let metrics = repository().unwrap().join("control-plane/server/src/metrics.rs");
    let metrics = std::fs::read_to_string(metrics).unwrap();
    let there = series(&metrics);
    let objects = CHART.variant("monitoring").unwrap();
    let dashboard = &only(&objects, "ConfigMap", "-dashboard").unwrap()["data"]["nimbus-control-plane.json"];
    let dashboard = dashboard.as_str().unwrap();
    let parsed: Value = serde_json::from_str(dashboard).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() >= 8);
    let rules = only(&objects, "PrometheusRule", "").unwrap()["spec"].to_string();
    for text in [dashboard, rules.as_str()] {
        let named = series(text);
        assert!(!named.is_empty() && named.is_subset(&there), "{:?}", named.difference(&there));
    }
    let monitor = &only(&objects, "ServiceMonitor", "").unwrap()["spec"];
    let endpoint = &monitor["endpoints"][0];
    assert_eq!(endpoint["authorization"]["credentials"], json!({"name": "nimbus-metrics", "key": "token"}));
    assert_eq!(endpoint["tlsConfig"]["ca"]["secret"]["name"], "nimbus-ca");
    // It finds the operators' Service, and not that of the agents.
    let wanted: BTreeMap<String, Value> =
        serde_json::from_value(monitor["selector"]["matchLabels"].clone()).unwrap();
    let found: Vec<&Value> = objects
        .iter()
        .filter(|object| object["kind"] == "Service")
        .filter(|object| wanted.iter().all(|(name, value)| &object["metadata"]["labels"][name] == value))
        .collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["spec"]["ports"][0]["name"], endpoint["port"]);
}

#[test]
fn a_network_policy_opens_what_is_needed_and_nothing_else() {
    let objects = CHART.variant("network-policy").unwrap();
    let policy = &only(&objects, "NetworkPolicy", "").unwrap()["spec"];
    assert_eq!(policy["ingress"][1]["from"], json!([{"ipBlock": {"cidr": "10.0.0.0/8"}}]));
    let database = json!([{"podSelector": {"matchLabels": {"app": "postgres"}}}]);
    assert_eq!(policy["egress"][1]["to"], database);
    let embedded = CHART.variant("network-policy-sqlite").unwrap();
    let policy = &only(&embedded, "NetworkPolicy", "").unwrap()["spec"];
    assert_eq!((&policy["egress"], &policy["policyTypes"]), (&json!([]), &json!(["Ingress", "Egress"])));
    // A budget that blocks a drain would protect nothing.
    let budget = &only(&objects, "PodDisruptionBudget", "").unwrap()["spec"];
    assert_eq!((&budget["maxUnavailable"], &budget["minAvailable"]), (&json!(1), &Value::Null));
}

#[test]
fn more_than_one_replica_is_refused_with_the_reason_on_sqlite_and_without_common_keys() {
    let refused = |set: &str| CHART.refusal(&["--set", set]).unwrap();
    let embedded = refused("replicas=2");
    assert!(embedded.contains("two cannot share SQLite on a volume), found 2"), "{embedded}");
    let keys = refused("replicas=2,keys.existingSecret=k");
    assert!(keys.contains("two cannot share SQLite on a volume), found 2"), "{keys}");
    let postgres = refused("replicas=3,database.existingSecret=x");
    assert!(postgres.contains("keys.existingSecret: expected a Secret with the keys that 3 replicas share"));
    assert!(postgres.contains("nimbus keys create DIR"), "{postgres}");
    assert!(refused("replicas=6").contains("/replicas"));
    assert!(refused("replicas=0").contains("/replicas"));
}

#[test]
fn replicas_stand_by_for_each_other_with_the_same_keys_and_no_volume() {
    let objects = CHART
        .objects(&["--set", "replicas=3,database.existingSecret=db,keys.existingSecret=nimbus-keys"])
        .unwrap();
    let kinds: Vec<&str> = objects.iter().filter_map(|object| object["kind"].as_str()).collect();
    assert!(!kinds.contains(&"PersistentVolumeClaim"), "{kinds:?}");
    let set = only(&objects, "StatefulSet", "").unwrap();
    assert_eq!(set["spec"]["replicas"], 3);
    let pod = pod(&objects).unwrap();
    assert!(pod["volumes"][0]["emptyDir"].is_object());
    let keys = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "keys").unwrap();
    assert_eq!(keys["secret"]["secretName"], "nimbus-keys");
    // 0440: the control plane takes keys that its own group may read only where they are root's.
    assert_eq!(keys["secret"]["defaultMode"], 0o440);
    let apart = &pod["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(apart["podAffinityTerm"]["topologyKey"], "kubernetes.io/hostname");
    let arguments = arguments_of(&objects).unwrap();
    for expected in ["--keys=/etc/nimbus-keys", "--stand-by"] {
        assert!(arguments.contains(&expected), "{expected}: {arguments:?}");
    }
    for service in ["nimbus-control-plane", "nimbus-control-plane-agents"] {
        let service = only(&objects, "Service", service.trim_start_matches("nimbus")).unwrap();
        assert_eq!(service["spec"]["publishNotReadyAddresses"], false);
    }
}

#[test]
fn keys_of_a_secret_go_with_sqlite_on_a_volume_too() {
    let objects = CHART.objects(&["--set", "keys.existingSecret=nimbus-keys"]).unwrap();
    assert!(only(&objects, "PersistentVolumeClaim", "").is_ok());
    let arguments = arguments_of(&objects).unwrap();
    assert!(arguments.contains(&"--keys=/etc/nimbus-keys"), "{arguments:?}");
    assert!(!arguments.contains(&"--stand-by"), "{arguments:?}");
}

#[test]
fn it_is_for_kubernetes_from_1_25_on() {
    let old = CHART.refusal(&["--kube-version", "1.24.17"]).unwrap();
    assert!(old.contains("1.25"), "{old}");
    for version in ["1.25.0", "1.31.2", "1.37.1-eks-0123abc"] {
        assert_eq!(
            CHART.template(&["--kube-version", version]).unwrap(),
            CHART.template(&[]).unwrap(),
            "{version}"
        );
    }
}

#[test]
fn the_notes_name_the_next_commands_and_the_readme_every_value() {
    let notes = CHART.with_notes(&[]).unwrap();
    for command in [
        "operator.token",
        "kubectl -n ops port-forward service/nimbus-control-plane 7070:7070",
        "nimbus --context nimbus-control-plane agents token create",
        "nimbus-control-plane-agents.ops.svc:7071",
        "helm -n ops test nimbus",
        "kubectl -n ops delete pod nimbus-control-plane-test",
    ] {
        assert!(notes.contains(command), "{command} in {notes}");
    }
    let chart = repository().unwrap().join(CHART.folder);
    let values = documents(&std::fs::read_to_string(chart.join("values.yaml")).unwrap()).unwrap();
    let readme = std::fs::read_to_string(chart.join("README.md")).unwrap();
    let mut named = BTreeSet::new();
    paths(&values[0], "", &mut named);
    assert!(named.len() > 80, "{named:?}");
    for path in named {
        // The two Services have the same values and one table of them; what Kubernetes defines is named as a whole.
        let path =
            path.replace("services.operators.", "services.*.").replace("services.agents.", "services.*.");
        let mut ends = path.match_indices('.').map(|(end, _)| end).chain([path.len()]);
        let is_named = ends.any(|end| readme.contains(&format!("| `{}` |", &path[..end])));
        assert!(is_named, "README.md does not name `{path}`");
    }
}

/// Windows and blackouts are taken by both, or by neither, and the program reads what the chart writes. The names of time zones the
/// program knows alone.
#[test]
fn the_chart_takes_the_periods_that_the_program_takes() {
    let good = json!([
        {"name": "month-end \"freeze\"", "zone": "Europe/Berlin", "starts": "2026-12-24T12:00", "ends": "2027-01-02T08:00"},
        {"name": "nights", "zone": "Etc/GMT+5", "days": ["mon", "sun"], "from": "22:00", "to": "06:00",
         "actions": ["restart_pod"], "clusters": ["prod"]},
        {"name": "evening", "zone": "UTC", "from": "20:00"},
    ]);
    let mut twice = good.clone();
    twice[1]["name"] = twice[2]["name"].clone();
    let with = |field: &str, value: Value| {
        let mut one = json!({"name": "n", "zone": "UTC", "days": ["mon"]});
        one[field] = value;
        json!([one])
    };
    for (periods, is_right) in [
        (good.clone(), true),
        (twice, false),
        (with("name", json!("")), false),
        (with("name", json!(" n")), false),
        (with("name", json!("n\u{a0}")), false),
        (with("name", json!("\u{feff}n")), false),
        (with("name", json!("n\u{85}x")), false),
        (with("days", json!([])), false),
        (with("days", json!(["mon", "mon"])), false),
        (with("from", json!("22:00:00")), false),
        (with("from", json!("2026-12-24T12:00")), false),
        (
            json!([{"name": "n", "zone": "UTC", "starts": "2026-02-30T12:00", "ends": "2026-12-24T12:00"}]),
            false,
        ),
        (
            json!([{"name": "n", "zone": "UTC", "starts": "2026-02-28T12:00-05:00", "ends": "2026-12-24T12:00"}]),
            false,
        ),
        (
            json!([{"name": "n", "zone": "UTC", "starts": "2026-02-28 12:00", "ends": "2026-12-24T12:00"}]),
            false,
        ),
        (
            json!([{"name": "n", "zone": "UTC", "starts": "2026-02-28T12:00", "ends": "9000-12-24T12:00"}]),
            false,
        ),
        (with("name", json!("n".repeat(63))), true),
        (with("name", json!("n".repeat(64))), false),
        (with("zone", json!("+02:00")), false),
        (with("days", json!(["monday"])), false),
        (with("from", json!("24:00")), false),
        (with("from", json!("9:00")), false),
        (with("from", json!("09:30")), true),
        (with("starts", json!("2026-12-24T12:00")), false),
        (with("clusters", json!([""])), false),
        (with("clusters", json!(["prod\u{7f}"])), false),
        (with("clusters", json!(["pr\nod"])), false),
        (with("clusters", json!(["pröd 2"])), true),
        (with("actions", json!(["reboot"])), false),
        (with("until", json!("09:00")), false),
        (json!([{"name": "n", "zone": "UTC"}]), false),
        (json!([{"name": "n", "days": ["mon"]}]), false),
        (json!([{"name": "n", "zone": "UTC", "starts": "2026-12-24T12:00"}]), false),
        (
            json!([{"name": "n", "zone": "UTC", "starts": "2026-12-24T12:00", "ends": "2026-12-24T12:00"}]),
            false,
        ),
        (
            json!([{"name": "n", "zone": "UTC", "starts": "1999-12-24T12:00", "ends": "2026-12-24T12:00"}]),
            false,
        ),
    ] {
        for list in ["window", "blackout"] {
            let program = serde_json::from_value::<Settings>(json!({list: periods}));
            let by_program = program.is_ok_and(|settings| settings.validate().is_ok());
            let said = CHART.template(&["--set-json", &format!("config.settings.{list}={periods}")]).err();
            assert_eq!((by_program, said.is_none()), (is_right, is_right), "{periods}: {said:?}");
        }
    }
    let set = format!("config.settings.blackout={good}");
    let objects = CHART.objects(&["--set-json", &set]).unwrap();
    let config = &only(&objects, "ConfigMap", "").unwrap()["data"]["control-plane.toml"];
    let config: toml::Value = toml::from_str(config.as_str().unwrap()).unwrap();
    let written: Settings = config["settings"].clone().try_into().unwrap();
    let meant: Settings = serde_json::from_value(json!({"blackout": good})).unwrap();
    assert_eq!(written, meant);
}
