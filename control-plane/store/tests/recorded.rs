//! Opens a database that an earlier build wrote, and reads everything in it.
//!
//! `recorded/schema-N.db` is the database of a control plane that watched three files, put one back, accepted another
//! and asked about the third. It is never written again: a new schema brings its own record beside it.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else")]

use std::fs;
use std::path::Path;

use nimbus_control_core::model::{ActionKind, Agent, Approval, Incident, Job, JobState, Plan};
use nimbus_control_core::model::{IncidentKind, IncidentState, JoinTokenRecord};
use nimbus_store::{Filter, Store};

#[tokio::test]
async fn a_database_of_schema_2_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nimbus.db");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/schema-2.db"), &path).unwrap();
    let store = Store::open(&format!("sqlite:{}", path.display()).parse().unwrap()).await.unwrap();

    let verified = store.verify_audit().await.unwrap().unwrap();
    assert_eq!(verified.rows, 27);
    assert_eq!(store.all::<Agent>().await.unwrap().len(), 1);
    assert_eq!(store.all::<JoinTokenRecord>().await.unwrap().len(), 1);
    let open = store.open_incidents().await.unwrap();
    let [open] = &open[..] else { panic!("expected one open incident, found {}", open.len()) };
    assert_eq!((open.doc.kind, open.doc.state), (IncidentKind::FileDrift, IncidentState::WaitingApproval));
    assert_eq!(store.list::<Incident>(&Filter::default()).await.unwrap().items.len(), 3);
    assert_eq!(store.list::<Approval>(&Filter::default()).await.unwrap().items.len(), 3);

    let plans = store.list::<Plan>(&Filter::default()).await.unwrap().items;
    assert_eq!(plans.len(), 4);
    for plan in plans {
        assert!(plan.doc.action.body().is_some(), "an action that is known");
        assert_eq!(plan.doc.digest, plan.doc.computed_digest(), "what was approved is what is read");
    }
    let jobs = store.list::<Job>(&Filter::default()).await.unwrap().items;
    let mut actions: Vec<_> = jobs.iter().map(|job| (job.doc.action, job.doc.state)).collect();
    actions.sort_by_key(|(action, _)| action.to_string());
    assert_eq!(
        actions,
        [(ActionKind::AcceptBaseline, JobState::Succeeded), (ActionKind::RestoreFile, JobState::Succeeded)]
    );
    assert!(!store.read_log(0, 100).await.unwrap().is_empty());
    store.load_snapshot().await.unwrap().unwrap();
    // No row of it had a checksum. It gets one, and nothing of it counts as damaged, now or at the next check.
    assert_eq!(store.check_rows().await.unwrap(), Vec::<String>::new());
    assert_eq!(store.check_rows().await.unwrap(), Vec::<String>::new());
    assert!(!store.high_water_marks().await.unwrap().is_empty());
    store.close().await;
}
