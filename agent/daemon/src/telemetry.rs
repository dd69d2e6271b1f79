//! `/healthz`, `/readyz` and `/metrics` (Prometheus text). Nothing secret is shown; it needs no credentials.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::counters::{Counters, OUTCOMES};
use crate::status::{SharedStatus, Status, TRANSPORTS};

#[derive(Clone)]
struct Shown {
    status: Arc<SharedStatus>,
    counters: Arc<Counters>,
}

/// Serves until cancelled.
pub async fn run(
    listener: TcpListener,
    status: Arc<SharedStatus>,
    counters: Arc<Counters>,
    cancel: CancellationToken,
) {
    let app = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Shown { status: status.clone(), counters });
    let served = axum::serve(listener, app).with_graceful_shutdown(cancel.cancelled_owned()).await;
    if let Err(error) = served {
        status.problem(
            "telemetry",
            Some(format!("the telemetry listener stopped: {error}; restart the agent")),
        );
    }
}

async fn ready(State(shown): State<Shown>) -> impl IntoResponse {
    let status = shown.status.status();
    let mut text = String::new();
    let _ = writeln!(text, "connected: {}", status.connected);
    if status.connected {
        let _ = writeln!(text, "transport: {}", status.transport);
    }
    if status.has_cluster {
        let cluster = if status.leading && status.synced {
            "leading, listed"
        } else if status.leading {
            "leading, not listed yet"
        } else if status.standing_by {
            "standing by"
        } else {
            "not reached"
        };
        let _ = writeln!(text, "cluster: {cluster}");
    }
    for problem in &status.problems {
        let _ = writeln!(text, "problem: {problem}");
    }
    let code = if status.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, text)
}

async fn metrics(State(shown): State<Shown>) -> impl IntoResponse {
    let text = render(&shown.status.status(), &shown.counters, resident_bytes());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

fn render(status: &Status, counters: &Counters, resident: u64) -> String {
    let mut out = String::with_capacity(2_048);
    let mut one = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    let c = counters;
    one("nimbus_agent_connected", "gauge", "1 while a session is live.", status.connected.into());
    one(
        "nimbus_agent_leading",
        "gauge",
        "1 while this replica holds the watch lease.",
        status.leading.into(),
    );
    one("nimbus_agent_ready", "gauge", "1 while /readyz says so.", status.ready().into());
    one("nimbus_agent_problems", "gauge", "Problems an operator should know.", status.problems.len() as u64);
    one(
        "nimbus_agent_spool_observations",
        "gauge",
        "Observations not acknowledged.",
        c.spool_observations.get(),
    );
    one("nimbus_agent_spool_bytes", "gauge", "Bytes of the spool on disk.", c.spool_bytes.get());
    one(
        "nimbus_agent_spool_dropped_total",
        "counter",
        "Observations dropped by a full spool.",
        c.spool_dropped.get(),
    );
    one(
        "nimbus_agent_observations_sent_total",
        "counter",
        "Observations sent, repeats included.",
        c.observations_sent.get(),
    );
    one(
        "nimbus_agent_connections_total",
        "counter",
        "Connections made to the control plane.",
        c.connections.get(),
    );
    one("nimbus_agent_watched_files", "gauge", "Files with a baseline.", c.watched_files.get());
    one(
        "nimbus_agent_kubelet_reads_total",
        "counter",
        "Times the figures of the own node's kubelet were read.",
        c.kubelet_reads.get(),
    );
    one(
        "nimbus_agent_kubelet_failures_total",
        "counter",
        "Times they could not be read and are unknown.",
        c.kubelet_failures.get(),
    );
    one("process_resident_memory_bytes", "gauge", "Resident memory.", resident);
    let _ = writeln!(
        out,
        "# HELP nimbus_agent_session 1 for the way of the live session.\n# TYPE nimbus_agent_session gauge"
    );
    for transport in TRANSPORTS {
        let taken = u8::from(status.connected && status.transport == transport);
        let _ = writeln!(out, "nimbus_agent_session{{transport=\"{transport}\"}} {taken}");
    }
    let _ = writeln!(
        out,
        "# HELP nimbus_agent_jobs_total Jobs by outcome.\n# TYPE nimbus_agent_jobs_total counter"
    );
    for (outcome, figure) in OUTCOMES.iter().zip(&counters.jobs) {
        let _ = writeln!(out, "nimbus_agent_jobs_total{{outcome=\"{outcome}\"}} {}", figure.get());
    }
    out
}

/// From `/proc/self/statm`, in bytes; 0 where that cannot be read.
fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()));
    pages.unwrap_or_default() * rustix::param::page_size() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_its_line_and_the_own_memory_is_known() {
        let counters = Counters::default();
        counters.job("refused");
        counters.spool_bytes.set(7);
        let text = render(
            &Status { leading: true, connected: true, transport: "tcp".into(), ..Status::default() },
            &counters,
            resident_bytes(),
        );
        for line in [
            "nimbus_agent_leading 1",
            "nimbus_agent_connected 1",
            "nimbus_agent_session{transport=\"quic\"} 0",
            "nimbus_agent_session{transport=\"tcp\"} 1",
            "nimbus_agent_spool_bytes 7",
            "nimbus_agent_jobs_total{outcome=\"refused\"} 1",
            "nimbus_agent_jobs_total{outcome=\"succeeded\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is missing in:\n{text}");
        }
        assert!(resident_bytes() > 1 << 20);
    }
}
