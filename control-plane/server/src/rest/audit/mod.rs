//! The endpoints of the audit log: list, export and verify.

pub mod export;
pub mod format;
pub mod list;
pub mod verify;

use nimbus_store::AuditFilter;

use super::error::ApiError;
use super::extract::time;

/// The conditions that lists and exports share.
fn filter(
    user: Option<String>,
    action: Option<String>,
    since: Option<&str>,
    until: Option<&str>,
) -> Result<AuditFilter, ApiError> {
    Ok(AuditFilter {
        actor: user,
        action,
        since: time("since", since)?,
        until: time("until", until)?,
        ..AuditFilter::default()
    })
}
