//! The way to the service manager: systemd's notify protocol, one datagram of `NAME=value` lines.
//!
//! Written here and not with the crate `sd-notify`: version 0.5.0 takes the address for a path, so a socket in the
//! abstract namespace (`@name`) is never reached, and it reads the environment anew each time, which no test can set.
//! What is told, and when, is decided in [`crate::Herald`].

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Longest wait for a service manager that does not read: what is told again soon must not hold up who tells it.
const PATIENCE: Duration = Duration::from_secs(1);
/// Longest status, in characters: `systemctl status` shows one line.
const MAX_STATUS: usize = 400;

/// One thing that a service manager is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The program serves.
    Ready,
    /// What it does now, in one sentence.
    Status(String),
    /// It makes progress.
    Alive,
    /// Its start takes at least so much longer from now on.
    Extend(Duration),
    /// It begins to stop.
    Stopping,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("READY=1"),
            Self::Status(text) => {
                // The end of a line would begin another notice.
                let plain = text.chars().take(MAX_STATUS).map(|c| if c.is_control() { ' ' } else { c });
                write!(f, "STATUS={}", plain.collect::<String>())
            }
            Self::Alive => f.write_str("WATCHDOG=1"),
            Self::Extend(by) => write!(f, "EXTEND_TIMEOUT_USEC={}", by.as_micros()),
            Self::Stopping => f.write_str("STOPPING=1"),
        }
    }
}

/// Why there is no way to the service manager although it named one.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The address is of a kind that is not known here.
    #[error(
        "expected NOTIFY_SOCKET to be an absolute path or @name, found {0:?}; the service manager is told nothing"
    )]
    Address(OsString),
    /// The system refuses.
    #[error(
        "expected a socket to tell the service manager at {address:?}, found: {found}; it is told nothing"
    )]
    Socket {
        /// What `NOTIFY_SOCKET` says.
        address: OsString,
        /// What the system said.
        found: io::Error,
    },
}

/// The service manager that started this process, if one wants to be told. Without one, telling does nothing.
#[derive(Debug, Default)]
pub struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that this process's environment names (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
    pub fn of_process() -> Result<Self, NotifyError> {
        let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(Self::default()) };
        let (usec, process) = (std::env::var("WATCHDOG_USEC").ok(), std::env::var("WATCHDOG_PID").ok());
        let watchdog = usec.and_then(|usec| watchdog(&usec, process.as_deref(), std::process::id()));
        Self::at(&address, watchdog)
    }

    /// The one that listens at `address`, a path or `@name`, and expects a sign of life within each `watchdog`.
    pub fn at(address: &OsStr, watchdog: Option<Duration>) -> Result<Self, NotifyError> {
        let bytes = address.as_bytes();
        let to = match bytes.split_first() {
            None => return Ok(Self::default()),
            Some((b'/', _)) => SocketAddr::from_pathname(address),
            Some((b'@', name)) => SocketAddr::from_abstract_name(name),
            Some(_) => return Err(NotifyError::Address(address.to_owned())),
        };
        let from = UnixDatagram::unbound();
        let opened = to.and_then(|to| {
            let from = from?;
            from.set_write_timeout(Some(PATIENCE))?;
            Ok((from, to))
        });
        match opened {
            Ok(socket) => Ok(Self { socket: Some(socket), watchdog }),
            Err(found) => Err(NotifyError::Socket { address: address.to_owned(), found }),
        }
    }

    /// Does anybody want to be told?
    pub fn is_there(&self) -> bool {
        self.socket.is_some()
    }

    /// Within which time it expects each sign of life, if it does.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Tells all of these in one datagram.
    ///
    /// # Errors
    /// What the system says; the service manager then knows none of them.
    pub fn tell(&self, notices: &[Notice]) -> io::Result<()> {
        let Some((from, to)) = &self.socket else { return Ok(()) };
        if notices.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = notices.iter().map(ToString::to_string).collect();
        from.send_to_addr(lines.join("\n").as_bytes(), to).map(|_| ())
    }
}

/// The time that `WATCHDOG_USEC` says, where `WATCHDOG_PID` does not say that it is meant for another process.
fn watchdog(usec: &str, process: Option<&str>, own: u32) -> Option<Duration> {
    if process.is_some_and(|process| process.parse() != Ok(own)) {
        return None;
    }
    usec.parse::<u64>().ok().filter(|usec| *usec > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A service manager that listens at `path`.
    fn listening(path: &std::path::Path) -> UnixDatagram {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4_096];
        let bytes = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..bytes].to_vec()).unwrap()
    }

    #[test]
    fn ready_alive_and_stopping_are_heard_in_the_protocols_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = listening(&path);
        let manager = ServiceManager::at(path.as_os_str(), Some(Duration::from_mins(1))).unwrap();
        assert!(manager.is_there());
        assert_eq!(manager.watchdog(), Some(Duration::from_mins(1)));
        manager.tell(&[Notice::Ready, Notice::Status("serving\n2 agents".to_owned())]).unwrap();
        assert_eq!(heard(&socket), "READY=1\nSTATUS=serving 2 agents");
        manager.tell(&[]).unwrap();
        manager.tell(&[Notice::Alive]).unwrap();
        assert_eq!(heard(&socket), "WATCHDOG=1");
        manager.tell(&[Notice::Extend(Duration::from_mins(1))]).unwrap();
        assert_eq!(heard(&socket), "EXTEND_TIMEOUT_USEC=60000000");
        manager.tell(&[Notice::Stopping]).unwrap();
        assert_eq!(heard(&socket), "STOPPING=1");
        // A process that another test starts at this moment holds a copy of the socket: it is shut for that one too.
        socket.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(manager.tell(&[Notice::Alive]).is_err(), "nobody listens any more");
    }

    #[test]
    fn a_socket_without_a_file_is_reached_by_its_name() {
        let name = format!("nimbus-notify-test-{}", std::process::id());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let manager = ServiceManager::at(OsStr::new(&format!("@{name}")), None).unwrap();
        manager.tell(&[Notice::Ready]).unwrap();
        assert_eq!((heard(&socket).as_str(), manager.watchdog()), ("READY=1", None));
    }

    #[test]
    fn without_a_service_manager_telling_does_nothing_and_a_strange_address_is_named() {
        for nobody in [ServiceManager::default(), ServiceManager::at(OsStr::new(""), None).unwrap()] {
            assert!(!nobody.is_there());
            nobody.tell(&[Notice::Ready, Notice::Stopping]).unwrap();
        }
        let error = ServiceManager::at(OsStr::new("vsock:2:1234"), None).unwrap_err().to_string();
        assert!(error.contains("vsock:2:1234") && error.contains("NOTIFY_SOCKET"), "{error}");
        let long = format!("/{}", "x".repeat(200));
        assert!(ServiceManager::at(OsStr::new(&long), None).is_err());
    }

    #[test]
    fn the_watchdogs_time_is_for_the_process_that_it_names() {
        let minute = Some(Duration::from_mins(1));
        assert_eq!(watchdog("60000000", None, 7), minute);
        assert_eq!(watchdog("60000000", Some("7"), 7), minute);
        for (usec, process) in [("60000000", Some("8")), ("60000000", Some("x")), ("0", None), ("soon", None)]
        {
            assert_eq!(watchdog(usec, process, 7), None, "{usec} {process:?}");
        }
    }

    #[test]
    fn a_long_status_is_cut() {
        let text = Notice::Status("ä".repeat(1_000)).to_string();
        assert_eq!(text.chars().count(), "STATUS=".len() + MAX_STATUS);
    }
}
