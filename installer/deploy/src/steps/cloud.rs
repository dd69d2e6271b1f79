//! The steps around the cluster: Terraform, and the DNS records of the load balancers.

use std::collections::BTreeMap;

use super::Making;
use crate::answers::{Answers, Cloud, Database, Provider};
use crate::operation::Operation;
use crate::step::{Foreign, Kind, Outdated, Probe, Retry, Step, Undo};
use crate::terraform;

impl Making<'_> {
    /// Everything but the records, whose targets are not known yet.
    pub(super) fn infrastructure(&self) -> Option<Step> {
        let cloud = self.answers.cloud.as_ref()?;
        if !terraform::makes_anything(self.answers, cloud) {
            return None;
        }
        let init = self.tofu(&["init", "-input=false"]);
        let mut undo = Vec::new();
        if protects(self.answers.database_is_made(), cloud) {
            // It lifts the database's protection and lets a bucket go with what is in it; both have to be applied before.
            let open = ["apply", "-input=false", "-auto-approve", "-var=deletion_protection=false"];
            undo.push(Operation::Run(self.tofu(&open)));
        }
        undo.push(Operation::Run(self.tofu(&["destroy", "-input=false", "-auto-approve"])));
        Some(Step {
            id: "infrastructure".to_owned(),
            title: "The infrastructure around the cluster".to_owned(),
            why: "It makes things that cost money; `plan` in the directory terraform shows which. A database takes a quarter of an hour. The state is in that directory and holds the database's password: keep it, or name a backend of yours in a file backend.tf there.".to_owned(),
            kind: Kind::Make {
                probe: Probe::Nothing,
                foreign: Foreign::Take,
                retry: Retry::After { new: Vec::new(), change: Vec::new() },
                is_made_once: false,
                lasts: None,
                copied: None,
                outdated: Outdated::Renew,
            },
            operations: vec![Operation::Run(init), Operation::Apply(self.terraform())],
            undo: Undo::Data {
                what: "everything that Terraform made, the database and the backups too".to_owned(),
                operations: undo,
            },
            uses: self.used(|file| file.starts_with("terraform/")),
            place: place(self.answers, cloud),
        })
    }

    /// The records, once the load balancers have addresses.
    pub(super) fn records(&self) -> Option<Step> {
        let cloud = self.answers.cloud.as_ref()?;
        cloud.dns_zone.as_ref()?;
        let mut operations = Vec::new();
        let name = self.answers.control_plane();
        for (entrance, service, target) in [
            (&self.answers.operators, name.clone(), "operators"),
            (&self.answers.agents, format!("{name}-agents"), "agents"),
        ] {
            if terraform::record(entrance).is_none() {
                continue;
            }
            let (service, ingress) = (format!("service/{service}"), "{.status.loadBalancer.ingress[0]");
            operations.push(Operation::Run(self.in_own(&[
                "wait",
                "--for=jsonpath={.status.loadBalancer.ingress}",
                &service,
                "--timeout=10m",
            ])));
            let template = format!(
                "-o=jsonpath={{\"{{\"}}\"{target}_target\":\"{ingress}.ip}}{ingress}.hostname}}\"{{\"}}\"}}"
            );
            operations.push(Operation::Keep {
                command: self.in_own(&["get", &service, &template]),
                file: format!("terraform/{target}.auto.tfvars.json"),
            });
        }
        if operations.is_empty() {
            return None;
        }
        operations.push(Operation::Apply(self.terraform()));
        Some(Step {
            id: "records".to_owned(),
            title: "The DNS records of the load balancers".to_owned(),
            why: "Their addresses are known only now; they become values of Terraform's variables."
                .to_owned(),
            kind: Kind::Make {
                probe: Probe::Nothing,
                foreign: Foreign::Take,
                retry: Retry::After { new: Vec::new(), change: Vec::new() },
                is_made_once: false,
                lasts: None,
                copied: None,
                outdated: Outdated::Renew,
            },
            operations,
            undo: Undo::Run(vec![
                Operation::Remove("terraform/operators.auto.tfvars.json".to_owned()),
                Operation::Remove("terraform/agents.auto.tfvars.json".to_owned()),
                Operation::Apply(self.terraform()),
            ]),
            uses: Vec::new(),
            place: BTreeMap::new(),
        })
    }
}

/// Whether something is made that refuses to be deleted: a database, or a bucket with backups in it.
fn protects(makes_database: bool, cloud: &Cloud) -> bool {
    match cloud.provider {
        Provider::Aws | Provider::Gcp { .. } => makes_database || cloud.backups,
        Provider::Azure { .. } => false,
    }
}

/// Where everything is. With another of these, what Terraform made would be destroyed and made anew in another place, the
/// database with everything in it.
fn place(answers: &Answers, cloud: &Cloud) -> BTreeMap<String, String> {
    let mut place = BTreeMap::new();
    let mut put = |key: &str, value: &str| drop(place.insert(key.to_owned(), value.to_owned()));
    put("cloud.region", &cloud.region);
    match &cloud.provider {
        Provider::Aws => put("cloud.kind", "aws"),
        Provider::Gcp { project } => {
            put("cloud.kind", "gcp");
            put("cloud.project", project);
        }
        Provider::Azure { resource_group } => {
            put("cloud.kind", "azure");
            put("cloud.resource_group", resource_group);
        }
    }
    match &answers.database {
        Database::Terraform(network) => {
            put("cloud.network", &network.network);
            put("cloud.cidr", &network.cidr);
        }
        Database::Sqlite { .. } | Database::Secret(_) => {}
    }
    place
}

impl Answers {
    /// Whether Terraform makes the database.
    pub fn database_is_made(&self) -> bool {
        match self.database {
            Database::Terraform(_) => true,
            Database::Sqlite { .. } | Database::Secret(_) => false,
        }
    }
}
