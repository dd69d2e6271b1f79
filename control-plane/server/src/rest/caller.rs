//! The caller of an endpoint: the principal that the request was authenticated as.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use nimbus_api::OPERATOR;

use super::error::ApiError;

/// Somebody who may decide. This version has one: whoever holds the operator's token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal(String);

impl Principal {
    /// The holder of the operator's token.
    pub fn operator() -> Self {
        Self(OPERATOR.to_owned())
    }

    /// The name under which what it decides is audited.
    pub fn name(&self) -> &str {
        &self.0
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
