//! Opens, updates and resolves incidents by what the world shows.

use nimbus_control_core::heal;
use nimbus_store::StoreError;

use super::pass::decide;
use crate::app::App;

/// One look.
pub async fn pass(app: &App) -> Result<bool, StoreError> {
    decide(app, "diagnose", |snapshot, now, ids| heal::diagnose(snapshot, now, ids)).await
}
