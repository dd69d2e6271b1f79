//! The way to the control plane that leads: another one answers that it stands by.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use nimbus_deploy::command::{self, FORWARDED, Program, Through};
use nimbus_platform::monotonic;

use super::forward::Forward;
use super::program::{Programs, complaint};
use crate::error::Failure;
use crate::exit::Exit;

/// How long a program on this machine may take to accept a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(1);

/// Looks for it until it answers, but no longer than [`super::around::Around::patience`]; what waiting does not mend is said
/// at once.
pub(super) fn open(programs: &Programs<'_>, through: &Through) -> Result<Option<Forward>, Failure> {
    let begun = monotonic();
    let is_over = || monotonic().saturating_sub(begun) >= programs.around.patience;
    if !through.pods.is_empty() {
        // Whether the cluster answers at all was checked before: if not now, no pod is found by waiting.
        let words = ["get", "pods", "-o", "name", "--request-timeout=20s"].map(str::to_owned);
        let args = through.kubectl.iter().cloned().chain(words).collect();
        programs.printed(&command::Command { program: Program::Kubectl, args, through: None })?;
    }
    loop {
        let mut last = Failure::new("there is no control plane");
        if through.pods.is_empty() {
            match leads(programs, through)? {
                None => return Ok(None),
                Some(failure) => last = failure,
            }
        }
        for pod in &through.pods {
            is_free()?;
            match Forward::open(programs.command(Program::Kubectl, &through.kubectl), pod) {
                Err(failure) => last = failure,
                Ok(forward) => match leads(programs, through)? {
                    None => return Ok(Some(forward)),
                    Some(failure) => last = failure,
                },
            }
            if is_over() {
                break;
            }
        }
        if is_over() {
            return Err(last);
        }
        std::thread::sleep(programs.around.pause);
    }
}

/// Whether nobody listens on the port that is to be forwarded.
fn is_free() -> Result<(), Failure> {
    match TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, FORWARDED)), CONNECTS_WITHIN) {
        Err(_) => Ok(()),
        Ok(_) => Err(Failure::new(format!("the port {FORWARDED} of this machine cannot be used"))
            .expected("that nothing listens on it: it is forwarded to the control plane")
            .found("a program that does")
            .next("end that program; `ss -ltnp` names it")),
    }
}

/// Nothing, if what is at the end of the way leads; otherwise what it says.
fn leads(programs: &Programs<'_>, through: &Through) -> Result<Option<Failure>, Failure> {
    let output = programs.output(Program::Nimbus, &through.question)?;
    if output.status.success() {
        return Ok(None);
    }
    let failure = complaint(&format!("nimbus {}", through.question.join(" ")), &output);
    // A context that is not there, or a command that is not understood, is the same in ten minutes.
    let is_final =
        [Exit::Usage, Exit::NotFound].iter().any(|&exit| output.status.code() == Some(exit as i32));
    if is_final { Err(failure) } else { Ok(Some(failure)) }
}
