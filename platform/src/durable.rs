//! Writes files that are whole after a crash: temporary file, fsync, rename, fsync of the directory.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Replaces `path` by `bytes` with exactly the permission bits `mode`. After a crash either the old content or the new
/// is there, never a part of one.
///
/// The new content is first in `path` with `.new` appended; two writers of one path need a lock of their own. The
/// directory has to exist. On an error the old file is unchanged, unless it is the last step that failed (fsync of the
/// directory): then the new content is there and may be lost by a power failure.
///
/// # Errors
/// What the system says; [`is_full`] tells a full disk apart.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    write_atomic_with(path, mode, |file| file.write_all(bytes))
}

/// As [`write_atomic`], of content that `write` writes piece by piece: what is long need not be in memory.
///
/// # Errors
/// As [`write_atomic`], and what `write` says.
pub fn write_atomic_with<T>(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> io::Result<T> {
    let temporary = with_suffix(path, ".new");
    // A file that a crash left behind may have other permission bits, or be a link to another place.
    remove_if_there(&temporary)?;
    let written = (|| {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o700).open(&temporary)?;
        // The process's umask has its say in the mode of a new file, and none in this.
        file.set_permissions(Permissions::from_mode(mode))?;
        let mut buffered = BufWriter::new(file);
        let told = write(&mut buffered)?;
        buffered.into_inner()?.sync_all()?;
        std::fs::rename(&temporary, path)?;
        Ok(told)
    })();
    match written {
        Ok(told) => sync_parent(path).map(|()| told),
        Err(error) => {
            // The disk may be full: what was begun only takes room. The first error is the one to tell.
            let _ = std::fs::remove_file(&temporary);
            Err(error)
        }
    }
}

/// Makes a rename, creation or removal of `path` durable, by fsync of the directory that it is in.
///
/// # Errors
/// What the system says.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Makes `path` and its missing parents, for their owner alone (mode 0700, whatever the umask). One that exists is left as
/// it is.
///
/// # Errors
/// What the system says; also when `path` exists and is no directory.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    let create = || DirBuilder::new().mode(0o700).create(path);
    let created = match (create(), path.parent()) {
        (Err(error), Some(parent)) if error.kind() == ErrorKind::NotFound && parent != Path::new("") => {
            create_private_dir(parent)?;
            create()
        }
        (first, _) => first,
    };
    match created {
        // A umask only takes bits away; without its own the directory would be closed to its owner too.
        Ok(()) => std::fs::set_permissions(path, Permissions::from_mode(0o700)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// As [`create_private_dir`], and a directory that exists is closed to everybody but its owner. For directories that
/// belong to Nimbus alone. One that another user owns is left as it is: this process cannot close it, as with a volume
/// that was mounted for it.
///
/// # Errors
/// What the system says; also when `path` exists and is no directory.
pub fn own_private_dir(path: &Path) -> io::Result<()> {
    create_private_dir(path)?;
    if std::fs::metadata(path)?.permissions().mode() & 0o777 == 0o700 {
        return Ok(());
    }
    match std::fs::set_permissions(path, Permissions::from_mode(0o700)) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            Ok(())
        }
        closed => closed,
    }
}

/// Does every name in the directory `path` belong to us? One that holds other things may be somebody else's, such as
/// `/var/lib`, named by mistake: it is not ours to close.
///
/// # Errors
/// What the system says.
pub fn holds_only(path: &Path, ours: impl Fn(&str) -> bool) -> io::Result<bool> {
    for entry in std::fs::read_dir(path)? {
        if !entry?.file_name().to_str().is_some_and(&ours) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The content of a regular file, or `None` when nothing is there.
///
/// # Errors
/// Whatever else the system says, and as [`crate::open_regular`] where something else is there.
pub fn read_optional(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let read = crate::open_regular(path).and_then(|mut file| {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the system says that a disk or a quota is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_replaced_file_has_the_new_content_and_mode_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.pem");
        let outside = dir.path().join("outside");
        std::fs::write(&outside, "untouched").unwrap();
        std::os::unix::fs::symlink(&outside, dir.path().join("key.pem.new")).unwrap();
        write_atomic(&path, b"one", 0o644).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!((std::fs::read(&path).unwrap().as_slice(), mode(&path)), (b"two".as_slice(), 0o600));
        assert_eq!(std::fs::read(&outside).unwrap(), b"untouched");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_mode_is_exact_whatever_the_umask_takes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shared");
        write_atomic(&path, b"x", 0o666).unwrap();
        assert_eq!(mode(&path), 0o666);
    }

    #[test]
    fn a_failed_write_keeps_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        assert!(write_atomic(&path, b"x", 0o600).is_err());
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let error = write_atomic(&dir.path().join("no/such/dir"), b"x", 0o600).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_private_directory_is_for_its_owner_and_may_exist() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o700, 0o700));
    }

    /// The same again, in a process of its own with that umask: it belongs to the whole process.
    #[test]
    fn directories_are_for_their_owner_alone_under_every_umask() {
        const WHERE: &str = "NIMBUS_TEST_MADE_UNDER_UMASK";
        if let Some(at) = std::env::var_os(WHERE) {
            create_private_dir(&Path::new(&at).join("x/y/z")).unwrap();
            return;
        }
        let own = std::env::current_exe().unwrap();
        let name = "durable::tests::directories_are_for_their_owner_alone_under_every_umask";
        for umask in ["0", "022", "077", "0277", "0777"] {
            let dir = tempfile::tempdir().unwrap();
            let mut command = std::process::Command::new("sh");
            command.args(["-c", "umask $1; exec \"$0\" --exact \"$2\""]).arg(&own).args([umask, name]);
            let ended = command.env(WHERE, dir.path()).output().unwrap();
            assert!(ended.status.success(), "{umask}: {ended:?}");
            for made in ["x", "x/y", "x/y/z"] {
                assert_eq!(mode(&dir.path().join(made)), 0o700, "{umask}: {made}");
            }
        }
    }

    #[test]
    fn an_own_directory_that_others_could_enter_is_closed_to_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("own");
        for before in [0o777, 0o755, 0o1777, 0o700, 0o500] {
            own_private_dir(&path).unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            own_private_dir(&path).unwrap();
            assert_eq!(mode(&path) & 0o777, 0o700, "{before:o}");
        }
        assert!(holds_only(&path, |_| false).unwrap(), "nothing is in it");
        assert!(holds_only(dir.path(), |name| name == "own").unwrap());
        assert!(!holds_only(dir.path(), |name| name == "other").unwrap());
    }

    #[test]
    fn a_file_that_is_not_there_is_no_error_and_an_unreadable_one_is() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read_optional(&dir.path().join("none")).unwrap(), None);
        assert!(read_optional(dir.path()).is_err());
        assert!(is_full(&ErrorKind::StorageFull.into()) && !is_full(&ErrorKind::NotFound.into()));
    }

    #[test]
    fn a_path_without_a_directory_is_in_the_current_one() {
        sync_parent(Path::new("name")).unwrap();
    }
}
