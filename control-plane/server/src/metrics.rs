//! The metrics behind `/metrics`. Each control plane has its own recorder and nothing is global, so that two of them
//! (or one beside an agent) can run in one process.

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder as _, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Sessions, by transport.
const SESSIONS: &str = "nimbus_agent_sessions";

const METADATA: Metadata<'static> = Metadata::new("nimbus", Level::INFO, None);

/// Handles to every figure of the control plane.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Observations stored.
    pub observations: Counter,
    /// Observations that were stored already and were skipped.
    pub duplicates: Counter,
    /// Batches stored.
    pub batches: Counter,
    /// Commits of the observation log.
    pub log_commits: Counter,
    /// Seconds that a commit of the log took.
    pub log_commit_seconds: Histogram,
    /// Gaps in an agent's sequence.
    pub gaps: Counter,
    /// Agents connected now.
    pub connected: Gauge,
    /// 1 while this control plane leads; one that stands by answers 0 by itself.
    pub leading: Gauge,
    /// Times that this process took the lead after standing by.
    pub takeovers: Counter,
    /// Of these over QUIC.
    pub connected_quic: Gauge,
    /// Of these over TCP.
    pub connected_tcp: Gauge,
    /// Handshakes that failed.
    pub handshakes_failed: Counter,
    /// Connections refused for lack of room.
    pub overloaded: Counter,
    /// Streams closed for a malformed frame.
    pub malformed: Counter,
    /// Jobs signed.
    pub jobs_signed: Counter,
    /// Envelopes handed to a connection, first or again.
    pub jobs_pushed: Counter,
    /// Log positions that are stored and not applied yet.
    pub backlog: Gauge,
    /// Seconds of one pass of the tasks.
    pub pass_seconds: Histogram,
    /// Versions conflicts that made a task read again.
    pub conflicts: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let counter = |name: &'static str, help: &'static str| {
            recorder.describe_counter(KeyName::from_const_str(name), None, SharedString::const_str(help));
            recorder.register_counter(&Key::from_static_name(name), &METADATA)
        };
        let gauge = |name: &'static str, help: &'static str| {
            recorder.describe_gauge(KeyName::from_const_str(name), None, SharedString::const_str(help));
            recorder.register_gauge(&Key::from_static_name(name), &METADATA)
        };
        let histogram = |name: &'static str, help: &'static str| {
            recorder.describe_histogram(KeyName::from_const_str(name), None, SharedString::const_str(help));
            recorder.register_histogram(&Key::from_static_name(name), &METADATA)
        };
        let sessions = |transport: &'static str| {
            let key = Key::from_parts(SESSIONS, vec![Label::from_static_parts("transport", transport)]);
            recorder.register_gauge(&key, &METADATA)
        };
        recorder.describe_gauge(
            KeyName::from_const_str(SESSIONS),
            None,
            SharedString::const_str("Agents connected now, by the way on which they came."),
        );
        Self {
            connected_quic: sessions("quic"),
            connected_tcp: sessions("tcp"),
            observations: counter("nimbus_observations_stored_total", "Observations stored."),
            duplicates: counter(
                "nimbus_observations_duplicate_total",
                "Observations skipped: stored already.",
            ),
            batches: counter("nimbus_batches_stored_total", "Batches stored."),
            log_commits: counter("nimbus_log_commits_total", "Commits of the observation log."),
            log_commit_seconds: histogram("nimbus_log_commit_seconds", "Seconds that a log commit took."),
            gaps: counter("nimbus_sequence_gaps_total", "Gaps in an agent's sequence."),
            connected: gauge("nimbus_agents_connected", "Agents connected now."),
            leading: gauge("nimbus_control_plane_leading", "Whether this control plane leads."),
            takeovers: counter(
                "nimbus_control_plane_takeovers_total",
                "Times that this control plane took the lead after standing by.",
            ),
            handshakes_failed: counter(
                "nimbus_handshakes_failed_total",
                "Handshakes of agents that failed, over QUIC or TCP.",
            ),
            overloaded: counter(
                "nimbus_connections_overloaded_total",
                "Connections refused for lack of room.",
            ),
            malformed: counter("nimbus_frames_malformed_total", "Streams closed for a malformed frame."),
            jobs_signed: counter("nimbus_jobs_signed_total", "Jobs signed."),
            jobs_pushed: counter("nimbus_jobs_pushed_total", "Job envelopes handed to a connection."),
            backlog: gauge("nimbus_log_backlog", "Log positions stored and not applied yet."),
            pass_seconds: histogram("nimbus_pass_seconds", "Seconds of one pass of the tasks."),
            conflicts: counter("nimbus_conflicts_total", "Version conflicts that made a task read again."),
            recorder,
            handle,
        }
    }
}

impl Metrics {
    /// Counts a peer that was rejected with `code`.
    pub fn refused(&self, code: &'static str) {
        let key = Key::from_parts("nimbus_refusals_total", vec![Label::from_static_parts("code", code)]);
        self.recorder.register_counter(&key, &METADATA).increment(1);
    }

    /// Everything in the Prometheus text format.
    pub fn render(&self) -> String {
        self.handle.render()
    }

    /// Folds samples together; call it every few seconds so that they do not pile up unread.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown_and_two_sets_do_not_mix() {
        let (one, other) = (Metrics::default(), Metrics::default());
        one.observations.increment(3);
        one.refused("revoked");
        assert!(one.render().contains("nimbus_observations_stored_total 3"), "{}", one.render());
        assert!(one.render().contains("nimbus_refusals_total{code=\"revoked\"} 1"), "{}", one.render());
        assert!(!other.render().contains("nimbus_observations_stored_total 3"));
    }
}
