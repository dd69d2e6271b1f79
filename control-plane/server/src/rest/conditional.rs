//! Responses with an ETag: a client that has the current version of an item receives 304 without a body.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::ApiError;

/// What the client has already.
pub struct Conditional(Option<String>);

impl<S: Sync> FromRequestParts<S> for Conditional {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get(header::IF_NONE_MATCH);
        Ok(Self(header.and_then(|value| value.to_str().ok()).map(ToOwned::to_owned)))
    }
}

impl Conditional {
    /// `item` with its ETag (a hash of what would be sent), or 304 when the client has just that.
    pub fn answer(&self, item: &impl Serialize) -> Result<Response, ApiError> {
        let body = serde_json::to_vec(item).map_err(|error| ApiError::internal("an answer", &error))?;
        let tag = format!("\"{}\"", hex::encode(&nimbus_protocol::sha256(&body)[..16]));
        let same = self.0.as_deref().is_some_and(|tags| matches(tags, &tag));
        let mut response = if same {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        };
        // A quoted hex text is a valid header.
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        Ok(response)
    }
}

/// Whether a list of tags has this one; weak tags compare by their text.
fn matches(tags: &str, tag: &str) -> bool {
    tags.trim() == "*" || tags.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_item_is_not_sent_twice_and_a_changed_one_is() {
        let first = Conditional(None).answer(&"one").unwrap();
        let tag = first.headers()["etag"].to_str().unwrap().to_owned();
        assert_eq!(first.status(), 200);
        for same in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            assert_eq!(Conditional(Some(same)).answer(&"one").unwrap().status(), 304);
        }
        assert_eq!(Conditional(Some(tag)).answer(&"two").unwrap().status(), 200);
    }
}
