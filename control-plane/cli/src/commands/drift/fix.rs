//! `nimbus drift fix`: shows the difference, asks, approves exactly the plans that it showed, and waits until the files
//! are restored.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use nimbus_api::Drift;
use nimbus_api::client::Client;
use serde_json::json;
use tokio::signal::unix::Signal;
use tokio::time::Instant;

use super::ended::ended;
use super::many::{self, Wait};
use super::order;
use super::pace::{self, Expected};
use super::which::{self, Shown, Which};
use crate::commands::outcome::{self, End, Watched};
use crate::confirm::{self, Answer};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::time::{parse_span, span};
use crate::view::{self, count};

/// From more files than this on, what nobody is asked about is said in a line each, and what has not ended in one for all.
const MANY: usize = 20;

/// A file's path, and why it was not ordered.
type Refused = (String, Failure);

/// How to put files back.
#[derive(Debug, Args)]
pub(super) struct FixArgs {
    #[command(flatten)]
    which: Which,
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

pub(super) async fn run(context: &Context, client: &Client, args: FixArgs) -> Result<Exit, Failure> {
    let wanted = which::wanted(client, &args.which).await?;
    if wanted.is_empty() {
        let nothing = json!({"items": [], "next": null});
        context.print_either(&nothing, |_| "No drift: there is nothing to put back.\n".to_owned())?;
        return Ok(Exit::Done);
    }
    let (shown, left) = which::with_plans(context, client, &wanted, args.which.all).await?;
    show(context, &shown)?;
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
    // Heard from before the first order on: from then on something goes on without this command.
    let mut interrupt = outcome::interrupt()?;
    let began = Instant::now();
    let (given, refused) = order_all(context, client, shown, &args, &mut interrupt).await?;
    let timeout = args.timeout.map(|timeout| timeout.saturating_sub(began.elapsed()));
    let finished = finish(context, client, &given, (args.no_wait, timeout), &expected, &mut interrupt).await;
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

/// Shows a person what will change: the differences, or of many that `--yes` has answered for already a line each.
fn show(context: &Context, shown: &[Shown]) -> Result<(), Failure> {
    if !context.global.format.is_table() {
        return Ok(());
    }
    let view = context.view();
    if context.global.yes && !context.global.dry_run && shown.len() > MANY {
        let files: Vec<&Drift> = shown.iter().map(Shown::drift).collect();
        return context.print(&view::drift::summaries(&view, &files));
    }
    shown.iter().try_for_each(|one| context.print(&view::drift::before_fix(&view, one.drift())))
}

/// Orders all of them. One that is refused (it changed since it was shown) does not hold up the others. An error where it
/// ended before all were ordered.
async fn order_all(
    context: &Context,
    client: &Client,
    shown: Vec<Shown>,
    args: &FixArgs,
    interrupt: &mut Signal,
) -> Result<(Vec<Shown>, Vec<Refused>), Failure> {
    let all = shown.len();
    let line = |taken: usize| format!("ordered {taken} of {all}");
    // Without a terminal no line moves: of many it is said once that this takes a while.
    let progress = if all > MANY {
        context.progress(&format!("ordering {all} files"))
    } else {
        context.moving(&line(0))
    };
    let order = |at: usize| {
        let one: &Shown = &shown[at];
        let (client, id, request) =
            (client.clone(), one.drift().id.clone(), one.request(&args.reason, false));
        async move {
            let answer = client.fix_drift(&id, &request).await?.typed;
            // The word of one where several have to approve: nothing goes on until the others gave theirs.
            if answer.incident.state == "waiting_approval" {
                return Err(Failure::new(format!("{id} still waits for others to approve"))
                    .exit(Exit::Waiting)
                    .expected("the words of all who have to approve")
                    .found(answer.incident.reason)
                    .next("nimbus approvals list"));
            }
            Ok(())
        }
    };
    // What does not fit on the clock is no bound.
    let end = args.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let interrupted = async || {
        interrupt.recv().await;
    };
    let mut placed = order::place(all, end, interrupted, order, |taken| progress.count(&line(taken))).await;
    drop(progress);
    let early = placed.ended_early();
    let (mut given, mut refused) = (Vec::new(), Vec::new());
    for (at, one) in shown.into_iter().enumerate() {
        if let Some(why) = placed.refused.remove(&at) {
            refused.push((one.drift.typed.path, why));
        } else if placed.taken.contains(&at) {
            given.push(one);
        }
    }
    let Some(early) = early else { return Ok((given, refused)) };
    Err(match all_refused(refused) {
        Some(why) => early.detail(format!("refused: {}\n{}", why.title, why.detail)),
        None => early,
    })
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
fn all_refused(refused: Vec<Refused>) -> Option<Failure> {
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

/// Waits until what was ordered has ended, and prints how. `wait` says whether it does not wait, and what is left of
/// `--timeout`.
async fn finish(
    context: &Context,
    client: &Client,
    shown: &[Shown],
    (no_wait, timeout): (bool, Option<Duration>),
    expected: &Expected,
    interrupt: &mut Signal,
) -> Result<Exit, Failure> {
    if shown.is_empty() {
        return Ok(Exit::Done);
    }
    if no_wait {
        print_documents(context, client, shown, interrupt).await?;
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
    if let [_] = watched.as_slice() {
        let timeout = timeout.unwrap_or(expected.patience);
        let ends = outcome::follow(context, client, &watched, timeout, interrupt).await?;
        print_documents(context, client, shown, interrupt).await?;
        return outcome::print_outcomes(context, &ends);
    }
    let wait = match timeout {
        Some(timeout) => Wait::no_longer_than(timeout),
        None => Wait { first: expected.patience, goes_on: pace::MARGIN, at_once: expected.at_once },
    };
    let many = watched.len() > MANY;
    // Beside a line that moves and counts, only what failed is worth one of its own.
    let counted = many && context.moves_a_line();
    let told = |one: &Watched, end: &End| match end {
        End::Late(_) if many => Ok(()),
        End::Resolved if counted => Ok(()),
        _ => outcome::print_outcome(context, one, end),
    };
    let ends = many::follow(context, client, &watched, wait, interrupt, told).await?;
    print_documents(context, client, shown, interrupt).await?;
    if many && context.global.format.is_table() {
        context.print(&format!("{}\n", many::closing(&ends)))?;
    }
    if let Some(text) = rest(shown, &ends, expected) {
        context.hint(&text);
    }
    outcome::verdict(&ends)
}

/// What is not put back yet, and how long it takes by itself; `None` where all has ended.
fn rest(shown: &[Shown], ends: &[(Watched, End)], expected: &Expected) -> Option<String> {
    let agents: BTreeMap<&str, &str> = shown
        .iter()
        .map(Shown::drift)
        .filter_map(|drift| Some((drift.id.as_str(), drift.agent_id.as_deref()?)))
        .collect();
    let late: Vec<&Watched> =
        ends.iter().filter(|(_, end)| matches!(end, End::Late(_))).map(|(one, _)| one).collect();
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    for agent in late.iter().filter_map(|one| agents.get(one.incident.as_str()).copied()) {
        *left.entry(agent).or_default() += 1;
    }
    (!late.is_empty()).then(|| not_yet(late.len(), expected.rest_takes(&left)))
}

fn not_yet(files: usize, takes: Option<Duration>) -> String {
    let files = count(files as u64, "file was", "files were");
    let by_itself = match takes.map(jiff::SignedDuration::try_from) {
        Some(Ok(time)) => format!(
            ", as the agents take jobs (`jobs_per_hour` in their policies): the last within about {}",
            span(time)
        ),
        Some(Err(_)) | None => String::new(),
    };
    format!(
        "{files} not put back yet. What was approved goes on by itself{by_itself}; follow it: nimbus drift list"
    )
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

/// For a program: the files as they were put back, in one document. Of many that takes a while, in which Ctrl-C ends it.
async fn print_documents(
    context: &Context,
    client: &Client,
    shown: &[Shown],
    interrupt: &mut Signal,
) -> Result<(), Failure> {
    if context.global.format.is_table() {
        return Ok(());
    }
    let read = async {
        let mut items = Vec::new();
        for one in shown {
            items.push(ended(&one.drift.raw, client.drift(&one.drift().id).await?.raw));
        }
        Ok::<_, Failure>(items)
    };
    let items = tokio::select! {
        items = read => items?,
        _ = interrupt.recv() => {
            return Err(Failure::new("stopped before the result was printed; what was ordered goes on")
                .exit(Exit::Interrupted)
                .next("see how it stands: nimbus drift list"));
        }
    };
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
    fn what_follows_by_itself_is_said_with_its_time() {
        assert_eq!(
            not_yet(140, Some(Duration::from_hours(3))),
            "140 files were not put back yet. What was approved goes on by itself, as the agents take jobs \
             (`jobs_per_hour` in their policies): the last within about 3h; follow it: nimbus drift list"
        );
        assert_eq!(
            not_yet(1, None),
            "1 file was not put back yet. What was approved goes on by itself; follow it: nimbus drift list"
        );
    }

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
