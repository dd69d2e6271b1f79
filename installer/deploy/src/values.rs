//! The values of both charts.

use serde_json::{Map, Value, json};

use crate::answers::{Answers, Certificate, Database, Provider, Reach};

/// What the first line of every file that is written says.
pub const HEAD: &str = "# Written by `nimbus enterprise deploy`. Change answers.toml and run it again; what is changed here is lost then.\n";

/// What the first line of the answers says.
pub const ANSWERS_HEAD: &str = "# The answers of this installation, for `nimbus enterprise deploy`: change them here and run it again.\n\n";

/// Of the control plane's chart.
pub fn control_plane(answers: &Answers) -> Value {
    let mut values = json!({
        "fullnameOverride": answers.control_plane(),
        "replicas": answers.replicas,
        "image": image(answers),
        "keys": {"existingSecret": answers.keys_secret()},
        "services": {
            "operators": service(answers, answers.operators.reach),
            "agents": service(answers, answers.agents.reach),
        },
    });
    if let Some(name) = &answers.operators.name {
        values["names"] = json!([name]);
    }
    if let Some(name) = &answers.agents.name {
        // What the command that is printed with a join token names: agents elsewhere know no name of a Service.
        values["services"]["advertise"] = json!(format!("{name}:7071"));
    }
    match &answers.database {
        Database::Sqlite { storage_class, size } => {
            values["persistence"] = json!({"storageClass": storage_class, "size": size});
        }
        Database::Secret(_) | Database::Terraform(_) => {
            values["database"] = json!({"existingSecret": answers.database_secret()});
        }
    }
    match &answers.certificate {
        Certificate::Own => {}
        Certificate::Secret(name) => values["tls"] = json!({"existingSecret": name}),
        Certificate::CertManager { issuer, kind } => {
            // A public issuer certifies no name of a Service, and operators call the control plane by its DNS name.
            let issuer = json!({"name": issuer, "kind": kind});
            let serves = json!({"enabled": true, "issuerRef": issuer, "serviceNames": false});
            values["tls"] = json!({"certManager": serves});
        }
    }
    if answers.replicas > 1 {
        values["podDisruptionBudget"] = json!({"enabled": true});
    }
    values
}

/// Of the agents' chart. The cluster's UID is not among them: it is asked of the cluster, and given beside them.
pub fn agent(answers: &Answers) -> Value {
    let server = format!("{}-agents.{}.svc:7071", answers.control_plane(), answers.namespace);
    let mut values = json!({
        "fullnameOverride": answers.agent(),
        "image": image(answers),
        "server": server,
        "join": {"existingSecret": answers.join_secret()},
    });
    let acting = &answers.acting;
    if !acting.actions.is_empty() {
        values["acting"] = json!({"actions": acting.actions, "namespaces": acting.namespaces});
    }
    values
}

/// A Service. Each cloud's load balancer is an internal one, with an address of the cluster's network; on AWS it has to be a
/// network load balancer, as the classic one knows no UDP.
fn service(answers: &Answers, reach: Reach) -> Value {
    let provider = answers.cloud.as_ref().map(|cloud| &cloud.provider);
    let annotations = match (reach, provider) {
        (Reach::ClusterIp | Reach::NodePort, _) | (Reach::LoadBalancer, None) => {
            return json!({"type": reach.as_str()});
        }
        (Reach::LoadBalancer, Some(Provider::Aws)) => json!({
            "service.beta.kubernetes.io/aws-load-balancer-type": "external",
            "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
            "service.beta.kubernetes.io/aws-load-balancer-scheme": "internal",
        }),
        (Reach::LoadBalancer, Some(Provider::Gcp { .. })) => {
            json!({"networking.gke.io/load-balancer-type": "Internal"})
        }
        (Reach::LoadBalancer, Some(Provider::Azure { .. })) => {
            json!({"service.beta.kubernetes.io/azure-load-balancer-internal": "true"})
        }
    };
    json!({"type": reach.as_str(), "annotations": annotations})
}

fn image(answers: &Answers) -> Value {
    let mut image = Map::new();
    image.insert("registry".to_owned(), json!(answers.registry));
    if let Some(tag) = &answers.tag {
        image.insert("tag".to_owned(), json!(tag));
    }
    Value::Object(image)
}
