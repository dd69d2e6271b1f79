//! Carries out the file effects that `nimbus_agent_core` decides: spool segments and the job journal.

pub mod journal;
pub mod spool;
pub mod spool_thread;

use std::io;
use std::path::{Path, PathBuf};

/// A file of the spool or the journal cannot be read at the start.
#[derive(Debug, thiserror::Error)]
#[error("expected to read {path}, found: {source}; check its owner, permissions and the disk")]
pub struct FilesError {
    path: PathBuf,
    source: io::Error,
}

impl FilesError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path, source }
    }
}

/// The problem that a failed write is, for an operator.
pub(crate) fn write_problem(what: &str, path: &Path, error: &io::Error) -> String {
    let remedy = if nimbus_platform::is_full(error) {
        "free some space on that disk"
    } else {
        "check its owner, permissions and the disk"
    };
    format!("expected to write the {what} in {}, found: {error}; {remedy}", path.display())
}
