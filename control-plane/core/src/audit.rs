//! The audit log's hash chain: how a row is hashed, and how a run of rows is verified.
//!
//! Decides nothing about what is audited; the store gives each draft its place and calls [`hash`] inside the
//! transaction that writes it. Anyone with the rows can verify them offline.

use sha2::{Digest as _, Sha256};

use crate::model::{AuditDraft, AuditRow, GENESIS};
pub(crate) use nimbus_protocol::from_hex;
use nimbus_protocol::to_hex;

/// SHA-256 (hex) over the row before, the position and the row itself.
///
/// Each field goes in behind its length, so that no two different rows share their bytes. Times count in
/// microseconds, the precision that a store keeps.
pub fn hash(prev: &str, seq: u64, draft: &AuditDraft) -> String {
    let mut hasher = Sha256::new();
    hasher.update(b"nimbus-audit-1\0");
    hasher.update(seq.to_be_bytes());
    hasher.update(draft.at.as_microsecond().to_be_bytes());
    for field in [prev, &draft.actor, &draft.action, &draft.subject, &draft.cluster, &draft.detail] {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    to_hex(&hasher.finalize())
}

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many rows.
    pub rows: u64,
    /// Hash of the last one; [`GENESIS`] when there is none.
    pub head: String,
}

/// The first place where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "audit chain broken at row {seq}: expected {expected}, found {found}; the rows from {seq} on cannot be \
     trusted, compare them with an earlier export"
)]
pub struct ChainError {
    /// The row at which it breaks (for a missing tail: the first missing row).
    pub seq: u64,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

/// Verifies rows one by one, for a chain that is too long to hold in memory.
#[derive(Debug, Clone)]
pub struct Verifier {
    rows: u64,
    head: String,
}

impl Default for Verifier {
    fn default() -> Self {
        Self { rows: 0, head: GENESIS.to_owned() }
    }
}

impl Verifier {
    /// Takes the next row, in order of position.
    pub fn push(&mut self, row: &AuditRow) -> Result<(), ChainError> {
        let seq = self.rows + 1;
        let broken = |expected: String, found: String| Err(ChainError { seq, expected, found });
        if row.seq != seq {
            return broken(format!("row {seq}"), format!("row {}", row.seq));
        }
        if row.prev != self.head {
            return broken(format!("previous hash {}", self.head), row.prev.clone());
        }
        let expected = hash(&self.head, seq, &row.draft);
        if row.hash != expected {
            return broken(format!("hash {expected}"), row.hash.clone());
        }
        self.rows = seq;
        self.head = expected;
        Ok(())
    }

    /// The chain so far; with `expected_head` (kept elsewhere) also a cut-off tail is noticed.
    pub fn finish(self, expected_head: Option<&str>) -> Result<Verified, ChainError> {
        match expected_head {
            Some(expected) if expected != self.head => Err(ChainError {
                seq: self.rows + 1,
                expected: format!("a chain that ends in {expected}"),
                found: format!("its end in {}", self.head),
            }),
            _ => Ok(Verified { rows: self.rows, head: self.head }),
        }
    }
}

/// Verifies a whole chain, from the first row on.
pub fn verify<R>(rows: R, expected_head: Option<&str>) -> Result<Verified, ChainError>
where
    R: IntoIterator,
    R::Item: std::borrow::Borrow<AuditRow>,
{
    let mut verifier = Verifier::default();
    for row in rows {
        verifier.push(std::borrow::Borrow::borrow(&row))?;
    }
    verifier.finish(expected_head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draft(n: u64) -> AuditDraft {
        AuditDraft {
            at: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
            actor: "operator".into(),
            action: "approval.approved".into(),
            subject: format!("apr_{n}"),
            cluster: "prod".into(),
            detail: format!("row {n}"),
        }
    }

    fn chain(length: u64) -> Vec<AuditRow> {
        let mut head = GENESIS.to_owned();
        (1..=length)
            .map(|seq| {
                let prev = head.clone();
                head = hash(&prev, seq, &draft(seq));
                AuditRow { seq, prev, hash: head.clone(), draft: draft(seq) }
            })
            .collect()
    }

    #[test]
    fn a_whole_chain_verifies_and_an_empty_one_ends_in_the_genesis() {
        let rows = chain(5);
        let verified = verify(&rows, Some(&rows[4].hash)).unwrap();
        assert_eq!((verified.rows, verified.head), (5, rows[4].hash.clone()));
        assert_eq!(verify(Vec::<AuditRow>::new(), None).unwrap().head, GENESIS);
    }

    #[test]
    fn a_cut_off_tail_shows_against_the_head_kept_elsewhere() {
        let rows = chain(5);
        assert_eq!(verify(&rows[..4], Some(&rows[4].hash)).unwrap_err().seq, 5);
        assert!(verify(&rows[..4], None).is_ok());
    }

    #[test]
    fn fields_cannot_trade_characters() {
        let mut a = draft(1);
        let mut b = draft(1);
        (a.actor, a.action) = ("ab".into(), "c".into());
        (b.actor, b.action) = ("a".into(), "bc".into());
        assert_ne!(hash(GENESIS, 1, &a), hash(GENESIS, 1, &b));
    }

    proptest! {
        #[test]
        fn any_changed_removed_or_swapped_row_is_found(at in 0usize..6, how in 0u8..5) {
            let mut rows = chain(6);
            match how {
                0 => rows[at].draft.detail.push('!'),
                1 => rows[at].draft.at += jiff::SignedDuration::from_micros(1),
                2 => { rows.remove(at); }
                3 => rows.swap(at, (at + 1) % 6),
                _ => {
                    // Rewritten with a fitting hash: the next row's `prev` gives it away, or the kept head.
                    rows[at].draft.actor = "somebody".into();
                    rows[at].hash = hash(&rows[at].prev, rows[at].seq, &rows[at].draft);
                }
            }
            prop_assert!(verify(&rows, Some(&chain(6)[5].hash)).is_err());
        }
    }

    #[test]
    fn hex_survives_and_refuses_what_is_none() {
        assert_eq!(from_hex(&to_hex(&[0, 1, 0xab, 0xff])), Some(vec![0, 1, 0xab, 0xff]));
        assert_eq!(from_hex("abc"), None);
        assert_eq!(from_hex("zz"), None);
    }
}
