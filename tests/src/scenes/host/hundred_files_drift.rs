//! `tests/scenes/hundred_files_drift.md`

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use crate::process::binary;
use crate::scenes::host::{Host, Watched};
use crate::scenes::verdict::Wrong;
use crate::wait::{Seen, wait_for};

const FILES: usize = 100;
const BUDGET: usize = 60;

/// What `drift fix` says of it beforehand; how long it takes follows.
const SAID: &str = "100 files; its agent takes 60 jobs an hour (`jobs_per_hour` in its policy, on that host) and 60 are left \
    of this one: 60 now, 40 follow by themselves, the last in about ";

/// The rows of a file that is put right after an approval, as docs/operations.md states them.
const ROWS: [&str; 10] = [
    "incident.opened",
    "plan.made",
    "approval.requested",
    "approval.approved",
    "job.signed",
    "job.sent",
    "job.accepted",
    "job.applied",
    "job.succeeded",
    "incident.resolved",
];

/// Longest wait for what goes through within the budget.
const LIMIT: Duration = Duration::from_secs(90);

/// Longest wait for the command to end once all that can begin in this hour was put back, which then has to hold for 5 s.
const ENDS: Duration = Duration::from_secs(30);

pub(super) async fn play(_host: &Host) -> anyhow::Result<()> {
    // A control plane of its own: `--all` is about everything that drifts.
    let host = Host::new(&Arc::new(crate::scenes::host::plane().await?))?;
    let site = drifted(&host).await?;
    let printed = host.dir().join("printed");
    let mut command = fix_all(&site, &printed)?;
    let within_the_hour = are_put_back(&site, BUDGET).await;
    was_said_before(&printed)?;
    within_the_hour?;
    // One more would be put back within this time.
    tokio::time::sleep(Duration::from_secs(5)).await;
    are_put_back(&site, BUDGET).await?;
    none_is_used_up(&site, BUDGET).await?;
    ends_by_itself(&mut command, &printed).await?;
    the_rest_follows(&site).await?;
    rows_are_as_stated(&site).await
}

/// A hundred changed files, each with what was asked for it.
async fn drifted(host: &Host) -> anyhow::Result<Watched> {
    let site = host
        .watch(|root| {
            (0..FILES).try_for_each(|n| Ok(std::fs::write(root.join(format!("{n:03}.conf")), "old = 1\n")?))
        })
        .await?;
    // Each at once: one that was seen empty, between its opening and its writing, is another change that another approval is
    // asked for.
    let next = host.dir().join("next.conf");
    for n in 0..FILES {
        std::fs::write(&next, "new = 1\n")?;
        std::fs::rename(&next, site.path(&format!("{n:03}.conf")))?;
    }
    are_in_state(&site, "waiting_approval").await?;
    Ok(site)
}

/// Waits until the incidents of all files are in this state.
async fn are_in_state(site: &Watched, state: &str) -> anyhow::Result<()> {
    let what = format!("a hundred drifts that are {state}");
    let seen = wait_for(&what, LIMIT, || async {
        let all = site.plane.items("/incidents").await?;
        let found = all.iter().filter(|i| is_of(site, i) && i["state"] == state).count();
        Ok(Seen::when((found == FILES).then_some(()), format!("{found} are")))
    });
    seen.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
}

/// Is this incident or job about a file of the root?
fn is_of(site: &Watched, item: &Value) -> bool {
    let root = site.root.display().to_string();
    item["object"]["name"].as_str().is_some_and(|name| name.starts_with(&root))
}

/// `nimbus drift fix --all --yes`, of which both outputs go into one file, in the order in which they come.
fn fix_all(site: &Watched, printed: &Path) -> anyhow::Result<tokio::process::Child> {
    let token = std::fs::read_to_string(site.plane.data_dir().join("operator.token"))?;
    let file = std::fs::File::create(printed)?;
    let mut command = tokio::process::Command::new(binary("nimbus")?);
    command.args(["drift", "fix", "--all", "--yes"]);
    command.env("NIMBUS_SERVER", site.plane.url()).env("NIMBUS_TOKEN", token.trim());
    command.env("XDG_CONFIG_HOME", printed.with_file_name("config")).env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
    command.spawn().context("cannot run nimbus")
}

/// Requires that the command said how many go now before the first was put back.
fn was_said_before(printed: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(printed)?;
    let begun = text.find(": restored and verified").unwrap_or(text.len());
    if text.find(SAID).is_some_and(|at| at < begun) {
        return Ok(());
    }
    // What it shows of a hundred files before is not what is missed.
    let end: Vec<&str> = text.lines().rev().take(2 * FILES).collect();
    Err(Wrong::Restraint(format!("it was not said before it started, the last line first: {end:#?}")).into())
}

/// Requires that the command does not wait for the next hour, and says what follows by itself.
async fn ends_by_itself(command: &mut tokio::process::Child, printed: &Path) -> anyhow::Result<()> {
    let Ok(status) = tokio::time::timeout(ENDS, command.wait()).await else {
        let waits =
            format!("`drift fix` still waits {} s after all that could begin was put back", ENDS.as_secs());
        return Err(Wrong::Restraint(waits).into());
    };
    let text = std::fs::read_to_string(printed)?;
    let says = "40 files were not put back yet. What was approved goes on by itself";
    if status?.code() == Some(1) && text.contains(says) {
        return Ok(());
    }
    let end: Vec<&str> = text.lines().rev().take(10).collect();
    Err(Wrong::Restraint(format!("it ended without saying what follows, the last line first: {end:#?}"))
        .into())
}

/// Waits until so many files are as they were, and no job was refused on the way.
async fn are_put_back(site: &Watched, count: usize) -> anyhow::Result<()> {
    let is_good = |n: &usize| {
        let text = std::fs::read_to_string(site.path(&format!("{n:03}.conf")));
        text.is_ok_and(|text| text == "old = 1\n")
    };
    let what = format!("{count} files to be put back");
    let put_back = wait_for(&what, LIMIT, || async {
        let found = (0..FILES).filter(is_good).count();
        Ok(Seen::when((found >= count).then_some(found), format!("{found} of {FILES} are")))
    });
    let found = put_back.await.map_err(|error| Wrong::Restraint(format!("{error:#}")))?;
    if found > count {
        return Err(Wrong::Action(format!("{found} files were put back instead of {count}")).into());
    }
    let jobs = site.plane.items("/jobs").await?;
    let refused = jobs.iter().filter(|job| is_of(site, job) && job["state"] == "refused").count();
    if refused > 0 {
        return Err(Wrong::Action(format!("{refused} jobs were refused by the agent")).into());
    }
    Ok(())
}

/// Requires that each file was asked about once, that what was approved stands, and that so many are used for a job.
async fn none_is_used_up(site: &Watched, jobs: usize) -> anyhow::Result<()> {
    let all = site.approvals().await?;
    let stand = all.iter().filter(|approval| approval["state"] == "approved").count();
    let used = all.iter().filter(|approval| approval["used_by"].is_string()).count();
    if (all.len(), stand, used) == (FILES, FILES, jobs) {
        return Ok(());
    }
    let file = |approval: &Value| approval["object"]["name"].as_str().map(str::to_owned);
    let twice = all.iter().find(|one| all.iter().filter(|other| file(other) == file(one)).count() > 1);
    let of_one: Vec<&Value> = all.iter().filter(|one| twice.is_some_and(|it| file(it) == file(one))).collect();
    let found = format!(
        "{} approvals, of which {stand} are approved and {used} used for {jobs} files; of one file there are {of_one:?}",
        all.len()
    );
    Err(Wrong::Action(found).into())
}

/// The next hour, sooner: the agent's policy takes more. Nobody is asked again.
async fn the_rest_follows(site: &Watched) -> anyhow::Result<()> {
    let root = site.root.display().to_string();
    site.agent.set_policy(&format!(
        "allow = [\"restore_file\", \"accept_baseline\"]\npaths = [{root:?}]\ndiff_paths = [{root:?}]\n\
         jobs_per_hour = 1000\n"
    ))?;
    are_put_back(site, FILES).await?;
    are_in_state(site, "resolved").await?;
    none_is_used_up(site, FILES).await
}

/// Requires the stated rows for each file, and no other about any of them.
async fn rows_are_as_stated(site: &Watched) -> anyhow::Result<()> {
    let incidents = site.plane.items("/incidents").await?;
    let others: BTreeSet<&str> =
        incidents.iter().filter(|i| !is_of(site, i)).filter_map(|i| i["id"].as_str()).collect();
    let mut found = BTreeMap::<String, usize>::new();
    for row in site.plane.items("/audit").await? {
        let action = row["action"].as_str().unwrap_or_default();
        let counts = ["incident.", "plan.", "approval.", "job."].iter().any(|kind| action.starts_with(*kind));
        if counts && !row["subject"].as_str().is_some_and(|subject| others.contains(subject)) {
            *found.entry(action.to_owned()).or_default() += 1;
        }
    }
    let stated: BTreeMap<String, usize> = ROWS.iter().map(|row| ((*row).to_owned(), FILES)).collect();
    if found == stated {
        return Ok(());
    }
    Err(Wrong::Restraint(format!("the audit log has {found:?} instead of {stated:?}")).into())
}
