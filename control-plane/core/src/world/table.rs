//! The table of all objects of one kind, and whether that kind is completely known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::listing::{Listing, MAX_OBJECTS};
use super::meta::Meta;
use super::object::Object;

/// The objects of one kind by UID, at most [`MAX_OBJECTS`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table<T> {
    objects: BTreeMap<String, T>,
    listing: Listing,
    not_kept: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { objects: BTreeMap::new(), listing: Listing::default(), not_kept: 0 }
    }
}

/// What taking an object did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is as it was.
    Same,
    /// It is new, or another state of it; `Some` holds its metadata before.
    Changed(Option<Meta>),
    /// It was not kept: it has no UID, or there is no room.
    NotKept,
}

impl<T: Object> Table<T> {
    /// An object by its UID.
    pub fn get(&self, uid: &str) -> Option<&T> {
        self.objects.get(uid)
    }

    /// Every object, in order of UID.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.objects.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Takes an object's newest state.
    pub(super) fn put(&mut self, object: T) -> Put {
        let uid = object.meta().uid.clone();
        if uid.is_empty() {
            return Put::NotKept;
        }
        self.listing.see(&uid);
        let full = self.objects.len() >= MAX_OBJECTS;
        match self.objects.get_mut(&uid) {
            Some(old) if *old == object => Put::Same,
            Some(old) => {
                let before = std::mem::replace(old, object);
                Put::Changed(Some(before.meta().clone()))
            }
            None if full => {
                self.not_kept += 1;
                Put::NotKept
            }
            None => {
                self.objects.insert(uid, object);
                Put::Changed(None)
            }
        }
    }

    /// An object by its UID, to note something of it that no listing says.
    pub(super) fn get_mut(&mut self, uid: &str) -> Option<&mut T> {
        self.objects.get_mut(uid)
    }

    /// The same of every object.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.objects.values_mut()
    }

    /// An object no longer exists; what it was, if it was here.
    pub(super) fn gone(&mut self, uid: &str) -> Option<T> {
        self.listing.forget(uid);
        self.objects.remove(uid)
    }
}

/// What the inventory does to the table of a kind without knowing the kind.
pub(super) trait Listed {
    /// A full listing begins.
    fn begin(&mut self);
    /// It ends: what it did not show is gone. False when its begin was never seen: nothing is concluded then.
    fn end(&mut self) -> bool;
    /// Another agent leads: nothing counts as listed until it has listed.
    fn forget_listing(&mut self);
    /// Has a listing ended, and none begun since?
    fn is_listed(&self) -> bool;
    /// Objects that were not kept since the last listing began.
    fn not_kept(&self) -> u64;
    /// Who its objects are, and who owns them.
    fn metas(&self) -> Box<dyn Iterator<Item = &Meta> + '_>;
}

impl<T: Object> Listed for Table<T> {
    fn metas(&self) -> Box<dyn Iterator<Item = &Meta> + '_> {
        Box::new(self.objects.values().map(Object::meta))
    }

    fn begin(&mut self) {
        self.listing.begin();
        self.not_kept = 0;
    }

    fn end(&mut self) -> bool {
        let Some(seen) = self.listing.end() else { return false };
        self.objects.retain(|uid, _| seen.contains(uid));
        true
    }

    fn forget_listing(&mut self) {
        self.listing = Listing::default();
        self.not_kept = 0;
    }

    fn is_listed(&self) -> bool {
        self.listing.complete
    }

    fn not_kept(&self) -> u64 {
        self.not_kept
    }
}
