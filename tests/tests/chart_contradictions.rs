//! Tests of both charts with figures, addresses and paths that contradict each other, with the real helm: each is refused by
//! the names of its values, and what is just within the bound is not. Nothing is installed.

use nimbus_tests::helm::{AGENT, CONTROL_PLANE as PLANE, Chart, printed};
use nimbus_tests::rig::repository;

const BACKUP: &str = "backup.enabled=true,backup.existingClaim=b,\
                      backup.recipients={age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg}";

/// Each of these values is refused in a line that has all of the words.
fn assert_refused(chart: Chart, values: &str, words: &[&str]) {
    let said = chart.template(&["--set", values]).err().map(|error| error.to_string()).unwrap_or_default();
    let found = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "{values}: expected a line with {words:?} in {said:?}");
}

fn assert_accepted(chart: Chart, values: &str) {
    let said = chart.template(&["--set", values]).err().map(|error| error.to_string());
    assert_eq!(said, None, "{values}");
}

#[test]
fn a_port_of_the_nodes_is_for_one_service() {
    let types = "services.operators.type=NodePort,services.agents.type=LoadBalancer";
    let ports = |operators: u16, agents: u16| {
        format!("{types},services.operators.nodePort={operators},services.agents.nodePort={agents}")
    };
    let words =
        ["services.agents.nodePort: expected another port", "services.operators.nodePort", "30070 in both"];
    assert_refused(PLANE, &ports(30_070, 30_070), &words);
    // Kubernetes gives the port away whole, whatever its protocol.
    let by_udp = format!("{},services.agentsOverTcp=false", ports(30_070, 30_070));
    assert_refused(PLANE, &by_udp, &words);
    for (operators, agents) in [(30_070, 30_071), (30_070, 0), (0, 0)] {
        assert_accepted(PLANE, &ports(operators, agents));
    }
}

#[test]
fn the_address_of_a_load_balancer_is_an_ip_address() {
    for service in ["operators", "agents"] {
        let name = format!("services.{service}.loadBalancerIP");
        let with = |address: &str| format!("services.{service}.type=LoadBalancer,{name}={address}");
        for address in [
            "lb.example.com",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.01",
            "192.0.2.1:7071",
            "192.0.2.0/24",
            "[2001:db8::1]",
            "2001:db8::1%eth0",
            "1:2:3:4:5:6:7",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7::8",
            "1::2::3",
            "12345::",
        ] {
            assert_refused(PLANE, &with(address), &[&name, "IPv4 or IPv6", address]);
        }
        for address in
            ["192.0.2.1", "255.255.255.255", "2001:db8::1", "::1", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1"]
        {
            assert_accepted(PLANE, &with(address));
        }
    }
}

/// What the API server would say of one Service, after other objects are there.
#[test]
fn a_load_balancer_is_open_to_networks() {
    for service in ["operators", "agents"] {
        let name = format!("services.{service}.loadBalancerSourceRanges");
        let with = |networks: &str| format!("services.{service}.type=LoadBalancer,{name}={{{networks}}}");
        for network in [
            "foo",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0/8",
            "2001:db8::/129",
            "2001:db8::",
            "/8",
        ] {
            let found = format!("found \"{network}\"");
            assert_refused(PLANE, &with(network), &[&name, "CIDRs", &found]);
            assert_refused(PLANE, &with(&format!("10.0.0.0/8,{network}")), &[&name, &found]);
        }
        assert_accepted(PLANE, &with("10.0.0.0/8,192.0.2.1/32,0.0.0.0/0,2001:db8::/32,::1/128,::/0"));
    }
}

/// The same of a CronJob.
#[test]
fn a_backup_has_a_time_that_kubernetes_takes() {
    let with = |schedule: &str| format!("{BACKUP},backup.schedule={}", schedule.replace(',', "\\,"));
    for schedule in [
        "nonsense",
        "17 2 * *",
        "0 17 2 * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * * mon *",
        "5-1 * * * *",
        "*/0 * * * *",
        "-1 * * * *",
        "1,61 * * * *",
        "@often",
        "@every day",
        "TZ=UTC 17 2 * * *",
        "CRON_TZ=Etc/UTC 17 2 * * *",
    ] {
        let found = format!("found \"{schedule}\"");
        assert_refused(PLANE, &with(schedule), &["backup.schedule", "cron", "backup.timeZone", &found]);
    }
    for schedule in [
        "17 2 * * *",
        "59 23 31 12 6",
        "0 0 1 1 0",
        "08 09 ? * SUN",
        "*/5 0-6/2 1,15 jan-Jun mon-FRI",
        "2/15  * * * *",
        "@hourly",
        "@midnight",
        "@every 1h30m",
    ] {
        assert_accepted(PLANE, &with(schedule));
    }
    // Without backups nobody reads it.
    assert_accepted(PLANE, "backup.schedule=nonsense");
}

#[test]
fn a_backup_has_a_time_zone_that_may_be_one() {
    let with = |zone: &str| format!("{BACKUP},backup.timeZone={zone}");
    for zone in [
        "Local",
        "LoCAL",
        "europe/berlin",
        "Europe/berlin",
        "/Europe/Berlin",
        "Europe/Berlin/",
        "Europe//Berlin",
        "../Etc/UTC",
        "Etc/../UTC",
        "Europe/Berlin ",
        "Berlin (Europe)",
        "UTC+2",
        "GMT+2",
        "+02:00",
        "TZ=UTC",
    ] {
        let found = format!("found \"{zone}\"");
        assert_refused(PLANE, &with(zone), &["backup.timeZone: expected", "Europe/Berlin", &found]);
    }
    for zone in [
        "",
        "UTC",
        "GMT0",
        "Etc/UTC",
        "Etc/GMT-14",
        "EST5EDT",
        "GB-Eire",
        "Europe/Berlin",
        "America/Port-au-Prince",
        "America/Argentina/Buenos_Aires",
    ] {
        assert_accepted(PLANE, &with(zone));
    }
    // Without backups nobody reads it.
    assert_accepted(PLANE, "backup.timeZone=Local");
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

/// As the programs themselves would say at their start.
#[test]
fn agents_are_told_a_host_and_a_port() {
    for (chart, name) in [(PLANE, "services.advertise"), (AGENT, "server")] {
        for address in [
            "https://foo:7071",
            "foo",
            "foo:",
            "foo:0",
            "foo:99999",
            "foo:x",
            "::1:7071",
            "[a:b]:7071",
            "[192.0.2.1]:7071",
            "a..b:7071",
            "a;b:7071",
            "192.0.2.256:7071",
        ] {
            assert_refused(chart, &format!("{name}={address}"), &[&format!("{name}: expected"), address]);
        }
        for address in ["foo:7071", "a_b.example.:65535", "192.0.2.1:1", "[2001:db8::1]:443"] {
            assert_accepted(chart, &format!("{name}={address}"));
        }
    }
}

#[test]
fn a_certificate_is_for_names_and_addresses() {
    let longest = "a".repeat(63);
    for name in [
        "10.0.0.1:7070",
        "::::",
        "a..b",
        "a b",
        "a.",
        ".a",
        "-a",
        "a-",
        "192.0.2.256",
        "1.2.3",
        "[::1]",
        "*.example.com",
        &format!("{longest}a.example.com"),
    ] {
        let found = format!("found something else ({} characters)", name.len());
        assert_refused(PLANE, &format!("names={{nimbus,{name}}}"), &["names[1]", "IP address", &found]);
    }
    for name in ["nimbus", "a.b-c.d", "1a.2b", "192.0.2.7", "2001:db8::7", &format!("{longest}.example.com")]
    {
        assert_accepted(PLANE, &format!("names={{{name}}}"));
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
            // Kubernetes says what it thinks of these.
            ("memory", "1Xi".to_owned()),
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
fn an_image_is_named_as_registries_name_it() {
    for chart in [PLANE, AGENT] {
        for values in [
            "image.registry=localhost:5000",
            "image.registry=[::1]:5000/mirror",
            "image.registry=r.example.com/a/b-c",
            "image.registry=,image.repository=r.example.com:5000/a/b",
            "image.repository=a__b.c/d-e_f",
            "image.tag=_1.2.3-rc.1",
            "image.tag=0.1.0+build",
            "image.pullSecrets={017,a.b-c}",
        ] {
            let text = chart.template(&["--set-string", values]).map_err(|error| error.to_string());
            assert!(text.is_ok(), "{chart}: {values}: {text:?}");
        }
        for repository in ["a//b", "a/", "-a", "a..b"] {
            let found = format!("found \"{repository}\"");
            assert_refused(chart, &format!("image.repository={repository}"), &["image.repository", &found]);
        }
        let longest = "1".repeat(128);
        assert!(chart.template(&["--set-string", &format!("image.tag={longest}")]).is_ok());
        assert_refused(chart, &format!("image.tag=v{longest}"), &["image.tag", "at most 128"]);
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

/// As of a load balancer, the API server would say so of one object, after others are there.
#[test]
fn a_network_policy_names_networks() {
    for (chart, field) in [(PLANE, "operatorsFrom"), (PLANE, "agentsFrom"), (AGENT, "metricsFrom")] {
        let name = format!("networkPolicy.{field}");
        let with = |block: &str| format!("networkPolicy.enabled=true,{name}[0].ipBlock.{block}");
        for (block, found) in [
            ("cidr=foo", "found \"foo\""),
            ("cidr=10.0.0.0", "found \"10.0.0.0\""),
            ("except={10.1.0.0/16}", "found \"\""),
        ] {
            assert_refused(chart, &with(block), &[&name, "CIDRs", found]);
        }
        let except = with("cidr=10.0.0.0/8");
        assert_refused(chart, &format!("{except},{name}[0].ipBlock.except={{x}}"), &[&name, "found \"x\""]);
        assert_accepted(chart, &format!("{except},{name}[0].ipBlock.except={{10.1.0.0/16}}"));
    }
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

/// A volume by its name, mounted at a path.
fn mount(volume: &str, path: &str) -> String {
    format!("extraVolumeMounts[0].name={volume},extraVolumeMounts[0].mountPath={path}")
}

#[test]
fn nothing_is_mounted_over_what_the_chart_mounts() {
    let with = |path: &str| format!("extraVolumes[0].name=x,{}", mount("x", path));
    for chart in [PLANE, AGENT] {
        for path in [
            "/etc/nimbus",
            "/etc/nimbus/",
            "/etc//nimbus",
            "/etc/./nimbus/.",
            "/etc/x/../nimbus",
            "/../etc/nimbus",
            "etc/nimbus",
        ] {
            let found = format!("found \"{path}\"");
            assert_refused(chart, &with(path), &["extraVolumeMounts", "/etc/nimbus is one", &found]);
        }
        for path in ["/srv", "/srv/", "/etc/nimbus-more/", "/etc/nimbus/../other", "/etc/ssl"] {
            assert_accepted(chart, &with(path));
        }
        // What is read-only has no place for a mount, and below one at /etc the chart's own would be made in it.
        for (path, near) in [
            ("/etc/nimbus/more", "no path in"),
            ("etc//nimbus/x/..//more/", "no path in"),
            ("/etc", "no path around"),
            ("/etc/nimbus/../", "no path around"),
        ] {
            let found = format!("found \"{path}\"");
            let words = ["extraVolumeMounts: expected", near, "/etc/nimbus is one", &found];
            assert_refused(chart, &with(path), &words);
        }
    }
    for path in ["/tmp/", "/backups/.", "/var/lib//nimbus/data"] {
        assert_refused(PLANE, &with(path), &["extraVolumeMounts", path]);
    }
    assert_refused(
        AGENT,
        &with("/var/lib/nimbus-agent/"),
        &["extraVolumeMounts", "/var/lib/nimbus-agent is one"],
    );
    // What is mounted over a single file of the policy would never be renewed, and over what stops the agents would stop none.
    for file in ["nimbus/policy.toml", "nimbus-stop", "nimbus-stop/x", "nimbus-stop/x/y"] {
        assert_refused(AGENT, &with(&format!("/etc/{file}")), &["extraVolumeMounts", file]);
    }
    for (chart, own, free) in [
        (PLANE, ["/var", "/var/lib/", "/var/lib/nimbus/x", "/etc/nimbus-keys/x", "/backups/x"], "/tmp/x"),
        (
            AGENT,
            [
                "/var/lib",
                "/var/lib/nimbus-agent/x",
                "/var/run",
                "/var/run/secrets",
                "/var/run/secrets/nimbus/x",
            ],
            "/var/run/x",
        ),
    ] {
        for path in own {
            let found = format!("found \"{path}\"");
            assert_refused(chart, &with(path), &["extraVolumeMounts", "the chart's own volumes", &found]);
        }
        assert_accepted(chart, &with(free));
    }
    // A file of the nodes has its path in the pod too.
    let beside = format!("hostAccess.files[0].path=/etc/ssh,{}", with("/etc/ssh/"));
    assert_refused(AGENT, &beside, &["extraVolumeMounts", "/etc/ssh is one"]);
    assert_refused(AGENT, &format!("{beside}x"), &["extraVolumeMounts", "/etc/ssh is one"]);
    assert_accepted(AGENT, &with("/etc/ssh/"));
}

/// Kubernetes would say so only of the pods, after the release is there.
#[test]
fn a_mount_names_a_volume_that_is_there_and_leaves_the_root_alone() {
    let named = |path: &str| format!("found \"{path}\"");
    for (chart, own, volumes) in [(PLANE, "tmp", "data, tmp"), (AGENT, "state", "state, policy, stop, proof")]
    {
        let words = ["extraVolumeMounts", "\"/srv\"", "extraVolumes", volumes, "found \"x\""];
        assert_refused(chart, &mount("x", "/srv"), &words);
        assert_refused(chart, &format!("extraVolumes[0].name=y,{}", mount("x", "/srv")), &words);
        assert_accepted(chart, &format!("extraVolumes[0].name=x,{}", mount("x", "/srv")));
        assert_accepted(chart, &mount(own, "/srv"));
        for root in ["/", "//", "/.", "/srv/..", "."] {
            let values = format!("extraVolumes[0].name=x,{}", mount("x", root));
            assert_refused(chart, &values, &["extraVolumeMounts", "below /", &named(root), "\"x\""]);
        }
    }
    // A volume of the chart is there only with what it is for.
    for (chart, volume, with) in
        [(PLANE, "keys", "keys.existingSecret=k"), (AGENT, "host-0", "hostAccess.files[0].path=/etc/ssh")]
    {
        assert_refused(chart, &mount(volume, "/srv"), &["extraVolumeMounts", &named(volume)]);
        assert_accepted(chart, &format!("{with},{}", mount(volume, "/srv")));
    }
    // The pod of the backup is given the mounts too.
    let backup = |volume: &str| format!("{BACKUP},{}", mount(volume, "/srv"));
    assert_refused(PLANE, &backup("tmp"), &["extraVolumeMounts", "the pod of the backup", "found \"tmp\""]);
    assert_accepted(PLANE, &backup("data"));
}

/// What is made from the release's name is said of that name, unless an override is the reason.
#[test]
fn a_name_that_no_service_may_have_is_said_of_what_it_comes_from() {
    let refused = |release: &str, chart: Chart, set: &str, words: &[&str]| {
        let named = [&["template", release, chart.folder][..], &chart.due, &["--set-string", set]].concat();
        let said = printed(&named).unwrap_err().to_string();
        let line = said.lines().find(|line| line.starts_with("  - ")).unwrap_or_default();
        assert!(words.iter().all(|word| line.contains(word)), "{release}, {set}: {words:?} in {said}");
    };
    let other = "choose another release name, or set fullnameOverride";
    for (chart, made) in [(PLANE, "12e3-nimbus-control-plane"), (AGENT, "12e3-nimbus-agent")] {
        refused("12e3", chart, "fullnameOverride=", &["the release's name, \"12e3\":", made, other]);
        refused("a.b", chart, "fullnameOverride=", &["the release's name, \"a.b\":", other]);
        refused("nimbus", chart, "fullnameOverride=1st", &["  - fullnameOverride:", "(3 characters)"]);
        refused(
            "nimbus",
            chart,
            "nameOverride=A_b",
            &["  - nameOverride:", "(3 characters)", "fullnameOverride"],
        );
        for release in ["y", "on", "no", "true"] {
            let rendered = printed(&[&["template", release, chart.folder][..], &chart.due].concat());
            assert!(rendered.is_ok(), "{release}: {rendered:?}");
        }
    }
}

/// What a chart of the version `own` says where `installed` is installed. Only a cluster knows what is, so what judges the two
/// is asked by itself, by a chart that has nothing else in it.
fn judged(chart: Chart, installed: &str, own: &str) -> anyhow::Result<String> {
    let asks = tempfile::tempdir()?;
    let templates = asks.path().join("templates");
    std::fs::create_dir(&templates)?;
    for file in ["_check.tpl", "_check_release.tpl"] {
        std::fs::copy(repository()?.join(chart.folder).join("templates").join(file), templates.join(file))?;
    }
    std::fs::write(asks.path().join("Chart.yaml"), "apiVersion: v2\nname: asks\nversion: 0.0.0\n")?;
    let judge =
        format!("{{{{ include \"{chart}.check.versions\" (list \"X\" .Values.installed .Values.own) }}}}");
    std::fs::write(templates.join("judged.yaml"), format!("said: |{judge}\n"))?;
    let versions = format!("installed={installed},own={own}");
    printed(&["template", "asks", &asks.path().display().to_string(), "--set-string", &versions])
}

#[test]
fn a_release_goes_from_one_minor_version_to_the_next() {
    for chart in [PLANE, AGENT] {
        for (installed, own) in [
            ("0.1.0", "0.3.0"),
            ("0.3.0", "0.1.9"),
            ("0.9.0", "0.11.0"),
            ("1.0.0", "2.0.0"),
            ("2.0.0", "1.0.0"),
            ("v0.1.0", "0.3.0-rc.1"),
        ] {
            let said = judged(chart, installed, own).unwrap();
            for words in
                ["the version of the X: expected", own, &format!("found {installed};"), "docs/upgrade.md"]
            {
                assert!(said.contains(words), "{installed}, {own}: expected {words:?} in {said}");
            }
        }
        for (installed, own) in [
            ("0.1.0", "0.1.0"),
            ("0.1.0", "0.1.7"),
            ("0.1.9", "0.2.0"),
            ("0.2.0", "0.1.9"),
            ("0.9.0", "0.10.0"),
            ("0.1.0_build.7", "0.2.0+build.9"),
            // Somebody's own label.
            ("latest", "0.3.0"),
            ("", "0.3.0"),
        ] {
            let said = judged(chart, installed, own).unwrap();
            assert!(!said.contains("expected"), "{installed}, {own}: {said}");
        }
    }
}
