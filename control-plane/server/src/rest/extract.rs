//! Extracts parameters and bodies from requests. Anything unknown, duplicated or out of bounds is refused with a
//! problem document that names the place.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use jiff::Timestamp;
use nimbus_api::MAX_LIMIT;
use nimbus_protocol::words::UnknownWord;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// Longest reason that a person may give, characters.
pub const MAX_REASON: usize = 1_000;
/// Most bytes of a request's body.
pub const MAX_BODY: usize = 1 << 20;

/// Query parameters; an unknown one is refused.
pub struct Params<T>(pub T);

/// The id or name in the path.
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| ApiError::invalid("the path", "an id or a name", rejection.body_text()))?;
        printable("the path", &text)?;
        Ok(Self(text))
    }
}

/// The parts of a path that has several.
#[derive(Debug)]
pub struct Segments<const N: usize>(pub [String; N]);

impl<S: Send + Sync, const N: usize> FromRequestParts<S> for Segments<N> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let wrong = |found: String| ApiError::invalid("the path", "ids or names", found);
        let Path(texts) = Path::<Vec<String>>::from_request_parts(parts, state)
            .await
            .map_err(|rejection| wrong(rejection.body_text()))?;
        for text in &texts {
            printable("the path", text)?;
        }
        let texts =
            <[String; N]>::try_from(texts).map_err(|texts| wrong(format!("{} parts", texts.len())))?;
        Ok(Self(texts))
    }
}

/// Refuses control characters: no name or cursor has one, and not every database takes them.
fn printable(name: &str, text: &str) -> Result<(), ApiError> {
    if text.chars().any(char::is_control) {
        return Err(ApiError::invalid(name, "text without control characters", "some in it"));
    }
    Ok(())
}

/// For endpoints that take no parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let malformed = |detail: String| {
            // "unknown field `x`, expected `limit` or `after`": serde's sentence already says both.
            let text = detail.trim_start_matches("Failed to deserialize query string: ");
            let (found, expected) =
                text.split_once(", expected ").unwrap_or((text, "known parameters, once each"));
            ApiError::invalid("the query", expected, found.replace("unknown field", "unknown parameter"))
        };
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| malformed(error.body_text()))?;
        for (name, value) in &pairs {
            printable(name, value)?;
        }
        for (_, value) in pairs.iter().filter(|(name, _)| name == "limit") {
            let fits = value.parse().is_ok_and(|limit: u32| (1..=MAX_LIMIT).contains(&limit));
            if !fits {
                let expected = format!("a whole number from 1 to {MAX_LIMIT}");
                return Err(ApiError::invalid("limit", expected, value));
            }
        }
        let Query(value) = Query::try_from_uri(&parts.uri).map_err(|error| malformed(error.body_text()))?;
        Ok(Self(value))
    }
}

/// A JSON body of at most [`MAX_BODY`] bytes; an unknown field is refused.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            let title = "The body is of another type";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            let found = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            return Err(ApiError::new(status, "unsupported_media_type", title, "the body cannot be read")
                .expected("content-type application/json")
                .found(found.unwrap_or("none")));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| body_error(&rejection))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| json_error(&error))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn body_error(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let title = "The body is too long";
        return ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", title, "the body was not read")
            .expected(format!("at most {MAX_BODY} bytes"))
            .found("more");
    }
    ApiError::invalid("the body", "a whole body", rejection.body_text())
}

fn json_error(error: &serde_json::Error) -> ApiError {
    // The sentence of serde_json names the place ("at line 1 column 7") and never repeats the whole body.
    ApiError::invalid("the body", "a JSON document as the OpenAPI document describes it", error.to_string())
}

/// A person's reason, fit for the audit log: one line, at most [`MAX_REASON`] characters.
pub fn reason(text: &str) -> Result<String, ApiError> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let length = line.chars().count();
    if length > MAX_REASON {
        let expected = format!("at most {MAX_REASON} characters");
        return Err(ApiError::invalid("reason", expected, format!("{length} characters")));
    }
    printable("reason", &line)?;
    Ok(line)
}

/// A word of a known set.
pub fn word<T: std::str::FromStr<Err = UnknownWord>>(name: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|unknown: UnknownWord| {
        ApiError::invalid(name, format!("one of {}", unknown.expected), unknown.found)
    })
}

/// A time (RFC 3339).
pub fn time(name: &str, text: Option<&str>) -> Result<Option<Timestamp>, ApiError> {
    text.map(|text| {
        let expected = "a time such as 2026-01-31T08:00:00Z (RFC 3339)";
        text.parse().map_err(|_| ApiError::invalid(name, expected, text))
    })
    .transpose()
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use nimbus_api::{IncidentQuery, PageQuery};

    use super::*;

    async fn query<T: DeserializeOwned>(uri: &str) -> Result<T, String> {
        let (mut parts, ()) = Request::builder().uri(uri).body(()).unwrap().into_parts();
        match Params::<T>::from_request_parts(&mut parts, &()).await {
            Ok(Params(value)) => Ok(value),
            Err(refusal) => {
                let response = refusal.into_response();
                assert_eq!(response.status(), 400);
                let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
                Err(String::from_utf8(bytes.to_vec()).unwrap())
            }
        }
    }

    #[tokio::test]
    async fn parameters_are_read_or_refused_by_name() {
        let good: IncidentQuery = query("/x?state=open&limit=500&after=abc").await.unwrap();
        assert_eq!(
            (good.state.as_deref(), good.limit, good.after.as_deref()),
            (Some("open"), Some(500), Some("abc"))
        );
        for limit in ["0", "501", "-1", "x", "", "1.5", "99999999999999999999"] {
            let error = query::<PageQuery>(&format!("/x?limit={limit}")).await.unwrap_err();
            assert!(error.contains("a whole number from 1 to 500"), "{error}");
        }
        let error = query::<IncidentQuery>("/x?stat=open").await.unwrap_err();
        assert!(error.contains("unknown parameter `stat`") && error.contains("`state`"), "{error}");
        assert!(query::<Nothing>("/x?limit=1").await.unwrap_err().contains("limit"));
        assert!(query::<PageQuery>("/x?limit=1&limit=2").await.is_err());
        assert!(query::<Nothing>("/x").await.is_ok());
    }

    #[test]
    fn a_reason_is_one_short_line() {
        assert_eq!(reason("  a\n b\t").unwrap(), "a b");
        assert!(reason("\u{1b}[31mred").is_err());
        assert!(reason(&"ä".repeat(MAX_REASON)).is_ok());
        assert!(reason(&"a".repeat(MAX_REASON + 1)).is_err());
    }
}
