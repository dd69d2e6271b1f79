//! The agent's rules for `restore_file`, the action that returns a watched file to its baseline.

use nimbus_protocol::v1;

use super::{AgentRules, Permission, Place, Requester, Touched, file, unexpected};
use crate::refusal::Refusal;

/// The file's baseline and the file itself, as read now.
#[derive(Debug, Clone, Copy)]
pub struct FileNow<'a> {
    /// What the file should be.
    pub baseline: &'a v1::FileState,
    /// What it is.
    pub current: &'a v1::FileState,
}

impl AgentRules for v1::RestoreFile {
    type Found<'a> = FileNow<'a>;

    fn place(&self) -> Place {
        Place::Host
    }

    /// It takes away what somebody wrote on purpose.
    fn needs_approval(&self) -> bool {
        true
    }

    fn requester(&self) -> Requester {
        Requester::Anyone
    }

    fn well_formed(&self) -> Result<(), Refusal> {
        file::below_root("restore_file", &self.root, &self.path)?;
        file::restorable("restore_file.expect_current", self.expect_current.as_ref())?;
        file::restorable("restore_file.restore_to", self.restore_to.as_ref())
    }

    fn touches(&self) -> Vec<Touched<'_>> {
        vec![Touched::Path { root: &self.root, path: &self.path }]
    }

    fn preconditions(&self, found: Self::Found<'_>) -> Result<(), Refusal> {
        file::as_expected(self.restore_to.as_ref(), found.baseline).map_err(|refusal| {
            unexpected(format!("the baseline changed since the plan: {}", refusal.reason))
        })?;
        file::as_expected(self.expect_current.as_ref(), found.current)
    }

    fn permissions() -> &'static [Permission] {
        &[]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_baseline_or_a_changed_file_refuses() {
        let facts = |byte: u8| v1::FileFacts {
            kind: "file".into(),
            mode: 0o644,
            sha256: vec![byte; 32],
            ..Default::default()
        };
        let state = |byte: u8| v1::FileState {
            kind: "file".into(),
            mode: 0o644,
            sha256: vec![byte; 32],
            ..Default::default()
        };
        let action = v1::RestoreFile {
            root: "/etc/app".into(),
            path: "/etc/app/x".into(),
            expect_current: Some(facts(1)),
            restore_to: Some(facts(2)),
        };
        let ask = |baseline, current| {
            action.preconditions(FileNow { baseline: &state(baseline), current: &state(current) })
        };
        assert_eq!(ask(2, 1), Ok(()));
        assert!(ask(3, 1).unwrap_err().reason.contains("baseline changed"));
        assert!(ask(2, 3).is_err());
    }
}
