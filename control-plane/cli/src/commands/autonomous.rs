//! `nimbus autonomous`: what Nimbus may do by itself, where, and what it did.

use std::time::Duration;

use clap::{Args, Subcommand};
use nimbus_api::{AutonomousStatus, DisableRequest, EnableRequest, List, Rule};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::cli::Page;
use crate::connect::Server;
use crate::context::{Context, read};
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::theme::readable;
use crate::view;

/// How long an agent is given to say that its own policy allows what was enabled.
const POLICY_WAIT: Duration = Duration::from_secs(4);
const EVERY: Duration = Duration::from_millis(250);

/// What Nimbus may do by itself, where, and what it did
#[derive(Debug, Args)]
pub struct AutonomousArgs {
    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Let Nimbus act in a cluster; before that it only observes
    Enable {
        /// The cluster's name or UID
        #[arg(long, value_name = "NAME")]
        cluster: String,
        /// Only this remedy (several times for several) [default: all that a cluster can enable]
        #[arg(long = "rule", value_name = "RULE")]
        rules: Vec<String>,
    },
    /// Let Nimbus only observe a cluster, or do less in it
    Disable {
        /// The cluster's name or UID
        #[arg(long, value_name = "NAME")]
        cluster: String,
        /// Only this remedy (several times for several) [default: all]
        #[arg(long = "rule", value_name = "RULE")]
        rules: Vec<String>,
    },
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
    /// The remedies that there are, and their limits
    Rules {
        #[command(subcommand)]
        command: Option<RulesSub>,
    },
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum RulesSub {
    /// List them
    List,
}

/// Enables, disables, or tells.
pub async fn run(context: &Context, args: AutonomousArgs) -> Result<Exit, Failure> {
    let server = Server::open(context)?;
    match args.command.unwrap_or(Sub::Status(Page::default())) {
        Sub::Enable { cluster, rules } => enable(context, &server, &cluster, rules).await?,
        Sub::Disable { cluster, rules } => {
            let dry_run = context.global.dry_run;
            let order = DisableRequest { rules: words(rules), dry_run };
            let answer = server.post(&["autonomous", &cluster, "disable"], &order).await?;
            context.show(&answer, |view, item| view::autonomous::disabled(view, item, dry_run))?;
        }
        Sub::Status(page) => {
            let answer = server.page(&["autonomous"], json!({}), &page).await?;
            context.show_page(&answer, view::autonomous::status)?;
            for item in read::<List<AutonomousStatus>>(&answer)?.items {
                warn_forbidden(context, &item);
            }
        }
        Sub::History { cluster, page } => {
            let filters = super::filters(&[("cluster", cluster)]);
            let answer = server.page(&["autonomous", "history"], filters, &page).await?;
            context.show_page(&answer, view::autonomous::history)?;
        }
        Sub::Rules { command: None | Some(RulesSub::List) } => {
            let answer = server.get(&["autonomous", "rules"], &json!({})).await?;
            context.show(&answer, view::autonomous::rules)?;
        }
    }
    Ok(Exit::Done)
}

async fn enable(
    context: &Context,
    server: &Server,
    cluster: &str,
    rules: Vec<String>,
) -> Result<(), Failure> {
    let dry_run = context.global.dry_run;
    let order = EnableRequest { rules: words(rules), dry_run };
    let answer = server.post(&["autonomous", cluster, "enable"], &order).await?;
    let answer = if dry_run { answer } else { settled(context, server, answer).await? };
    let item: AutonomousStatus = read(&answer)?;
    let known: List<Rule> = read(&server.get(&["autonomous", "rules"], &json!({})).await?)?;
    context.show(&answer, |view, item| view::autonomous::enabled(view, item, &known, dry_run))?;
    warn_forbidden(context, &item);
    if item.storm {
        context.warn(&format!("{}: so much is wrong at once that nothing automatic runs now", item.cluster));
    }
    Ok(())
}

/// The agent beside `nimbus up` reads its policy again within a moment: the answer is looked at until it allows what
/// was enabled, at most [`POLICY_WAIT`].
async fn settled(context: &Context, server: &Server, first: Value) -> Result<Value, Failure> {
    let end = Instant::now() + POLICY_WAIT;
    let id = first["id"].as_str().unwrap_or_default().to_owned();
    let forbidden = |answer: &Value| answer["forbidden"].as_array().is_some_and(|list| !list.is_empty());
    let mut answer = first;
    let mut progress = None;
    while forbidden(&answer) && Instant::now() < end {
        progress.get_or_insert_with(|| context.progress("asking whether the agent's own policy allows it"));
        sleep(EVERY).await;
        let list = server.get(&["autonomous"], &json!({"limit": 500})).await?;
        let items = list["items"].as_array();
        if let Some(now) = items.and_then(|items| items.iter().find(|item| item["id"] == id.as_str())) {
            answer = now.clone();
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
        "{}: the agent's own policy does not allow {} there (or no agent leads now), so it will be refused. Add it to \
         `allow`, and {} to `clusters`, in the agent's policy file; see `nimbus agents show`",
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
