//! `nimbus-agent pause` and `nimbus-agent resume`: the kill switch on the agent's own side, which needs no control plane.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Parser};
use nimbus_agent_core::pause::Pause;

use crate::pauses;

/// Stops an agent from beginning anything, or lets it go on. The agent may run meanwhile or not, and needs no control plane.
#[derive(Debug, Parser)]
#[command(name = "nimbus-agent", version)]
pub enum Switch {
    /// Begin no job from now on, whoever orders it, until `nimbus-agent resume`; what was begun is finished
    Pause {
        /// Which agent.
        #[command(flatten)]
        agent: AgentDir,
        /// Why, for whoever finds it
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Let the agent go on that was paused on this side
    Resume {
        /// Which agent.
        #[command(flatten)]
        agent: AgentDir,
    },
}

/// Where an agent keeps its data that a package or a person started: the unit's state directory, and this program's own default.
const USUAL: [&str; 2] = ["/var/lib/nimbus/agent", "/var/lib/nimbus-agent"];

/// Which agent of this host.
#[derive(Debug, Args)]
pub struct AgentDir {
    /// The agent's data directory [default: /var/lib/nimbus/agent or /var/lib/nimbus-agent, where an agent was]
    #[arg(long, value_name = "DIR", env = "NIMBUS_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

impl AgentDir {
    /// The one that was named, or the usual one in which an agent was.
    fn path(&self, usual: &[&str]) -> Result<PathBuf, SwitchError> {
        if let Some(named) = &self.data_dir {
            return is_an_agents(named).map(|()| named.clone());
        }
        let usual: Vec<&Path> = usual.iter().map(Path::new).collect();
        let mut used = usual.iter().filter(|dir| is_an_agents(dir).is_ok());
        match (used.next(), used.next()) {
            (Some(one), None) => Ok(one.to_path_buf()),
            (Some(_), Some(_)) => {
                Err(SwitchError::Several(usual.iter().map(|dir| dir.to_path_buf()).collect()))
            }
            // What is wrong with the first one: what cannot be read may be an agent's.
            (None, _) => {
                let first = usual.first().copied().unwrap_or(Path::new("."));
                is_an_agents(first).map(|()| first.to_owned())
            }
        }
    }
}

/// Why an agent could not be paused or resumed.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// There is no agent in that directory.
    #[error(
        "expected the data directory of an agent, found {found} at {path}; name it with --data-dir or NIMBUS_DATA_DIR"
    )]
    NoAgent {
        /// What was named.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// Agents were in both usual directories.
    #[error("expected one data directory of an agent, found several: {}; name it with --data-dir or NIMBUS_DATA_DIR", shown(.0))]
    Several(Vec<PathBuf>),
    /// The file could not be written or removed.
    #[error("expected to change {path}, found: {source}; {}", advice(.source))]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Switch {
    /// The command, where the first argument of this program is one.
    pub fn from_arguments() -> Option<Self> {
        let first = std::env::args_os().nth(1)?;
        let is_one = ["pause", "resume"].iter().any(|name| first == *name);
        is_one.then(Self::parse)
    }

    /// Does it; what is so from now on, for a person.
    pub fn run(&self, by: &str, now: jiff::Timestamp) -> Result<String, SwitchError> {
        self.run_in(&USUAL, by, now)
    }

    fn run_in(&self, usual: &[&str], by: &str, now: jiff::Timestamp) -> Result<String, SwitchError> {
        let (Self::Pause { agent, .. } | Self::Resume { agent }) = self;
        let dir = &agent.path(usual)?;
        let failed = |source| SwitchError::Io { path: dir.join(pauses::LOCAL), source };
        let changed = match self {
            Self::Pause { reason, .. } => {
                pauses::pause(dir, &Pause::new("this agent", by, reason, now)).map_err(failed)?
            }
            Self::Resume { .. } => pauses::resume(dir).map_err(failed)?,
        };
        let (local, told) = (pauses::local(dir), pauses::told(dir));
        Ok(match (self, local, told) {
            (Self::Pause { .. }, Some(local), _) if changed => {
                format!("Nothing is begun here from now on: {local}.")
            }
            (_, Some(local), _) => format!("Nothing is begun here, as before: {local}."),
            (_, None, Some(told)) => format!(
                "Nobody has paused this agent on this side{}, and nothing is begun all the same: {told}.",
                if changed { " any more" } else { "" }
            ),
            (_, None, None) if changed => "This agent goes on.".to_owned(),
            (_, None, None) => "This agent was not paused.".to_owned(),
        })
    }
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "run it as root",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "make room on that disk, or stop the agent, as systemctl does"
        }
        _ => "put that right, or stop the agent, as systemctl does",
    }
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
}

/// Whatever another directory holds, nobody would read a pause there.
fn is_an_agents(dir: &Path) -> Result<(), SwitchError> {
    let no_agent = |found| SwitchError::NoAgent { path: dir.to_owned(), found };
    match std::fs::metadata(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_agent("nothing")),
        Err(source) => Err(SwitchError::Io { path: dir.to_owned(), source }),
        Ok(found) if !found.is_dir() => Err(no_agent("something else")),
        // The first thing that an agent writes there.
        Ok(_) if !dir.join("lock").exists() => Err(no_agent("a directory that no agent has used")),
        Ok(_) => Ok(()),
    }
}

/// Who runs this program, as far as it can be told.
pub fn who() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok());
    let named = named.into_iter().find(|name| !name.trim().is_empty());
    named.unwrap_or_else(|| format!("the user with id {}", rustix::process::getuid().as_raw()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(dir: &Path, args: &[&str]) -> Result<String, SwitchError> {
        let dir = dir.to_string_lossy();
        let all = ["nimbus-agent"].into_iter().chain(args.iter().copied()).chain(["--data-dir", &dir]);
        Switch::try_parse_from(all).unwrap().run("root", "2026-11-29T02:14:00Z".parse().unwrap())
    }

    #[test]
    fn an_agent_is_paused_and_goes_on_and_each_says_what_is_so() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("lock"), "").unwrap();
        let said = run(dir.path(), &["pause", "--reason", "disks are moved"]).unwrap();
        assert_eq!(
            said,
            "Nothing is begun here from now on: this agent is paused by root since 2026-11-29T02:14:00Z: disks are moved."
        );
        assert!(run(dir.path(), &["pause"]).unwrap().starts_with("Nothing is begun here, as before: "));
        assert_eq!(run(dir.path(), &["resume"]).unwrap(), "This agent goes on.");
        assert_eq!(run(dir.path(), &["resume"]).unwrap(), "This agent was not paused.");
    }

    #[test]
    fn who_resumes_is_told_of_the_control_planes_pause() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("lock"), "").unwrap();
        let told = Pause::new("the fleet", "operator", "", jiff::Timestamp::UNIX_EPOCH);
        std::fs::write(dir.path().join(pauses::TOLD), told.to_file()).unwrap();
        run(dir.path(), &["pause"]).unwrap();
        let said = run(dir.path(), &["resume"]).unwrap();
        assert!(
            said.contains("on this side any more, and nothing is begun all the same: the fleet"),
            "{said}"
        );
    }

    #[test]
    fn without_a_name_it_is_the_usual_directory_in_which_an_agent_was() {
        let dir = tempfile::tempdir().unwrap();
        let (package, own) = (dir.path().join("package"), dir.path().join("own"));
        let usual = [package.to_str().unwrap(), own.to_str().unwrap()];
        let pause = || {
            let switch = Switch::Pause { agent: AgentDir { data_dir: None }, reason: String::new() };
            switch.run_in(&usual, "root", jiff::Timestamp::UNIX_EPOCH)
        };
        let error = pause().unwrap_err().to_string();
        assert!(error.contains(usual[0]) && error.contains("--data-dir"), "{error}");
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("lock"), "").unwrap();
        assert!(pause().unwrap().contains("from now on"));
        assert!(pauses::local(&own).is_some());
        std::fs::create_dir(&package).unwrap();
        std::fs::write(package.join("lock"), "").unwrap();
        let error = pause().unwrap_err().to_string();
        assert!(error.contains("found several") && pauses::local(&package).is_none(), "{error}");
    }

    #[test]
    fn a_directory_of_no_agent_is_named_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none");
        for (at, found) in [(none.as_path(), "nothing"), (dir.path(), "no agent has used")] {
            let error = run(at, &["pause"]).unwrap_err().to_string();
            assert!(error.contains(found) && error.contains("--data-dir"), "{error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
