//! Tests of the backups on a schedule in the control plane's chart, and of the token that reads its figures alone, with
//! the real helm. Nothing is installed.

use anyhow::Context as _;
use nimbus_tests::helm::{
    AGENT, BACKUP, CONTROL_PLANE as CHART, assert_accepted, assert_refused, documents, only, printed,
};
use serde_json::{Value, json};

const SOMEBODY: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

/// The pod that makes the backup.
fn pod(objects: &[Value]) -> anyhow::Result<&Value> {
    Ok(&only(objects, "CronJob", "-backup")?["spec"]["jobTemplate"]["spec"]["template"])
}

fn words(objects: &[Value]) -> anyhow::Result<Vec<&str>> {
    let all = pod(objects)?["spec"]["containers"][0]["args"].as_array().context("arguments")?;
    Ok(all.iter().filter_map(Value::as_str).collect())
}

#[test]
fn without_being_asked_for_there_is_no_backup() {
    let objects = CHART.objects(&[]).unwrap();
    assert!(objects.iter().all(|object| object["kind"] != "CronJob"), "{objects:?}");
}

#[test]
fn sqlite_is_backed_up_from_the_volume_on_the_node_of_the_control_plane_without_the_token_of_anybody() {
    let objects = CHART.variant("backup").unwrap();
    let job = &only(&objects, "CronJob", "-backup").unwrap()["spec"];
    assert_eq!((&job["concurrencyPolicy"], &job["timeZone"]), (&json!("Forbid"), &json!("Etc/UTC")));
    let (pod, set) = (pod(&objects).unwrap(), only(&objects, "StatefulSet", "").unwrap());
    let selector = &set["spec"]["selector"]["matchLabels"];
    let near = &pod["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(&near["labelSelector"]["matchLabels"], selector);
    // No Service and no StatefulSet may take this pod for a control plane.
    assert_ne!(
        pod["metadata"]["labels"]["app.kubernetes.io/component"],
        selector["app.kubernetes.io/component"]
    );
    assert_eq!(
        words(&objects).unwrap(),
        [
            "backup",
            "create",
            "--data-dir=/var/lib/nimbus/data",
            "--out-dir=/backups",
            "--prefix=nimbus-control-plane",
            "--keep=14",
            &format!("--recipient={SOMEBODY}"),
        ]
    );
    let spec = &pod["spec"];
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec["securityContext"], set["spec"]["template"]["spec"]["securityContext"]);
    let security = &spec["containers"][0]["securityContext"];
    assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}));
    assert_eq!(
        (&security["readOnlyRootFilesystem"], &security["allowPrivilegeEscalation"]),
        (&json!(true), &json!(false))
    );
    let claims: Vec<&Value> = spec["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| &volume["persistentVolumeClaim"]["claimName"])
        .collect();
    assert_eq!(claims, ["backups", "nimbus-control-plane-data"]);
    let policy = &only(&objects, "NetworkPolicy", "-backup").unwrap()["spec"];
    assert_eq!((&policy["egress"], &policy["ingress"]), (&json!([]), &json!([])));
    assert_eq!(policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"], "backup");
}

#[test]
fn postgresql_is_backed_up_with_the_keys_of_the_secret_and_reaches_the_database_alone() {
    let objects = CHART.variant("backup-standbys").unwrap();
    let spec = &pod(&objects).unwrap()["spec"];
    assert!(spec["affinity"].is_null());
    let container = &spec["containers"][0];
    assert_eq!(container["image"], "other.example.internal/nimbus:2");
    let words = words(&objects).unwrap();
    assert!(words.contains(&"--keys=/etc/nimbus-keys") && words.contains(&"--keep=3"));
    let variables = container["env"].as_array().unwrap();
    let address = variables.iter().find(|variable| variable["name"] == "NIMBUS_DATABASE_URL").unwrap();
    assert_eq!(address["valueFrom"]["secretKeyRef"]["name"], "nimbus-database");
    let policy = &only(&objects, "NetworkPolicy", "-backup").unwrap()["spec"];
    assert_eq!(policy["egress"][1]["to"], json!([{"ipBlock": {"cidr": "10.0.0.5/32"}}]));
}

#[test]
fn backups_that_nobody_could_read_or_write_are_refused_by_their_names() {
    let given = format!("backup.enabled=true,backup.existingClaim=b,backup.recipients={{{SOMEBODY}}}");
    let refused = |more: &str| CHART.objects(&["--set", &given, "--set", more]).unwrap_err().to_string();
    for (more, expected) in [
        ("backup.recipients=null", "backup.recipients: expected the public keys"),
        ("backup.existingClaim=", "backup.existingClaim: expected a claim of yours"),
        ("backup.existingClaim=nimbus-control-plane-data", "another volume than the one that is backed up"),
        ("persistence.accessModes={ReadWriteOncePod}", "persistence.accessModes"),
        ("persistence.enabled=false,persistence.acceptLossOfKeys=true", "backup.enabled"),
        ("backup.image.repository=a:1", "backup.image.repository"),
        ("backup.image.registry=https://r.example.com", "backup.image.registry: expected a host"),
        ("backup.keep=0", "/backup/keep"),
        ("backup.image.tga=1", "tga"),
    ] {
        let said = refused(more);
        assert!(said.contains(expected), "{more}: {said}");
    }
    let secret = "AGE-SECRET-KEY-1QQQQ";
    let said = refused(&format!("backup.recipients={{{secret}}}"));
    assert!(said.contains("the secret one") && !said.contains(secret), "{said}");
}

#[test]
fn the_figures_have_a_token_of_their_own() {
    let objects = CHART.variant("monitoring").unwrap();
    let secret = "nimbus-metrics";
    let monitor = &only(&objects, "ServiceMonitor", "").unwrap()["spec"]["endpoints"][0];
    assert_eq!(monitor["authorization"]["credentials"], json!({"name": secret, "key": "token"}));
    let spec = &only(&objects, "StatefulSet", "").unwrap()["spec"]["template"]["spec"];
    let arguments = spec["containers"][0]["args"].as_array().unwrap();
    assert!(arguments.contains(&json!("--metrics-token-file=/etc/nimbus-metrics/token")), "{arguments:?}");
    let volumes = spec["volumes"].as_array().unwrap();
    let volume = volumes.iter().find(|volume| volume["name"] == "metrics").unwrap();
    assert_eq!(
        (&volume["secret"]["secretName"], &volume["secret"]["defaultMode"]),
        (&json!(secret), &json!(0o440))
    );
}

/// Names that YAML would take for a number or a truth are texts all the same.
#[test]
fn names_stay_texts_in_every_object() {
    let secrets = "database.existingSecret=0123,keys.existingSecret=1e3,image.pullSecrets={017},priorityClassName=true,\
                   backup.existingClaim=0,metrics.serviceMonitor.tokenSecret=12";
    let more = format!("backup.enabled=true,backup.recipients={{{SOMEBODY}}},networkPolicy.enabled=true");
    let given = ["--namespace", "123", "--set-string", secrets, "--set", &more];
    let text = printed(&[&["template", "nimbus", CHART.folder][..], &CHART.due, &given].concat()).unwrap();
    let objects = documents(&text).unwrap();
    for object in &objects {
        assert_eq!(object["metadata"]["namespace"], "123", "{object}");
    }
    let spec = &only(&objects, "StatefulSet", "").unwrap()["spec"]["template"]["spec"];
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "017"}]));
    assert_eq!(spec["priorityClassName"], "true");
    let names: Vec<&Value> = spec["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|volume| &volume["secret"]["secretName"])
        .filter(|name| !name.is_null())
        .collect();
    assert_eq!(names, ["1e3", "12"]);
    assert_eq!(spec["containers"][0]["env"][1]["valueFrom"]["secretKeyRef"]["name"], "0123");
    let claim = &pod(&objects).unwrap()["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"];
    assert_eq!(claim, "0");
}

/// Does a map of texts (labels, annotations, what selects a pod) hold anything but texts, anywhere in an object? And a name?
fn assert_names_are_texts(value: &Value, of: &str) {
    match value {
        Value::Array(list) => list.iter().for_each(|each| assert_names_are_texts(each, of)),
        Value::Object(map) => {
            for (key, value) in map {
                let texts = ["labels", "annotations", "matchLabels", "nodeSelector"].contains(&key.as_str());
                for each in value.as_object().filter(|_| texts).iter().flat_map(|map| map.values()) {
                    assert!(each.is_string(), "{of}: {key}: {value}");
                }
                if ["name", "namespace", "secretName", "claimName", "serviceAccountName"]
                    .contains(&key.as_str())
                {
                    assert!(value.is_string(), "{of}: {key}: {value}");
                }
                assert_names_are_texts(value, of);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Releases, namespaces and names of objects that YAML would take for a number or a truth, in both charts.
#[test]
fn names_stay_texts_for_every_release() {
    for name in ["y", "n", "on", "off", "yes", "no", "true", "false", "null", "12e3", "123"] {
        // A Service's name begins with a letter, so a release that does not needs one of its own.
        let full = if name.starts_with(|c: char| c.is_ascii_digit()) { "nimbus" } else { name };
        let own = format!("fullnameOverride={full},nameOverride={name}");
        let made = format!("fullnameOverride={}", if full == name { "" } else { full });
        for chart in [CHART, AGENT] {
            for given in [["--set-string", &made], ["--set-string", &own]] {
                let release = ["template", name, chart.folder, "--namespace", name];
                let text = printed(&[&release[..], &chart.due, &given].concat());
                let text = text.unwrap_or_else(|said| panic!("{name}, {}: {said}", chart.folder));
                let objects = documents(&text).unwrap();
                assert!(!objects.is_empty());
                for object in &objects {
                    assert_names_are_texts(object, &format!("{name}, {}, {}", chart.folder, object["kind"]));
                    assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/instance"], name, "{object}");
                }
                let service = objects.iter().find(|object| object["kind"] == "Service");
                if let Some(service) = service {
                    assert_eq!(service["spec"]["selector"]["app.kubernetes.io/instance"], name);
                }
            }
        }
    }
}

/// `helm upgrade --reuse-values` from a version before: what it does not say has its default.
#[test]
fn values_of_an_earlier_version_mean_what_they_meant() {
    let set = "services.agentsOverTcp=null,backup=null,networkPolicy.enabled=true";
    let objects = CHART.objects(&["--set", set]).unwrap();
    let spec = &only(&objects, "StatefulSet", "").unwrap()["spec"]["template"]["spec"];
    let arguments = spec["containers"][0]["args"].as_array().unwrap();
    assert!(!arguments.contains(&json!("--no-tcp")), "{arguments:?}");
    let agents = &only(&objects, "Service", "-agents").unwrap()["spec"]["ports"];
    assert_eq!(agents.as_array().unwrap().len(), 2);
}

/// What the API server would say of the CronJob, after other objects are there.
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
        "@every 99999999h",
        "@every 2562047h47m17s",
        "@every 2000000h2000000h",
        "@every 9223372037s",
        "@every 99999999999999999999h",
        "@every 2562047.789h",
        "@every 9223372036855ms",
        "@every 9223372036854775808ns",
        "@every .h",
        "@every 1.5.5h",
        "@every 1d",
        "@every 1h-1m",
        "@every  1h",
        "@Hourly",
        "0060 * * * *",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "*/-5 * * * *",
        "*/9223372036854775808 * * * *",
        "* * * january *",
        "* * * +jan *",
        "* * L * *",
        "*-TZ * * * *",
        "TZ=UTC 17 2 * * *",
        "CRON_TZ=Etc/UTC 17 2 * * *",
    ] {
        let found = format!("found \"{schedule}\"");
        assert_refused(CHART, &with(schedule), &["backup.schedule", "cron", "backup.timeZone", &found]);
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
        "@every 010m",
        "@every 8760h",
        "@every 2562047h47m16s",
        "@every 1.5h",
        "@every .5h1.m",
        "@every 1m0.5s10ms",
        "@every 0",
        "@every 2562047.788h",
        "@every 2562047h47.2m",
        "@every 9223372036854775807ns",
        "002 * * * *",
        "00000000000000000000000059 023 * * *",
        "05-010 */00005 * * *",
        "*/99999 * * * *",
        "*/9223372036854775807 +5 * * *",
        " 17\t2 1,,15 JAN-dec/3 ,0 ",
    ] {
        assert_accepted(CHART, &with(schedule));
    }
    // Without backups nobody reads it.
    assert_accepted(CHART, "backup.schedule=nonsense");
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
        assert_refused(CHART, &with(zone), &["backup.timeZone: expected", "Europe/Berlin", &found]);
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
        assert_accepted(CHART, &with(zone));
    }
    // Without backups nobody reads it.
    assert_accepted(CHART, "backup.timeZone=Local");
}
