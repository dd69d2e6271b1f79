//! Plans for several answers, and going through them with hands that only remember.

mod drafts;
mod drive;
mod marks;
mod places;
mod plans;
mod world;

use crate::draft::Draft;
use crate::plan::{Charts, Plan, plan};
use crate::read::read;

/// Where the charts would be.
fn charts() -> Charts {
    Charts {
        control_plane: "/release/charts/nimbus-control-plane".into(),
        agent: "/release/charts/nimbus-agent".into(),
    }
}

/// A draft of these answers.
fn draft(answers: &[(&str, &str)]) -> Draft {
    let mut draft = Draft::default();
    for (key, value) in answers {
        draft.set(key, value).unwrap();
    }
    draft
}

/// The plan of these answers.
pub(crate) fn planned(answers: &[(&str, &str)]) -> Plan {
    let draft = draft(answers);
    plan(&read(&draft).unwrap(), &charts(), &draft.file(), &[]).unwrap()
}

/// The least that has to be answered.
pub(crate) const SMALL: &[(&str, &str)] =
    &[("registry", "registry.example.internal"), ("database.kind", "sqlite")];

/// Much of what can be answered.
pub(crate) const LARGE: &[(&str, &str)] = &[
    ("name", "prod"),
    ("kube_context", "prod-eks"),
    ("registry", "registry.example.internal/nimbus"),
    ("database.kind", "terraform"),
    ("replicas", "3"),
    ("operators.service", "load-balancer"),
    ("operators.name", "nimbus.ops.example.com"),
    ("agents.service", "load-balancer"),
    ("agents.name", "agents.ops.example.com"),
    ("tls.kind", "cert-manager"),
    ("tls.issuer", "company"),
    ("acting.actions", "restart_pod,rollback_deployment"),
    ("acting.namespaces", "shop,web"),
    ("cloud.kind", "aws"),
    ("cloud.region", "eu-central-1"),
    ("cloud.network", "vpc-0123456789abcdef0"),
    ("cloud.cidr", "10.20.0.0/26"),
    ("cloud.clients", "10.20.64.0/18"),
    ("cloud.dns_zone", "ops.example.com"),
];
