//! The state that the gateway, the tasks and the REST interface share.
//!
//! It decides nothing. Every change of a document goes through [`App::commit`], so that the tasks hear of it; every
//! decision looks through [`App::look`], so that all of them see the same.

use std::sync::{Arc, Mutex, OnceLock};

use jiff::Timestamp;
use nimbus_control_core::connected_agents::ConnectedAgents;
use nimbus_control_core::model::ChangeSet;
use nimbus_control_core::{Settings, Snapshot};
use nimbus_store::{Committed, Store, StoreError};

use crate::alive::Alive;
use crate::bearer::BearerToken;
use crate::belief::Belief;
use crate::ca::Authority;
use crate::documents::{Docs, Documents};
use crate::health::{Checked, Health, Notices};
use crate::ids;
use crate::metrics::Metrics;
use crate::people::People;
use crate::reports::ReportQueue;
use crate::reviews::Reviews;
use crate::sessions::Sessions;
use crate::sign::Signer;
use crate::wake::Wakers;
use crate::world_view::WorldView;

/// The secrets of this control plane.
pub struct Keys {
    /// Signs jobs.
    pub signer: Signer,
    /// Issues certificates.
    pub ca: Arc<Authority>,
    /// The operator's token.
    pub operator: BearerToken,
    /// The one that reads the figures at `/metrics` and nothing else, if there is one.
    pub metrics: Option<BearerToken>,
}

/// The notice that a write found no room.
const NO_ROOM: &str = "storage_full";

/// Shared by everything in the process.
pub struct App {
    /// The documents.
    pub documents: Documents,
    /// The picture of the world.
    pub view: WorldView,
    /// A snapshot is due whatever came since the last one.
    snapshot_due: std::sync::atomic::AtomicBool,
    /// Who is connected.
    pub sessions: Sessions,
    /// Agents' reports on jobs that wait to be taken.
    pub reports: ReportQueue,
    /// The secrets.
    pub keys: Keys,
    /// The figures of the decisions.
    pub settings: Settings,
    /// Wakes the tasks.
    pub wake: Wakers,
    /// The signs that its loops come round.
    pub alive: Arc<Alive>,
    /// Whether this process can do its work.
    pub health: Health,
    /// What else an operator should know.
    pub notices: Notices,
    /// What the last check of the database found.
    pub checked: Mutex<Checked>,
    /// The figures behind `/metrics`.
    pub metrics: Metrics,
    /// Grows with each start; in every job.
    pub epoch: u64,
    /// When this process started.
    pub started_at: Timestamp,
    /// Until when it believes that it leads.
    pub belief: Belief,
    /// Whom access tokens stand for.
    pub(crate) people: People,
    /// How many reviews are owed.
    pub(crate) reviews: Reviews,
    /// Read over an enrolment, and written over the removal of a cluster: neither is decided from what the other is about to
    /// change.
    pub removal: tokio::sync::RwLock<()>,
    agents_address: OnceLock<String>,
}

impl App {
    /// What is shared, over what was restored from the store.
    pub(crate) fn new(
        store: Store,
        view: WorldView,
        keys: Keys,
        settings: Settings,
        (epoch, belief): (u64, Belief),
        alive: Arc<Alive>,
    ) -> Self {
        Self {
            documents: Documents::new(store),
            view,
            snapshot_due: std::sync::atomic::AtomicBool::new(false),
            sessions: Sessions::default(),
            reports: ReportQueue::default(),
            keys,
            settings,
            wake: Wakers::default(),
            alive,
            health: Health::default(),
            notices: Notices::default(),
            checked: Mutex::default(),
            metrics: Metrics::default(),
            epoch,
            started_at: nimbus_platform::now(),
            belief,
            people: People::default(),
            reviews: Reviews::default(),
            removal: tokio::sync::RwLock::default(),
            agents_address: OnceLock::new(),
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        nimbus_platform::now()
    }

    /// The source of new ids.
    pub fn ids(&self) -> ids::Ids {
        ids::Ids
    }

    /// The store, to read.
    pub fn store(&self) -> &Store {
        self.documents.store()
    }

    /// Commits a change set and wakes the tasks. After a conflict the caller reads again.
    pub async fn commit(&self, changes: &ChangeSet) -> Result<Committed, StoreError> {
        let committed = self.documents.commit(changes, self.settings.jobs_since(self.now())).await;
        match &committed {
            Ok(_) => {
                self.notices.standing(NO_ROOM, None);
                self.wake.engine();
            }
            Err(error) if error.is_conflict() => self.metrics.conflicts.increment(1),
            Err(error @ StoreError::Full { .. }) => {
                let text = format!(
                    "an order was not taken at {:.0}: {error}; free or add space there (told until a write succeeds)",
                    self.now()
                );
                self.notices.standing(NO_ROOM, Some(text));
            }
            Err(_) => {}
        }
        committed
    }

    /// The open documents.
    pub async fn docs(&self) -> Result<Arc<Docs>, StoreError> {
        self.documents.open(self.settings.jobs_since(self.now())).await
    }

    /// The clock jumped by `by`: what is remembered of the world in time spans keeps their lengths.
    pub fn world_clock_jumped(&self, by: jiff::SignedDuration) {
        self.view.write().clock_jumped(by, self.now());
        self.snapshot_is_due();
    }

    /// The next look takes a snapshot.
    pub fn snapshot_is_due(&self) {
        self.snapshot_due.store(true, std::sync::atomic::Ordering::Release);
    }

    /// Is a snapshot due whatever came since the last one? Said once.
    pub fn take_snapshot_due(&self) -> bool {
        self.snapshot_due.swap(false, std::sync::atomic::Ordering::AcqRel)
    }

    /// Hands over what a decision is made from: these documents, the world, what is wrong in it, and which connected agents
    /// are up to date.
    pub fn with_snapshot<R>(&self, docs: &Docs, look: impl FnOnce(&Snapshot<'_>) -> R) -> R {
        self.with_snapshot_as(docs, &self.sessions.current(), look)
    }

    /// As [`Self::with_snapshot`], with these agents taken as connected.
    pub fn with_snapshot_as<R>(
        &self,
        docs: &Docs,
        connected: &ConnectedAgents,
        look: impl FnOnce(&Snapshot<'_>) -> R,
    ) -> R {
        let world = self.view.read();
        let assessment = self.view.assess(&world, &self.settings);
        look(&Snapshot {
            now: self.now(),
            world: &world,
            assessment: &assessment,
            agents: &docs.agents,
            clusters: &docs.clusters,
            pauses: &docs.pauses,
            rules: &docs.rules,
            incidents: &docs.incidents,
            plans: &docs.plans,
            approvals: &docs.approvals,
            jobs: &docs.jobs,
            unstored_jobs: &[],
            connected,
            settings: &self.settings,
        })
    }

    /// The observation log now reaches to `position`.
    pub(crate) fn log_moved(&self, position: i64) {
        self.view.log_moved(position);
        self.wake.engine();
    }

    /// Where agents reach this control plane, as an agent's `--server` takes it; empty before the gateway is up.
    pub fn agents_address(&self) -> String {
        self.agents_address.get().cloned().unwrap_or_default()
    }

    pub(crate) fn set_agents_address(&self, address: String) {
        // Set once, at the start.
        let _ = self.agents_address.set(address);
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A control plane without gateway and tasks, on an embedded database.

    use std::path::Path;

    use nimbus_control_core::World;
    use nimbus_store::StoreUrl;

    use super::*;
    use crate::world_view::Positions;

    /// With its keys and database in `dir`, and with a token for the figures where a test put one.
    pub(crate) async fn app(dir: &Path) -> Arc<App> {
        app_with(dir, Settings::default()).await
    }

    /// The same with these settings.
    pub(crate) async fn app_with(dir: &Path, settings: Settings) -> Arc<App> {
        let path = |name: &str| dir.join(name);
        let operator = BearerToken::operator(&path("operator.token")).unwrap();
        let store = Store::open(&StoreUrl::sqlite(path("nimbus.db"))).await.unwrap();
        let ca = Arc::new(Authority::open(&path("ca.pem"), &path("ca.key"), nimbus_platform::now()).unwrap());
        let keys = Keys {
            signer: Signer::open(&path("job.key")).unwrap(),
            ca,
            operator,
            metrics: BearerToken::given(&path("metrics.token")).ok(),
        };
        let view = WorldView::new(World::default(), Positions::default(), false);
        let app = App::new(store, view, keys, settings, (1, Belief::default()), Arc::default());
        // Long enough ago for every agent to have come back.
        let started_at = app.started_at - nimbus_control_core::remediation::COME_BACK;
        Arc::new(App { started_at, ..app })
    }
}
