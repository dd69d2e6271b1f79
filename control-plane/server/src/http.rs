//! The listener for operators: plain HTTP on a loopback address only, TLS everywhere else.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use tokio::task::JoinHandle;

use crate::ca::Leaf;
use crate::config::Config;
use crate::error::StartError;
use crate::tls;

/// A listener that is served until it is stopped.
pub struct Running {
    address: SocketAddr,
    tls: bool,
    handle: Handle<SocketAddr>,
    task: JoinHandle<()>,
}

impl Running {
    /// Serves `router` on `listener`.
    pub fn start(
        config: &Config,
        listener: TcpListener,
        leaf: Arc<Leaf>,
        router: Router,
    ) -> Result<Self, StartError> {
        let wrong = |error| StartError::listen(config.listen, "REST", "--listen", error);
        listener.set_nonblocking(true).map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let handle = Handle::new();
        let serving = handle.clone();
        let tls = config.rest_is_tls();
        let task = if tls {
            let config = match &config.tls {
                Some((certificate, key)) => tls::for_operators_given(certificate, key)?,
                None => tls::for_operators(leaf)?,
            };
            let config = RustlsConfig::from_config(Arc::new(config));
            let server = axum_server::from_tcp_rustls(listener, config).map_err(wrong)?.handle(serving);
            tokio::spawn(async move { ended(server.serve(service).await) })
        } else {
            let server = axum_server::from_tcp(listener).map_err(wrong)?.handle(serving);
            tokio::spawn(async move { ended(server.serve(service).await) })
        };
        Ok(Self { address, tls, handle, task })
    }

    /// Where operators are served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators are served, as a URL.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Lets the requests that run finish, up to `patience`.
    pub async fn stop(self, patience: Duration) {
        self.handle.graceful_shutdown(Some(patience));
        let _ = tokio::time::timeout(patience + Duration::from_millis(200), self.task).await;
    }
}

fn ended(served: std::io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, "REST is no longer served");
    }
}
