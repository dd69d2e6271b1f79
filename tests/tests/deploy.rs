//! What `nimbus enterprise deploy` writes is taken by those it is for: the values by the real charts and the real helm, the
//! Terraform by what its providers say of their resources (`tests/terraform`, from the schemas of the versions named there).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context as _;
use hcl::{Block, Body};
use nimbus_deploy::answers::Answers;
use nimbus_deploy::draft::Draft;
use nimbus_deploy::draft::keys::ACTIONS;
use nimbus_deploy::plan::{Charts, File, Plan, plan};
use nimbus_deploy::read::read;
use nimbus_tests::helm::{documents, helm, only};
use nimbus_tests::rig::repository;
use serde_json::Value;

const REGISTRY: (&str, &str) = ("registry", "registry.example.internal");
const SQLITE: (&str, &str) = ("database.kind", "sqlite");
const OUTSIDE: [(&str, &str); 4] = [
    ("operators.service", "load-balancer"),
    ("operators.name", "nimbus.ops.example.com"),
    ("agents.service", "load-balancer"),
    ("agents.name", "agents.ops.example.com"),
];
const NETWORK: [(&str, &str); 4] = [
    ("database.kind", "terraform"),
    ("cloud.network", "shared"),
    ("cloud.cidr", "10.20.0.0/24"),
    ("cloud.clients", "10.30.0.0/16"),
];
const ZONE: (&str, &str) = ("cloud.dns_zone", "ops.example.com");
const CLOUDS: [&[(&str, &str)]; 3] = [
    &[("cloud.kind", "aws"), ("cloud.region", "eu-central-1")],
    &[("cloud.kind", "gcp"), ("cloud.region", "europe-west3"), ("cloud.project", "ops")],
    &[("cloud.kind", "azure"), ("cloud.region", "westeurope"), ("cloud.resource_group", "ops")],
];

/// The answers about a database that this cloud asks for: on Google Cloud the peering decides who may connect.
fn of_cloud<'a>(database: &[(&'a str, &'a str)], cloud: &[(&str, &str)]) -> Vec<(&'a str, &'a str)> {
    let is_open = cloud.contains(&("cloud.kind", "gcp"));
    database.iter().copied().filter(|(key, _)| !is_open || *key != "cloud.clients").collect()
}

fn planned(answers: &[&[(&str, &str)]]) -> anyhow::Result<(Answers, Plan)> {
    let mut draft = Draft::default();
    for (key, value) in std::iter::once(&REGISTRY).chain(answers.iter().copied().flatten()) {
        draft.set(key, value)?;
    }
    let answers = read(&draft).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
    let charts = Charts { control_plane: "charts/a".into(), agent: "charts/b".into() };
    let made = plan(&answers, &charts, &draft.file(), &[]).map_err(anyhow::Error::msg)?;
    Ok((answers, made))
}

fn text<'a>(plan: &'a Plan, path: &str) -> anyhow::Result<&'a str> {
    let file = plan.files.iter().find(|file| file.path == path);
    Ok(&file.with_context(|| format!("no {path}"))?.text)
}

/// What a chart renders for a values file of the plan.
fn rendered(plan: &Plan, chart: &str, namespace: &str, more: &[&str]) -> anyhow::Result<Vec<Value>> {
    let dir = tempfile::tempdir()?;
    let (values, uid) = (dir.path().join("values.yaml"), dir.path().join("uid"));
    std::fs::write(&values, text(plan, &format!("values-{chart}.yaml"))?)?;
    std::fs::write(&uid, "0f0e0d0c-0b0a-4908-8706-050403020100")?;
    let (values, uid) = (values.display().to_string(), format!("acting.clusterUid={}", uid.display()));
    let (release, chart) = (format!("it-{chart}"), format!("charts/nimbus-{chart}"));
    let mut words = vec!["template", &release, &chart, "--namespace", namespace, "--values", &values];
    words.extend(more);
    if !more.is_empty() {
        words.push(&uid);
    }
    let output = helm(&words)?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout)?)
}

#[test]
fn the_values_of_every_kind_of_installation_are_taken_by_the_charts_and_name_what_they_make() {
    let secret = [("database.kind", "secret"), ("database.secret", "company-database"), ("replicas", "5")];
    let acting = [("acting.actions", ACTIONS.join(",")), ("acting.namespaces", "shop,web".to_owned())];
    let acting: Vec<(&str, &str)> = acting.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let certificate =
        [("tls.kind", "cert-manager"), ("tls.issuer", "company"), ("tls.issuer_kind", "ClusterIssuer")];
    let brought = [("tls.kind", "secret"), ("tls.secret", "company-tls")];
    let class = [("database.storage_class", "fast"), ("database.size", "50Gi"), ("tag", "0.1.0-rc.1")];
    let longest = [("name", "a-name-of-24-characters1"), ("agents.namespace", "nimbus")];
    let installations: [&[&[(&str, &str)]]; 7] = [
        &[&[SQLITE]],
        &[&[SQLITE], &class, &acting],
        &[&[SQLITE], &longest, &[("operators.service", "node-port"), ("agents.service", "node-port")]],
        &[&secret, &acting],
        &[&secret, &OUTSIDE, &certificate],
        &[&secret, &OUTSIDE, &brought, &[("acting.actions", "uncordon_node")]],
        &[&NETWORK, CLOUDS[0], &OUTSIDE, &[ZONE]],
    ];
    for installation in installations {
        let (answers, plan) = planned(installation).unwrap();
        let of = format!("{installation:?}");
        let control_plane = rendered(&plan, "control-plane", &answers.namespace, &[]).expect(&of);
        let set = only(&control_plane, "StatefulSet", "").unwrap();
        assert_eq!(set["metadata"]["name"], answers.control_plane(), "{of}");
        assert_eq!(set["spec"]["replicas"], answers.replicas, "{of}");
        let pod = set["spec"]["template"]["spec"].to_string();
        assert!(pod.contains(&answers.keys_secret()), "{of}");
        assert!(answers.database_secret().is_none_or(|name| pod.contains(&name)), "{of}");

        let uid: &[&str] = if answers.acting.actions.is_empty() { &[] } else { &["--set-file"] };
        let agents = rendered(&plan, "agent", &answers.agents_namespace, uid).expect(&of);
        let daemons = only(&agents, "DaemonSet", "").unwrap();
        assert_eq!(daemons["metadata"]["name"], answers.agent(), "{of}");
        let pod = daemons["spec"]["template"]["spec"].to_string();
        assert!(pod.contains(&answers.join_secret()), "{of}");
        let service = only(&control_plane, "Service", "-agents").unwrap();
        let port = &service["spec"]["ports"][0]["port"];
        let address =
            format!("{}.{}.svc:{port}", service["metadata"]["name"].as_str().unwrap(), answers.namespace);
        assert!(pod.contains(&address), "{of}: the agents dial {address}");
        let told = answers.agents.name.as_ref().map_or(address, |name| format!("{name}:7071"));
        assert!(
            set["spec"]["template"]["spec"].to_string().contains(&told),
            "{of}: agents elsewhere are told {told}"
        );
    }
}

#[test]
fn the_manifests_of_namespaces_are_what_kubernetes_reads() {
    let (_, plan) = planned(&[&[SQLITE]]).unwrap();
    let read = documents(text(&plan, "namespace-nimbus-system.yaml").unwrap()).unwrap();
    assert_eq!(read[0]["metadata"]["name"], "nimbus-system");
    assert_eq!(read[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
}

/// What the providers say of a resource or a data source: `{required, optional, computed, blocks}`.
fn schemas() -> anyhow::Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for provider in ["aws", "azurerm", "google", "random"] {
        let path = repository()?.join("tests/terraform").join(format!("{provider}.json"));
        let file: Value = serde_json::from_slice(&std::fs::read(path)?)?;
        let of = file["of"].as_object().context("of")?;
        all.extend(of.iter().map(|(name, schema)| (name.clone(), schema.clone())));
    }
    Ok(all)
}

fn words(schema: &Value, list: &str) -> BTreeSet<String> {
    let words = schema[list].as_array().into_iter().flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// What of a block its provider does not know, and what it lacks.
fn compare(body: &Body, schema: &Value, at: &str, is_top: bool, wrong: &mut Vec<String>) {
    const OF_TERRAFORM: [&str; 3] = ["count", "depends_on", "lifecycle"];
    let (required, optional) = (words(schema, "required"), words(schema, "optional"));
    let mut given = BTreeSet::new();
    for attribute in body.attributes() {
        let key = attribute.key();
        given.insert(key.to_owned());
        let is_known =
            required.contains(key) || optional.contains(key) || is_top && OF_TERRAFORM.contains(&key);
        if !is_known {
            wrong.push(format!("{at}: no attribute {key}"));
        }
    }
    for block in body.blocks() {
        let name = block.identifier();
        given.insert(name.to_owned());
        match schema["blocks"].get(name) {
            Some(inner) => compare(block.body(), inner, &format!("{at}.{name}"), false, wrong),
            None if is_top && OF_TERRAFORM.contains(&name) => {}
            None => wrong.push(format!("{at}: no block {name}")),
        }
    }
    let blocks = schema["blocks"].as_object().into_iter().flatten();
    let needed = blocks.filter(|(_, inner)| inner["is_required"] == true).map(|(name, _)| name.clone());
    for name in required.into_iter().chain(needed).filter(|name| !given.contains(name)) {
        wrong.push(format!("{at}: {name} is required"));
    }
}

/// The files of one plan as one module.
fn module(plan: &Plan) -> anyhow::Result<(Vec<Block>, String)> {
    let (mut blocks, mut all) = (Vec::new(), String::new());
    for file in plan.files.iter().filter(|file| is_code(file)) {
        let body = hcl::parse(&file.text).with_context(|| file.path.clone())?;
        anyhow::ensure!(body.attributes().count() == 0, "{}: an attribute outside a block", file.path);
        blocks.extend(body.blocks().cloned());
        // Of what only describes, no reference is meant.
        let code = file.text.lines().map(|line| line.split('#').next().unwrap_or_default());
        all.extend(code.flat_map(|line| [line, "\n"]));
    }
    Ok((blocks, all))
}

/// Whether a file is Terraform's code; its values are none.
fn is_code(file: &File) -> bool {
    Path::new(&file.path).extension().is_some_and(|extension| extension == "tf")
}

/// The references `a.b.c` of a module, each as its parts.
fn references(text: &str) -> Vec<Vec<&str>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let paths = text.split(|c: char| !is_part(c)).filter(|path| path.contains('.'));
    paths.map(|path| path.split('.').collect()).collect()
}

/// Every resource, attribute, variable and reference of a module is known; every variable has a value.
fn check(
    plan: &Plan,
    schemas: &BTreeMap<String, Value>,
    seen: &mut BTreeSet<String>,
) -> anyhow::Result<Vec<String>> {
    let (blocks, text) = module(plan)?;
    let values: Value = serde_json::from_str(self::text(plan, "terraform/terraform.tfvars.json")?)?;
    let label = |block: &Block, at: usize| block.labels().get(at).map(|label| label.as_str().to_owned());
    let (mut wrong, mut variables, mut made) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for block in &blocks {
        let kind = block.identifier();
        let first = label(block, 0).unwrap_or_default();
        match kind {
            "resource" | "data" => {
                let name = format!("{kind} {first}");
                let schema = schemas.get(&name).with_context(|| format!("no schema of {name}"))?;
                compare(block.body(), schema, &name, true, &mut wrong);
                seen.insert(name);
                let second = label(block, 1).context("a name")?;
                anyhow::ensure!(made.insert((first, second), schema).is_none(), "made twice");
            }
            "variable" => {
                let has_default = block.body().attributes().any(|attribute| attribute.key() == "default");
                if !has_default && values[&first].is_null() {
                    wrong.push(format!("the variable {first} has no value"));
                }
                variables.insert(first);
            }
            "terraform" | "provider" | "output" => {}
            other => wrong.push(format!("a block {other}")),
        }
    }
    let unknown = values.as_object().context("values")?.keys().filter(|name| !variables.contains(*name));
    wrong.extend(unknown.map(|name| format!("a value for {name}, which is no variable")));
    for path in references(&text) {
        let path = if path[0] == "data" { &path[1..] } else { &path[..] };
        match path {
            ["var", name, ..] if !variables.contains(*name) => wrong.push(format!("no variable {name}")),
            [kind, name, rest @ ..]
                if ["aws_", "azurerm_", "google_", "random_"].iter().any(|it| kind.starts_with(it)) =>
            {
                let Some(schema) = made.get(&((*kind).to_owned(), (*name).to_owned())) else {
                    wrong.push(format!("no {kind}.{name}"));
                    continue;
                };
                let known = ["required", "optional", "computed"].map(|list| words(schema, list)).concat_all();
                if rest.first().is_some_and(|attribute| !attribute.is_empty() && !known.contains(*attribute))
                {
                    wrong.push(format!("{kind}.{name} has no {rest:?}"));
                }
            }
            _ => {}
        }
    }
    Ok(wrong)
}

/// Several sets as one.
trait ConcatAll {
    fn concat_all(self) -> BTreeSet<String>;
}

impl ConcatAll for [BTreeSet<String>; 3] {
    fn concat_all(self) -> BTreeSet<String> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn the_terraform_of_every_cloud_is_what_the_providers_know_whatever_of_it_is_wanted() {
    let (schemas, mut seen, mut modules) = (schemas().unwrap(), BTreeSet::new(), 0);
    for cloud in CLOUDS {
        for database in [&NETWORK[..], &[SQLITE]] {
            for backups in ["yes", "no"] {
                for dns in [&[OUTSIDE.as_slice(), &[ZONE]].concat()[..], &[]] {
                    let backups = [("cloud.backups", backups)];
                    let database = of_cloud(database, cloud);
                    let (_, plan) = planned(&[&database, cloud, &backups, dns]).unwrap();
                    if !plan.files.iter().any(is_code) {
                        continue;
                    }
                    let wrong = check(&plan, &schemas, &mut seen).unwrap();
                    assert_eq!(wrong, Vec::<String>::new(), "{cloud:?} {database:?} {backups:?} {dns:?}");
                    modules += 1;
                }
            }
        }
    }
    assert_eq!(modules, 21, "three of the 24 make nothing");
    let known: BTreeSet<String> = schemas.into_keys().collect();
    assert_eq!(seen, known, "every schema that is kept is one that is used");
}

/// The comparison itself finds what `tofu validate` would.
#[test]
fn a_mistake_in_the_terraform_is_found() {
    let schemas = schemas().unwrap();
    let (_, plan) = planned(&[&NETWORK, CLOUDS[0]]).unwrap();
    for (good, bad, said) in [
        ("instance_class  ", "instance_klass  ", "no attribute instance_klass"),
        ("instance_class            = \"db.t4g.medium\"\n", "", "instance_class is required"),
        ("aws_db_instance.database.endpoint", "aws_db_instance.database.end", "has no [\"end\"]"),
        ("aws_db_instance.database.endpoint", "aws_db_instance.other.endpoint", "no aws_db_instance.other"),
        ("var.deletion_protection", "var.protection", "no variable protection"),
    ] {
        let mut broken = plan.clone();
        let file = broken.files.iter_mut().find(|file| file.path == "terraform/database.tf").unwrap();
        assert!(file.text.contains(good), "{good}");
        file.text = file.text.replace(good, bad);
        let wrong = check(&broken, &schemas, &mut BTreeSet::new()).unwrap();
        assert!(wrong.iter().any(|one| one.contains(said)), "{said}: {wrong:?}");
    }
}

/// A secret is never in a text: the database's password is made by Terraform itself.
#[test]
fn no_password_is_written_and_outputs_that_hold_one_are_sensitive() {
    for cloud in CLOUDS {
        let (_, plan) = planned(&[&of_cloud(&NETWORK, cloud), cloud]).unwrap();
        let (blocks, _) = module(&plan).unwrap();
        let url = blocks.iter().find(|block| {
            block.identifier() == "output"
                && block.labels().first().is_some_and(|label| label.as_str() == "database_url")
        });
        let url = url.expect("an output with the address").body();
        let sensitive = url.attributes().find(|attribute| attribute.key() == "sensitive").unwrap();
        assert_eq!(sensitive.expr(), &hcl::Expression::Bool(true));
        for file in plan.files.iter().filter(|file| is_code(file)) {
            for line in file.text.lines().filter(|line| line.trim_start().starts_with("password")) {
                assert!(line.contains("random_password"), "{line}");
            }
        }
    }
}

/// What was made by one life of an installation is not in the way of the end of it, nor of the next life.
#[test]
fn an_undo_with_data_can_come_to_an_end() {
    for cloud in [CLOUDS[0], CLOUDS[1]] {
        let (_, plan) = planned(&[&of_cloud(&NETWORK, cloud), cloud]).unwrap();
        let storage = text(&plan, "terraform/storage.tf").unwrap();
        assert!(
            storage
                .lines()
                .any(|line| line.contains("force_destroy") && line.contains("!var.deletion_protection"))
        );
        let database = text(&plan, "terraform/database.tf").unwrap();
        assert!(database.contains("-${random_id.database.hex}\""), "a name that was used is taken for long");
        // The bucket alone has the variable too, and the undo sets it before it destroys.
        let (_, bucket) = planned(&[&[SQLITE], cloud]).unwrap();
        assert!(text(&bucket, "terraform/variables.tf").unwrap().contains("\"deletion_protection\""));
        let step = bucket.steps.iter().find(|step| step.id == "infrastructure").unwrap();
        assert!(format!("{:?}", step.undo).contains("deletion_protection=false"));
    }
}
