//! Single requests to the API server, with a time limit and with errors that say what to do.

use std::fmt::Write as _;
use std::time::Duration;

use kube::Client;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longest wait for one answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The API server refused it.
    #[error("{code} {reason}: {message}")]
    Api {
        /// HTTP status.
        code: u16,
        /// The machine-readable reason.
        reason: String,
        /// The API server's message.
        message: String,
        /// Causes it gave, one line.
        causes: String,
    },
    /// There was no usable answer; the request may or may not have taken effect.
    #[error("{0}")]
    Unanswered(String),
}

impl RequestError {
    /// HTTP status of a refusal; 0 when there was no answer.
    pub fn code(&self) -> u16 {
        if let Self::Api { code, .. } = self { *code } else { 0 }
    }
}

impl From<kube::Error> for RequestError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => {
                let causes = status.details.iter().flat_map(|details| &details.causes);
                let causes: Vec<_> = causes.map(|cause| cause.message.clone()).collect();
                Self::Api {
                    code: status.code,
                    reason: status.reason,
                    message: status.message,
                    causes: causes.join("; "),
                }
            }
            other => Self::Unanswered(nimbus_platform::chain(&other)),
        }
    }
}

/// Reads `path`.
pub async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Result<T, RequestError> {
    send(client, http::Request::get(path), Vec::new()).await
}

/// Reads `path` as a representation that the API server gives another name than plain JSON, such as its public keys.
pub async fn get_as<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    accept: &'static str,
) -> Result<T, RequestError> {
    send_accepting(client, http::Request::get(path), Vec::new(), accept).await
}

/// Reads `path`; `None` where there is no such object.
pub async fn get_optional<T: DeserializeOwned>(
    client: &Client,
    path: &str,
) -> Result<Option<T>, RequestError> {
    match get(client, path).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

/// Posts `body` to `path`.
pub async fn post<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    body: &impl Serialize,
) -> Result<T, RequestError> {
    let request = http::Request::post(path).header("content-type", "application/json");
    send(client, request, bytes(body)?).await
}

/// Replaces the object at `path`.
pub async fn put<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    body: &impl Serialize,
) -> Result<T, RequestError> {
    let request = http::Request::put(path).header("content-type", "application/json");
    send(client, request, bytes(body)?).await
}

/// Applies a JSON patch (RFC 6902) to the object at `url`; a `test` in it that fails changes nothing.
pub async fn json_patch<T: DeserializeOwned>(
    client: &Client,
    url: &str,
    patch: &serde_json::Value,
) -> Result<T, RequestError> {
    send_patch(client, format!("{url}?fieldManager=nimbus-agent"), patch).await
}

/// The same as a dry run: the API server says whether it would take it, its admission included, and changes nothing.
pub async fn json_patch_dry_run<T: DeserializeOwned>(
    client: &Client,
    url: &str,
    patch: &serde_json::Value,
) -> Result<T, RequestError> {
    send_patch(client, format!("{url}?fieldManager=nimbus-agent&dryRun=All"), patch).await
}

async fn send_patch<T: DeserializeOwned>(
    client: &Client,
    url: String,
    patch: &serde_json::Value,
) -> Result<T, RequestError> {
    let request = http::Request::patch(url).header("content-type", "application/json-patch+json");
    send(client, request, bytes(patch)?).await
}

fn bytes(body: &impl Serialize) -> Result<Vec<u8>, RequestError> {
    serde_json::to_vec(body).map_err(|error| RequestError::Unanswered(error.to_string()))
}

async fn send<T: DeserializeOwned>(
    client: &Client,
    request: http::request::Builder,
    body: Vec<u8>,
) -> Result<T, RequestError> {
    send_accepting(client, request, body, "application/json").await
}

async fn send_accepting<T: DeserializeOwned>(
    client: &Client,
    request: http::request::Builder,
    body: Vec<u8>,
    accept: &'static str,
) -> Result<T, RequestError> {
    let request = request
        .header("accept", accept)
        .body(body)
        .map_err(|error| RequestError::Unanswered(error.to_string()))?;
    match tokio::time::timeout(TIMEOUT, client.request::<T>(request)).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(RequestError::Unanswered(format!("no answer within {} s", TIMEOUT.as_secs()))),
    }
}

/// A foreign text as a value in a query.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// `name` if it is one path segment: Kubernetes names hold no `/`, `?`, `#` or `%`.
pub fn segment(name: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    (!name.is_empty() && name.len() <= 253 && name.chars().all(plain) && name != "." && name != "..")
        .then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_a_path() {
        assert_eq!(segment("web-7d4b9c.x"), Some("web-7d4b9c.x"));
        for bad in ["", ".", "..", "a/b", "a?b", "a%2fb", "a#b", "a b", &"x".repeat(254)] {
            assert_eq!(segment(bad), None, "{bad}");
        }
    }
}
