//! `nimbus enterprise deploy` on a real node: the plan is carried out from the release's images and charts, heals a pod, is carried out
//! once more, which does nothing, and is undone.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::backup::text;
use super::site::{SHOP, Site};
use super::story::{Clock, LIMIT, heal, quick, the_cluster_is_watched, the_operator_is_answered};
use crate::site::cluster_uid;
use crate::wait::{Seen, wait_for};

/// What the installation is called.
const NAME: &str = "prod";
/// Where its control planes are; there before, with the Secret of the database.
const NAMESPACE: &str = "deployed";
/// Where its agents are; made by it.
const AGENTS: &str = "deployed-agents";

/// Installs, uses and removes it.
pub async fn tell(site: &Site) -> anyhow::Result<()> {
    let directory = site.home().join(NAME);
    site.restricted_namespace(NAMESPACE).await?;
    let url = format!("--from-literal=url={}", site.make_database(NAMESPACE)?);
    site.kubectl_in(NAMESPACE, &["create", "secret", "generic", "company", &url]).await?;
    let clock = Clock::start(site);
    let done = apply(site, &directory).await?;
    clock.say("nimbus enterprise deploy --apply, from nothing to a watched cluster");
    let made = states(&done)?.iter().filter(|state| *state == "made").count();
    anyhow::ensure!(made >= 6 && !states(&done)?.contains(&"already".to_owned()), "{done}");

    let service = format!("{NAME}-control-plane");
    site.know_control_plane((NAMESPACE, &service), &directory.join("keys")).await?;
    the_operator_is_answered(site).await?;
    let cluster = the_cluster_is_watched(site, &cluster_uid(&site.cluster).await?).await?;
    site.nimbus(&["autonomous", "enable", "--cluster", &cluster, "--mode", "act"]).await?;
    heal(
        site,
        "deployed",
        "from a crash to the pod that replaced it, where nimbus enterprise deploy installed",
    )
    .await?;

    let again = apply(site, &directory).await.context("the second time")?;
    let is_new = |state: &String| !["already", "checked", "found"].contains(&state.as_str());
    let was_there = states(&again)?.iter().filter(|state| *state == "already").count();
    anyhow::ensure!(was_there >= made, "expected all {made} to be there already: {again}");
    anyhow::ensure!(!states(&again)?.iter().any(is_new), "nothing was to be done: {again}");

    let clock = Clock::start(site);
    let words = ["--out", &text(&directory), "--undo", "--with-data"];
    site.deploy(&words).await?;
    clock.say("nimbus enterprise deploy --undo --with-data");
    wait_for("everything to be gone", LIMIT, || async {
        let left = site.kubectl_in(NAMESPACE, &["get", "pods,statefulsets,secrets", "-o", "name"]).await?;
        let namespaces = site.kubectl_in(NAMESPACE, &["get", "namespaces", "-o", "name"]).await?;
        let is_gone = left.trim() == "secret/company" && !namespaces.contains(AGENTS);
        Ok(Seen::when(is_gone.then_some(()), format!("{left}{namespaces}")))
    })
    .await
}

async fn apply(site: &Site, directory: &Path) -> anyhow::Result<Value> {
    let values = site.home().join("more.yaml");
    std::fs::write(&values, json!({"config": quick()}).to_string())?;
    let answers = [
        format!("name={NAME}"),
        format!("namespace={NAMESPACE}"),
        format!("agents.namespace={AGENTS}"),
        format!("registry={}", site.registry()),
        format!("tag={}", super::site::TAG),
        format!("charts={}", site.charts()?.display()),
        "database.kind=secret".to_owned(),
        "database.secret=company".to_owned(),
        "acting.actions=restart_pod".to_owned(),
        format!("acting.namespaces={SHOP}"),
        // Waits of a test, as the other installation has them.
        format!("extra.control_plane_values={}", text(&values)),
    ];
    let directory = text(directory);
    let mut words = vec!["--out", &directory, "--apply"];
    for answer in &answers {
        words.extend(["--answer", answer]);
    }
    site.deploy(&words).await
}

/// What became of each step.
fn states(done: &Value) -> anyhow::Result<Vec<String>> {
    let steps = done["steps"].as_array().with_context(|| format!("steps in {done}"))?;
    Ok(steps.iter().map(|step| step["state"].as_str().unwrap_or_default().to_owned()).collect())
}
