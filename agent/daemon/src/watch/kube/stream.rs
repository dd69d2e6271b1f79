//! The list and watch of one kind of object: lists it in pages, follows it with bookmarks, and lists again when the API
//! server answers 410.
//!
//! A right that is missing on one kind is a problem of that kind: it is tried again, and no other kind waits for it.
//!
//! The first listing of a term is bracketed by SyncMarks and sends everything; a later one of the same term sends only
//! what differs from what was sent, and what is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use kube::api::{ListParams, WatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use nimbus_agent_core::action::rights::{is_of_an_extension, is_optional};
use nimbus_agent_core::observe::seen::Seen;
use nimbus_platform::DoublingWait;
use nimbus_protocol::ObjectKind;
use nimbus_protocol::v1::{self, observation, sync_mark};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::RETRY;
use super::cordons::Cordons;
use super::watched::{Collection, Object, Watched, parts};
use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;

/// Objects asked for in one page of a list. A page is held as text while it is read: a few kilobytes an object, so this
/// is what decides how much memory a listing takes at its peak.
const PAGE: u32 = 100;

/// How far the first listing of a kind has come under a term.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// It was listed to the end.
    Complete,
    /// The API server refuses to list it to this agent; it is tried again.
    Forbidden,
}

/// The kinds whose first listing was complete or forbidden; the others are still being listed, or failed otherwise.
pub type Listings = BTreeMap<ObjectKind, Listing>;

/// What every kind's stream needs.
#[derive(Clone)]
pub struct Follow {
    /// The API server.
    pub client: Client,
    /// Which cluster.
    pub cluster_uid: String,
    /// The term of the lease under which this is watched.
    pub term: u64,
    /// Where observations go.
    pub observations: ObservationQueue,
    /// Where problems are said.
    pub status: Arc<SharedStatus>,
    /// Grows whenever everything is to be listed again.
    pub resync: watch::Receiver<u64>,
    /// How far every kind has come.
    pub listings: Arc<watch::Sender<Listings>>,
    /// Own cordons that were seen.
    pub cordons: Arc<Cordons>,
    /// The end of the term.
    pub cancel: CancellationToken,
    /// A stream that failed and shows nothing for so long since may go well: a quiet kind's shows nothing then either.
    pub quiet: Duration,
    /// How often it is looked whether a kind of an extension is there by now.
    pub installed: Duration,
}

/// [`Follow::quiet`] of an agent.
pub const QUIET: Duration = Duration::from_mins(1);
/// [`Follow::installed`] of an agent.
pub const INSTALLED: Duration = Duration::from_secs(30);
/// For so long the API server may take to say that it answers.
const ANSWER: Duration = Duration::from_secs(10);

/// How far a listing has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It was asked for and has not answered yet.
    Asked,
    /// Objects of it came.
    Begun,
    /// None is under way.
    Ended,
}

/// Errors of one kind's stream, one soon after the other.
struct Failures {
    retry: DoublingWait,
    /// How many came without anything between them.
    count: u32,
    last: Option<Duration>,
}

impl Failures {
    /// After so many, half a minute at least, what was seen before is too old to conclude anything from.
    const LASTING: u32 = 6;
    /// A stream that went well for so long failed anew. A quiet kind's stream shows nothing while it goes well.
    const APART: Duration = QUIET;

    fn none() -> Self {
        Self { retry: RETRY, count: 0, last: None }
    }

    fn reset(&mut self) {
        *self = Self::none();
    }

    /// Did any come since nothing was wrong?
    fn came(&self) -> bool {
        self.last.is_some()
    }

    /// One more, at this moment; true once they last.
    fn add(&mut self, now: Duration) -> bool {
        if self.last.is_some_and(|last| now.saturating_sub(last) > Self::APART) {
            self.reset();
        }
        self.last = Some(now);
        self.count = self.count.saturating_add(1);
        self.count >= Self::LASTING
    }
}

struct Stream {
    follow: Follow,
    of: Collection,
    seen: Seen,
    /// How far the listing of the moment has come.
    progress: Progress,
    /// The control plane holds a listing of this kind for whole.
    whole: bool,
    /// The listing is the first one, or was asked for by the control plane: everything is sent between two marks.
    bracketed: bool,
}

/// The field selector of a kind of which not every object is watched.
fn only(kind: ObjectKind) -> Option<&'static str> {
    match kind {
        // A cluster makes many more Events than it has pods.
        ObjectKind::PodEvent => Some("involvedObject.kind=Pod,type=Warning,reason=FailedMount"),
        ObjectKind::TlsSecret => Some("type=kubernetes.io/tls"),
        ObjectKind::Pod
        | ObjectKind::ReplicaSet
        | ObjectKind::Deployment
        | ObjectKind::Node
        | ObjectKind::StatefulSet
        | ObjectKind::DaemonSet
        | ObjectKind::BatchJob
        | ObjectKind::ConfigMap
        | ObjectKind::Secret
        | ObjectKind::PersistentVolumeClaim
        | ObjectKind::PersistentVolume
        | ObjectKind::PodDisruptionBudget
        | ObjectKind::StorageClass
        | ObjectKind::HorizontalPodAutoscaler
        | ObjectKind::Certificate
        | ObjectKind::Issuer
        | ObjectKind::ClusterIssuer => None,
    }
}

/// Is only the metadata of this kind asked for? Then what else its objects hold never comes to this host.
fn metadata_alone(kind: ObjectKind) -> bool {
    match kind {
        // It may hold a megabyte, and passwords.
        ObjectKind::ConfigMap | ObjectKind::Secret => true,
        ObjectKind::PodEvent
        | ObjectKind::Pod
        | ObjectKind::ReplicaSet
        | ObjectKind::Deployment
        | ObjectKind::Node
        | ObjectKind::StatefulSet
        | ObjectKind::DaemonSet
        | ObjectKind::BatchJob
        | ObjectKind::PersistentVolumeClaim
        | ObjectKind::PersistentVolume
        | ObjectKind::PodDisruptionBudget
        | ObjectKind::StorageClass
        | ObjectKind::HorizontalPodAutoscaler
        | ObjectKind::Certificate
        | ObjectKind::Issuer
        | ObjectKind::ClusterIssuer
        | ObjectKind::TlsSecret => false,
    }
}

/// All objects of one kind, and what becomes of them.
fn events(client: &Client, of: Collection) -> BoxStream<'static, watcher::Result<Event<Object>>> {
    let config = watcher::Config::default().page_size(PAGE);
    let config = match only(of.kind) {
        Some(fields) => config.fields(fields),
        None => config,
    };
    if metadata_alone(of.kind) {
        let api: Api<PartialObjectMeta<Watched>> = Api::all_with(client.clone(), &of);
        watcher::watcher(api, config)
            .map(move |event| event.and_then(|event| of.event_of_metadata(event)))
            .boxed()
    } else {
        let api: Api<Watched> = Api::all_with(client.clone(), &of);
        watcher::watcher(api, config).map(move |event| event.and_then(|event| of.event(event))).boxed()
    }
}

/// Follows all objects of one kind until the term ends.
pub(super) async fn run(mut follow: Follow, of: Collection) {
    follow.resync.mark_unchanged();
    let cancel = follow.cancel.clone();
    let mut stream = Stream {
        follow,
        of,
        seen: Seen::new(of.kind),
        progress: Progress::Ended,
        whole: false,
        bracketed: true,
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = stream.forever() => {}
    }
}

impl Stream {
    async fn forever(&mut self) {
        let mut failures = Failures::none();
        loop {
            let mut events = events(&self.follow.client, self.of);
            loop {
                let event = tokio::select! {
                    event = events.next() => event,
                    () = tokio::time::sleep(self.follow.quiet), if failures.came() && self.progress == Progress::Ended => {
                        if self.is_answered().await {
                            failures.reset();
                            self.follow.status.problem(&problem_key(self.of.kind), None);
                        }
                        continue;
                    }
                    changed = self.follow.resync.changed() => {
                        if changed.is_err() { return }
                        self.bracketed = true;
                        // What the control plane holds of this kind may be from before: if it cannot be listed now,
                        // that has to be said.
                        self.whole = true;
                        break;
                    }
                };
                match event {
                    Some(Ok(event)) => {
                        // A page of a listing is no answer yet: the next one may fail, again and again.
                        if !matches!(event, Event::Init | Event::InitApply(_)) {
                            failures.reset();
                            self.follow.status.problem(&problem_key(self.of.kind), None);
                        }
                        let listed = matches!(event, Event::InitDone);
                        self.event(event).await;
                        if listed && self.bracketed {
                            break;
                        }
                    }
                    Some(Err(error)) if is_of_an_extension(self.of.kind) && is_not_served(&error) => {
                        failures.reset();
                        self.none_there().await;
                        let changed = tokio::select! {
                            changed = self.follow.resync.changed() => changed.is_ok(),
                            () = tokio::time::sleep(self.follow.installed) => continue,
                        };
                        if !changed {
                            return;
                        }
                        self.bracketed = true;
                        self.whole = true;
                        break;
                    }
                    Some(Err(error)) => {
                        self.report(&error);
                        let lasting = failures.add(nimbus_platform::monotonic());
                        tokio::time::sleep(failures.retry.next()).await;
                        match forbidden(&error) {
                            Some("watch") => {
                                self.wait_until_watched(&mut failures.retry).await;
                                break;
                            }
                            Some(_) => self.forget().await,
                            None => {
                                if lasting {
                                    self.forget().await;
                                }
                                // An object that cannot be read is missing in what follows it.
                                if lasting || unread(&error) {
                                    break;
                                }
                            }
                        }
                    }
                    None => break,
                }
            }
        }
    }

    /// Does the API server list this kind now? What follows it said nothing since it failed, as it does where nothing happens.
    async fn is_answered(&self) -> bool {
        let api: Api<Watched> = Api::all_with(self.follow.client.clone(), &self.of);
        let one = ListParams::default().limit(1);
        let listed = api.list_metadata(&one);
        tokio::time::timeout(ANSWER, listed).await.is_ok_and(|listed| listed.is_ok())
    }

    /// What was listed goes out of date unseen while the kind cannot be listed or watched: a listing is begun and not ended,
    /// so that the kind is not known to the control plane, until everything is listed again.
    async fn forget(&mut self) {
        self.bracketed = true;
        if std::mem::take(&mut self.whole) {
            self.mark(sync_mark::Phase::Begin).await;
        }
    }

    /// The API server knows no such kind: there is no object of it, and none any more.
    async fn none_there(&mut self) {
        self.follow.status.problem(&problem_key(self.of.kind), None);
        if !self.whole || self.bracketed || !self.seen.is_empty() {
            self.progress = Progress::Asked;
            self.begin_listing().await;
            self.end_listing().await;
        }
    }

    async fn wait_until_watched(&mut self, retry: &mut DoublingWait) {
        self.forget().await;
        let api: Api<Watched> = Api::all_with(self.follow.client.clone(), &self.of);
        let refused = |error: &kube::Error| matches!(error, kube::Error::Api(status) if status.code == 403);
        // The connection is only opened: whether that is allowed is the question.
        let parameters = WatchParams::default();
        loop {
            // Of a kind whose content is never asked for it is not asked for here either.
            let error = if metadata_alone(self.of.kind) {
                api.watch_metadata(&parameters, "0").await.err()
            } else {
                api.watch(&parameters, "0").await.err()
            };
            if !error.is_some_and(|error| refused(&error)) {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(retry.next()) => {}
                changed = self.follow.resync.changed() => {
                    if changed.is_err() { return }
                    // What the control plane has of this kind may be from before.
                    self.mark(sync_mark::Phase::Begin).await;
                }
            }
        }
    }

    async fn event(&mut self, event: Event<Object>) {
        match event {
            Event::Init => {
                // After one that broke off it is not known which of the objects that it did not come to are still there.
                self.bracketed |= self.progress == Progress::Begun;
                self.progress = Progress::Asked;
            }
            Event::InitApply(object) => {
                self.begin_listing().await;
                self.apply(object).await;
            }
            Event::Apply(object) => self.apply(object).await,
            Event::Delete(object) => {
                self.seen.forget(&object.uid);
                self.send(observation::Body::Gone(object.gone)).await;
            }
            Event::InitDone => {
                self.begin_listing().await;
                self.end_listing().await;
            }
        }
    }

    /// Begins a listing once the API server answered it: one that it refuses is never begun.
    async fn begin_listing(&mut self) {
        if self.progress != Progress::Asked {
            return;
        }
        self.progress = Progress::Begun;
        if self.bracketed {
            self.seen.clear();
            self.whole = false;
            self.mark(sync_mark::Phase::Begin).await;
        }
        self.seen.begin_relist();
    }

    async fn apply(&mut self, Object { uid, body, .. }: Object) {
        if let observation::Body::Node(node) = &body {
            self.follow.cordons.note(node);
        }
        if self.seen.changed(&uid, &body) {
            self.send(body).await;
        }
    }

    async fn end_listing(&mut self) {
        self.progress = Progress::Ended;
        let vanished = self.seen.end_relist();
        if self.bracketed {
            self.mark(sync_mark::Phase::End).await;
            self.bracketed = false;
            self.whole = true;
        } else {
            for gone in vanished.gone {
                self.send(observation::Body::Gone(gone)).await;
            }
            // Of objects whose UID is not known any more only a listing between marks shows that they are gone.
            self.bracketed = vanished.unnamed > 0;
        }
        self.listing(Listing::Complete);
    }

    async fn mark(&self, phase: sync_mark::Phase) {
        self.send(observation::Body::Sync(v1::SyncMark {
            kind: self.of.kind.as_str().to_owned(),
            phase: phase.into(),
            lease_term: self.follow.term,
        }))
        .await;
    }

    async fn send(&self, body: observation::Body) {
        self.follow.observations.observe(&self.follow.cluster_uid, body).await;
    }

    fn listing(&self, listing: Listing) {
        self.follow.listings.send_if_modified(|all| all.insert(self.of.kind, listing) != Some(listing));
    }

    fn report(&self, error: &watcher::Error) {
        if let watcher::Error::WatchError(status) = error
            && status.code == 410
        {
            tracing::info!(kind = %self.of.kind, "the API server no longer has this watch's version; listing again");
            return;
        }
        let (group, _, plural) = parts(self.of.path);
        let remedy = match forbidden(error) {
            None => "it is tried again; what was seen before may be out of date".to_owned(),
            Some(verb) => {
                if verb == "list" {
                    self.listing(Listing::Forbidden);
                }
                // What somebody had watched, and gave no right to, has to be said.
                if is_optional(self.of.kind) && self.of.kind != ObjectKind::TlsSecret {
                    self.follow.status.problem(&problem_key(self.of.kind), None);
                    tracing::debug!(kind = %self.of.kind, verb, "this agent may not watch this kind, and does without");
                    return;
                }
                format!(
                    "grant this agent's account the verbs get, list and watch on {plural} (API group {group:?}), of which \
                     it lacks {verb}; it is tried again, and every other kind is watched meanwhile"
                )
            }
        };
        let found = nimbus_platform::chain(error);
        let text =
            format!("expected to watch every {} of the cluster, found: {found}; {remedy}", self.of.kind);
        self.follow.status.problem(&problem_key(self.of.kind), Some(text));
    }
}

/// The key of a kind's problem on the status.
pub(super) fn problem_key(kind: ObjectKind) -> String {
    format!("watch-{kind}")
}

/// Did an object or an event not read as what it should be? The client takes a line that is no event for a refusal.
fn unread(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::WatchFailed(kube::Error::SerdeError(_) | kube::Error::Api(_)))
}

/// Does the API server answer that it knows no such kind?
fn is_not_served(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 404,
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => false,
    }
}

/// The verb that the API server refuses to this agent (403); `None` for every other error.
fn forbidden(error: &watcher::Error) -> Option<&'static str> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 403 => Some("list"),
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) if status.code == 403 => Some("watch"),
        watcher::Error::WatchError(status) if status.code == 403 => Some("watch"),
        watcher::Error::InitialListFailed(_)
        | watcher::Error::WatchStartFailed(_)
        | watcher::Error::WatchError(_)
        | watcher::Error::WatchFailed(_)
        | watcher::Error::NoResourceVersion => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_last_when_six_come_soon_after_each_other_and_nothing_went_well_between_them() {
        let second = Duration::from_secs;
        let mut failures = Failures::none();
        let lasting: Vec<bool> = (0..6).map(|n| failures.add(second(20 * n))).collect();
        assert_eq!(lasting, [false, false, false, false, false, true]);
        assert!(failures.add(second(120)), "they go on");
        assert!(!failures.add(second(181)), "more than a minute went well");
        for n in 1..5 {
            assert!(!failures.add(second(181 + n)));
        }
        failures.reset();
        assert!(!failures.add(second(187)), "an answer begins the count anew");
    }
}
