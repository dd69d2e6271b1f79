//! systemd as it answers on the system bus: which units there are, what it says of one, and the start of one.
//!
//! Asked are the calls that every user of a host may make; only the start needs a right (see `docs/install.md`). The
//! connection is made when it is needed, and made anew after it broke.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use nimbus_agent_core::observe::units::{More, UnitFacts};
use serde::Serialize;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use zbus::connection::Builder;
use zbus::{Connection, DynamicType, OwnedObjectPath, OwnedVariant, fdo};

const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// Its word for a unit that is not there.
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
/// Longest wait for the connection, and for each answer.
const ANSWER: Duration = Duration::from_secs(10);

/// Why systemd did not do or say what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// There is none on this bus, or no bus.
    #[error("no systemd answers at {path}: {found}")]
    NotThere {
        /// The bus's socket.
        path: String,
        /// What was found instead.
        found: String,
    },
    /// The bus lets in only users that the host knows by name.
    #[error(
        "the system bus ended the talk with user {user} ({found}): it lets in only users that this host knows. Install \
         libnss-systemd, by which it knows those that are there only while a unit runs, or make this agent a user that stays, as \
         docs/install.md says"
    )]
    NotLetIn {
        /// The user's number.
        user: u32,
        /// What was found.
        found: String,
    },
    /// It refuses this to the user that the agent runs as.
    #[error("systemd does not let this user do it: {0}")]
    Denied(String),
    /// It has no such unit any more.
    #[error("systemd has no such unit: {0}")]
    Gone(String),
    /// It refuses, in its own words.
    #[error("systemd says: {0}")]
    Refused(String),
    /// It did not answer, or not in a way that can be read.
    #[error("systemd did not answer: {0}")]
    Unanswered(String),
}

/// A unit as `ListUnits` has it: name, description, load, active and sub state, the unit that it follows, its path, and the job
/// that is queued for it: number, type, path.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

/// A command of a service: path, arguments, whether its failure is ignored, when it began and ended (each by the calendar's and the
/// monotonic clock), its process, and what that ended with. The arguments, which may hold secrets, are dropped.
type Ran = (String, Vec<String>, bool, u64, u64, u64, u64, u32, i32, i32);

type Properties = HashMap<String, OwnedVariant>;

/// Takes one out of them.
fn take<T: TryFrom<OwnedVariant>>(all: &mut Properties, name: &str) -> Result<T, BusError> {
    let value = all.remove(name).ok_or_else(|| BusError::Unanswered(format!("it does not say {name}")))?;
    T::try_from(value).map_err(|_| BusError::Unanswered(format!("{name} is of another type than expected")))
}

/// The names in these; one that it does not have says none.
fn several(all: &mut Properties, names: &[&str]) -> Result<Vec<String>, BusError> {
    let mut found = Vec::new();
    for name in names.iter().filter(|name| all.contains_key(**name)).collect::<Vec<_>>() {
        found.extend(take::<Vec<String>>(all, name)?);
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The bus of this host.
#[derive(Debug)]
pub struct SystemBus {
    path: PathBuf,
    connection: Mutex<Option<Connection>>,
}

impl SystemBus {
    /// The bus whose socket is there.
    pub fn at(path: PathBuf) -> Self {
        Self { path, connection: Mutex::new(None) }
    }

    /// Is its socket there?
    pub fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// The units in any of these states whose name fits any of these patterns, without more; an empty list stands for any.
    pub async fn units(&self, states: &[&str], patterns: &[String]) -> Result<Vec<UnitFacts>, BusError> {
        let rows: Vec<Row> = self.manager("ListUnitsByPatterns", &(states, patterns)).await?;
        let facts = |(name, _, load_state, active_state, sub_state, _, path, job, _, _): Row| UnitFacts {
            name,
            path: path.to_string(),
            load_state,
            active_state,
            sub_state,
            has_job: job != 0,
            more: More::default(),
        };
        Ok(rows.into_iter().map(facts).collect())
    }

    /// This one unit with everything that is asked of one; `None` where none of that name is loaded.
    pub async fn unit(&self, name: &str) -> Result<Option<UnitFacts>, BusError> {
        let found = self.units(&[], &[name.to_owned()]).await?.into_iter().find(|facts| facts.name == name);
        let Some(facts) = found else { return Ok(None) };
        self.more(facts, true).await
    }

    /// systemd's word for the whole host, such as `running`.
    pub async fn system_state(&self) -> Result<String, BusError> {
        self.property(MANAGER_PATH, MANAGER, "SystemState").await
    }

    /// Asks for the start of a unit. What else is asked of it meanwhile is not pushed aside. That it has started is not
    /// waited for.
    pub async fn start(&self, name: &str) -> Result<(), BusError> {
        let _job: OwnedObjectPath = self.manager("StartUnit", &(name, "fail")).await?;
        Ok(())
    }

    /// What a unit is asked beside its states: of one that is well its run and the number of its restarts, and with `others` what
    /// else a start would stop and start. `None`: it is gone since it was listed.
    pub async fn more(&self, facts: UnitFacts, others: bool) -> Result<Option<UnitFacts>, BusError> {
        let more = if facts.is_unwell() || others {
            self.whole(facts, others).await
        } else {
            self.brief(facts).await
        };
        match more {
            Err(BusError::Gone(_)) => Ok(None),
            asked => asked.map(Some),
        }
    }

    async fn brief(&self, facts: UnitFacts) -> Result<UnitFacts, BusError> {
        let invocation_id = self.property(&facts.path, UNIT, "InvocationID").await?;
        let restarts = if facts.name.strip_suffix(".service").is_some() {
            Some(self.property(&facts.path, SERVICE, "NRestarts").await?)
        } else {
            None
        };
        Ok(UnitFacts { more: More { invocation_id, restarts, ..More::default() }, ..facts })
    }

    /// The states are read again with the rest: it may have begun a run since it was listed.
    async fn whole(&self, mut facts: UnitFacts, others: bool) -> Result<UnitFacts, BusError> {
        let mut unit = self.all(&facts.path, UNIT).await?;
        facts.load_state = take(&mut unit, "LoadState")?;
        facts.active_state = take(&mut unit, "ActiveState")?;
        facts.sub_state = take(&mut unit, "SubState")?;
        let mut more = More {
            invocation_id: take(&mut unit, "InvocationID")?,
            changed_us: take(&mut unit, "StateChangeTimestamp")?,
            left_inactive_us: take(&mut unit, "InactiveExitTimestampMonotonic")?,
            came_up_us: take(&mut unit, "ActiveEnterTimestampMonotonic")?,
            left_active_us: take(&mut unit, "ActiveExitTimestampMonotonic")?,
            start_limit: take(&mut unit, "StartLimitBurst")?,
            start_limit_us: take(&mut unit, "StartLimitIntervalUSec")?,
            triggered_by: take(&mut unit, "TriggeredBy")?,
            can_start: take(&mut unit, "CanStart")?,
            needs_reload: take(&mut unit, "NeedDaemonReload")?,
            ..More::default()
        };
        if facts.name.strip_suffix(".service").is_some() {
            let mut service = self.all(&facts.path, SERVICE).await?;
            more.result = take(&mut service, "Result")?;
            more.service_type = take(&mut service, "Type")?;
            more.restart = take(&mut service, "Restart")?;
            more.main_code = take(&mut service, "ExecMainCode")?;
            more.main_status = take(&mut service, "ExecMainStatus")?;
            more.restarts = Some(take(&mut service, "NRestarts")?);
            more.main_ran_us = (
                take(&mut service, "ExecMainStartTimestampMonotonic")?,
                take(&mut service, "ExecMainExitTimestampMonotonic")?,
            );
            // systemd before 243 has no ExecCondition.
            for name in ["ExecCondition", "ExecStartPre"]
                .iter()
                .filter(|name| service.contains_key(**name))
                .collect::<Vec<_>>()
            {
                let commands: Vec<Ran> = take(&mut service, name)?;
                let began = commands.iter().map(|ran| ran.4).max().unwrap_or(0);
                more.before_main_us = more.before_main_us.max(began);
            }
        }
        if others {
            more.would_stop = self.would_stop(&mut unit).await?;
            more.would_start = self.would_start(&mut unit).await?;
        }
        Ok(UnitFacts { more, ..facts })
    }

    /// What is active and in conflict with it.
    async fn would_stop(&self, unit: &mut Properties) -> Result<Vec<String>, BusError> {
        let names = several(unit, &["Conflicts", "ConflictedBy"])?;
        let active = self.of(&["active", "activating", "reloading"], &names).await?;
        Ok(active.into_iter().map(|facts| facts.name).collect())
    }

    /// What it pulls in and what does not run. A slice runs where something is in it, and a device is nothing to start; one that is
    /// wanted and not there is not missed.
    async fn would_start(&self, unit: &mut Properties) -> Result<Vec<String>, BusError> {
        // systemd before 249 has no Upholds.
        let names = several(unit, &["Requires", "BindsTo", "Wants", "Upholds"])?;
        let begun = |name: &String| !matches!(name.rsplit('.').next(), Some("slice" | "device"));
        let names: Vec<String> = names.into_iter().filter(begun).collect();
        let rests =
            |facts: &UnitFacts| matches!(facts.active_state.as_str(), "inactive" | "failed" | "deactivating");
        let found = self.of(&["loaded"], &names).await?;
        Ok(found.into_iter().filter(rests).map(|facts| facts.name).collect())
    }

    /// Those of these names that are in one of these states; no name stands for none.
    async fn of(&self, states: &[&str], names: &[String]) -> Result<Vec<UnitFacts>, BusError> {
        if names.is_empty() { Ok(Vec::new()) } else { self.units(states, names).await }
    }

    async fn all(&self, path: &str, interface: &str) -> Result<Properties, BusError> {
        self.call(path, PROPERTIES, "GetAll", &(interface,)).await
    }

    async fn property<T>(&self, path: &str, interface: &str, name: &str) -> Result<T, BusError>
    where
        T: TryFrom<OwnedVariant>,
    {
        let value: OwnedVariant = self.call(path, PROPERTIES, "Get", &(interface, name)).await?;
        T::try_from(value)
            .map_err(|_| BusError::Unanswered(format!("{name} is of another type than expected")))
    }

    async fn manager<T, B>(&self, method: &str, body: &B) -> Result<T, BusError>
    where
        T: for<'d> zbus::wire::DynamicDeserialize<'d>,
        B: Serialize + DynamicType + Sync,
    {
        self.call(MANAGER_PATH, MANAGER, method, body).await
    }

    async fn call<T, B>(&self, path: &str, interface: &str, method: &str, body: &B) -> Result<T, BusError>
    where
        T: for<'d> zbus::wire::DynamicDeserialize<'d>,
        B: Serialize + DynamicType + Sync,
    {
        let connection = self.connection().await?;
        let asked = connection.call_method(Some(SYSTEMD), path, Some(interface), method, body);
        // The library itself waits for an answer without end.
        let answered = match tokio::time::timeout(ANSWER, asked).await {
            Ok(answered) => answered.and_then(|reply| reply.body().deserialize::<T>()),
            Err(_) => Err(zbus::Error::Failure(format!("no answer to {method} within {ANSWER:?}"))),
        };
        match answered.map_err(|error| self.told(error)) {
            Err(
                error @ (BusError::Unanswered(_) | BusError::NotThere { .. } | BusError::NotLetIn { .. }),
            ) => {
                *self.connection.lock().await = None;
                Err(error)
            }
            answered => answered,
        }
    }

    async fn connection(&self) -> Result<Connection, BusError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = &*kept {
            return Ok(connection.clone());
        }
        let made = tokio::time::timeout(ANSWER, async {
            let stream = UnixStream::connect(&self.path).await.and_then(UnixStream::into_std);
            let stream = stream.map_err(|error| self.not_there(error.to_string()))?;
            Builder::unix_stream(stream).build().await.map_err(not_let_in)
        });
        let connection =
            made.await.unwrap_or_else(|_| Err(self.not_there(format!("no answer within {ANSWER:?}"))))?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    fn not_there(&self, found: String) -> BusError {
        BusError::NotThere { path: self.path.display().to_string(), found }
    }

    fn told(&self, error: zbus::Error) -> BusError {
        match error {
            zbus::Error::MethodError(name, text, _) => {
                let text = text.unwrap_or_else(|| name.to_string());
                if name.as_str() == NO_SUCH_UNIT { BusError::Gone(text) } else { BusError::Refused(text) }
            }
            zbus::Error::FDO(error) => match *error {
                fdo::Error::AccessDenied(text)
                | fdo::Error::AuthFailed(text)
                | fdo::Error::InteractiveAuthorizationRequired(text) => BusError::Denied(text),
                fdo::Error::ServiceUnknown(text)
                | fdo::Error::NameHasNoOwner(text)
                | fdo::Error::SpawnServiceNotFound(text) => self.not_there(text),
                fdo::Error::UnknownObject(text) | fdo::Error::UnknownInterface(text) => BusError::Gone(text),
                other => BusError::Unanswered(other.to_string()),
            },
            other => BusError::Unanswered(other.to_string()),
        }
    }
}

fn not_let_in(error: zbus::Error) -> BusError {
    let user = rustix::process::geteuid().as_raw();
    match error {
        // What the daemon does to a user that it cannot look up, after it took the user's word.
        zbus::Error::InputOutput(error) => BusError::NotLetIn { user, found: error.to_string() },
        other => BusError::Unanswered(other.to_string()),
    }
}
