//! A whole baseline in memory, for the tests.

use std::collections::BTreeMap;

use nimbus_agent_core::observe::file::Entry;

use super::{BaselineError, Baselines, Head, Item, Part};

/// A root's baseline.
#[derive(Debug, Default, PartialEq)]
pub struct Whole {
    /// By the path relative to the root, what it should be.
    pub entries: BTreeMap<Box<str>, Entry>,
    /// By the path relative to the root, what was its baseline before a person accepted the present one.
    pub earlier: BTreeMap<Box<str>, Entry>,
    /// The rest.
    pub head: Head,
}

impl Whole {
    /// Reads it.
    pub fn load(store: &Baselines, root: &str) -> Result<Option<Self>, BaselineError> {
        let mut whole = Self::default();
        let mut take = |part, path, entry| {
            match part {
                Part::Baseline => &mut whole.entries,
                Part::Earlier => &mut whole.earlier,
            }
            .insert(path, entry);
        };
        let Some(loaded) = store.load(root, &mut take)? else { return Ok(None) };
        whole.head = loaded.head;
        Ok(Some(whole))
    }

    /// Stores it.
    pub fn save(&self, store: &Baselines, root: &str) {
        store.save(root, &self.head, self.items()).unwrap();
        store.save_reported(root, self.head.reported.clone()).unwrap();
    }

    /// Stores it as an older agent did.
    pub fn save_as_an_older_agent(&self, store: &Baselines, root: &str) {
        store.save_as_an_older_agent(root, &self.head, self.items());
    }

    fn items(&self) -> impl Iterator<Item = Item<'_>> {
        let entries = self.entries.iter().map(|(path, entry)| (Part::Baseline, &**path, entry));
        entries.chain(self.earlier.iter().map(|(path, entry)| (Part::Earlier, &**path, entry)))
    }
}
