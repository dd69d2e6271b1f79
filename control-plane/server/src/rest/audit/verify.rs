//! `GET /api/v1/audit/verify`: verifies the audit log's hash chain in bounded pages.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use nimbus_api::{AuditMismatch, AuditVerification};
use nimbus_control_core::audit::{ChainError, Verifier};
use nimbus_control_core::model::AuditRow;
use nimbus_store::AuditHead;

use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Nothing, Params};
use crate::rest::limits::Limits;

/// Rows that are read at once.
const PAGE: u32 = 500;

/// Walk the whole audit chain
#[utoipa::path(
    get, path = "/api/v1/audit/verify", operation_id = "verify_audit", tag = "audit",
    description = "Answers 200 also when the chain is broken: `valid` says so. At most four walks at once.",
    responses((status = 200, description = "Whether the chain holds", body = AuditVerification))
)]
pub async fn verify(
    State(app): State<Arc<App>>,
    Extension(limits): Extension<Limits>,
    _: Params<Nothing>,
) -> Result<Json<AuditVerification>, ApiError> {
    let _walk = limits.walk()?;
    // Rows that are added meanwhile are not part of what is verified.
    let head = app.store().audit_head().await?;
    let mut walk = Walk::default();
    while walk.rows < head.seq {
        let limit = u32::try_from(head.seq - walk.rows).map_or(PAGE, |left| left.min(PAGE));
        let rows = app.store().audit_rows(walk.rows + 1, limit).await?;
        if rows.is_empty() || walk.take(&rows).is_err() {
            break;
        }
    }
    Ok(Json(walk.finish(&head, app.now())))
}

#[derive(Default)]
struct Walk {
    verifier: Verifier,
    rows: u64,
    head: Option<String>,
    broken: Option<ChainError>,
}

impl Walk {
    fn take(&mut self, rows: &[AuditRow]) -> Result<(), ()> {
        for row in rows {
            if let Err(error) = self.verifier.push(row) {
                self.broken = Some(error);
                return Err(());
            }
            self.rows = row.seq;
            self.head = Some(row.hash.clone());
        }
        Ok(())
    }

    fn finish(mut self, head: &AuditHead, now: jiff::Timestamp) -> AuditVerification {
        if self.broken.is_none() {
            self.broken = self.verifier.finish(Some(&head.hash)).err();
        }
        let mismatch = self.broken.map(|error| AuditMismatch {
            seq: error.seq,
            expected: error.expected,
            found: error.found,
        });
        AuditVerification {
            valid: mismatch.is_none(),
            rows: self.rows,
            head: self.head.unwrap_or_else(|| nimbus_control_core::model::GENESIS.to_owned()),
            verified_at: now,
            mismatch,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use nimbus_control_core::audit::hash;
    use nimbus_control_core::model::{AuditDraft, GENESIS};

    use super::*;

    fn chain(length: u64) -> Vec<AuditRow> {
        let mut prev = GENESIS.to_owned();
        let row = |seq| {
            let draft = AuditDraft {
                at: Timestamp::UNIX_EPOCH,
                actor: "operator".into(),
                action: "approval.approved".into(),
                subject: format!("apr_{seq}"),
                cluster: String::new(),
                detail: String::new(),
            };
            let hash = hash(&prev, seq, &draft);
            AuditRow { seq, prev: std::mem::replace(&mut prev, hash.clone()), hash, draft }
        };
        (1..=length).map(row).collect()
    }

    /// Verifies in pages of two against the head of the untouched chain.
    fn verified(rows: &[AuditRow], whole: &[AuditRow]) -> AuditVerification {
        let last = whole.last().unwrap();
        let mut walk = Walk::default();
        for page in rows.chunks(2) {
            if walk.take(page).is_err() {
                break;
            }
        }
        walk.finish(&AuditHead { seq: last.seq, hash: last.hash.clone() }, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn the_first_row_that_does_not_fit_is_named_with_what_fits_before_it() {
        let whole = chain(5);
        assert!(verified(&whole, &whole).valid);
        let mut changed = whole.clone();
        changed[3].draft.actor = "somebody".into();
        let found = verified(&changed, &whole);
        assert_eq!((found.valid, found.rows, &found.head), (false, 3, &whole[2].hash));
        assert_eq!(found.mismatch.unwrap().seq, 4);
        let mut removed = whole.clone();
        removed.remove(1);
        assert_eq!(verified(&removed, &whole).mismatch.unwrap().seq, 2);
        let cut = verified(&whole[..4], &whole).mismatch.unwrap();
        assert!(cut.seq == 5 && cut.expected.contains(&whole[4].hash), "{cut:?}");
    }
}
