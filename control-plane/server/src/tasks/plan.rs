//! Plans remedies for open incidents and asks for approvals.

use nimbus_control_core::heal;
use nimbus_store::StoreError;

use super::pass::decide;
use crate::app::App;
use crate::failpoint;

/// One look.
pub async fn pass(app: &App) -> Result<bool, StoreError> {
    let planned = decide(app, "plan", |snapshot, now, ids| heal::plan(snapshot, now, ids)).await?;
    if planned {
        failpoint::hit("cp::planned");
    }
    Ok(planned)
}
