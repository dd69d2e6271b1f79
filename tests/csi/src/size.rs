//! How large a volume is, and how Kubernetes writes that.

const MIB: u64 = 1 << 20;
/// The smallest XFS that can be made at all.
pub const SMALLEST: u64 = 16 * MIB;
/// The largest volume. Its file is sparse; this is against a slip of the pen.
pub const LARGEST: u64 = 64 << 30;

/// What may stand behind the number, with what it is multiplied by.
const UNITS: [(&str, u64); 9] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("", 1),
];

/// The bytes of an amount in the form that the API server gives it: a whole number with a unit. `None` for any other, which
/// no claim of the rig has.
pub fn bytes(amount: &str) -> Option<u64> {
    let (number, unit) = UNITS.iter().find_map(|(name, unit)| Some((amount.strip_suffix(name)?, unit)))?;
    number.parse::<u64>().ok()?.checked_mul(*unit)
}

/// The size that a volume gets: whole MiB, and at least what XFS needs.
///
/// # Errors
/// When it is more than the largest volume has.
pub fn rounded(bytes: u64) -> anyhow::Result<u64> {
    anyhow::ensure!(bytes <= LARGEST, "expected at most {LARGEST} bytes, found {bytes}");
    Ok(bytes.max(SMALLEST).next_multiple_of(MIB))
}

/// Whole MiB as an amount; the API server makes `1Gi` of `1024Mi`.
pub fn amount(bytes: u64) -> String {
    format!("{}Mi", bytes / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_with_its_unit() {
        let known = [("64Mi", 64 << 20), ("1Gi", 1 << 30), ("100M", 100_000_000), ("4096", 4096), ("0", 0)];
        assert!(known.iter().all(|(text, number)| bytes(text) == Some(*number)));
        assert!(["", "Mi", "1.5Gi", "-1", "1e3", "99999999Ti", "1 Gi"].iter().all(|it| bytes(it).is_none()));
        assert_eq!(bytes(&amount(48 << 20)), Some(48 << 20));
    }

    #[test]
    fn a_volume_has_whole_mebibytes_and_what_xfs_needs() {
        let got = [1, SMALLEST, 100_000_000, LARGEST].map(|bytes| rounded(bytes).unwrap());
        assert_eq!(got, [SMALLEST, SMALLEST, 96 * MIB, LARGEST]);
        assert!(rounded(LARGEST + 1).is_err());
    }
}
