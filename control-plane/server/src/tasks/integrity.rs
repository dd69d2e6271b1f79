//! Looks on a schedule whether what is stored is still what was written, and says what is not.
//!
//! Soon after a start, and then so seldom that it takes at most a twentieth of the time, however large the database is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nimbus_store::StoreError;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::health::Checked;

/// After the start, when everything is served.
const FIRST: Duration = Duration::from_secs(10);
/// Not more often than this …
const EVERY: Duration = Duration::from_hours(1);
/// … and the pause lasts so many times as long as the check did.
const SHARE: u32 = 20;

/// What is told under this name.
const INTEGRITY: &str = "integrity";
const CHECKSUMS: &str = "checksums";

/// Checks until `stop` is cancelled.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let begun = Instant::now();
        let checking = async {
            tokio::select! {
                () = stop.cancelled() => None,
                found = check(&app) => Some(found),
            }
        };
        match checking.await {
            None => return,
            Some(Ok(damage)) => tell(&app, damage),
            // Who writes to it says that it does not answer; a damaged row also ends here when it cannot be read at all.
            Some(Err(error @ StoreError::Corrupt { .. })) => tell(&app, vec![error.to_string()]),
            Some(Err(error)) => {
                tracing::warn!(%error, "the database could not be checked; tried again later");
            }
        }
        pause = (begun.elapsed() * SHARE).max(EVERY);
    }
}

async fn check(app: &App) -> Result<Vec<String>, StoreError> {
    let store = app.store();
    let mut damage = store.check_structure().await?;
    damage.extend(store.check_rows().await?);
    if let Err(broken) = store.verify_audit().await? {
        damage.push(format!("the audit log: {broken}"));
    }
    let unguarded = store.page_checksums().await? == Some(false);
    let text = "PostgreSQL checks its pages by no checksums (data_checksums is off): what a disk damages is found in documents and \
                in the audit log only; stop the server and run pg_checksums --enable";
    app.notices.standing(CHECKSUMS, unguarded.then(|| text.to_owned()));
    Ok(damage)
}

fn tell(app: &App, damage: Vec<String>) {
    let text = damage.first().map(|first| {
        let more = damage.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        format!(
            "the database is damaged: {first}{more}; keep it as it is, look at the disk, and restore a backup"
        )
    });
    if let Some(text) = &text {
        tracing::error!("{text}");
    }
    app.notices.standing(INTEGRITY, text);
    *app.checked.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
        Checked { at: Some(app.now()), damage };
}
