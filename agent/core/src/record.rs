//! Records in an append-only file: `u32` length, `u32` CRC-32 of length and payload (both big endian), payload.
//!
//! The checksum covers the length, so neither a torn tail nor a zero-filled one reads as a record.

/// Bytes before a record's payload.
pub(crate) const HEADER: usize = 8;
/// Longest payload; a longer length in a file is damage.
pub(crate) const MAX_PAYLOAD: usize = 2 << 20;

/// Appends one record to `out`.
pub(crate) fn append(out: &mut Vec<u8>, payload: &[u8]) {
    debug_assert!(payload.len() <= MAX_PAYLOAD, "callers bound what they write");
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&checksum(length, payload).to_be_bytes());
    out.extend_from_slice(payload);
}

/// The records at the front of `bytes`; stops for good at the first that is torn or damaged.
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that were good so far.
    pub(crate) fn good(&self) -> usize {
        self.at
    }
}

impl<'a> Iterator for Records<'a> {
    /// Where the record starts, and its payload.
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.at..)?;
        let length = *rest.first_chunk::<4>()?;
        let size = u32::from_be_bytes(length) as usize;
        if size > MAX_PAYLOAD {
            return None;
        }
        let expected = u32::from_be_bytes(*rest.get(4..)?.first_chunk::<4>()?);
        let payload = rest.get(HEADER..HEADER + size)?;
        if checksum(length, payload) != expected {
            return None;
        }
        let at = self.at;
        self.at += HEADER + size;
        Some((at, payload))
    }
}

fn checksum(length: [u8; 4], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_whole_is_read_and_nothing_else(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
            cut in 0usize..400,
        ) {
            let mut bytes = Vec::new();
            let mut ends = Vec::new();
            for payload in &payloads {
                append(&mut bytes, payload);
                ends.push(bytes.len());
            }
            let cut = cut.min(bytes.len());
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let read: Vec<&[u8]> = Records::new(&bytes[..cut]).map(|(_, payload)| payload).collect();
            prop_assert_eq!(read, payloads[..whole].iter().map(Vec::as_slice).collect::<Vec<_>>());
        }

        #[test]
        fn one_flipped_bit_ends_the_reading_there(at in 0usize..60, bit in 0u8..8) {
            let mut bytes = Vec::new();
            append(&mut bytes, b"first");
            let second = bytes.len();
            append(&mut bytes, b"second and last");
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let expected = usize::from(at >= second);
            prop_assert_eq!(Records::new(&bytes).count(), expected);
        }
    }

    #[test]
    fn a_zero_filled_tail_is_no_record() {
        let mut bytes = Vec::new();
        append(&mut bytes, b"one");
        let good = bytes.len();
        bytes.extend_from_slice(&[0; 64]);
        let mut records = Records::new(&bytes);
        assert_eq!(records.by_ref().count(), 1);
        assert_eq!(records.good(), good);
    }
}
