//! Which files `nimbus drift fix` means, each with the plan that it shows.

use std::time::Duration;

use clap::Args;
use nimbus_api::client::{self, Client, collect};
use nimbus_api::{Drift, DriftFixRequest, DriftQuery, MAX_LIMIT};
use tokio::time::{Instant, sleep};

use crate::commands::resolve;
use crate::context::Context;
use crate::error::Failure;
use crate::output::theme::readable;
use crate::view::count;

/// How long a plan is waited for: it follows the finding within moments.
const PLAN_WAIT: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(200);

/// Which files to put back.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(false)))]
pub(super) struct Which {
    /// Ids, or the starts of them
    #[arg(group = "which", value_name = "ID")]
    ids: Vec<String>,
    /// Every file that differs now and has a plan
    #[arg(long, group = "which")]
    pub all: bool,
    /// The file of this path
    #[arg(long, group = "which", value_name = "PATH")]
    resource: Option<String>,
}

/// A file with the plan that was shown.
pub(super) struct Shown {
    /// As it was shown.
    pub drift: client::Answer<Drift>,
    digest: String,
}

impl Shown {
    /// As this version reads it.
    pub fn drift(&self) -> &Drift {
        &self.drift.typed
    }

    /// The order of exactly the plan that was shown.
    pub fn request(&self, reason: &str, dry_run: bool) -> DriftFixRequest {
        DriftFixRequest { plan_digest: self.digest.clone(), dry_run, reason: reason.to_owned() }
    }
}

/// The files with their plans, and how many have none. Of all, those that cannot be put back are named and left; one that
/// was asked for by name is an error.
pub(super) async fn with_plans(
    context: &Context,
    client: &Client,
    wanted: &[String],
    all: bool,
) -> Result<(Vec<Shown>, usize), Failure> {
    let progress = context.moving("");
    let (mut shown, mut left) = (Vec::new(), 0);
    for (at, id) in wanted.iter().enumerate() {
        progress.count(&format!("looked at {at} of {}", wanted.len()));
        match planned(client, id).await {
            Ok(one) => shown.push(one),
            Err(failure) if all => {
                left += 1;
                progress.aside(|| context.warn_of(&failure));
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok((shown, left))
}

/// The whole ids of the files that are meant.
pub(super) async fn wanted(client: &Client, args: &Which) -> Result<Vec<String>, Failure> {
    if args.all {
        let idle = |drift: &Drift| drift.state != "remediating" && drift.state != "silenced";
        return Ok(active(client).await?.into_iter().filter(idle).map(|drift| drift.id).collect());
    }
    if let Some(path) = &args.resource {
        return Ok(vec![of_path(path, &active(client).await?)?]);
    }
    let mut ids = Vec::new();
    for typed in &args.ids {
        let id = resolve::drift(client, typed).await?;
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Every file that differs now.
async fn active(client: &Client) -> Result<Vec<Drift>, Failure> {
    let page = async |after| {
        let state = Some("active".to_owned());
        client.drifts(&DriftQuery { state, cluster: None, limit: Some(MAX_LIMIT), after }).await
    };
    Ok(collect(resolve::MAX_LOOKED_AT, page).await?.items)
}

/// The one drifted file of this path.
fn of_path(path: &str, active: &[Drift]) -> Result<String, Failure> {
    let ids: Vec<&str> = active.iter().filter(|drift| drift.path == path).map(|drift| &*drift.id).collect();
    match ids[..] {
        [one] => Ok(one.to_owned()),
        [] => Err(Failure::not_found(format!("{path} is not known to differ from its baseline"))
            .expected("the absolute path of a watched file that differs now")
            .found(format!(
                "none of {} is that path",
                count(active.len() as u64, "drifted file", "drifted files")
            ))
            .next("nimbus drift list")),
        ref several => Err(Failure::usage(format!("{path} differs on {} hosts", several.len()))
            .expected("one file")
            .found(several.join("\n"))
            .next("name it by its id")),
    }
}

/// The file with its plan, waiting a moment for the plan of a fresh finding.
async fn planned(client: &Client, id: &str) -> Result<Shown, Failure> {
    let end = Instant::now() + PLAN_WAIT;
    loop {
        let answer = client.drift(id).await?;
        let drift = &answer.typed;
        if drift.state == "resolved" {
            return Err(Failure::new(format!("{} is as its baseline says", drift.path))
                .found("its incident is resolved")
                .next("nimbus drift list"));
        }
        if drift.state == "escalated"
            && let Some(approval) = &drift.approval_id
        {
            let approval = client.approval(approval).await?.typed.approval;
            if approval.state == "denied" {
                return Err(denied(drift, &approval.reason));
            }
        }
        if let Some(digest) = drift.plan_digest.clone() {
            return Ok(Shown { drift: answer, digest });
        }
        if Instant::now() >= end || drift.state != "open" {
            let why = if drift.reason.is_empty() { readable(&drift.state) } else { drift.reason.clone() };
            return Err(Failure::new(format!("there is no plan to put {} back", drift.path))
                .expected("a plan that waits for approval")
                .found(why)
                .next(format!("nimbus incidents show {}", drift.id)));
        }
        sleep(EVERY).await;
    }
}

/// What was denied stays denied until a person asks again.
fn denied(drift: &Drift, reason: &str) -> Failure {
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    Failure::new(format!("the plan to put {} back was denied", drift.path))
        .expected("a plan that waits for approval")
        .found(format!("a denied one{why}"))
        .next(format!("ask again with `nimbus incidents ask {0}`, then `nimbus drift fix {0}`", drift.id))
}
