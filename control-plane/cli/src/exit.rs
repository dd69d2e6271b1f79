//! The exit codes that scripts rely on. No other file names a number.

use std::process::ExitCode;

/// How a command ended, as the shell sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; also where a question was answered with no, and nothing was changed.
    Done = 0,
    /// An error that has no code of its own.
    Error = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// Drift or incidents were found, or a check warns or is unknown, and `--exit-code` was given.
    Found = 3,
    /// Something waits for a person's approval.
    Waiting = 4,
    /// Policy or permission forbids it.
    Refused = 5,
    /// The server cannot be reached.
    Unreachable = 6,
    /// There is no such thing.
    NotFound = 7,
    /// Ctrl-C while waiting for something that goes on, as shells say it.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
