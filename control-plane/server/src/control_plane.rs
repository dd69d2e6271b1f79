//! The life cycle of a control plane: starts its parts in order and stops them in reverse order.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nimbus_control_core::gateway::CloseReason;
use nimbus_control_core::model::Agent;
use nimbus_control_core::{Settings, World};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::join::JoinToken;
use nimbus_store::{ExclusiveUse, History, Sharing, Store, StoreError, StoreUrl};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::alive::{Alive, Phase};
use crate::app::{App, Keys};
use crate::bearer::BearerToken;
use crate::belief::Belief;
use crate::ca::{Authority, Leaf};
use crate::config::Config;
use crate::datadir::DataDir;
use crate::documents::EnabledCluster;
use crate::error::StartError;
use crate::health::Part;
use crate::lease::Lease;
use crate::sign::Signer;
use crate::tokens::{NewAgent, TokenError};
use crate::world_view::{Positions, WorldView};
use crate::{gateway, http, listeners, presence, rest, tasks, tls};

/// Longest time that [`ControlPlane::stop`] takes.
const STOP: Duration = Duration::from_secs(5);
/// Of which for sessions, and for requests, to end.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// How often is looked whether another control plane started on the same database, and who was revoked.
const LOOK: Duration = Duration::from_secs(1);

/// A running control plane. Dropping it stops its tasks without waiting; [`ControlPlane::stop`] waits.
pub struct ControlPlane {
    app: Arc<App>,
    data_dir: DataDir,
    gateway: gateway::Running,
    http: http::Running,
    engine: JoinHandle<()>,
    maintenance: JoinHandle<()>,
    checker: JoinHandle<()>,
    supervisor: JoinHandle<()>,
    superseded: watch::Receiver<Option<StoreError>>,
    deciding: DropGuard,
    exclusive: ExclusiveUse,
    /// Renews the lease of one that stood by.
    holding: Option<JoinHandle<()>>,
    /// Tells the others on the same database that this one is there.
    present: Option<JoinHandle<()>>,
}

/// The operators' listener of a start: one that stands by serves from the beginning.
enum Http {
    Waiting(TcpListener, Arc<Leaf>),
    Serving(http::Running),
}

impl ControlPlane {
    /// Starts everything. When it returns, agents and operators are served and the process is ready.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Box::pin(Self::start_alive(config, Arc::default())).await
    }

    /// As [`Self::start`]; `alive` tells meanwhile how far it has come. With [`Config::stand_by`] it returns only once it leads,
    /// and serves as one that stands by until then.
    ///
    /// # Errors
    /// What is in the way of the start; also that the lease was lost before it came to its end.
    pub async fn start_alive(config: Config, alive: Arc<Alive>) -> Result<Self, StartError> {
        let (lost, superseded) = watch::channel(None);
        let starting = Box::pin(Self::begin(config, alive, (lost, superseded.clone())));
        tokio::select! {
            biased;
            error = loss(superseded) => Err(error.into()),
            started = starting => started,
        }
    }

    async fn begin(
        config: Config,
        alive: Arc<Alive>,
        (lost, superseded): (watch::Sender<Option<StoreError>>, watch::Receiver<Option<StoreError>>),
    ) -> Result<Self, StartError> {
        config.settings.validate()?;
        let data_dir = DataDir::open_with_keys(&config.data_dir, config.keys.as_deref())?;
        may_stand_by(&config)?;
        let metrics = config.metrics_token.as_deref().map(BearerToken::given).transpose()?;
        // Taken before anything is written: a port in use must not cost an epoch.
        let listener = listeners::bind(config.listen, "REST", "--listen", TcpListener::bind)?;
        let for_agents = listeners::bind_for_agents(&config)?;
        let now = nimbus_platform::now();
        // Keys that cannot be used must not cost a migration, which nothing takes back. New ones are made after the database:
        // where there are keys, there has been one.
        data_dir.remove_half_made_ca()?;
        let found =
            if data_dir.has_all_keys() { Some(open_keys(&data_dir, metrics.as_ref(), now)?) } else { None };
        let fingerprint = fingerprint_of(found.as_ref(), &data_dir, now)?;
        let store = open_store(&config, &data_dir, &fingerprint).await?;
        // Before an epoch is taken: that would put the jobs of the one that runs out of date.
        let exclusive =
            if config.stand_by { store.use_beside().await? } else { store.exclusive_use().await? };
        // While another one leads, it goes on with the schema that it knows.
        if !config.stand_by || !store.has_leases().await? {
            store.upgrade().await?;
        }
        let keys = found.map_or_else(|| make_keys(&data_dir, metrics.as_ref(), now), Ok)?;
        store.belong_to(&nimbus_protocol::to_hex(&keys.ca.fingerprint())).await?;
        let ca = Arc::clone(&keys.ca);
        let names = config.certificate_names();
        let leaf = Arc::new(Leaf::new(Arc::clone(&ca), tls::provider(), names, nimbus_platform::now)?);
        let agents = tls::for_agents(&ca, Arc::clone(&leaf))?;
        let agents = gateway::ListenerTls { tcp: tls::for_agents_over_tcp(&agents), quic: agents };
        let doors = gateway::Doors::new(&keys.signer, for_agents, agents)?;
        let switch = rest::standby::Switch::default();
        let deciding = CancellationToken::new();
        // A start that fails gives the lease up, by not renewing it.
        let deciding_guard = deciding.clone().drop_guard();
        // Agents hear that they should come again, until somebody serves them.
        let refusing = CancellationToken::new();
        let refusing_guard = refusing.clone().drop_guard();
        let ((epoch, belief), early, holding, present) = if config.stand_by {
            let http = http::Running::start(&config, listener, leaf, switch.router(&config))?;
            alive.enter(Phase::StandingBy);
            tracing::info!(database = store.address(), "standing by");
            tokio::spawn(gateway::refuse(doors.clone(), refusing.clone()));
            let own = presence::name(http.url());
            let present = tokio::spawn(presence::keep(store.clone(), own, deciding.clone()));
            let lease = Lease::win(store.clone(), data_dir.epoch()?).await;
            let (epoch, belief) = (lease.epoch(), lease.belief());
            tracing::info!(epoch, "this control plane leads now");
            // From here on: migrating and reading the log may take longer than the lease holds.
            let holding = tokio::spawn(hold(lease, deciding.clone(), lost.clone()));
            alive.enter(Phase::Opening);
            store.upgrade().await?;
            ((epoch, belief), Http::Serving(http), Some(holding), Some(present))
        } else {
            let epoch = store.epoch_after(data_dir.epoch()?).await?;
            ((epoch, Belief::default()), Http::Waiting(listener, leaf), None, None)
        };
        data_dir.note_epoch(epoch)?;
        alive.enter(Phase::Replaying);
        let (app, histories) = restore(config.settings.clone(), store, keys, (epoch, belief), alive).await?;
        let (ingest, snapshots) = tasks::catch_up(&app, histories).await?;
        app.docs().await?;

        drop(refusing_guard);
        let gateway = gateway::Running::start(Arc::clone(&app), doors, config.max_connections).await?;
        app.set_agents_address(config.told_to_agents(gateway.address()));
        let router = rest::router(Arc::clone(&app), &config);
        let http = match early {
            Http::Waiting(listener, leaf) => http::Running::start(&config, listener, leaf, router)?,
            Http::Serving(http) => {
                switch.lead(router);
                app.metrics.takeovers.increment(1);
                http
            }
        };
        app.metrics.leading.set(1);
        let engine = tokio::spawn(tasks::Engine::new(Arc::clone(&app), ingest).run(deciding.clone()));
        let maintenance = tokio::spawn(tasks::keep(Arc::clone(&app), snapshots, deciding.clone()));
        let checker = tokio::spawn(tasks::integrity::run(Arc::clone(&app), deciding.clone()));
        app.alive.enter(Phase::Serving);
        let supervisor = tokio::spawn(supervise(Arc::clone(&app), deciding.clone(), lost));
        app.health.works(Part::Start);
        tracing::info!(
            rest = http.url(),
            quic = %gateway.address(),
            tcp = gateway.tcp_address().map_or_else(|| "off".to_owned(), |address| address.to_string()),
            data_dir = %data_dir.path().display(),
            database = app.store().address(),
            epoch = app.epoch,
            "control plane started"
        );
        Ok(Self {
            app,
            data_dir,
            gateway,
            http,
            engine,
            maintenance,
            checker,
            supervisor,
            superseded,
            deciding: deciding_guard,
            exclusive,
            holding,
            present,
        })
    }

    /// What the parts share.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Where operators are served: `http://…` on loopback, else `https://…`.
    pub fn rest_url(&self) -> String {
        self.http.url()
    }

    /// The address behind [`Self::rest_url`].
    pub fn rest_addr(&self) -> SocketAddr {
        self.http.address()
    }

    /// Where agents are served (UDP).
    pub fn quic_addr(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Where agents are served over TCP; `None` where that is switched off.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.gateway.tcp_address()
    }

    /// The own CA's certificate: what operators' clients trust when REST is TLS.
    pub fn ca_pem_path(&self) -> PathBuf {
        self.data_dir.ca_pem()
    }

    /// The file with the operator's token.
    pub fn operator_token_path(&self) -> PathBuf {
        self.data_dir.operator_token()
    }

    /// Makes a single-use join token: see [`App::create_join_token`].
    pub async fn create_join_token(
        &self,
        new_agent: NewAgent<'_>,
        ttl: Duration,
        by: &str,
    ) -> Result<JoinToken, TokenError> {
        self.app.create_join_token(new_agent, ttl, by).await
    }

    /// Lets an agent that has joined report for this cluster and no other: see [`App::grant_cluster`].
    pub async fn grant_cluster(&self, agent: AgentId, cluster: &str, by: &str) -> Result<(), StoreError> {
        self.app.grant_cluster(agent, cluster, by).await
    }

    /// Has this agent joined, as far as the database knows?
    pub async fn knows(&self, agent: AgentId) -> Result<bool, StoreError> {
        Ok(self.app.store().get::<Agent>(agent).await?.is_some())
    }

    /// Was an agent that had joined revoked?
    pub async fn is_revoked(&self, agent: AgentId) -> Result<bool, StoreError> {
        let agent = self.app.store().get::<Agent>(agent).await?;
        Ok(agent.is_some_and(|agent| agent.doc.revoked_at.is_some()))
    }

    /// The clusters in which something is enabled: UID and actions. It moves when an operator changes that.
    pub fn enabled_clusters(&self) -> watch::Receiver<Vec<EnabledCluster>> {
        self.app.documents.enabled_clusters()
    }

    /// Comes when another control plane took the database over, with what to say about it; never otherwise. By then this
    /// one is not ready, writes nothing and decides nothing: whoever runs it has to stop it and to end in an error.
    pub async fn superseded(&self) -> StoreError {
        loss(self.superseded.clone()).await
    }

    /// Stops everything within five seconds: no new work, sessions told, requests finished, the inventory kept.
    pub async fn stop(self) {
        let Self {
            app,
            data_dir,
            gateway,
            http,
            engine,
            maintenance,
            checker,
            supervisor,
            deciding,
            exclusive,
            holding,
            present,
            ..
        } = self;
        app.health.failed(Part::Start, "stopping");
        let stopping = async {
            let ((), operators) = tokio::join!(gateway.stop(PATIENCE), http.stop(PATIENCE));
            drop(deciding);
            let _ = tokio::join!(engine, maintenance, checker, supervisor);
            if let Some(holding) = holding {
                // A renewal that is under way would take it again.
                let _ = holding.await;
                // The one that stands by takes over at once. Who has lost the lease is refused here.
                if app.store().give_up_lease().await.is_ok() {
                    tracing::info!("the lease is given up");
                }
            }
            if let Some(present) = present {
                let _ = present.await;
            }
            app.store().close().await;
            drop(operators);
        };
        if tokio::time::timeout(STOP, stopping).await.is_err() {
            tracing::warn!("stopped without waiting any longer; the next start replays what is missing");
        }
        drop(exclusive);
        tracing::info!(data_dir = %data_dir.path().display(), "control plane stopped");
    }
}

/// Can this configuration stand by? SQLite's file is of one machine, and agents trust one set of keys.
fn may_stand_by(config: &Config) -> Result<(), StartError> {
    let is_server = config.database.as_deref().is_some_and(|url| url.starts_with("postgres"));
    match (config.stand_by, is_server, &config.keys) {
        (true, false, _) => Err(StartError::StandBy { found: "SQLite, which is a file of one machine" }),
        (true, true, None) => Err(StartError::StandBy { found: "no --keys" }),
        (true, true, Some(_)) | (false, _, _) => Ok(()),
    }
}

/// Comes when this control plane has lost its database to another one, or its lease.
async fn loss(mut superseded: watch::Receiver<Option<StoreError>>) -> StoreError {
    let found = superseded.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
    match found {
        Some(error) => error,
        // It is being stopped, or its start has failed: nobody looks any more.
        None => std::future::pending().await,
    }
}

/// Renews the lease until `deciding` is cancelled; when it is lost, nothing is decided any more.
async fn hold(lease: Lease, deciding: CancellationToken, lost: watch::Sender<Option<StoreError>>) {
    tokio::select! {
        () = deciding.cancelled() => {}
        error = lease.hold() => {
            tracing::error!(%error, "nothing is decided or stored any more");
            // First why, then that: whoever hears the second looks at the first.
            lost.send_replace(Some(error));
            deciding.cancel();
        }
    }
}

/// Looks until `deciding` is cancelled, or until another control plane started on the database: then nothing is decided
/// any more. What is being written in that moment the store refuses by itself.
///
/// Sessions of revoked agents end here at the latest: whoever revokes one closes its session, unless it never hears that
/// its commit took effect.
async fn supervise(app: Arc<App>, deciding: CancellationToken, found: watch::Sender<Option<StoreError>>) {
    let mut tick = tokio::time::interval(LOOK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = deciding.cancelled() => {
                if let Some(error) = found.borrow().as_ref() {
                    app.health.failed(Part::Start, error.to_string());
                }
                return;
            }
            _ = tick.tick() => {}
        }
        let checked = app.store().check_epoch().await;
        app.alive.database().beat();
        // A database that does not answer is said by those who write to it.
        if let Err(error) = checked
            && error.is_superseded()
        {
            app.health.failed(Part::Start, error.to_string());
            tracing::error!(%error, "nothing is decided or stored any more");
            deciding.cancel();
            found.send_replace(Some(error));
            return;
        }
        if let Ok(docs) = app.docs().await {
            for agent in docs.agents.iter().filter(|agent| agent.doc.revoked_at.is_some()) {
                app.sessions.close(agent.doc.id, CloseReason::Revoked);
            }
        }
    }
}

/// Opens the keys of this data directory, and makes those that are not there.
fn open_keys(data_dir: &DataDir, metrics: Option<&BearerToken>, now: Timestamp) -> Result<Keys, StartError> {
    Ok(Keys {
        ca: Arc::new(Authority::open(&data_dir.ca_pem(), &data_dir.ca_key(), now)?),
        signer: Signer::open(&data_dir.job_key())?,
        operator: BearerToken::operator(&data_dir.operator_token())?,
        metrics: metrics.cloned(),
    })
}

/// Makes the keys of this data directory that are not there. Where there are none, this is its first start.
fn make_keys(data_dir: &DataDir, metrics: Option<&BearerToken>, now: Timestamp) -> Result<Keys, StartError> {
    if !data_dir.has_keys() {
        data_dir.begin_first_start()?;
    }
    open_keys(data_dir, metrics, now)
}

/// Whose this data directory is; empty where it is nobody's yet.
fn fingerprint_of(found: Option<&Keys>, data_dir: &DataDir, now: Timestamp) -> Result<String, StartError> {
    Ok(match found {
        Some(keys) => nimbus_protocol::to_hex(&keys.ca.fingerprint()),
        None if data_dir.ca_key().exists() => {
            let ca = Authority::open(&data_dir.ca_pem(), &data_dir.ca_key(), now)?;
            nimbus_protocol::to_hex(&ca.fingerprint())
        }
        None => String::new(),
    })
}

/// The database of this configuration. Where there are keys, one without a history is refused unless that is meant; one of
/// other keys is refused in any case.
async fn open_store(config: &Config, data_dir: &DataDir, fingerprint: &str) -> Result<Store, StartError> {
    let address = config.database.clone().unwrap_or_else(|| data_dir.database_url());
    // Keys that were made elsewhere are there before the first start.
    let was_here = if data_dir.has_given_keys() {
        data_dir.epoch()? > 0
    } else {
        data_dir.has_keys() && !data_dir.is_first_start_unfinished()?
    };
    let expected = was_here && !config.new_history;
    let history = if expected { History::Expected } else { History::MayBegin };
    let sharing = if config.stand_by { Sharing::Beside } else { Sharing::Alone };
    let opened = Store::open_for(&address.parse::<StoreUrl>()?, history, sharing, fingerprint).await;
    opened.map_err(|error| match error {
        StoreError::OtherKeys { at, expected, found } => {
            StartError::OtherKeys { keys: data_dir.keys_dir().to_owned(), database: at, expected, found }
        }
        StoreError::NoHistory { at, found } => {
            StartError::NoHistory { data_dir: data_dir.path().to_owned(), database: at, found }
        }
        other => other.into(),
    })
}

/// The state as the store has it: world, positions, and the histories that no listing can rebuild.
async fn restore(
    settings: Settings,
    store: Store,
    keys: Keys,
    lead: (u64, Belief),
    alive: Arc<Alive>,
) -> Result<(Arc<App>, tasks::Histories), StartError> {
    let span = store.log_span().await?;
    let routed = store.cursor(tasks::CURSOR).await?;
    let (applied, mut world, needs_listing) = match store.load_snapshot().await? {
        None => (0, World::default(), false),
        Some((position, bytes)) => match World::from_snapshot(&bytes) {
            Ok(world) => (position, world, false),
            Err(error) => {
                tracing::warn!(%error, "the inventory is rebuilt from what agents list again");
                (0, World::default(), true)
            }
        },
    };
    let histories = tasks::Histories::restore(&store, &mut world).await?;
    // The log may be trimmed up to its snapshot: then it is empty and the snapshot is the newest.
    let positions = Positions { applied, stored: span.last.max(applied), routed };
    let view = WorldView::new(world, positions, needs_listing);
    Ok((Arc::new(App::new(store, view, keys, settings, lead, alive)), histories))
}
