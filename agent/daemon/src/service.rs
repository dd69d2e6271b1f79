//! What a service manager (systemd) is told about this agent: that it runs, that it makes progress, what it does now,
//! and that it stops. Without one, nothing.

use std::sync::Arc;

use nimbus_platform::{Herald, Notice, ServiceManager, monotonic};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::alive::Alive;
use crate::status::Status;

/// The service manager that started this process. One that cannot be reached is a line in the log.
pub fn manager() -> Arc<ServiceManager> {
    let found = ServiceManager::of_process().unwrap_or_else(|error| {
        tracing::warn!("{error}");
        ServiceManager::default()
    });
    Arc::new(found)
}

/// Tells that the agent runs, and from then on what it does and that it makes progress, until it is aborted. `server` is the control plane's address, for people.
pub fn running(
    manager: &Arc<ServiceManager>,
    server: String,
    status: watch::Receiver<Status>,
    alive: Arc<Alive>,
) -> JoinHandle<()> {
    tell(manager, &[Notice::Ready]);
    let manager = Arc::clone(manager);
    tokio::spawn(async move {
        if manager.is_there() {
            follow(&manager, &server, &status, &alive).await;
        }
    })
}

/// Tells that the agent stops now.
pub fn stopping(manager: &ServiceManager) {
    tell(manager, &[Notice::Stopping]);
}

/// On the agent's own runtime, so that a runtime which stands still says nothing either.
async fn follow(manager: &ServiceManager, server: &str, status: &watch::Receiver<Status>, alive: &Alive) {
    let mut herald = Herald::new(manager.watchdog());
    loop {
        let (now, text) = (monotonic(), sentence(&status.borrow(), server));
        let signs = manager.watchdog().map_or_else(Vec::new, |watchdog| alive.signs(watchdog).to_vec());
        tell(manager, &herald.due(now, &text, &signs));
        if let Some(complaint) = herald.complaint(now, &signs) {
            tracing::error!("{complaint}");
        }
        alive.ask();
        tokio::time::sleep(herald.pause()).await;
    }
}

fn tell(manager: &ServiceManager, notices: &[Notice]) {
    if let Err(error) = manager.tell(notices) {
        tracing::warn!(%error, "the service manager was not told");
    }
}

/// What the agent does now, in one sentence.
fn sentence(status: &Status, server: &str) -> String {
    if status.rejected {
        return format!("{server} refuses this agent until an operator does something: see its log");
    }
    if !status.connected {
        return format!("Trying to connect to {server}; what is seen waits in the spool");
    }
    match status.problems.len() {
        0 => format!("Connected to {server}"),
        1 => format!("Connected to {server}, with a problem: see its log"),
        more => format!("Connected to {server}, with {more} problems: see its log"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn one_sentence_says_whether_it_is_connected() {
        let mut status = Status::default();
        assert_eq!(
            sentence(&status, "nimbus:7071"),
            "Trying to connect to nimbus:7071; what is seen waits in the spool"
        );
        status.connected = true;
        assert_eq!(sentence(&status, "nimbus:7071"), "Connected to nimbus:7071");
        status.problems = vec!["one".into(), "two".into()];
        assert_eq!(
            sentence(&status, "nimbus:7071"),
            "Connected to nimbus:7071, with 2 problems: see its log"
        );
        status.rejected = true;
        assert!(sentence(&status, "nimbus:7071").starts_with("nimbus:7071 refuses this agent"));
    }

    #[tokio::test]
    async fn the_watchdog_hears_nothing_more_once_a_loop_stands_still() {
        const WATCHDOG: Duration = Duration::from_millis(400);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let manager = Arc::new(ServiceManager::at(path.as_os_str(), Some(WATCHDOG)).unwrap());
        let (alive, status) = (Arc::new(Alive::default()), watch::Sender::new(Status::default()));
        // Stands for both loops: they answer as long as it runs.
        let working = tokio::spawn({
            let alive = Arc::clone(&alive);
            async move {
                loop {
                    alive.asked().await;
                    alive.session().beat();
                    alive.jobs().beat();
                }
            }
        });
        let telling = running(&manager, "nimbus:7071".to_owned(), status.subscribe(), Arc::clone(&alive));
        let heard = || {
            let mut buffer = [0; 4_096];
            let bytes = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..bytes]).into_owned())
        };
        let mut words = Vec::new();
        let begun = Instant::now();
        while words.iter().filter(|word: &&String| word.contains("WATCHDOG=1")).count() < 3 {
            assert!(begun.elapsed() < Duration::from_secs(20), "{words:?}");
            words.extend(heard());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(words[0], "READY=1");
        assert_eq!(
            words[1].lines().next(),
            Some("STATUS=Trying to connect to nimbus:7071; what is seen waits in the spool")
        );
        working.abort();
        let _ = working.await;
        // By now the last sign is too old, whenever it came.
        tokio::time::sleep(WATCHDOG * 2).await;
        while heard().is_some() {}
        tokio::time::sleep(WATCHDOG * 2).await;
        assert_eq!(heard(), None, "a loop stands still, and something was told all the same");
        stopping(&manager);
        assert_eq!(heard().as_deref(), Some("STOPPING=1"));
        telling.abort();
    }
}
