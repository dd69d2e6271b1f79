//! The room on the file system of a directory.

use std::path::Path;

use nimbus_checks::check::{Gathered, Unread};
use nimbus_checks::doctor::Disk;

/// Looks at the file system that holds `directory`.
pub fn look(directory: &Path) -> Gathered<Disk> {
    let found = rustix::fs::statvfs(directory).map_err(|error| {
        Unread::new(
            format!("{} cannot be looked at: {}", directory.display(), crate::files::reason(&error.into())),
            "name the directory with --data-dir, and run it as a user who may read it",
        )
    })?;
    Ok(Disk {
        path: directory.display().to_string(),
        total: found.f_blocks.saturating_mul(found.f_frsize),
        available: found.f_bavail.saturating_mul(found.f_frsize),
        // Some file systems count no places for files.
        is_out_of_files: found.f_files > 0 && found.f_favail == 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_a_file_system_and_one_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let disk = look(dir.path()).unwrap();
        assert!(disk.total > 0 && disk.available <= disk.total, "{disk:?}");
        let unread = look(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(unread.why.contains("/nowhere/at/all"), "{unread:?}");
    }
}
