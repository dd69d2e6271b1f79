//! Stores the revision histories, the one part of the world that no listing can rebuild.
//!
//! They are documents of their own, written before a snapshot of the world lets the observations go from which they were
//! made.

use std::collections::HashMap;

use nimbus_control_core::World;
use nimbus_control_core::model::{AnyDocument, ChangeSet, Document as _, RevisionHistory, Versioned};
use nimbus_store::{Filter, MAX_PAGE, Store, StoreError};

/// The stored versions of the histories, by their documents' ids.
#[derive(Debug, Default)]
pub struct Histories {
    versions: HashMap<String, i64>,
}

impl Histories {
    /// Puts the stored histories of workloads that were not gone back into the world.
    pub async fn restore(store: &Store, world: &mut World) -> Result<Self, StoreError> {
        let mut histories = Self::default();
        let mut filter = Filter { states: vec!["kept".to_owned()], limit: MAX_PAGE, ..Filter::default() };
        loop {
            let page = store.list::<RevisionHistory>(&filter).await?;
            for Versioned { version, doc } in page.items {
                histories.versions.insert(doc.id(), version);
                world.restore_histories([doc]);
            }
            let Some(next) = page.next else { return Ok(histories) };
            filter.after = Some(next);
        }
    }

    /// Stores what changed.
    pub async fn store(&mut self, store: &Store, changed: &[RevisionHistory]) -> Result<(), StoreError> {
        match self.write(store, changed).await {
            // One of them was forgotten here and not there, or the other way round: one of a workload that was gone.
            Err(error) if error.is_conflict() => {
                self.reread(store, changed).await?;
                self.write(store, changed).await
            }
            written => written,
        }
    }

    async fn write(&mut self, store: &Store, changed: &[RevisionHistory]) -> Result<(), StoreError> {
        let documents: Vec<Versioned<AnyDocument>> =
            changed.iter().map(|history| self.versioned(history)).collect();
        store.commit(&ChangeSet { documents, ..ChangeSet::default() }).await?;
        for history in changed {
            let id = history.id();
            if history.gone_at.is_some() {
                self.versions.remove(&id);
            } else {
                *self.versions.entry(id).or_default() += 1;
            }
        }
        Ok(())
    }

    fn versioned(&self, history: &RevisionHistory) -> Versioned<AnyDocument> {
        let doc = AnyDocument::of(history);
        Versioned { version: self.versions.get(&doc.id).copied().unwrap_or(0), doc }
    }

    async fn reread(&mut self, store: &Store, changed: &[RevisionHistory]) -> Result<(), StoreError> {
        let ids: Vec<String> = changed.iter().map(RevisionHistory::id).collect();
        for id in &ids {
            self.versions.remove(id);
        }
        for Versioned { version, doc } in store.many::<RevisionHistory>(&ids).await? {
            self.versions.insert(doc.id(), version);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use nimbus_store::StoreUrl;

    use super::*;

    fn history(workload: &str, revision: u64) -> RevisionHistory {
        let mut history = RevisionHistory::new("u1", workload, Timestamp::UNIX_EPOCH);
        history.present(revision, &format!("hash-{revision}"), Timestamp::UNIX_EPOCH);
        history
    }

    #[tokio::test]
    async fn histories_come_back_and_one_of_a_workload_that_was_gone_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&StoreUrl::sqlite(dir.path().join("nimbus.db"))).await.unwrap();
        let mut histories = Histories::default();
        histories.store(&store, &[history("web", 1), history("db", 1)]).await.unwrap();
        histories.store(&store, &[history("web", 2)]).await.unwrap();
        let gone = RevisionHistory { gone_at: Some(Timestamp::UNIX_EPOCH), ..history("db", 1) };
        histories.store(&store, &[gone]).await.unwrap();

        let mut world = World::default();
        let mut restarted = Histories::restore(&store, &mut world).await.unwrap();
        let knows = |world: &World, workload: &str, hash: &str| {
            world.clusters["u1"].histories.get(workload).is_some_and(|history| history.of(hash).is_some())
        };
        assert!(knows(&world, "web", "hash-2") && !knows(&world, "db", "hash-1"));
        // Its document is there, in a version that nobody remembers.
        restarted.store(&store, &[history("db", 9), history("web", 3)]).await.unwrap();
        let mut world = World::default();
        Histories::restore(&store, &mut world).await.unwrap();
        assert!(knows(&world, "db", "hash-9") && knows(&world, "web", "hash-3"));
        store.close().await;
    }
}
