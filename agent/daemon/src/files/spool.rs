//! The files behind the spool: its segments, `spool/00000000000000000001.seg` and so on.
//!
//! Calls block on the disk; the session's loop makes them on the spool's own thread. What a write that fails (a full
//! disk) loses is listed again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nimbus_agent_core::spool::{Batch, IoEffect, Limits, Read, Recovery, Spool};
use nimbus_protocol::{frame, v1};

use super::FilesError;

/// A batch as it goes on the wire.
#[derive(Debug)]
pub struct EncodedBatch {
    /// The last sequence in it.
    pub last: u64,
    /// Observations in it.
    pub count: u64,
    /// The frame.
    pub frame: Vec<u8>,
}

/// The spool and its files.
#[derive(Debug)]
pub struct SpoolStore {
    spool: Spool,
    dir: PathBuf,
    open: Option<(u64, File)>,
    problem: Option<String>,
    damaged: usize,
}

impl SpoolStore {
    /// Reads the segments in `dir`, one at a time.
    pub fn open(dir: &Path, limits: Limits) -> Result<Self, FilesError> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(FilesError::at(dir))? {
            let name = entry.map_err(FilesError::at(dir))?.file_name();
            let number =
                name.to_str().and_then(|n| n.strip_suffix(".seg")).and_then(|n| n.parse::<u64>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        let mut recovery = Recovery::new(limits);
        for number in numbers {
            let path = segment_path(dir, number);
            let bytes = std::fs::read(&path).map_err(FilesError::at(&path))?;
            recovery.segment(number, &bytes);
        }
        let damaged = recovery.damaged();
        if damaged > 0 {
            tracing::warn!(bytes = damaged, "the spool had damaged bytes; what they held is listed again");
        }
        let (spool, effects) = recovery.finish();
        let mut store = Self { spool, dir: dir.to_owned(), open: None, problem: None, damaged };
        store.perform(effects);
        Ok(store)
    }

    /// What is queued.
    pub fn get(&self) -> &Spool {
        &self.spool
    }

    /// What is queued, for changes that need no file.
    pub fn get_mut(&mut self) -> &mut Spool {
        &mut self.spool
    }

    /// Bytes that the disk changed, found when it was opened; what they held is listed again.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Why the last write failed; `None` after one that did not.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Queues one observation.
    pub fn push(&mut self, observation: v1::Observation) {
        let effects = self.spool.push(observation);
        self.perform(effects);
    }

    /// Everything up to `sequence` is stored by the control plane.
    pub fn acknowledge(&mut self, sequence: u64) {
        let effects = self.spool.acknowledge(sequence);
        self.perform(effects);
    }

    /// A session begins.
    pub fn welcome(&mut self, acknowledged: u64) {
        let effects = self.spool.welcome(acknowledged);
        self.perform(effects);
    }

    /// The next batch as a frame; what cannot be read back is dropped, counted and listed again.
    pub fn next_frame(&mut self, max_observations: usize, max_bytes: usize) -> Option<EncodedBatch> {
        while let Some(batch) = self.spool.next_batch(max_observations, max_bytes) {
            let (first, last) = (batch.first, batch.last);
            match self.read_back(batch) {
                Ok(frame) => return Some(EncodedBatch { last, count: last - first + 1, frame }),
                Err(error) => {
                    tracing::error!("{error}");
                    self.problem = Some(error);
                    let effects = self.spool.unreadable(first, last);
                    self.perform(effects);
                }
            }
        }
        None
    }

    fn read_back(&self, batch: Batch) -> Result<Vec<u8>, String> {
        let chunks = batch.reads.iter().map(|read| self.read(*read)).collect::<io::Result<Vec<_>>>();
        let chunks = chunks.map_err(|error| {
            format!("expected to read the spool back from {}, found: {error}", self.dir.display())
        })?;
        let batch = batch.assemble(&chunks).map_err(|error| error.to_string())?;
        let body = v1::agent_frame::Body::Batch(batch);
        frame::encode(&v1::AgentFrame { body: Some(body) }).map_err(|error| error.to_string())
    }

    fn read(&self, read: Read) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; read.length as usize];
        match &self.open {
            Some((segment, file)) if *segment == read.segment => {
                file.read_exact_at(&mut bytes, read.offset)?;
            }
            _ => {
                let file = File::open(segment_path(&self.dir, read.segment))?;
                file.read_exact_at(&mut bytes, read.offset)?;
            }
        }
        Ok(bytes)
    }

    fn perform(&mut self, effects: Vec<IoEffect>) {
        let mut all = true;
        for effect in effects {
            let done = match &effect {
                IoEffect::Append { segment, offset, bytes, sync } => {
                    self.append(*segment, *offset, bytes, *sync)
                }
                IoEffect::Delete { segment } => self.delete(*segment),
            };
            match done {
                Ok(()) => {
                    if matches!(effect, IoEffect::Append { .. }) && all {
                        self.problem = None;
                    }
                }
                Err(error) => {
                    all = false;
                    self.problem = Some(super::write_problem("spool", &self.dir, &error));
                    if let IoEffect::Append { segment, offset, .. } = effect {
                        self.open = None;
                        self.spool.append_failed(segment, offset);
                    }
                }
            }
        }
    }

    fn append(&mut self, segment: u64, offset: u64, bytes: &[u8], sync: bool) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != segment) {
            let path = segment_path(&self.dir, segment);
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = options.open(&path)?;
            // A torn tail or a failed write may stand behind the good bytes.
            file.set_len(offset)?;
            if offset == 0 {
                nimbus_platform::sync_parent(&path)?;
            }
            self.open = Some((segment, file));
        }
        let Some((_, file)) = &self.open else { return Ok(()) };
        file.write_all_at(bytes, offset)?;
        if sync { file.sync_data() } else { Ok(()) }
    }

    fn delete(&mut self, segment: u64) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(open, _)| *open == segment) {
            self.open = None;
        }
        match std::fs::remove_file(segment_path(&self.dir, segment)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.seg"))
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
