//! A unit as systemd tells of it, and what follows from its figures: whether it is well, whether it was being stopped when it
//! ended, and whether systemd gave up on it.

/// systemd's word for a unit that failed.
pub const FAILED: &str = "failed";
/// systemd's word for a service that it starts again in a moment.
pub const AUTO_RESTART: &str = "auto-restart";
/// The agent's own word for a unit that systemd has not loaded.
pub const NOT_LOADED: &str = "not-loaded";

/// A unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFacts {
    /// `Id`.
    pub name: String,
    /// Where systemd answers for it.
    pub path: String,
    /// `LoadState`.
    pub load_state: String,
    /// `ActiveState`.
    pub active_state: String,
    /// `SubState`.
    pub sub_state: String,
    /// Is a job of systemd queued for it?
    pub has_job: bool,
    /// What it is asked beside that.
    pub more: More,
}

/// What a unit is asked beside its states. Of one that is well only the run and the number of restarts are asked, of one that is no
/// service the figures of services are not. What was not asked is empty or 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct More {
    /// `Result`.
    pub result: String,
    /// `Type`.
    pub service_type: String,
    /// `Restart`.
    pub restart: String,
    /// `ExecMainCode`: one of `CLD_EXITED`, `CLD_KILLED` and `CLD_DUMPED`, or 0.
    pub main_code: i32,
    /// `ExecMainStatus`.
    pub main_status: i32,
    /// `ExecMainStartTimestampMonotonic` and `ExecMainExitTimestampMonotonic`.
    pub main_ran_us: (u64, u64),
    /// When the newest command of `ExecCondition` and `ExecStartPre` began, by the same clock; 0: none did.
    pub before_main_us: u64,
    /// `NRestarts`.
    pub restarts: Option<u32>,
    /// `InvocationID`.
    pub invocation_id: Vec<u8>,
    /// `StateChangeTimestamp`, microseconds since the Unix epoch.
    pub changed_us: u64,
    /// `InactiveExitTimestampMonotonic`.
    pub left_inactive_us: u64,
    /// `ActiveEnterTimestampMonotonic`.
    pub came_up_us: u64,
    /// `ActiveExitTimestampMonotonic`.
    pub left_active_us: u64,
    /// `StartLimitBurst`.
    pub start_limit: u32,
    /// `StartLimitIntervalUSec`.
    pub start_limit_us: u64,
    /// `TriggeredBy`.
    pub triggered_by: Vec<String>,
    /// `CanStart`.
    pub can_start: bool,
    /// `NeedDaemonReload`.
    pub needs_reload: bool,
    /// Of `Conflicts` and `ConflictedBy` those that are active: a start would stop them.
    pub would_stop: Vec<String>,
    /// Of `Requires`, `BindsTo`, `Wants` and `Upholds` those that are loaded and not active: a start would start them too.
    pub would_start: Vec<String>,
}

impl UnitFacts {
    /// A unit that systemd has not loaded: it does not run, and nobody asks for it.
    pub fn not_loaded(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            load_state: NOT_LOADED.to_owned(),
            active_state: "inactive".to_owned(),
            sub_state: "dead".to_owned(),
            ..Self::default()
        }
    }

    /// Is it failed, or in the pause before it is started again?
    pub fn is_unwell(&self) -> bool {
        self.active_state == FAILED || self.sub_state == AUTO_RESTART
    }
}

impl More {
    /// Did its last run end before its main process began? Then what systemd says of that process is of an earlier run.
    pub fn ended_before_main(&self) -> bool {
        let (began, ended) = self.main_ran_us;
        self.before_main_us > began && self.before_main_us > ended
    }

    /// Was systemd stopping it when its main process ended, or may it have been? One that ends by itself ends before its unit is
    /// active no more; one that is stopped ends after that. So does one that systemd ends for its watchdog or for want of memory,
    /// which says so. Of one that had not come up it is not known, unless systemd started it again: it does not where it stops.
    pub fn may_have_been_stopped(&self) -> bool {
        let (began, ended) = self.main_ran_us;
        if matches!(self.result.as_str(), "watchdog" | "oom-kill") {
            return false;
        }
        let never_up = began == 0 || self.ended_before_main() || self.came_up_us < began;
        (never_up && !self.gave_up()) || (self.left_active_us > began && ended > self.left_active_us)
    }

    /// Did systemd start it as often as it may? Its word for that, `start-limit-hit`, stands only where the last run ended well.
    /// Else it failed as its last run did, after as many starts as are counted; and it left the state of what has ended once more
    /// after that run, for the pause before a start that was refused then.
    pub fn gave_up(&self) -> bool {
        let (_, ended) = self.main_ran_us;
        let is_limited = self.start_limit > 0 && self.start_limit_us > 0;
        let many = is_limited && self.restarts.is_some_and(|times| times >= self.start_limit);
        let tried_after_it = ended > 0 && self.left_inactive_us > ended && !self.ended_before_main();
        self.result == "start-limit-hit" || (self.restart != "no" && many && tried_after_it)
    }
}
