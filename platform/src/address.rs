//! The address at which agents reach a control plane, as a person writes it and as a join token's command names it. The one
//! place of this rule: agent, control plane and command all take addresses by it.

use std::net::Ipv6Addr;

/// True for `HOST:PORT` with a port that can be dialled; the host is resolved later, at each connection.
pub fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host_ok = bare.map_or_else(|| is_host(host), |v6| v6.parse::<Ipv6Addr>().is_ok());
        host_ok
            && port.bytes().all(|it| it.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

/// A DNS name or an IPv4 address by its characters: it is printed into commands that people copy. An underscore is in no host's
/// name by the book, and in some by practice.
pub fn is_host(text: &str) -> bool {
    let may_be = |it: u8| it.is_ascii_alphanumeric() || b"-._".contains(&it);
    (1..=253).contains(&text.len()) && text.bytes().all(may_be) && !text.starts_with(['-', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for good in
            ["localhost:7443", "10.0.0.1:1", "[::1]:7443", "nimbus.example.com:65535", "a_b.example.:1"]
        {
            assert!(is_host_port(good), "{good}");
        }
        for bad in [
            "",
            "localhost",
            ":7443",
            "::1:7443",
            "https://host:7443",
            "host:0",
            "host:65536",
            "host:x",
            "host:+1",
            "a\n;rm:1",
            "a'b:1",
            "a;b:1",
            "$(x):1",
            "-o:1",
            "[a:b]:1",
            "[::1\n]:1",
        ] {
            assert!(!is_host_port(bad), "{bad}");
        }
    }
}
