//! The problem document and status of a refused request, for each kind of failure.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use nimbus_api::Problem;
use nimbus_api::text::escaped_json;
use nimbus_control_core::remediation::DecideError;
use nimbus_store::StoreError;

/// A refusal. Every handler's error, so that nothing ever answers anything but `application/problem+json`.
#[derive(Debug)]
pub struct ApiError {
    problem: Box<Problem>,
    retry_after_s: Option<u32>,
    conflict: bool,
}

impl ApiError {
    /// A refusal of the kind `code`, with one sentence on this occurrence.
    pub fn new(status: StatusCode, code: &str, title: &str, detail: impl Into<String>) -> Self {
        let problem = Problem {
            kind: format!("urn:nimbus:problem:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.to_owned(),
            ..Problem::default()
        };
        Self { problem: Box::new(problem), retry_after_s: None, conflict: false }
    }

    /// What would have been right.
    #[must_use]
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.problem.expected = Some(expected.into());
        self
    }

    /// What was there instead, cut to 200 characters.
    #[must_use]
    pub fn found(mut self, found: impl Into<String>) -> Self {
        let found: String = found.into();
        self.problem.found = Some(found.chars().take(200).collect());
        self
    }

    /// What to do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.problem.remedy = Some(remedy.into());
        self
    }

    /// Seconds after which the same may be tried again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Nobody who may ask was shown.
    pub fn unauthorized(found: &str) -> Self {
        let detail = "this needs the operator's token, or an access token";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Not authorized", detail)
            .expected(
                "a header Authorization of type Bearer with what operator.token in the data directory holds, or with an \
                 access token that is neither over nor revoked",
            )
            .found(found)
            .remedy("set NIMBUS_TOKEN, or use the context that `nimbus up` made")
    }

    /// A person asks what the operator's token alone may.
    pub fn operator_only(name: &str) -> Self {
        let detail =
            "this needs the operator's token: a person cannot make or take back the tokens of others";
        Self::new(StatusCode::FORBIDDEN, "operator_only", "Refused by policy", detail)
            .expected("the operator's token")
            .found(format!("the access token of {name}"))
    }

    /// There is no `what` called `id`.
    pub fn not_found(what: &str, id: &str, remedy: &str) -> Self {
        let detail = format!("there is no {what} {}", id.chars().take(100).collect::<String>());
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail).remedy(remedy)
    }

    /// A parameter or a field that cannot be used.
    pub fn invalid(name: &str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        let detail = format!("{name} cannot be used");
        Self::new(StatusCode::BAD_REQUEST, "invalid", "The request cannot be used", detail)
            .expected(expected)
            .found(found)
            .remedy("correct it and send it again")
    }

    /// The state of things does not allow it.
    pub fn conflict(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "Not possible as things stand", detail)
    }

    /// The control plane has no room for the request now.
    pub fn overloaded(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "Too much at once", detail)
            .remedy("try again in a moment")
            .retry_after(1)
    }

    /// Something that cannot be; the log says more than the answer.
    pub fn internal(what: &str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "{what}");
        let detail = format!("{what}; the control plane's log says more");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The control plane failed", detail)
    }

    /// Somebody else was first: reading again and deciding anew may succeed.
    pub fn is_conflict(&self) -> bool {
        self.conflict
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Texts and a number: there is nothing in it that JSON could refuse.
        let body = escaped_json(&serde_json::to_string(&self.problem).unwrap_or_default());
        let json = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, json)], body).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        let unavailable = |code: &str, seconds| {
            tracing::warn!(%error, "the store cannot serve a request");
            let title = "The database cannot serve this now";
            Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, error.to_string()).retry_after(seconds)
        };
        match &error {
            StoreError::Conflict { .. } => {
                let detail = "somebody else changed the same thing at the same moment; nothing was written";
                let mut refusal =
                    Self::conflict("changed_meanwhile", detail).remedy("look again and repeat it");
                refusal.conflict = true;
                refusal
            }
            StoreError::Invalid { expected, found } => Self::invalid("a parameter", expected, found),
            StoreError::Full { .. } => unavailable("storage_full", 30),
            StoreError::Locked { .. } => unavailable("storage_busy", 1),
            // Asking again here does not help: another one serves from this database.
            StoreError::Superseded { .. } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "superseded",
                "Another control plane has taken over",
                error.to_string(),
            ),
            error if error.is_transient() => unavailable("storage_unreachable", 5),
            error => Self::internal("the database refused a statement", error),
        }
    }
}

impl From<DecideError> for ApiError {
    fn from(error: DecideError) -> Self {
        let detail = error.to_string();
        match error {
            DecideError::DigestChanged { shown, found } => {
                Self::conflict("plan_changed", "the plan changed since it was shown; nothing was changed")
                    .expected(format!("plan digest {found}"))
                    .found(format!("plan digest {shown}"))
                    .remedy("look at the plan again before you decide")
            }
            DecideError::AlreadyDecided { state, by, .. } => Self::conflict("already_decided", detail)
                .expected("a pending approval")
                .found(format!("{state} by {by}")),
            DecideError::Used { .. } => Self::conflict("used", detail),
            DecideError::Expired { .. } => Self::conflict("expired", detail),
            DecideError::Superseded { .. } => Self::conflict("superseded", detail),
            DecideError::OwnRequest { .. } => {
                Self::new(StatusCode::FORBIDDEN, "own_request", "Refused by policy", detail)
            }
            DecideError::NotAsked { id, needed, by, groups } => {
                Self::new(StatusCode::FORBIDDEN, "not_asked", "Refused by policy", detail)
                    .expected(needed)
                    .found(format!("{by}, who is in {groups}"))
                    .remedy(format!(
                        "ask one of them; in an emergency break the glass: `nimbus approve {id} --break-glass --reason TEXT`"
                    ))
            }
            DecideError::WordGiven { .. } => Self::conflict("word_given", detail),
            DecideError::NoGlass { .. } => Self::conflict("no_glass", detail),
            DecideError::NoReason { .. } => Self::invalid("reason", "at least one word", "none"),
            DecideError::NothingToReview { .. } => Self::conflict("nothing_to_review", detail),
            DecideError::Reviewed { .. } => Self::conflict("reviewed", detail),
            DecideError::OwnGlass { .. } => {
                Self::new(StatusCode::FORBIDDEN, "own_glass", "Refused by policy", detail)
            }
            DecideError::NoIncident(_) => Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail),
            DecideError::Resolved(_) => Self::conflict("resolved", detail),
            DecideError::JobRunning { .. } => Self::conflict("job_running", detail),
            DecideError::AgentsConnected { .. } => Self::conflict("agents_connected", detail).remedy(
                "`helm uninstall` them in their cluster, or stop them; or refuse them at once, with --force",
            ),
            DecideError::AgentsComeBack { .. } => Self::conflict("agents_come_back", detail)
                .remedy("wait until then; or refuse whoever comes, with --force"),
            DecideError::WrongKind { expected, found } => {
                Self::conflict("wrong_kind", detail).expected(expected.to_string()).found(found.to_string())
            }
            DecideError::NotAccepted { .. } => Self::conflict("not_accepted", detail)
                .remedy("`nimbus drift baseline list` shows what was accepted and what became of it"),
            DecideError::NotAllowed(_) => {
                Self::new(StatusCode::FORBIDDEN, "not_allowed", "Refused by policy", detail)
            }
            DecideError::NotInForce { .. } => Self::conflict("not_in_force", detail)
                .remedy("`nimbus drift show` says what the baseline is now"),
            DecideError::NoBaseline { .. } => Self::conflict("no_baseline", detail),
            DecideError::Unknown(_) => Self::conflict("state_unknown", detail),
            DecideError::NotAModeToEnable(found) => Self::invalid("mode", "recommend or act", found.as_str()),
            DecideError::NotAClusterRule { expected, found } => {
                Self::invalid("rules", expected, found.to_string())
            }
            DecideError::NotDenied { .. } => Self::conflict("not_denied", detail),
            DecideError::SilenceEnds(at) => {
                Self::invalid("for_seconds", "an end of the silence after now", at.to_string())
            }
            DecideError::Mismatch { .. } => Self::internal("an approval and its plan do not fit", &detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_problem_document_with_the_headers_that_belong_to_it() {
        let refusal = ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "No", "no token");
        let response = refusal.into_response();
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        let response = ApiError::overloaded("x").into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &HeaderValue::from(1))
        );
    }

    #[tokio::test]
    async fn a_problem_document_holds_nothing_that_a_terminal_obeys_or_hides() {
        let refusal = ApiError::new(StatusCode::CONFLICT, "x", "No", "a\u{202e}b\u{9b}");
        let body = axum::body::to_bytes(refusal.into_response().into_body(), 10_000).await.unwrap();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text.contains("a\\u202eb\\u009b"), "{text}");
    }

    #[test]
    fn what_passes_by_itself_asks_to_come_back_and_what_does_not_hides_its_inside() {
        let full = StoreError::Full { at: "sqlite:///x".into(), detail: "full".into() };
        assert_eq!(ApiError::from(full).into_response().status(), 503);
        let broken = StoreError::Database { at: "sqlite:///x".into(), detail: "no such table".into() };
        let refusal = ApiError::from(broken);
        assert_eq!(refusal.problem.status, 500);
        assert!(!refusal.problem.detail.contains("no such table"));
        let conflict = StoreError::Conflict { table: "x", id: "y".into(), detail: String::new() };
        assert!(ApiError::from(conflict).is_conflict());
    }

    #[test]
    fn a_long_finding_is_cut() {
        let refusal = ApiError::invalid("limit", "a number", "9".repeat(10_000));
        assert_eq!(refusal.problem.found.map(|f| f.len()), Some(200));
    }
}
