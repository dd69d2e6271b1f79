//! What a service manager (systemd) is told about this control plane: that its start takes longer, that it serves, that
//! it makes progress, what it does now, and that it stops. Without one, nothing.

use std::sync::Arc;
use std::time::Duration;

use nimbus_platform::{Herald, Notice, ServiceManager, monotonic};
use tokio::task::JoinHandle;

use crate::alive::{Alive, Phase, may_take_longer};
use crate::app::App;

/// By how much a start asks for more time …
const EXTENSION: Duration = Duration::from_mins(1);
/// … and how often.
const EXTEND: Duration = Duration::from_secs(10);

/// The service manager that started this process. One that cannot be reached is a line in the log.
pub fn manager() -> Arc<ServiceManager> {
    let found = ServiceManager::of_process().unwrap_or_else(|error| {
        tracing::warn!("{error}");
        ServiceManager::default()
    });
    Arc::new(found)
}

/// Tells what the start does, and asks for more time as long as it moves, until it is aborted.
pub fn starting(manager: &Arc<ServiceManager>, alive: &Arc<Alive>) -> JoinHandle<()> {
    let mut told = alive.start().phase;
    tell(manager, &[Notice::Status(starts(told).to_owned()), Notice::Extend(EXTENSION)]);
    let (manager, alive) = (Arc::clone(manager), Arc::clone(alive));
    tokio::spawn(async move {
        if !manager.is_there() {
            return;
        }
        loop {
            tokio::time::sleep(EXTEND).await;
            let start = alive.start();
            let mut notices = Vec::new();
            if told != start.phase {
                told = start.phase;
                notices.push(Notice::Status(starts(told).to_owned()));
            }
            if may_take_longer(monotonic(), &start) {
                notices.push(Notice::Extend(EXTENSION));
            }
            tell(&manager, &notices);
        }
    })
}

/// Tells that everything is served, and from then on what it does and that it makes progress, until it is aborted.
pub fn serving(manager: &Arc<ServiceManager>, app: &Arc<App>) -> JoinHandle<()> {
    tell(manager, &[Notice::Ready]);
    let (manager, app) = (Arc::clone(manager), Arc::clone(app));
    tokio::spawn(async move {
        if manager.is_there() {
            follow(&manager, &app).await;
        }
    })
}

/// Tells that it stops now.
pub fn stopping(manager: &ServiceManager) {
    tell(manager, &[Notice::Stopping]);
}

/// On the control plane's own runtime, so that a runtime which stands still says nothing either.
async fn follow(manager: &ServiceManager, app: &App) {
    let mut herald = Herald::new(manager.watchdog());
    loop {
        let (now, text) = (monotonic(), sentence(&app.health.problems(), app.sessions.count()));
        let signs = manager.watchdog().map_or_else(Vec::new, |watchdog| app.alive.signs(watchdog).to_vec());
        tell(manager, &herald.due(now, &text, &signs));
        if let Some(complaint) = herald.complaint(now, &signs) {
            tracing::error!("{complaint}");
        }
        app.alive.ask();
        tokio::time::sleep(herald.pause()).await;
    }
}

fn tell(manager: &ServiceManager, notices: &[Notice]) {
    if let Err(error) = manager.tell(notices) {
        tracing::warn!(%error, "the service manager was not told");
    }
}

fn starts(phase: Phase) -> &'static str {
    match phase {
        Phase::Opening => "Starting: opening the database, and migrating it where it is an older one",
        Phase::StandingBy => "Standing by for the control plane that leads",
        Phase::Replaying => "Starting: reading the observation log",
        Phase::Serving => "Starting: about to serve",
    }
}

/// What it does now, in one sentence.
fn sentence(problems: &[String], agents: usize) -> String {
    let agents = match agents {
        1 => "1 agent".to_owned(),
        more => format!("{more} agents"),
    };
    match problems {
        [] => format!("Serving {agents}"),
        [problem] => format!("Serving {agents}, not ready: {problem}"),
        [first, more @ ..] => format!("Serving {agents}, not ready: {first} (and {} more)", more.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_says_how_many_agents_are_served_and_what_is_wrong() {
        assert_eq!(sentence(&[], 0), "Serving 0 agents");
        assert_eq!(sentence(&[], 1), "Serving 1 agent");
        let problems = ["tasks: no answer".to_owned(), "observation log: no answer".to_owned()];
        assert_eq!(sentence(&problems[..1], 3), "Serving 3 agents, not ready: tasks: no answer");
        assert_eq!(sentence(&problems, 3), "Serving 3 agents, not ready: tasks: no answer (and 1 more)");
    }
}
