//! Asks an HTTP proxy for a tunnel with CONNECT (RFC 9110, section 9.3.6).

use http::header::{HOST, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Most bytes of the proxy's answer that are held.
const MAX_ANSWER: usize = 16 * 1024;

/// Why there is no tunnel.
#[derive(Debug)]
pub enum NoTunnel {
    /// The proxy cannot be reached.
    Unreachable(String),
    /// It answered with this status instead.
    Status(StatusCode),
    /// It wants another kind of proof than a user and a password in the clear, which is all that this agent has; these it takes.
    OtherScheme(String),
    /// It opened the tunnel with this status, and so many bytes came out of it before anything was sent: in TLS the client speaks first.
    Early(StatusCode, usize),
    /// What came is no answer to CONNECT, or none came.
    Broken(String),
}

/// The schemes of authentication that the proxy offers, if it says so and Basic is none of them.
fn other_schemes<B>(answer: &Response<B>) -> Option<String> {
    let offered = answer.headers().get_all(PROXY_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let offered: Vec<&str> = offered.collect();
    // Each begins with the scheme's name; what follows, and a further scheme behind a comma, has its own form.
    let named = |text: &str| -> String {
        text.split([' ', ',']).next().unwrap_or_default().chars().take(32).collect()
    };
    let is_plain = |name: &String| {
        !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it))
    };
    let schemes: Vec<String> = offered.iter().map(|text| named(text)).filter(is_plain).take(8).collect();
    let has_basic = offered.iter().any(|text| text.to_ascii_lowercase().contains("basic"));
    (!schemes.is_empty() && !has_basic).then(|| schemes.join(", "))
}

/// The stream through the proxy at `proxy` (`HOST:PORT`) to `server` (`HOST:PORT`).
pub async fn open(proxy: &str, server: &str, auth: Option<HeaderValue>) -> Result<TcpStream, NoTunnel> {
    let stream = TcpStream::connect(proxy).await.map_err(|error| NoTunnel::Unreachable(error.to_string()))?;
    let broken = |error: &hyper::Error| NoTunnel::Broken(nimbus_platform::chain(error));
    let mut http = http1::Builder::new();
    // Old proxies know names of headers as they used to be written.
    http.max_buf_size(MAX_ANSWER).title_case_headers(true);
    let (mut requests, driving) =
        http.handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
    // It ends when the answer gives the stream away, or was no tunnel and the requests are dropped; the request tells of errors.
    tokio::spawn(driving.with_upgrades());
    let mut request = Request::connect(server).header(HOST, server);
    if let Some(auth) = auth {
        request = request.header(PROXY_AUTHORIZATION, auth);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(|error| NoTunnel::Broken(error.to_string()))?;
    let answer = requests.send_request(request).await.map_err(|error| broken(&error))?;
    let status = answer.status();
    if !status.is_success() {
        if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            && let Some(schemes) = other_schemes(&answer)
        {
            return Err(NoTunnel::OtherScheme(schemes));
        }
        return Err(NoTunnel::Status(status));
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(|error| broken(&error))?;
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| NoTunnel::Broken("a stream of another kind".to_owned()))?;
    if !parts.read_buf.is_empty() {
        return Err(NoTunnel::Early(status, parts.read_buf.len()));
    }
    Ok(parts.io.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemes_that_a_proxy_offers_are_named_where_this_agent_knows_none_of_them() {
        let offers = |values: &[&'static str]| {
            let answer = values
                .iter()
                .fold(Response::builder(), |answer, value| answer.header(PROXY_AUTHENTICATE, *value));
            other_schemes(&answer.body(()).unwrap())
        };
        assert_eq!(offers(&[]), None);
        assert_eq!(offers(&["Basic realm=\"x\""]), None);
        assert_eq!(offers(&["Negotiate", "NTLM", "basic realm=x"]), None);
        assert_eq!(offers(&["Negotiate, Basic realm=x"]), None);
        assert_eq!(offers(&["Negotiate", "NTLM"]), Some("Negotiate, NTLM".to_owned()));
        assert_eq!(offers(&["\"quoted\""]), None, "no scheme's name");
    }
}
