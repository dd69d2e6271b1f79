//! The Terraform around the cluster: which files, and the values of their variables. The files are the same for everybody;
//! only the values are made. No secret is in either: the database's password is made by Terraform and is in its state.

use serde_json::{Map, Value, json};

use crate::answers::{Answers, Cloud, Database, Entrance, Provider, Reach};

/// The file with the variables' values.
pub const VALUES: &str = "terraform.tfvars.json";

/// What the first line of each file says.
const HEAD: &str = "# Written by `nimbus enterprise deploy` anew at each run: put changes into a file of your own beside it.\n";
/// The kinds of resources that may be deleted without a question: they are made again at any time.
const RECORDS: [&str; 3] = ["aws_route53_record", "azurerm_dns_a_record", "google_dns_record_set"];

/// One cloud's files.
struct Set {
    main: &'static str,
    variables: &'static str,
    network: &'static str,
    database: &'static str,
    storage: &'static str,
    dns: &'static str,
}

macro_rules! set {
    ($cloud:literal) => {
        Set {
            main: include_str!(concat!("../terraform/", $cloud, "/main.tf")),
            variables: include_str!(concat!("../terraform/", $cloud, "/variables.tf")),
            network: include_str!(concat!("../terraform/", $cloud, "/network.tf")),
            database: include_str!(concat!("../terraform/", $cloud, "/database.tf")),
            storage: include_str!(concat!("../terraform/", $cloud, "/storage.tf")),
            dns: include_str!(concat!("../terraform/", $cloud, "/dns.tf")),
        }
    };
}

const AWS: Set = set!("aws");
const GCP: Set = set!("gcp");
const AZURE: Set = set!("azure");

/// The files with their names, none without a cloud or anything to make in it.
pub fn files(answers: &Answers) -> Vec<(&'static str, String)> {
    let Some(cloud) = answers.cloud.as_ref().filter(|cloud| makes_anything(answers, cloud)) else {
        return Vec::new();
    };
    let set = match cloud.provider {
        Provider::Aws => AWS,
        Provider::Gcp { .. } => GCP,
        Provider::Azure { .. } => AZURE,
    };
    let mut files = vec![("main.tf", set.main.to_owned()), ("variables.tf", set.variables.to_owned())];
    if let Database::Terraform(_) = answers.database {
        files.push(("network.tf", set.network.to_owned()));
        files.push(("database.tf", set.database.to_owned()));
    }
    if cloud.backups {
        files.push(("storage.tf", set.storage.to_owned()));
    }
    if cloud.dns_zone.is_some() {
        files.push(("dns.tf", set.dns.to_owned()));
    }
    for (_, text) in &mut files {
        text.insert_str(0, HEAD);
    }
    // A document of plain values always has a text.
    let values = serde_json::to_string_pretty(&values(answers, cloud)).unwrap_or_default();
    files.push((VALUES, values + "\n"));
    files
}

/// Whether Terraform has anything to do.
pub fn makes_anything(answers: &Answers, cloud: &Cloud) -> bool {
    matches!(answers.database, Database::Terraform(_)) || cloud.backups || cloud.dns_zone.is_some()
}

/// The name of a load balancer that gets a record.
pub fn record(entrance: &Entrance) -> Option<&str> {
    match entrance.reach {
        Reach::LoadBalancer => entrance.name.as_deref(),
        Reach::ClusterIp | Reach::NodePort => None,
    }
}

fn values(answers: &Answers, cloud: &Cloud) -> Value {
    let mut values = Map::new();
    let mut put = |name: &str, value: &str| drop(values.insert(name.to_owned(), json!(value)));
    put("name", &answers.name);
    put("region", &cloud.region);
    match &cloud.provider {
        Provider::Aws => {}
        Provider::Gcp { project } => put("project", project),
        Provider::Azure { resource_group } => put("resource_group", resource_group),
    }
    if let Database::Terraform(network) = &answers.database {
        put("network", &network.network);
        put("cidr", &network.cidr);
        if let Some(clients) = &network.clients {
            put("clients", clients);
        }
    }
    if let Some(zone) = &cloud.dns_zone {
        put("dns_zone", zone);
        put("operators_name", record(&answers.operators).unwrap_or_default());
        put("agents_name", record(&answers.agents).unwrap_or_default());
    }
    Value::Object(values)
}

/// What a plan of Terraform deletes or replaces that cannot be made again: the addresses of the resources. `document` is what
/// `show -json` prints of the plan.
///
/// # Errors
/// Why the document cannot be understood; then nothing is known, and the plan is not to be applied.
pub fn losses(document: &[u8]) -> Result<Vec<String>, String> {
    let document: Value = serde_json::from_slice(document).map_err(|error| error.to_string())?;
    if !document["format_version"].is_string() {
        return Err("a document without format_version".to_owned());
    }
    let changes = match &document["resource_changes"] {
        Value::Null => return Ok(Vec::new()),
        Value::Array(changes) => changes,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            return Err("resource_changes, which is no list".to_owned());
        }
    };
    let mut lost = Vec::new();
    for change in changes {
        let actions = change["change"]["actions"].as_array().ok_or("a change without actions")?;
        let is_deleted = actions.iter().any(|action| action == "delete");
        let is_record = RECORDS.iter().any(|kind| change["type"] == *kind);
        if is_deleted && !is_record {
            lost.push(change["address"].as_str().unwrap_or("a resource without an address").to_owned());
        }
    }
    Ok(lost)
}
