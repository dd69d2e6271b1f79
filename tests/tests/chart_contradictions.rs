//! Tests of both charts with figures and settings that contradict each other, with the real helm: each is refused by the names
//! of its values, and what is just within the bound is not. Nothing is installed.

use nimbus_tests::helm::{AGENT, BACKUP, CONTROL_PLANE as PLANE, assert_accepted, assert_refused};

/// Values of the control plane, and what has to be said of them.
const CONTRADICTIONS: &[(&str, &[&str])] = &[
    ("image.repository=", &["image.repository", "found none"]),
    ("image.repository=a/b:1", &["image.repository", "image.tag"]),
    ("image.digest=0123", &["image.digest", "sha256:", "(4 characters)"]),
    ("image.tag=sha256:00", &["image.tag", "image.digest"]),
    ("image.tag=.x", &["image.tag: expected a tag", "(2 characters)"]),
    (
        "image.registry=https://r.example.com",
        &["image.registry", "without a scheme", "\"https://r.example.com\""],
    ),
    ("test.image.registry=r.example.com/", &["test.image.registry", "without a slash at the end"]),
    ("image.repository=a/Nimbus", &["image.repository", "small letters", "\"a/Nimbus\""]),
    ("image.pullSecrets={Login_1}", &["image.pullSecrets", "names of Secrets"]),
    (
        "serviceAccount.name=default",
        &["serviceAccount.name", "serviceAccount.create is true", "found default"],
    ),
    ("services.advertise=nimbus.example.com", &["services.advertise", "HOST:PORT", "\"nimbus.example.com\""]),
    ("test.image.tag=", &["test.image.tag", "test.image.digest"]),
    ("database.existingSecret=a,database.url=postgres://x@y/z", &["existingSecret or url", "found both"]),
    ("database.url=sqlite:///x", &["database.url", "postgres://"]),
    ("persistence.enabled=false", &["persistence.enabled", "acceptLossOfKeys", "join again"]),
    (
        "persistence.enabled=false,persistence.acceptLossOfKeys=true,database.existingSecret=x",
        &["persistence.enabled", "keys.existingSecret"],
    ),
    (
        "persistence.enabled=false,persistence.acceptLossOfKeys=true,persistence.existingClaim=x",
        &["persistence.existingClaim", "\"x\""],
    ),
    ("persistence.existingClaim=x,persistence.storageClass=fast", &["persistence.storageClass", "\"fast\""]),
    ("podSecurityContext.fsGroupChangePolicy=Always", &["OnRootMismatch", "found Always"]),
    (
        "tls.existingSecret=x,tls.certManager.enabled=true,tls.certManager.issuerRef.name=y",
        &["existingSecret or certManager.enabled", "found both"],
    ),
    ("tls.certManager.enabled=true", &["tls.certManager.issuerRef.name"]),
    (
        "tls.certManager.enabled=true,tls.certManager.issuerRef.name=y,tls.certManager.serviceNames=false",
        &["names: expected at least one"],
    ),
    (
        "services.agents.loadBalancerIP=192.0.2.1",
        &["services.agents.loadBalancerIP", "ClusterIP", "192.0.2.1"],
    ),
    ("services.operators.nodePort=30000", &["services.operators.nodePort", "ClusterIP", "30000"]),
    ("services.agents.externalTrafficPolicy=Local", &["services.agents.externalTrafficPolicy", "NodePort"]),
    ("config.existingConfigMap=x,config.settings.attempts=4", &["config.settings", "\"x\""]),
    ("config.settings.atempts=4", &["/config/settings", "atempts"]),
    ("config.settings.crash_loop_restarts=0", &["/config/settings/crash_loop_restarts", "got 0, want 1"]),
    ("config.settings.storm.incidents=0", &["/config/settings/storm/incidents", "got 0, want 1"]),
    (
        "config.settings.verify_ms=9000,config.settings.verify_timeout_ms=8999",
        &[
            "config.settings.verify_timeout_ms: expected at least config.settings.verify_ms, 9000",
            "found 8999",
        ],
    ),
    (
        "config.settings.backoff_max_ms=29999",
        &["config.settings.backoff_max_ms: expected", "config.settings.backoff_base_ms, 30000"],
    ),
    (
        "config.settings.job_ttl_ms=3600000,config.settings.clock_skew_ms=1",
        &["config.settings.job_ttl_ms", "config.settings.clock_skew_ms", "found 3600001"],
    ),
    ("extraArgs={--listen=1.2.3.4:5}", &["extraArgs", "--listen", "listenAddress"]),
    ("extraArgs={--no-tcp}", &["extraArgs", "--no-tcp", "services.agentsOverTcp"]),
    ("extraEnv[0].name=NIMBUS_TCP", &["extraEnv", "services.agentsOverTcp"]),
    ("extraEnv[0].name=NIMBUS_DATABASE_URL", &["extraEnv", "database.existingSecret"]),
    ("extraVolumes[0].name=data", &["extraVolumes", "\"data\""]),
    ("serviceAccount.create=false,serviceAccount.annotations.a=b", &["serviceAccount.annotations"]),
    ("metrics.serviceMonitor.enabled=true", &["serviceMonitor.tokenSecret", "serviceMonitor.caSecret"]),
    ("names={https://nimbus.example.com}", &["names[0]", "leave out https://"]),
    ("fullnameOverride=1st", &["fullnameOverride", "beginning with a letter"]),
    ("imagePullSecrets=x", &["imagePullSecrets", "not allowed"]),
];

#[test]
fn values_that_contradict_each_other_are_refused_by_their_names() {
    for &(values, expected) in CONTRADICTIONS {
        let said = PLANE.refusal(&["--set", values]).unwrap();
        for &words in expected {
            assert!(said.contains(words), "{values}: expected {words:?} in {said}");
        }
    }
    let several = PLANE.refusal(&["--set", "image.digest=0123,persistence.enabled=false"]).unwrap();
    assert!(several.contains("image.digest") && several.contains("persistence.enabled"), "{several}");
}

#[test]
fn a_volume_has_a_size() {
    for size in ["0Gi", "0.0", "0.00Ki", "00k"] {
        let found = format!("found \"{size}\"");
        assert_refused(
            PLANE,
            &format!("persistence.size={size}"),
            &["persistence.size", "above zero", &found],
        );
    }
    for size in ["0.5Gi", "10G", "1Ki"] {
        assert_accepted(PLANE, &format!("persistence.size={size}"));
    }
}

#[test]
fn a_limit_is_not_below_its_request() {
    for (chart, memory, cpu) in [(PLANE, 128, 100), (AGENT, 32, 20)] {
        let bytes: u64 = memory * 1024 * 1024;
        for (what, limit) in [
            ("memory", format!("{}Mi", memory - 1)),
            ("memory", format!("{}Ki", memory * 1024 - 1)),
            ("memory", (bytes - 1).to_string()),
            ("memory", "0.01Gi".to_owned()),
            // Thousandths of a byte: somebody meant 512Mi.
            ("memory", "512m".to_owned()),
            ("cpu", format!("{}m", cpu - 1)),
            ("cpu", "0.01".to_owned()),
        ] {
            let name = format!("resources.limits.{what}");
            let request = format!("resources.requests.{what}");
            assert_refused(
                chart,
                &format!("{name}={limit}"),
                &[&name, &request, &format!("found \"{limit}\"")],
            );
        }
        for (what, limit) in [
            ("memory", format!("{memory}Mi")),
            ("memory", format!("{}Ki", memory * 1024)),
            ("memory", bytes.to_string()),
            ("memory", "0.5Gi".to_owned()),
            ("memory", "200M".to_owned()),
            ("memory", "null".to_owned()),
            ("memory", "1e3".to_owned()),
            ("cpu", format!("{cpu}m")),
            ("cpu", "0.1".to_owned()),
            ("cpu", "1".to_owned()),
        ] {
            assert_accepted(chart, &format!("resources.limits.{what}={limit}"));
        }
        assert_refused(chart, "resources.requests.memory=1Gi", &["resources.limits.memory", "\"1Gi\""]);
        assert_refused(chart, "resources.requests.cpu=2,resources.limits.cpu=1999m", &["\"2\"", "\"1999m\""]);
        assert_accepted(chart, "resources.requests.cpu=2,resources.limits.cpu=2000m");
        assert_accepted(chart, "resources.requests=null,resources.limits.memory=1");
        // The API server refuses a StatefulSet or DaemonSet with one of these, after other objects are there.
        for (name, amount) in [
            ("limits.memory", "lots"),
            ("requests.cpu", "0.1.2"),
            ("limits.cpu", "-1"),
            ("limits.memory", "1 Gi"),
        ] {
            let name = format!("resources.{name}");
            assert_refused(chart, &format!("{name}={amount}"), &[&name, "a quantity such as 128Mi", amount]);
        }
        assert_refused(chart, "resources.limits.foo=1", &["resources.limits.foo", "knows no other resource"]);
        for known in [
            "limits.nvidia\\.com/gpu=1",
            "limits.ephemeral-storage=1.5Gi",
            "limits.cpu=1e3",
            "limits.hugepages-2Mi=4Mi",
        ] {
            assert_accepted(chart, &format!("resources.{known}"));
        }
        // A number of a file is another kind of number than one of `--set`.
        let numbers = |limit: u64| format!("resources={{\"limits\":{{\"memory\":{limit}}}}}");
        assert!(chart.template(&["--set-json", &numbers(bytes)]).is_ok());
        let said = chart.template(&["--set-json", &numbers(bytes - 1)]).unwrap_err().to_string();
        assert!(said.contains(&format!("found \"{}\"", bytes - 1)), "{said}");
    }
    let limit = |limit: &str| format!("{BACKUP},backup.resources.limits.memory={limit}");
    assert_refused(PLANE, &limit("127Mi"), &["backup.resources.limits.memory", "\"128Mi\"", "\"127Mi\""]);
    assert_accepted(PLANE, &limit("128Mi"));
}

/// What the API server would refuse, or the policy would deny.
#[test]
fn values_of_which_one_undoes_the_other_are_refused() {
    for chart in [PLANE, AGENT] {
        let words = ["securityContext.privileged: expected false", "allowPrivilegeEscalation is false"];
        assert_refused(chart, "securityContext.privileged=true", &words);
        let both = "securityContext.privileged=true,securityContext.allowPrivilegeEscalation=true";
        assert_accepted(chart, both);
    }
    let acting = "acting.actions={restart_pod},acting.namespaces={shop},\
                  acting.clusterUid=1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";
    let denied = format!("{acting},policy.deny={{restart_pod}}");
    assert_refused(AGENT, &denied, &["acting.actions: expected none that policy.deny has", "restart_pod"]);
    // All at once is how somebody stops them by values, and goes on later with what was there.
    for deny in ["uncordon_node", "*"] {
        assert_accepted(AGENT, &format!("{acting},policy.deny={{{deny}}}"));
    }
}

/// What the kubelet would say of each pod, after the release is there: the container's own words count before the pod's.
#[test]
fn nobody_is_root_where_nobody_may_be() {
    let (pod, own) = ("podSecurityContext", "securityContext");
    for chart in [PLANE, AGENT] {
        for (values, user, rule) in [
            (format!("{pod}.runAsUser=0"), pod, pod),
            (format!("{own}.runAsUser=0"), own, pod),
            (format!("{own}.runAsUser=0,{own}.runAsNonRoot=true,{pod}.runAsNonRoot=false"), own, own),
        ] {
            let words = [format!("{user}.runAsUser: expected"), format!("{rule}.runAsNonRoot is true")];
            assert_refused(chart, &values, &[&words[0], &words[1], "found 0"]);
        }
        for values in [
            format!("{own}.runAsUser=0,{own}.runAsNonRoot=false"),
            format!("{own}.runAsUser=0,{pod}.runAsNonRoot=null"),
            format!("{pod}.runAsUser=0,{own}.runAsUser=65532"),
            format!("{pod}.runAsUser=null"),
        ] {
            assert_accepted(chart, &values);
        }
        // A number of a file is another kind of number than one of `--set`.
        let said =
            chart.template(&["--set-json", &format!("{own}={{\"runAsUser\":0}}")]).unwrap_err().to_string();
        assert!(said.contains("securityContext.runAsUser: expected"), "{said}");
    }
}

#[test]
fn the_spool_has_room_in_the_state() {
    for size in ["127Mi", "134M", "0.1Gi", "1k", "64Mi"] {
        let found = format!("found \"{size}\"");
        let words = ["state.sizeLimit: expected at least 128Mi", &found];
        assert_refused(AGENT, &format!("state.sizeLimit={size}"), &words);
    }
    for size in ["128Mi", "0.125Gi", "135M", "1Gi"] {
        assert_accepted(AGENT, &format!("state.sizeLimit={size}"));
    }
}

#[test]
fn a_certificate_is_renewed_before_it_ends() {
    let with =
        |values: &str| format!("tls.certManager.enabled=true,tls.certManager.issuerRef.name=y,{values}");
    for (values, duration, before) in [
        ("tls.certManager.duration=720h", "720h", "720h"),
        ("tls.certManager.duration=719h59m", "719h59m", "720h"),
        ("tls.certManager.renewBefore=129600m", "2160h", "129600m"),
    ] {
        let found = format!("found \"{before}\"");
        let words = ["tls.certManager.renewBefore", "tls.certManager.duration", duration, &found];
        assert_refused(PLANE, &with(values), &words);
    }
    for values in ["tls.certManager.duration=721h", "tls.certManager.renewBefore=2159h59m59s"] {
        assert_accepted(PLANE, &with(values));
    }
    // Without cert-manager nobody reads it.
    assert_accepted(PLANE, "tls.certManager.duration=1h");
}

#[test]
fn a_scrape_ends_before_the_next_one() {
    let service = "metrics.serviceMonitor";
    let service_on = format!("{service}.enabled=true,{service}.tokenSecret=t,{service}.caSecret=c");
    let pod = "metrics.podMonitor";
    let pod_on = format!("{pod}.enabled=true");
    for (chart, name, on) in [(PLANE, service, service_on), (AGENT, pod, pod_on)] {
        let (timeout, interval) = (format!("{name}.scrapeTimeout"), format!("{name}.interval"));
        let with = |given: &str, to: &str| format!("{on},{name}.interval={given},{name}.scrapeTimeout={to}");
        for (given, to) in [("5s", "10s"), ("1m", "61s"), ("59s", "1m")] {
            assert_refused(chart, &with(given, to), &[&timeout, &interval, given, to]);
        }
        for (given, to) in [("10s", "10s"), ("1m", "60s"), ("1m30s", "1m")] {
            assert_accepted(chart, &with(given, to));
        }
    }
}

#[test]
fn what_is_said_of_postgresql_needs_one() {
    let to = "networkPolicy.enabled=true,networkPolicy.databaseTo[0].podSelector.matchLabels.app=postgres";
    for (values, words) in [
        (to, ["networkPolicy.databaseTo", "SQLite", "database.existingSecret"]),
        ("networkPolicy.databasePort=6432", ["networkPolicy.databasePort", "SQLite", "6432"]),
        ("database.existingSecretKey=uri", ["database.existingSecretKey", "\"uri\"", "name the Secret"]),
    ] {
        assert_refused(PLANE, values, &words);
        assert_accepted(PLANE, &format!("{values},database.existingSecret=x"));
    }
    assert_accepted(PLANE, &format!("{to},database.url=postgres://nimbus@db/nimbus"));
    assert_accepted(PLANE, "networkPolicy.databasePort=5432,database.existingSecretKey=url");
}

/// Whoever gives it believes that something comes of it: that nobody else may connect, for example.
#[test]
fn what_is_said_of_something_that_is_off_is_refused_by_both_names() {
    let block = "[0].ipBlock.cidr=10.0.0.0/8";
    let port = "[0].ports[0].port=1";
    for (chart, field, value) in [
        (PLANE, "operatorsFrom", block),
        (PLANE, "agentsFrom", block),
        (PLANE, "databaseTo", block),
        (PLANE, "extraIngress", port),
        (PLANE, "extraEgress", port),
        (AGENT, "serverTo", block),
        (AGENT, "serverPorts", "={7071}"),
        (AGENT, "apiServerTo", block),
        (AGENT, "kubeletTo", block),
        (AGENT, "metricsFrom", block),
        (AGENT, "extraIngress", port),
        (AGENT, "extraEgress", port),
    ] {
        let database = if field == "databaseTo" { "database.existingSecret=x," } else { "" };
        let values = format!("{database}networkPolicy.{field}{value}");
        let name = format!("networkPolicy.{field}: expected none");
        assert_refused(chart, &values, &[&name, "networkPolicy.enabled is not true"]);
        assert_accepted(chart, &format!("networkPolicy.enabled=true,{values}"));
    }
    let (issuer, manager) = ("tls.certManager.issuerRef.name", "tls.certManager.enabled");
    assert_refused(PLANE, &format!("{issuer}=y"), &[issuer, &format!("{manager} is not true"), "\"y\""]);
    assert_accepted(PLANE, &format!("{issuer}=y,{manager}=true"));
    let class = "persistence.storageClass";
    let off = "persistence.enabled=false,persistence.acceptLossOfKeys=true";
    assert_refused(
        PLANE,
        &format!("{class}=fast,{off}"),
        &[class, "persistence.enabled is false", "\"fast\""],
    );
    assert_accepted(PLANE, &format!("{class}=fast"));
    for (chart, map) in [(PLANE, "config.existingConfigMap"), (AGENT, "policy.existingConfigMap")] {
        let key = format!("{map}Key");
        let default = format!("{key}: expected the default");
        let words = [map, &default, "names no ConfigMap", "\"our.toml\""];
        assert_refused(chart, &format!("{key}=our.toml"), &words);
        assert_accepted(chart, &format!("{key}=our.toml,{map}=m"));
    }
    let words = ["config.existingConfigMapKey", "\"our.toml\""];
    assert_refused(PLANE, "config.existingConfigMapKey=our.toml,config.settings.attempts=4", &words);
}

/// The last of two keys of the same name wins, and other settings would restart no pod.
#[test]
fn an_annotation_that_the_chart_writes_is_its_own() {
    for (chart, key) in [(PLANE, "checksum/config"), (AGENT, "checksum/join")] {
        let words = ["podAnnotations: expected other annotations than", key, "found \"abc\""];
        assert_refused(chart, &format!("podAnnotations.{key}=abc"), &words);
        assert_accepted(chart, &format!("podAnnotations.{key}-too=abc"));
    }
    let policy = "persistence.annotations.helm\\.sh/resource-policy=delete";
    assert_refused(PLANE, policy, &["persistence.annotations", "persistence.keep", "found \"delete\""]);
}

#[test]
fn a_cluster_is_named_by_its_uid() {
    let with = |uid: &str| format!("acting.actions={{uncordon_node}},acting.clusterUid={uid}");
    let uid = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";
    for wrong in ["minikube", &uid[1..], &format!("{uid}0"), &uid.replace('-', ""), &uid.to_uppercase()] {
        let found = format!("found something else ({} characters)", wrong.len());
        assert_refused(AGENT, &with(wrong), &["acting.clusterUid", "UUID", &found, "kubectl get namespace"]);
    }
    for right in [uid, "00000000-0000-4000-8000-000000000000"] {
        assert_accepted(AGENT, &with(right));
    }
}

/// The program would take `info` without a word.
#[test]
fn a_filter_of_log_lines_that_no_program_can_read_is_refused() {
    for chart in [PLANE, AGENT] {
        for wrong in ["info==", "hyper=loud", "hyper=6", "info\\,hyper=warn=x", "x[a]=loud"] {
            let found = format!("found \"{}\";", wrong.replace('\\', ""));
            assert_refused(chart, &format!("log.filter={wrong}"), &["log.filter: expected off,", &found]);
        }
        for right in [
            "debug",
            "info\\,hyper=warn",
            "hyper=",
            "hyper=OFF",
            "hyper=5",
            "x[a]=debug",
            "x[{a=1\\,b}]=debug",
        ] {
            assert_accepted(chart, &format!("log.filter={right}"));
        }
    }
    // The control plane reads less than the agent does: it would take `info` for most of these, and where a level alone has a blank
    // beside it the name of a target, and then log next to nothing.
    for wrong in [
        "off\\, hyper=info",
        "off\\,=warn",
        "=",
        " ",
        "off\\, ",
        "*=warn",
        " info",
        "info ",
        "off\\,info ",
        "x[a=warn",
        "x[a]b",
    ] {
        let found = format!("found \"{}\";", wrong.replace('\\', ""));
        let set = format!("log.filter={wrong}");
        assert_refused(PLANE, &set, &["log.filter: expected off,", "a name before it", "no blank", &found]);
    }
    for right in [
        "off\\,",
        "off\\,\\,info",
        "_x=warn",
        "[a]=warn",
        "x[a]",
        "nimbus_control_plane::http=debug\\,warn",
        "x[{a=1\\, b}]=debug",
    ] {
        assert_accepted(PLANE, &format!("log.filter={right}"));
    }
}

/// The certificate would have names that nobody can call.
#[test]
fn the_domain_of_the_cluster_is_a_dns_name() {
    for wrong in [".", "cluster.local.", ".local", "cluster..local"] {
        let found = format!("found \"{wrong}\";");
        assert_refused(PLANE, &format!("clusterDomain={wrong}"), &["clusterDomain: expected", &found]);
    }
    for right in ["cluster.local", "k8s", "k8s.corp-1.example"] {
        assert_accepted(PLANE, &format!("clusterDomain={right}"));
    }
}
