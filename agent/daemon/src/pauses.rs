//! The pauses of this agent: the one that the control plane told it of, and the one that a person made on this side.
//!
//! Each is a file in the data directory, so that it holds over restarts and while there is no control plane. The control plane's
//! holds from the moment that it is heard, before it is written and also where it cannot be. The local one is read whenever a
//! job is to begin, as the policy is: whoever made it need not tell the agent.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use nimbus_agent_core::pause::{MAX_FILE, Pause};
use nimbus_platform::{read_regular_text, sync_parent, write_atomic};
use nimbus_protocol::v1;

/// The file of the pause that a person made here.
pub const LOCAL: &str = "paused";
/// The file of the control plane's.
pub const TOLD: &str = "paused-by-control-plane";
/// Anybody may read who paused an agent.
const MODE: u32 = 0o644;

/// What holds: a pause, or a file of which nobody can say what it is.
type Held = Result<Pause, String>;

/// The pauses of the agent that owns a data directory.
#[derive(Debug)]
pub struct Pauses {
    dir: PathBuf,
    told: Mutex<Option<Held>>,
    /// What was heard last is not on disk yet.
    is_unkept: AtomicBool,
}

impl Pauses {
    /// With what the control plane said last, as it was kept.
    pub fn open(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            told: Mutex::new(read(&dir.join(TOLD))),
            is_unkept: AtomicBool::new(false),
        }
    }

    /// The control plane says how it is. Holds at once; true where [`Self::keep`] has something to write.
    pub fn hear(&self, frame: &v1::Pause) -> bool {
        let now = Pause::of_frame(frame);
        let mut told = self.told();
        match (&now, told.as_ref()) {
            (None, None) => return false,
            (Some(now), Some(Ok(before))) if now == before => return false,
            (Some(pause), _) => tracing::warn!("nothing is begun from now on: {}", pause.sentence()),
            (None, Some(_)) => tracing::info!("the control plane says that nothing is paused any more"),
        }
        *told = now.map(Ok);
        true
    }

    /// Could what was heard last not be written down?
    pub fn is_unkept(&self) -> bool {
        self.is_unkept.load(Ordering::Acquire)
    }

    /// Writes down what was heard last. The error says that it does not hold over a restart; it is to be tried again.
    pub fn keep(&self) -> Result<(), String> {
        let path = self.dir.join(TOLD);
        let told = self.told().clone();
        let written = match &told {
            Some(Ok(pause)) => write_atomic(&path, pause.to_file().as_bytes(), MODE),
            // What cannot be read stays as it is, and holds.
            Some(Err(_)) => Ok(()),
            None => remove(&path),
        };
        self.is_unkept.store(written.is_err(), Ordering::Release);
        written.map_err(|error| {
            format!(
                "expected to write {}, found: {error}; what the control plane said of pauses is forgotten with a restart of this \
                 agent until it is connected again",
                path.display()
            )
        })
    }

    /// Why nothing may be begun now, if that is so.
    pub fn holds(&self) -> Option<String> {
        let told = self.told().clone();
        told.map(|told| sentence(&told)).or_else(|| self.local())
    }

    /// Why nothing may be begun now on the word of a person on this side, if that is so.
    pub fn local(&self) -> Option<String> {
        local(&self.dir)
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing may be begun on the word of a person on the side of the agent that has this data directory, if that is so.
pub fn local(dir: &Path) -> Option<String> {
    read(&dir.join(LOCAL)).map(|held| sentence(&held))
}

/// The same of what the control plane said, as far as it is kept.
pub fn told(dir: &Path) -> Option<String> {
    read(&dir.join(TOLD)).map(|held| sentence(&held))
}

/// Pauses the agent of a data directory. False where it was paused already, and stays as it is; what cannot be read is written
/// anew. On a full disk an empty file may still find room, and counts as a pause.
pub fn pause(dir: &Path, pause: &Pause) -> io::Result<bool> {
    let path = dir.join(LOCAL);
    if let Some(Ok(_)) = read(&path) {
        return Ok(false);
    }
    let written = write_atomic(&path, pause.to_file().as_bytes(), MODE);
    written.or_else(|error| File::create(&path).map(drop).map_err(|_| error)).map(|()| true)
}

/// Lets it go on. False where nobody had paused it on this side.
pub fn resume(dir: &Path) -> io::Result<bool> {
    let path = dir.join(LOCAL);
    if read(&path).is_none() {
        return Ok(false);
    }
    remove(&path).map(|()| true)
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_parent(path),
    }
}

fn read(path: &Path) -> Option<Held> {
    let unread = |found: String| {
        let then = if path.ends_with(LOCAL) {
            "`nimbus-agent resume` removes it"
        } else {
            "the control plane's next word on pauses writes it anew"
        };
        Err(format!("this agent counts as paused until {} can be read: {found}; {then}", path.display()))
    };
    match read_regular_text(path, MAX_FILE) {
        // Not a link that leads nowhere now.
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err() => None,
        Err(error) => Some(unread(error.to_string())),
        Ok(text) => Some(Pause::from_file(&text).or_else(unread)),
    }
}

fn sentence(held: &Held) -> String {
    match held {
        Ok(pause) => pause.sentence(),
        Err(unread) => unread.clone(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn frame(paused: bool) -> v1::Pause {
        let (what, by) = if paused { ("the fleet".into(), "operator".into()) } else { <_>::default() };
        v1::Pause { paused, what, by, ..Default::default() }
    }

    fn by_root() -> Pause {
        Pause::new("this agent", "root", "disks", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_the_control_plane_said_holds_at_once_and_after_a_restart_until_it_says_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let pauses = Pauses::open(dir.path());
        assert_eq!(pauses.holds(), None);
        assert!(!pauses.hear(&frame(false)), "nothing to write at each welcome");
        assert!(pauses.hear(&frame(true)));
        assert!(pauses.holds().unwrap().contains("the fleet is paused by operator"), "before it is written");
        pauses.keep().unwrap();
        assert!(!pauses.hear(&frame(true)), "the same again");
        let again = Pauses::open(dir.path());
        assert!(again.holds().is_some());
        assert!(again.hear(&frame(false)));
        assert_eq!(again.holds(), None);
        again.keep().unwrap();
        assert_eq!(Pauses::open(dir.path()).holds(), None);
    }

    #[test]
    fn a_pause_of_this_side_outlives_what_the_control_plane_says() {
        let dir = tempfile::tempdir().unwrap();
        let pauses = Pauses::open(dir.path());
        assert!(pause(dir.path(), &by_root()).unwrap());
        assert!(
            !pause(dir.path(), &Pause { by: "another".into(), ..by_root() }).unwrap(),
            "the first one stays"
        );
        assert!(
            pauses.holds().unwrap().contains("this agent is paused by root"),
            "without a word to the agent"
        );
        pauses.hear(&frame(true));
        pauses.hear(&frame(false));
        pauses.keep().unwrap();
        assert!(pauses.holds().is_some() && pauses.local().is_some());
        assert!(resume(dir.path()).unwrap());
        assert!(!resume(dir.path()).unwrap(), "nothing to end");
        assert_eq!(pauses.holds(), None);
    }

    #[test]
    fn resuming_on_this_side_leaves_the_control_planes_pause() {
        let dir = tempfile::tempdir().unwrap();
        let pauses = Pauses::open(dir.path());
        pauses.hear(&frame(true));
        pauses.keep().unwrap();
        pause(dir.path(), &by_root()).unwrap();
        resume(dir.path()).unwrap();
        assert!(pauses.holds().unwrap().contains("the fleet"));
        assert!(told(dir.path()).is_some() && local(dir.path()).is_none());
    }

    #[test]
    fn what_cannot_be_read_is_a_pause_that_names_its_file() {
        let dir = tempfile::tempdir().unwrap();
        for name in [LOCAL, TOLD] {
            std::fs::write(dir.path().join(name), "half a fi").unwrap();
            let pauses = Pauses::open(dir.path());
            let why = pauses.holds().unwrap();
            assert!(why.contains(name) && why.contains("counts as paused"), "{why}");
            assert_eq!(pauses.local().is_some(), name == LOCAL);
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        std::fs::create_dir(dir.path().join(LOCAL)).unwrap();
        assert!(Pauses::open(dir.path()).holds().is_some(), "also what is no file at all");
        std::fs::remove_dir(dir.path().join(LOCAL)).unwrap();
        std::os::unix::fs::symlink("/nonexistent/x", dir.path().join(LOCAL)).unwrap();
        assert!(Pauses::open(dir.path()).holds().is_some(), "and a link that leads nowhere");
        assert!(pause(dir.path(), &by_root()).unwrap(), "which a person's word takes the place of");
        assert!(Pauses::open(dir.path()).local().unwrap().contains("by root"));
    }

    #[test]
    fn a_pause_holds_though_it_cannot_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let pauses = Pauses::open(&dir.path().join("none"));
        assert!(pauses.hear(&frame(true)));
        let problem = pauses.keep().unwrap_err();
        assert!(problem.contains(TOLD) && problem.contains("forgotten with a restart"), "{problem}");
        assert!(pauses.holds().is_some() && pauses.is_unkept());
        std::fs::create_dir(dir.path().join("none")).unwrap();
        pauses.keep().unwrap();
        assert!(!pauses.is_unkept() && Pauses::open(&dir.path().join("none")).holds().is_some());
    }

    #[test]
    fn a_broken_file_is_written_anew_by_the_next_word_of_the_control_plane() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(TOLD), "half a fi").unwrap();
        let pauses = Pauses::open(dir.path());
        assert!(pauses.hear(&frame(true)), "it is not known to be the same");
        pauses.keep().unwrap();
        assert!(Pauses::open(dir.path()).holds().unwrap().contains("the fleet"));
    }
}
