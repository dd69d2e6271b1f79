//! `nimbus autonomous`: enables and disables autonomous operation in a cluster, and shows what Nimbus has done.

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use nimbus_api::client::{Answer, Client};
use nimbus_api::{
    AutonomousStatus, DisableRequest, EnableRequest, HistoryQuery, MAX_LIMIT, PageQuery, PauseRequest,
};
use tokio::time::{Instant, sleep};

use super::rules::{self, RulesSub};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::global::Page;
use crate::output::theme::readable;
use crate::output::time::parse_span;
use crate::{connect, view};

/// How long an agent is given to say that its own policy allows what was enabled.
const POLICY_WAIT: Duration = Duration::from_secs(4);
const EVERY: Duration = Duration::from_millis(250);

/// What Nimbus may do by itself, where, and what it has done
#[derive(Debug, Args)]
pub struct AutonomousArgs {
    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Let Nimbus ask for remedies in a cluster, or act by the rules; before that it only observes
    Enable {
        /// The cluster's name or UID
        #[arg(long, value_name = "NAME")]
        cluster: String,
        /// Only this remedy (several times for several) [default: all that a cluster can enable]
        #[arg(long = "rule", value_name = "RULE")]
        rules: Vec<String>,
        /// Ask a person for each remedy, or act by the rules [default: as it is; recommend at first]
        #[arg(long, value_name = "MODE")]
        mode: Option<EnabledMode>,
    },
    /// Let Nimbus only observe a cluster, or disable single remedies there
    Disable {
        /// The cluster's name or UID
        #[arg(long, value_name = "NAME")]
        cluster: String,
        /// Only this remedy (several times for several) [default: all]
        #[arg(long = "rule", value_name = "RULE", conflicts_with = "off")]
        rules: Vec<String>,
        /// Not even observe it: nothing of it is an incident
        #[arg(long)]
        off: bool,
    },
    /// Begin nothing new, whoever orders it, until it is resumed or for a time; what was begun is finished
    Pause {
        #[command(flatten)]
        place: Where,
        /// It ends by itself after that, 60s to 30d [default: when it is resumed]
        #[arg(long = "for", value_name = "TIME", value_parser = parse_span)]
        how_long: Option<Duration>,
    },
    /// Let what was paused go on
    Resume(Where),
    /// How far Nimbus may go, cluster by cluster
    Status(Page),
    /// What was done, newest first
    History {
        /// Only in this cluster or host
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// The windows and blackouts of the settings, and where each stands
    Calendar,
    /// The rules: the remedies and their limits, and what people set beside and in place of them
    Rules {
        #[command(subcommand)]
        command: Option<RulesSub>,
    },
}

/// How far Nimbus goes in a cluster that is enabled.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum EnabledMode {
    /// A person is asked for each remedy
    Recommend,
    /// By the rules: some by themselves, some after approval
    Act,
}

impl EnabledMode {
    fn word(self) -> String {
        match self {
            Self::Recommend => "recommend",
            Self::Act => "act",
        }
        .to_owned()
    }
}

// The struct's own group has every argument in it, the reason too; where to pause is one of two.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("place").args(["cluster", "fleet"]).required(true).multiple(false)))]
struct Where {
    /// The cluster's name or UID
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Every cluster and every host
    #[arg(long)]
    fleet: bool,
    /// Why, for whoever finds it and for the audit log
    #[arg(long, default_value = "", value_name = "TEXT", hide_default_value = true)]
    reason: String,
}

impl Where {
    fn request(self, how_long: Option<Duration>, context: &Context) -> PauseRequest {
        let Self { cluster, fleet, reason } = self;
        let for_seconds = how_long.map(|time| time.as_secs());
        PauseRequest { cluster, fleet, reason, for_seconds, dry_run: context.global.dry_run }
    }
}

/// Enables, disables, or shows.
pub async fn run(context: &Context, args: AutonomousArgs) -> Result<Exit, Failure> {
    let client = connect::open(context)?;
    match args.command.unwrap_or(Sub::Status(Page::default())) {
        Sub::Enable { cluster, rules, mode } => enable(context, &client, &cluster, (rules, mode)).await?,
        Sub::Disable { cluster, rules, off } => {
            let dry_run = context.global.dry_run;
            let request = DisableRequest { rules: words(rules), off, dry_run };
            let answer = client.disable(&cluster, &request).await?;
            context.show(&answer, |view, item| view::autonomous::disabled(view, item, dry_run))?;
        }
        Sub::Pause { place, how_long } => {
            let request = place.request(how_long, context);
            let answer = client.pause(&request).await?;
            context.show(&answer, |view, list| view::autonomous::paused(view, list, request.dry_run))?;
        }
        Sub::Resume(place) => {
            let request = place.request(None, context);
            let answer = client.resume(&request).await?;
            context.show(&answer, |view, list| view::autonomous::resumed(view, list, request.dry_run))?;
        }
        Sub::Status(page) => {
            let answer = client.autonomous(&page.query()).await?;
            context.show_page(&answer, view::autonomous::status)?;
            for item in &answer.typed.items {
                warn_forbidden(context, item);
            }
        }
        Sub::History { cluster, page } => {
            let Page { limit, after } = page;
            let answer = client.autonomous_history(&HistoryQuery { cluster, limit, after }).await?;
            context.show_page(&answer, view::autonomous::history)?;
        }
        Sub::Calendar => {
            let answer = client.calendar().await?;
            context.show(&answer, view::autonomous::calendar)?;
        }
        Sub::Rules { command } => {
            return rules::run(context, &client, command.unwrap_or(RulesSub::List)).await;
        }
    }
    Ok(Exit::Done)
}

async fn enable(
    context: &Context,
    client: &Client,
    cluster: &str,
    (rules, mode): (Vec<String>, Option<EnabledMode>),
) -> Result<(), Failure> {
    let dry_run = context.global.dry_run;
    let request = EnableRequest { rules: words(rules), mode: mode.map(EnabledMode::word), dry_run };
    let answer = client.enable(cluster, &request).await?;
    let answer = if dry_run { answer } else { settled(context, client, answer).await? };
    let known = client.rules().await?.typed;
    context.show(&answer, |view, item| view::autonomous::enabled(view, item, &known, dry_run))?;
    let item = &answer.typed;
    warn_forbidden(context, item);
    if item.storm {
        context.warn(&format!("{}: so much is wrong at once that nothing automatic runs now", item.cluster));
    }
    Ok(())
}

/// The agent beside `nimbus up` reads its policy again within a moment: the answer is looked at until it allows what
/// was enabled, at most [`POLICY_WAIT`].
async fn settled(
    context: &Context,
    client: &Client,
    first: Answer<AutonomousStatus>,
) -> Result<Answer<AutonomousStatus>, Failure> {
    let end = Instant::now() + POLICY_WAIT;
    let mut answer = first;
    let mut progress = None;
    while !answer.typed.forbidden.is_empty() && Instant::now() < end {
        progress.get_or_insert_with(|| context.progress("waiting for the agent's own policy to allow it"));
        sleep(EVERY).await;
        let mut list = client.autonomous(&PageQuery { limit: Some(MAX_LIMIT), after: None }).await?;
        if let Some(at) = list.typed.items.iter().position(|item| item.id == answer.typed.id) {
            answer = Answer { raw: list.raw["items"][at].take(), typed: list.typed.items.swap_remove(at) };
        }
    }
    Ok(answer)
}

/// The control plane can narrow what an agent's own policy allows, never widen it.
fn warn_forbidden(context: &Context, item: &AutonomousStatus) {
    if item.forbidden.is_empty() {
        return;
    }
    let words: Vec<String> = item.forbidden.iter().map(|rule| readable(rule)).collect();
    context.warn(&format!(
        "{}: the agent's own policy does not allow {} there (or no agent leads now), so the job would be refused. Add \
         it to `allow`, and {} to `clusters`, in the agent's policy file; see `nimbus agents show`",
        item.cluster,
        words.join(", "),
        item.id
    ));
}

/// `restart-pod` is as good as `restart_pod`; no rule at all means every one.
fn words(rules: Vec<String>) -> Option<Vec<String>> {
    (!rules.is_empty())
        .then(|| rules.into_iter().map(|rule| rule.to_ascii_lowercase().replace('-', "_")).collect())
}
