//! Runs the store's stories (its shared tests) on both databases in the same run.

use nimbus_store::{StoreUrl, story};
use nimbus_tests::postgres::Postgres;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    for name in story::NAMES {
        eprintln!("sqlite: {name}");
        let dir = tempfile::tempdir().unwrap();
        story::tell(name, &StoreUrl::sqlite(dir.path().join("nimbus.db"))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgresql() {
    let postgres = Postgres::start().unwrap();
    for name in story::NAMES {
        eprintln!("postgresql: {name}");
        let url: StoreUrl = postgres.fresh_database().unwrap().parse().unwrap();
        story::tell(name, &url).await;
    }
}
