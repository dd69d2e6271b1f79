//! The restores that are under way, and the names that their temporary files have.
//!
//! A restore writes the new file beside the old one as `.nimbus-restore-` and its job's id. That file is the only thing
//! that a watch leaves out for its name: a regular file, with exactly the id of a job that is under way in this process (from
//! its admission to its end, or left interrupted by the process before). Everything else that is called so is somebody's and
//! is watched like any other path: other names, directories, links, and what is left once its job has ended.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use nimbus_agent_core::observe::file::Kind;
use nimbus_protocol::ids::JobId;

/// How the name of a restore's temporary file begins.
pub const RESTORING: &str = ".nimbus-restore-";

/// The restores that are under way, of all roots.
#[derive(Debug, Default)]
pub struct Restores(Mutex<BTreeMap<JobId, usize>>);

/// A restore is under way for as long as this is held.
#[derive(Debug)]
pub struct UnderWay {
    restores: Arc<Restores>,
    job: JobId,
}

impl Restores {
    /// A restore begins, or goes on after a restart.
    pub fn begin(self: &Arc<Self>, job: JobId) -> UnderWay {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(job).or_default() += 1;
        UnderWay { restores: self.clone(), job }
    }

    /// Is what stands at a path the temporary file of a restore that is under way?
    pub fn is_temporary(&self, path: &str, kind: Kind) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let job = name.strip_prefix(RESTORING).and_then(|id| id.parse::<JobId>().ok());
        let is_under_way =
            |job: JobId| self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&job);
        kind == Kind::File && job.is_some_and(is_under_way)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = self.restores.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = all.get_mut(&self.job) {
            *held -= 1;
            if *held == 0 {
                all.remove(&self.job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_regular_file_with_exactly_the_id_of_a_job_under_way_is_its_temporary_file() {
        let restores = Arc::new(Restores::default());
        let id = "job_01a215d4cbc1772d8bb332fc46367d61";
        let path = format!("sub/{RESTORING}{id}");
        assert!(!restores.is_temporary(&path, Kind::File), "nothing is under way");
        let (first, again) = (restores.begin(id.parse().unwrap()), restores.begin(id.parse().unwrap()));
        assert!(restores.is_temporary(&path, Kind::File));
        assert!(restores.is_temporary(&format!("{RESTORING}{id}"), Kind::File), "at the root");
        for kind in [Kind::Directory, Kind::Symlink, Kind::Other, Kind::Unreadable, Kind::Absent] {
            assert!(!restores.is_temporary(&path, kind), "{kind:?}");
        }
        for other in [
            format!("sub/{RESTORING}"),
            format!("sub/{RESTORING}job_1"),
            format!("sub/{RESTORING}{id}x"),
            format!("sub/{RESTORING}{}", id.to_uppercase()),
            format!("sub/x{RESTORING}{id}"),
            format!("{path}/inside"),
            format!("sub/{RESTORING}job_01a215d4cd157a22bb1a8261a3a61f0e"),
        ] {
            assert!(!restores.is_temporary(&other, Kind::File), "{other}");
        }
        drop(first);
        assert!(restores.is_temporary(&path, Kind::File), "its own job still holds it");
        drop(again);
        assert!(!restores.is_temporary(&path, Kind::File), "what is left now is somebody's");
    }
}
