//! The answers that the installations of these tests are made from, and the plans that they lead to.

use anyhow::Context as _;
use nimbus_deploy::answers::Answers;
use nimbus_deploy::draft::Draft;
use nimbus_deploy::plan::{Charts, Plan, plan};
use nimbus_deploy::read::read;

pub const REGISTRY: (&str, &str) = ("registry", "registry.example.internal");
pub const SQLITE: (&str, &str) = ("database.kind", "sqlite");
pub const OUTSIDE: [(&str, &str); 4] = [
    ("operators.service", "load-balancer"),
    ("operators.name", "nimbus.ops.example.com"),
    ("agents.service", "load-balancer"),
    ("agents.name", "agents.ops.example.com"),
];
pub const NETWORK: [(&str, &str); 4] = [
    ("database.kind", "terraform"),
    ("cloud.network", "shared"),
    ("cloud.cidr", "10.20.0.0/24"),
    ("cloud.clients", "10.30.0.0/16"),
];
pub const ZONE: (&str, &str) = ("cloud.dns_zone", "ops.example.com");
pub const CLOUDS: [&[(&str, &str)]; 3] = [
    &[("cloud.kind", "aws"), ("cloud.region", "eu-central-1")],
    &[("cloud.kind", "gcp"), ("cloud.region", "europe-west3"), ("cloud.project", "ops")],
    &[("cloud.kind", "azure"), ("cloud.region", "westeurope"), ("cloud.resource_group", "ops")],
];

/// The answers about a database that this cloud asks for: on Google Cloud the peering decides who may connect.
pub fn of_cloud<'a>(database: &[(&'a str, &'a str)], cloud: &[(&str, &str)]) -> Vec<(&'a str, &'a str)> {
    let is_open = cloud.contains(&("cloud.kind", "gcp"));
    database.iter().copied().filter(|(key, _)| !is_open || *key != "cloud.clients").collect()
}

pub fn planned(answers: &[&[(&str, &str)]]) -> anyhow::Result<(Answers, Plan)> {
    let mut draft = Draft::default();
    for (key, value) in std::iter::once(&REGISTRY).chain(answers.iter().copied().flatten()) {
        draft.set(key, value)?;
    }
    let answers = read(&draft).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
    let charts = Charts { control_plane: "charts/a".into(), agent: "charts/b".into() };
    let made = plan(&answers, &charts, &draft.file(), &[]).map_err(anyhow::Error::msg)?;
    Ok((answers, made))
}

pub fn text<'a>(plan: &'a Plan, path: &str) -> anyhow::Result<&'a str> {
    let file = plan.files.iter().find(|file| file.path == path);
    Ok(&file.with_context(|| format!("no {path}"))?.text)
}
