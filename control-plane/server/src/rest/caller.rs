//! The caller of an endpoint: the principal that the request was authenticated as.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use jiff::Timestamp;
use nimbus_api::OPERATOR;
use nimbus_control_core::model::AccessToken;

use super::error::ApiError;

/// Somebody who may decide: whoever holds the operator's token, or the person whom an access token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    groups: Vec<String>,
    /// The end of a person's token; the operator's has none.
    until: Option<Timestamp>,
}

impl Principal {
    /// The holder of the operator's token.
    pub fn operator() -> Self {
        Self { name: OPERATOR.to_owned(), groups: Vec::new(), until: None }
    }

    /// The person whom a token stands for.
    pub fn person(token: &AccessToken) -> Self {
        Self { name: token.name.clone(), groups: token.groups.clone(), until: Some(token.expires_at) }
    }

    /// The name under which what it decides is audited.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The groups that count for approvals.
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// The end of the token; `None`: the operator's, which has none.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Access tokens are made and taken back by the operator's token alone: a person cannot add people.
    pub fn require_operator(&self) -> Result<(), ApiError> {
        if self.until.is_none() {
            return Ok(());
        }
        Err(ApiError::operator_only(&self.name))
    }
}

/// The principal of a request, as `auth` found it; a request without one is refused.
pub struct Caller(pub Principal);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let found = parts.extensions.get::<Principal>().cloned();
        found.map(Self).ok_or_else(|| ApiError::unauthorized("none"))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use axum::response::IntoResponse as _;

    use super::*;

    #[tokio::test]
    async fn a_request_that_nobody_authorized_has_no_caller() {
        let (mut parts, ()) = Request::builder().uri("/x").body(()).unwrap().into_parts();
        let refusal = Caller::from_request_parts(&mut parts, &()).await.err().unwrap();
        assert_eq!(refusal.into_response().status(), 401);
        parts.extensions.insert(Principal::operator());
        let Caller(caller) = Caller::from_request_parts(&mut parts, &()).await.ok().unwrap();
        assert_eq!(caller.name(), OPERATOR);
    }
}
