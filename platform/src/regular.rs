//! Regular files that a person named. A pipe in their place would hold whoever opens it until somebody writes into it, a device
//! may never end, and some devices act when they are opened: none of them is waited for or read.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file to be read, through links too.
///
/// # Errors
/// What the system says; [`ErrorKind::InvalidInput`] with what it is where it is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Looked at first, since opening alone may already tell a device something.
    check(std::fs::metadata(path)?.file_type())?;
    // And opened so that a pipe which took its place meanwhile makes nobody wait.
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// The whole of a regular file.
///
/// # Errors
/// As [`open_regular`]; [`ErrorKind::FileTooLarge`] where it has more than `most` bytes, of which one more is read at most.
pub fn read_regular(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let bytes = read_regular_start(path, most.saturating_add(1))?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("more than {most} bytes")));
    }
    Ok(bytes)
}

/// The whole of a regular file, as text.
///
/// # Errors
/// As [`read_regular`]; [`ErrorKind::InvalidData`] where it is no UTF-8.
pub fn read_regular_text(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read_regular(path, most)?)
        .map_err(|_| io::Error::new(ErrorKind::InvalidData, "bytes that are no UTF-8 text"))
}

/// The first bytes of a regular file, `most` of them if it has so many.
///
/// # Errors
/// As [`open_regular`].
pub fn read_regular_start(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check(found: FileType) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    let what = if found.is_dir() {
        "a directory"
    } else if found.is_fifo() {
        "a pipe"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(ErrorKind::InvalidInput, format!("{what}, which is no regular file")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    /// Without a writer and a bound it would wait for ever: the test would not end.
    #[test]
    fn what_is_no_regular_file_is_refused_at_once_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, link, socket) =
            (dir.path().join("pipe"), dir.path().join("link"), dir.path().join("socket"));
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, word) in [
            (pipe.as_path(), "a pipe"),
            (link.as_path(), "a pipe"),
            (socket.as_path(), "a socket"),
            (dir.path(), "a directory"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            for error in [
                open_regular(path).map(drop).unwrap_err(),
                read_regular(path, 10).map(drop).unwrap_err(),
                read_regular_text(path, 10).map(drop).unwrap_err(),
                read_regular_start(path, 10).map(drop).unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{word}");
                assert!(error.to_string().starts_with(word), "{error}");
            }
        }
        assert_eq!(open_regular(&dir.path().join("none")).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_regular_file_is_read_within_its_bound() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "ten bytes.").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link] {
            assert_eq!(read_regular(path, 10).unwrap(), b"ten bytes.");
            assert_eq!(read_regular_text(path, 10).unwrap(), "ten bytes.");
            assert_eq!(read_regular(path, 9).unwrap_err().kind(), ErrorKind::FileTooLarge);
            assert_eq!(read_regular_start(path, 3).unwrap(), b"ten");
        }
        std::fs::write(&file, [0xff]).unwrap();
        assert_eq!(read_regular_text(&file, 10).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
