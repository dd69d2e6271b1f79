//! The views: pure functions from an API response, a width and a time to the text that a person reads.
//!
//! One file for each kind of thing. Nothing here asks a server, reads a clock or touches a terminal.

pub mod access;
pub mod agents;
pub mod approvals;
pub mod audit;
pub mod autonomous;
pub mod backup;
pub mod baselines;
pub mod checks;
pub mod clusters;
pub mod deploy;
pub mod drain;
pub mod drift;
pub mod incidents;
pub mod investigation;
pub mod jobs;
pub mod keys;
pub mod layout;
pub mod node;
pub mod nodes;
pub mod plan;
pub mod release;
pub mod rules;
pub mod status;
pub mod support_bundle;
pub mod tokens;

use crate::output::theme::Theme;
use crate::output::time::Clock;

/// How a view is to look.
#[derive(Debug, Clone)]
pub struct View {
    /// Colours.
    pub theme: Theme,
    /// The time and the zone.
    pub clock: Clock,
    /// Columns of the terminal; `None`: nothing is cut or wrapped.
    pub width: Option<usize>,
    /// With more columns and whole ids.
    pub wide: bool,
}

impl View {
    /// Ids as a list shows them: short, or whole where there is room.
    pub fn ids(&self, ids: &[&str]) -> Vec<String> {
        if self.wide { ids.iter().map(|&id| id.to_owned()).collect() } else { crate::ids::short(ids) }
    }

    /// A list without items, as a sentence.
    pub fn nothing(&self, text: &str) -> String {
        format!("{text}\n")
    }
}

/// `1 file`, `3 files`.
pub fn count(number: impl Into<u64>, one: &str, many: &str) -> String {
    let number = number.into();
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Bytes in the largest binary unit that keeps a figure before the point.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut unit = 0;
    let mut scale = 1_u64;
    while unit + 1 < UNITS.len() && number / scale >= 1024 {
        unit += 1;
        scale *= 1024;
    }
    if unit == 0 {
        return format!("{number} B");
    }
    let tenths = number / (scale / 10).max(1);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
pub(crate) mod sample {
    use super::View;
    use crate::output::theme::Theme;
    use crate::output::time::Clock;

    /// A view of a given width on one fixed morning.
    pub(crate) fn view(width: usize) -> View {
        let clock = Clock { now: "2026-11-22T08:00:00Z".parse().unwrap(), zone: jiff::tz::TimeZone::UTC };
        View { theme: Theme::plain(), clock, width: Some(width), wide: false }
    }

    /// An id whose digits are told by `number`, made at a moment of its own.
    pub(crate) fn id(prefix: &str, number: u32) -> String {
        format!("{prefix}_019b5c2d{number:04x}7f6a8b9c0d1e2f3a4b5c")
    }

    /// A document of the contract from JSON, as the server would send it.
    pub(crate) fn read<T: serde::de::DeserializeOwned>(json: serde_json::Value) -> T {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn figures_read_well() {
        assert_eq!(super::bytes(512), "512 B");
        assert_eq!(super::bytes(1536), "1.5 KiB");
        assert_eq!(super::bytes(16 * 1024 * 1024 * 1024), "16.0 GiB");
        assert_eq!(super::count(1_u32, "file", "files"), "1 file");
        assert_eq!(super::count(0_u32, "file", "files"), "0 files");
    }
}
