//! A datagram that every QUIC server answers, and the answer.
//!
//! A server that gets a long packet of a version that it does not know answers with Version Negotiation (RFC 9000, 6.1 and
//! 17.2.1): no handshake, no certificate, and nothing is kept. Packets below 1,200 bytes are not answered.

/// Bytes of a probe: the least that a server answers.
pub const PROBE_BYTES: usize = 1200;
/// A version that is kept free for exactly this (RFC 9000, 15).
const NO_VERSION: u32 = 0x1a2a_3a4a;

/// The two connection ids of a probe, which the answer repeats. Random, so that no old answer is taken for this one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// The server's.
    pub destination: [u8; 8],
    /// The prober's.
    pub source: [u8; 8],
}

/// The datagram.
pub fn probe(ids: Ids) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(PROBE_BYTES);
    bytes.push(0xc0);
    bytes.extend(NO_VERSION.to_be_bytes());
    bytes.push(8);
    bytes.extend(ids.destination);
    bytes.push(8);
    bytes.extend(ids.source);
    bytes.resize(PROBE_BYTES, 0);
    bytes
}

/// Is this a QUIC server's answer to the probe with these ids?
pub fn is_answer(bytes: &[u8], ids: Ids) -> bool {
    let mut expected = vec![0, 0, 0, 0, 8];
    expected.extend(ids.source);
    expected.push(8);
    expected.extend(ids.destination);
    let Some((first, rest)) = bytes.split_first() else { return false };
    // Behind the ids stands the list of versions, four bytes each.
    first & 0x80 != 0 && rest.strip_prefix(expected.as_slice()).is_some_and(|versions| versions.len() >= 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids { destination: *b"serverid", source: *b"probersx" };

    #[test]
    fn only_version_negotiation_for_this_probe_is_an_answer() {
        assert_eq!(probe(IDS).len(), PROBE_BYTES);
        let mut answer = vec![0xf5, 0, 0, 0, 0, 8];
        answer.extend(IDS.source);
        answer.push(8);
        answer.extend(IDS.destination);
        assert!(!is_answer(&answer, IDS), "no versions");
        answer.extend([0, 0, 0, 1]);
        assert!(is_answer(&answer, IDS));
        assert!(!is_answer(&answer, Ids { source: *b"another1", ..IDS }));
        assert!(!is_answer(&probe(IDS), IDS), "an echo");
        assert!(!is_answer(b"", IDS) && !is_answer(b"HTTP/1.1 400 Bad Request", IDS));
    }
}
