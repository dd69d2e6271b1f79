//! What the control planes on one database know of each other: each keeps a row that says who it is and when it was last
//! there. It is for people alone. Who leads is decided by the lease and by the epoch, and never by these rows.

use std::time::Duration;

/// Between two renewals of a control plane's row: the beat of the lease.
pub const BEAT: Duration = super::RENEW;
/// A row that was not renewed for so long is gone, ten beats.
pub const GONE: Duration = Duration::from_secs(10);
/// Most rows that are kept; a further control plane has none until another one's is gone.
pub const MOST: i64 = 16;

/// What a control plane does on its database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It leads.
    Leads,
    /// It stands by for the one that leads.
    StandsBy,
    /// It has led, and another one leads now: it ends.
    Superseded,
}

impl Part {
    /// The part of one whose row says that it took the epoch `own` (0: none yet), where `newest` is the newest of all.
    pub fn of(own: u64, newest: u64) -> Self {
        match own {
            0 => Self::StandsBy,
            own if own == newest => Self::Leads,
            _ => Self::Superseded,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Leads => "leads",
            Self::StandsBy => "stands_by",
            Self::Superseded => "superseded",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_epoch_alone_leads() {
        let of = |own| Part::of(own, 7).as_str();
        assert_eq!([of(0), of(6), of(7), of(8)], ["stands_by", "superseded", "leads", "superseded"]);
        assert_eq!(Part::of(0, 0), Part::StandsBy, "nobody has led yet");
    }
}
