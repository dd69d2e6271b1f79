//! How an action names a watched file: by a path below a watched root, and by the facts (kind, mode, owner, hash) that
//! the file must have.

use nimbus_protocol::v1;

use super::{malformed, unexpected};
use crate::observe::file::MAX_READ;
use crate::path;
use crate::refusal::Refusal;

/// Is it a path below its root, and both written plainly?
pub(super) fn below_root(field: &str, root: &str, file: &str) -> Result<(), Refusal> {
    if path::within(root, file) { Ok(()) } else { malformed(field, "a plain absolute path under its root") }
}

/// Are these the facts of something that can be put back: a file, a symbolic link or nothing?
pub(super) fn restorable(field: &str, facts: Option<&v1::FileFacts>) -> Result<(), Refusal> {
    let hashed = |f: &v1::FileFacts| f.sha256.len() == 32;
    match facts {
        Some(f) if !matches!(f.attributes_sha256.len(), 0 | 32) => {
            malformed(field, "a whole digest of attributes")
        }
        Some(f) if f.mode > 0o7777 => malformed(field, "permission bits up to 7777"),
        Some(f) if matches!(f.kind.as_str(), "file" | "symlink") && hashed(f) => Ok(()),
        Some(f) if f.kind == "absent" && f.sha256.is_empty() => Ok(()),
        _ => malformed(field, "the facts of a file, a symlink or an absent one, with its hash"),
    }
}

/// Are these the facts of something that can become a baseline? What cannot be put back can be accepted all the same.
pub(super) fn acceptable(field: &str, facts: Option<&v1::FileFacts>) -> Result<(), Refusal> {
    match facts {
        Some(f)
            if matches!(f.kind.as_str(), "directory" | "other")
                && f.sha256.is_empty()
                && f.mode <= 0o7777 =>
        {
            Ok(())
        }
        _ => restorable(field, facts),
    }
}

/// The facts of a state, as a plan names them.
pub fn facts(state: &v1::FileState) -> v1::FileFacts {
    v1::FileFacts {
        kind: state.kind.clone(),
        mode: state.mode,
        uid: state.uid,
        gid: state.gid,
        sha256: state.sha256.clone(),
        attributes_sha256: state.attributes.as_ref().map(|all| all.sha256.clone()).unwrap_or_default(),
    }
}

/// Is the file as it was expected? A file that may not be read is not known to be the same; neither is one where
/// nothing was said of what to expect.
pub fn as_expected(expected: Option<&v1::FileFacts>, found: &v1::FileState) -> Result<(), Refusal> {
    let Some(expected) = expected else {
        return Err(unexpected("expected a job that says how the file should be, found none".to_owned()));
    };
    // Of a file that is too long to be read the problem says how it is compared.
    let unread = found.size > MAX_READ;
    if found.kind == "unreadable" || (!found.problem.is_empty() && !unread) {
        return Err(unexpected(format!("expected a file that can be read, found: {}", found.problem)));
    }
    if found.kind != expected.kind {
        return Err(unexpected(format!("expected kind {:?}, found {:?}", expected.kind, found.kind)));
    }
    if found.kind == "absent" {
        return Ok(());
    }
    // A directory and a device have no content that is looked at.
    let hashed = !matches!(found.kind.as_str(), "directory" | "other");
    if (hashed && found.sha256.is_empty()) || found.sha256 != expected.sha256 {
        return Err(unexpected("expected the content that was planned on, found other content".to_owned()));
    }
    // An older control plane does not say them; where it does, attributes that are not known now are not the same.
    let same = |now: &v1::FileAttributes| now.sha256 == expected.attributes_sha256;
    if !expected.attributes_sha256.is_empty() && !found.attributes.as_ref().is_some_and(same) {
        let reason = "expected the attributes that were planned on (access list, extended attributes, flags), found others or none that are known";
        return Err(unexpected(reason.to_owned()));
    }
    let is = (found.mode, found.uid, found.gid);
    let should = (expected.mode, expected.uid, expected.gid);
    // A symbolic link's own permission bits mean nothing.
    let same = if found.kind == "symlink" { is.1 == should.1 && is.2 == should.2 } else { is == should };
    if same {
        return Ok(());
    }
    Err(unexpected(format!(
        "expected mode {:o} of {}:{}, found mode {:o} of {}:{}",
        should.0, should.1, should.2, is.0, is.1, is.2
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_by_kind_content_mode_and_owner() {
        let expect = v1::FileFacts {
            kind: "file".into(),
            mode: 0o644,
            uid: 1,
            gid: 2,
            sha256: vec![1; 32],
            ..Default::default()
        };
        let now = v1::FileState {
            kind: "file".into(),
            mode: 0o644,
            uid: 1,
            gid: 2,
            size: 5,
            sha256: vec![1; 32],
            problem: String::new(),
            attributes: None,
        };
        assert_eq!(as_expected(Some(&expect), &now), Ok(()));
        let changes: [fn(&mut v1::FileState); 7] = [
            |f| f.kind = "symlink".into(),
            |f| f.mode = 0o600,
            |f| f.uid = 0,
            |f| f.gid = 0,
            |f| f.sha256 = vec![2; 32],
            |f| f.sha256 = Vec::new(),
            |f| f.problem = "permission denied".into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut now = now.clone();
            change(&mut now);
            as_expected(Some(&expect), &now).expect_err(&number.to_string());
        }
        // What an older control plane does not say is not compared.
        let attributes = |byte| Some(v1::FileAttributes { sha256: vec![byte; 32], all: Vec::new() });
        let listed = v1::FileState { attributes: attributes(3), ..now.clone() };
        let expects = |byte| v1::FileFacts { attributes_sha256: vec![byte; 32], ..expect.clone() };
        assert_eq!(as_expected(Some(&expect), &listed), Ok(()));
        assert_eq!(as_expected(Some(&expects(3)), &listed), Ok(()));
        assert!(as_expected(Some(&expects(3)), &now).unwrap_err().reason.contains("attributes"));
        assert!(as_expected(Some(&expects(4)), &listed).unwrap_err().reason.contains("attributes"));
        let long =
            v1::FileState { size: MAX_READ + 1, problem: "longer than 1024 KiB".into(), ..now.clone() };
        assert_eq!(as_expected(Some(&expect), &long), Ok(()), "it can be accepted, though it is not read");
        let absent = v1::FileFacts { kind: "absent".into(), ..Default::default() };
        let nothing = v1::FileState { kind: "absent".into(), ..Default::default() };
        assert_eq!(as_expected(Some(&absent), &nothing), Ok(()));
        assert!(as_expected(Some(&absent), &now).is_err());
        assert!(as_expected(None, &nothing).is_err());
    }
}
