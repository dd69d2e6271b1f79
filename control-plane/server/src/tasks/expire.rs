//! Closes what is past its time: approvals, jobs, silences.

use nimbus_control_core::heal;
use nimbus_store::StoreError;

use super::pass::decide;
use crate::app::App;

/// One look.
pub async fn pass(app: &App) -> Result<bool, StoreError> {
    decide(app, "expire", |snapshot, now, _| heal::expire(snapshot, now)).await
}
