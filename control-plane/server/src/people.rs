//! The access tokens that can be used, in memory: who asks is known without a word to the database, so that nobody outside can make
//! work for it, and also while it is away.
//!
//! They are read with the first that is shown, and anew after one was made. Only the control plane that leads serves requests, and only
//! its own endpoints write tokens; one that is revoked is dropped here before the answer.

use std::collections::BTreeMap;

use jiff::Timestamp;
use nimbus_control_core::model::{AccessToken, Document as _, Word};
use nimbus_store::{Filter, MAX_PAGE, Store, StoreError};
use tokio::sync::RwLock;

/// Those that are not revoked, by their ids; `None` until they were read.
#[derive(Debug, Default)]
pub struct People(RwLock<Option<BTreeMap<String, AccessToken>>>);

impl People {
    /// The one of this id that is not revoked.
    pub async fn find(&self, store: &Store, id: &str) -> Result<Option<AccessToken>, StoreError> {
        self.look(store, |all| all.get(id).cloned()).await
    }

    /// A word of everybody whose token can be used now.
    pub async fn words(&self, store: &Store, now: Timestamp) -> Result<Vec<Word>, StoreError> {
        let word = |token: &AccessToken| Word {
            by: token.name.clone(),
            groups: token.groups.clone(),
            at: now,
            reason: String::new(),
        };
        let usable = |token: &&AccessToken| token.expires_at > now;
        self.look(store, |all| all.values().filter(usable).map(word).collect()).await
    }

    /// What is to be seen in all of them, which are read where they were not yet.
    async fn look<T>(
        &self,
        store: &Store,
        see: impl FnOnce(&BTreeMap<String, AccessToken>) -> T,
    ) -> Result<T, StoreError> {
        if let Some(all) = &*self.0.read().await {
            return Ok(see(all));
        }
        let mut kept = self.0.write().await;
        let all = match kept.take() {
            Some(all) => all,
            None => read(store).await?,
        };
        Ok(see(kept.insert(all)))
    }

    /// One that was revoked.
    pub async fn drop_token(&self, id: &str) {
        if let Some(all) = &mut *self.0.write().await {
            all.remove(id);
        }
    }

    /// One was made; or a write failed, and may have been stored all the same. They are read anew, with the next that is shown where
    /// the database does not answer now.
    pub async fn read_anew(&self, store: &Store) {
        let mut kept = self.0.write().await;
        *kept = read(store).await.ok();
    }
}

async fn read(store: &Store) -> Result<BTreeMap<String, AccessToken>, StoreError> {
    let states = vec!["active".to_owned()];
    let mut filter = Filter { states, limit: MAX_PAGE, ..Filter::default() };
    let mut all = BTreeMap::new();
    loop {
        let page = store.list::<AccessToken>(&filter).await?;
        all.extend(page.items.into_iter().map(|token| (token.doc.id(), token.doc)));
        if page.next.is_none() {
            return Ok(all);
        }
        filter.after = page.next;
    }
}
