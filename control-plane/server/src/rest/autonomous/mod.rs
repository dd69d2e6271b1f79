//! The endpoints of autonomous operation: what Nimbus may do by itself, and what it has done.

pub mod calendar;
pub mod disable;
pub mod enable;
pub mod history;
pub mod list;
pub mod pause;
pub mod pauses;
pub mod resume;
pub mod rule;
pub mod rules;

use nimbus_api::AutonomousStatus;
use nimbus_control_core::model::{ActionKind, ChangeSet, Cluster, Versioned};

use super::error::ApiError;
use super::extract::word;
use super::lists;
use super::view::{self, Fleet};
use crate::app::App;

/// The remedies that a request names; none named means every one.
fn named(rules: Option<&[String]>) -> Result<Vec<ActionKind>, ApiError> {
    match rules {
        None => Ok(Vec::new()),
        // Not the same as naming none: it would mean every rule to the decision, and nothing to who wrote it.
        Some([]) => {
            Err(ApiError::invalid("rules", "at least one rule, or null for every rule", "an empty list"))
        }
        Some(rules) => rules.iter().map(|rule| word("rules", rule)).collect(),
    }
}

async fn find(app: &App, cluster: &str) -> Result<Versioned<Cluster>, ApiError> {
    lists::by_id_or_name(app, cluster, None, "cluster", super::clusters::REMEDY).await
}

/// Commits what was decided, or not when it is a dry run, and shows the cluster as it is then.
async fn commit_or_preview(
    app: &App,
    before: &Versioned<Cluster>,
    changes: ChangeSet,
    dry_run: bool,
) -> Result<AutonomousStatus, ApiError> {
    if !dry_run && !changes.is_empty() {
        app.commit(&changes).await?;
    }
    let after = changes.clusters.first().unwrap_or(before);
    let fleet = Fleet::read(app).await?;
    Ok(view::autonomous(&after.doc, &fleet))
}
