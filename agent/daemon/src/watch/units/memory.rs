//! The names of the units that were not well of late, kept on disk: an agent that is started again tells how they are now.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nimbus_agent_core::observe::units::Pictures;
use nimbus_platform::{read_regular_text, write_atomic};

/// Longest file that is read: 64 names of 255 bytes, and some more.
const MOST: u64 = 64 << 10;

/// The file, and what it says.
#[derive(Debug)]
pub struct Memory {
    path: PathBuf,
    kept: Vec<String>,
}

impl Memory {
    /// What was kept; a file that cannot be read says nothing, as one that is not there.
    pub fn open(dir: &Path) -> Self {
        let path = dir.join("units");
        let text = match read_regular_text(&path, MOST) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(%error, file = %path.display(), "which units were not well before is not known");
                }
                String::new()
            }
        };
        Self { path, kept: text.lines().map(str::to_owned).collect() }
    }

    /// Pictures that remember them.
    pub fn pictures(&self, now: Timestamp) -> Pictures {
        Pictures::remembering(self.kept.iter().map(String::as_str), now)
    }

    /// Keeps what is remembered now, where that is something else.
    pub fn keep(&mut self, pictures: &Pictures) -> io::Result<()> {
        let now: Vec<String> = pictures.remembered().map(str::to_owned).collect();
        if now == self.kept {
            return Ok(());
        }
        let mut text = now.join("\n");
        text.push('\n');
        write_atomic(&self.path, text.as_bytes(), 0o600)?;
        self.kept = now;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_well_is_known_after_a_start_and_a_broken_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(Memory::open(dir.path()).pictures(now).remembered().count(), 0);
        let pictures = Pictures::remembering(["a.service", "b.service"], now);
        Memory::open(dir.path()).keep(&pictures).unwrap();
        let names =
            |memory: &Memory| memory.pictures(now).remembered().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(names(&Memory::open(dir.path())), ["a.service", "b.service"]);
        std::fs::write(dir.path().join("units"), b"a.service\n; rm -rf /\n").unwrap();
        assert_eq!(names(&Memory::open(dir.path())), ["a.service"]);
        std::fs::write(dir.path().join("units"), b"\xff\xfe").unwrap();
        assert!(names(&Memory::open(dir.path())).is_empty());
    }
}
