//! The address at which agents reach a control plane, as a person writes it and as a join token's command names it.

/// True for `HOST:PORT` with a port that can be dialled; the host is resolved later, at each connection.
pub fn is_host_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host_ok = bare.map_or(!host.is_empty() && !host.contains([':', '/', ' ']), |v6| v6.contains(':'));
        host_ok && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_a_port() {
        for good in ["localhost:7443", "10.0.0.1:1", "[::1]:7443", "nimbus.example.com:65535"] {
            assert!(is_host_port(good), "{good}");
        }
        for bad in
            ["", "localhost", ":7443", "::1:7443", "https://host:7443", "host:0", "host:65536", "host:x"]
        {
            assert!(!is_host_port(bad), "{bad}");
        }
    }
}
