//! One replica of many watches and changes cluster objects: the one that holds a `coordination.k8s.io/v1` Lease.
//!
//! Clocks of replicas are not compared: a standby takes a lease over only when it saw no renewal for the lease's whole
//! duration, measured by its own clock. The holder stops at four fifths of that, counted from before its last renewal
//! was sent. Every takeover, also by the same agent after a restart, begins a new term; terms only grow, even when
//! somebody deletes the Lease.
//!
//! The lease is written with its resourceVersion, so of two that try, one loses.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::Client;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::request::{self, RequestError};
use crate::clock;
use crate::config::LeaseSettings;
use crate::status::SharedStatus;

/// Annotation with the term; `spec.leaseTransitions` counts from 0 again when the Lease is made anew, this does not.
const TERM: &str = "nimbus.dev/term";
/// Terms are at least the minutes since 1970 at their beginning. One further ahead of the own clock than this, a year,
/// was not made by an agent; it counts as none, so that nobody can use up the terms.
const AHEAD: u64 = 366 * 24 * 60;

/// Who holds the lease, as far as this replica knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leadership {
    /// Not known: the lease could not be read or written yet.
    #[default]
    Unknown,
    /// Another replica does, and renews it.
    Standby,
    /// This one does.
    Leading {
        /// Under this term.
        term: u64,
        /// Until then, unless it is renewed.
        until: Instant,
    },
}

impl Leadership {
    /// The term, while the lease holds at `now`.
    pub fn term(&self, now: Instant) -> Option<u64> {
        match self {
            Self::Leading { term, until } if now < *until => Some(*term),
            _ => None,
        }
    }
}

/// The election, as one replica sees it.
pub struct Elector {
    client: Client,
    settings: LeaseSettings,
    identity: String,
    out: Arc<watch::Sender<Leadership>>,
    board: Arc<SharedStatus>,
    namespace: Option<String>,
    /// The lease's last renewal that was seen, and when it was first seen.
    observed: Option<(String, Instant)>,
    held: Option<Value>,
    /// The highest term that this replica saw and believes: what it begins is above it, whatever the Lease says by then.
    highest: u64,
}

impl Elector {
    /// Elects `identity` (unique to a data directory) through the cluster of `client`; tells `out`.
    pub fn new(
        client: Client,
        mut settings: LeaseSettings,
        identity: String,
        out: Arc<watch::Sender<Leadership>>,
        board: Arc<SharedStatus>,
    ) -> Self {
        // The Lease keeps whole seconds: a fraction would let another take it while this replica believes to hold it.
        settings.duration = Duration::from_secs(settings.duration.as_secs().max(2));
        Self {
            client,
            settings,
            identity,
            out,
            board,
            namespace: None,
            observed: None,
            held: None,
            highest: 0,
        }
    }

    /// Runs until cancelled, then gives the lease back. An agent that the control plane turned away gives it back too and
    /// does not compete: what it watched nobody would hear, while an agent that is heard stood by.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut status = self.board.subscribe();
        loop {
            if status.borrow().turned_away {
                tracing::warn!(
                    "the control plane turned this agent away: it leads no cluster until it is let in again"
                );
                self.give_back(Leadership::Standby).await;
                tokio::select! {
                    () = cancel.cancelled() => break,
                    _ = status.wait_for(|status| !status.turned_away) => {}
                }
            }
            // A request that hangs must not outlast the lease.
            let sent = Instant::now();
            let tried = tokio::time::timeout(self.settings.duration / 3, self.round(sent));
            let outcome = tokio::select! {
                () = cancel.cancelled() => break,
                outcome = tried => outcome,
            };
            let outcome =
                outcome.unwrap_or_else(|_| Err(RequestError::Unanswered("no answer in time".to_owned())));
            let wait = self.note(outcome);
            tokio::select! {
                () = cancel.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
                _ = status.wait_for(|status| status.turned_away) => {}
            }
        }
        self.give_back(Leadership::Unknown).await;
    }

    /// Stops leading, and only then lets another replica lead: in the other order both would believe it for a moment.
    async fn give_back(&mut self, now: Leadership) {
        self.out.send_replace(now);
        self.release().await;
    }

    /// Publishes what a round brought, and says how long to wait for the next one.
    fn note(&mut self, outcome: Result<Leadership, RequestError>) -> Duration {
        let duration = self.settings.duration;
        match outcome {
            Ok(leadership) => {
                self.board.problem("lease", None);
                self.out.send_replace(leadership);
                match leadership {
                    Leadership::Leading { .. } => duration / 3,
                    _ => (duration / 5).min(Duration::from_secs(2)),
                }
            }
            Err(error) => {
                let lease = format!("{}/{}", self.namespace.as_deref().unwrap_or("?"), self.settings.name);
                self.board.problem(
                    "lease",
                    Some(format!(
                        "expected to hold or follow the Lease {lease}, found: {error}; check the API server and that \
                         this agent may get, create and update leases there"
                    )),
                );
                let leading = self.out.borrow().term(Instant::now()).is_some();
                if !leading {
                    self.held = None;
                    self.out.send_replace(Leadership::Unknown);
                }
                (duration / 10).max(Duration::from_millis(200))
            }
        }
    }

    async fn round(&mut self, sent: Instant) -> Result<Leadership, RequestError> {
        if let Some(held) = self.held.clone() {
            return self.renew(held, sent).await;
        }
        let path = self.collection().await?;
        let one = format!("{path}/{}", self.settings.name);
        match request::get_optional::<Value>(&self.client, &one).await? {
            None => {
                let lease = self.taken(json!({
                    "apiVersion": "coordination.k8s.io/v1",
                    "kind": "Lease",
                    "metadata": { "name": self.settings.name },
                }));
                self.won(request::post(&self.client, &path, &lease).await, sent)
            }
            Some(lease) if self.may_take(versioned(&lease)?, Instant::now()) => {
                let lease = self.taken(lease);
                self.won(request::put(&self.client, &one, &lease).await, sent)
            }
            Some(_) => Ok(Leadership::Standby),
        }
    }

    async fn renew(&mut self, mut lease: Value, sent: Instant) -> Result<Leadership, RequestError> {
        let one = format!("{}/{}", self.collection().await?, self.settings.name);
        set(&mut lease, &["spec", "renewTime"], json!(micro_time(clock::now())));
        match request::put::<Value>(&self.client, &one, &lease).await {
            Err(error) if error.code() == 409 => {
                // Somebody else wrote it. While it still names this replica and term, only its version was old.
                let found = request::get::<Value>(&self.client, &one).await?;
                let same = holder(versioned(&found)?) == self.identity && term(&found) == term(&lease);
                self.held = same.then_some(found);
                let leadership = *self.out.borrow();
                Ok(if same { leadership } else { Leadership::Standby })
            }
            Err(error) if error.code() == 404 => {
                self.held = None;
                Ok(Leadership::Standby)
            }
            other => self.won(other, sent),
        }
    }

    fn won(
        &mut self,
        written: Result<Value, RequestError>,
        sent: Instant,
    ) -> Result<Leadership, RequestError> {
        match written {
            Ok(lease) => {
                let term = term(versioned(&lease)?);
                self.see(term);
                self.held = Some(lease);
                Ok(Leadership::Leading { term, until: sent + self.settings.duration / 5 * 4 })
            }
            // Another replica was faster.
            Err(error) if error.code() == 409 => Ok(Leadership::Standby),
            Err(error) => Err(error),
        }
    }

    fn see(&mut self, term: u64) {
        self.highest = believed(self.highest, clock::now()).max(believed(term, clock::now()));
    }

    /// Free, this replica's own from before, or not renewed for its whole duration while this replica looked on.
    fn may_take(&mut self, lease: &Value, now: Instant) -> bool {
        self.see(term(lease));
        let holder = holder(lease);
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        let renewal = format!("{}/{}", lease["metadata"]["resourceVersion"], lease["spec"]["renewTime"]);
        match &self.observed {
            Some((seen, since)) if *seen == renewal => {
                let duration = lease["spec"]["leaseDurationSeconds"].as_u64();
                now.duration_since(*since) >= duration.map_or(self.settings.duration, Duration::from_secs)
            }
            _ => {
                self.observed = Some((renewal, now));
                false
            }
        }
    }

    /// The lease as this replica takes it: a new term.
    fn taken(&self, mut lease: Value) -> Value {
        let now = clock::now();
        let next = next_term(believed(term(&lease), now).max(self.highest), now);
        let before = lease["spec"]["leaseTransitions"].as_i64();
        // The API server takes 32 bits.
        let transitions = before.map_or(0, |before| before.saturating_add(1).clamp(0, i64::from(i32::MAX)));
        set(&mut lease, &["metadata", "annotations", TERM], json!(next.to_string()));
        for (field, value) in [
            ("holderIdentity", json!(self.identity)),
            ("leaseDurationSeconds", json!(self.settings.duration.as_secs())),
            ("acquireTime", json!(micro_time(now))),
            ("renewTime", json!(micro_time(now))),
            ("leaseTransitions", json!(transitions)),
        ] {
            set(&mut lease, &["spec", field], value);
        }
        lease
    }

    /// Where the leases are: the namespace that has this one already, otherwise the first that exists.
    async fn collection(&mut self) -> Result<String, RequestError> {
        let path = |namespace: &str| format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
        if let Some(namespace) = &self.namespace {
            return Ok(path(namespace));
        }
        let mut found = None;
        for namespace in &self.settings.namespaces {
            let one = format!("{}/{}", path(namespace), self.settings.name);
            if request::get_optional::<Value>(&self.client, &one).await?.is_some() {
                found = Some(namespace.clone());
                break;
            }
        }
        for namespace in &self.settings.namespaces {
            if found.is_some() {
                break;
            }
            let one = format!("/api/v1/namespaces/{namespace}");
            if request::get_optional::<Value>(&self.client, &one).await?.is_some() {
                found = Some(namespace.clone());
            }
        }
        let namespace = found.ok_or_else(|| {
            RequestError::Unanswered(format!(
                "none of the namespaces {}; create the first one",
                self.settings.namespaces.join(", ")
            ))
        })?;
        self.namespace = Some(namespace.clone());
        Ok(path(&namespace))
    }

    /// Gives the lease back, so that a standby need not wait; best effort, bounded.
    async fn release(&mut self) {
        let (Some(mut lease), Ok(path)) = (self.held.take(), self.collection().await) else { return };
        set(&mut lease, &["spec", "holderIdentity"], json!(""));
        set(&mut lease, &["spec", "renewTime"], json!(micro_time(clock::now())));
        let one = format!("{path}/{}", self.settings.name);
        let put = request::put::<Value>(&self.client, &one, &lease);
        if !matches!(tokio::time::timeout(Duration::from_secs(2), put).await, Ok(Ok(_))) {
            tracing::info!("the watch lease was not given back; it runs out by itself");
        }
    }
}

fn holder(lease: &Value) -> &str {
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default()
}

fn minutes(now: Timestamp) -> u64 {
    u64::try_from(now.as_second() / 60).unwrap_or_default()
}

/// A term, or none where it is too far ahead.
fn believed(term: u64, now: Timestamp) -> u64 {
    if term > minutes(now).saturating_add(AHEAD) { 0 } else { term }
}

/// The term that follows one.
fn next_term(before: u64, now: Timestamp) -> u64 {
    believed(before, now).saturating_add(1).max(minutes(now))
}

/// Puts a value into a foreign object; whatever stands on the way and is no object is replaced by one.
fn set(object: &mut Value, path: &[&str], to: Value) {
    let Some((key, rest)) = path.split_first() else {
        *object = to;
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    if let Value::Object(fields) = object {
        set(fields.entry(*key).or_insert(Value::Null), rest, to);
    }
}

/// Only a lease with its version is written again: without one the write would win against every other.
fn versioned(lease: &Value) -> Result<&Value, RequestError> {
    let version = lease["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if version.is_empty() {
        let found = "expected a Lease with a resourceVersion, found something else";
        return Err(RequestError::Unanswered(found.to_owned()));
    }
    Ok(lease)
}

fn term(lease: &Value) -> u64 {
    lease["metadata"]["annotations"][TERM].as_str().and_then(|term| term.parse().ok()).unwrap_or_default()
}

/// Kubernetes' MicroTime: RFC 3339 with exactly six digits.
fn micro_time(now: Timestamp) -> String {
    format!("{now:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elector(identity: &str) -> Elector {
        let config = kube::Config::new(http::Uri::from_static("http://127.0.0.1:1"));
        Elector::new(
            Client::try_from(config).unwrap(),
            LeaseSettings { duration: Duration::from_secs(10), ..LeaseSettings::default() },
            identity.to_owned(),
            Arc::default(),
            Arc::default(),
        )
    }

    /// A term that others counted up to: a thousand ahead of the minute.
    fn ahead() -> u64 {
        u64::try_from(clock::now().as_second() / 60).unwrap() + 1_000
    }

    fn lease_of(holder: &str, version: &str) -> Value {
        lease_under(ahead(), holder, version)
    }

    fn lease_under(term: u64, holder: &str, version: &str) -> Value {
        json!({ "metadata": { "resourceVersion": version, "annotations": { TERM: term.to_string() } },
                "spec": { "holderIdentity": holder, "leaseDurationSeconds": 10, "leaseTransitions": 3 } })
    }

    #[tokio::test]
    async fn anothers_lease_is_taken_only_after_it_was_watched_running_out() {
        let mut me = elector("a");
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!me.may_take(&lease_of("b", "1"), at(0)));
        assert!(!me.may_take(&lease_of("b", "1"), at(9)));
        // It was renewed: the wait begins anew.
        assert!(!me.may_take(&lease_of("b", "2"), at(12)));
        assert!(!me.may_take(&lease_of("b", "2"), at(21)));
        assert!(me.may_take(&lease_of("b", "2"), at(22)));
    }

    #[tokio::test]
    async fn a_free_lease_and_ones_own_from_before_are_taken_at_once_under_a_new_term() {
        let mut me = elector("a");
        assert!(me.may_take(&lease_of("", "1"), Instant::now()));
        assert!(me.may_take(&lease_of("a", "1"), Instant::now()));
        let before = ahead();
        let taken = me.taken(lease_under(before, "b", "1"));
        assert_eq!((holder(&taken), term(&taken)), ("a", before + 1));
        assert_eq!(taken["spec"]["leaseTransitions"], 4);
        assert_eq!(taken["metadata"]["resourceVersion"], "1");
        // A Lease that somebody deleted: the term is still above any that was counted up from an earlier minute.
        assert!(term(&me.taken(json!({}))) > 29_000_000);
    }

    #[tokio::test]
    async fn a_lease_that_cannot_be_renewed_stops_holding_before_another_may_take_it() {
        let mut me = elector("a");
        let sent = Instant::now();
        let won = me.won(Ok(lease_under(30_000_000, "a", "1")), sent).unwrap();
        assert_eq!(won.term(sent + Duration::from_millis(7_999)), Some(30_000_000));
        assert_eq!(won.term(sent + Duration::from_secs(8)), None);
    }

    #[tokio::test]
    async fn an_odd_lease_is_put_right_and_one_without_a_version_is_never_written() {
        let mut me = elector("a");
        for odd in [
            json!({ "metadata": { "resourceVersion": "1", "annotations": "x" }, "spec": [] }),
            json!({ "metadata": { "resourceVersion": "1", "annotations": [1] }, "spec": "x" }),
            json!({ "metadata": { "resourceVersion": "1" }, "spec": { "leaseTransitions": i64::MAX } }),
        ] {
            assert!(me.may_take(&odd, Instant::now()), "{odd}");
            let taken = me.taken(odd);
            assert_eq!((holder(&taken), &taken["metadata"]["resourceVersion"]), ("a", &json!("1")));
            assert!(term(&taken) > 29_000_000 && taken["spec"]["renewTime"].is_string());
            assert!(taken["spec"]["leaseTransitions"].as_i64().unwrap() <= i64::from(i32::MAX));
            assert!(versioned(&taken).is_ok());
        }
        for odd in [json!([]), json!("x"), json!({ "metadata": [] }), json!({ "metadata": { "name": "x" } })]
        {
            assert!(versioned(&odd).is_err() && me.won(Ok(odd), Instant::now()).is_err());
        }
    }

    #[test]
    fn a_term_grows_by_one_and_one_that_no_agent_made_counts_for_none() {
        let now = Timestamp::from_second(30_000_000 * 60).unwrap();
        assert_eq!(next_term(0, now), 30_000_000);
        assert_eq!(next_term(30_000_000, now), 30_000_001);
        assert_eq!(next_term(30_000_000 + AHEAD, now), 30_000_001 + AHEAD);
        for odd in [30_000_001 + AHEAD, u64::MAX - 1, u64::MAX] {
            assert_eq!(next_term(odd, now), 30_000_000);
        }
    }

    #[tokio::test]
    async fn a_term_that_was_seen_is_never_begun_again_whatever_became_of_the_lease() {
        let mut me = elector("a");
        let before = ahead();
        assert!(!me.may_take(&lease_under(before, "b", "1"), Instant::now()));
        for lost in [json!({}), lease_under(u64::MAX, "", "2"), lease_under(3, "", "2")] {
            assert_eq!(term(&me.taken(lost)), before + 1);
        }
    }

    #[test]
    fn a_micro_time_has_six_digits() {
        assert_eq!(micro_time(Timestamp::from_second(0).unwrap()), "1970-01-01T00:00:00.000000Z");
    }
}
