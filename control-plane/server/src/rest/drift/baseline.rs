//! `POST /api/v1/drift/{id}/baseline`: accepts a file's present state as its baseline, if it is the state that the
//! operator was shown.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use nimbus_api::{BaselineRequest, FileState, Started};
use nimbus_control_core::model::{ChangeSet, Incident};
use nimbus_control_core::remediation;

use crate::app::App;
use crate::rest::caller::{Caller, Principal};
use crate::rest::error::ApiError;
use crate::rest::extract::{Body, Nothing, Params, Segment};
use crate::rest::retry::until_alone;
use crate::rest::view;

/// Accept a drifted file's present state, as it was shown, as its baseline; the order itself is the decision
#[utoipa::path(
    post, path = "/api/v1/drift/{id}/baseline", operation_id = "accept_baseline",
    tag = "drift", request_body = BaselineRequest,
    params(("id" = String, Path, description = "`inc_…`")),
    description = "Answers 409 `plan_changed` when the file changed again since it was shown. With `dry_run` it writes \
                   nothing.",
    responses((status = 200, description = "What was set in motion, or would be", body = Started))
)]
pub async fn baseline(
    State(app): State<Arc<App>>,
    Caller(caller): Caller,
    Segment(id): Segment,
    _: Params<Nothing>,
    Body(request): Body<BaselineRequest>,
) -> Result<Json<Started>, ApiError> {
    if request.shown.is_none() && !request.dry_run {
        return Err(ApiError::invalid("shown", "`after` of the drifted file, as it was shown", "none"));
    }
    Ok(Json(until_alone(|| attempt(&app, &caller, &id, &request)).await?))
}

async fn attempt(
    app: &App,
    caller: &Principal,
    id: &str,
    request: &BaselineRequest,
) -> Result<Started, ApiError> {
    let dry_run = request.dry_run;
    let incident = super::find(app, id).await?;
    let changes = decided(app, caller, &incident.doc, request.shown.as_ref()).await?;
    if !dry_run {
        app.commit(&changes).await?;
    }
    // Asked again, nothing changes: the order is in force already.
    let docs = app.docs().await?;
    let in_force = docs.plans.iter().find(|plan| Some(plan.doc.id) == incident.doc.plan_id);
    let in_force = in_force.filter(|_| changes.is_empty());
    let after = changes.incidents.iter().find(|changed| changed.doc.id == incident.doc.id);
    Ok(Started {
        dry_run,
        incident: view::incident(&after.unwrap_or(&incident).doc),
        plan: changes.plans.first().or(in_force).map(|plan| view::plan(&plan.doc)),
        approval_id: None,
    })
}

/// The decision and the comparison look at the same picture of the file.
async fn decided(
    app: &App,
    caller: &Principal,
    incident: &Incident,
    shown: Option<&FileState>,
) -> Result<ChangeSet, ApiError> {
    let docs = app.docs().await?;
    app.with_snapshot(&docs, |s| {
        let (now, ids) = (app.now(), &mut app.ids());
        let changes = remediation::accept_baseline(s, incident.id, caller.name(), now, ids)?;
        let (Some(shown), Some(seen)) = (shown, super::reported_drift(s.world, incident)) else {
            return Ok(changes);
        };
        let (path, file) = (incident.object.name(), view::file_now(seen));
        if !same(shown, &file) {
            return Err(changed(path, shown, &file));
        }
        // What nobody knows, because it cannot be read or is of another kind, could not be shown either.
        let known = !file.attributes_sha256.is_empty();
        if known && shown.attributes_sha256.is_empty() && view::attributes_differ(seen) {
            return Err(not_shown(path));
        }
        Ok(changes)
    })
}

/// A size or attributes that are not known on one side are no difference; everything else has to be equal.
fn same(shown: &FileState, now: &FileState) -> bool {
    let sizes = shown.size.zip(now.size);
    let unknown = shown.attributes_sha256.is_empty() || now.attributes_sha256.is_empty();
    let rest =
        FileState { size: now.size, attributes_sha256: now.attributes_sha256.clone(), ..shown.clone() };
    sizes.is_none_or(|(then, now)| then == now)
        && (unknown || shown.attributes_sha256 == now.attributes_sha256)
        && rest == *now
}

/// A client of an earlier version shows no attributes, and nobody accepts a capability that was not seen.
fn not_shown(path: &str) -> ApiError {
    let detail = format!("{path} has other attributes than its baseline, and they were not shown");
    ApiError::conflict("attributes_not_shown", detail)
        .expected("`after` of the drifted file with its `attributes_sha256`")
        .found("no `attributes_sha256`")
        .remedy("look at it again with a `nimbus` of this version: `nimbus drift show`")
}

fn changed(path: &str, shown: &FileState, now: &FileState) -> ApiError {
    ApiError::conflict("plan_changed", format!("{path} changed since it was shown; nothing was accepted"))
        .expected(describe(now))
        .found(describe(shown))
        .remedy("look at it again with `nimbus drift show` before you decide")
}

fn describe(state: &FileState) -> String {
    let FileState { kind, mode, uid, gid, size, sha256, attributes_sha256 } = state;
    let size = size.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
    let attributes = match attributes_sha256.as_str() {
        "" => String::new(),
        digest => format!(", attributes {digest}"),
    };
    format!("{kind}{size}, mode {mode}, owner {uid}:{gid}, sha256 {sha256}{attributes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_what_was_shown_has_to_be_there_still() {
        let state = |mode: &str, uid, size, sha256: &str| FileState {
            kind: "file".into(),
            mode: mode.into(),
            uid,
            gid: 0,
            size,
            sha256: sha256.into(),
            attributes_sha256: "11".into(),
        };
        let shown = state("0644", 0, Some(10), "aa");
        assert!(same(&shown, &shown));
        for other in [
            state("0600", 0, Some(10), "aa"),
            state("0644", 1, Some(10), "aa"),
            // Files that are too long to be hashed differ by their size alone.
            state("0644", 0, Some(11), "aa"),
            state("0644", 0, Some(10), "bb"),
            FileState { kind: "symlink".into(), ..shown.clone() },
            FileState { gid: 7, ..shown.clone() },
            FileState { attributes_sha256: "22".into(), ..shown.clone() },
        ] {
            assert!(!same(&shown, &other) && !same(&other, &shown), "{other:?}");
        }
        let of_unknown_size = FileState { size: None, ..shown.clone() };
        assert!(same(&of_unknown_size, &shown) && same(&shown, &of_unknown_size));
        let of_unknown_attributes = FileState { attributes_sha256: String::new(), ..shown.clone() };
        assert!(same(&of_unknown_attributes, &shown) && same(&shown, &of_unknown_attributes));
    }
}
