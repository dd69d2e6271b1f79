//! A disk that gives back other bits than it was given: either everything reads as it was written, or that is said.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

use std::collections::HashMap;
use std::path::Path;

use nimbus_control_core::model::{
    Agent, AgentKind, AuditDraft, AuditRow, ChangeSet, Incident, IncidentKind, ObjectRef, Scope, Versioned,
};
use nimbus_protocol::ids::AgentId;
use nimbus_store::{LogBatch, NewBatch, Store, StoreError, StoreUrl};
use sqlx::Connection as _;

const MANY: u32 = 60;
/// Flipped bits, each in a copy of its own. The places follow from a fixed start.
const FLIPS: u64 = 250;

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn incident(n: u32) -> Incident {
    let id = format!("inc_{n:032x}").parse().unwrap();
    let agent = format!("agt_{:032x}", 1).parse().unwrap();
    let object = ObjectRef::File { path: format!("/srv/etc/{n}.conf") };
    let mut found =
        Incident::found(id, format!("file/{n}"), IncidentKind::FileDrift, Scope::Host(agent), object, at(0));
    found.note(at(1), "a sentence of its history that takes some room on its page");
    found
}

/// Observations of an agent of its own.
fn batch(n: u32) -> NewBatch {
    NewBatch {
        agent: format!("agt_{n:032x}").parse().unwrap(),
        first: 1,
        last: u64::from(n) * 1_000,
        count: 5,
        received_at: at(n.into()),
        payload: vec![u8::try_from(n).unwrap(); 200],
    }
}

async fn filled(path: &Path) {
    let store = Store::open(&StoreUrl::sqlite(path)).await.unwrap();
    store.next_epoch().await.unwrap();
    let agent = Agent::new(format!("agt_{:032x}", 1).parse().unwrap(), AgentKind::Host, at(0));
    let row = |n: u32| AuditDraft {
        at: at(n.into()),
        actor: "nimbus".into(),
        action: "incident.opened".into(),
        subject: format!("inc_{n}"),
        cluster: "edge".into(),
        detail: "a file was changed".into(),
    };
    let changes = ChangeSet {
        agents: vec![Versioned::new(agent)],
        incidents: (0..MANY).map(|n| Versioned::new(incident(n))).collect(),
        audit: (0..MANY).map(row).collect(),
        ..ChangeSet::default()
    };
    store.commit(&changes).await.unwrap();
    store.save_snapshot(1, &[7; 3_000]).await.unwrap();
    store.append(&(1..=MANY).map(batch).collect::<Vec<_>>()).await.unwrap();
    let cursors = vec![("ingest".to_owned(), 41), ("another".to_owned(), 1)];
    store.commit(&ChangeSet { cursors, ..ChangeSet::default() }).await.unwrap();
    store.meta_set("instance", "what tells this one from every other").await.unwrap();
    store.close().await;
}

/// Everything that decisions read, in order.
type Read = (Documents, Small, Vec<LogBatch>);
type Documents = (Vec<Versioned<Incident>>, Vec<Versioned<Agent>>, Vec<AuditRow>, Option<(i64, Vec<u8>)>);
type Small = (HashMap<AgentId, u64>, i64, i64, Option<String>);

async fn read(store: &Store) -> Result<Read, StoreError> {
    let documents = (
        store.open_incidents().await?,
        store.all::<Agent>().await?,
        store.audit_rows(1, 500).await?,
        store.load_snapshot().await?,
    );
    let small = (
        store.high_water_marks().await?,
        store.cursor("ingest").await?,
        store.cursor("another").await?,
        store.meta_get("instance").await?,
    );
    let mut log = store.read_log(0, 500).await?;
    // The database gives it out: it is in no checksum, and its order is what is checked.
    for row in &mut log {
        row.position = 0;
    }
    Ok((documents, small, log))
}

/// What the check says; `None` when it finds nothing.
async fn found(path: &Path) -> Option<String> {
    let store = match Store::open(&StoreUrl::sqlite(path)).await {
        Ok(store) => store,
        Err(error) => return Some(error.to_string()),
    };
    let checked = async {
        let mut damage = store.check_structure().await?;
        damage.extend(store.check_rows().await?);
        if let Err(broken) = store.verify_audit().await? {
            damage.push(broken.to_string());
        }
        Ok::<_, StoreError>(damage)
    };
    let said = match checked.await {
        Ok(damage) => (!damage.is_empty()).then(|| damage.join("; ")),
        Err(error) => Some(error.to_string()),
    };
    store.close().await;
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_any_flipped_bit_everything_reads_as_it_was_written_or_the_damage_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.db");
    filled(&whole).await;
    assert_eq!(found(&whole).await, None, "nothing is damaged yet");
    let store = Store::open(&StoreUrl::sqlite(&whole)).await.unwrap();
    let written = read(&store).await.unwrap();
    store.close().await;
    let bytes = std::fs::read(&whole).unwrap();
    let (mut place, mut hits) = (0x9e37_79b9_7f4a_7c15_u64, 0);
    for n in 0..FLIPS {
        // A fixed sequence that visits all of the file.
        place = place.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (place >> 16) % (bytes.len() as u64 * 8);
        let mut damaged = bytes.clone();
        damaged[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
        let path = dir.path().join(format!("{n}.db"));
        std::fs::write(&path, damaged).unwrap();
        if found(&path).await.is_some() {
            hits += 1;
            continue;
        }
        let store = Store::open(&StoreUrl::sqlite(&path)).await.unwrap();
        let now = read(&store).await.unwrap();
        assert_eq!(now, written, "bit {bit} changed what is read, and nobody says so");
        store.close().await;
    }
    assert!(hits > FLIPS / 10, "{hits} of {FLIPS} flips were found: too few for the test to mean anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_character_in_a_document_or_in_its_columns_is_refused_when_it_is_read() {
    for change in
        ["doc = replace(doc, '/srv/etc/7.conf', '/srv/etc/6.conf')", "state = 'escalated'", "version = 3"]
    {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nimbus.db");
        filled(&path).await;
        let mut raw = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        let sql = format!("UPDATE incidents SET {change} WHERE key = 'file/7'");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut raw).await.unwrap();
        raw.close().await.unwrap();
        let store = Store::open(&StoreUrl::sqlite(&path)).await.unwrap();
        let error = store.open_incidents().await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{change}: {error}");
        let damage = store.check_rows().await.unwrap();
        assert!(damage.len() == 1 && damage[0].contains(&incident(7).id.to_string()), "{change}: {damage:?}");
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_of_a_build_without_checksums_is_read_and_gets_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nimbus.db");
    filled(&path).await;
    let url = format!("sqlite://{}", path.display());
    let mut raw = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query("UPDATE incidents SET sum = NULL").execute(&mut raw).await.unwrap();
    let store = Store::open(&StoreUrl::sqlite(&path)).await.unwrap();
    assert_eq!(store.open_incidents().await.unwrap().len(), MANY as usize);
    assert_eq!(store.check_rows().await.unwrap(), Vec::<String>::new());
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM incidents WHERE sum IS NULL")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    assert_eq!(left, 0);
    assert_eq!(store.check_rows().await.unwrap(), Vec::<String>::new());
    store.close().await;
}

/// The checksum of the mark of agent 7, as its row ends. It holds for good: a database in the field has it.
const MARK_SUM: [u8; 4] = [0x22, 0x4b, 0x34, 0xed];

/// Flips one bit of the last place in the file that holds `bytes`: earlier ones may be in pages' free room.
fn flip(path: &Path, bytes: &[u8], at: usize) {
    let mut file = std::fs::read(path).unwrap();
    let place = file.windows(bytes.len()).rposition(|piece| piece == bytes).unwrap();
    file[place + at] ^= 1 << 6;
    std::fs::write(path, file).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bit_in_a_mark_a_cursor_the_epoch_a_named_value_or_an_observation_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.db");
    filled(&whole).await;
    // As SQLite writes a row: its columns one after the other, whole numbers as short as they are. A mark's `since` is 1,
    // which takes no byte, and its mark is 7,000; the same stands in the log, followed by the five observations there.
    let mark = [b"agt_00000000000000000000000000000007".as_slice(), &[0x1b, 0x58], &MARK_SUM].concat();
    for (table, bytes, at, says) in [
        ("marks", mark.as_slice(), 37, "marks agt_00000000000000000000000000000007"),
        ("cursors", b"ingest\x29".as_slice(), 6, "cursors ingest"),
        ("meta", b"what tells this one".as_slice(), 3, "meta instance"),
        ("observations", [9_u8; 150].as_slice(), 149, "observation log's row of position 9"),
    ] {
        let path = dir.path().join(format!("{table}.db"));
        std::fs::copy(&whole, &path).unwrap();
        flip(&path, bytes, at);
        let said = found(&path).await.unwrap_or_default();
        assert!(said.contains(says), "{table}: {said}");
    }
    // The epoch is 1, which takes no byte of its own: its kind becomes that of a 0.
    let path = dir.path().join("counters.db");
    std::fs::copy(&whole, &path).unwrap();
    let mut raw = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query("UPDATE counters SET value = 0").execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    assert!(found(&path).await.unwrap_or_default().contains("counters epoch"));
}
