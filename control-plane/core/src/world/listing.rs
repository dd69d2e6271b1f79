//! Full listings of a kind: an object that was not reported between a listing's begin and end no longer exists.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Most objects of one kind in one cluster; further ones are not kept, are counted, and what depends on the kind reads
/// unknown.
pub const MAX_OBJECTS: usize = 500_000;

/// Where the listing of one kind stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Listing {
    /// Has a listing ended, and none begun since?
    pub complete: bool,
    /// Names seen in the listing under way, at most [`MAX_OBJECTS`]; with more nothing is concluded from its end.
    seen: Option<BTreeSet<String>>,
}

impl Listing {
    /// A listing begins: until its end the picture is not complete.
    pub(super) fn begin(&mut self) {
        *self = Self { complete: false, seen: Some(BTreeSet::new()) };
    }

    /// Something was seen.
    pub(super) fn see(&mut self, name: &str) {
        if let Some(seen) = &mut self.seen
            && !seen.contains(name)
        {
            seen.insert(name.to_owned());
            if seen.len() > MAX_OBJECTS {
                self.seen = None;
            }
        }
    }

    /// Something is gone.
    pub(super) fn forget(&mut self, name: &str) {
        if let Some(seen) = &mut self.seen {
            seen.remove(name);
        }
    }

    /// The listing ends: the names seen in it, or `None` when its begin was never seen (then nothing may be
    /// concluded from its end).
    pub(super) fn end(&mut self) -> Option<BTreeSet<String>> {
        let seen = self.seen.take()?;
        self.complete = true;
        Some(seen)
    }
}
