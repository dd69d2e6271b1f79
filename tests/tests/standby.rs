//! Two control planes on one PostgreSQL database: the one that leads is killed, frozen and cut off, twice each, and the other
//! one takes over in time, with nothing acknowledged lost. And what the database decides about who leads.

use nimbus_store::{History, ReplicaName, Sharing, Store, StoreError};
use nimbus_tests::postgres::Postgres;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_one_takes_over_in_time_and_nothing_acknowledged_is_lost() {
    let _ = nimbus_tests::standby::play(2).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_names_who_leads_and_who_stands_by() {
    nimbus_tests::standby::names_who_stands_by().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_s_row_is_renewed_goes_when_it_is_not_and_there_are_never_many() {
    let postgres = Postgres::start().unwrap();
    let text = postgres.fresh_database().unwrap();
    let url = text.parse().unwrap();
    let database = text.rsplit('/').next().unwrap();
    let open = || Store::open_for(&url, History::MayBegin, Sharing::Beside, "");
    let (one, two) = (open().await.unwrap(), open().await.unwrap());
    let name = |id: &str| ReplicaName {
        id: id.into(),
        name: "host".into(),
        address: "http://127.0.0.1:7070".into(),
        build: "0.1.0".into(),
    };
    // As beside a leader of an earlier version, which has not made the table: nothing, and no error.
    two.note_replica(&name("two")).await.unwrap();
    one.upgrade().await.unwrap();
    let ids = || async {
        let all = one.replicas().await.unwrap();
        all.into_iter().map(|one| (one.name.id, one.epoch)).collect::<Vec<_>>()
    };
    two.note_replica(&name("two")).await.unwrap();
    one.note_replica(&name("one")).await.unwrap();
    assert_eq!(ids().await, [("two".into(), 0), ("one".into(), 0)]);
    let before = one.replicas().await.unwrap()[1].since;
    let led = one.take_lease(0).await.unwrap().unwrap();
    one.note_replica(&name("one")).await.unwrap();
    assert_eq!(ids().await, [("one".into(), led), ("two".into(), 0)]);
    let leader = one.replicas().await.unwrap()[0].clone();
    assert!(leader.since > before && leader.seen >= leader.since, "it leads since now: {leader:?}");
    one.note_replica(&name("one")).await.unwrap();
    let renewed = one.replicas().await.unwrap()[0].clone();
    assert!(renewed.since == leader.since && renewed.seen > leader.seen, "{renewed:?}");

    let late = "UPDATE replicas SET seen = seen - 11000000 WHERE id = 'two'";
    postgres.sql(database, late).unwrap();
    assert_eq!(ids().await, [("one".into(), led)], "it is not shown any more");
    one.note_replica(&name("one")).await.unwrap();
    assert_eq!(postgres.sql(database, "SELECT COUNT(*) FROM replicas").unwrap(), "1", "its row is gone");
    for n in 0..20 {
        two.note_replica(&name(&format!("more-{n}"))).await.unwrap();
    }
    assert_eq!(postgres.sql(database, "SELECT COUNT(*) FROM replicas").unwrap(), "16");
    one.forget_replica(&name("one")).await.unwrap();
    assert!(ids().await.iter().all(|(id, _)| id != "one"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_held_by_one_and_who_lost_it_writes_nothing() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.fresh_database().unwrap().parse().unwrap();
    let open = || Store::open_for(&url, History::MayBegin, Sharing::Beside, "");
    let (one, two) = (open().await.unwrap(), open().await.unwrap());
    let (_held, _too) = (one.use_beside().await.unwrap(), two.use_beside().await.unwrap());
    assert!(!one.has_leases().await.unwrap(), "an empty database has none");
    // Both may find it empty, and both make it.
    let (first, second) = tokio::join!(one.upgrade(), two.upgrade());
    first.and(second).unwrap();
    assert!(two.has_leases().await.unwrap());

    let led = one.take_lease(7).await.unwrap().unwrap();
    assert!(led > 7, "{led} is above every epoch that the keys were used with");
    assert_eq!(two.take_lease(0).await.unwrap(), None, "it is held");
    one.renew_lease().await.unwrap();
    one.meta_set("word", "one").await.unwrap();
    one.give_up_lease().await.unwrap();
    let next = two.take_lease(0).await.unwrap();
    assert_eq!(next, Some(led + 1), "each leader has an epoch of its own");
    for refused in [one.renew_lease().await, one.give_up_lease().await, one.meta_set("word", "late").await] {
        assert!(matches!(refused, Err(StoreError::Superseded { .. })), "{refused:?}");
    }
    assert_eq!(two.meta_get("word").await.unwrap().as_deref(), Some("one"));
    two.renew_lease().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stands_by_and_who_runs_alone_do_not_share_a_database() {
    let postgres = Postgres::start().unwrap();
    let url = postgres.fresh_database().unwrap().parse().unwrap();
    let beside = Store::open_for(&url, History::MayBegin, Sharing::Beside, "").await.unwrap();
    let alone = Store::open_for(&url, History::MayBegin, Sharing::Alone, "").await.unwrap();
    let held = beside.use_beside().await.unwrap();
    let refused = alone.exclusive_use().await;
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    // Before anything in it is touched: one that runs alone finds out before it would change the tables of the other.
    assert!(!beside.has_leases().await.unwrap());
    drop(held);
    let unlocked = alone.exclusive_use().await.unwrap();
    alone.upgrade().await.unwrap();
    // As after a restart of the server, which frees all locks: the lease still says that somebody leads.
    beside.take_lease(0).await.unwrap().unwrap();
    drop(unlocked);
    let renewing = async {
        loop {
            beside.renew_lease().await.unwrap();
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    };
    let refused =
        tokio::select! { refused = alone.exclusive_use() => refused, () = renewing => unreachable!() };
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
    beside.give_up_lease().await.unwrap();
    let _alone = alone.exclusive_use().await.unwrap();
    let refused = beside.use_beside().await;
    assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
}
