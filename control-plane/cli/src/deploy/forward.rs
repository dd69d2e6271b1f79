//! A way to a control plane that has no address outside: a forwarded port, as long as a command needs it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nimbus_deploy::command::FORWARDED;

use crate::error::Failure;
use crate::files;

/// How long it may take until kubectl listens.
const LISTENS_WITHIN: Duration = Duration::from_secs(20);

/// A forwarded port; it ends when this is dropped.
#[derive(Debug)]
pub struct Forward(Child);

impl Forward {
    /// Opens the way to one pod; `kubectl` names the cluster and the namespace.
    pub fn open(mut kubectl: Command, pod: &str) -> Result<Self, Failure> {
        let ports = format!("{FORWARDED}:7070");
        kubectl.args(["port-forward", &format!("pod/{pod}"), &ports]).stdin(Stdio::null());
        kubectl.stdout(Stdio::piped()).stderr(Stdio::null());
        let failed = |found: String| {
            Failure::new(format!("no way to the pod {pod} could be opened"))
                .expected(format!("`kubectl port-forward pod/{pod} {ports}` to listen"))
                .found(found)
                .next(format!("is another program on port {FORWARDED}, or is the pod not running?"))
        };
        let mut child = kubectl.spawn().map_err(|error| failed(files::reason(&error)))?;
        let output = child.stdout.take();
        let forward = Self(child);
        let (sender, receiver) = mpsc::channel();
        // It reads on: kubectl says a line for each connection, and would wait for a reader.
        std::thread::spawn(move || {
            for line in
                output.into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(Result::ok)
            {
                // Nobody listens once the first line is known.
                let _ = sender.send(line);
            }
        });
        match receiver.recv_timeout(LISTENS_WITHIN) {
            Ok(_) => Ok(forward),
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(failed("it ended".to_owned())),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(failed("it said nothing in 20 s".to_owned())),
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
