//! The watcher of the host's certificate files: reads those that it was told of every few minutes, and tells until when they are valid.
//!
//! What is told of a file, and when, is decided by `nimbus_agent_core::observe::certificates`.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nimbus_agent_core::observe::certificates::{CertificatePicture, NoCertificate, read};
use nimbus_protocol::v1::{self, observation};
use rustix::fs::OFlags;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;

/// Longest time between two looks: for a quarter of an hour the control plane takes what it was told for what is so.
pub const LONGEST: Duration = Duration::from_mins(5);
/// A certificate with its chain and its key has some kilobytes; a larger file is none.
const LARGEST: u64 = 256 << 10;
/// Most files of one directory that are looked at.
const MOST_IN_DIRECTORY: usize = 256;
/// Most problems that are told one by one.
const MOST_PROBLEMS: usize = 5;
/// What a certificate file's name ends with, in a directory.
const ENDINGS: [&str; 3] = ["pem", "crt", "cer"];

/// What the watcher works with.
pub struct Watch {
    /// Files, and directories of files.
    pub paths: Vec<PathBuf>,
    /// Between two looks.
    pub every: Duration,
    /// Where what was seen goes.
    pub observations: ObservationQueue,
    /// Where problems are said.
    pub status: Arc<SharedStatus>,
    /// Moves when everything has to be told again.
    pub resync: watch::Receiver<u64>,
    /// Ends it.
    pub cancel: CancellationToken,
}

/// Looks until cancelled. Told of no file it tells nothing, once: what was watched before is not watched any more.
pub async fn run(mut watch: Watch) {
    let mut picture = CertificatePicture::default();
    let mut ticks = tokio::time::interval(watch.every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = watch.cancel.cancelled() => return,
            _ = ticks.tick() => {}
            asked = watch.resync.changed() => {
                if asked.is_err() { return }
                picture.reset();
            }
        }
        let (paths, now) = (watch.paths.clone(), nimbus_platform::now());
        let Ok((files, problems)) = tokio::task::spawn_blocking(move || look(&paths, now)).await else {
            return;
        };
        watch.status.problem("certificates", said(&problems));
        if let Some(told) = picture.offer(files, now) {
            watch.observations.observe("", observation::Body::CertificateFiles(told)).await;
        }
    }
}

/// The problems as one text.
fn said(problems: &[String]) -> Option<String> {
    let (first, more) = problems.split_at(problems.len().min(MOST_PROBLEMS));
    let more = if more.is_empty() { String::new() } else { format!("; and {} more", more.len()) };
    (!first.is_empty()).then(|| format!("{}{more}; until when they are valid is not known", first.join("; ")))
}

/// What is known of the files, and what stands in the way of knowing more.
fn look(paths: &[PathBuf], now: Timestamp) -> (Vec<v1::CertificateFile>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            match in_directory(path) {
                Ok(files) => {
                    for file in files {
                        match of_file(&file, now) {
                            Ok(told) => found.push(told),
                            // A key beside its certificate, or a bundle of authorities, is none that anybody named.
                            Err(Unknown::Content(NoCertificate::None | NoCertificate::Bundle)) => {}
                            Err(error) => problems.push(format!("{}: {error}", file.display())),
                        }
                    }
                }
                Err(error) => {
                    problems.push(format!("{}: expected its files, found: {error}", path.display()));
                }
            }
        } else {
            match of_file(path, now) {
                Ok(told) => found.push(told),
                Err(error) => problems.push(format!("{}: {error}", path.display())),
            }
        }
    }
    (found, problems)
}

/// The files directly in a directory whose names end as those of certificates do.
fn in_directory(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let is_one = file.extension().is_some_and(|ending| ENDINGS.iter().any(|one| ending == *one));
        if is_one && file.is_file() {
            all.push(file);
        }
        if all.len() > MOST_IN_DIRECTORY {
            return Err(io::Error::other(format!("more than {MOST_IN_DIRECTORY} files")));
        }
    }
    all.sort();
    Ok(all)
}

/// Why nothing is known of a file.
#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error("expected a file that can be read, found: {0}")]
    File(#[from] io::Error),
    #[error("{0}")]
    Content(#[from] NoCertificate),
}

fn of_file(path: &Path, now: Timestamp) -> Result<v1::CertificateFile, Unknown> {
    let name = path.to_str().ok_or_else(|| io::Error::other("a path that is not UTF-8"))?;
    // A pipe, which nobody may ever write to, is opened without waiting, and refused.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("something else than a file").into());
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("a file of more than {LARGEST} bytes")).into());
    }
    // Beside the blocks there may be any text.
    Ok(read(name, &String::from_utf8_lossy(&bytes), now)?)
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
