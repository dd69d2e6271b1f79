//! Stories (shared tests) about documents and change sets.

use nimbus_control_core::model::{
    Agent, AnyDocument, Approval, ApprovalState, ChangeSet, Cluster, Incident, IncidentState,
    JoinTokenRecord, Mode, Plan, RevisionHistory, Versioned,
};

use super::open;
use super::things::{
    agent, agent_id, approval, at, audit, batch, history, incident, incident_id, plan, resolved, token,
};
use crate::{AuditFilter, Filter, Store, StoreError, StoreUrl};

async fn put(store: &Store, incidents: Vec<Versioned<Incident>>) -> Result<(), StoreError> {
    store.commit(&ChangeSet { incidents, ..ChangeSet::default() }).await.map(|_| ())
}

async fn read(store: &Store, n: u32) -> Versioned<Incident> {
    store.get::<Incident>(incident_id(n)).await.unwrap().expect("the incident is stored")
}

/// A change set over a version that has changed since writes nothing at all: no document, no audit row, no cursor.
pub async fn a_conflict_leaves_nothing_behind(url: &StoreUrl) {
    let store = open(url).await;
    put(&store, vec![Versioned::new(incident(1, "crash/a"))]).await.unwrap();
    let stale = read(&store, 1).await;
    assert_eq!((stale.version, &stale.doc), (1, &incident(1, "crash/a")));

    let mut fresh = stale.clone();
    fresh.doc.note(at(9), "another writer was first");
    put(&store, vec![fresh]).await.unwrap();

    let changes = ChangeSet {
        agents: vec![Versioned::new(agent(1))],
        incidents: vec![Versioned::new(incident(2, "crash/b")), stale],
        plans: vec![Versioned::new(plan(1, 1))],
        audit: vec![audit("plan.made", "pln_1")],
        cursors: vec![("ingest".to_owned(), 7)],
        ..ChangeSet::default()
    };
    let error = store.commit(&changes).await.unwrap_err();
    let StoreError::Conflict { table: "incidents", id, .. } = &error else {
        panic!("expected a conflict on the stale incident, found {error}");
    };
    assert_eq!(*id, incident_id(1).to_string());
    assert_eq!(read(&store, 1).await.version, 2);
    assert_eq!(store.all::<Incident>().await.unwrap().len(), 1);
    assert!(store.all::<Agent>().await.unwrap().is_empty());
    assert!(store.many::<Plan>([plan(1, 1).id]).await.unwrap().is_empty());
    assert_eq!(store.audit_head().await.unwrap().seq, 0);
    assert_eq!(store.cursor("ingest").await.unwrap(), 0);

    let again = put(&store, vec![Versioned::new(incident(1, "crash/other"))]).await.unwrap_err();
    assert!(again.is_conflict(), "a new document over a stored one: {again}");
    let gone = Versioned { version: 4, doc: incident(77, "crash/gone") };
    assert!(put(&store, vec![gone]).await.unwrap_err().is_conflict(), "a change of what is not there");

    let good = ChangeSet { incidents: vec![Versioned::new(incident(2, "crash/b"))], ..changes };
    let head = store.commit(&good).await.unwrap().audit_head.expect("there was an audit row");
    assert_eq!(head, store.audit_head().await.unwrap());
    assert_eq!((head.seq, store.cursor("ingest").await.unwrap()), (1, 7));
    assert_eq!(store.many::<Plan>([plan(1, 1).id]).await.unwrap()[0].doc, plan(1, 1));
    store.close().await;
}

/// The database itself holds that a cause has one incident that is not resolved.
pub async fn one_open_incident_for_one_cause(url: &StoreUrl) {
    let store = open(url).await;
    put(&store, vec![Versioned::new(incident(1, "crash/a"))]).await.unwrap();
    let second = put(&store, vec![Versioned::new(incident(2, "crash/a"))]).await.unwrap_err();
    assert!(second.is_conflict(), "{second}");

    let mut first = read(&store, 1).await;
    first.doc = resolved(1, "crash/a", 50);
    put(&store, vec![first]).await.unwrap();
    put(&store, vec![Versioned::new(incident(2, "crash/a"))]).await.unwrap();
    let open_ones = store.open_incidents().await.unwrap();
    assert_eq!(open_ones.iter().map(|i| i.doc.id).collect::<Vec<_>>(), [incident_id(2)]);

    let mut reopened = read(&store, 1).await;
    reopened.doc.state = IncidentState::Open;
    let error = put(&store, vec![reopened]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Conflict { table: "incidents", .. }), "{error}");
    assert_eq!(
        store.counts::<Incident>().await.unwrap(),
        [("open".to_owned(), 1), ("resolved".to_owned(), 1)]
    );
    store.close().await;
}

/// Of many that present the same join token at once, one becomes an agent.
pub async fn a_token_is_used_once(url: &StoreUrl) {
    let stores = [open(url).await, open(url).await];
    let made = ChangeSet { tokens: vec![Versioned::new(token(1))], ..ChangeSet::default() };
    stores[0].commit(&made).await.unwrap();
    let seen = stores[0].get::<JoinTokenRecord>(token(1).id).await.unwrap().unwrap();

    let mut enrolling = Vec::new();
    for n in 1..=8_u32 {
        let (store, mut used) = (stores[n as usize % 2].clone(), seen.clone());
        used.doc.used_at = Some(at(10));
        used.doc.used_by = Some(agent_id(n));
        enrolling.push(tokio::spawn(async move {
            let changes = ChangeSet {
                agents: vec![Versioned::new(agent(n))],
                tokens: vec![used],
                audit: vec![audit("agent.enrolled", &agent_id(n).to_string())],
                ..ChangeSet::default()
            };
            store.commit(&changes).await.map(|_| agent_id(n))
        }));
    }
    let mut winners = Vec::new();
    for one in enrolling {
        match one.await.unwrap() {
            Ok(winner) => winners.push(winner),
            Err(error) => assert!(matches!(error, StoreError::Conflict { table: "tokens", .. }), "{error}"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    let used = stores[1].get::<JoinTokenRecord>(token(1).id).await.unwrap().unwrap().doc;
    assert_eq!(used.used_by.as_ref(), winners.first());
    let agents = stores[0].all::<Agent>().await.unwrap();
    assert_eq!(agents.iter().map(|a| &a.doc.id).collect::<Vec<_>>(), [&winners[0]]);
    assert_eq!(stores[0].audit_head().await.unwrap().seq, 1);
    for store in stores {
        store.close().await;
    }
}

/// Pages meet without a gap and without an overlap, also where many documents were made at the same moment and
/// while others are added.
pub async fn lists_page_over_equal_times(url: &StoreUrl) {
    let store = open(url).await;
    let mut all: Vec<Incident> = (1..=23_u32)
        .map(|n| Incident { created_at: at(i64::from(n / 10)), ..incident(n, &format!("crash/{n}")) })
        .collect();
    all[4].state = IncidentState::Escalated;
    all[11].cluster = "edge".into();
    // Written in another order than they are listed.
    put(&store, all.iter().rev().cloned().map(Versioned::new).collect()).await.unwrap();

    for newest_first in [false, true] {
        let mut filter = Filter { limit: 4, newest_first, ..Filter::default() };
        let mut listed = Vec::new();
        loop {
            let page = store.list::<Incident>(&filter).await.unwrap();
            assert!(page.items.len() <= 4);
            listed.extend(page.items.into_iter().map(|item| item.doc));
            let Some(next) = page.next else { break };
            filter.after = Some(next);
        }
        let mut expected = all.clone();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(listed, expected);
    }

    let first = store.list::<Incident>(&Filter { limit: 20, ..Filter::default() }).await.unwrap();
    let late = Incident { created_at: at(0), ..incident(40, "crash/late") };
    put(&store, vec![Versioned::new(late)]).await.unwrap();
    let rest = store.list::<Incident>(&Filter { after: first.next, ..Filter::default() }).await.unwrap();
    assert_eq!(
        rest.items.iter().map(|item| &item.doc).collect::<Vec<_>>(),
        all[20..].iter().collect::<Vec<_>>()
    );
    assert_eq!(rest.next, None);

    let found = |filter: Filter| {
        let store = store.clone();
        async move { store.list::<Incident>(&filter).await.unwrap().items.len() }
    };
    assert_eq!(found(Filter { states: vec!["escalated".to_owned()], ..Filter::default() }).await, 1);
    let all = vec!["escalated".to_owned(), "open".to_owned()];
    assert_eq!(found(Filter { states: all, ..Filter::default() }).await, 24);
    assert_eq!(found(Filter { not_state: Some("escalated".to_owned()), ..Filter::default() }).await, 23);
    assert_eq!(found(Filter { cluster: Some("edge".to_owned()), ..Filter::default() }).await, 1);
    assert_eq!(found(Filter { key: Some("crash/7".to_owned()), ..Filter::default() }).await, 1);
    assert_eq!(found(Filter { key: Some("crash/' OR '1'='1".to_owned()), ..Filter::default() }).await, 0);
    let bad =
        store.list::<Incident>(&Filter { after: Some("yesterday".to_owned()), ..Filter::default() }).await;
    assert!(matches!(bad, Err(StoreError::Invalid { .. })));
    store.close().await;
}

/// Texts that one of the databases would not take, or not index, are kept all the same.
pub async fn odd_texts_survive(url: &StoreUrl) {
    let store = open(url).await;
    let path = format!("/srv/{}", "long/".repeat(800));
    let mut odd = incident(1, &format!("file/agt/{path}"));
    odd.cluster = "zero\0byte".into();
    odd.reason = "a \0 in the middle, \u{1f980}, 'quoted', \"twice\", back\\slash".into();
    let mut row = audit("file.\0drift", &path);
    row.detail.clone_from(&odd.reason);
    let changes =
        ChangeSet { incidents: vec![Versioned::new(odd.clone())], audit: vec![row], ..ChangeSet::default() };
    store.commit(&changes).await.unwrap();
    assert_eq!(read(&store, 1).await.doc, odd, "the document is kept to the letter");
    let by_key = Filter { key: Some(odd.key.clone()), ..Filter::default() };
    assert_eq!(store.list::<Incident>(&by_key).await.unwrap().items.len(), 1);
    let twin = Incident { id: incident_id(2), ..odd };
    assert!(
        put(&store, vec![Versioned::new(twin)]).await.unwrap_err().is_conflict(),
        "a long key is unique too"
    );
    assert_eq!(store.verify_audit().await.unwrap().unwrap().rows, 1);
    store.append(&[batch(1, 1, 1)]).await.unwrap();
    store.close().await;
}

/// An id with a NUL character, which PostgreSQL cannot keep, is refused for good and by both: nothing of its change set
/// is written, and looking for it finds nothing rather than fails.
pub async fn an_id_that_cannot_be_kept_is_refused(url: &StoreUrl) {
    let store = open(url).await;
    let cluster = |uid: &str| {
        let (uid, name) = (uid.to_owned(), "prod".to_owned());
        Versioned::new(Cluster {
            uid,
            name,
            created_at: at(0),
            mode: Mode::Observe,
            enabled: Vec::new(),
            identity: None,
        })
    };
    let changes = ChangeSet {
        clusters: vec![cluster("uid-1"), cluster("uid\0-2")],
        audit: vec![audit("cluster.added", "uid\0-2")],
        cursors: vec![("ingest".to_owned(), 7)],
        ..ChangeSet::default()
    };
    let error = store.commit(&changes).await.unwrap_err();
    assert!(matches!(&error, StoreError::Invalid { .. }) && !error.is_transient(), "{error}");
    assert!(error.to_string().contains("clusters") && error.to_string().contains("uid\\0-2"), "{error}");
    assert!(store.all::<Cluster>().await.unwrap().is_empty());
    assert_eq!((store.audit_head().await.unwrap().seq, store.cursor("ingest").await.unwrap()), (0, 0));

    store.commit(&ChangeSet { clusters: vec![cluster("uid-1")], ..changes }).await.unwrap();
    assert_eq!(store.get::<Cluster>("uid\0-1").await.unwrap(), None);
    assert_eq!(store.many::<Cluster>(["uid\0-1", "uid-1"]).await.unwrap().len(), 1);
    let named = |cluster: &str| Filter { cluster: Some(cluster.to_owned()), ..Filter::default() };
    assert!(store.list::<Cluster>(&named("pr\0d")).await.unwrap().items.is_empty());
    assert_eq!(store.list::<Cluster>(&named("prod")).await.unwrap().items.len(), 1);
    let after = Filter { after: Some("1.\0".to_owned()), ..Filter::default() };
    assert!(matches!(store.list::<Cluster>(&after).await, Err(StoreError::Invalid { .. })));
    let by =
        AuditFilter { actor: Some("\0".to_owned()), action: Some("\0".to_owned()), ..AuditFilter::default() };
    assert!(store.audit(&by).await.unwrap().rows.is_empty());
    store.close().await;
}

/// What was asked and answered long ago for an incident that is still open does not pile up in front of a decision.
pub async fn answered_approvals_are_not_read_again(url: &StoreUrl) {
    let store = open(url).await;
    let in_state = |n: u32, of: u32, state: ApprovalState| Approval { state, ..approval(n, of) };
    let all = [
        in_state(1, 1, ApprovalState::Expired),
        in_state(2, 1, ApprovalState::Denied),
        in_state(3, 1, ApprovalState::Approved),
        in_state(4, 1, ApprovalState::Pending),
        in_state(5, 2, ApprovalState::Pending),
        in_state(6, 3, ApprovalState::Pending),
    ];
    let approvals = all.iter().cloned().map(Versioned::new).collect();
    store.commit(&ChangeSet { approvals, ..ChangeSet::default() }).await.unwrap();
    let open_ones = store.open_approvals_of(&[1, 2].map(incident_id)).await.unwrap();
    assert_eq!(open_ones.into_iter().map(|a| a.doc).collect::<Vec<_>>(), all[2..5]);
    assert!(store.open_approvals_of(&[]).await.unwrap().is_empty());
    store.close().await;
}

/// A document of a table that a change set has no list for is written like any other: over the version that was read, and
/// together with everything else.
pub async fn a_document_without_a_list_of_its_own_is_kept(url: &StoreUrl) {
    let store = open(url).await;
    let erased =
        |version: i64, history: &RevisionHistory| Versioned { version, doc: AnyDocument::of(history) };
    let put = |documents| {
        let store = store.clone();
        async move { store.commit(&ChangeSet { documents, ..ChangeSet::default() }).await }
    };
    let mut web = history("web");
    put(vec![erased(0, &web), erased(0, &history("db"))]).await.unwrap();
    web.present(8, "beef", at(9));
    put(vec![erased(1, &web)]).await.unwrap();
    let stale = put(vec![erased(1, &web)]).await.unwrap_err();
    assert!(matches!(&stale, StoreError::Conflict { table: "revision_histories", .. }), "{stale}");
    let read = store.get::<RevisionHistory>("uid-1/web").await.unwrap().unwrap();
    assert_eq!((read.version, &read.doc), (2, &web));
    assert_eq!(store.all::<RevisionHistory>().await.unwrap().len(), 2);

    let unwritable = AnyDocument { json: Err("no JSON for it".to_owned()), ..AnyDocument::of(&history("x")) };
    let refused = put(vec![Versioned::new(unwritable)]).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Invalid { .. }), "{refused}");
    assert_eq!(store.get::<RevisionHistory>("uid-1/x").await.unwrap(), None);
    store.close().await;
}
