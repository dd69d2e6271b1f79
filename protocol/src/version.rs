//! Negotiates the protocol version of a session: the highest that both peers know, decided in the first message.

/// The lowest version that this build still speaks.
pub const LOWEST: u32 = 1;
/// The highest version that this build speaks.
pub const HIGHEST: u32 = 1;

/// The peers have no version in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no common protocol version: this side speaks {ours_lowest} to {ours_highest}, the peer {peer_lowest} to \
     {peer_highest}; upgrade the {} side",
    if peer_highest < ours_lowest { "peer's" } else { "own" }
)]
pub struct NoCommonVersion {
    /// Lowest version spoken here.
    pub ours_lowest: u32,
    /// Highest version spoken here.
    pub ours_highest: u32,
    /// Lowest version the peer offered.
    pub peer_lowest: u32,
    /// Highest version the peer offered.
    pub peer_highest: u32,
}

/// The version to speak with a peer that offers `peer_lowest..=peer_highest`.
pub fn negotiate(peer_lowest: u32, peer_highest: u32) -> Result<u32, NoCommonVersion> {
    let version = HIGHEST.min(peer_highest);
    if peer_lowest <= peer_highest && version >= LOWEST && version >= peer_lowest {
        Ok(version)
    } else {
        Err(NoCommonVersion { ours_lowest: LOWEST, ours_highest: HIGHEST, peer_lowest, peer_highest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_wins() {
        assert_eq!(negotiate(1, 1), Ok(1));
        assert_eq!(negotiate(1, 9), Ok(1));
    }

    #[test]
    fn without_a_common_version_both_ranges_are_named() {
        for (low, high) in [(2, 9), (0, 0), (3, 1)] {
            let error = negotiate(low, high).unwrap_err();
            assert_eq!((error.peer_lowest, error.peer_highest), (low, high));
        }
    }
}
