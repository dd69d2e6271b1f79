//! As `standby.rs`, fifty times each. Too long for CI.

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_one_takes_over_in_time_fifty_times_and_nothing_acknowledged_is_lost() {
    let _ = nimbus_tests::standby::play(50).await.unwrap();
}
