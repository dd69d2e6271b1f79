//! Every answer that there is: its key, what is asked for it, and what holds without it.

use super::Draft;

/// What an answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
    /// Several texts; on a command line with commas between them.
    List,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// What holds where nothing is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// The answer has to be given.
    Needed,
    /// This, written as on a command line; empty is nothing.
    This(&'static str),
}

/// One answer.
#[derive(Debug)]
pub struct Key {
    /// Where it stands in the file: `database.kind`.
    pub path: &'static str,
    /// What it looks like.
    pub form: Form,
    /// What is asked for it; it also says what it means.
    pub question: &'static str,
    /// What holds without it.
    pub without: Without,
    /// Whether it matters beside the other answers.
    pub matters: fn(&Draft) -> bool,
    /// Whether a person is asked; others are for the file.
    pub is_asked: bool,
}

const fn key(path: &'static str, form: Form, question: &'static str, without: Without) -> Key {
    Key { path, form, question, without, matters: |_| true, is_asked: true }
}

const fn only(mut key: Key, matters: fn(&Draft) -> bool) -> Key {
    key.matters = matters;
    key
}

const fn unasked(mut key: Key) -> Key {
    key.is_asked = false;
    key
}

use Form::{List, Number, Switch, Text, Word};
use Without::{Needed, This};

/// Where PostgreSQL is, or that there is none.
pub const DATABASES: &[&str] = &["sqlite", "secret", "terraform"];
/// How a Service is reached.
pub const SERVICES: &[&str] = &["cluster-ip", "node-port", "load-balancer"];
/// Whose certificate operators see.
pub const CERTIFICATES: &[&str] = &["own", "secret", "cert-manager"];
/// Whose infrastructure is around the cluster.
pub const CLOUDS: &[&str] = &["none", "aws", "gcp", "azure"];
/// What applies the Terraform.
pub const TOOLS: &[&str] = &["tofu", "terraform"];
/// The actions that need nothing but the names of namespaces; those on files of nodes need values of the chart.
pub const ACTIONS: &[&str] = &[
    "restart_pod",
    "rollback_deployment",
    "raise_memory_limit",
    "expand_volume",
    "raise_autoscaler_maximum",
    "scale_workload",
    "renew_certificate",
    "uncordon_node",
];

/// All of them, in the order in which they are asked.
pub const KEYS: &[Key] = &[
    key("name", Text, "What the installation is called; every name begins with it", This("nimbus")),
    key("kube_context", Text, "The context of the kubeconfig; empty: its current one", This("")),
    key("namespace", Text, "The namespace of the control plane", This("nimbus")),
    key(
        "registry",
        Text,
        "The registry that holds the release's images, as registry.example.internal",
        Needed,
    ),
    unasked(key("tag", Text, "The images' tag; empty: the charts' own", This(""))),
    key("charts", Text, "The directory with the release's charts", This("release/charts")),
    key(
        "database.kind",
        Word(DATABASES),
        "The database: SQLite on a volume, PostgreSQL 14 or newer of yours by a Secret, or made by Terraform",
        Needed,
    ),
    only(
        key("database.secret", Text, "The Secret whose key `url` is the database's address", Needed),
        |it| it.says("database.kind", "secret"),
    ),
    only(
        key(
            "database.storage_class",
            Text,
            "The storage class of the volume; empty: the cluster's default",
            This(""),
        ),
        |it| it.says("database.kind", "sqlite"),
    ),
    only(unasked(key("database.size", Text, "The size of the volume", This("10Gi"))), |it| {
        it.says("database.kind", "sqlite")
    }),
    only(
        key("replicas", Number, "Control planes, 1 to 5; one leads, the others stand by", This("2")),
        |it| !it.says("database.kind", "sqlite"),
    ),
    key("operators.service", Word(SERVICES), "How operators reach the control plane", This("cluster-ip")),
    key("operators.name", Text, "The DNS name by which operators call it; empty: none", This("")),
    key(
        "agents.service",
        Word(SERVICES),
        "How agents of other clusters and hosts reach it (UDP, else TCP)",
        This("cluster-ip"),
    ),
    key("agents.name", Text, "The DNS name by which those agents call it; empty: none", This("")),
    key("agents.namespace", Text, "The namespace of this cluster's agents", This("nimbus-system")),
    key(
        "tls.kind",
        Word(CERTIFICATES),
        "The certificate that operators see: of the control plane's own CA, of a Secret, of cert-manager",
        This("own"),
    ),
    only(key("tls.secret", Text, "The Secret of type kubernetes.io/tls", Needed), |it| {
        it.says("tls.kind", "secret")
    }),
    only(key("tls.issuer", Text, "The issuer of cert-manager", Needed), |it| {
        it.says("tls.kind", "cert-manager")
    }),
    only(
        unasked(key(
            "tls.issuer_kind",
            Word(&["Issuer", "ClusterIssuer"]),
            "The issuer's kind",
            This("Issuer"),
        )),
        |it| it.says("tls.kind", "cert-manager"),
    ),
    key(
        "acting.actions",
        List,
        "What the agents may do (restart_pod, rollback_deployment, raise_memory_limit, expand_volume, raise_autoscaler_maximum, scale_workload, renew_certificate, uncordon_node); empty: nothing",
        This(""),
    ),
    only(key("acting.namespaces", List, "The namespaces where they may do it", This("")), |it| {
        it.has("acting.actions")
    }),
    key(
        "cloud.kind",
        Word(CLOUDS),
        "The cloud around the cluster, for which Terraform is written",
        This("none"),
    ),
    only(key("cloud.region", Text, "The region of the cluster", Needed), Draft::has_cloud),
    only(key("cloud.project", Text, "The project of the cluster", Needed), |it| it.says("cloud.kind", "gcp")),
    only(key("cloud.resource_group", Text, "The resource group of the cluster's network", Needed), |it| {
        it.says("cloud.kind", "azure")
    }),
    only(
        key(
            "cloud.network",
            Text,
            "The network of the cluster's nodes: the VPC's id (AWS), the network's name (GCP, Azure)",
            Needed,
        ),
        Draft::makes_database,
    ),
    only(
        key("cloud.cidr", Text, "A free range of that network for the database", Needed),
        Draft::makes_database,
    ),
    only(key("cloud.clients", Text, "The range from which the cluster's pods come", Needed), |it| {
        it.makes_database() && !it.says("cloud.kind", "gcp")
    }),
    only(
        key("cloud.dns_zone", Text, "The DNS zone for the names above; empty: no records", This("")),
        Draft::has_cloud,
    ),
    only(key("cloud.backups", Switch, "Make a bucket for backups", This("true")), Draft::has_cloud),
    only(
        unasked(key("cloud.tool", Word(TOOLS), "The program that applies the Terraform", This("tofu"))),
        Draft::has_cloud,
    ),
    unasked(key(
        "extra.control_plane_values",
        Text,
        "A further values file of yours for the control plane's chart",
        This(""),
    )),
    unasked(key(
        "extra.agent_values",
        Text,
        "A further values file of yours for the agents' chart",
        This(""),
    )),
];

/// The key of this path.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The answers by which it is decided whether the one of this path matters.
pub fn decided_by(path: &str) -> &'static str {
    match path.split_once('.') {
        Some(("database", _)) => "database.kind",
        Some(("tls", _)) => "tls.kind",
        Some(("acting", _)) => "acting.actions",
        Some(("cloud", "network" | "cidr" | "clients")) => "database.kind and cloud.kind",
        Some(("cloud", _)) => "cloud.kind",
        Some(_) | None => "the others",
    }
}
