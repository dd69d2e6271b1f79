//! What is around this command when it carries out steps.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::config;
use crate::error::Failure;
use crate::files;

/// How long a control plane that leads is looked for.
const PATIENCE: Duration = Duration::from_mins(10);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// What is around this command.
#[derive(Debug, Clone)]
pub struct Around {
    /// The program that is run as `nimbus`.
    pub nimbus: PathBuf,
    /// Where the other programs are looked for; none: on the PATH.
    pub search: Option<OsString>,
    /// The file of the contexts, if there is a place for one.
    pub contexts: Option<PathBuf>,
    /// Between two rounds through the pods, until one of them leads.
    pub pause: Duration,
    /// How long one that leads is looked for.
    pub patience: Duration,
    /// Whether Terraform may delete what cannot be made again.
    pub may_lose: bool,
}

impl Around {
    /// Of the program that runs now, so that its steps are those that it knows.
    pub fn here(may_lose: bool) -> Result<Self, Failure> {
        let nimbus = std::env::current_exe().map_err(|error| {
            Failure::new("this program does not know where it is").found(files::reason(&error))
        })?;
        let contexts = config::config_path();
        Ok(Self { nimbus, search: None, contexts, pause: PAUSE, patience: PATIENCE, may_lose })
    }
}
