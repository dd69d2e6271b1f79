//! The agent's life cycle: starts its parts in order, connects them, and stops them in reverse order.

use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nimbus_agent_core::spool::Limits;
use nimbus_platform::is_host_port;
use nimbus_protocol::v1;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::alive::Alive;
use crate::config::{Config, HOST};
use crate::counters::Counters;
use crate::datadir::{DataDir, DataDirError};
use crate::error::AgentError;
use crate::exec::{self, Shared};
use crate::files::journal::JournalStore;
use crate::files::spool::SpoolStore;
use crate::files::spool_thread::SpoolThread;
use crate::identity::Identity;
use crate::identity::renew::Renewal;
use crate::observation_queue::ObservationQueue;
use crate::pauses::Pauses;
use crate::session_loop;
use crate::status::{SharedStatus, Status};
use crate::watch::files::Files;
use crate::watch::files::baseline::Baselines;
use crate::watch::kube::ClusterHandle;
use crate::watch::kube::client::{self, Target};
use crate::watch::units::bus::SystemBus;
use crate::watch::{certificates, files, host, kube, units, watch_cluster};
use crate::{finish, join, rejoin, status_reporter, telemetry, transport};

/// Longest wait for the parts, and then for the session's loop, to end.
const STOP: Duration = Duration::from_secs(5);
/// How long an agent whose spool ends with it goes on at its end, until the control plane has all that was seen.
const LAST_WORDS: Duration = Duration::from_secs(4);

/// A running agent. Dropping it ends it at once; [`Agent::stop`] ends it cleanly.
#[derive(Debug)]
pub struct Agent {
    id: String,
    status: Arc<SharedStatus>,
    journal: Arc<Mutex<JournalStore>>,
    finish_jobs: Duration,
    alive: Arc<Alive>,
    telemetry: Option<std::net::SocketAddr>,
    cancel: CancellationToken,
    joined_anew: CancellationToken,
    parts: JoinSet<()>,
    session_cancel: CancellationToken,
    session: JoinHandle<()>,
    _data_dir: DataDir,
}

impl Agent {
    /// Starts an agent. Joins first where there is no identity yet. Must be called in a tokio runtime.
    pub async fn start(config: Config) -> Result<Self, AgentError> {
        if !is_host_port(&config.server) {
            return Err(AgentError::Server(config.server));
        }
        if let Some(variable) = transport::proxy::unusable(&config.server, |name| std::env::var(name).ok()) {
            return Err(AgentError::Proxy(variable));
        }
        transport::proxy::tell_of_another_kind(&config.server);
        // The Kubernetes client asks for a process-wide provider; another part of the process may have set it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        // Everything is listed anew after a start: no digest of an earlier key is compared with one of this.
        nimbus_agent_core::observe::kube::set_redaction_key(rand::random());
        let data_dir = DataDir::open(&config.data_dir)?;
        let target = client::target(&config.cluster).await?;
        let paths = config.watch.iter().map(|path| absolute(path)).collect::<Result<Vec<_>, _>>()?;
        let listener = match config.telemetry {
            None => None,
            Some(address) => Some(
                tokio::net::TcpListener::bind(address)
                    .await
                    .map_err(|found| AgentError::Telemetry { address, found })?,
            ),
        };
        let identity = join::identity(&config, &data_dir, target.as_ref()).await?;
        let target = target.filter(|_| {
            let may = identity.kind != HOST;
            if !may {
                tracing::warn!(
                    "expected an identity of kind cluster to watch one, found host: this agent watches its host alone; \
                     join it with a token of `nimbus agents token create --kind cluster` in a data directory of its own"
                );
            }
            may
        });
        let journal = JournalStore::open(&data_dir.journal(), nimbus_platform::now())?;
        let spool = SpoolStore::open(&data_dir.spool(), Limits::default())?;
        let spool_thread = SpoolThread::start().map_err(AgentError::Thread)?;
        let baselines = Baselines::open(&data_dir.baseline())
            .map_err(|source| DataDirError::Io { path: data_dir.baseline(), source })?;
        Ok(Wiring {
            config,
            data_dir,
            target,
            paths,
            listener,
            identity,
            journal,
            spool,
            spool_thread,
            baselines,
        }
        .connect())
    }

    /// The id that the control plane gave this agent.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the agent says of itself, now and whenever it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Its signs of life.
    pub fn alive(&self) -> Arc<Alive> {
        self.alive.clone()
    }

    /// Where telemetry listens, if it does.
    pub fn telemetry_addr(&self) -> Option<std::net::SocketAddr> {
        self.telemetry
    }

    /// Comes when this agent has joined anew, in a pod; never otherwise. Whoever runs it has to stop it and to start it again.
    pub async fn joined_anew(&self) {
        self.joined_anew.cancelled().await;
    }

    /// Goes on with the jobs that are under way, for as long as the configuration says; before [`Self::stop`].
    pub async fn finish_jobs(&self) {
        finish::jobs(&self.status, &self.journal, self.finish_jobs).await;
    }

    /// Ends everything: own cordons are lifted, the watch lease is given back, what was seen is in the spool; and with the control
    /// plane, where the spool ends with this process. Takes at most ten seconds, and four more for that.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        let ended = async { while self.parts.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP, ended).await.is_err() {
            tracing::warn!("some parts did not end in time");
            self.parts.abort_all();
        }
        self.session_cancel.cancel();
        let last_words = self.finish_jobs.min(LAST_WORDS);
        if tokio::time::timeout(STOP + last_words, &mut self.session).await.is_err() {
            tracing::warn!("the connection did not end in time");
            self.session.abort();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.session_cancel.cancel();
    }
}

struct Wiring {
    config: Config,
    data_dir: DataDir,
    target: Option<Target>,
    paths: Vec<PathBuf>,
    listener: Option<tokio::net::TcpListener>,
    identity: Identity,
    journal: JournalStore,
    spool: SpoolStore,
    spool_thread: SpoolThread,
    baselines: Baselines,
}

impl Wiring {
    fn connect(self) -> Agent {
        let id = self.identity.agent_id;
        let agent_id = id.to_string();
        let hostname = self.config.hostname();
        let (status, counters) = (Arc::new(SharedStatus::new()), Arc::new(Counters::default()));
        tell_damage(&self.journal, &self.spool, &status);
        let (cancel, session_cancel) = (CancellationToken::new(), CancellationToken::new());
        let (watched, resync) = (self.target.as_ref(), Arc::new(watch::Sender::new(0)));
        let (observations, items) = ObservationQueue::new();
        let (control, messages) = mpsc::channel(exec::CONTROL_MESSAGES);
        let (refusals, unkept) = mpsc::channel(exec::REFUSALS);
        let (alive, journal) = (Arc::new(Alive::default()), Arc::new(Mutex::new(self.journal)));
        let (cluster, has_cluster) = (Arc::new(ClusterHandle::default()), watched.is_some());
        status.update(|status| (status.agent_id, status.has_cluster) = (agent_id.clone(), has_cluster));
        sweep(&self.baselines, &status);
        let excluded = excluded(&self.config, &self.data_dir);
        let (baselines, policy) = (Arc::new(self.baselines), self.config.policy.clone());
        let (seen, board, counts) = (observations.clone(), status.clone(), counters.clone());
        let files = Files::new(&self.paths, &excluded, &baselines, policy, seen, board, counts);
        let renewal = Renewal::new(self.identity, self.data_dir.identity());
        let pauses = Arc::new(Pauses::open(self.data_dir.path()));
        let shared = Arc::new(Shared {
            agent_id: id,
            has_cluster,
            is_in_pod: self.config.service_account_token.is_some(),
            policy: self.config.policy.clone(),
            stop_dir: self.config.stop_dir.clone(),
            pauses: pauses.clone(),
            keys: renewal.keys(),
            journal: journal.clone(),
            cluster: cluster.clone(),
            files: files.clone(),
            units: self.config.system_bus.as_ref().map(|bus| Arc::new(SystemBus::at(bus.path.clone()))),
            refusals,
            status: status.clone(),
            counters: counters.clone(),
            alive: alive.clone(),
            started: std::time::Instant::now(),
            cancel: cancel.clone(),
        });
        let session = tokio::spawn(session_loop::run(session_loop::Inputs {
            server: self.config.server.clone(),
            hello: hello(&self.config, &agent_id),
            renewal,
            spool: self.spool,
            journal: journal.clone(),
            spool_thread: self.spool_thread,
            observations: items,
            refusals: unkept,
            control,
            resync: resync.clone(),
            pauses,
            status: status.clone(),
            counters: counters.clone(),
            alive: alive.clone(),
            cancel: session_cancel.clone(),
            last_words: self.config.finish_jobs.min(LAST_WORDS),
        }));
        let mut parts = JoinSet::new();
        parts.spawn(exec::run(shared.clone(), messages));
        watch_host(&mut parts, &self.config, &shared, &observations, &resync);
        parts.spawn(status_reporter::run(shared, observations.clone(), hostname, resync.subscribe()));
        parts.spawn(files::run(files, self.config.file_interval, resync.subscribe(), cancel.clone()));
        let joined_anew = rejoin::start(&mut parts, &self.config, &self.data_dir, watched, &status, &cancel);
        if let Some(target) = self.target {
            let watch = kube::Watch {
                target,
                tls_secrets: self.config.tls_secrets,
                lease: self.config.lease.clone(),
                identity: agent_id.clone(),
                observations,
                status: status.clone(),
                handle: cluster,
                resync: resync.subscribe(),
                cancel: cancel.clone(),
            };
            watch_cluster(&mut parts, watch, self.config.kubelet.clone(), counters.clone());
        }
        let telemetry = self.listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = self.listener {
            parts.spawn(telemetry::run(listener, status.clone(), counters, cancel.clone()));
        }
        Agent {
            id: agent_id,
            status,
            journal,
            finish_jobs: self.config.finish_jobs,
            alive,
            telemetry,
            cancel,
            joined_anew,
            parts,
            session_cancel,
            session,
            _data_dir: self.data_dir,
        }
    }
}

/// The health, the certificate files and the units of the host.
fn watch_host(
    parts: &mut JoinSet<()>,
    config: &Config,
    shared: &Shared,
    observations: &ObservationQueue,
    resync: &watch::Sender<u64>,
) {
    parts.spawn(host::run(
        config.hostname(),
        config.host_interval,
        observations.clone(),
        shared.status.clone(),
        resync.subscribe(),
        shared.cancel.clone(),
    ));
    parts.spawn(certificates::run(certificates::Watch {
        paths: config.certificates.clone(),
        every: config.file_interval.min(certificates::LONGEST),
        observations: observations.clone(),
        status: shared.status.clone(),
        resync: resync.subscribe(),
        cancel: shared.cancel.clone(),
    }));
    parts.spawn(units::run(units::Watch {
        bus: shared.units.clone(),
        is_in_pod: shared.is_in_pod,
        required: config.system_bus.as_ref().is_some_and(|bus| bus.required),
        data_dir: config.data_dir.clone(),
        policy: shared.policy.clone(),
        observations: observations.clone(),
        status: shared.status.clone(),
        resync: resync.subscribe(),
        cancel: shared.cancel.clone(),
    }));
}

fn sweep(baselines: &Baselines, status: &SharedStatus) {
    if let Err(error) = baselines.sweep() {
        status.problem("baseline", Some(format!("old baseline content cannot be removed: {error}")));
    }
}

/// What this agent says of itself to each control plane that it meets.
fn hello(config: &Config, agent_id: &str) -> v1::Hello {
    v1::Hello {
        agent_id: agent_id.to_owned(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        kind: config.kind().to_owned(),
        hostname: config.hostname(),
        ..v1::Hello::default()
    }
}

/// What is not watched: the data directory, as it was named and as it is, since a root may lead to it by either way.
fn excluded(config: &Config, data_dir: &DataDir) -> Vec<PathBuf> {
    let named = std::iter::once(&config.data_dir).chain(&config.exclude);
    let mut excluded = vec![data_dir.path().to_owned()];
    excluded.extend(named.filter_map(|path| absolute(path).ok()));
    excluded
}

/// A torn tail is what a crash leaves: worth a line in the log and no more. What a disk changed is a problem until the
/// next start, which finds the files written anew.
fn tell_damage(journal: &JournalStore, spool: &SpoolStore, status: &SharedStatus) {
    let damaged = journal.get().damaged();
    if damaged > 0 {
        tracing::warn!(bytes = damaged, "the job journal had bytes that are no records; they were left out");
    }
    let text = |what: &str, bytes: usize, then: &str| {
        let text = format!(
            "expected {what} as it was written, found {bytes} bytes that the disk changed: {then}; look at the disk of this \
             host"
        );
        (bytes > 0).then_some(text)
    };
    let then = "which jobs they held is not known, and the rest was written anew";
    status.problem("journal-damage", text("the job journal", journal.get().lost(), then));
    let then = "what they held is listed again";
    status.problem("spool-damage", text("the spool", spool.damaged(), then));
}

/// A watched path, absolute and without `.` or `..`; it need not exist.
fn absolute(path: &Path) -> Result<PathBuf, AgentError> {
    let wrong = |found| AgentError::WatchPath { path: path.to_owned(), found };
    let path = if path.components().any(|part| part == Component::ParentDir) {
        path.canonicalize().map_err(wrong)?
    } else {
        std::path::absolute(path).map_err(wrong)?
    };
    // Collected anew, so that a trailing slash or a `.` is gone.
    let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if path.parent().is_none() || path.to_str().is_none() {
        let found = std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "the whole file system, or a name that is not UTF-8; name a directory below /",
        );
        return Err(wrong(found));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_path_becomes_absolute_and_plain() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(absolute(Path::new("./a//b/")).unwrap(), here.join("a/b"));
        assert_eq!(absolute(Path::new("/x/./y/")).unwrap(), Path::new("/x/y"));
        assert!(absolute(Path::new("/")).is_err());
    }
}
