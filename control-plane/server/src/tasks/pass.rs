//! Runs one decision: read, decide, commit, and read again after a conflict.

use jiff::Timestamp;
use nimbus_control_core::Snapshot;
use nimbus_control_core::model::ChangeSet;
use nimbus_protocol::ids::IdSource;
use nimbus_store::StoreError;

use crate::app::App;

/// Reads again so often; after that the next wake-up has to do.
pub const TRIES: usize = 5;

/// Commits what `decision` returns, if anything. Returns whether something was committed.
pub async fn decide(
    app: &App,
    what: &'static str,
    decision: impl Fn(&Snapshot<'_>, Timestamp, &mut dyn IdSource) -> ChangeSet,
) -> Result<bool, StoreError> {
    let mut last = None;
    for _ in 0..TRIES {
        app.alive.engine().beat();
        let docs = app.docs().await?;
        let changes = app.with_snapshot(&docs, |snapshot| decision(snapshot, app.now(), &mut app.ids()));
        if changes.is_empty() {
            return Ok(false);
        }
        // Nobody else reads them now, as a rule: the commit is then taken in where they are, without a copy.
        drop(docs);
        match app.commit(&changes).await {
            Ok(_) => {
                log_audit(&changes);
                return Ok(true);
            }
            Err(error) if error.is_conflict() => {
                tracing::debug!(%error, what, "reading again");
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
    }
    // An operator's commit or two come in between; a decision that never fits is a fault, and must show as one.
    tracing::warn!(what, "{TRIES} conflicts in a row; deciding again at the next look");
    last.map_or(Ok(false), Err)
}

/// Every audited step is also a line in the log.
pub fn log_audit(changes: &ChangeSet) {
    for row in &changes.audit {
        let (action, subject, cluster, detail) = (&row.action, &row.subject, &row.cluster, &row.detail);
        tracing::info!(action, subject, cluster, detail, "decided");
    }
}
