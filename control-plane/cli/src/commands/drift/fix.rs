//! `nimbus drift fix`: shows the difference, asks, approves exactly the plans that it showed, and waits until the files
//! are restored.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use nimbus_api::client::{self, Client, collect};
use nimbus_api::{Drift, DriftFixRequest, DriftQuery, MAX_LIMIT};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::ended::ended;
use super::many::{self, Wait};
use super::pace::{self, Expected};
use crate::commands::outcome::{self, End, Watched};
use crate::commands::resolve;
use crate::confirm::{self, Answer};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::theme::readable;
use crate::output::time::parse_span;
use crate::view::{self, count};

/// How long a plan is waited for: it follows the finding within moments.
const PLAN_WAIT: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(200);

/// Which files to put back.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).multiple(false)))]
pub(super) struct FixArgs {
    /// Ids, or the starts of them
    #[arg(group = "which", value_name = "ID")]
    ids: Vec<String>,
    /// Every file that differs now and has a plan
    #[arg(long, group = "which")]
    all: bool,
    /// The file of this path
    #[arg(long, group = "which", value_name = "PATH")]
    resource: Option<String>,
    /// Why, for the audit log
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
    /// Do not wait for the end
    #[arg(long)]
    no_wait: bool,
    /// Longest wait [default: what begins at once is said to take, and a minute after each end]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

/// A file with the plan that was shown.
struct Shown {
    drift: client::Answer<Drift>,
    digest: String,
}

impl Shown {
    fn drift(&self) -> &Drift {
        &self.drift.typed
    }

    fn request(&self, reason: &str, dry_run: bool) -> DriftFixRequest {
        DriftFixRequest { plan_digest: self.digest.clone(), dry_run, reason: reason.to_owned() }
    }
}

pub(super) async fn run(context: &Context, client: &Client, args: FixArgs) -> Result<Exit, Failure> {
    let wanted = wanted(client, &args).await?;
    if wanted.is_empty() {
        let nothing = json!({"items": [], "next": null});
        context.print_either(&nothing, |_| "No drift: there is nothing to put back.\n".to_owned())?;
        return Ok(Exit::Done);
    }
    let mut shown = Vec::new();
    let mut left = 0;
    for id in &wanted {
        match planned(client, id).await {
            Ok(one) => shown.push(one),
            // Of all, those that cannot be put back are named and left; one that was asked for by name is an error.
            Err(failure) if args.all => {
                left += 1;
                context.warn_of(&failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    if context.global.format.is_table() {
        for one in &shown {
            context.print(&view::drift::before_fix(&context.view(), one.drift()))?;
        }
    }
    if context.global.dry_run {
        return dry_run(context, client, &shown).await;
    }
    if shown.is_empty() {
        return Err(Failure::new("none of them can be put back by Nimbus").next("nimbus drift list"));
    }
    let expected = expected(client, &shown).await?;
    let shown = fitting(context, shown, &expected)?;
    for line in &expected.lines {
        context.hint(line);
    }
    let files = count(shown.len() as u64, "file", "files");
    match confirm::ask(context, &format!("Put {files} back?"))? {
        Answer::Yes => {}
        Answer::No => return not_now(context, &shown),
        Answer::Nobody => return Err(still_waiting(&shown, "no terminal to ask on, and no --yes")),
    }
    // One that is refused (it changed since it was shown) does not hold up the others.
    let mut refused = Vec::new();
    let mut given = Vec::new();
    for one in shown {
        match client.fix_drift(&one.drift().id, &one.request(&args.reason, false)).await {
            Ok(_) => given.push(one),
            Err(error) => refused.push((one.drift.typed.path, error.into())),
        }
    }
    let finished = finish(context, client, &given, &args, &expected).await;
    if finished.as_ref().is_err_and(|failure| failure.exit == Exit::Interrupted) {
        return finished;
    }
    match all_refused(refused) {
        Some(failure) => Err(failure),
        // The exit code says whether everything was put back.
        None if left > 0 && matches!(finished, Ok(Exit::Done)) => Err(not_all(left, given.len())),
        None => finished,
    }
}

/// How long it takes, and how much of it fits into the time that the approvals hold.
async fn expected(client: &Client, shown: &[Shown]) -> Result<Expected, Failure> {
    let files: Vec<&Drift> = shown.iter().map(Shown::drift).collect();
    let mut holds = None;
    // One for all: they were asked for within moments, and the oldest ends first.
    let oldest =
        files.iter().min_by_key(|drift| drift.created_at).and_then(|drift| drift.approval_id.as_ref());
    if let (Some(approval), true) = (oldest, files.len() > 1) {
        let expires_at = client.approval(approval).await?.typed.approval.expires_at;
        let left = expires_at.duration_since(nimbus_platform::now());
        holds = Some(Duration::try_from(left).unwrap_or_default());
    }
    pace::expected(client, &files, holds).await
}

/// Those that can be put back before their approvals run out; the others stay as they are, and that is said.
fn fitting(context: &Context, shown: Vec<Shown>, expected: &Expected) -> Result<Vec<Shown>, Failure> {
    let mut taken: BTreeMap<String, u64> = BTreeMap::new();
    let all = shown.len();
    let fits = |one: &Shown| {
        let agent = one.drift().agent_id.clone().unwrap_or_default();
        let most = expected.fits(&agent);
        let taken = taken.entry(agent).or_default();
        *taken += 1;
        *taken <= most
    };
    let kept: Vec<Shown> = shown.into_iter().filter(fits).collect();
    let rest = count((all - kept.len()) as u64, "file is", "files are");
    if kept.is_empty() {
        return Err(Failure::new("the agent takes no more jobs before the approvals run out")
            .expected("room in the hourly budget of its policy (`jobs_per_hour`, on that host)")
            .found(format!("{rest} left as they are"))
            .next("run it again later, or raise `jobs_per_hour`"));
    }
    if kept.len() < all {
        context.warn_of(
            &Failure::new(format!("{rest} left as they are"))
                .expected("to put everything back before its approval runs out")
                .found("more files than the agents take in that time (`jobs_per_hour` in their policies)")
                .next("run it again later for the rest, or raise `jobs_per_hour`"),
        );
    }
    Ok(kept)
}

/// Some were left out with their reasons; what was ordered is done.
fn not_all(left: usize, done: usize) -> Failure {
    Failure::new(format!("not everything was put back: {done} of {} were", left + done))
        .expected("a plan for every file that differs")
        .found(format!("{} without one, named above with the reasons", count(left as u64, "file", "files")))
        .next("nimbus drift list")
}

/// The first refusal, with the others in a line each, as far as a person reads them.
fn all_refused(refused: Vec<(String, Failure)>) -> Option<Failure> {
    const SHOWN: usize = 20;
    let more = refused.len().saturating_sub(1 + SHOWN);
    let mut refused = refused.into_iter();
    let (path, mut first) = refused.next()?;
    let mut lines = vec![format!("{path}:")];
    lines.extend(Some(std::mem::take(&mut first.detail)).filter(|detail| !detail.is_empty()));
    lines.extend(refused.take(SHOWN).map(|(path, failure)| format!("also {path}: {}", failure.title)));
    lines.extend((more > 0).then(|| format!("and {more} more")));
    first.detail = lines.join("\n");
    Some(first)
}

/// Waits until what was ordered has ended, and prints how.
async fn finish(
    context: &Context,
    client: &Client,
    shown: &[Shown],
    args: &FixArgs,
    expected: &Expected,
) -> Result<Exit, Failure> {
    if shown.is_empty() {
        return Ok(Exit::Done);
    }
    if args.no_wait {
        print_documents(context, client, shown).await?;
        context.hint("The agent is working on it. Follow it: nimbus jobs list");
        return Ok(Exit::Done);
    }
    let watched = |one: &Shown| Watched {
        incident: one.drift().id.clone(),
        name: one.drift().path.clone(),
        done: "restored",
        approval: one.drift().approval_id.clone(),
        job_before: one.drift().job_id.clone(),
    };
    let watched: Vec<Watched> = shown.iter().map(watched).collect();
    let timeout = args.timeout.unwrap_or(expected.patience);
    if let [_] = watched.as_slice() {
        let ends = outcome::follow(context, client, &watched, timeout).await?;
        print_documents(context, client, shown).await?;
        return outcome::print_outcomes(context, &ends);
    }
    let told = |one: &Watched, end: &End| outcome::print_outcome(context, one, end);
    let wait = match args.timeout {
        Some(timeout) => Wait::no_longer_than(timeout),
        None => Wait { first: expected.patience, goes_on: pace::MARGIN, at_once: expected.at_once },
    };
    let ends = many::follow(context, client, &watched, wait, told).await?;
    print_documents(context, client, shown).await?;
    let late = ends.iter().filter(|(_, end)| matches!(end, End::Late(_))).count();
    if late > 0 {
        let files = count(late as u64, "file was", "files were");
        context.hint(&format!(
            "{files} not put back yet. What was approved goes on by itself; follow it: nimbus drift list"
        ));
    }
    outcome::verdict(&ends)
}

/// The whole ids of the files that are meant.
async fn wanted(client: &Client, args: &FixArgs) -> Result<Vec<String>, Failure> {
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

/// Lets the control plane check the order without writing anything.
async fn dry_run(context: &Context, client: &Client, shown: &[Shown]) -> Result<Exit, Failure> {
    let mut answers = Vec::new();
    for one in shown {
        answers.push(client.fix_drift(&one.drift().id, &one.request("", true)).await?.raw);
    }
    context.print_document(&json!({"items": answers, "next": null}))?;
    let files = count(shown.len() as u64, "file", "files");
    context.hint(&format!("Would put {files} back; nothing was written."));
    Ok(Exit::Done)
}

/// For a program: the files as they were put back, in one document.
async fn print_documents(context: &Context, client: &Client, shown: &[Shown]) -> Result<(), Failure> {
    if context.global.format.is_table() {
        return Ok(());
    }
    let mut items = Vec::new();
    for one in shown {
        items.push(ended(&one.drift.raw, client.drift(&one.drift().id).await?.raw));
    }
    context.print_document(&json!({"items": items, "next": null}))
}

/// No is an answer like any other: nothing was changed, and what waited waits.
fn not_now(context: &Context, shown: &[Shown]) -> Result<Exit, Failure> {
    let items: Vec<_> = shown.iter().map(|one| &one.drift.raw).collect();
    context.print_document(&json!({"items": items, "next": null}))?;
    context.hint("Nothing was changed. What waits for an approval waits until it is answered or expires.");
    Ok(Exit::Done)
}

fn still_waiting(shown: &[Shown], found: &str) -> Failure {
    /// Most that are named.
    const NAMED: usize = 5;
    let ids: Vec<&str> = shown.iter().map(|one| one.drift().id.as_str()).collect();
    let approvals: Vec<&str> = shown.iter().filter_map(|one| one.drift().approval_id.as_deref()).collect();
    let (named, rest) = approvals.split_at(approvals.len().min(NAMED));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let which = if ids.len() > NAMED { "--all".to_owned() } else { ids.join(" ") };
    Failure::new("waiting for an approval; nothing was changed")
        .exit(Exit::Waiting)
        .detail(format!("approval {}{more}", named.join(", ")))
        .expected("a yes on a terminal, or --yes")
        .found(found)
        .next(format!("nimbus drift fix {which} --yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_refusals_none_is_lost() {
        let refused =
            |n: u8| (format!("/srv/{n}"), Failure::new(format!("why {n}")).detail(format!("detail {n}")));
        assert_eq!(all_refused(Vec::new()), None);
        assert_eq!(all_refused(vec![refused(1)]).unwrap().detail, "/srv/1:\ndetail 1");
        let told = all_refused(vec![refused(1), refused(2), refused(3)]).unwrap();
        assert_eq!(
            (told.title.as_str(), told.detail.as_str()),
            ("why 1", "/srv/1:\ndetail 1\nalso /srv/2: why 2\nalso /srv/3: why 3")
        );
        let told = all_refused((0..100).map(refused).collect()).unwrap();
        assert!(told.detail.ends_with("also /srv/20: why 20\nand 79 more"), "{}", told.detail);
    }
}
