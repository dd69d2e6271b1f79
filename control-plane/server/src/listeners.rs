//! Takes the addresses that a control plane listens on, before anything is written.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use crate::config::{AgentTcp, Config};
use crate::error::StartError;
use crate::gateway::Listeners;

/// How often a free port is looked for that is free for both UDP and TCP.
const TRIES: usize = 16;

/// Takes `address`; one that cannot be taken is told with the `option` that names it.
pub fn bind<T>(
    address: SocketAddr,
    purpose: &'static str,
    option: &'static str,
    bind: impl FnOnce(SocketAddr) -> std::io::Result<T>,
) -> Result<T, StartError> {
    bind(address).map_err(|error| StartError::listen(address, purpose, option, error))
}

/// Takes the addresses for agents.
pub fn bind_for_agents(config: &Config) -> Result<Listeners, StartError> {
    let quic = || bind(config.quic, "QUIC", "--quic", UdpSocket::bind);
    let tcp = |address, option| bind(address, "TCP for agents", option, TcpListener::bind);
    match config.tcp {
        AgentTcp::Off => Ok(Listeners { quic: quic()?, tcp: None }),
        AgentTcp::At(address) => Ok(Listeners { quic: quic()?, tcp: Some(tcp(address, "--tcp")?) }),
        AgentTcp::Beside => {
            let mut left = if config.quic.port() == 0 { TRIES } else { 1 };
            loop {
                let socket = quic()?;
                let address = socket
                    .local_addr()
                    .map_err(|error| StartError::listen(config.quic, "QUIC", "--quic", error))?;
                left -= 1;
                match tcp(address, "--quic") {
                    Ok(listener) => return Ok(Listeners { quic: socket, tcp: Some(listener) }),
                    // The free port that the system chose for UDP may be taken for TCP.
                    Err(error) if left == 0 => return Err(error),
                    Err(_) => {}
                }
            }
        }
    }
}
