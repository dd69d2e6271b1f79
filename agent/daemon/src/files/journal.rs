//! The file behind the job journal. An effect is durable when the call returns; if the call fails, nothing may be acted
//! on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use nimbus_agent_core::journal::{Effect, Journal};
use tokio::sync::Notify;

use super::FilesError;

/// The journal and its file.
#[derive(Debug)]
pub struct JournalStore {
    journal: Journal,
    path: PathBuf,
    file: Option<File>,
    written: Arc<Notify>,
}

impl JournalStore {
    /// Reads the journal in `dir`; a torn tail is discarded by its checksum.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Self, FilesError> {
        let path = dir.join("journal");
        let bytes = nimbus_platform::read_optional(&path).map_err(FilesError::at(&path))?.unwrap_or_default();
        let (journal, effects) = Journal::recover(&bytes, now);
        let mut store = Self { journal, path, file: None, written: Arc::default() };
        if let Err(error) = store.perform(effects) {
            // The first job will say it again, and not run.
            tracing::warn!("{}", super::write_problem("job journal", &store.path, &error));
        }
        Ok(store)
    }

    /// What is remembered.
    pub fn get(&self) -> &Journal {
        &self.journal
    }

    /// Notified whenever something was written: there may be a new report.
    pub fn written(&self) -> Arc<Notify> {
        self.written.clone()
    }

    /// Changes what is remembered and makes it durable. On an error nothing may be done that relies on it.
    pub fn change(&mut self, change: impl FnOnce(&mut Journal) -> Vec<Effect>) -> Result<(), String> {
        let effects = change(&mut self.journal);
        let anything = !effects.is_empty();
        let done = self.perform(effects);
        if anything && done.is_ok() {
            self.written.notify_one();
        }
        done.map_err(|error| super::write_problem("job journal", &self.path, &error))
    }

    fn perform(&mut self, effects: Vec<Effect>) -> io::Result<()> {
        for effect in effects {
            let done = match effect {
                Effect::Append(bytes) => self.append(&bytes),
                Effect::Replace(bytes) => {
                    self.file = None;
                    nimbus_platform::write_atomic(&self.path, &bytes, 0o600)
                }
            };
            if let Err(error) = done {
                self.file = None;
                self.journal.write_failed();
                return Err(error);
            }
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            let existed = self.path.exists();
            let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            if !existed {
                nimbus_platform::sync_parent(&self.path)?;
            }
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes)?;
        file.sync_data()
    }
}
