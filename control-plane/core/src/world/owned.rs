//! An index of a cluster's objects by the UID of their controlling owner.

use std::collections::{BTreeMap, BTreeSet};

use super::meta::Meta;

/// By an owner's UID the UIDs of what it owns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Owned(BTreeMap<String, BTreeSet<String>>);

impl Owned {
    pub(super) fn of<'a>(all: impl Iterator<Item = &'a Meta>) -> Self {
        let mut owned = Self::default();
        all.for_each(|meta| owned.update(None, meta));
        owned
    }

    /// An object is new or may have changed hands.
    pub(super) fn update(&mut self, old: Option<&Meta>, new: &Meta) {
        if old.is_some_and(|old| old.owner_uid == new.owner_uid) {
            return;
        }
        if let Some(old) = old {
            self.remove(old);
        }
        if !new.owner_uid.is_empty() {
            self.0.entry(new.owner_uid.clone()).or_default().insert(new.uid.clone());
        }
    }

    /// An object is gone.
    pub(super) fn remove(&mut self, meta: &Meta) {
        if let Some(children) = self.0.get_mut(&meta.owner_uid) {
            children.remove(&meta.uid);
            if children.is_empty() {
                self.0.remove(&meta.owner_uid);
            }
        }
    }

    /// UIDs of what this owner owns, of whatever kind.
    pub(super) fn by(&self, owner: &str) -> impl Iterator<Item = &String> {
        self.0.get(owner).into_iter().flatten()
    }
}
