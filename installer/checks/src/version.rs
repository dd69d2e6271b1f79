//! Versions as programs print them.

use std::fmt;

/// A version of three numbers; what comes behind them (`-rc.1`, `+k3s1`) does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
    /// The third; 0 where there is none.
    pub patch: u32,
}

impl Version {
    /// Of three numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads `v1.33.2+k3s1`, `1.33` and the like; none where it does not begin so.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('v').unwrap_or(text);
        let numbers = text.split(['-', '+', ' ']).next()?;
        let mut parts = numbers.split('.');
        let major = parts.next()?.parse().ok()?;
        let minor = parts.next()?.parse().ok()?;
        let patch = parts.next().map_or(Some(0), |patch| patch.parse().ok())?;
        Some(Self { major, minor, patch })
    }

    /// How many minor versions lie between the two; none where the first numbers differ.
    pub fn minors_to(self, other: Self) -> Option<u32> {
        (self.major == other.major).then(|| self.minor.abs_diff(other.minor))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_programs_print_them() {
        for (text, version) in [
            ("v1.33.2", Some(Version::new(1, 33, 2))),
            ("v1.30.4+k3s1\n", Some(Version::new(1, 30, 4))),
            ("v1.29.1-gke.1589018", Some(Version::new(1, 29, 1))),
            ("v3.14.0+gc309b6f", Some(Version::new(3, 14, 0))),
            ("v4.3", Some(Version::new(4, 3, 0))),
            ("0.1.0", Some(Version::new(0, 1, 0))),
            ("", None),
            ("latest", None),
            ("1.x", None),
        ] {
            assert_eq!(Version::parse(text), version, "{text}");
        }
        assert_eq!(Version::new(0, 3, 9).minors_to(Version::new(0, 1, 0)), Some(2));
        assert_eq!(Version::new(1, 0, 0).minors_to(Version::new(0, 1, 0)), None);
    }
}
