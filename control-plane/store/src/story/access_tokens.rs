//! The story (shared test) of access tokens: a name is one person's.

use nimbus_control_core::model::{AccessToken, AnyDocument, ChangeSet, Versioned};

use super::open;
use super::things::{at, id};
use crate::{StoreError, StoreUrl};

fn token(n: u32, name: &str) -> AccessToken {
    AccessToken {
        id: id("acc", n),
        name: name.to_owned(),
        groups: vec!["oncall".to_owned()],
        secret_sha256: "ab".repeat(32),
        created_at: at(i64::from(n)),
        created_by: "operator".to_owned(),
        expires_at: at(1_000),
        revoked_at: None,
    }
}

fn written(version: i64, token: &AccessToken) -> ChangeSet {
    let documents = vec![Versioned { version, doc: AnyDocument::of(token) }];
    ChangeSet { documents, ..ChangeSet::default() }
}

/// Of two tokens of one name that are not revoked the second is refused, also where both were made at once; a revoked one leaves its name.
pub async fn a_name_has_one_access_token(url: &StoreUrl) {
    let store = open(url).await;
    store.commit(&written(0, &token(1, "ann"))).await.unwrap();
    let second = store.commit(&written(0, &token(2, "ann"))).await.unwrap_err();
    assert!(matches!(second, StoreError::Conflict { .. }), "{second}");
    store.commit(&written(0, &token(3, "bob"))).await.unwrap();

    let revoked = AccessToken { revoked_at: Some(at(5)), ..token(1, "ann") };
    let changes = ChangeSet {
        documents: vec![
            Versioned { version: 1, doc: AnyDocument::of(&revoked) },
            Versioned::new(AnyDocument::of(&token(2, "ann"))),
        ],
        ..ChangeSet::default()
    };
    store.commit(&changes).await.unwrap();
    let kept: Versioned<AccessToken> = store.get(token(2, "ann").id).await.unwrap().unwrap();
    assert_eq!((kept.version, kept.doc), (1, token(2, "ann")));
    assert_eq!(store.all::<AccessToken>().await.unwrap().len(), 3);
    store.close().await;
}
