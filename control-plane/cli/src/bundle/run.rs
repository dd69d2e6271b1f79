//! Runs a program and reads a file, within bounds.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nimbus_platform::read_regular_start;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::piece::Raw;
use super::{LONGEST, MOST_FILES, MOST_OF_A_PART, MOST_PRINTED};
use crate::files;

/// The most bytes of a program's complaint that are read.
const MOST_SAID: usize = 256 << 10;

/// The most characters of it that are shown.
const LONGEST_SAID: usize = 500;

/// What was read, if anything, and what was wrong.
pub type Read = (Option<Raw>, Option<String>);

/// What a program prints. One that fails may have printed something.
pub async fn program(search: Option<&OsStr>, name: &str, words: &[String]) -> Read {
    let mut command = Command::new(name);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.env("LC_ALL", "C").env("SYSTEMD_PAGER", "").env("SYSTEMD_COLORS", "0");
    if let Some(search) = search {
        command.env("PATH", search);
    }
    for name in ["NIMBUS_SERVER", "NIMBUS_CONTEXT", "NIMBUS_TOKEN"] {
        command.env_remove(name);
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return (
                None,
                Some(format!("there is no {name} on the PATH: install it, or ask on another machine")),
            );
        }
        Err(error) => return (None, Some(format!("{name} cannot be run: {}", files::reason(&error)))),
    };
    let (out, said) = (child.stdout.take(), child.stderr.take());
    let both = async {
        let (out, said) = tokio::join!(bounded(out, MOST_PRINTED), bounded(said, MOST_SAID));
        (out, said, child.wait().await)
    };
    let Ok((out, said, ended)) = tokio::time::timeout(LONGEST, both).await else {
        return (None, Some(format!("no end within {} s", LONGEST.as_secs())));
    };
    let problem = match ended {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("it ended with {status}: {}", last_line(&said))),
        Err(error) => Some(files::reason(&error)),
    };
    let problem = if out.len() >= MOST_PRINTED {
        Some(format!("it printed more than {MOST_PRINTED} bytes; only these were read"))
    } else {
        problem
    };
    ((!out.trim().is_empty()).then(|| Raw::read(out)), problem)
}

/// What a program says at last is why it ended.
fn last_line(said: &str) -> String {
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    last.trim().chars().take(LONGEST_SAID).collect()
}

/// The beginning of a stream; the rest is read and dropped, so that the program comes to its end.
async fn bounded(stream: Option<impl AsyncRead + Unpin>, most: usize) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut bytes = Vec::new();
    // What was read until an error is as good as it is: the program's end says more.
    let _ = (&mut stream).take(most as u64).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The regular files of a directory and of those in it, by their paths below it, and how many more there are.
pub fn files_of(directory: &Path) -> (Vec<(String, PathBuf)>, usize) {
    let list = |directory: &Path| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let below = list(directory)
        .into_iter()
        .flat_map(|path| if path.is_dir() && !path.is_symlink() { list(&path) } else { vec![path] });
    let mut files: Vec<(String, PathBuf)> = below
        .filter(|path| std::fs::symlink_metadata(path).is_ok_and(|data| data.is_file()))
        .filter_map(|path| Some((path.strip_prefix(directory).ok()?.to_str()?.to_owned(), path)))
        .collect();
    let more = files.len().saturating_sub(MOST_FILES);
    files.truncate(MOST_FILES);
    (files, more)
}

/// A file's beginning.
pub fn file(path: &Path) -> Read {
    // It was a regular file when it was listed, and may be another one by now.
    let read = read_regular_start(path, MOST_OF_A_PART as u64)
        .map_err(|error| format!("it cannot be read: {}", files::reason(&error)));
    match read {
        Ok(bytes) if bytes.contains(&0) => (None, Some("it is no text, and left out".to_owned())),
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            // The variables of a service are judged one by one: which there are is what is asked for.
            let is_environment = path.extension().is_some_and(|ending| ending == "env");
            let raw =
                if is_environment { Raw::Text(text) } else { Raw::File(path.display().to_string(), text) };
            (Some(raw), None)
        }
        Err(problem) => (None, Some(problem)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nobody writes into the pipe: what waited for it would not end.
    #[test]
    fn a_file_that_became_a_pipe_is_left_out_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.env");
        files::tests::pipe(&path);
        let (raw, problem) = file(&path);
        assert!(raw.is_none() && problem.is_some_and(|problem| problem.contains("a pipe")));
    }
}
